// Where a ray meets a shape. Rays carry unit directions, so t is the distance along the ray.
#pragma once
#include "cutout.h"

enum Purpose { SEE, SHADOW, MIRROR };  // what the ray is for: the two latter ask for less detail

DEVICE Vec into(const Shape& p, Vec a) { return vec(p.cosine * a.x + p.sine * a.y, -p.sine * a.x + p.cosine * a.y, a.z); }
DEVICE Vec out_of(const Shape& p, Vec a) { return vec(p.cosine * a.x - p.sine * a.y, p.sine * a.x + p.cosine * a.y, a.z); }

DEVICE void take(const Shape& p, float t, Vec local_normal, Vec local, float u, float v, Hit* h) {
  h->t = t;
  h->normal = out_of(p, local_normal);
  h->local = local;
  h->u = u;
  h->v = v;
  h->label = p.label;
  h->material = p.material;
  h->seed = p.seed;
  h->shade = 0;
  h->part = SURFACE;
  h->velocity = p.velocity;
}

DEVICE void hit_box(const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  Vec i = vec(reciprocal(d.x), reciprocal(d.y), reciprocal(d.z));
  float tx = -o.x * i.x - p.hx * fabsf(i.x), ty = -o.y * i.y - p.hy * fabsf(i.y), tz = -o.z * i.z - p.hz * fabsf(i.z);
  float enter = fmaxf(tx, fmaxf(ty, tz));
  float leave = fminf(-o.x * i.x + p.hx * fabsf(i.x), fminf(-o.y * i.y + p.hy * fabsf(i.y), -o.z * i.z + p.hz * fabsf(i.z)));
  if (enter > leave || enter < nearest || enter > h->t) return;
  Vec q = o + d * enter;
  float shift = unit(p.seed) * 7;
  if (enter == tx)
    take(p, enter, vec(d.x > 0 ? -1.0f : 1.0f, 0, 0), q, q.y + shift, q.z + p.hz, h);
  else if (enter == ty)
    take(p, enter, vec(0, d.y > 0 ? -1.0f : 1.0f, 0), q, q.x + shift, q.z + p.hz, h);
  else
    take(p, enter, vec(0, 0, d.z > 0 ? -1.0f : 1.0f), q, q.x + shift, q.y, h);
  if (enter == tz) h->part = PART_TOP;
}

// Signed distance of a box with edges rounded by p.a, and its gradient by differences (Hart 1996, sphere tracing).
DEVICE float round_box(const Shape& p, Vec q) {
  Vec e = vec(fabsf(q.x) - p.hx + p.a, fabsf(q.y) - p.hy + p.a, fabsf(q.z) - p.hz + p.a);
  float outside = length(vec(fmaxf(e.x, 0), fmaxf(e.y, 0), fmaxf(e.z, 0)));
  return outside + fminf(fmaxf(e.x, fmaxf(e.y, e.z)), 0.0f) - p.a;
}
DEVICE_CALL void hit_round_box(const Shape& p, Vec o, Vec d, float nearest, Purpose why, Hit* h) {
  Vec i = vec(reciprocal(d.x), reciprocal(d.y), reciprocal(d.z));
  float enter = fmaxf(-o.x * i.x - p.hx * fabsf(i.x), fmaxf(-o.y * i.y - p.hy * fabsf(i.y), -o.z * i.z - p.hz * fabsf(i.z)));
  float leave = fminf(-o.x * i.x + p.hx * fabsf(i.x), fminf(-o.y * i.y + p.hy * fabsf(i.y), -o.z * i.z + p.hz * fabsf(i.z)));
  if (enter > leave || leave < nearest || enter > h->t) return;
  float t = fmaxf(enter, nearest);
  int steps = why == SEE ? 40 : 14;
  for (int k = 0; k < steps; k++) {
    float s = round_box(p, o + d * t);
    if (s < 1e-3f + 1e-4f * t) {
      if (t < nearest || t > h->t) return;
      Vec q = o + d * t;
      float e = 1e-3f + 1e-4f * t, f = round_box(p, q);
      Vec n = normalized(vec(round_box(p, q + vec(e, 0, 0)) - f, round_box(p, q + vec(0, e, 0)) - f, round_box(p, q + vec(0, 0, e)) - f));
      bool side = fabsf(n.z) < 0.7f;
      take(p, t, n, q, side ? (fabsf(n.x) > fabsf(n.y) ? q.y : q.x) : q.x, side ? q.z : q.y, h);
      return;
    }
    t += s;
    if (t > leave) return;
  }
}

DEVICE float eaten(const Shape& p, Vec q, int octaves) {  // how far out a rock reaches in direction q
  float r = length(q);
  return 1 - p.a * fbm3(q * (1.7f / fmaxf(r, 0.2f)) + vec((float)(p.seed % 61), 0, 0), p.seed, octaves, 0.55f);
}
DEVICE_CALL void hit_rock(const Shape& p, Vec o, Vec d, Vec a, Vec b, float t0, float t1, float nearest, Purpose why, Hit* h) {
  int steps = why == SEE ? 14 : 6;
  float dt = (t1 - t0) / steps, t = t0;
  bool inside = false;
  for (int i = 0; i <= steps && !inside; i++) {
    t = t0 + dt * i;
    Vec q = a + b * t;
    inside = length(q) < (why == SEE ? eaten(p, q, 3) : 1 - 0.5f * p.a);
  }
  if (!inside) return;
  if (why == SEE) {
    float before = t - dt, after = t;
    for (int i = 0; i < 5; i++) {
      float middle = 0.5f * (before + after);
      Vec q = a + b * middle;
      if (length(q) < eaten(p, q, 3))
        after = middle;
      else
        before = middle;
    }
    t = after;
  }
  if (t < nearest || t > h->t) return;
  Vec q = a + b * t, g = normalized(q) * 1.7f + vec((float)(p.seed % 61), 0, 0);
  float e = 0.07f, f = fbm3(g, p.seed, 4, 0.6f);
  Vec relief = vec(fbm3(g + vec(e, 0, 0), p.seed, 4, 0.6f) - f, fbm3(g + vec(0, e, 0), p.seed, 4, 0.6f) - f, fbm3(g + vec(0, 0, e), p.seed, 4, 0.6f) - f);
  Vec n = normalized(normalized(vec(q.x / p.hx, q.y / p.hy, q.z / p.hz)) + relief * (p.a * 1.6f / e));
  Vec local = o + d * t;
  take(p, t, n, local, local.x + local.y * 0.7f, local.z + local.y * 0.4f, h);
}

DEVICE_CALL void hit_foliage(const Scene& s, const Shape& p, Vec o, Vec d, Vec a, Vec b, float t0, float t1, Purpose why, Hit* h) {
  int steps = why == SEE ? 14 : 6;
  float dt = (t1 - t0) / steps, f = fminf(p.b, 0.35f / (fmaxf(t0, 0.5f) * s.pixel));
  for (int i = 0; i < steps; i++) {
    float t = t0 + dt * (i + 0.5f);
    Vec q = a + b * t, w = o + d * t;
    float r = p.kind == 1 ? sqrtf(q.x * q.x + q.y * q.y) / (0.5f * (1.001f - q.z) + 0.03f) : length(q);
    if (r > 1) continue;
    float density = noise3(w * f + vec((float)(p.seed % 53), 0, 0), p.seed) * 0.65f + noise3(w * (f * 0.37f), p.seed + 3) * 0.55f;
    if (density - 0.35f * r * r <= p.a) continue;
    Vec n = p.kind == 1 ? normalized(vec(q.x, q.y, 0.4f)) : normalized(vec(q.x / p.hx, q.y / p.hy, q.z / p.hz));
    Vec turn = vec(noise3(w * f, p.seed + 7) - 0.5f, noise3(w * f, p.seed + 8) - 0.5f, noise3(w * f, p.seed + 9) - 0.5f);
    take(p, t, normalized(n + turn * 1.6f), w, w.x, w.z, h);
    h->shade = 0.6f + 0.4f * r;
    h->part = PART_LEAF;
    h->velocity = p.velocity + s.breeze * saturate((p.at.z + w.z - s.ground.level) * 0.12f);
    return;
  }
}

DEVICE void hit_ellipsoid(const Scene& s, const Shape& p, Vec o, Vec d, float nearest, Purpose why, Hit* h) {
  Vec half = vec(p.hx, p.hy, p.hz), a = o / half, b = d / half;
  float A = dot(b, b), B = dot(a, b), C = dot(a, a) - 1, D = B * B - A * C;
  if (D < 0) return;
  D = sqrtf(D);
  float t0 = (-B - D) / A, t1 = (-B + D) / A;
  if (t1 < nearest || t0 > h->t) return;
  if (p.type == ELLIPSOID) {
    if (t0 < nearest) return;
    Vec q = a + b * t0;
    take(p, t0, normalized(q / half), o + d * t0, atan2f(q.y, q.x) * p.hx, (q.z + 1) * p.hz * 1.3f, h);
    return;
  }
  t0 = fmaxf(t0, nearest);
  t1 = fminf(t1, h->t);
  if (p.type == ROCK)
    hit_rock(p, o, d, a, b, t0, t1, nearest, why, h);
  else
    hit_foliage(s, p, o, d, a, b, t0, t1, why, h);
}

DEVICE void hit_frustum(const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  float k = (p.hy - p.hx) / (2 * p.hz), r = p.hx + k * (o.z + p.hz);
  float A = d.x * d.x + d.y * d.y - k * k * d.z * d.z, B = o.x * d.x + o.y * d.y - k * d.z * r, C = o.x * o.x + o.y * o.y - r * r, D = B * B - A * C;
  if (D > 0 && fabsf(A) > 1e-9f) {
    D = sqrtf(D);
    float t = fminf((-B - D) / A, (-B + D) / A);
    Vec q = o + d * t;
    if (t > nearest && t < h->t && fabsf(q.z) < p.hz && p.hx + k * (q.z + p.hz) >= 0) {
      take(p, t, normalized(vec(q.x, q.y, -k * (p.hx + k * (q.z + p.hz)))), q, atan2f(q.y, q.x) * fmaxf(p.hx, p.hy), q.z + p.hz, h);
      if (p.label == VEGETATION) h->part = PART_TRUNK;
    }
  }
  for (int side = -1; side < 2; side += 2) {
    if (d.z * side >= 0) continue;
    float t = (side * p.hz - o.z) / d.z, radius = side < 0 ? p.hx : p.hy;
    Vec q = o + d * t;
    if (t < nearest || t > h->t || q.x * q.x + q.y * q.y > radius * radius) continue;
    take(p, t, vec(0, 0, (float)side), q, q.x, q.y, h);
    h->part = PART_TOP;
  }
}

// A bar: the infinite cylinder cut at its two ends.
DEVICE void hit_bar(const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  Vec axis = vec(p.hx, p.hy, p.hz);
  float half = length(axis);
  axis = axis * (1 / half);
  Vec side = d - axis * dot(d, axis), from = o - axis * dot(o, axis);
  float A = dot(side, side), B = dot(side, from), C = dot(from, from) - p.a * p.a, D = B * B - A * C;
  if (D <= 0 || A < 1e-12f) return;
  float t = (-B - sqrtf(D)) / A;
  if (t < nearest || t > h->t) return;
  Vec q = o + d * t;
  float along = dot(q, axis);
  if (fabsf(along) > half) return;
  take(p, t, normalized(q - axis * along), q, along, 0, h);
}

// o: the ray's start relative to the card's middle, in world axes.
DEVICE void hit_card(const Scene& s, const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  float flat = sqrtf(p.at.x * p.at.x + p.at.y * p.at.y) + 1e-6f;
  Vec n = vec(-p.at.x / flat, -p.at.y / flat, 0), right = vec(p.at.y / flat, -p.at.x / flat, 0);
  float slope = dot(d, n);
  if (fabsf(slope) < 1e-5f) return;
  float t = -dot(o, n) / slope;
  if (t < nearest || t > h->t) return;
  Vec q = o + d * t;
  float a = dot(q, right) / p.hx, b = q.z / p.hz;
  int part;
  if (fabsf(a) > 1 || fabsf(b) > 1 || !card(p.kind, a, b, p.seed, fmaxf(t * s.pixel / p.hz, 0.01f), &part)) return;
  take(p, t, vec(0, 0, 1), q, a * p.hx, b * p.hz, h);
  h->normal = normalized(n * sqrtf(fmaxf(0.05f, 1 - a * a)) + right * a);
  h->shade = 1;
  h->part = part;
  if (p.kind == CARD_BUSH || p.kind == CARD_TREE) {
    Vec turn = vec(noise2(a * 9, b * 9, p.seed) - 0.5f, noise2(a * 9, b * 9, p.seed + 1) - 0.5f, noise2(a * 9, b * 9, p.seed + 2) - 0.3f);
    h->normal = normalized(h->normal + turn * 1.5f);
    if (part != PART_TRUNK) h->velocity = s.breeze * 0.5f;
  }
  // Water of a jet rises in its core and falls at its sides.
  if (p.kind == JET) h->velocity = vec(0, 0, (1 - 1.6f * a * a - 0.8f * saturate(b)) * 2.0f * sqrtf(p.hz));
}

DEVICE void hit_fence(const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  if (fabsf(d.y) < 1e-6f) return;
  float t = -o.y / d.y;
  if (t < nearest || t > h->t) return;
  Vec q = o + d * t;
  if (p.kind == CURTAIN) {  // the folds bulge: move the hit by their depth, then ask again
    float fold = 0.06f * sinf(q.x * 2 * PI / p.a);
    t = (fold - o.y) / d.y;
    if (t < nearest || t > h->t) return;
    q = o + d * t;
  }
  if (fabsf(q.x) > p.hx || fabsf(q.z) > p.hz || !fence(p, q.x, q.z + p.hz, 2 * p.hz)) return;
  float tilt = p.kind == CURTAIN ? -0.06f * 2 * PI / p.a * cosf(q.x * 2 * PI / p.a) : 0.0f, side = d.y > 0 ? -1.0f : 1.0f;
  take(p, t, normalized(vec(tilt, 1, 0)) * side, q, q.x, q.z + p.hz, h);
  if (p.kind == CURTAIN) h->part = PART_CURTAIN;
  if (p.kind == FALL) h->part = PART_FALL;
}

DEVICE void hit_room(const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  if (fabsf(o.x) > p.hx || fabsf(o.y) > p.hy || fabsf(o.z) > p.hz) return;
  float tx = ((d.x > 0 ? p.hx : -p.hx) - o.x) * reciprocal(d.x), ty = ((d.y > 0 ? p.hy : -p.hy) - o.y) * reciprocal(d.y);
  float tz = ((d.z > 0 ? p.hz : -p.hz) - o.z) * reciprocal(d.z), t = fminf(tx, fminf(ty, tz));
  if (t > h->t || t < nearest) return;
  Vec q = o + d * t;
  int face = t == tx ? (d.x > 0 ? 0 : 1) : t == ty ? (d.y > 0 ? 2 : 3) : (d.z > 0 ? 5 : 4);
  float u = face < 2 ? q.y : q.x, v = face < 4 ? q.z + p.hz : q.y;
  if (opening(p, face, u, v, 2 * p.hz)) return;
  Vec n = face < 2 ? vec(d.x > 0 ? -1.0f : 1.0f, 0, 0) : face < 4 ? vec(0, d.y > 0 ? -1.0f : 1.0f, 0) : vec(0, 0, d.z > 0 ? -1.0f : 1.0f);
  take(p, t, n, q, u, v, h);
  h->seed = 0;
  if (face == 4) {
    h->label = GROUND;
    h->material = p.material + 1;
  } else if (face == 5) {
    h->material = p.material + 2;
  }
}

DEVICE void hit_vault(const Shape& p, Vec o, Vec d, float nearest, Hit* h) {
  float ix = 1 / (p.hx * p.hx), iz = 1 / (p.hz * p.hz);
  float A = d.x * d.x * ix + d.z * d.z * iz, B = o.x * d.x * ix + o.z * d.z * iz, C = o.x * o.x * ix + o.z * o.z * iz - 1;
  if (C > 0 || fabsf(o.y) > p.hy) return;
  float t = (-B + sqrtf(fmaxf(B * B - A * C, 0.0f))) / fmaxf(A, 1e-12f), end = ((d.y > 0 ? p.hy : -p.hy) - o.y) * reciprocal(d.y);
  bool cap = end < t;
  if (cap) t = end;
  if (t < nearest || t > h->t || (cap && p.kind == 1)) return;
  Vec q = o + d * t;
  Vec n = cap ? vec(0, d.y > 0 ? -1.0f : 1.0f, 0) : normalized(vec(-q.x * ix, 0, -q.z * iz));
  take(p, t, n, q, cap ? q.x : q.y, cap ? q.z : atan2f(q.x, q.z) * p.hx, h);
  h->seed = 0;
}

DEVICE_CALL void hit_dome(const Shape& p, Vec o, Vec d, float nearest, Purpose why, Hit* h) {
  Vec half = vec(p.hx, p.hy, p.hz), a = o / half, b = d / half;
  float A = dot(b, b), B = dot(a, b), C = dot(a, a) - 1;
  if (C > 0) return;
  float t = (-B + sqrtf(fmaxf(B * B - A * C, 0.0f))) / A;
  if (t < nearest || t > h->t) return;
  if (p.a > 0 && why == SEE) {  // stone that bulges inwards: march, then bisect
    float before = t * 0.4f, after = t;
    for (int i = 1; i <= 14; i++) {
      float at = t * (0.4f + 0.6f * i / 14);
      Vec w = a + b * at;
      if (length(w) > 1 - p.a * fbm3(w * 3.0f + vec(9, 3, 1), p.seed, 4, 0.55f)) {
        after = at;
        break;
      }
      before = at;
    }
    for (int i = 0; i < 5; i++) {
      float middle = 0.5f * (before + after);
      Vec w = a + b * middle;
      if (length(w) > 1 - p.a * fbm3(w * 3.0f + vec(9, 3, 1), p.seed, 4, 0.55f))
        after = middle;
      else
        before = middle;
    }
    t = after;
    if (t < nearest) return;
  }
  Vec q = o + d * t, n = normalized(q / (half * half)) * -1.0f;
  if (p.a > 0) {
    Vec w = q * (3.0f / p.hx);
    float e = 0.1f, f = fbm3(w, p.seed, 4, 0.6f);
    n = normalized(n + vec(fbm3(w + vec(e, 0, 0), p.seed, 4, 0.6f) - f, fbm3(w + vec(0, e, 0), p.seed, 4, 0.6f) - f, fbm3(w + vec(0, 0, e), p.seed, 4, 0.6f) - f) * (3 * p.a / e));
  }
  take(p, t, n, q, atan2f(q.x, q.y) * p.hx, asinf(clampf(q.z / p.hz, -1, 1)) * p.hz, h);
  h->seed = 0;
}

// Updates `h` if the shape is met between `nearest` and h->t.
DEVICE_CALL void hit_shape(const Scene& s, const Shape& p, Vec o, Vec d, float nearest, Purpose why, Hit* h) {
  Vec from = o - p.at;
  if (p.type < ROOM) {
    float b = -dot(from, d), c = dot(from, from) - p.radius * p.radius;
    if ((c > 0 && (b < 0 || b * b < c)) || b - p.radius > h->t) return;
  }
  if (p.type == CARD) return hit_card(s, p, from, d, nearest, h);
  Vec lo = into(p, from), ld = into(p, d);
  switch (p.type) {
    case BOX: return hit_box(p, lo, ld, nearest, h);
    case ROUND_BOX: return hit_round_box(p, lo, ld, nearest, why, h);
    case ELLIPSOID: case ROCK: case FOLIAGE: return hit_ellipsoid(s, p, lo, ld, nearest, why, h);
    case FRUSTUM: return hit_frustum(p, lo, ld, nearest, h);
    case BAR: return hit_bar(p, lo, ld, nearest, h);
    case FENCE: return hit_fence(p, lo, ld, nearest, h);
    case ROOM: return hit_room(p, lo, ld, nearest, h);
    case VAULT: return hit_vault(p, lo, ld, nearest, h);
    case DOME: return hit_dome(p, lo, ld, nearest, why, h);
  }
}
