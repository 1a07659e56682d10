// The sky in a direction: air, sun or moon, stars, aurora, clouds, smoke and fireworks.
#pragma once
#include "scene.h"

DEVICE Vec stars(const Scene& s, Vec d) {
  float u = atan2f(d.x, d.y) * 60 * fmaxf(0.15f, sqrtf(1 - d.z * d.z)), v = asinf(clampf(d.z, -1, 1)) * 60;
  int i = (int)floorf(u), j = (int)floorf(v);
  Vec c = vec(0, 0, 0);
  if (unit2(i, j, s.seed + 91) > 0.93f) {
    float dx = u - i - 0.2f - 0.6f * unit2(i, j, 5), dy = v - j - 0.2f - 0.6f * unit2(i, j, 6);
    c = grey(s.sky.stars * expf(-(dx * dx + dy * dy) * 40) * unit2(i, j, 7));
  }
  float belt = expf(-squared((d.x * 0.5f + d.z * 0.6f - 0.2f) * 4));  // the Milky Way
  return c + vec(0.5f, 0.45f, 0.55f) * (s.sky.stars * 0.12f * belt * fbm3(d * 5, s.seed + 8, 4, 0.6f));
}
// Curtains of light: a sharp wavy lower edge, rays that fade upwards, a few bands around the horizon.
DEVICE_CALL Vec aurora(const Scene& s, Vec d) {
  Vec c = vec(0, 0, 0);
  float azimuth = atan2f(d.x, d.y), z = saturate(d.z);
  // Noise around the circle without a seam: on a ring in the plane.
  float cx = cosf(azimuth), sx = sinf(azimuth);
  for (int k = 0; k < 4; k++) {
    uint32_t seed = s.seed + 17 * k;
    float edge = 0.1f + 0.4f * unit(seed) + 0.3f * (fbm2(cx * 1.3f + k * 9, sx * 1.3f + k * 3.3f, seed, 3, 0.5f) - 0.5f) * 2 + 0.06f * sinf(azimuth * (2 + k) + k);
    float e = z - edge, light = e < 0 ? expf(e * 45) : expf(-e * (3.0f + 4 * unit(seed + 1)));
    light *= 0.35f + 0.65f * noise2(cx * 14 + k * 50, sx * 14 + e * 1.5f, seed + 4);
    light *= smooth(0.25f, 0.7f, noise2(cx * 1.2f + k * 31, sx * 1.2f + k, seed + 5));
    c = c + mix(s.sky.aurora_low, s.sky.aurora_high, saturate(e * 3)) * (s.sky.aurora * light);
  }
  return c;
}
// Light of one firework in direction d.
DEVICE_CALL Vec firework(const Burst& b, Vec d) {
  float front = dot(d, b.direction);
  if (front < 0.5f) return vec(0, 0, 0);
  Vec right = normalized(vec(b.direction.y, -b.direction.x, 0)), up = cross(right, b.direction);
  float x = dot(d, right) / (front * b.radius), y = dot(d, up) / (front * b.radius);
  if (b.style == 3) {  // a fan of sparks from its foot
    y += 1;
    float r = sqrtf(x * x + y * y) * 0.5f, a = atan2f(x, y);
    if (fabsf(a) > 0.7f || r > 1) return vec(0, 0, 0);
    float spark = noise2(a * 25, r * 5 - 3, b.seed);
    return mix(b.inner, b.outer, r) * (smooth(0.5f, 0.9f, spark) * (1 - r) * 2.5f * smooth(0.7f, 0.1f, fabsf(a)));
  }
  float r = sqrtf(x * x + y * y);
  float smoke_glow = 0.12f * expf(-r * r * 0.7f);
  Vec light = b.outer * smoke_glow;
  if (r > 1) return light;
  float angle = atan2f(y + (b.style == 2 ? 0.35f * r * r : 0.1f * r * r), x) / (2 * PI) + 0.5f, rays = 22.0f + (b.seed % 40);
  int i = (int)floorf(angle * rays);
  float f = fraction(angle * rays) - 0.5f, reach = 0.55f + 0.45f * unit((uint32_t)i + b.seed), thin = 0.06f + 0.12f * (1 - r);
  bool on = r < reach && fabsf(f) < thin * (0.5f + smooth(0.0f, 0.25f, r));
  if (b.style == 1) on = fabsf(r - 0.8f * reach) < 0.07f && fabsf(f) < 0.3f;
  if (b.style == 0 && unit(b.seed + 2) < 0.4f) on = on && fraction(r * 9 + unit((uint32_t)i + b.seed + 5)) < 0.5f;
  if (!on && r > 0.07f) return light;
  return light + mix(mix(vec(1, 1, 0.9f), b.inner, saturate(r * 3)), b.outer, saturate(r * 2 - 1)) * (1.2f - 0.8f * r);
}
// Smoke that drifts low in the sky, lit by what burns below and in it.
DEVICE_CALL float smoke(const Scene& s, Vec d, float* thickness) {
  Vec p = vec(d.x, d.y, d.z * 1.6f);
  float warp = fbm3(p * 2.0f, s.seed + 71, 3, 0.5f), n = fbm3(p * 3.0f + grey(warp * 1.2f), s.seed + 73, 5, 0.55f);
  float low = smooth(0.9f, 0.05f, d.z);
  *thickness = saturate(s.sky.smoke * smooth(0.62f - 0.35f * low, 0.85f - 0.3f * low, n) * smooth(-0.1f, 0.02f, d.z));
  return n;
}

// Colour of the sky. Details that are too small for a mirror are left out unless `full`; *light: from a lamp of its own
// (the sun's or the moon's disc, a firework).
DEVICE_CALL Vec sky_colour(const Scene& s, Vec d, bool full, float* light) {
  const Sky& sky = s.sky;
  *light = 0;
  float z = d.z, toward = dot(d, sky.sun_direction);
  Vec c = mix(sky.horizon, sky.zenith, powf(saturate(z), 0.55f));
  if (z < 0) c = mix(sky.horizon, sky.below, saturate(-z * 6));
  c = c + sky.sun * (sky.glow * (0.25f * powf(saturate(toward * 0.5f + 0.5f), 12.0f) + 0.5f * powf(saturate(toward), 90.0f)));
  if (sky.stars > 0 && full && z > -0.02f) c = c + stars(s, d);
  if (sky.aurora > 0 && z > 0) c = c + aurora(s, d);
  if (sky.cover > 0 && z > -0.03f) {
    float flat = fmaxf(z, 0) + 0.09f, u = d.x / flat, v = d.y / flat;
    if (sky.cloud_kind == 1) {
      u = d.x * 3;
      v = d.y * 3 + z * 2;
    }
    float size = sky.cloud_size, warp = fbm2(u * size * 0.7f, v * size * 0.7f, s.seed + 55, 2, 0.5f);
    float n = sky.cloud_kind == 2 ? fbm3(vec(d.x, d.y, z * 2.5f) * (size * 2.5f) + vec(warp, warp, 0), s.seed + 61, 6, 0.55f) : fbm2(u * size + warp, v * size + warp * 0.7f, s.seed + 61, 6, 0.52f);
    float thick = smooth(1 - sky.cover, 1.22f - sky.cover, n) * smooth(-0.03f, 0.08f, z), depth = smooth(1 - sky.cover, 1.05f - sky.cover * 0.3f, n);
    Vec cloud = mix(sky.cloud, sky.cloud_shade, depth) + sky.sun * (sky.glow * 0.35f * powf(saturate(toward), 8.0f) * (1 - depth));
    c = mix(c, cloud, thick * 0.95f);
  }
  if (full && sky.sun_size > 0 && acosf(clampf(toward, -1, 1)) < sky.sun_size) {
    c = c + sky.sun * (s.night ? 0.8f * (0.6f + 0.6f * fbm3(d * 60, s.seed, 3, 0.6f)) : 3.0f);
    *light = 1;
  }
  if (sky.bursts > 0 && z > -0.05f) {
    Vec sparks = vec(0, 0, 0);
    for (int i = 0; i < sky.bursts; i++) sparks = sparks + firework(sky.burst[i], d);
    if (sky.smoke > 0) {
      float thick, n = smoke(s, d, &thick);
      Vec lit = sky.smoke_colour * (0.3f + 0.9f * n) + sparks * 0.3f + grey(sky.lamps_below * 0.3f * expf(-fmaxf(z, 0) * 4));
      c = mix(c, lit, thick * 0.9f);
    }
    c = c + sparks;
    if (luminance(sparks) > 0.25f) *light = 1;
  } else if (sky.smoke > 0 && z > -0.05f) {
    float thick, n = smoke(s, d, &thick);
    c = mix(c, sky.smoke_colour * (0.4f + 1.1f * n) + grey(sky.lamps_below * 0.2f * expf(-fmaxf(z, 0) * 4)), thick * 0.9f);
  }
  if (sky.grain > 0 && full) c = c * (1 + sky.grain * (fbm3(d * (12.0f + 50.0f * unit(s.seed + 14)), s.seed + 15, 3, 0.7f) - 0.5f) * 2);
  if (sky.haze > 0) c = mix(c, s.fog_colour, sky.haze * expf(-fabsf(z) * 7));
  return c;
}
