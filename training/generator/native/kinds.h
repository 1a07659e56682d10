// All kinds of scene and how often each is made.
#pragma once
#include "kinds/abstract.h"
#include "kinds/cave.h"
#include "kinds/coast.h"
#include "kinds/courtyard.h"
#include "kinds/crowd_square.h"
#include "kinds/fences.h"
#include "kinds/festival.h"
#include "kinds/forest.h"
#include "kinds/hall.h"
#include "kinds/harbour.h"
#include "kinds/mountains.h"
#include "kinds/neon_night.h"
#include "kinds/ocean.h"
#include "kinds/park.h"
#include "kinds/plaza.h"
#include "kinds/reef.h"
#include "kinds/roadside.h"
#include "kinds/room.h"
#include "kinds/skyline.h"
#include "kinds/snowfield.h"
#include "kinds/station.h"
#include "kinds/street.h"
#include "kinds/temple.h"
#include "kinds/vault.h"
#include "kinds/waterfall.h"

struct Kind {
  const char* name;
  void (*build)(Builder&);
  int weight;
};
static const Kind KINDS[] = {
    {"street", kind_street, 4},     {"neon_night", kind_neon_night, 3},   {"plaza", kind_plaza, 3},       {"courtyard", kind_courtyard, 3},
    {"skyline", kind_skyline, 3},   {"station", kind_station, 2},         {"room", kind_room, 6},         {"hall", kind_hall, 3},
    {"forest", kind_forest, 4},     {"park", kind_park, 3},               {"coast", kind_coast, 4},       {"ocean", kind_ocean, 3},
    {"mountains", kind_mountains, 3}, {"snowfield", kind_snowfield, 3},   {"festival", kind_festival, 3}, {"crowd_square", kind_crowd_square, 2},
    {"roadside", kind_roadside, 3}, {"fences", kind_fences, 2},           {"harbour", kind_harbour, 2},   {"waterfall", kind_waterfall, 2},
    {"reef", kind_reef, 3},         {"vault", kind_vault, 2},             {"cave", kind_cave, 1},         {"temple", kind_temple, 2},
    {"abstract", kind_abstract, 2},
};
constexpr int KIND_COUNT = sizeof(KINDS) / sizeof(KINDS[0]);

// Lays out the scene of a seed; kind < 0: one at random by weight. yaw is added to the camera's.
static void lay_out(Scene& s, uint32_t seed, int kind, float yaw, int height) {
  memset((void*)&s, 0, sizeof(Scene));
  Builder b(s, seed);
  int total = 0;
  for (const Kind& k : KINDS) total += k.weight;
  int pick = b.r.pick(total), chosen = 0;
  while (pick >= KINDS[chosen].weight) pick -= KINDS[chosen++].weight;
  s.kind = kind < 0 ? chosen : kind;
  s.seed = hash(seed + 1234567u);
  s.pixel = PI / height;
  KINDS[s.kind].build(b);
  const Ground& g = s.ground;
  float land = g.shown ? g.level + g.raise + 0.6f * g.bumps + 1.05f * fmaxf(g.hills, 0) + 1.1f * fmaxf(g.valley_wall, 0) : -1e9f;
  s.top = fmaxf(land, s.water.shown ? s.water.level + s.water.wave : -1e9f);
  s.yaw = b.r.angle() + yaw;
  if (b.r.chance(0.25f)) {  // pictures are not always level
    s.tilt_x = b.r.range(-0.08f, 0.08f);
    s.tilt_y = b.r.range(-0.08f, 0.08f);
  }
}
