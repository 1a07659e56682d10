// A tunnel, an underpass, a capsule or a dome: curved walls close by, panels, pipes, screens, lamps.
#pragma once
#include "../objects.h"

static void kind_vault(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  s.indoor = 1;
  s.reach = 2;
  s.fog = r.chance(0.2f) ? r.scale(0.005f, 0.05f) : 0;
  int wall = b.material(r.chance(0.55f) ? PANELS : r.pick(8), r.chance(0.5f) ? PLASTER : GREYS);
  s.material[wall].size = r.range(0.5f, 2);
  s.ambient = grey(r.range(0.06f, 0.5f)) + b.colour(ANY) * 0.1f;
  s.ambient_below = s.ambient * 0.6f;
  float hx, hy, hz;
  bool tunnel = r.chance(0.55f);
  if (tunnel) {
    hx = r.range(1.6f, 5);
    hz = r.range(1.8f, 5);
    hy = r.scale(4, 60);
  } else {
    hx = r.range(1.8f, 7);
    hy = r.range(1.8f, 7);
    hz = r.range(1.8f, 5);
  }
  Shape& shell = b.add(tunnel ? VAULT : DOME, SOLID, wall, vec(r.range(-0.3f, 0.3f), r.range(-0.6f, 0.6f), 0), hx, hy, hz, r.angle());
  shell.kind = tunnel && r.chance(0.4f);
  const Shape p = shell;
  s.eye = fminf(s.eye, hz * 0.8f);
  s.ground.level = -s.eye;
  s.ground.shown = s.ground.flat = r.chance(0.65f);
  pave(b);
  auto inside = [&](float ring, float up, float* turn) {
    float t = r.angle();
    *turn = t;
    Vec q = vec(hx * ring * sinf(t), (tunnel ? fminf(hy, 6.0f) : hy) * ring * cosf(t), 0);
    Vec w = p.at + out_of(p, q);
    return vec(w.x, w.y, up);
  };
  for (int i = 0, n = 6 + r.pick(30); i < n; i++) {
    float t, size = r.range(0.1f, 0.6f);
    Vec at = inside(r.range(0.6f, 0.98f), r.chance(0.5f) ? s.ground.level + size * 0.5f : r.range(-0.9f, 0.9f) * hz * 0.7f, &t);
    bool screen = r.chance(0.2f);
    int what = r.pick(4);
    b.add(what < 2 ? ROUND_BOX : what == 2 ? BOX : FRUSTUM, screen ? FIRE : SOLID, screen ? b.sign : b.any_material(r.chance(0.6f) ? GREYS : ANY), at, size, size * r.range(0.2f, 1), size * r.range(0.4f, 1.3f), t, r.next()).a = size * 0.15f;
    if (s.materials > MAX_MATERIALS - 5) break;
  }
  for (int i = 0, n = r.pick(10); i < n; i++) {  // pipes and rails along the wall
    float t, u;
    Vec from = inside(0.9f, r.range(-0.6f, 0.6f) * hz, &t), to = inside(0.9f, from.z, &u);
    b.bar(from, to, r.range(0.015f, 0.08f), b.metal);
  }
  for (int i = 0; i < 4; i++) {
    float t;
    Vec at = inside(0.7f, hz * r.range(0.2f, 0.6f), &t);
    b.add(r.chance(0.5f) ? ELLIPSOID : ROUND_BOX, FIRE, b.lamp, at, r.range(0.05f, 0.4f), 0.08f, 0.06f, t).a = 0.03f;
    b.light(at - vec(0, 0, 0.15f), mix(grey(1), s.material[b.lamp].a, 0.7f) * r.range(0.5f, 5));
  }
  if (r.chance(0.5f)) {
    float t;
    figure(b, inside(0.5f, s.ground.level, &t));
  }
}
