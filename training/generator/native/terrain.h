// Land and water as one height field, and where a ray meets it.
#pragma once
#include "shapes.h"

// Height of the land at (x, y).
DEVICE float land_height(const Scene& s, float x, float y, int octaves) {
  const Ground& g = s.ground;
  float h = g.level, far = smooth(g.hills_from * g.hills_from, g.hills_to * g.hills_to, x * x + y * y);
  if (g.bumps > 0) h += g.bumps * (fbm2(x / g.bump_size, y / g.bump_size, s.seed + 5, octaves < 4 ? octaves : 4, 0.5f) - 0.5f);
  if (g.hills > 0 && far > 0)
    h += g.hills * far * (g.ridged ? ridged2(x / g.hill_size, y / g.hill_size, s.seed + 11, octaves) : fbm2(x / g.hill_size, y / g.hill_size, s.seed + 11, octaves, 0.5f) * 1.3f - 0.35f);
  float along = x * g.along_x + y * g.along_y, across = -x * g.along_y + y * g.along_x;
  if (g.valley_wall != 0) {
    float q = fabsf(across + 0.4f * g.valley_wide * sinf(along / (g.valley_wide * 3.0f)));
    h += g.valley_wall * smooth(g.valley_wide * 0.7f, g.valley_wide * 2.0f, q) * (0.6f + 0.4f * fbm2(x / g.valley_wide, y / g.valley_wide, s.seed + 3, 3, 0.5f));
  }
  if (g.drop > 0) {
    float q = along + g.drop_wide * 1.5f * (fbm2(x / (g.drop_wide * 3 + 4), y / (g.drop_wide * 3 + 4), s.seed + 17, 3, 0.5f) - 0.5f);
    h -= g.drop * smooth(g.shore, g.shore + g.drop_wide, q);
  }
  return h + g.raise;
}
DEVICE float water_height(const Scene& s, float x, float y, int octaves) {
  const Water& w = s.water;
  if (w.wave < 0.03f) return w.level;
  float turned = x * 0.9f + y * 0.45f, crossed = (y * 0.9f - x * 0.45f) * 0.6f;
  return w.level + w.wave * (ridged2(turned / w.wave_size, crossed / w.wave_size, s.seed + 23, octaves) - 0.45f);
}
DEVICE float surface_height(const Scene& s, float x, float y, int octaves, bool* wet) {
  float land = s.ground.shown ? land_height(s, x, y, octaves) : -1e9f;
  float water = s.water.shown ? water_height(s, x, y, octaves < 3 ? octaves : 3) : -1e9f;
  *wet = water > land;
  return fmaxf(land, water);
}

DEVICE void take_ground(const Scene& s, float t, Vec p, Vec n, bool wet, Hit* h) {
  h->t = t;
  h->normal = n;
  h->local = p;
  h->u = p.x;
  h->v = p.y;
  h->label = wet ? WATER : GROUND;
  h->part = wet ? PART_WATER : PART_LAND;
  h->material = s.ground.material;
  h->seed = 0;
  h->shade = 0;
  h->velocity = wet ? s.water.flow : vec(0, 0, 0);
}

// Marches over the height field with steps that grow with the height above it and with distance, then bisects.
DEVICE_CALL void hit_ground(const Scene& s, Vec o, Vec d, float nearest, Purpose why, Hit* h) {
  if (s.ground.flat) {
    float z = s.water.shown ? s.water.level : s.ground.level;
    if (d.z >= -1e-5f || o.z < z) return;
    float t = (z - o.z) / d.z;
    if (t < nearest || t > h->t) return;
    take_ground(s, t, o + d * t, vec(0, 0, 1), s.water.shown, h);
    return;
  }
  int steps = why == SEE ? 160 : why == SHADOW ? 26 : 60, octaves = why == SEE ? 6 : 3;
  float t = fmaxf(nearest, 0.08f), last = fminf(h->t, 4500.0f), before = t;
  bool met = false, wet;
  for (int i = 0; i < steps && !met; i++) {
    Vec p = o + d * t;
    if (p.z > s.top && d.z >= 0) return;
    float above = p.z - surface_height(s, p.x, p.y, octaves, &wet);
    if (above < 0) {
      met = true;
      break;
    }
    before = t;
    t += fmaxf(0.45f * above, (why == SEE ? 0.035f : 0.06f) * t + 0.02f);
    if (t > last) break;
  }
  if (!met) return;
  for (int i = 0; i < 9; i++) {
    float middle = 0.5f * (t + before);
    Vec p = o + d * middle;
    if (p.z < surface_height(s, p.x, p.y, octaves, &wet))
      t = middle;
    else
      before = middle;
  }
  if (t > h->t || t < nearest) return;
  Vec p = o + d * t;
  surface_height(s, p.x, p.y, octaves, &wet);
  bool ignored;
  float e = fmaxf(0.04f, t * 0.004f);
  float a = surface_height(s, p.x + e, p.y, octaves, &ignored), b = surface_height(s, p.x - e, p.y, octaves, &ignored);
  float c = surface_height(s, p.x, p.y + e, octaves, &ignored), f = surface_height(s, p.x, p.y - e, octaves, &ignored);
  take_ground(s, t, p, normalized(vec(b - a, f - c, 2 * e)), wet, h);
}

// The first thing a ray meets before `farthest`.
DEVICE bool trace(const Scene& s, Vec o, Vec d, float nearest, float farthest, Purpose why, Hit* h) {
  h->t = farthest;
  h->part = SURFACE;
  for (int i = 0; i < s.shapes; i++) hit_shape(s, s.shape[i], o, d, nearest, why, h);
  if (s.ground.shown || s.water.shown) hit_ground(s, o, d, nearest, why, h);
  return h->t < farthest;
}
// How much light comes through from `o` along `d`: 0 blocked, 1 free.
DEVICE float clear(const Scene& s, Vec o, Vec d, float farthest, bool land) {
  Hit h;
  h.t = farthest;
  for (int i = 0; i < s.shapes; i++) {
    const Shape& p = s.shape[i];
    if (p.label == FIRE || (p.type == CARD && (p.kind == JET || p.kind == SMOKE))) continue;
    hit_shape(s, p, o, d, 0.02f, SHADOW, &h);
    if (h.t < farthest) return p.type == FOLIAGE ? 0.12f : p.type == FENCE && p.kind == CURTAIN ? 0.4f : 0.0f;
  }
  if (land && (s.ground.shown || s.water.shown) && !s.ground.flat) hit_ground(s, o, d, 0.3f, SHADOW, &h);
  return h.t < farthest ? 0.0f : 1.0f;
}
