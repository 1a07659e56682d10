// A roof, a quay or a viewpoint before a skyline; towers of all heights, far lights, aerials and railings close by.
#pragma once
#include "../objects.h"

static void kind_skyline(Builder& b) {
  begin(b, -1);
  pave(b);
  Random& r = b.r;
  Scene& s = b.s;
  bool roof = r.chance(0.5f);
  float deep = roof ? r.scale(8, 60) : 0, half = r.range(3, 9);
  if (roof) {
    int top = b.pavement();
    b.add(BOX, GROUND, top, vec(0, 0, -s.eye - 0.2f), half, half, 0.2f, r.angle(), 1);
    s.shape[s.shapes - 1].at.z = -s.eye - 0.2f;
    float yaw = atan2f(s.shape[s.shapes - 1].sine, s.shape[s.shapes - 1].cosine);
    for (int i = 0; i < 4; i++) {
      float a = yaw + i * PI / 2;
      Vec edge = vec(cosf(a) * half, sinf(a) * half, -s.eye);
      if (r.chance(0.5f))
        b.fence(r.chance(0.5f) ? PICKETS : RAILS, b.metal, edge, half, 1.05f, a + PI / 2, r.range(0.12f, 0.35f), 0.03f);
      else
        b.add(BOX, SOLID, top, edge + vec(0, 0, 0.4f), 0.15f, half, 0.4f, a, 1);
    }
    for (int i = 0, n = r.pick(7); i < n; i++) {
      Vec p = b.around(1.8f, half * 0.9f);
      float w = r.range(0.2f, 0.9f), h = r.range(0.3f, 1.2f);
      b.add(r.chance(0.6f) ? BOX : FRUSTUM, SOLID, b.any_material(GREYS), p + vec(0, 0, -s.eye + h), w, w, h, r.angle(), r.next());
      if (r.chance(0.3f)) b.bar(p + vec(0, 0, -s.eye), p + vec(0, 0, r.range(1, 4)), 0.03f, b.metal);
    }
    s.ground.level = -s.eye - deep;
  }
  int f[6];
  for (int& one : f) one = b.facade();
  float nearest = roof ? half + 8 : r.range(20, 60);
  for (int i = 0, n = 40 + r.pick(70); i < n; i++) {
    Vec p = b.around(nearest, 700);
    float d = length(p), w = r.range(4, 16) * (1 + d / 300), h = r.scale(6, 40) * (1 + d / 200) * (r.chance(0.15f) ? 2.5f : 1.0f) + (roof ? deep * r.range(0.2f, 1) : 0);
    building(b, p.x, p.y, w * 0.5f, w * r.range(0.3f, 0.8f), h, r.angle(), f[r.pick(6)], s.ground.level);
  }
  if (!roof && r.chance(0.4f)) s.water.shown = 1, s.water.level = s.ground.level;
  if (!roof) {
    crowd(b, r.pick(12), 2, 20);
    for (int i = 0, n = r.pick(8); i < n; i++) {
      Vec p = b.around(5, 40);
      if (!s.water.shown) tree(b, p.x, p.y, r.scale(0.4f, 2));
    }
  }
  if (r.chance(0.2f))
    for (int i = 0; i < 3; i++) {  // cranes
      Vec p = b.around(nearest + 10, 200);
      float h = r.range(20, 60), a = r.angle();
      b.bar(b.on_land(p), vec(p.x, p.y, s.ground.level + h), 0.5f, b.metal);
      b.bar(vec(p.x - 8 * cosf(a), p.y - 8 * sinf(a), s.ground.level + h), vec(p.x + 25 * cosf(a), p.y + 25 * sinf(a), s.ground.level + h), 0.4f, b.metal);
    }
  if (s.night) s.sky.lamps_below = r.range(0, 1);
  colour_the_night(b, 0.6f);
}
