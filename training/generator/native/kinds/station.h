// A platform: roof on columns and trusses, rails, trains, clocks, people with luggage.
#pragma once
#include "../objects.h"

static void kind_station(Builder& b) {
  begin(b, -1);
  pave(b);
  Random& r = b.r;
  Scene& s = b.s;
  float z = s.ground.level, wide = r.range(5, 16), tall = r.range(3.5f, 12);
  int steel = b.material(r.chance(0.6f) ? PLAIN : FOLDS, r.chance(0.5f) ? DARK : GREYS), roof = b.material(r.chance(0.5f) ? FOLDS : PLANKS, GREYS);
  bool vault = r.chance(0.45f);
  if (vault) {
    Shape& p = b.add(VAULT, SOLID, roof, vec(r.range(-1, 1), 0, z), wide, r.range(40, 90), tall);
    p.kind = 1;
    s.indoor = 1;
    s.ambient = s.ambient + grey(r.range(0.05f, 0.4f));
    for (float y = -36; y <= 36; y += r.range(4, 8)) {
      Vec last = p.at;
      for (int i = 0; i <= 6; i++) {
        float a = PI * (i / 6.0f - 0.5f) * 0.98f;
        Vec at = p.at + vec(wide * 0.985f * sinf(a), y, tall * 0.985f * cosf(a));
        if (i) b.bar(last, at, 0.12f, steel);
        last = at;
      }
    }
  } else {
    b.add(BOX, SOLID, roof, vec(0, 0, z + tall * 0.6f + 0.15f), wide * 0.7f, 60, 0.15f);
    for (float y = -40; y <= 40; y += r.range(4, 8)) b.bar(vec(-wide * 0.7f, y, z + tall * 0.57f), vec(wide * 0.7f, y, z + tall * 0.57f), 0.09f, steel);
  }
  for (int side = -1; side < 2; side += 2)
    for (float y = -40; y <= 40; y += r.range(5, 9)) {
      float x = side * wide * (vault ? 0.8f : 0.45f);
      b.add(FRUSTUM, SOLID, steel, vec(x, y, z + tall * 0.3f), 0.16f, 0.12f, tall * 0.3f, 0, 2);
      if (r.chance(0.5f)) b.bar(vec(x, y, z + tall * 0.42f), vec(x - side * 1.2f, y, z + tall * 0.58f), 0.06f, steel);
    }
  float edge = r.range(2, wide * 0.4f);
  for (int side = -1; side < 2; side += 2) {
    if (r.chance(0.25f)) continue;
    float x = side * (edge + 1.9f);
    b.add(BOX, GROUND, b.material(MOTTLED, DARK), vec(side * (edge + 2), 0, z + 0.002f), 1.6f, 90, 0.004f);
    for (int k = -1; k < 2; k += 2) b.bar(vec(x + 0.75f * k, -90, z + 0.06f), vec(x + 0.75f * k, 90, z + 0.06f), 0.05f, b.metal);
    if (!r.chance(0.6f)) continue;
    int body = b.material(FACADE, r.chance(0.5f) ? VIVID : CREAM);
    s.material[body].high = 3.2f;
    s.material[body].wide = r.range(1, 2.2f);
    s.material[body].opening = 0.2f;
    float speed = r.chance(0.6f) ? r.sign() * r.range(1, 15) : 0, y0 = r.range(-50, 20);
    for (int i = 0, n = 1 + r.pick(4); i < n; i++) {
      Shape& p = b.add(ROUND_BOX, MOVER, body, vec(x + side * 0.2f, y0 + 20.5f * i, z + 1.9f), 1.4f, 10, 1.75f, 0, 11);
      p.a = 0.35f;
      p.velocity = vec(0, speed, 0);
      Shape& under = b.add(BOX, MOVER, b.dark, vec(x + side * 0.2f, y0 + 20.5f * i, z + 0.25f), 1.2f, 9, 0.25f);
      under.velocity = p.velocity;
    }
  }
  for (int i = 0, n = 2 + r.pick(5); i < n; i++) {
    float y = r.range(-25, 25);
    b.add(BOX, FIRE, b.lamp, vec(r.range(-0.5f, 0.5f) * edge, y, z + tall * 0.55f - 0.3f), 0.1f, 0.7f, 0.04f);
    if (s.night || vault) b.light(vec(0, y, z + tall * 0.5f), s.material[b.lamp].a * r.range(2, 9));
  }
  for (int i = 0, n = r.pick(4); i < n; i++) sign(b, vec(r.range(-1, 1) * edge, r.sign() * r.range(3, 20), z + r.range(2.4f, 3.4f)), r.range(-0.1f, 0.1f));
  for (int i = 0, n = 4 + r.pick(30); i < n; i++) person(b, vec(r.range(-1, 1) * edge, r.sign() * r.scale(2, 40), z));
  for (int i = 0, n = r.pick(4); i < n; i++) figure(b, vec(r.range(-1, 1) * edge, r.sign() * r.range(2, 6), z));
}
