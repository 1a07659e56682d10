// Snow under coloured light: aurora, low sun, lamps; frozen lakes, firs, huts, tracks, snow-laden roofs.
#pragma once
#include "../objects.h"

static void kind_snowfield(Builder& b) {
  begin(b, b.r.chance(0.6f) ? 3 : b.r.chance(0.5f) ? 2 : -1);
  Random& r = b.r;
  Scene& s = b.s;
  b.rough_land(r.range(0.05f, 0.8f), r.range(4, 15), r.scale(3, 150), r.scale(40, 400), r.range(10, 40), r.range(80, 400));
  s.ground.ridged = r.chance(0.5f);
  s.ground.material = b.material(MOTTLED, SNOW);
  s.material[s.ground.material].size = r.scale(1, 8);
  Material& snow = s.material[s.ground.material];
  snow.a = mix(snow.a, grey(0.9f), 0.5f);
  snow.b = mix(snow.b, grey(0.9f), 0.5f);
  snow.c = mix(snow.c, grey(0.9f), 0.5f);
  s.ground.second = r.chance(0.4f) ? b.material(MOTTLED, r.chance(0.5f) ? STONE : SNOW) : -1;
  s.ground.roughness = r.range(0, 0.5f);
  b.stand();
  if (s.night && r.chance(0.75f)) add_aurora(b);
  Vec tint = hsv(r.unit(), r.range(0.1f, 0.8f), r.range(0.05f, 0.5f));
  s.ambient = s.ambient * 0.7f + tint;
  s.ambient_below = s.ambient * 0.8f;
  if (r.chance(0.45f)) {  // a lake, open or frozen
    s.water.shown = 1;
    s.water.level = -s.eye - r.range(0.1f, 1.5f);
    s.ground.drop = r.range(1, 3);
    s.ground.shore = r.range(3, 25);
    s.ground.drop_wide = r.range(3, 15);
    s.water.colour = mix(s.water.colour, tint, 0.3f);
    s.water.foam = 0;
    s.water.flow = vec(0.1f, 0.05f, 0);
    b.stand();
  }
  int needles = b.material(LEAVES, r.chance(0.5f) ? GREENS : SNOW);
  b.leaf = needles;
  for (int i = 0, n = r.pick(26); i < n; i++) {
    Vec p = b.around(5, 90);
    if (!s.water.shown || b.land(p.x, p.y) > s.water.level) tree(b, p.x, p.y, r.scale(0.3f, 2.2f), r.chance(0.15f));
  }
  if (r.chance(0.4f)) {
    int wall = b.facade(), laden = b.material(MOTTLED, SNOW);
    for (int i = 0, n = 1 + r.pick(4); i < n; i++) {
      Vec p = b.around(9, 50);
      float w = r.range(2, 5), h = r.range(2, 4), z = b.land(p.x, p.y), yaw = r.angle();
      if (s.water.shown && z < s.water.level) continue;
      b.add(BOX, SOLID, wall, vec(p.x, p.y, z + h * 0.5f), w, w * 0.8f, h * 0.5f, yaw, r.next());
      b.add(FRUSTUM, SOLID, laden, vec(p.x, p.y, z + h + w * 0.4f), w * 1.5f, 0.05f, w * 0.4f, yaw);
      if (s.night) b.light(vec(p.x * 0.85f, p.y * 0.85f, z + 1.5f), vec(1, 0.7f, 0.35f) * r.range(2, 8));
    }
  }
  if (r.chance(0.3f)) b.fence(r.chance(0.5f) ? RAILS : PICKETS, b.material(PLANKS, WOOD), b.on_land(b.around(3, 12)) - vec(0, 0, 0.1f), r.range(5, 25), r.range(0.8f, 1.4f), r.angle(), r.range(0.2f, 0.5f), r.range(0.03f, 0.08f));
  for (int i = 0, n = r.pick(8); i < n; i++) rock(b, b.on_land(b.around(2, 20)), s.ground.material, r.scale(0.2f, 1.2f), GROUND);
  crowd(b, r.pick(5), 3, 25);
  if (r.chance(0.15f)) fire(b, b.on_land(b.around(3, 7)), r.range(0.5f, 1.2f));
}
