// A gorge with waterfalls, a pool or a river that runs away from them, wet rocks, ferns, spray.
#pragma once
#include "../objects.h"

static void kind_waterfall(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  b.rough_land(r.range(0.2f, 1.2f), r.range(2, 6), 0, 60, 20, 100);
  s.ground.valley_wall = r.range(4, 25);
  s.ground.valley_wide = r.range(3, 10);
  s.ground.material = b.material(MOTTLED, r.chance(0.6f) ? STONE : GREENS);
  s.ground.second = b.countryside();
  b.stand();
  s.ground.raise += 0.1f;
  s.water.shown = 1;
  s.water.level = -s.eye - r.range(0, 0.4f);
  s.eye = fmaxf(s.eye, 1.2f);
  s.water.wave = r.range(0, 0.12f);
  s.water.wave_size = r.range(1, 4);
  s.water.foam = r.range(0.3f, 1);
  Vec along = vec(s.ground.along_x, s.ground.along_y, 0), across = vec(-along.y, along.x, 0);
  s.water.flow = along * r.range(0.4f, 2);
  int stone = b.material(MOTTLED, STONE), white = b.plain(grey(0.85f));
  float d = r.range(6, 30), high = r.range(3, 20);
  Vec head = along * -d;
  for (int i = 0, n = 8 + r.pick(10); i < n; i++) {  // the wall
    float size = high * r.range(0.25f, 0.5f), side = r.range(-1, 1);
    rock(b, head - along * size * 1.7f + across * (side * s.ground.valley_wide * 2.2f) + vec(0, 0, s.water.level + high * r.range(0.1f, 0.85f)), stone, size, GROUND);
  }
  b.add(BOX, GROUND, stone, head - along * 3.0f + vec(0, 0, s.water.level + high * 0.5f - 0.3f), s.ground.valley_wide * 3, 2.5f, high * 0.5f, atan2f(across.y, across.x), r.next());
  for (int i = 0, n = 1 + r.pick(4); i < n; i++) {
    float half = r.range(0.4f, s.ground.valley_wide * 0.7f), h = i ? high * r.range(0.3f, 0.9f) : high;
    Vec foot = head + across * (i ? r.range(-1.5f, 1.5f) * s.ground.valley_wide : 0) + along * (i ? r.range(0, 0.4f) * d : 0.2f) + vec(0, 0, s.water.level);
    Shape& fall = b.fence(FALL, white, foot, half, h, atan2f(across.y, across.x) + r.range(-0.3f, 0.3f), 1, 0);
    fall.label = WATER;
    fall.velocity = vec(0, 0, -r.range(2, 7));
    if (i) rock(b, foot - along * (0.75f * h + 0.3f) + vec(0, 0, h * 0.4f), stone, h * 0.45f, GROUND);
    Shape& spray = b.add(CARD, WATER, white, foot + along * 0.6f + vec(0, 0, h * 0.12f), half * 1.4f, 0.1f, h * 0.12f, 0, r.next());
    spray.kind = JET;
  }
  for (int i = 0, n = 6 + r.pick(20); i < n; i++) {
    Vec p = b.around(1.8f, 20);
    rock(b, b.on_land(p) + vec(0, 0, 0.1f), stone, r.scale(0.15f, 1.6f), GROUND);
  }
  for (int i = 0, n = 4 + r.pick(20); i < n; i++) {
    Vec p = b.around(3, 35);
    if (b.land(p.x, p.y) > s.water.level + 0.2f) tree(b, p.x, p.y, r.scale(0.3f, 1.8f));
  }
  for (int i = 0, n = r.pick(22); i < n; i++) {
    Vec p = b.around(1.7f, 14);
    if (b.land(p.x, p.y) > s.water.level) bush(b, p.x, p.y, b.leaf2, r.scale(0.15f, 0.9f));
  }
  if (r.chance(0.3f)) crowd(b, 1 + r.pick(3), 3, 12);
}
