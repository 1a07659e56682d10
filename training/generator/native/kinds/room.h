// A living room, bedroom or office: rounded furniture, bright windows, curtains, lamps, pictures, carpets.
#pragma once
#include "../objects.h"

// Walls, floor and ceiling; returns the room. Windows are real holes: behind them is the (often blinding) sky.
static Shape& room_shell(Builder& b, float hx, float hy, float high) {
  Random& r = b.r;
  Scene& s = b.s;
  s.indoor = 1;
  s.ground.shown = 0;
  s.reach = 1.5f;
  int wall = b.material(r.chance(0.6f) ? PLAIN : r.chance(0.5f) ? STRIPES : PLANKS, r.chance(0.7f) ? CREAM : PLASTER);
  s.material[wall].gloss = 0;
  int floor = b.material(r.chance(0.5f) ? PLANKS : r.chance(0.5f) ? TILES : CARPET, r.chance(0.5f) ? WOOD : GREYS);
  if (r.chance(0.3f)) s.material[floor].gloss = r.range(0.1f, 0.4f);
  b.material(r.chance(0.8f) ? PLAIN : PLANKS, r.chance(0.8f) ? CREAM : WOOD);  // the ceiling: the second after the wall
  if (s.night) {
    s.ambient = grey(r.range(0.03f, 0.25f)) + hsv(r.range(0.05f, 0.12f), 0.5f, r.range(0.02f, 0.2f));
  } else {
    float bright = r.scale(0.6f, 5);  // a camera exposed for the room sees white windows
    s.sky.zenith = mix(s.sky.zenith, grey(1), r.unit()) * bright;
    s.sky.horizon = mix(s.sky.horizon, grey(1), r.unit()) * bright;
    s.ambient = grey(r.range(0.2f, 0.7f)) + b.colour(CREAM) * 0.2f;
  }
  s.ambient_below = s.ambient * r.range(0.5f, 1);
  s.fog = 0;
  Shape& p = b.add(ROOM, SOLID, wall, vec(r.range(-0.5f, 0.5f) * (hx - 0.7f), r.range(-0.5f, 0.5f) * (hy - 0.7f), -s.eye + high * 0.5f), hx, hy, high * 0.5f, 0, r.next());
  for (int i = 0; i < 4; i++) p.kind |= r.chance(0.35f) << i;
  if (r.chance(0.05f)) p.kind |= 16;
  return p;
}
// A point of the floor near a wall (0..3 as in the room's faces) and the turn of what leans on it.
static Vec by_wall(Builder& b, const Shape& room, int wall, float out, float* yaw) {
  float along = b.r.range(-0.8f, 0.8f);
  *yaw = wall == 0 ? -PI / 2 : wall == 1 ? PI / 2 : wall == 2 ? 0 : PI;
  return wall < 2 ? vec(room.at.x + (wall ? -1 : 1) * (room.hx - out), room.at.y + along * (room.hy - 0.8f), 0)
                  : vec(room.at.x + along * (room.hx - 0.8f), room.at.y + (wall == 3 ? -1 : 1) * (room.hy - out), 0);
}
static void curtains(Builder& b, const Shape& room) {
  Random& r = b.r;
  int cloth = b.material(r.chance(0.5f) ? PLAIN : FOLDS, r.chance(0.6f) ? CREAM : ANY);
  b.s.material[cloth].c = mix(b.s.material[cloth].a, b.s.sky.zenith, 0.5f);
  b.s.material[cloth].glow = b.s.night ? 0.0f : r.range(0, 1.2f);  // daylight through them
  for (int wall = 0; wall < 4; wall++) {
    if (!((room.kind >> wall) & 1)) continue;
    for (int i = 0, n = 1 + r.pick(4); i < n; i++) {
      float yaw;
      Vec at = by_wall(b, room, wall, 0.16f, &yaw);
      Shape& p = b.fence(CURTAIN, cloth, vec(at.x, at.y, room.at.z - room.hz + 0.05f), r.range(0.25f, 1.3f), 2 * room.hz * r.range(0.75f, 0.97f), yaw, r.range(0.1f, 0.3f), 0);
      p.velocity = vec(0, 0, 0);
    }
  }
}

static void kind_room(Builder& b) {
  begin(b, -1);
  Random& r = b.r;
  Scene& s = b.s;
  s.eye = r.range(1.0f, 1.75f);
  s.ground.level = -s.eye;
  float hx = r.range(1.6f, 5), hy = r.range(1.8f, 7), high = r.range(2.3f, 4);
  Shape& placed = room_shell(b, hx, hy, high);
  const Shape room = placed;
  float z = -s.eye;
  curtains(b, room);
  int cloth = b.material(r.chance(0.6f) ? PLAIN : r.chance(0.5f) ? STRIPES : DOTS, ANY), wood = b.material(PLANKS, WOOD);
  for (int i = 0, n = 3 + r.pick(8); i < n; i++) {
    float yaw;
    int wall = r.pick(4), what = r.pick(7);
    Vec at = by_wall(b, room, wall, what == 1 ? 1.2f : 0.55f, &yaw);
    if (what == 0) {
      sofa(b, at.x, at.y, yaw, cloth, r.range(0.4f, 1.2f));
    } else if (what == 1) {
      bed(b, at.x, at.y, yaw, wood);
    } else if (what == 2) {  // a cupboard or shelves
      float h = r.range(0.35f, high * 0.45f);
      b.add(BOX, SOLID, r.chance(0.5f) ? wood : b.material(PANELS, WOOD), vec(at.x, at.y, z + h), r.range(0.3f, 1), 0.25f, h, yaw, r.next());
    } else if (what == 3) {  // a picture, a mirror or a screen
      bool screen = r.chance(0.3f);
      float yaw2;
      Vec hung = by_wall(b, room, wall, 0.03f, &yaw2);
      int m = screen ? b.material(SIGN, VIVID) : b.material(r.chance(0.5f) ? MOTTLED : PAVING, ANY);
      b.add(BOX, screen ? FIRE : SOLID, m, vec(hung.x, hung.y, z + r.range(1.2f, 1.9f)), r.range(0.2f, 0.8f), 0.03f, r.range(0.15f, 0.5f), yaw2, r.next());
    } else if (what == 4) {
      room_lamp(b, at.x, at.y, z + high);
    } else if (what == 5) {  // a plant in a pot
      float size = r.range(0.12f, 0.25f);
      b.add(FRUSTUM, SOLID, b.material(PLAIN, BRICK), vec(at.x, at.y, z + size), size * 0.7f, size, size);
      Shape& p = b.add(FOLIAGE, VEGETATION, b.leaf, vec(at.x, at.y, z + size * 4), size * 2, size * 2, size * 2.4f, 0, r.next());
      p.a = 0.33f;
      p.b = 12;
    } else {
      table(b, at.x, at.y, yaw, wood, r.range(0.3f, 0.8f), r.range(0.25f, 0.5f), r.range(0.4f, 0.8f));
    }
  }
  Vec middle = vec(room.at.x + r.range(-0.4f, 0.4f) * hx, room.at.y + r.range(-0.4f, 0.4f) * hy, 0);
  if (r.chance(0.7f)) {
    table(b, middle.x, middle.y, r.angle(), wood, r.range(0.4f, 0.9f), r.range(0.3f, 0.6f), r.range(0.4f, 0.78f));
    for (int i = 0, n = r.pick(5); i < n; i++) chair(b, middle.x + r.range(-1.1f, 1.1f), middle.y + r.range(-1.1f, 1.1f), r.angle(), wood);
    for (int i = 0, n = r.pick(4); i < n; i++) {
      float size = r.range(0.05f, 0.12f);
      b.add(r.chance(0.5f) ? FRUSTUM : ELLIPSOID, SOLID, b.material(PLAIN, ANY), vec(middle.x + r.range(-0.3f, 0.3f), middle.y + r.range(-0.2f, 0.2f), z + 0.8f + size), size, size * 0.8f, size);
    }
  }
  b.add(BOX, GROUND, b.material(CARPET, ANY), vec(middle.x, middle.y, z + 0.006f), r.range(0.6f, 1.6f), r.range(0.6f, 1.6f), 0.006f, r.range(-0.2f, 0.2f));
  for (int i = 0, n = 1 + r.pick(3); i < n; i++) room_lamp(b, room.at.x + r.range(-0.8f, 0.8f) * hx, room.at.y + r.range(-0.8f, 0.8f) * hy, z + high);
  if (r.chance(0.5f))
    for (int i = 0; i < 4; i++) b.add(BOX, FIRE, b.lamp, vec(room.at.x + r.range(-0.7f, 0.7f) * hx, room.at.y + r.range(-0.7f, 0.7f) * hy, z + high - 0.02f), r.range(0.05f, 0.6f), r.range(0.05f, 0.3f), 0.02f);
  if (r.chance(0.4f)) figure(b, vec(room.at.x + r.range(-0.7f, 0.7f) * hx, room.at.y + r.range(-0.7f, 0.7f) * hy, z));
}
