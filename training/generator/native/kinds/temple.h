// Temples and ruins: columns, stairs, broken walls, statues, smoke of incense, mist, pilgrims.
#pragma once
#include "../objects.h"

static void kind_temple(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  pave(b);
  if (r.chance(0.4f)) {
    b.rough_land(r.range(0, 0.6f), 6, r.range(0, 40), 90, 30, 150);
    b.stand();
  }
  if (r.chance(0.5f)) {  // mist near the ground, bright as the sky
    s.fog = r.scale(0.01f, 0.12f);
    s.fog_height = r.scale(0.5f, 8);
    s.fog_colour = mix(s.sky.horizon, grey(0.7f), r.unit()) * (s.night ? 0.3f : 1.0f);
  }
  float z = s.ground.level;
  int stone = b.material(r.chance(0.5f) ? MOTTLED : BRICKS, r.chance(0.6f) ? SAND : STONE), roof = b.material(FOLDS, r.chance(0.5f) ? BRICK : DARK);
  for (int i = 0, n = 1 + r.pick(3); i < n; i++) {
    Vec p = b.around(9, 35);
    float yaw = atan2f(-p.x, p.y) + r.range(-0.4f, 0.4f), hx = r.range(3, 8), h = r.range(3, 8), steps = 2 + r.pick(5);
    float c = cosf(yaw), sn = sinf(yaw);
    auto at = [&](float x, float y, float up) { return vec(p.x + c * x - sn * y, p.y + sn * x + c * y, z + up); };
    for (int k = 0; k < steps; k++) b.add(BOX, SOLID, stone, at(0, 0, 0.15f + 0.3f * k), hx + 0.5f * (steps - k), hx * 0.8f + 0.5f * (steps - k), 0.15f, yaw, 3);
    float base = 0.3f * steps;
    for (float x = -hx; x <= hx + 0.01f; x += hx / 3)
      for (int side = -1; side < 2; side += 2) {
        float broken = r.chance(0.2f) ? r.range(0.2f, 0.8f) : 1;
        b.add(FRUSTUM, SOLID, stone, at(x, side * hx * 0.75f, base + h * 0.5f * broken), 0.35f, 0.28f, h * 0.5f * broken, 0, 4);
      }
    b.add(BOX, SOLID, stone, at(0, 0, base + h * 0.5f), hx * 0.7f, hx * 0.5f, h * 0.5f, yaw, 5);
    int tiers = 1 + r.pick(4);
    for (int k = 0; k < tiers; k++) {
      float w = hx * (1.3f - 0.25f * k);
      b.add(r.chance(0.6f) ? FRUSTUM : BOX, SOLID, roof, at(0, 0, base + h + 0.6f + 1.6f * k), w, w * (0.3f + 0.1f * k), 0.6f, yaw, 6);
    }
  }
  for (int i = 0, n = r.pick(8); i < n; i++) {  // lanterns, braziers, incense
    Vec p = b.on_land(b.around(2.5f, 12));
    float h = r.range(0.5f, 1.4f);
    b.add(FRUSTUM, SOLID, stone, p + vec(0, 0, h * 0.5f), 0.25f, 0.18f, h * 0.5f);
    b.add(FRUSTUM, SOLID, stone, p + vec(0, 0, h + 0.1f), 0.2f, 0.4f, 0.12f);
    if (r.chance(0.4f)) fire(b, p + vec(0, 0, h + 0.2f), 0.4f);
    if (r.chance(0.5f)) {
      Shape& plume = b.add(CARD, SOLID, b.plain(grey(r.range(0.5f, 0.9f))), p + vec(0, 0, h + 1.4f), 0.5f, 0.1f, 1.3f, 0, r.next());
      plume.kind = SMOKE;
      plume.label = MOVER;
      plume.velocity = vec(s.breeze.x, s.breeze.y, 0.5f);
    }
    if (s.materials > MAX_MATERIALS - 4) break;
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {
    Vec p = b.on_land(b.around(2, 18));
    b.add(BOX, SOLID, stone, p + vec(0, 0, 0.2f), r.range(0.2f, 0.8f), r.range(0.2f, 0.6f), r.range(0.15f, 0.4f), r.angle(), r.next());
  }
  for (int i = 0, n = r.pick(18); i < n; i++) {
    Vec p = b.around(6, 60);
    tree(b, p.x, p.y, r.scale(0.4f, 2.5f));
  }
  crowd(b, r.pick(20), 2.5f, 25);
  colour_the_night(b, 0.5f);
}
