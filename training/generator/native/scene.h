// What a scene is made of: plain data that is laid out on the host and copied to the device as it is.
// World: metres, Z up, the eye at the origin.
#pragma once
#include "noise.h"

enum Class { SKY, WATER, GROUND, VEGETATION, SOLID, FIRE, MOVER, CLASSES };

enum ShapeType {
  BOX,        // half sizes hx, hy, hz
  ROUND_BOX,  // the same with edges rounded by a
  ELLIPSOID,  // half axes
  ROCK,       // an ellipsoid eaten away by noise of strength a
  FOLIAGE,    // leaves in an ellipsoid (kind 1: a cone): density threshold a, leaves per metre b
  FRUSTUM,    // upright: radius hx below, hy above, half height hz
  BAR,        // a straight bar from the centre - (hx, hy, hz) to + (hx, hy, hz), radius a
  CARD,       // an upright picture that faces the eye: kind says of what
  FENCE,      // an upright panel along its local x, cut out by a pattern: kind, spacing a, thickness b
  ROOM,       // the inside of a box; bits of kind: openings in walls 0-3 and roof 4, pattern of the openings from seed
  VAULT,      // the inside of a tunnel along local y; kind 1: open ends
  DOME        // the inside of an ellipsoid, eaten away by noise of strength a
};
enum CardKind { PERSON, CARD_TREE, FLAME, JET, CARD_BUSH, SMOKE, FISH, BIRD };
enum FenceKind { PICKETS, RAILS, LATTICE, MESH, CURTAIN, FALL, SAIL };

enum Pattern {
  PLAIN, MOTTLED, BRICKS, TILES, CHECKS, PLANKS, PAVING, FACADE, PANELS, SIGN, LEAVES, DOTS, FOLDS, STRIPES, CAUSTIC, CARPET
};

struct Material {
  int pattern;
  Vec a, b, c;         // colours
  float size;          // of the grain, metres
  float gloss;         // 0 matt, 1 mirror
  float glow;          // strength of its own light
  float wide, high;    // of a brick, tile, storey, fold
  float gap, opening;  // of joints; half size of a window in its cell
  float lit;           // share of the windows that are lit
  float gain;          // roughness of the grain
  uint32_t seed;
};
struct Shape {
  int type, label, material, kind;
  uint32_t seed;
  Vec at;
  float hx, hy, hz;
  float cosine, sine;  // of the turn about Z
  float a, b;
  float radius;   // of the bounding sphere around at
  Vec velocity;   // metres per second
};
struct Light {
  Vec at, colour;
};
struct Burst {  // one firework, at infinity
  Vec direction, inner, outer;
  float radius;  // radians
  int style;     // 0 chrysanthemum, 1 ring, 2 willow, 3 fountain of sparks from below
  uint32_t seed;
};
constexpr int MAX_SHAPES = 288, MAX_MATERIALS = 40, MAX_LIGHTS = 8, MAX_BURSTS = 14;

struct Sky {
  Vec zenith, horizon, below;
  Vec sun_direction, sun;      // sun: colour times strength, of moonlight too
  float sun_size, glow;        // radians; how far its light spreads
  Vec cloud, cloud_shade;
  float cover, cloud_size;
  int cloud_kind;              // 0 flat layer, 1 stretched, 2 billows
  float stars, grain, haze;
  float aurora;
  Vec aurora_low, aurora_high;
  float smoke;                 // billows low in the sky
  Vec smoke_colour;
  float lamps_below;           // light that a city throws at smoke and clouds
  Vec wind;                    // radians per second of the clouds overhead
  int bursts;
  Burst burst[MAX_BURSTS];
};
struct Ground {
  int shown, flat;             // flat: the plane z = level
  float level;                 // below the eye
  float bumps, bump_size;
  float hills, hill_size, hills_from, hills_to;
  int ridged;
  float valley, valley_wide, valley_wall, along_x, along_y;  // a channel along (along_x, along_y)
  float shore, drop, drop_wide;                              // beyond the line at `shore` the land sinks by `drop`
  float raise;                 // puts the land under the eye at the right height
  int material, second;        // second: patches of another material, -1 none
  float roughness, wet, puddles;
};
struct Water {
  int shown;
  float level, wave, wave_size, foam;
  Vec colour, flow;            // flow: metres per second
};
struct Scene {
  uint32_t seed;
  int kind, night, indoor, underwater;
  float eye;                   // height above the ground
  float tilt_x, tilt_y, yaw;   // of the camera, radians
  float pixel;                 // radians
  float reach;                 // metres of ambient occlusion
  float fog, fog_height;       // per metre; metres, 0 = everywhere alike
  float top;                   // nothing of land or water is higher
  float ceiling;               // underwater: height of the surface above the eye
  Vec fog_colour, ambient, ambient_below, breeze;
  Sky sky;
  Ground ground;
  Water water;
  int shapes, materials, lights;
  Material material[MAX_MATERIALS];
  Shape shape[MAX_SHAPES + 1];  // the last one takes what does not fit and is never drawn
  Light light[MAX_LIGHTS];
};
struct Hit {
  float t;          // distance
  Vec normal;       // as modelled, towards the ray
  Vec local;        // where, in the shape's own frame
  float u, v;       // where, on the surface in metres
  int label, material;
  uint32_t seed;
  float shade;      // 0 solid; else how much light reaches inside leaves
  int part;         // what of the shape: see Part
  Vec velocity;
};
enum Part { SURFACE, PART_LEAF, PART_CARD, PART_LAND, PART_WATER, PART_TRUNK, PART_SKIN, PART_TOP, PART_LEGS, PART_CURTAIN, PART_FALL };
