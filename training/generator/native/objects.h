// Things that stand in many kinds of scene.
#pragma once
#include "setting.h"

static void person(Builder& b, Vec foot) {
  float half = b.r.range(0.75f, 0.95f), heading = b.r.angle(), pace = b.r.chance(0.6f) ? b.r.range(0.4f, 1.6f) : 0;
  Shape& p = b.add(CARD, MOVER, b.dark, foot + vec(0, 0, half), 0.4f, 0.1f, half, 0, b.r.next());
  p.kind = PERSON;
  p.velocity = vec(sinf(heading), cosf(heading), 0) * pace;
}
static void crowd(Builder& b, int n, float nearest, float farthest) {
  for (int i = 0; i < n; i++) person(b, b.on_land(b.around(nearest, farthest)));
}

// A solid figure, for people who are near: legs, body, arms, head.
static void figure(Builder& b, Vec foot) {
  Random& r = b.r;
  float h = r.range(1.5f, 1.9f), yaw = r.angle(), c = cosf(yaw), s = sinf(yaw), pace = r.chance(0.5f) ? r.range(0.4f, 1.4f) : 0;
  Vec v = vec(-s, c, 0) * pace;
  int top = b.material(r.chance(0.7f) ? PLAIN : STRIPES, r.chance(0.5f) ? VIVID : (int)ANY), legs = b.material(PLAIN, DARK);
  int skin = b.plain(vec(0.45f, 0.3f, 0.2f) * r.range(0.3f, 1.3f));
  auto at = [&](float x, float y, float z) { return foot + vec(c * x - s * y, s * x + c * y, z); };
  int first = b.s.shapes;
  float stride = pace > 0 ? r.range(0.1f, 0.25f) : 0.02f;
  for (int k = -1; k < 2; k += 2) b.bar(at(0.1f * k, 0, 0.48f * h), at(0.1f * k, stride * k, 0), 0.075f, legs, MOVER);
  b.add(ROUND_BOX, MOVER, top, at(0, 0, 0.66f * h), 0.21f, 0.13f, 0.18f * h, yaw).a = 0.1f;
  for (int k = -1; k < 2; k += 2) b.bar(at(0.26f * k, 0, 0.8f * h), at(0.3f * k, r.range(-0.1f, 0.3f), r.range(0.42f, 0.6f) * h), 0.05f, top, MOVER);
  b.add(ELLIPSOID, MOVER, skin, at(0, 0, 0.93f * h), 0.1f, 0.11f, 0.13f, yaw);
  b.add(ELLIPSOID, MOVER, b.dark, at(0, -0.02f, 0.955f * h), 0.11f, 0.115f, 0.115f, yaw);
  for (int i = first; i < b.s.shapes; i++) b.s.shape[i].velocity = v;
}

// A tree of any size: flat cards far away, trunk and clouds of leaves near by. big: about metres / 6.
static void tree(Builder& b, float x, float y, float big, bool bare = false) {
  Random& r = b.r;
  float z = b.land(x, y), d = sqrtf(x * x + y * y), h = r.range(3, 9) * big;
  int leaf = r.chance(0.7f) ? b.leaf : b.leaf2;
  uint32_t seed = r.next();
  if (d > 28 + 2 * h && !bare) {
    b.add(CARD, VEGETATION, leaf, vec(x, y, z + h * 0.5f), h * r.range(0.25f, 0.45f), 0.1f, h * 0.5f, 0, seed).kind = CARD_TREE;
    return;
  }
  float thick = r.range(0.012f, 0.035f) * h;
  if (bare) {  // a trunk that forks
    Vec at = vec(x, y, z - 0.1f), crown = vec(x, y, z + h * r.range(0.3f, 0.5f));
    b.bar(at, crown, thick, b.bark, VEGETATION);
    for (int i = 0, n = 3 + r.pick(5); i < n; i++) {
      float a = r.angle();
      Vec tip = crown + vec(cosf(a) * r.range(0.1f, 0.35f), sinf(a) * r.range(0.1f, 0.35f), r.range(0.15f, 0.5f)) * h;
      b.bar(crown - vec(0, 0, r.range(0, 0.1f) * h), tip, thick * 0.45f, b.bark, VEGETATION);
      if (d < 15) b.bar(mix(crown, tip, 0.5f), tip + vec(r.range(-0.1f, 0.1f), r.range(-0.1f, 0.1f), 0.08f) * h, thick * 0.2f, b.bark, VEGETATION);
    }
    return;
  }
  bool conifer = r.chance(0.3f);
  float trunk = h * (conifer ? 0.9f : r.range(0.3f, 0.6f));
  b.add(FRUSTUM, VEGETATION, b.bark, vec(x, y, z + trunk * 0.5f - 0.1f), thick * 1.3f, thick * 0.8f, trunk * 0.5f + 0.1f);
  if (conifer) {
    float wide = h * r.range(0.15f, 0.3f);
    for (int i = 0, n = 1 + r.pick(3); i < n; i++) {
      float f = (float)i / n, half = h * (0.85f / n) * 0.75f;
      Shape& p = b.add(FOLIAGE, VEGETATION, leaf, vec(x, y, z + h * (0.2f + 0.8f * f) + half * 0.6f), wide * (1 - 0.6f * f), wide * (1 - 0.6f * f), half, 0, seed + i);
      p.kind = 1;
      p.a = r.range(0.2f, 0.4f);
      p.b = r.scale(3, 12);
    }
    return;
  }
  for (int i = 0, n = 2 + r.pick(3); i < n; i++) {
    float wide = h * r.range(0.14f, 0.3f), ox = i ? r.range(-0.2f, 0.2f) * h : 0, oy = i ? r.range(-0.2f, 0.2f) * h : 0;
    Shape& p = b.add(FOLIAGE, VEGETATION, leaf, vec(x + ox, y + oy, z + trunk + wide * r.range(0.1f, 0.8f)), wide * r.range(0.8f, 1.2f), wide * r.range(0.8f, 1.2f), wide * r.range(0.6f, 1), 0, seed + i);
    p.a = r.range(0.3f, 0.5f);
    p.b = r.scale(2.5f, 11);
  }
}
static void palm(Builder& b, float x, float y, float h) {
  Random& r = b.r;
  Vec foot = vec(x, y, b.land(x, y) - 0.1f), head = foot + vec(r.range(-0.25f, 0.25f) * h, r.range(-0.25f, 0.25f) * h, h);
  b.bar(foot, head, 0.03f * h, b.bark, VEGETATION);
  for (int i = 0, n = 7 + r.pick(5); i < n; i++) {
    float a = r.angle(), out = h * r.range(0.25f, 0.4f), rise = r.range(-0.15f, 0.2f) * h;
    Vec tip = head + vec(cosf(a) * out, sinf(a) * out, rise);
    Shape& p = b.add(FOLIAGE, VEGETATION, b.leaf, mix(head, tip, 0.5f), out * 0.55f, out * 0.14f, out * 0.1f + fabsf(rise) * 0.3f, a, r.next());
    p.a = 0.22f;
    p.b = 9;
  }
}
static void bush(Builder& b, float x, float y, int leaf, float size) {
  Random& r = b.r;
  Shape& p = b.add(FOLIAGE, VEGETATION, leaf, vec(x, y, b.land(x, y) + size * 0.4f), size * r.range(0.7f, 1.5f), size * r.range(0.7f, 1.5f), size * r.range(0.5f, 1), 0, r.next());
  p.a = r.range(0.25f, 0.45f);
  p.b = r.scale(4, 18);
}
static void rock(Builder& b, Vec at, int of, float size, int label) {
  Random& r = b.r;
  b.add(ROCK, label, of, at, size * r.range(0.6f, 1.5f), size * r.range(0.6f, 1.5f), size * r.range(0.4f, 1.3f), r.angle(), r.next()).a = r.range(0.3f, 0.8f);
}

static void street_lamp(Builder& b, float x, float y, float h) {
  Random& r = b.r;
  float z = b.land(x, y), size = r.range(0.12f, 0.28f);
  bool lit = b.s.night || r.chance(0.2f);
  b.bar(vec(x, y, z), vec(x, y, z + h), r.range(0.03f, 0.07f), b.metal);
  b.add(ELLIPSOID, lit ? FIRE : SOLID, lit ? b.lamp : b.metal, vec(x, y, z + h + size * 0.6f), size, size, size);
  if (b.s.night && lit) b.light(vec(x, y, z + h), b.s.material[b.lamp].a * r.range(1.5f, 9));
}
static void sign(Builder& b, Vec at, float yaw) {
  Random& r = b.r;
  bool upright = r.chance(0.5f);
  float hx = upright ? r.range(0.25f, 0.6f) : r.range(0.6f, 2.2f), hz = upright ? r.range(0.7f, 2.5f) : r.range(0.2f, 0.7f);
  b.add(BOX, FIRE, r.chance(0.5f) ? b.sign : b.sign2, at, hx, 0.08f, hz, yaw, r.next());
}
static void building(Builder& b, float x, float y, float hx, float hy, float h, float yaw, int of, float z) {
  Random& r = b.r;
  uint32_t seed = r.next();
  b.add(BOX, SOLID, of, vec(x, y, z + h * 0.5f - 0.5f), hx, hy, h * 0.5f + 0.5f, yaw, seed);
  float q = r.unit();
  if (q < 0.2f)
    b.add(BOX, SOLID, of, vec(x, y, z + h + 0.2f), hx * 1.06f, hy * 1.06f, 0.25f, yaw, seed + 1);
  else if (q < 0.35f)
    b.add(BOX, SOLID, of, vec(x, y, z + h * 1.2f), hx * 0.6f, hy * 0.6f, h * 0.25f, yaw, seed);
  else if (q < 0.42f)
    b.add(FRUSTUM, SOLID, of, vec(x, y, z + h + hx * 0.7f), hx * 1.2f, 0, hx * 0.7f, yaw, seed);
  else if (q < 0.47f)
    b.add(ELLIPSOID, SOLID, of, vec(x, y, z + h), hx * 0.8f, hx * 0.8f, hx * 0.8f, 0, seed);
  else if (q < 0.6f)
    b.bar(vec(x, y, z + h), vec(x, y, z + h * 1.3f), 0.08f, b.metal);
}

// A car, van or bus; yaw 0 points along +Y.
static void car(Builder& b, float x, float y, float yaw, int paint, float speed = 0) {
  Random& r = b.r;
  float z = b.land(x, y), c = cosf(yaw), s = sinf(yaw), kind = r.unit();
  int first = b.s.shapes;
  float half = kind < 0.7f ? r.range(1.9f, 2.4f) : r.range(2.4f, 5.5f), wide = kind < 0.7f ? 0.88f : 1.1f;
  if (kind < 0.7f) {
    b.add(ROUND_BOX, MOVER, paint, vec(x, y, z + 0.62f), wide, half, 0.36f, yaw).a = 0.2f;
    float back = r.range(-0.4f, 0.1f);
    b.add(ROUND_BOX, MOVER, b.glass, vec(x - s * back, y + c * back, z + 1.1f), 0.76f, half * 0.55f, 0.34f, yaw).a = 0.25f;
    b.add(ROUND_BOX, MOVER, paint, vec(x - s * back, y + c * back, z + 1.43f), 0.7f, half * 0.48f, 0.05f, yaw).a = 0.04f;
  } else {
    float h = r.range(1.9f, 3.1f);
    b.add(ROUND_BOX, MOVER, paint, vec(x, y, z + 0.3f + h * 0.5f), wide, half, h * 0.5f, yaw).a = 0.15f;
    b.add(BOX, MOVER, b.glass, vec(x, y, z + 0.3f + h * 0.72f), wide + 0.01f, half * 0.93f, h * 0.13f, yaw);
    b.add(BOX, MOVER, b.glass, vec(x - s * half, y + c * half, z + 0.3f + h * 0.65f), wide * 0.85f, 0.02f, h * 0.2f, yaw);
  }
  for (int i = 0; i < 4; i++) {
    float ox = (i & 1) ? wide - 0.1f : 0.1f - wide, oy = ((i & 2) ? 0.62f : -0.62f) * half;
    b.add(ELLIPSOID, MOVER, b.dark, vec(x + c * ox - s * oy, y + s * ox + c * oy, z + 0.33f), 0.14f, 0.33f, 0.33f, yaw);
  }
  if (b.s.night || r.chance(0.3f))
    for (int i = 0; i < 4; i++) {
      float ox = ((i & 1) ? 0.7f : -0.7f) * wide, oy = ((i & 2) ? 0.98f : -0.98f) * half;
      b.add(ELLIPSOID, FIRE, b.lamp, vec(x + c * ox - s * oy, y + s * ox + c * oy, z + 0.68f), 0.16f, 0.1f, 0.1f, yaw);
    }
  for (int i = first; i < b.s.shapes; i++) b.s.shape[i].velocity = vec(-s, c, 0) * speed;
}

// A boat on the water: hull, perhaps a cabin, a mast and a sail.
static void boat(Builder& b, float x, float y, float half, float yaw, float speed) {
  Random& r = b.r;
  float z = b.s.water.level, c = cosf(yaw), s = sinf(yaw), wide = half * r.range(0.22f, 0.36f);
  int first = b.s.shapes, hull = b.material(r.chance(0.5f) ? PLAIN : PLANKS, r.chance(0.5f) ? CREAM : r.chance(0.5f) ? VIVID : WOOD);
  b.add(ELLIPSOID, MOVER, hull, vec(x, y, z + 0.06f * half), wide, half, 0.16f * half + 0.15f, yaw);
  b.add(ROUND_BOX, MOVER, hull, vec(x, y, z + 0.16f * half), wide * 0.75f, half * 0.72f, 0.12f * half, yaw).a = 0.05f * half;
  float q = r.unit();
  if (q < 0.6f) b.add(ROUND_BOX, MOVER, b.material(PLAIN, CREAM), vec(x + s * 0.2f * half, y - c * 0.2f * half, z + 0.42f * half), wide * 0.6f, half * 0.3f, 0.2f * half, yaw).a = 0.04f * half;
  if (q > 0.3f) {
    float h = half * r.range(1.5f, 2.8f);
    b.bar(vec(x, y, z), vec(x, y, z + h), 0.012f * half + 0.02f, b.metal, MOVER);
    if (q > 0.65f) {
      Shape& sail = b.add(FENCE, MOVER, b.material(PLAIN, r.chance(0.8f) ? CREAM : VIVID), vec(x + s * half * 0.4f, y - c * half * 0.4f, z + h * 0.52f), half * 0.38f, 0.08f, h * 0.42f, yaw + PI / 2, r.next());
      sail.kind = SAIL;
    } else {
      b.bar(vec(x, y, z + h * 0.9f), vec(x - s * half, y + c * half, z + 0.2f * half), 0.015f, b.dark, MOVER);
      b.bar(vec(x, y, z + h * 0.9f), vec(x + s * half, y - c * half, z + 0.2f * half), 0.015f, b.dark, MOVER);
    }
  }
  for (int i = first; i < b.s.shapes; i++) b.s.shape[i].velocity = vec(-s, c, 0) * speed;
}

// A basin with jets.
static void fountain(Builder& b, float x, float y, float radius) {
  Random& r = b.r;
  float z = b.land(x, y), high = r.range(0.3f, 0.7f);
  int stone = b.material(r.chance(0.5f) ? TILES : MOTTLED, r.chance(0.5f) ? SAND : GREYS);
  for (int i = 0; i < 2; i++) b.add(FRUSTUM, SOLID, stone, vec(x, y, z + (high - 0.06f) * 0.5f), radius, radius, (high - 0.06f) * 0.5f, 0, 7);
  int pool = b.plain(b.s.water.colour, 0.7f);
  Shape& water = b.add(FRUSTUM, WATER, pool, vec(x, y, z + high * 0.5f), radius * 0.93f, radius * 0.93f, high * 0.5f + 0.02f);
  water.velocity = vec(0.05f, 0.02f, 0);
  int spray = b.plain(b.s.night ? b.colour(VIVID) : grey(0.8f), 0, b.s.night ? r.range(0.2f, 2.0f) : 0.0f);
  for (int i = 0, n = 1 + r.pick(9); i < n; i++) {
    float a = r.angle(), out = i ? radius * r.range(0.2f, 0.8f) : 0, tall = r.range(0.4f, 1.6f) * radius * (i ? 0.6f : 1.0f);
    b.add(CARD, WATER, spray, vec(x + out * cosf(a), y + out * sinf(a), z + high + tall * 0.5f), tall * r.range(0.12f, 0.4f), 0.1f, tall * 0.5f, 0, r.next()).kind = JET;
  }
  if (r.chance(0.4f)) {
    b.add(FRUSTUM, SOLID, stone, vec(x, y, z + high + radius * 0.25f), radius * 0.12f, radius * 0.08f, radius * 0.25f, 0, 7);
    b.add(ELLIPSOID, SOLID, stone, vec(x, y, z + high + radius * 0.5f), radius * 0.35f, radius * 0.35f, radius * 0.08f, 0, 7);
  }
}
static void fire(Builder& b, Vec foot, float h) {
  int flame = b.plain(vec(1, 0.75f, 0.3f), 0, b.r.range(1.5f, 4));
  b.s.material[flame].b = vec(1, 0.3f, 0.05f);
  Shape& p = b.add(CARD, FIRE, flame, foot + vec(0, 0, h * 0.5f), h * 0.35f, 0.1f, h * 0.5f, 0, b.r.next());
  p.kind = FLAME;
  p.velocity = vec(0, 0, 1.2f * sqrtf(h));
  b.light(foot + vec(0, 0, h * 0.6f), vec(1, 0.5f, 0.2f) * b.r.range(1, 4));
}

// Rounded furniture.
static void sofa(Builder& b, float x, float y, float yaw, int of, float half) {
  float z = b.s.ground.level, c = cosf(yaw), s = sinf(yaw);
  b.add(ROUND_BOX, SOLID, of, vec(x, y, z + 0.24f), half, 0.45f, 0.22f, yaw).a = 0.1f;
  b.add(ROUND_BOX, SOLID, of, vec(x - s * 0.38f, y + c * 0.38f, z + 0.5f), half, 0.13f, 0.4f, yaw).a = 0.12f;
  for (int k = -1; k < 2; k += 2) b.add(ROUND_BOX, SOLID, of, vec(x + c * half * k, y + s * half * k, z + 0.36f), 0.12f, 0.45f, 0.3f, yaw).a = 0.11f;
  for (int i = 0, n = b.r.pick(4); i < n; i++) {
    float o = b.r.range(-0.8f, 0.8f) * half;
    b.add(ROUND_BOX, SOLID, b.material(b.r.chance(0.5f) ? PLAIN : STRIPES, ANY), vec(x + c * o - s * 0.15f, y + s * o + c * 0.15f, z + 0.6f), 0.22f, 0.1f, 0.2f, yaw + b.r.range(-0.4f, 0.4f)).a = 0.09f;
  }
}
static void table(Builder& b, float x, float y, float yaw, int of, float hx, float hy, float h) {
  float z = b.s.ground.level, c = cosf(yaw), s = sinf(yaw);
  if (b.r.chance(0.4f)) {  // round, on one leg
    b.add(FRUSTUM, SOLID, of, vec(x, y, z + h), hx, hx, 0.02f);
    b.add(FRUSTUM, SOLID, of, vec(x, y, z + h * 0.5f), hx * 0.35f, 0.05f, h * 0.5f);
    return;
  }
  b.add(ROUND_BOX, SOLID, of, vec(x, y, z + h), hx, hy, 0.03f, yaw).a = 0.02f;
  for (int i = 0; i < 4; i++) {
    float ox = ((i & 1) ? 0.9f : -0.9f) * hx, oy = ((i & 2) ? 0.85f : -0.85f) * hy;
    Vec foot = vec(x + c * ox - s * oy, y + s * ox + c * oy, z);
    b.bar(foot, foot + vec(0, 0, h), 0.03f, of);
  }
}
static void chair(Builder& b, float x, float y, float yaw, int of) {
  float z = b.s.ground.level, c = cosf(yaw), s = sinf(yaw);
  b.add(ROUND_BOX, SOLID, of, vec(x, y, z + 0.46f), 0.22f, 0.22f, 0.04f, yaw).a = 0.03f;
  b.add(ROUND_BOX, SOLID, of, vec(x - s * 0.21f, y + c * 0.21f, z + 0.75f), 0.21f, 0.03f, 0.22f, yaw).a = 0.025f;
  for (int i = 0; i < 4; i++) {
    float ox = (i & 1) ? 0.19f : -0.19f, oy = (i & 2) ? 0.19f : -0.19f;
    Vec foot = vec(x + c * ox - s * oy, y + s * ox + c * oy, z);
    b.bar(foot, foot + vec(0, 0, 0.45f), 0.018f, of);
  }
}
static void bed(Builder& b, float x, float y, float yaw, int of) {
  float z = b.s.ground.level, c = cosf(yaw), s = sinf(yaw), half = b.r.range(0.5f, 1.0f);
  int sheet = b.material(PLAIN, CREAM);
  b.add(ROUND_BOX, SOLID, of, vec(x, y, z + 0.2f), half, 1.05f, 0.2f, yaw).a = 0.05f;
  b.add(ROUND_BOX, SOLID, sheet, vec(x, y, z + 0.47f), half * 0.98f, 1.0f, 0.16f, yaw).a = 0.12f;
  b.add(ROUND_BOX, SOLID, of, vec(x - s * 1.05f, y + c * 1.05f, z + 0.6f), half, 0.06f, 0.55f, yaw).a = 0.05f;
  for (int k = -1; k < 2; k += 2) b.add(ROUND_BOX, SOLID, sheet, vec(x + c * half * 0.5f * k - s * 0.75f, y + s * half * 0.5f * k + c * 0.75f, z + 0.68f), half * 0.42f, 0.22f, 0.09f, yaw).a = 0.085f;
}
// A lamp on a foot, or one that hangs from `ceiling` when that is above the floor.
static void room_lamp(Builder& b, float x, float y, float ceiling) {
  Random& r = b.r;
  float z = b.s.ground.level, h = r.range(0.8f, 1.6f), size = r.range(0.1f, 0.22f);
  bool hangs = r.chance(0.5f), lit = r.chance(0.75f);
  float at = hangs ? ceiling - r.range(0.3f, 0.9f) : z + h;
  b.bar(vec(x, y, hangs ? ceiling : z), vec(x, y, at), 0.015f, b.metal);
  if (r.chance(0.5f))
    b.add(FRUSTUM, lit ? FIRE : SOLID, lit ? b.lamp : b.metal, vec(x, y, at), size * 1.3f, size * 0.8f, size);
  else
    b.add(ELLIPSOID, lit ? FIRE : SOLID, lit ? b.lamp : b.metal, vec(x, y, at), size, size, size);
  if (lit) b.light(vec(x, y, at - (hangs ? size * 1.3f : -size * 1.3f)), b.s.material[b.lamp].a * r.range(0.5f, 3));
}
