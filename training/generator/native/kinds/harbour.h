// A harbour: boats close and far, piers on piles, masts, quays, warehouses, cranes, nets of rigging.
#pragma once
#include "../objects.h"

static void kind_harbour(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  float pier = r.range(1.2f, 4), z = -s.eye;
  s.ground.shown = 0;
  s.ground.flat = 1;
  s.water.shown = 1;
  s.water.level = z - r.range(0.4f, 2.0f);
  s.water.wave = 0;
  s.water.foam *= 0.3f;
  float a = r.angle();
  s.water.flow = vec(cosf(a), sinf(a), 0) * r.range(0.02f, 0.3f);
  int deck = b.material(r.chance(0.6f) ? PLANKS : PAVING, r.chance(0.6f) ? WOOD : GREYS), pile = b.material(MOTTLED, WOOD);
  Shape& floor = b.add(BOX, GROUND, deck, vec(0, 0, z - 0.55f), pier, 60, 0.25f, 0, 1);
  floor.at.z = z - 0.25f;
  for (float y = -30; y <= 30; y += r.range(2.5f, 5))
    for (int side = -1; side < 2; side += 2) b.bar(vec(side * pier, y, s.water.level - 1), vec(side * pier, y, z + r.range(-0.1f, 1.0f)), r.range(0.08f, 0.18f), pile);
  for (int side = -1; side < 2; side += 2)
    for (float y = -28; y < 30; y += r.range(4, 10)) {
      if (r.chance(0.25f)) continue;
      float half = r.range(2.2f, 6);
      boat(b, side * (pier + half * 0.35f + r.range(0.6f, 3)), y, half, r.chance(0.7f) ? r.range(-0.15f, 0.15f) : PI / 2, 0.05f);
      if (s.shapes > MAX_SHAPES - 90) break;
    }
  for (int i = 0, n = r.pick(6); i < n; i++) {
    Vec p = b.around(18, 120);
    boat(b, p.x, p.y, r.range(2, 14), r.angle(), r.range(0, 3));
  }
  int f[3];
  for (int& one : f) one = b.facade();
  float shore = r.range(25, 90), bearing = r.angle();
  for (int i = 0, n = 8 + r.pick(16); i < n; i++) {
    float t = bearing + r.range(-1.3f, 1.3f), d = shore * r.range(1, 1.8f);
    building(b, d * sinf(t), d * cosf(t), r.range(3, 12), r.range(3, 8), r.scale(4, 25), r.angle(), f[r.pick(3)], s.water.level + 0.5f);
  }
  int hill = b.countryside();
  for (int i = 0, n = r.pick(6); i < n; i++) {
    Vec p = b.around(150, 500);
    rock(b, vec(p.x, p.y, s.water.level), hill, length(p) * r.range(0.1f, 0.3f), GROUND);
  }
  for (int i = 0, n = r.pick(6); i < n; i++) {
    float size = r.range(0.2f, 0.5f);
    b.add(r.chance(0.5f) ? BOX : FRUSTUM, SOLID, b.any_material(r.chance(0.5f) ? WOOD : VIVID), vec(r.sign() * pier * 0.7f, r.sign() * r.range(1.5f, 20), z + size), size, size, size, r.angle(), r.next());
  }
  for (int i = 0, n = r.pick(5); i < n; i++) {
    float y = r.sign() * r.range(2, 25);
    b.bar(vec(pier * 0.9f, y, z), vec(pier * 0.9f, y, z + 3.2f), 0.05f, b.metal);
    b.add(ELLIPSOID, s.night ? FIRE : SOLID, s.night ? b.lamp : b.metal, vec(pier * 0.9f, y, z + 3.4f), 0.15f, 0.15f, 0.2f);
    if (s.night) b.light(vec(pier * 0.9f, y, z + 3), s.material[b.lamp].a * 4);
  }
  for (int i = 0, n = r.pick(8); i < n; i++) person(b, vec(r.range(-0.7f, 0.7f) * pier, r.sign() * r.scale(2, 25), z));
  if (r.chance(0.4f)) figure(b, vec(r.range(-0.7f, 0.7f) * pier, r.sign() * r.range(2, 5), z));
  colour_the_night(b, 0.4f);
}
