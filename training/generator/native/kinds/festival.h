// A festival at night: fireworks and their smoke fill the sky, a crowd below, stages, stalls, lanterns, beams.
#pragma once
#include "plaza.h"

static void kind_festival(Builder& b) {
  begin(b, 3);
  Random& r = b.r;
  Scene& s = b.s;
  pave(b);
  if (r.chance(0.3f)) s.ground.material = b.countryside();
  s.eye = r.range(1.4f, 3.5f);
  s.ground.level = -s.eye;
  Sky& k = s.sky;
  Vec main = hsv(r.chance(0.4f) ? r.range(-0.03f, 0.1f) : r.unit(), r.range(0.3f, 0.9f), 1);
  k.bursts = 2 + r.pick(MAX_BURSTS - 1);
  float front = r.angle(), spread = r.chance(0.5f) ? PI : r.range(0.4f, 1.5f);
  for (int i = 0; i < k.bursts; i++) {
    Burst& f = k.burst[i];
    float a = front + r.range(-spread, spread), e = r.range(0.12f, 0.9f);
    f.direction = vec(cosf(e) * sinf(a), cosf(e) * cosf(a), sinf(e));
    f.radius = r.range(0.06f, 0.32f);
    f.style = r.pick(4);
    if (f.style == 3) f.direction = vec(cosf(0.1f) * sinf(a), cosf(0.1f) * cosf(a), sinf(0.1f));
    f.inner = mix(vec(1, 0.95f, 0.8f), hsv(r.unit(), r.range(0.3f, 0.9f), 1), r.unit()) * r.range(0.8f, 3);
    f.outer = r.chance(0.5f) ? main * r.range(0.6f, 2) : hsv(r.unit(), 0.8f, 1) * r.range(0.6f, 2);
    f.seed = r.next();
  }
  k.smoke = r.chance(0.8f) ? r.range(0.4f, 1.6f) : 0;
  k.smoke_colour = mix(grey(r.range(0.05f, 0.5f)), main * r.range(0.1f, 0.6f), r.unit());
  k.lamps_below = r.range(0, 1);
  k.wind = vec(cosf(front), sinf(front), 0) * r.range(0.01f, 0.05f);
  Vec glow = main * r.range(0.02f, 0.3f);
  s.ambient = s.ambient + glow;
  s.ambient_below = s.ambient_below + glow;
  if (r.chance(0.7f)) buildings_around(b, r.scale(18, 90), r.scale(4, 20));
  if (r.chance(0.5f)) {  // a stage
    float d = r.range(12, 35), x = d * sinf(front), y = d * cosf(front), yaw = -front, z = s.ground.level;
    b.add(BOX, SOLID, b.dark, vec(x, y, z + 0.6f), 7, 3, 0.6f, yaw);
    for (int side = -1; side < 2; side += 2) b.bar(vec(x + 6.5f * side * cosf(yaw), y + 6.5f * side * sinf(yaw), z), vec(x + 6.5f * side * cosf(yaw), y + 6.5f * side * sinf(yaw), z + 8), 0.2f, b.metal);
    b.add(BOX, SOLID, b.dark, vec(x, y, z + 8), 7.5f, 3.2f, 0.3f, yaw);
    b.add(BOX, FIRE, b.sign, vec(x * 1.15f, y * 1.15f, z + 4.2f), 5, 0.1f, 2.4f, yaw, r.next());
    b.light(vec(x * 0.9f, y * 0.9f, z + 6), main * r.range(5, 25));
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {  // stalls
    Vec p = b.around(6, 25);
    float yaw = r.angle();
    b.add(BOX, SOLID, b.material(STRIPES, VIVID), p + vec(0, 0, s.ground.level + 2.3f), 1.4f, 1.2f, 0.15f, yaw, r.next());
    b.add(BOX, SOLID, b.dark, p + vec(0, 0, s.ground.level + 0.5f), 1.3f, 0.4f, 0.5f, yaw);
    for (int c = -1; c < 2; c += 2) b.bar(p + vec(1.3f * c * cosf(yaw), 1.3f * c * sinf(yaw), s.ground.level), p + vec(1.3f * c * cosf(yaw), 1.3f * c * sinf(yaw), s.ground.level + 2.3f), 0.04f, b.metal);
    b.add(ELLIPSOID, FIRE, b.lamp, p + vec(0, 0, s.ground.level + 2.0f), 0.12f, 0.12f, 0.12f);
    if (i < 5) b.light(p + vec(0, 0, s.ground.level + 1.7f), s.material[b.lamp].a * r.range(1, 4));
  }
  for (int i = 0, n = r.pick(16); i < n; i++) {
    Vec p = b.around(3, 25);
    b.add(ELLIPSOID, FIRE, b.lamp_material(r.range(1, 4)), p + vec(0, 0, r.range(1.5f, 8)), 0.18f, 0.18f, 0.25f).velocity = vec(0.1f, 0.05f, 0.3f);
    if (s.materials > MAX_MATERIALS - 6) break;
  }
  crowd(b, 25 + r.pick(110), 1.6f, 30);
  for (int i = 0, n = r.pick(4); i < n; i++) figure(b, b.on_land(b.around(1.8f, 5)));
}
