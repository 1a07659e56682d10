// The open sea from a deck, a buoy or the air: calm to stormy, ships, icebergs, islands.
#pragma once
#include "../objects.h"

static void kind_ocean(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  s.eye = r.chance(0.7f) ? r.range(1.2f, 4) : r.scale(4, 30);
  s.ground.shown = s.ground.flat = 0;
  s.ground.level = -s.eye;
  s.water.shown = 1;
  s.water.level = -s.eye;
  s.water.wave = r.chance(0.75f) ? fminf(r.scale(0.05f, 2.5f), s.eye * 0.8f) : 0;
  s.water.wave_size = r.range(3, 18);
  s.water.foam = r.range(0, 1);
  float a = r.angle();
  s.water.flow = vec(cosf(a), sinf(a), 0) * r.range(0.1f, 1.5f);
  for (int i = 0, n = r.pick(7); i < n; i++) {
    Vec p = b.around(7, 200);
    boat(b, p.x, p.y, r.scale(1.5f, 12), r.angle(), r.range(0, 4));
  }
  if (r.chance(0.4f)) {
    int stone = b.material(MOTTLED, r.chance(0.6f) ? STONE : SNOW);
    for (int i = 0, n = 1 + r.pick(9); i < n; i++) {
      Vec p = b.around(6, 300);
      float size = length(p) * r.range(0.04f, 0.25f);
      rock(b, vec(p.x, p.y, s.water.level), stone, size, GROUND);
      if (r.chance(0.3f)) {
        Shape& green = b.add(FOLIAGE, VEGETATION, b.leaf, vec(p.x, p.y, s.water.level + size * 0.6f), size * 0.7f, size * 0.7f, size * 0.5f, 0, r.next());
        green.a = 0.25f;
        green.b = 2;
      }
    }
  }
  if (r.chance(0.25f)) {  // on a deck
    int deck = b.material(PLANKS, WOOD);
    float half = r.range(2, 4);
    Shape& p = b.add(BOX, GROUND, deck, vec(0, 0, -s.eye - 0.15f), half, half * 3, 0.1f, 0, 1);
    p.at.z = -s.eye + 0.1f;
    s.water.level -= 1.2f;
    for (int side = -1; side < 2; side += 2) b.fence(RAILS, b.metal, vec(side * half, 0, -s.eye + 0.2f), half * 3, 1.05f, PI / 2, 0.3f, 0.03f);
    for (int i = 0, n = r.pick(5); i < n; i++) figure(b, vec(r.range(-0.8f, 0.8f) * half, r.sign() * r.range(2, half * 2.5f), -s.eye + 0.2f));
    b.bar(vec(0, 3, -s.eye), vec(0, 3.2f, 9), 0.12f, deck);
    for (int k = -1; k < 2; k += 2) b.bar(vec(half * k, 1, -s.eye), vec(0, 3.2f, 9), 0.015f, b.dark);
  }
  if (s.night && r.chance(0.3f)) add_aurora(b);
}
