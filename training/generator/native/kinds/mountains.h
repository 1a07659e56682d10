// High country: ridges, dunes, valleys with a river or a lake, huts, herds, paths with posts.
#pragma once
#include "../objects.h"

static void kind_mountains(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  float hills = r.scale(5, 300);
  b.rough_land(r.range(0.2f, 3), r.range(3, 12), hills, r.scale(40, 600), r.range(5, 30), r.range(80, 500));
  s.ground.ridged = r.chance(0.6f);
  bool desert = r.chance(0.2f);
  s.ground.material = desert ? b.material(MOTTLED, SAND) : b.countryside();
  if (r.chance(0.6f)) s.ground.second = r.chance(0.4f) ? b.material(MOTTLED, SNOW) : b.countryside();
  b.stand();
  if (!desert && r.chance(0.45f)) {
    s.water.shown = 1;
    s.water.level = -s.eye - r.range(0.3f, 3);
    if (r.chance(0.5f)) {  // a river in its valley
      s.ground.valley_wall = r.range(2, 30);
      s.ground.valley_wide = r.range(4, 25);
      b.stand();
      s.ground.raise += 0.3f;
      s.water.level = -s.eye - 0.2f;
      s.water.flow = vec(s.ground.along_x, s.ground.along_y, 0) * r.range(0.3f, 2);
      s.water.wave = r.range(0, 0.15f);
      s.eye = fmaxf(s.eye, 1.0f);
    }
    s.water.foam *= 0.5f;
  }
  int stone = b.material(MOTTLED, STONE);
  for (int i = 0, n = r.pick(20); i < n; i++) {
    Vec p = b.on_land(b.around(2, 60));
    rock(b, p, stone, r.scale(0.2f, 2.5f), GROUND);
  }
  for (int i = 0, n = desert ? r.pick(3) : r.pick(30); i < n; i++) {
    Vec p = b.around(6, 150);
    if (!s.water.shown || b.land(p.x, p.y) > s.water.level) tree(b, p.x, p.y, r.scale(0.3f, 2.5f));
  }
  if (r.chance(0.3f)) {
    int f = b.material(PLANKS, WOOD);
    Vec p = b.around(10, 60);
    building(b, p.x, p.y, r.range(2, 5), r.range(2, 4), r.range(2, 5), r.angle(), f, b.land(p.x, p.y));
  }
  crowd(b, r.pick(6), 3, 40);
  if (s.night && r.chance(0.4f)) add_aurora(b);
}
