// Silhouettes of cards (pictures that stand upright and face the eye) and of fences: is a point of the panel covered?
#pragma once
#include "scene.h"

// A standing or walking person; a, b in [-1, 1] over 0.4 h x h. *part: skin, top or legs.
DEVICE bool person(float a, float b, uint32_t s, int* part) {
  float x = a * 0.4f, head = (b - 0.85f) * 0.875f;
  *part = PART_SKIN;
  if (x * x + head * head < 0.0145f) return true;
  if (b > 0.75f) return false;
  float stride = 0.5f * (unit(s) - 0.5f);
  bool dress = unit(s + 1) < 0.3f;
  if (b > -0.05f) {
    *part = PART_TOP;
    float width = b > 0.45f ? mix(0.23f, 0.1f, smooth(0.45f, 0.75f, b)) : mix(0.17f, 0.23f, smooth(-0.05f, 0.45f, b));
    float arm = unit(s + 5) < 0.12f && b > 0.35f ? 0.1f : 0.0f;  // a raised arm
    return fabsf(x) < width + 0.03f * sinf(b * 9 + s % 7) + (x > 0 ? arm : 0.0f);
  }
  *part = PART_LEGS;
  if (dress) return fabsf(x) < 0.17f - 0.1f * b;
  return fabsf(fabsf(x) - (0.09f - 0.1f * stride * b)) < 0.085f + 0.02f * b;
}

// Is (a, b) in [-1, 1]^2 of a card covered? detail: size of a pixel on it.
DEVICE_CALL bool card(int kind, float a, float b, uint32_t s, float detail, int* part) {
  *part = PART_CARD;
  switch (kind) {
    case PERSON:
      return person(a, b, s, part);
    case CARD_TREE:
    case CARD_BUSH: {
      bool tree = kind == CARD_TREE;
      if (tree && b < -0.3f && fabsf(a + 0.05f * sinf(b * 6 + s % 5)) < 0.05f + 0.03f * unit(s) + 0.05f * smooth(-0.7f, -1.0f, b)) {
        *part = PART_TRUNK;
        return true;
      }
      float middle = tree ? 0.25f : -0.3f, tall = tree ? 0.72f : 0.95f;
      float q = a * a / 0.8f + squared((b - middle) / tall);
      if (tree && unit(s + 9) < 0.3f) {  // a conifer
        if (b < -0.75f) return false;
        q = squared(fabsf(a) / (0.375f * (1.02f - b) + 0.02f));
      }
      float f = fminf(7.0f, 0.3f / detail);
      return q < (fbm2(a * f * 0.5f + s % 97, b * f * 0.5f, s, 4, 0.65f) - 0.28f) * 2.6f;
    }
    case FLAME: {
      float y = (b + 1) * 0.5f, n = fbm2(a * 2.0f + s % 91, b * 1.6f - 3, s, 3, 0.5f);
      return fabsf(a + (n - 0.5f) * y * 1.2f) < 1.35f * (1 - y) * sqrtf(y + 0.05f) * (0.35f + n);
    }
    case JET: {  // of a fountain: a column that breaks into drops, or one that spreads
      float y = (b + 1) * 0.5f, n = fbm2(a * 5 + s % 33, b * 3, s, 4, 0.6f);
      float width = 0.12f + 0.24f * y * y * unit(s) + 0.24f * y * y + 0.2f * (1 - y);
      return fabsf(a) < width * (unit(s + 4) < 0.5f ? 1 - y : 1.0f) && n > 0.36f + 0.22f * y;
    }
    case SMOKE: {
      float y = (b + 1) * 0.5f, n = fbm2(a * 2 + s % 71, b * 2.5f, s, 4, 0.55f);
      return fabsf(a + 0.5f * (noise2(b * 1.5f, 3, s) - 0.5f)) < (0.12f + 0.7f * y) * (0.4f + 0.9f * n) * smooth(1.0f, 0.6f, y);
    }
    case FISH:
      return squared(a / 0.75f) + squared(b / (0.5f + 0.3f * unit(s))) < 1 || (a > 0.6f && fabsf(b) < (a - 0.5f));
    case BIRD:
      return fabsf(b - 0.5f * fabsf(a) * unit(s) + 0.1f) < 0.18f * (1.1f - fabsf(a));
  }
  return false;
}

// Is a point of a fence covered? u along, v above its foot, both in metres; high: of the fence.
DEVICE_CALL bool fence(const Shape& f, float u, float v, float high) {
  float space = f.a, thick = f.b;
  switch (f.kind) {
    case PICKETS: {
      float x = (fraction(u / space) - 0.5f) * space;
      if (fabsf(v - 0.2f * high) < 0.5f * thick || fabsf(v - 0.8f * high) < 0.5f * thick) return true;
      return fabsf(x) < 0.5f * thick && v < high * (0.93f + 0.07f * (1 - fabsf(x) / (0.5f * thick)));
    }
    case RAILS: {
      float x = (fraction(u / (space * 6)) - 0.5f) * space * 6;
      if (fabsf(x) < thick) return true;
      return v > 0.3f * high && fabsf(fraction(v / space) - 0.5f) * space < 0.5f * thick;
    }
    case LATTICE: {
      float p = fraction((u + v) / space) - 0.5f, q = fraction((u - v) / space) - 0.5f;
      return fminf(fabsf(p), fabsf(q)) * space < 0.5f * thick || v > high - thick || v < thick;
    }
    case MESH: {
      float p = fraction(u / space) - 0.5f, q = fraction(v / space) - 0.5f, post = (fraction(u / 2.5f) - 0.5f) * 2.5f;
      return fminf(fabsf(p), fabsf(q)) * space < 0.5f * thick || fabsf(post) < 0.04f || v > high - 0.03f;
    }
    case CURTAIN:  // hangs in folds; the lower edge waves a little
      return v > 0.02f * high * (1 + sinf(u * 20));
    case SAIL:  // a triangle on its mast
      return v < high * (0.5f + 0.5f * u / f.hx);
    case FALL: {  // a waterfall that tears at its edges and below
      float edge = fabsf(u) / f.hx, n = fbm2(u * 1.5f, v * 0.2f, f.seed, 4, 0.6f);
      return edge < 0.75f + 0.4f * (n - 0.3f) && n > 0.25f + 0.12f * (1 - v / high);
    }
  }
  return true;
}

// Is a point of a room's wall an opening? v above the floor, high: of the room.
DEVICE bool opening(const Shape& room, int face, float u, float v, float high) {
  if (!((room.kind >> (face < 4 ? face : 4)) & 1) || face == 4) return false;
  if (face == 5) return fabsf(fraction(u / 3.0f) - 0.5f) < 0.3f && fabsf(fraction(v / 3.0f) - 0.5f) < 0.3f;
  uint32_t s = room.seed + face;
  float every = 1.2f + 3.5f * unit(s), half = every * (0.25f + 0.2f * unit(s + 9));
  float sill = unit(s + 4) < 0.3f ? 0.0f : 0.5f + 0.6f * unit(s + 5), top = fminf(high * 0.93f, sill + 1.0f + 2.2f * unit(s + 6));
  float x = (fraction(u / every) - 0.5f) * every;
  bool arched = unit(s + 12) < 0.2f;
  if (fabsf(x) > half || v < sill || v > top) return false;
  if (arched && v > top - half && squared(x) + squared(v - top + half) > half * half) return false;
  int bars = (room.seed >> (face * 2)) & 3;
  if (bars && fabsf(x) < 0.03f) return false;
  return !(bars == 2 && fabsf(fraction((v - sill) / 0.6f) - 0.5f) > 0.47f);
}
