// A beach, rocks or cliffs by the sea or a lake; palms, boats, spray, people.
#pragma once
#include "../objects.h"

static void kind_coast(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  bool cliff = r.chance(0.35f);
  if (cliff) s.eye = r.chance(0.5f) ? r.scale(2, 25) : s.eye;
  s.ground.level = -s.eye;
  b.rough_land(r.range(0.1f, cliff ? 2.0f : 0.5f), r.range(2, 8), r.range(0, 60), r.range(50, 200), 25, 250);
  s.ground.shore = r.range(1.5f, 20);
  s.ground.drop_wide = cliff ? r.range(0.5f, 4) : r.range(5, 25);
  s.ground.drop = cliff ? s.eye * 0.5f + r.range(3, 15) : r.range(1.5f, 5);
  s.ground.material = b.material(MOTTLED, r.chance(0.5f) ? SAND : r.chance(0.6f) ? STONE : GREENS);
  if (r.chance(0.5f)) s.ground.second = b.countryside();
  b.stand();
  s.water.shown = 1;
  s.water.level = -s.eye - (cliff ? r.range(1.5f, 10) : r.range(0.2f, 1.0f));
  s.water.wave = r.chance(0.6f) ? r.scale(0.05f, 1.2f) : 0;
  s.water.wave_size = r.range(3, 14);
  s.water.foam = r.range(0, 1);
  s.water.flow = vec(-s.ground.along_x, -s.ground.along_y, 0) * r.range(0.2f, 1.2f);
  int stone = b.material(MOTTLED, STONE);
  for (int i = 0, n = r.pick(22); i < n; i++) {
    Vec p = b.on_land(b.around(2, 60));
    rock(b, p, stone, r.scale(0.2f, 3), GROUND);
  }
  if (r.chance(0.4f))
    for (int i = 0, n = 3 + r.pick(6); i < n; i++) {
      Vec p = b.around(4, 40);
      if (b.land(p.x, p.y) > s.water.level + 0.2f) palm(b, p.x, p.y, r.range(4, 11));
    }
  else
    for (int i = 0, n = r.pick(12); i < n; i++) {
      Vec p = b.around(6, 70);
      if (b.land(p.x, p.y) > s.water.level + 0.2f) tree(b, p.x, p.y, r.scale(0.3f, 2));
    }
  for (int i = 0, n = r.pick(5); i < n; i++) {
    Vec p = vec(s.ground.along_x, s.ground.along_y, 0) * (s.ground.shore + s.ground.drop_wide + r.scale(4, 150)) + vec(-s.ground.along_y, s.ground.along_x, 0) * r.range(-60, 60);
    boat(b, p.x, p.y, r.range(1.5f, 7), r.angle(), r.range(0, 3));
  }
  if (r.chance(0.2f)) {  // a lighthouse
    Vec p = b.around(20, 120);
    float z = fmaxf(b.land(p.x, p.y), s.water.level), h = r.range(10, 30);
    b.add(FRUSTUM, SOLID, b.material(STRIPES, CREAM), vec(p.x, p.y, z + h * 0.5f), h * 0.11f, h * 0.07f, h * 0.5f);
    b.add(ELLIPSOID, FIRE, b.lamp, vec(p.x, p.y, z + h * 1.04f), h * 0.05f, h * 0.05f, h * 0.06f);
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {
    Vec p = b.around(3, 40);
    if (b.land(p.x, p.y) > s.water.level) person(b, b.on_land(p));
  }
  for (int i = 0, n = r.chance(0.3f) ? 8 : 0; i < n; i++) {
    Vec p = b.around(15, 80);
    Shape& bird = b.add(CARD, MOVER, b.dark, vec(p.x, p.y, r.range(3, 30)), 0.5f, 0.1f, 0.5f, 0, r.next());
    bird.kind = BIRD;
    bird.velocity = vec(r.range(-6, 6), r.range(-6, 6), 0);
  }
}
