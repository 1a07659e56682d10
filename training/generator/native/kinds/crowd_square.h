// A crowd close by and all around by day or night: market, demonstration, station forecourt.
#pragma once
#include "plaza.h"

static void kind_crowd_square(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  pave(b);
  buildings_around(b, r.scale(12, 60), r.scale(5, 25));
  for (int i = 0, n = 4 + r.pick(7); i < n; i++) figure(b, b.on_land(b.around(1.5f, 7)));
  crowd(b, 30 + r.pick(100), 2.5f, 40);
  int cloth = b.material(STRIPES, VIVID);
  for (int i = 0, n = r.pick(8); i < n; i++) {
    Vec p = b.around(4, 20);
    float h = r.range(2.1f, 2.8f), size = r.range(1, 2.2f);
    b.bar(b.on_land(p), b.on_land(p) + vec(0, 0, h), 0.03f, b.metal);
    b.add(FRUSTUM, SOLID, cloth, b.on_land(p) + vec(0, 0, h), size, 0.05f, 0.35f, 0, r.next());
    table(b, p.x + 0.8f, p.y, r.angle(), b.material(PLANKS, WOOD), 0.6f, 0.5f, 0.75f);
    if (b.s.materials > MAX_MATERIALS - 4) break;
  }
  for (int i = 0, n = r.pick(5); i < n; i++) {
    Vec p = b.around(4, 25);
    street_lamp(b, p.x, p.y, r.range(3, 7));
  }
  if (r.chance(0.3f))
    for (int i = 0; i < 4; i++) {
      Vec p = b.around(6, 25);
      tree(b, p.x, p.y, r.range(0.6f, 1.6f));
    }
  colour_the_night(b, 0.7f);
}
