// Fields and yards full of thin things: pickets, wire, trellis, scaffolds, masts, bare twigs, washing lines.
#pragma once
#include "../objects.h"

static void kind_fences(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  if (r.chance(0.5f)) {
    b.rough_land(r.range(0, 0.5f), 8, r.range(0, 25), 80, 30, 150);
    b.stand();
  } else {
    pave(b);
  }
  int wood = b.material(PLANKS, WOOD), paint = b.material(PLAIN, r.chance(0.5f) ? CREAM : DARK);
  for (int i = 0, n = 2 + r.pick(6); i < n; i++) {
    float yaw = r.angle(), d = r.scale(1.6f, 25);
    b.fence(r.pick(4), r.chance(0.5f) ? wood : r.chance(0.5f) ? paint : b.metal, b.on_land(vec(d * sinf(yaw), d * cosf(yaw), 0)) - vec(0, 0, 0.1f), r.range(2, 25), r.range(0.7f, 3), -yaw + r.range(-0.5f, 0.5f), r.scale(0.08f, 0.6f), r.scale(0.008f, 0.08f));
  }
  for (int i = 0, n = r.pick(14); i < n; i++) {  // poles and masts
    Vec p = b.on_land(b.around(1.5f, 40));
    float h = r.scale(1, 14);
    b.bar(p, p + vec(r.range(-0.05f, 0.05f) * h, r.range(-0.05f, 0.05f) * h, h), r.scale(0.008f, 0.12f), r.chance(0.5f) ? b.metal : wood);
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {  // wires overhead
    Vec from = b.around(2, 30), to = b.around(2, 30);
    float z = r.range(1.2f, 8);
    b.bar(vec(from.x, from.y, z), vec(to.x, to.y, z + r.range(-1, 1)), r.scale(0.004f, 0.03f), b.dark);
  }
  if (r.chance(0.4f)) {  // a scaffold
    Vec p = b.around(5, 15);
    float yaw = r.angle(), c = cosf(yaw), sn = sinf(yaw);
    auto at = [&](float x, float y, float z) { return vec(p.x + c * x - sn * y, p.y + sn * x + c * y, s.ground.level + z); };
    for (int i = 0; i < 6; i++)
      for (int k = 0; k < 2; k++) b.bar(at(2.0f * i - 5, k, 0), at(2.0f * i - 5, k, 8), 0.03f, b.metal);
    for (int j = 1; j < 5; j++) {
      for (int k = 0; k < 2; k++) b.bar(at(-5, k, 2.0f * j), at(5, k, 2.0f * j), 0.025f, b.metal);
      b.add(BOX, SOLID, wood, at(0, 0.5f, 2.0f * j), 5, 0.5f, 0.03f, yaw);
    }
    b.add(BOX, SOLID, b.facade(), at(0, 4, 4), 6, 2.8f, 4.5f, yaw, r.next());
  }
  for (int i = 0, n = r.pick(8); i < n; i++) {
    Vec p = b.around(3, 30);
    tree(b, p.x, p.y, r.scale(0.3f, 1.5f), r.chance(0.7f));
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {  // crops or grass in clumps
    Vec p = b.around(1.6f, 12);
    bush(b, p.x, p.y, b.leaf2, r.scale(0.1f, 0.5f));
  }
  if (r.chance(0.4f)) {
    int f = b.facade();
    for (int i = 0; i < 3; i++) {
      Vec p = b.around(15, 60);
      building(b, p.x, p.y, r.range(3, 8), r.range(3, 6), r.range(3, 9), r.angle(), f, b.land(p.x, p.y));
    }
  }
  if (r.chance(0.3f)) {
    int cloth = b.material(PLAIN, VIVID);
    for (int i = 0; i < 4; i++) {
      Vec p = b.around(2.5f, 9);
      b.fence(CURTAIN, cloth, b.on_land(p) + vec(0, 0, 0.8f), r.range(0.3f, 0.9f), r.range(0.6f, 1.2f), r.angle(), 0.5f, 0);
    }
  }
  crowd(b, r.pick(5), 2, 20);
}
