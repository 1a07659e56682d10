// A wood: trunks from saplings to giants, undergrowth, a path or a stream; sometimes mist, autumn or bare branches.
#pragma once
#include "../objects.h"

static void kind_forest(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  b.rough_land(r.range(0.1f, 1.5f), r.range(2, 10), r.chance(0.5f) ? r.range(0, 40) : 0, 80, 15, 120);
  if (r.chance(0.3f)) s.ground.second = b.countryside();
  b.stand();
  if (r.chance(0.2f)) {
    s.ground.valley_wall = r.range(1, 6);
    s.ground.valley_wide = r.range(2, 5);
    b.stand();
    s.water.shown = r.chance(0.6f);
    s.water.level = -s.eye - 0.15f;
    s.water.flow = vec(s.ground.along_x, s.ground.along_y, 0) * r.range(0.3f, 1.5f);
    s.ground.raise -= 0.1f;
  }
  if (r.chance(0.3f)) s.fog = r.scale(0.01f, 0.08f);
  float size = r.scale(0.5f, 4), nearest = r.range(2, 6);
  bool bare = r.chance(0.15f);
  for (int i = 0, n = 18 + r.pick(28); i < n; i++) {
    Vec p = b.around(nearest, 70);
    tree(b, p.x, p.y, size * r.range(0.4f, 1.5f), bare || r.chance(0.06f));
  }
  for (int i = 0, n = r.pick(26); i < n; i++) {
    Vec p = b.around(1.6f, 22);
    bush(b, p.x, p.y, r.chance(0.5f) ? b.leaf : b.leaf2, r.scale(0.15f, 1.1f));
  }
  int stone = b.material(MOTTLED, STONE);
  for (int i = 0, n = r.pick(8); i < n; i++) {
    Vec p = b.on_land(b.around(1.6f, 15));
    rock(b, p + vec(0, 0, 0.1f), stone, r.scale(0.1f, 0.9f), GROUND);
  }
  for (int i = 0, n = r.pick(4); i < n; i++) {  // fallen trunks
    Vec p = b.on_land(b.around(2, 12));
    float a = r.angle();
    b.bar(p + vec(0, 0, 0.15f), p + vec(cosf(a) * 4, sinf(a) * 4, 0.3f), r.range(0.08f, 0.3f), b.bark, VEGETATION);
  }
  if (r.chance(0.3f)) crowd(b, 1 + r.pick(4), 3, 20);
  if (r.chance(0.15f)) fire(b, b.on_land(b.around(2.5f, 6)), r.range(0.4f, 1.2f));
}
