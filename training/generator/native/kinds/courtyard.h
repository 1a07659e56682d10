// A court with arcades: columns, arches, a well or a tree in the middle, tiled ground.
#pragma once
#include "../objects.h"

static void kind_courtyard(Builder& b) {
  begin(b, -1);
  pave(b);
  Random& r = b.r;
  float half = r.range(4, 15), tall = r.range(3, 12), z = b.s.ground.level, cx = r.range(-0.4f, 0.4f) * half, cy = r.range(-0.4f, 0.4f) * half, yaw = r.angle();
  int wall = b.facade(), column = b.material(r.chance(0.5f) ? PLAIN : MOTTLED, r.chance(0.6f) ? SAND : PLASTER);
  float c = cosf(yaw), s = sinf(yaw), aisle = r.chance(0.6f) ? r.range(1.5f, 3.5f) : 0, arch = fminf(tall * 0.6f, r.range(2.6f, 4));
  for (int side = 0; side < 4; side++) {
    float a = side * PI / 2, nx = sinf(a), ny = cosf(a);
    auto at = [&](float along, float out, float up) {
      float x = nx * out + ny * along + cx, y = ny * out - nx * along + cy;
      return vec(c * x - s * y, s * x + c * y, z + up);
    };
    float facing = yaw - a;
    b.add(BOX, SOLID, wall, at(0, half + aisle + 2, tall * 0.5f), half + aisle + 4, 2, tall * 0.5f, facing, r.next());
    if (r.chance(0.4f)) b.add(BOX, SOLID, wall, at(r.range(-0.5f, 0.5f) * half, half + aisle + 4, tall * 1.2f), half * 0.5f, 2, tall * 0.5f, facing, r.next());
    if (aisle > 0) {
      b.add(BOX, SOLID, wall, at(0, half + aisle * 0.5f, (tall + arch) * 0.5f), half + aisle, aisle * 0.5f, (tall - arch) * 0.5f, facing, r.next());
      float thick = r.range(0.12f, 0.35f);
      for (float k = -half; k <= half + 0.1f; k += fmaxf(2 * half / 8, 1.6f)) {
        b.add(FRUSTUM, SOLID, column, at(k, half + 0.2f, arch * 0.5f), thick, thick * 0.85f, arch * 0.5f, 0, 3);
        b.add(BOX, SOLID, column, at(k, half + 0.2f, arch - 0.1f), thick * 1.4f, thick * 1.4f, 0.1f, facing, 3);
      }
    } else {
      for (int i = 0, n = r.pick(4); i < n; i++) b.add(BOX, SOLID, b.material(PLANKS, WOOD), at(r.range(-0.8f, 0.8f) * half, half, 1.1f), 0.6f, 0.08f, 1.1f, facing, r.next());
    }
    if (r.chance(0.3f)) b.fence(r.chance(0.5f) ? PICKETS : LATTICE, b.metal, at(0, half - 0.6f, 0), half * 0.6f, r.range(0.6f, 1.2f), facing, r.range(0.1f, 0.3f), 0.03f);
  }
  if (r.chance(0.4f)) fountain(b, c * cx - s * cy + r.sign() * 2.5f, s * cx + c * cy + r.sign() * 2.5f, r.range(0.8f, 1.8f));
  for (int i = 0, n = r.pick(8); i < n; i++) {
    Vec p = b.around(1.8f, half);
    float size = r.range(0.2f, 0.5f);
    b.add(FRUSTUM, SOLID, b.material(PLAIN, BRICK), p + vec(0, 0, z + size * 0.5f), size * 0.6f, size * 0.9f, size * 0.5f);
    Shape& plant = b.add(FOLIAGE, VEGETATION, b.leaf, p + vec(0, 0, z + size * 1.9f), size * 1.2f, size * 1.2f, size, 0, r.next());
    plant.a = 0.3f;
    plant.b = 9;
  }
  if (r.chance(0.5f)) tree(b, c * cx - s * cy + r.sign() * 3, s * cx + c * cy + r.sign() * 3, r.range(0.5f, 1.2f));
  crowd(b, r.pick(8), 2, half);
  for (int i = 0, n = r.pick(5); i < n; i++) {
    Vec p = b.around(2.5f, half);
    street_lamp(b, p.x, p.y, r.range(1.5f, 3.5f));
  }
  colour_the_night(b, 0.5f);
}
