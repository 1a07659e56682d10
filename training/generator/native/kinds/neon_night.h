// A city of neon at night: walls of signs on all sides and overhead, wet ground, coloured fog, vehicles that shine.
#pragma once
#include "street.h"

static void kind_neon_night(Builder& b) {
  begin(b, 3);
  pave(b);
  Random& r = b.r;
  Scene& s = b.s;
  s.ground.wet = r.range(0.5f, 1);
  s.ground.puddles = r.unit();
  Vec tint = hsv(r.chance(0.7f) ? r.range(0.5f, 0.95f) : r.unit(), r.range(0.5f, 0.95f), 1);
  s.sky.zenith = tint * r.scale(0.01f, 0.25f);  // facades and sky in one colour: only their texture tells them apart
  s.sky.horizon = tint * r.scale(0.03f, 0.5f);
  s.ambient = s.ambient * 0.3f + tint * r.range(0.05f, 0.35f);
  s.ambient_below = s.ambient * 0.8f;
  s.fog = r.chance(0.5f) ? r.scale(0.003f, 0.03f) : 0;
  s.fog_colour = tint * r.range(0.05f, 0.4f);
  for (int i = 0; i < 3; i++) {
    int m = b.material(r.chance(0.6f) ? SIGN : FACADE, VIVID);
    s.material[m].lit = r.range(0.3f, 0.9f);
    s.material[m].glow = r.range(0.4f, 2.5f);
    if (i == 0) b.sign = m;
    if (i == 1) b.sign2 = m;
  }
  float wide = r.chance(0.6f) ? r.range(1.6f, 4.5f) : r.range(5, 18), tall = r.scale(6, 90), shift = r.range(-0.5f, 0.5f) * wide;
  houses_along(b, wide, tall, shift);
  for (int i = 0, n = 12 + r.pick(30); i < n; i++) {
    float side = r.sign(), z = s.ground.level + r.scale(1.6f, fmaxf(4.0f, tall * 0.7f));
    sign(b, vec(side * (wide - r.range(0.1f, 0.8f)) + shift, r.sign() * r.scale(1.5f, 30), z), r.chance(0.5f) ? PI / 2 : r.range(-0.2f, 0.2f));
  }
  if (r.chance(0.4f))  // a bridge or a roof overhead
    for (int i = 0, n = 1 + r.pick(3); i < n; i++) b.add(BOX, SOLID, b.any_material(DARK), vec(shift, r.sign() * r.range(3, 25), s.ground.level + r.range(4, 12)), wide + 2, r.range(0.5f, 3), 0.25f, 0, r.next());
  for (int i = 0, n = r.pick(9); i < n; i++) {
    Vec tube = vec(r.sign() * (wide - 0.1f) + shift, r.sign() * r.scale(2, 20), s.ground.level + r.range(2, 7));
    Vec along = r.chance(0.5f) ? vec(0, r.range(1, 5), 0) : vec(0, 0, r.range(0.5f, 3));
    b.bar(tube, tube + along, 0.035f, b.plain(hsv(r.unit(), 0.8f, 1), 0, r.range(1, 3)), FIRE);
  }
  for (int i = 0; i < 4; i++) b.light(vec(r.range(-wide, wide) * 0.7f + shift, r.sign() * r.scale(2, 14), s.ground.level + r.range(2, 5)), hsv(r.unit(), 0.8f, 1) * r.range(1, 7));
  int paint = b.plain(b.colour(VIVID), 0.5f);
  for (int i = 0, n = wide > 4 ? 1 + r.pick(5) : 0; i < n; i++) car(b, r.sign() * r.range(1.8f, wide - 1) + shift * 0.5f, r.sign() * r.scale(2.6f, 18), r.chance(0.6f) ? r.range(-0.2f, 0.2f) : r.angle(), paint, r.range(0, 8));
  if (tall > 20 && r.chance(0.4f))  // cars that fly
    for (int i = 0; i < 4; i++) {
      float z = r.range(4, 20), yaw = r.range(-0.2f, 0.2f), x = r.range(-wide, wide), y = r.sign() * r.scale(10, 60);
      Shape& hull = b.add(ROUND_BOX, MOVER, paint, vec(x, y, z), 0.9f, 2.3f, 0.5f, yaw);
      hull.a = 0.4f;
      hull.velocity = vec(0, r.sign() * 15, 0);
      b.add(ELLIPSOID, FIRE, b.lamp, vec(x, y + 2.4f, z), 0.5f, 0.12f, 0.1f).velocity = hull.velocity;
    }
  for (int i = 0, n = r.pick(14); i < n; i++) person(b, vec(r.range(-wide, wide) * 0.9f + shift, r.sign() * r.scale(2, 25), s.ground.level));
}
