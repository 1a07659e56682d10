// A street or an alley between rows of houses, with cars, people, lamps, signs and wires.
#pragma once
#include "../objects.h"

static void houses_along(Builder& b, float wide, float tall, float shift) {
  Random& r = b.r;
  int f[4];
  for (int& one : f) one = b.facade();
  for (int side = -1; side < 2; side += 2) {
    for (float y = -r.range(30, 70); y < 80;) {
      float half = r.range(3, 14), deep = r.range(4, 8), h = tall * r.range(0.5f, 1.6f), back = r.chance(0.3f) ? r.range(0, 2) : 0;
      building(b, side * (wide + deep + back) + shift, y + half, deep, half, h, 0, f[r.pick(4)], b.s.ground.level);
      float front = side * (wide + back - 0.55f) + shift;
      if (r.chance(b.s.night ? 0.7f : 0.3f)) sign(b, vec(front, y + r.range(0, 2 * half), b.s.ground.level + r.range(2.4f, fminf(h, 12.0f))), r.chance(0.5f) ? 0 : PI / 2);
      if (r.chance(0.3f)) b.add(BOX, SOLID, b.material(r.chance(0.5f) ? STRIPES : PLAIN, VIVID), vec(front, y + half, b.s.ground.level + r.range(2.5f, 3.4f)), 0.7f, half * 0.8f, 0.06f, 0, r.next());
      if (r.chance(0.25f)) {
        float z = b.s.ground.level + r.range(3, fmaxf(3.5f, h * 0.8f));
        b.add(BOX, SOLID, f[0], vec(front, y + half, z), 0.6f, 1.2f, 0.06f, 0, 1);
        b.fence(PICKETS, b.metal, vec(front - side * 0.55f, y + half, z), 1.2f, 0.95f, PI / 2, 0.12f, 0.025f);
      }
      y += 2 * half + (r.chance(0.15f) ? r.range(1, 5) : r.range(0, 0.1f));
    }
  }
  if (r.chance(0.6f))
    for (int side = -1; side < 2; side += 2) building(b, r.range(-3, 3), side * r.range(60, 110), wide + 8, 6, tall * r.range(0.5f, 2), 0, f[r.pick(4)], b.s.ground.level);
}

static void kind_street(Builder& b) {
  begin(b, -1);
  pave(b);
  Random& r = b.r;
  float wide = r.chance(0.35f) ? r.range(1.8f, 4) : r.range(5, 16), tall = r.scale(4, 50), shift = r.range(-0.5f, 0.5f) * wide;
  houses_along(b, wide, tall, shift);
  int paint[3];
  for (int& one : paint) one = b.plain(b.colour(ANY), 0.4f);
  for (int i = 0, n = wide > 4 ? r.pick(9) : 0; i < n; i++) {
    float x = r.sign() * r.range(1.8f, wide - 1.2f) + shift * 0.5f;
    car(b, x, r.sign() * r.scale(3, 30), r.chance(0.7f) ? (x > 0 ? 0 : PI) + r.range(-0.1f, 0.1f) : r.angle(), paint[r.pick(3)], r.chance(0.5f) ? r.range(2, 12) : 0);
  }
  for (int i = 0, n = r.pick(16); i < n; i++) person(b, vec(r.range(-wide, wide) * 0.9f + shift, r.sign() * r.range(2, 30), b.s.ground.level));
  for (int i = 0, n = r.pick(7); i < n; i++) street_lamp(b, ((i & 1) ? 1 : -1) * (wide - 0.6f) + shift, (i / 2 - 1) * r.range(8, 14) + 3, r.range(2.6f, 6));
  if (r.chance(0.3f))
    for (int i = 0; i < 6; i++) tree(b, ((i & 1) ? 1 : -1) * (wide - 1) + shift, (i / 2 - 1) * 12 + r.range(-3, 3), 0.8f, r.chance(0.2f));
  if (r.chance(0.4f))
    for (int i = 0; i < 8; i++) {
      float y = r.range(-20, 20), z = b.s.ground.level + r.range(4, 9);
      b.bar(vec(-wide + shift, y, z), vec(wide + shift, y + r.range(-3, 3), z + r.range(-1, 1)), 0.012f, b.dark);
    }
  colour_the_night(b, 0.5f);
}
