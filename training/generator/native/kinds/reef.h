// Under water: reefs, overhangs, kelp, fish; the surface above as a bright ceiling, blue in the distance.
#pragma once
#include "../objects.h"

static void kind_reef(Builder& b) {
  begin(b, 0);
  Random& r = b.r;
  Scene& s = b.s;
  s.underwater = 1;
  s.eye = r.range(0.8f, 3);
  s.ground.level = -s.eye;
  s.ceiling = r.scale(1.5f, 20);
  s.fog_colour = hsv(r.range(0.45f, 0.62f), r.range(0.5f, 0.95f), r.range(0.1f, 0.6f));
  s.fog = r.scale(0.03f, 0.2f);
  s.fog_height = 0;
  b.rough_land(r.range(0.2f, 2), r.range(2, 8), r.range(0, 8), r.range(8, 30), 3, 20);
  s.ground.material = b.material(MOTTLED, r.chance(0.7f) ? SAND : STONE);
  b.stand();
  s.ambient = s.fog_colour * 1.5f + grey(0.2f);
  s.ambient_below = s.ambient * 0.6f;
  s.sky.sun = vec(0.6f, 0.9f, 0.9f) * r.range(0.3f, 1.8f);
  s.sky.sun_direction = normalized(vec(0.3f, 0.2f, 1));
  s.sky.zenith = mix(s.sky.zenith, vec(0.6f, 0.9f, 1), 0.5f);
  s.water.flow = vec(r.range(-0.3f, 0.3f), r.range(-0.3f, 0.3f), 0);
  s.breeze = s.water.flow * 0.7f;
  int coral[6], stone = b.material(MOTTLED, STONE);
  for (int& one : coral) one = b.material(r.chance(0.5f) ? LEAVES : r.chance(0.5f) ? PAVING : MOTTLED, r.chance(0.7f) ? VIVID : EARTH);
  for (int i = 0, n = 25 + r.pick(60); i < n; i++) {
    Vec p = b.on_land(b.around(1.6f, 18));
    float size = r.scale(0.12f, 1.4f);
    int m = coral[r.pick(6)], what = r.pick(5);
    if (what < 2) {
      rock(b, p + vec(0, 0, size * 0.3f), m, size, VEGETATION);
    } else if (what == 2) {
      bush(b, p.x, p.y, m, size);
    } else if (what == 3) {  // branches
      for (int k = 0; k < 4; k++) b.bar(p, p + vec(r.range(-0.6f, 0.6f), r.range(-0.6f, 0.6f), r.range(0.6f, 1.4f)) * size, 0.05f * size + 0.01f, m, VEGETATION);
    } else {  // a table or a fan
      b.add(FRUSTUM, VEGETATION, m, p + vec(0, 0, size * 0.5f), size * 0.15f, size * 0.9f, size * 0.5f, 0, r.next());
    }
  }
  for (int i = 0, n = 4 + r.pick(8); i < n; i++) {
    Vec p = b.on_land(b.around(3.5f, 15));
    rock(b, p + vec(0, 0, r.range(0, 3)), stone, r.range(0.8f, 3), GROUND);
  }
  if (r.chance(0.4f))  // an overhang or the mouth of a cave
    for (int i = 0, n = 2 + r.pick(4); i < n; i++) {
      Vec p = b.around(3, 7);
      b.add(ROCK, GROUND, stone, vec(p.x, p.y, r.range(1.5f, 4)), r.range(1.5f, 4), r.range(1.5f, 4), r.range(0.4f, 1.2f), r.angle(), r.next()).a = 0.5f;
    }
  if (r.chance(0.4f))
    for (int i = 0, n = 5 + r.pick(14); i < n; i++) {  // kelp
      Vec p = b.on_land(b.around(2, 14));
      float h = fminf(r.range(1.5f, 6), s.ceiling + s.eye - 0.2f);
      Shape& blade = b.add(FENCE, VEGETATION, b.leaf, p + vec(0, 0, h * 0.5f), r.range(0.06f, 0.25f), 0.05f, h * 0.5f, r.angle(), r.next());
      blade.kind = FALL;
      blade.velocity = s.breeze;
    }
  for (int i = 0, n = 6 + r.pick(40); i < n; i++) {
    Vec p = b.around(1.5f, 12);
    float size = r.scale(0.05f, 0.3f), heading = r.angle(), z = r.range(-0.7f, 1) * fminf(s.ceiling * 0.9f, 3.0f);
    Shape* fish;
    if (r.chance(0.6f)) {
      fish = &b.add(CARD, MOVER, coral[r.pick(6)], vec(p.x, p.y, z), size, 0.02f, size * 0.45f, 0, r.next());
      fish->kind = FISH;
    } else {
      fish = &b.add(ELLIPSOID, MOVER, coral[r.pick(6)], vec(p.x, p.y, z), size, size * 0.2f, size * 0.4f, heading, r.next());
    }
    fish->velocity = vec(cosf(heading), sinf(heading), 0) * r.range(0.1f, 1.2f);
  }
}
