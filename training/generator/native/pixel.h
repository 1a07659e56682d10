// One pixel: what is there, how it is lit, how far it is, and how it moves.
#pragma once
#include "sky.h"
#include "surface.h"
#include "terrain.h"

constexpr float SKY_FLOOR = 0.45f;  // the earth is round: clouds at the horizon still move with this share of the speed

struct Pixel {
  Vec colour, normal, motion;  // linear RGB; unit, towards the eye; tangent, radians per second
  float distance;
  int label;
  float light;  // 1 where it shines by itself
};

// The surface of water: mirrors by Fresnel (Schlick 1994), its own colour below, foam on crests and at the shore.
DEVICE_CALL Vec shade_water(const Scene& s, const Hit& h, Vec p, Vec d, float px, Vec* normal, float* mirror) {
  float detail = fmaxf(px * 2.5f / fmaxf(-d.z, 0.08f), 0.02f), steep = 0.10f + 0.25f * unit(s.seed + 71), size = 0.35f + 1.5f * unit(s.seed + 72);
  float gx = 0, gy = 0;
  for (int i = 0; i < 4; i++) {
    float f = (1 << i) / size;
    if (1 / f < detail * 1.2f) break;
    float e = 0.2f / f, here = noise2(h.u * f + 3 * i, h.v * f * 0.8f, s.seed + 80 + i);
    gx += (noise2(h.u * f + e * f + 3 * i, h.v * f * 0.8f, s.seed + 80 + i) - here) / e / f;
    gy += (noise2(h.u * f + 3 * i, (h.v + e) * f * 0.8f, s.seed + 80 + i) - here) / e / f;
  }
  Vec n = normalized(h.normal + vec(-gx * steep, -gy * steep, 0));
  if (dot(n, d) > -0.02f) n = normalized(n - d * (dot(n, d) + 0.03f));
  float fresnel = 0.02f + 0.98f * powf(1 - saturate(-dot(n, d)), 5.0f);
  float light = luminance(s.ambient) + 0.4f * luminance(s.sky.sun) * saturate(s.sky.sun_direction.z);
  Vec colour = s.water.colour * (light * (1 + 0.6f * (noise2(h.u * 0.3f, h.v * 0.3f, s.seed) - 0.5f)));
  float foam = 0;
  if (s.water.foam > 0) {
    float crest = s.water.wave > 0.03f ? (h.local.z - s.water.level) / (s.water.wave + 0.01f) : 0.0f, q = ridged2(h.u / 1.7f / size, h.v / 1.2f / size, s.seed + 90, 4);
    foam = s.water.foam * saturate(smooth(0.25f, 0.55f, crest) * 1.2f * q + smooth(0.78f - 0.3f * unit(s.seed + 29), 0.92f, q) * 0.9f);
    if (s.ground.shown && !s.ground.flat) foam = fmaxf(foam, smooth(0.5f, 0.0f, s.water.level - land_height(s, p.x, p.y, 3)) * smooth(0.3f, 0.6f, q + 0.2f));
  }
  foam = saturate(foam);
  *mirror = saturate(fresnel) * (1 - foam);
  *normal = n;
  return mix(colour, vec(0.85f, 0.9f, 0.92f) * (light * 1.2f), foam);
}

// Colour of what was hit. sample of samples: which of the fixed directions of light this sample asks. level 1: seen in a mirror.
DEVICE_CALL Vec shade(const Scene& s, const Hit& h, Vec o, Vec d, int sample, int samples, int level, float* mirror, Vec* mirror_normal, float* light) {
  *mirror = 0;
  *light = 0;
  Vec p = o + d * h.t, n = h.normal;
  if (dot(n, d) > 0 && h.shade == 0) n = n * -1.0f;
  *mirror_normal = n;
  float px = h.t * s.pixel;
  if (h.part == PART_WATER) return shade_water(s, h, p, d, px, mirror_normal, mirror);
  Look look;
  if (h.part == PART_LAND) {
    const Ground& g = s.ground;
    look = surface(s.material[g.material], h.u, h.v, p, 0, px);
    if (g.second >= 0) {
      float k = smooth(0.45f, 0.58f, fbm2(h.u / 7.0f, h.v / 7.0f, s.seed + 33, 4, 0.55f) + (g.flat ? 0.0f : 0.7f * (1 - n.z)));
      look.colour = mix(look.colour, surface(s.material[g.second], h.u, h.v, p, 0, px).colour, k);
    }
    if (level == 0 && g.roughness > 0) {
      float f = 1 / fmaxf(fmaxf(0.02f, px * 1.5f) * 4, 0.08f), a = noise2(h.u * f, h.v * f, s.seed + 2);
      n = normalized(n + vec(noise2(h.u * f + 0.3f, h.v * f, s.seed + 2) - a, noise2(h.u * f, h.v * f + 0.3f, s.seed + 2) - a, 0) * g.roughness);
    }
    if (g.wet > 0) {
      float pool = g.puddles > 0 ? smooth(0.5f, 0.6f, fbm2(h.u / 3.0f, h.v / 3.0f, s.seed + 44, 4, 0.5f) + 0.25f * (g.puddles - 0.5f)) : 0.6f;
      *mirror = g.wet * pool * (0.06f + 0.9f * powf(1 - saturate(-dot(h.normal, d)), 3.0f));
      look.colour = look.colour * (1 - 0.5f * pool * g.wet);
      *mirror_normal = normalized(h.normal + vec(noise2(h.u * 2.5f, h.v * 2.5f, 3) - 0.5f, noise2(h.u * 2.5f, h.v * 2.5f, 4) - 0.5f, 0) * 0.05f);
    }
  } else {
    const Material& m = s.material[h.material];
    look = surface(m, h.u, h.v, h.local, h.seed, px);
    uint32_t own = h.seed;
    if (h.part == PART_SKIN) {
      bool hair = h.v > 0.74f * 0.85f || unit(own + 9) < 0.3f;
      look.colour = hair ? vec(0.05f, 0.03f, 0.02f) : vec(0.45f, 0.3f, 0.2f) * (0.3f + 1.2f * unit(own + 8));
    } else if (h.part == PART_TOP && h.shade == 1) {
      look.colour = hsv(unit(own + 1), 0.1f + 0.7f * unit(own + 2) * unit(own + 12), 0.05f + 0.8f * unit(own + 3) * unit(own + 31)) * (0.8f + 0.4f * noise2(h.u * 20, h.v * 20, own));
    } else if (h.part == PART_LEGS) {
      look.colour = hsv(0.6f * unit(own + 4), 0.4f * unit(own + 5), 0.03f + 0.3f * unit(own + 6));
    } else if (h.part == PART_TRUNK && h.shade == 1) {
      look.colour = vec(0.09f, 0.06f, 0.04f);
    }
    if (h.label == FIRE && m.glow > 0) {  // flames and lamps: nothing but their light
      *light = 1;
      float flame = h.part == PART_CARD ? 0.5f + 1.2f * noise2(h.u * 3, h.v * 2, own) : 1.0f;
      return (m.pattern == SIGN ? look.light + look.colour * s.ambient : mix(m.a, m.b, h.part == PART_CARD ? saturate(0.5f + h.v) : 0.0f) * m.glow) * flame;
    }
    if (h.part == PART_CARD && h.label == WATER) {  // spray
      float bright = luminance(s.ambient) * 1.2f + 0.05f;
      return (vec(0.9f, 0.95f, 1) * bright + m.a * m.glow) * (0.6f + 0.8f * noise2(h.u * 9, h.v * 5, own));
    }
    if (h.part == PART_FALL) look.colour = mix(s.water.colour * 0.8f + grey(0.1f), grey(0.92f), smooth(0.35f, 0.7f, fbm2(h.u * 4, h.v * 0.35f, own, 4, 0.6f)));
    if (h.part == PART_CURTAIN) look.light = look.light + m.c * m.glow;  // daylight through the cloth
    if (luminance(look.light) > 0.25f) *light = 1;
    if (look.gloss > 0.05f) {
      *mirror = look.gloss * (0.06f + 0.9f * powf(1 - saturate(-dot(n, d)), 3.0f)) + (look.gloss > 0.3f ? look.gloss * 0.25f : 0.0f);
    }
  }
  Vec total = vec(0, 0, 0), start = p + n * (0.01f + 0.002f * h.t);
  float open = 0.7f;
  if (level == 0 && h.part != PART_LEAF) {  // two directions of a fixed set around the normal (Zhukov et al. 1998)
    Vec t, b;
    frame(n, &t, &b);
    open = 0;
    for (int k = 0; k < 2; k++) {
      int q = sample * 2 + k;
      float turn = 2.39996f * q + 1.3f * unit(s.seed), z = 0.25f + 0.6f * ((q % samples + 0.5f) / samples), r = sqrtf(1 - z * z);
      Vec w = t * (cosf(turn) * r) + b * (sinf(turn) * r) + n * z;
      float v = clear(s, start, w, s.reach, false);
      if (!s.indoor && w.z < 0 && s.ground.flat) v *= 0.4f + 0.6f * saturate((p.z - s.ground.level) / s.reach);
      open += 0.5f * v;
    }
  }
  if (h.part == PART_LEAF) open = h.shade;
  total = total + mix(s.ambient_below, s.ambient, n.z * 0.5f + 0.5f) * (0.12f + 0.88f * open);
  float facing = dot(n, s.sky.sun_direction);
  if (h.part == PART_LEAF || h.label == VEGETATION) facing = mix(facing, 0.5f, 0.35f);
  if (facing > 0 && luminance(s.sky.sun) > 0.01f) {
    float sunny = level == 0 ? clear(s, start, s.sky.sun_direction, 400.0f, true) : 0.6f;
    if (s.underwater) sunny *= 0.4f + 1.5f * squared(squared(ridged2(h.u * 0.8f, h.v * 0.8f, s.seed, 2)));
    total = total + s.sky.sun * (facing * sunny);
  }
  for (int j = 0; j < s.lights; j++) {
    Vec w = s.light[j].at - p;
    float d2 = dot(w, w), far = sqrtf(d2);
    w = w * (1 / far);
    float c = dot(n, w);
    if (c <= 0) continue;
    // Every sample asks half of the lamps for their shadow and counts them twice.
    float shadow = 1;
    if (level == 0) shadow = samples < 2 ? clear(s, start, w, far - 0.25f, false) : (j + sample) % 2 == 0 ? 2 * clear(s, start, w, far - 0.25f, false) : 0.0f;
    total = total + s.light[j].colour * (c * shadow / (d2 + 0.15f));
  }
  return look.colour * total + look.light;
}

// Colour through the fog between o and o + d t (exponential in height if it has one).
DEVICE Vec through_fog(const Scene& s, Vec colour, Vec o, Vec d, float t, float* transmitted) {
  *transmitted = 1;
  if (s.fog <= 0) return colour;
  float depth = t;
  if (s.fog_height > 0) {
    float z0 = o.z - s.ground.level, z1 = z0 + d.z * t, h = s.fog_height, a = expf(-fmaxf(z0, 0) / h), b = expf(-fmaxf(z1, 0) / h), rise = z1 - z0;
    depth = fabsf(rise) > 0.01f ? t * (h * (a - b) / rise) : t * a;
  }
  *transmitted = expf(-depth * s.fog);
  return mix(s.fog_colour, colour, *transmitted);
}

// A layer of cloud that drifts with the wind turns fast overhead and slowly at the horizon.
DEVICE Vec sky_drift(const Scene& s, Vec d) {
  Vec across = s.sky.wind - d * dot(s.sky.wind, d);
  return across * (sqrtf(d.z * d.z + SKY_FLOOR * SKY_FLOOR) / sqrtf(1 + SKY_FLOOR * SKY_FLOOR));
}

// Under water, where nothing solid is met: the surface above, or the blue that swallows everything.
DEVICE_CALL void open_water(const Scene& s, Vec d, Pixel* pixel) {
  float seen = 3.0f / s.fog, t = d.z > 0.01f ? fminf(s.ceiling / d.z, seen) : seen, light;
  pixel->label = WATER;
  pixel->distance = t;
  pixel->normal = d.z > 0.01f && s.ceiling / d.z < seen ? vec(0, 0, -1) : d * -1.0f;
  Vec deep = mix(s.fog_colour, s.fog_colour * 2.2f + vec(0.08f, 0.25f, 0.25f), smooth(0.0f, 1.0f, d.z));
  float azimuth = atan2f(d.x, d.y), ray = noise2(cosf(azimuth) * 5 + d.z, sinf(azimuth) * 5, s.seed);
  Vec colour = deep * (1 + 0.8f * ray * ray * ray * smooth(0.0f, 0.6f, d.z));
  if (d.z > 0.01f) {  // Snell's window: the sky within 48 degrees of the zenith, a mirror of the deep outside
    float u = d.x * s.ceiling / d.z, v = d.y * s.ceiling / d.z, ripple = ridged2(u * 0.6f, v * 0.6f, s.seed + 4, 3);
    float window = smooth(0.6f, 0.72f, d.z + 0.1f * (ripple - 0.5f));
    Vec above = sky_colour(s, normalized(vec(d.x * 0.7f, d.y * 0.7f, d.z)), false, &light) * 1.3f + grey(0.5f * powf(ripple, 6.0f));
    float transmitted;
    colour = mix(colour, through_fog(s, mix(deep * (0.7f + 0.6f * ripple), above, window), vec(0, 0, 0), d, t, &transmitted), 0.85f);
  }
  pixel->colour = colour;
  pixel->light = 0;
  Vec drift = vec(s.water.flow.x, s.water.flow.y, 0);
  pixel->motion = (drift - d * dot(drift, d)) * (1 / t);
}

// Everything about direction d of the world.
DEVICE_CALL Pixel look_along(const Scene& s, Vec d, int sample, int samples) {
  Pixel pixel;
  Hit h;
  Vec o = vec(0, 0, 0);
  float transmitted, light;
  pixel.distance = FAR_AWAY;
  pixel.label = SKY;
  pixel.normal = d * -1.0f;
  pixel.motion = sky_drift(s, d);
  pixel.light = 0;
  if (!trace(s, o, d, 0.05f, 5000.0f, SEE, &h)) {
    if (s.underwater) {
      open_water(s, d, &pixel);
      return pixel;
    }
    pixel.colour = sky_colour(s, d, true, &pixel.light);
    if (s.fog > 0 && d.z < 0.3f) pixel.colour = mix(pixel.colour, s.fog_colour, s.fog > 0.002f ? expf(-fmaxf(d.z, 0) * 6 / (1 + s.fog * 40)) : 0.0f);
    return pixel;
  }
  float mirror;
  Vec mirror_normal, colour = shade(s, h, o, d, sample, samples, 0, &mirror, &mirror_normal, &pixel.light);
  if (mirror > 0.015f) {
    Vec p = d * h.t, r = d - mirror_normal * (2 * dot(d, mirror_normal)), seen;
    if (h.normal.z > 0.7f && r.z < 0.02f) r.z = 0.03f;
    r = normalized(r);
    Vec start = p + h.normal * (0.01f + 0.002f * h.t);
    Hit g;
    if (trace(s, start, r, 0.02f, 3000.0f, MIRROR, &g)) {
      float ignored, also;
      Vec none;
      seen = through_fog(s, shade(s, g, start, r, sample, samples, 1, &ignored, &none, &also), start, r, g.t, &transmitted);
    } else {
      seen = sky_colour(s, r, h.label != WATER, &light);
    }
    seen = vec(fminf(seen.x, 8.0f), fminf(seen.y, 8.0f), fminf(seen.z, 8.0f));
    colour = mix(colour, seen, saturate(mirror));
  }
  colour = through_fog(s, colour, o, d, h.t, &transmitted);
  if (transmitted < 0.012f && h.label != FIRE) {  // swallowed by the fog
    if (s.underwater)
      open_water(s, d, &pixel);
    else
      pixel.colour = colour;
    return pixel;
  }
  pixel.colour = colour;
  pixel.distance = h.t;
  pixel.label = h.label;
  pixel.normal = dot(h.normal, d) > 0 ? h.normal * -1.0f : h.normal;
  pixel.motion = (h.velocity - d * dot(h.velocity, d)) * (1 / h.t);
  return pixel;
}

// Rotation from the camera to the world, row by row.
DEVICE void camera_rotation(const Scene& s, float m[9]) {
  float ca = cosf(s.yaw), sa = sinf(s.yaw), cp = cosf(s.tilt_x), sp = sinf(s.tilt_x), cq = cosf(s.tilt_y), sq = sinf(s.tilt_y);
  float rows[9] = {ca * cq - sa * sp * sq, -sa * cp, ca * sq + sa * sp * cq, sa * cq + ca * sp * sq, ca * cp, sa * sq - ca * sp * cq, -cp * sq, sp, cp * cq};
  for (int i = 0; i < 9; i++) m[i] = rows[i];
}

// Renders pixel (x, y) of a panorama that is turned by `turn` columns. Colour is the mean of `samples` places in the
// pixel; everything else belongs to its centre. No value depends on x but through the direction, so that a turn of the
// picture is exactly a shift of its columns.
DEVICE_CALL void render_pixel(const Scene& s, int x, int y, int width, int height, int turn, int samples, float* rgb, float* distance,
                              uint8_t* label, uint8_t* light, float* normal, float* motion) {
  const float across[8] = {0, 0.31f, -0.29f, -0.12f, 0.2f, -0.4f, 0.42f, 0.05f}, down[8] = {0, -0.14f, 0.22f, -0.38f, 0.4f, -0.1f, 0.1f, -0.25f};
  int column = (x - turn) % width;
  if (column < 0) column += width;
  float m[9];
  camera_rotation(s, m);
  Vec total = vec(0, 0, 0);
  for (int k = 0; k < samples; k++) {
    float lam = ((column + 0.5f + across[k & 7]) / width - 0.5f) * 2 * PI, phi = (0.5f - (y + 0.5f + down[k & 7]) / height) * PI;
    Vec d = vec(cosf(phi) * sinf(lam), cosf(phi) * cosf(lam), sinf(phi));
    Vec w = vec(m[0] * d.x + m[1] * d.y + m[2] * d.z, m[3] * d.x + m[4] * d.y + m[5] * d.z, m[6] * d.x + m[7] * d.y + m[8] * d.z);
    Pixel p = look_along(s, w, k, samples);
    total = total + vec(p.colour.x > 0 ? fminf(p.colour.x, 20.0f) : 0, p.colour.y > 0 ? fminf(p.colour.y, 20.0f) : 0, p.colour.z > 0 ? fminf(p.colour.z, 20.0f) : 0);
    if (k > 0) continue;
    *distance = p.distance;
    *label = (uint8_t)p.label;
    *light = p.light > 0.5f;
    float a = 2 * PI * turn / width, c = cosf(a), sn = sinf(a);
    for (int v = 0; v < 2; v++) {
      Vec q = v ? p.motion : p.normal;
      float* to = v ? motion : normal;
      float qx = m[0] * q.x + m[3] * q.y + m[6] * q.z, qy = m[1] * q.x + m[4] * q.y + m[7] * q.z;
      to[0] = c * qx + sn * qy;
      to[1] = c * qy - sn * qx;
      to[2] = m[2] * q.x + m[5] * q.y + m[8] * q.z;
    }
  }
  rgb[0] = total.x / samples;
  rgb[1] = total.y / samples;
  rgb[2] = total.z / samples;
}
