// A cave: rough walls, stones, stalactites, still water, torches, an opening to the day.
#pragma once
#include "../objects.h"

static void kind_cave(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  s.indoor = 1;
  s.fog = 0;
  int wall = b.material(MOTTLED, r.chance(0.8f) ? STONE : SNOW);
  s.material[wall].size = r.range(0.5f, 2.5f);
  s.ambient = grey(r.range(0.05f, 0.4f)) + b.colour(ANY) * 0.1f;
  s.ambient_below = s.ambient * 0.6f;
  Shape& dome = b.add(DOME, SOLID, wall, vec(r.range(-0.5f, 0.5f), r.range(-1, 1), 0), r.range(3, 14), r.range(3, 14), r.range(2.4f, 8), r.angle(), r.next());
  dome.a = r.range(0.15f, 0.45f);
  const Shape p = dome;
  s.ground.level = -s.eye;
  b.rough_land(r.range(0.1f, 1), r.range(1.5f, 5), 0, 60, 20, 100);
  s.ground.material = wall;
  b.stand();
  if (r.chance(0.45f)) {
    s.water.shown = 1;
    s.water.level = -s.eye - r.range(0, 0.25f);
    s.water.flow = vec(0.05f, 0.02f, 0);
  }
  int stone = b.material(MOTTLED, STONE);
  for (int i = 0, n = 6 + r.pick(24); i < n; i++) {
    Vec at = b.on_land(b.around(1.8f, fminf(p.hx, p.hy)));
    rock(b, at, r.chance(0.5f) ? stone : wall, r.scale(0.15f, 1.4f), GROUND);
  }
  for (int i = 0, n = r.pick(30); i < n; i++) {
    Vec at = b.around(1.5f, fminf(p.hx, p.hy) * 0.8f);
    float l = r.scale(0.2f, 1.6f), top = p.hz * sqrtf(fmaxf(0.0f, 1 - dot(at, at) / (p.hx * p.hy))) * 0.85f;
    b.add(FRUSTUM, SOLID, wall, vec(at.x, at.y, top - l * 0.4f), 0.01f, l * r.range(0.08f, 0.2f), l * 0.6f, 0, r.next());
  }
  for (int i = 0, n = 1 + r.pick(4); i < n; i++) {
    Vec at = b.on_land(b.around(2, 6));
    if (r.chance(0.5f)) {
      fire(b, at, r.range(0.3f, 0.9f));
    } else {
      b.add(ELLIPSOID, FIRE, b.lamp, at + vec(0, 0, r.range(0.3f, 2)), 0.1f, 0.1f, 0.14f);
      b.light(at + vec(0, 0, r.range(0.5f, 2)), s.material[b.lamp].a * r.range(1, 5));
    }
  }
  if (r.chance(0.4f)) figure(b, b.on_land(b.around(2, 5)));
}
