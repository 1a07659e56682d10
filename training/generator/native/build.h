// Laying out a scene on the host: colours, materials and shapes.
#pragma once
#include "terrain.h"

enum Palette { ANY, GREYS, EARTH, GREENS, WOOD, SAND, SNOW, DARK, PLASTER, VIVID, BRICK, AUTUMN, STONE, WATERS, CREAM };

struct Builder {
  Scene& s;
  Random r;
  int time;  // 0 day, 1 overcast, 2 low sun, 3 night, 4 out of this world
  int dark, leaf, leaf2, bark, metal, glass, lamp, sign, sign2;

  Builder(Scene& scene, uint32_t seed) : s(scene), r(seed) {}

  Vec colour(int palette) {
    switch (palette) {
      case GREYS: return hsv(r.unit(), r.range(0, 0.12f), r.range(0.08f, 0.65f));
      case EARTH: return hsv(r.range(0.05f, 0.12f), r.range(0.2f, 0.6f), r.range(0.07f, 0.4f));
      case GREENS: return hsv(r.range(0.17f, 0.36f), r.range(0.3f, 0.85f), r.range(0.04f, 0.4f));
      case WOOD: return hsv(r.range(0.04f, 0.11f), r.range(0.3f, 0.75f), r.range(0.05f, 0.5f));
      case SAND: return hsv(r.range(0.07f, 0.13f), r.range(0.15f, 0.5f), r.range(0.35f, 0.8f));
      case SNOW: return hsv(r.range(0.5f, 0.68f), r.range(0, 0.15f), r.range(0.6f, 0.92f));
      case DARK: return hsv(r.unit(), r.range(0, 0.5f), r.range(0.01f, 0.1f));
      case PLASTER: return hsv(r.chance(0.7f) ? r.range(0.05f, 0.16f) : r.unit(), r.range(0.02f, 0.35f), r.range(0.35f, 0.9f));
      case VIVID: return hsv(r.unit(), r.range(0.5f, 1), r.range(0.2f, 0.9f));
      case BRICK: return hsv(r.range(-0.02f, 0.08f), r.range(0.3f, 0.75f), r.range(0.12f, 0.5f));
      case AUTUMN: return hsv(r.range(0, 0.16f), r.range(0.5f, 0.95f), r.range(0.12f, 0.6f));
      case STONE: return hsv(r.range(0.02f, 0.15f) + (r.chance(0.2f) ? 0.5f : 0), r.range(0.03f, 0.3f), r.range(0.05f, 0.5f));
      case WATERS: return hsv(r.range(0.42f, 0.62f), r.range(0.2f, 0.9f), r.range(0.02f, 0.3f));
      case CREAM: return hsv(r.range(0.06f, 0.15f), r.range(0.0f, 0.18f), r.range(0.6f, 0.92f));
      default: return hsv(r.unit(), r.range(0, 0.9f) * r.unit(), r.range(0.02f, 0.9f));
    }
  }

  // Index of a new material; the last one is used again when there are too many.
  int material(int pattern, int palette) {
    int i = s.materials < MAX_MATERIALS ? s.materials++ : MAX_MATERIALS - 1;
    Material& m = s.material[i];
    m = Material{};
    m.pattern = pattern;
    m.a = colour(palette);
    m.b = mix(m.a, colour(palette), r.range(0.2f, 1));
    m.c = colour(r.chance(0.7f) ? palette : (int)ANY);
    m.size = r.scale(0.25f, 4);
    m.gloss = r.chance(0.15f) ? r.range(0.05f, 0.5f) : 0;
    m.gain = r.range(0.4f, 0.72f);
    m.seed = r.next();
    m.wide = m.high = 1;
    m.gap = 0.03f;
    m.opening = 0.3f;
    switch (pattern) {
      case BRICKS:
        m.wide = r.scale(0.18f, 1.2f);
        m.high = m.wide * r.range(0.3f, 0.6f);
        m.gap = r.range(0.01f, 0.05f);
        m.c = colour(GREYS);
        break;
      case TILES:
        m.wide = r.scale(0.2f, 2.5f);
        m.gap = r.range(0.004f, 0.04f);
        m.c = colour(GREYS);
        break;
      case CHECKS: m.wide = r.scale(0.15f, 1.5f); break;
      case PLANKS:
        m.high = r.scale(0.07f, 0.3f);
        m.gap = r.range(0, 0.05f);
        break;
      case PAVING: m.wide = r.scale(0.1f, 1); break;
      case FACADE:
        m.wide = r.range(1.2f, 4);
        m.high = r.range(2.6f, 4);
        m.gap = r.range(0.15f, 0.47f);
        m.opening = r.range(0.2f, 0.45f);
        m.c = mix(colour(DARK), s.sky.zenith, r.range(0, 0.7f));
        m.lit = s.night ? r.range(0.05f, 0.8f) : (r.chance(0.2f) ? 0.1f : 0);
        m.glow = s.night ? r.range(0.15f, 1.2f) : 0.5f;
        break;
      case PANELS:
        m.wide = r.scale(0.5f, 3);
        m.lit = r.range(0, 0.35f);
        m.glow = r.range(0.2f, 1.2f);
        break;
      case SIGN:
        m.wide = r.scale(0.25f, 2);
        m.glow = r.range(0.6f, 3);
        m.a = grey(0.02f);
        break;
      case DOTS: case FOLDS: case STRIPES: m.wide = r.scale(0.1f, 1); break;
      case CARPET: m.wide = r.scale(0.08f, 0.4f); break;
      case LEAVES: m.size = r.range(0.3f, 1.2f); break;
      default: break;
    }
    return i;
  }
  int any_material(int palette) {
    const int patterns[14] = {MOTTLED, BRICKS, TILES, CHECKS, PLANKS, PAVING, PLAIN, PLAIN, PLAIN, PANELS, DOTS, FOLDS, MOTTLED, PLANKS};
    return material(patterns[r.pick(14)], palette);
  }
  int plain(Vec c, float gloss = 0, float glow = 0) {
    int m = material(PLAIN, GREYS);
    s.material[m].a = s.material[m].b = c;
    s.material[m].gloss = gloss;
    s.material[m].glow = glow;
    return m;
  }
  int facade() {
    int pattern = r.chance(0.72f) ? FACADE : r.chance(0.4f) ? BRICKS : r.chance(0.5f) ? TILES : MOTTLED;
    return material(pattern, r.chance(0.45f) ? PLASTER : r.chance(0.5f) ? BRICK : GREYS);
  }
  int countryside() {
    float q = r.unit();
    int m = material(MOTTLED, q < 0.5f ? GREENS : q < 0.72f ? EARTH : q < 0.82f ? SAND : q < 0.9f ? STONE : AUTUMN);
    s.material[m].size = r.scale(0.5f, 6);
    s.material[m].gain = r.range(0.55f, 0.75f);
    return m;
  }
  int pavement() {
    const int patterns[9] = {MOTTLED, BRICKS, TILES, TILES, PAVING, PAVING, PLAIN, MOTTLED, PLANKS};
    float q = r.unit();
    return material(patterns[r.pick(9)], q < 0.55f ? GREYS : q < 0.8f ? SAND : BRICK);
  }
  int lamp_material(float strength) {
    float hue = r.chance(0.75f) ? r.range(0.07f, 0.14f) : r.unit();
    return plain(hsv(hue, r.range(0.05f, 0.8f), 1), 0, strength);
  }

  // A new shape. One that would hold the eye, and what exceeds MAX_SHAPES, is made but not kept.
  Shape& add(int type, int label, int of, Vec at, float hx, float hy, float hz, float yaw = 0, uint32_t seed = 0) {
    Shape& p = s.shape[s.shapes < MAX_SHAPES ? s.shapes : MAX_SHAPES];
    p = Shape{};
    p.type = type;
    p.label = label;
    p.material = of;
    p.seed = seed;
    p.at = at;
    p.hx = hx;
    p.hy = hy;
    p.hz = hz;
    p.cosine = cosf(yaw);
    p.sine = sinf(yaw);
    float flat = type == FRUSTUM ? fmaxf(hx, hy) : type == CARD ? hx : sqrtf(hx * hx + hy * hy);
    bool round = type == ELLIPSOID || type == ROCK || type == FOLIAGE;
    p.radius = 1.001f * (round ? fmaxf(hx, fmaxf(hy, hz)) : sqrtf(flat * flat + hz * hz)) + (type == BAR ? 0.2f : 0.0f);
    if (type < ROOM && type != BAR) {
      const float margin = 0.55f;
      Vec eye = into(p, at * -1.0f);
      bool near = type == FRUSTUM ? sqrtf(eye.x * eye.x + eye.y * eye.y) < fmaxf(hx, hy) + margin
                  : type == CARD  ? sqrtf(eye.x * eye.x + eye.y * eye.y) < 1.0f
                                  : fabsf(eye.x) < hx + margin && fabsf(eye.y) < hy + margin;
      if (near && fabsf(eye.z) < hz + margin) return s.shape[MAX_SHAPES] = p, s.shape[MAX_SHAPES];
    }
    if (s.shapes < MAX_SHAPES) s.shapes++;
    return p;
  }
  // A bar between two points; one that passes within 30 cm of the eye is not kept.
  Shape& bar(Vec from, Vec to, float radius, int of, int label = SOLID) {
    Vec middle = (from + to) * 0.5f, half = (to - from) * 0.5f;
    Vec axis = normalized(half);
    float along = clampf(-dot(middle, axis), -length(half), length(half));
    if (length(middle + axis * along) < 0.3f + radius) return s.shape[MAX_SHAPES] = Shape{}, s.shape[MAX_SHAPES];
    Shape& p = add(BAR, label, of, middle, half.x, half.y, half.z);
    p.a = radius;
    p.radius = length(half) + radius;
    return p;
  }
  Shape& fence(int kind, int of, Vec foot, float half, float high, float yaw, float space, float thick) {
    Shape& p = add(FENCE, SOLID, of, foot + vec(0, 0, high * 0.5f), half, 0.08f, high * 0.5f, yaw, r.next());
    p.kind = kind;
    p.a = space;
    p.b = thick;
    return p;
  }
  void light(Vec at, Vec colour) {
    if (s.lights < MAX_LIGHTS) s.light[s.lights++] = Light{at, colour};
  }
  float land(float x, float y) const { return s.ground.shown && !s.ground.flat ? land_height(s, x, y, 5) : s.ground.level; }
  // A point around the eye, as likely at any distance on a logarithmic scale.
  Vec around(float nearest, float farthest) {
    float d = r.scale(nearest, farthest), a = r.angle();
    return vec(d * sinf(a), d * cosf(a), 0);
  }
  Vec on_land(Vec p) const { return vec(p.x, p.y, land(p.x, p.y)); }
  void rough_land(float bumps, float bump_size, float hills, float hill_size, float from, float to) {
    Ground& g = s.ground;
    g.flat = 0;
    g.bumps = bumps;
    g.bump_size = bump_size;
    g.hills = hills;
    g.hill_size = hill_size;
    g.hills_from = from;
    g.hills_to = to;
  }
  // Raises the land so that it lies `eye` below the eye.
  void stand() {
    s.ground.raise = 0;
    s.ground.raise = -s.eye - land_height(s, 0, 0, 6);
  }
};
