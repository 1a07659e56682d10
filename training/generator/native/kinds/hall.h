// A large hall: nave, factory, museum. Columns, tall windows, beams, galleries, rows of seats or machines.
#pragma once
#include "room.h"

static void kind_hall(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  float hx = r.range(5, 16), hy = r.range(6, 30), high = r.range(4.5f, 16), z = -s.eye;
  Shape& placed = room_shell(b, hx, hy, high);
  if (r.chance(0.3f)) placed.kind |= 16;
  for (int i = 0; i < 4; i++) placed.kind |= r.chance(0.3f) << i;
  const Shape room = placed;
  s.reach = 3;
  int stone = b.material(r.chance(0.5f) ? MOTTLED : PLAIN, r.chance(0.5f) ? SAND : CREAM), wood = b.material(PLANKS, WOOD);
  float inner = hx * r.range(0.45f, 0.8f), step = fmaxf(hy / 6, 2.0f), thick = r.range(0.15f, 0.6f);
  bool round = r.chance(0.7f);
  for (float y = -hy + step * 0.5f; y < hy; y += step)
    for (int side = -1; side < 2; side += 2) {
      Vec at = vec(room.at.x + side * inner, room.at.y + y, room.at.z);
      b.add(round ? FRUSTUM : BOX, SOLID, stone, at, thick, thick * (round ? 0.9f : 1.0f), room.hz, 0, 5);
      if (round) b.add(BOX, SOLID, stone, at + vec(0, 0, -room.hz + 0.2f), thick * 1.4f, thick * 1.4f, 0.2f, 0, 5);
    }
  if (r.chance(0.5f))
    for (float y = -hy + step; y < hy; y += step) b.add(BOX, SOLID, wood, vec(room.at.x, room.at.y + y, room.at.z + room.hz - 0.3f), hx, 0.15f, 0.25f, 0, 9);
  if (r.chance(0.4f))
    for (int side = -1; side < 2; side += 2) {  // galleries
      float up = high * r.range(0.35f, 0.6f);
      b.add(BOX, SOLID, stone, vec(room.at.x + side * (hx + inner) * 0.5f, room.at.y, z + up), (hx - inner) * 0.5f, hy, 0.15f, 0, 5);
      b.fence(r.chance(0.5f) ? PICKETS : LATTICE, b.metal, vec(room.at.x + side * inner, room.at.y, z + up + 0.15f), hy, 1.0f, PI / 2, r.range(0.12f, 0.4f), 0.04f);
    }
  curtains(b, room);
  int kind = r.pick(3), n = 8 + r.pick(24), machine = b.material(PANELS, r.chance(0.5f) ? GREYS : VIVID);
  for (int i = 0; i < n; i++) {
    float x = room.at.x + r.range(-0.9f, 0.9f) * inner, y = room.at.y + r.range(-0.9f, 0.9f) * hy;
    if (kind == 0) {
      b.add(ROUND_BOX, SOLID, wood, vec(x, y, z + 0.45f), r.range(0.8f, 2), 0.25f, 0.06f).a = 0.03f;
      b.add(BOX, SOLID, wood, vec(x, y + 0.25f, z + 0.55f), r.range(0.8f, 2), 0.04f, 0.5f, 0, 4);
    } else if (kind == 1) {
      float h = r.scale(0.3f, 2);
      b.add(r.chance(0.6f) ? ROUND_BOX : FRUSTUM, SOLID, machine, vec(x, y, z + h), r.range(0.3f, 1.3f), r.range(0.3f, 1.3f), h, r.range(-0.1f, 0.1f), r.next()).a = 0.08f;
    } else {
      float h = r.range(0.4f, 0.6f);
      b.add(BOX, SOLID, stone, vec(x, y, z + h), 0.4f, 0.4f, h, r.angle(), 6);
      b.add(ROCK, SOLID, stone, vec(x, y, z + 2 * h + 0.5f), 0.35f, 0.35f, 0.7f, r.angle(), r.next()).a = 0.5f;
    }
  }
  for (int i = 0, k = 2 + r.pick(5); i < k; i++) room_lamp(b, room.at.x + r.range(-0.7f, 0.7f) * inner, room.at.y + r.range(-0.8f, 0.8f) * hy, z + high);
  for (int i = 0, k = r.pick(16); i < k; i++) person(b, vec(room.at.x + r.range(-0.9f, 0.9f) * inner, room.at.y + r.range(-0.9f, 0.9f) * hy, z));
  for (int i = 0, k = r.pick(3); i < k; i++) figure(b, vec(room.at.x + r.range(-0.8f, 0.8f) * inner, room.at.y + r.range(-0.5f, 0.5f) * hy, z));
}
