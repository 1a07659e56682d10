// Anything anywhere: boxes, balls, pillars and rocks of all materials. Keeps the network from learning places by heart.
#pragma once
#include "../objects.h"

static void kind_abstract(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  int ms[8];
  for (int& one : ms) one = b.any_material(ANY);
  float far = r.scale(6, 80);
  bool floats = r.chance(0.4f);
  if (r.chance(0.3f)) {
    int wall = b.any_material(ANY);
    b.any_material(ANY);
    b.any_material(ANY);
    Shape& p = b.add(ROOM, SOLID, wall, vec(0, 0, far * 0.3f + s.ground.level), far * 0.8f, far * 0.6f, far * 0.3f, r.unit(), r.next());
    p.kind = r.chance(0.5f) ? 16 : r.pick(16);
    s.ambient = s.ambient + grey(0.3f);
    s.ground.shown = 0;
    s.indoor = 1;
  } else if (r.chance(0.3f)) {
    b.rough_land(r.range(0.1f, 2), 4, r.range(0, 40), 40, 5, 60);
    b.stand();
  } else if (r.chance(0.2f)) {
    s.water.shown = 1;
    s.water.level = s.ground.level;
  }
  for (int i = 0, n = 15 + r.pick(80); i < n; i++) {
    Vec p = b.around(1.8f, far);
    float size = length(p) * r.scale(0.03f, 0.4f), z = s.ground.level + (floats && r.chance(0.5f) ? r.range(0, length(p)) : size * 0.8f);
    const int types[7] = {BOX, ELLIPSOID, FRUSTUM, ROCK, BOX, ROUND_BOX, BAR};
    int type = types[r.pick(7)];
    Vec at = vec(p.x, p.y, z);
    if (type == BAR) {
      b.bar(at, at + vec(r.range(-1, 1), r.range(-1, 1), r.range(-1, 1)) * (size * 3), size * r.range(0.02f, 0.2f), ms[r.pick(8)]);
      continue;
    }
    Shape& q = b.add(type, SOLID, ms[r.pick(8)], at, size * r.range(0.3f, 1), size * r.range(0.3f, 1), size * r.range(0.4f, 1.6f), r.angle(), r.next());
    q.a = type == ROCK ? r.range(0.3f, 0.8f) : r.range(0.1f, 0.9f) * fminf(q.hx, fminf(q.hy, q.hz));
  }
}
