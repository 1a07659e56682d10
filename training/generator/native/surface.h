// Patterns of surfaces: where on it -> colour and light.
#pragma once
#include "scene.h"

struct Look {
  Vec colour, light;
  float gloss;
};

// A facade: storeys of windows, some lit; walls with courses or plaster.
DEVICE_CALL void facade(const Material& m, float u, float v, uint32_t own, float px, Look* look) {
  float wide = m.wide, high = m.high;
  int i = (int)floorf(u / wide), j = (int)floorf(v / high);
  float fu = fraction(u / wide) - 0.5f, fv = fraction(v / high) - 0.5f;
  uint32_t s = m.seed;
  float which = unit2(i, j, s + own);
  Vec wall = mix(m.a, m.b, 0.5f * fbm2(u * 0.8f, v * 0.8f, s + own, 4, 0.6f));
  if (((s >> 3) & 3) > 1) wall = wall * (0.85f + 0.15f * band(fraction(v / 0.28f) - 0.5f, 0.42f, px / 0.28f + 0.1f));
  if (((s >> 6) & 3) == 0 && fv < -0.42f) wall = wall * 0.65f;
  float pane = band(fu, m.gap, px / wide + 0.01f) * band(fv, m.opening, px / high + 0.01f);
  float glass = band(fu, m.gap - 0.03f, px / wide + 0.01f) * band(fv, m.opening - 0.03f, px / high + 0.01f);
  if ((s >> 8) & 1) glass *= 1 - band(fu, 0.012f, px / wide + 0.005f);
  bool on = which < m.lit;
  float hue = unit2(i, j, s + 3) < 0.75f ? 0.07f + 0.06f * unit2(i, j, s + 4) : unit2(i, j, s + 5);
  Vec lamp = hsv(hue, 0.2f + 0.5f * unit2(i, j, s + 6), 1.0f);
  look->colour = mix(wall, mix(m.b * 0.6f, m.c * (0.5f + which), glass), pane);
  if (on) look->light = lamp * (pane * glass * m.glow * (0.5f + 0.8f * noise2(u * 5, v * 5, s + j)));
  look->gloss += on ? 0.0f : pane * glass * 0.35f;
}

// Machine walls: cells split again and again, a few of them screens.
DEVICE_CALL void panels(const Material& m, float u, float v, uint32_t own, Look* look) {
  float x = u / m.wide, y = v / m.wide;
  int i = (int)floorf(x), j = (int)floorf(y);
  x = fraction(x);
  y = fraction(y);
  uint32_t k = hash(i * 31 + j * 57 + m.seed + own);
  for (int q = 0; q < 4; q++) {
    if (unit(k + q) < 0.3f) break;
    float cut = 0.25f + 0.5f * unit(k * 3 + q);
    float* along = ((q + (k >> 4)) & 1) ? &x : &y;
    if (*along < cut) {
      *along /= cut;
    } else {
      *along = (*along - cut) / (1 - cut);
      k = hash(k + 7 + q);
    }
  }
  float edge = fminf(fminf(x, 1 - x), fminf(y, 1 - y)), r = unit(k + 99);
  Vec base = r < 0.5f ? m.a : (r < 0.8f ? m.b : m.c);
  look->colour = base * ((0.5f + 0.5f * smooth(0.01f, 0.05f, edge)) * (0.85f + 0.3f * noise2(u * 9, v * 9, m.seed)));
  if (unit(k + 5) < m.lit && edge > 0.12f) {
    float text = unit2((int)(x * 9), (int)(y * 12), k) > 0.4f ? 1.0f : 0.3f;
    look->light = hsv(unit(k + 6), 0.6f * unit(k + 8), 1.0f) * (m.glow * text);
  }
}

// What a material looks like at (u, v) metres of a surface or at `p` of its solid. px: metres a pixel covers there;
// own: the shape's seed, so that two things of one material differ.
DEVICE_CALL Look surface(const Material& m, float u, float v, Vec p, uint32_t own, float px) {
  Look look{m.a, vec(0, 0, 0), m.gloss};
  uint32_t s = m.seed;
  px += 1e-4f;
  int octaves = (int)clampf(1 + log2f(fmaxf(m.size / (px * 1.5f), 1.0f)), 1, 6), few = octaves < 3 ? octaves : 3;
  switch (m.pattern) {
    case PLAIN:
      look.colour = m.a * (0.82f + 0.36f * fbm2(u / m.size, v / m.size, s, octaves, 0.6f));
      break;
    case MOTTLED: {
      float warp = fbm2(u / m.size, v / m.size, s, few, 0.5f);
      float n = fbm2(u / m.size * 1.7f + 2 * warp, v / m.size * 1.7f + 2 * warp, s + 9, octaves, m.gain);
      look.colour = n < 0.5f ? mix(m.a, m.b, n * 2) : mix(m.b, m.c, n * 2 - 1);
      look.colour = look.colour * (0.6f + 0.8f * fbm2(u / m.size * 8, v / m.size * 8, s + 3, few, 0.6f));
      if (px < 0.05f) {
        float f = 5.0f * (1 + (s & 7)), fine = (noise2(u * f, v * f, s + 6) - 0.5f) * 0.9f + (noise2(u * f * 3.1f, v * f * 3.1f, s + 7) - 0.5f) * 0.6f;
        look.colour = look.colour * (1 + fine * m.gain * smooth(0.05f, 0.015f, px));
      }
      break;
    }
    case BRICKS: {
      float row = floorf(v / m.high), x = u / m.wide + 0.5f * fmodf(fabsf(row), 2.0f), column = floorf(x);
      float brick = band(fraction(x) - 0.5f, 0.5f - m.gap, px / m.wide + 0.02f) * band(fraction(v / m.high) - 0.5f, 0.5f - m.gap * m.wide / m.high, px / m.high + 0.02f);
      Vec one = mix(m.a, m.b, unit2((int)column, (int)row, s)) * (0.75f + 0.5f * fbm2(u * 12 / m.size, v * 12 / m.size, s + 2, few, 0.6f));
      look.colour = mix(m.c, one, brick);
      break;
    }
    case TILES: {
      float fu = fraction(u / m.wide) - 0.5f, fv = fraction(v / m.wide) - 0.5f;
      int i = (int)floorf(u / m.wide), j = (int)floorf(v / m.wide);
      float tile = band(fu, 0.5f - m.gap, px / m.wide + 0.01f) * band(fv, 0.5f - m.gap, px / m.wide + 0.01f);
      Vec one = mix(m.a, m.b, 0.5f * unit2(i, j, s) + 0.5f * fbm2(u * 3 / m.wide, v * 3 / m.wide, s + 4, few + 1, 0.6f));
      look.colour = mix(m.c, one, tile);
      break;
    }
    case CHECKS: {
      int i = (int)floorf(u / m.wide), j = (int)floorf(v / m.wide);
      look.colour = (((i + j) & 1) ? m.a : m.b) * (0.8f + 0.4f * fbm2(u * 4, v * 4, s, few, 0.6f));
      break;
    }
    case PLANKS: {
      int j = (int)floorf(v / m.high);
      float along = u + 10 * unit(j + s), n = fbm2(along * 1.2f / m.size, v * 14 / m.size, s + j * 3, few + 1, 0.6f);
      look.colour = mix(m.a, m.b, n) * (0.8f + 0.4f * unit(j * 7 + s));
      look.colour = look.colour * (0.4f + 0.6f * band(fraction(v / m.high) - 0.5f, 0.5f - m.gap, px / m.high + 0.02f));
      break;
    }
    case PAVING: {
      float id, border = cells2(u / m.wide, v / m.wide, s, &id);
      Vec one = mix(m.a, m.b, id) * (0.7f + 0.6f * fbm2(u * 6 / m.size, v * 6 / m.size, s + 1, few, 0.6f));
      look.colour = mix(m.c, one, smooth(0.02f, 0.12f + px / m.wide, border));
      break;
    }
    case FACADE:
      facade(m, u, v, own, px, &look);
      break;
    case PANELS:
      panels(m, u, v, own, &look);
      break;
    case SIGN: {  // letters, or a poster
      int i = (int)floorf(u / m.wide), j = (int)floorf(v / m.wide);
      float x = fraction(u / m.wide), y = fraction(v / m.wide);
      int gx = (int)(x * 5), gy = (int)(y * 6);
      bool stroke = unit2(gx + i * 11, gy + j * 13, s + own) > 0.45f && gx < 4 && gy < 5;
      Vec one = hsv(unit(s + own), 0.85f, 1.0f), two = hsv(unit(s + own + 3), 0.7f, 1.0f);
      if ((own >> 5) & 1)
        look.light = (stroke ? one : two * 0.08f) * m.glow;
      else
        look.light = mix(one, two, noise2(u / m.wide, v / m.wide, s)) * (m.glow * (stroke ? 0.6f : 0.3f));
      look.colour = m.a * 0.2f;
      break;
    }
    case LEAVES: {
      float coarse = fbm3(p * (1.0f / m.size), s + own, few, 0.6f), fine = noise3(p * (4.0f / m.size), s);
      look.colour = mix(mix(m.a, m.b, saturate(coarse * 1.6f - 0.3f)), m.c, saturate(fine * 2 - 1.1f)) * (0.55f + 0.8f * fine);
      break;
    }
    case DOTS: {
      float fu = fraction(u / m.wide) - 0.5f, fv = fraction(v / m.wide) - 0.5f;
      look.colour = mix(m.a, m.b, smooth(0.3f, 0.25f - px / m.wide, sqrtf(fu * fu + fv * fv))) * (0.85f + 0.3f * noise2(u * 7, v * 7, s));
      break;
    }
    case FOLDS:
      look.colour = mix(m.a, m.b, 0.5f + 0.5f * sinf(u * 2 * PI / m.wide + 2 * noise2(u, v * 0.3f, s)));
      break;
    case STRIPES:
      look.colour = (((int)floorf(u / m.wide) & 1) ? m.a : m.b) * (0.85f + 0.3f * fbm2(u * 4, v * 4, s, few, 0.6f));
      break;
    case CAUSTIC:
      look.colour = m.a * (0.5f + 1.3f * squared(ridged2(u / m.size, v / m.size, s, 3)));
      break;
    case CARPET: {
      float id, border = cells2(u / m.wide, v / m.wide, s, &id);
      Vec figure = id < 0.4f ? m.a : (id < 0.7f ? m.b : m.c);
      look.colour = mix(m.b, figure, smooth(0.05f, 0.1f, border)) * (0.85f + 0.3f * noise2(u * 40, v * 40, s));
      break;
    }
  }
  if (m.glow > 0 && m.pattern != FACADE && m.pattern != PANELS && m.pattern != SIGN) look.light = look.colour * m.glow;
  if (own) look.colour = look.colour * (0.7f + 0.6f * unit(own * 13 + 5));
  look.colour = vec(clampf(look.colour.x, 0.01f, 0.95f), clampf(look.colour.y, 0.01f, 0.95f), clampf(look.colour.z, 0.01f, 0.95f));
  return look;
}
