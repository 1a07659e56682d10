// Beside a road: vehicles that are very near, guard rails, markings, poles with wires, fields or houses behind.
#pragma once
#include "../objects.h"

static void kind_roadside(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  float z = s.ground.level, wide = r.range(3.5f, 9), shift = r.range(-2, 2);
  s.ground.material = b.countryside();
  int road = b.material(r.chance(0.8f) ? MOTTLED : PAVING, r.chance(0.7f) ? DARK : GREYS), white = b.plain(grey(0.8f));
  b.add(BOX, GROUND, road, vec(shift, 0, z + 0.01f), wide, 400, 0.012f).radius = 500;
  for (int i = 0; i < 14; i++) b.add(BOX, GROUND, white, vec(shift, -56 + 8.0f * i, z + 0.024f), 0.07f, 1.5f, 0.004f);
  int paint[3];
  for (int& one : paint) one = b.plain(b.colour(r.chance(0.5f) ? VIVID : ANY), 0.45f);
  for (int i = 0, n = 2 + r.pick(7); i < n; i++) {
    float x = shift + r.sign() * r.range(1.6f, wide - 0.8f), y = r.sign() * r.scale(0.5f, 40);
    if (fabsf(x) < 2.0f && fabsf(y) < 4.0f) continue;
    car(b, x, y, (x > shift ? 0 : PI) + r.range(-0.06f, 0.06f), paint[r.pick(3)], r.chance(0.6f) ? r.range(2, 25) : 0);
  }
  if (r.chance(0.5f)) b.fence(RAILS, b.metal, vec(shift + r.sign() * (wide + 0.4f), 0, z), 80, 0.8f, PI / 2, 0.3f, 0.12f);
  if (r.chance(0.6f)) {
    float x = shift + r.sign() * (wide + r.range(1, 4)), h = r.range(6, 11), step = r.range(15, 30);
    int wood = b.material(MOTTLED, WOOD);
    for (int i = -3; i < 4; i++) {
      Vec foot = b.on_land(vec(x, step * i + 4, 0));
      b.bar(foot, foot + vec(0, 0, h), 0.12f, wood);
      b.bar(foot + vec(-1, 0, h - 0.5f), foot + vec(1, 0, h - 0.5f), 0.06f, wood);
      for (int k = -1; k < 2 && i < 3; k += 2) {
        Vec from = foot + vec(0.9f * k, 0, h - 0.4f), low = from + vec(0, step * 0.5f, -0.5f), to = from + vec(0, step, 0);
        b.bar(from, low, 0.015f, b.dark);
        b.bar(low, to, 0.015f, b.dark);
      }
    }
  }
  for (int i = 0, n = r.pick(14); i < n; i++) {
    float side = r.sign();
    tree(b, shift + side * (wide + r.scale(2, 50)), r.range(-60, 60), r.scale(0.3f, 2.2f), r.chance(0.1f));
  }
  if (r.chance(0.5f)) {
    int f = b.facade();
    for (int i = 0, n = 1 + r.pick(8); i < n; i++) building(b, shift + r.sign() * (wide + r.range(8, 25)), r.range(-60, 60), r.range(3, 6), r.range(3, 7), r.range(3, 14), 0, f, z);
  }
  for (int i = 0, n = r.pick(5); i < n; i++) street_lamp(b, shift + r.sign() * (wide + 0.8f), r.range(-30, 30), r.range(5, 9));
  crowd(b, r.pick(6), 2, 25);
  colour_the_night(b, 0.4f);
}
