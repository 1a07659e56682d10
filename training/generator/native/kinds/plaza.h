// An open square with buildings around it, a fountain, people, lamps and trees.
#pragma once
#include "../objects.h"

static void buildings_around(Builder& b, float radius, float tall) {
  Random& r = b.r;
  int f[4];
  for (int& one : f) one = b.facade();
  for (float a = 0; a < 2 * PI;) {
    float half = r.range(4, 14), d = radius * r.range(0.9f, 1.5f), deep = r.range(4, 9);
    if (r.chance(0.85f)) building(b, (d + deep) * sinf(a), (d + deep) * cosf(a), half, deep, tall * r.range(0.5f, 1.7f), -a, f[r.pick(4)], b.s.ground.level);
    a += 2 * half / d * r.range(0.85f, 1.2f);
  }
}

static void kind_plaza(Builder& b) {
  begin(b, -1);
  pave(b);
  Random& r = b.r;
  buildings_around(b, r.scale(14, 70), r.scale(5, 30));
  if (r.chance(0.6f)) {
    Vec at = b.around(3.5f, 16);
    fountain(b, at.x, at.y, fminf(r.range(1.2f, 6), 0.75f * length(at)));
  }
  for (int i = 0, n = r.pick(8); i < n; i++) {
    Vec at = b.around(4, 30);
    street_lamp(b, at.x, at.y, r.range(2.6f, 7));
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {
    Vec at = b.around(4, 40);
    tree(b, at.x, at.y, r.scale(0.5f, 2), r.chance(0.15f));
  }
  int bench = b.material(PLANKS, WOOD);
  for (int i = 0, n = r.pick(6); i < n; i++) {
    Vec at = b.around(2.5f, 15);
    float yaw = r.angle();
    b.add(ROUND_BOX, SOLID, bench, at + vec(0, 0, b.s.ground.level + 0.42f), 0.9f, 0.25f, 0.05f, yaw).a = 0.02f;
    b.fence(RAILS, bench, vec(at.x - sinf(yaw) * 0.25f, at.y + cosf(yaw) * 0.25f, b.s.ground.level + 0.4f), 0.9f, 0.45f, yaw, 0.13f, 0.08f);
  }
  if (r.chance(0.3f)) {  // a monument
    Vec at = b.around(6, 25);
    float h = r.range(1, 4);
    int stone = b.material(MOTTLED, STONE);
    b.add(BOX, SOLID, stone, at + vec(0, 0, b.s.ground.level + h * 0.5f), h * 0.5f, h * 0.5f, h * 0.5f, r.angle());
    b.add(r.chance(0.5f) ? FRUSTUM : ROCK, SOLID, stone, at + vec(0, 0, b.s.ground.level + h * 1.8f), h * 0.3f, h * 0.2f, h * 0.8f, 0, r.next()).a = 0.4f;
  }
  crowd(b, r.pick(40), 2, 35);
  for (int i = 0, n = r.pick(4); i < n; i++) figure(b, b.on_land(b.around(2, 7)));
  colour_the_night(b, 0.6f);
}
