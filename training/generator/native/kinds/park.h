// A garden or a park: lawns, paths, flower beds, benches, ponds, single trees, fences and a house behind.
#pragma once
#include "../objects.h"

static void kind_park(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  b.rough_land(r.range(0, 0.4f), 8, r.chance(0.4f) ? r.range(2, 20) : 0, 60, 20, 100);
  s.ground.material = b.material(MOTTLED, r.chance(0.8f) ? GREENS : AUTUMN);
  if (r.chance(0.6f)) s.ground.second = b.pavement();
  b.stand();
  for (int i = 0, n = 4 + r.pick(16); i < n; i++) {
    Vec p = b.around(4, 60);
    tree(b, p.x, p.y, r.scale(0.3f, 2.5f), r.chance(0.1f));
  }
  if (r.chance(0.2f))
    for (int i = 0; i < 5; i++) {
      Vec p = b.around(5, 30);
      palm(b, p.x, p.y, r.range(3, 9));
    }
  for (int i = 0, n = r.pick(24); i < n; i++) {
    Vec p = b.around(1.8f, 18);
    int flower = b.s.materials < MAX_MATERIALS - 2 && r.chance(0.4f) ? b.material(LEAVES, VIVID) : b.leaf2;
    bush(b, p.x, p.y, flower, r.scale(0.15f, 1));
  }
  if (r.chance(0.4f)) {
    Vec p = b.around(4, 15);
    fountain(b, p.x, p.y, r.range(1, 3));
  }
  if (r.chance(0.5f)) {
    float yaw = r.angle(), d = r.range(2.5f, 12);
    int kind = r.pick(4);
    b.fence(kind, r.chance(0.5f) ? b.metal : b.material(PLANKS, WOOD), b.on_land(vec(d * sinf(yaw), d * cosf(yaw), 0)) - vec(0, 0, 0.1f), r.range(6, 40), r.range(0.7f, 2), -yaw, r.range(0.1f, 0.4f), r.range(0.015f, 0.06f));
  }
  if (r.chance(0.5f)) {
    int f = b.facade();
    for (int i = 0, n = 1 + r.pick(4); i < n; i++) {
      Vec p = b.around(15, 70);
      building(b, p.x, p.y, r.range(3, 9), r.range(3, 7), r.range(3, 12), r.angle(), f, b.land(p.x, p.y));
    }
  }
  for (int i = 0, n = r.pick(5); i < n; i++) {
    Vec p = b.around(3, 20);
    street_lamp(b, p.x, p.y, r.range(2.5f, 5));
  }
  crowd(b, r.pick(14), 2, 30);
  for (int i = 0, n = r.pick(3); i < n; i++) figure(b, b.on_land(b.around(2, 7)));
  colour_the_night(b, 0.3f);
}
