// What every scene begins with: the time of day, sky, weather, and materials that all kinds use.
#pragma once
#include "build.h"

static void sky_by_day(Builder& b) {
  Sky& k = b.s.sky;
  Random& r = b.r;
  k.zenith = hsv(r.range(0.55f, 0.66f), r.range(0.3f, 0.9f), r.range(0.2f, 0.7f));
  k.horizon = mix(k.zenith, vec(0.85f, 0.88f, 0.92f) * r.range(0.6f, 1), r.range(0.3f, 0.95f));
  k.sun = mix(vec(1, 0.95f, 0.85f), vec(1, 0.8f, 0.55f), r.unit()) * r.range(1, 3.5f);
  k.cloud = grey(r.range(0.7f, 1.2f));
  k.cloud_shade = vec(0.6f, 0.62f, 0.68f) * r.range(0.4f, 1.3f);
}
static void sky_overcast(Builder& b) {
  Sky& k = b.s.sky;
  Random& r = b.r;
  k.zenith = mix(grey(r.range(0.3f, 0.9f)), b.colour(GREYS), 0.3f) * r.range(0.5f, 1);
  k.horizon = k.zenith * r.range(0.7f, 1.5f);
  k.sun = grey(r.range(0, 0.2f));
  k.glow *= 0.5f;
  k.sun_size = 0;
  k.cover = r.range(0.4f, 0.95f);
  k.cloud = k.zenith * r.range(1, 1.6f);
  k.cloud_shade = k.zenith * r.range(0.3f, 0.9f);
}
static void sky_low_sun(Builder& b) {
  Sky& k = b.s.sky;
  Random& r = b.r;
  k.zenith = hsv(r.range(0.55f, 0.85f), r.range(0.2f, 0.8f), r.range(0.08f, 0.5f));
  k.horizon = hsv(r.range(-0.05f, 0.13f), r.range(0.3f, 0.9f), r.range(0.4f, 1));
  k.sun = hsv(r.range(0, 0.12f), r.range(0.3f, 0.9f), 1) * r.range(0.6f, 2.5f);
  k.cloud = mix(k.horizon, vec(1, 0.8f, 0.7f), r.unit());
  k.cloud_shade = mix(k.zenith, vec(0.3f, 0.25f, 0.35f), r.unit()) * r.range(0.3f, 1);
  k.sun_size = r.range(0.01f, 0.07f);
}
static void sky_by_night(Builder& b) {
  Sky& k = b.s.sky;
  Random& r = b.r;
  k.zenith = hsv(r.range(0.5f, 0.8f), r.range(0.2f, 0.9f), r.chance(0.75f) ? r.range(0, 0.06f) : r.range(0.05f, 0.2f));
  k.horizon = r.chance(0.5f) ? k.zenith * r.range(1, 4) : hsv(r.unit(), r.range(0.2f, 0.8f), r.range(0.02f, 0.25f));
  k.sun = vec(0.7f, 0.8f, 1) * r.range(0, 0.12f);
  k.glow *= 0.6f;
  k.stars = r.chance(0.6f) ? r.range(0.2f, 1.5f) : 0;
  k.cloud = k.horizon * r.range(0.6f, 2);
  k.cloud_shade = k.zenith * r.range(0.3f, 1);
  k.cover = r.chance(0.4f) ? r.range(0.3f, 0.7f) : 0;
  if (k.sun_size < 0.015f) k.sun_size = 0;
}
static void sky_elsewhere(Builder& b) {
  Sky& k = b.s.sky;
  k.zenith = b.colour(ANY);
  k.horizon = b.colour(ANY);
  k.sun = b.colour(VIVID) * b.r.range(0, 2);
  k.cloud = b.colour(ANY) * 1.3f;
  k.cloud_shade = b.colour(ANY);
}

// Coloured light without a lamp in sight: a city's glow, a festival.
static void colour_the_night(Builder& b, float chance) {
  if (!b.s.night || b.s.indoor || !b.r.chance(chance)) return;
  Vec glow = hsv(b.r.chance(0.5f) ? b.r.range(0.04f, 0.14f) : b.r.unit(), b.r.range(0.1f, 0.8f), b.r.range(0.02f, 0.3f));
  b.s.ambient = b.s.ambient + glow;
  b.s.ambient_below = b.s.ambient_below + glow * 1.2f;
}
static void add_aurora(Builder& b) {
  Sky& k = b.s.sky;
  k.aurora = b.r.scale(0.15f, 1.8f);
  k.aurora_low = hsv(b.r.chance(0.8f) ? b.r.range(0.28f, 0.52f) : b.r.unit(), b.r.range(0.5f, 0.95f), 1);
  k.aurora_high = b.r.chance(0.6f) ? hsv(b.r.range(0.7f, 0.95f), b.r.range(0.3f, 0.8f), 0.9f) : k.aurora_low;
  Vec glow = k.aurora_low * (0.08f * k.aurora);
  b.s.ambient = b.s.ambient + glow;
  b.s.ambient_below = b.s.ambient_below + glow * 0.5f;
}

// time < 0: any.
static void begin(Builder& b, int time) {
  Scene& s = b.s;
  Random& r = b.r;
  float q = r.unit();
  b.time = time >= 0 ? time : q < 0.37f ? 0 : q < 0.48f ? 1 : q < 0.61f ? 2 : q < 0.92f ? 3 : 4;
  s.night = b.time == 3;
  s.eye = r.chance(0.9f) ? r.range(1.2f, 2.4f) : r.scale(2.4f, 12);
  s.reach = 3;
  s.ground.shown = s.ground.flat = 1;
  s.ground.level = -s.eye;
  s.ground.bump_size = 4;
  s.ground.hill_size = 100;
  s.ground.hills_from = 10;
  s.ground.hills_to = 100;
  s.ground.valley_wide = 5;
  s.ground.drop_wide = 5;
  s.ground.shore = 10;
  float along = r.angle();
  s.ground.along_x = cosf(along);
  s.ground.along_y = sinf(along);
  s.ground.second = -1;
  s.ground.roughness = r.range(0, 1.2f);
  s.water.level = -s.eye - 0.5f;
  s.water.wave_size = 6;
  s.water.foam = r.chance(0.4f) ? r.unit() : 0;

  Sky& k = s.sky;
  float azimuth = r.angle(), elevation = b.time == 2 ? r.range(-0.02f, 0.2f) : b.time == 3 ? r.range(0.2f, 1.2f) : r.range(0.15f, 1.4f);
  k.sun_direction = vec(cosf(elevation) * sinf(azimuth), cosf(elevation) * cosf(azimuth), sinf(elevation));
  k.grain = r.chance(0.3f) ? r.range(0, 0.5f) : 0;
  k.sun_size = r.range(0.005f, 0.05f);
  k.glow = r.range(0.1f, 1);
  k.haze = r.range(0, 0.5f) * r.unit();
  k.cover = r.chance(0.7f) ? r.range(0.25f, 0.75f) : 0;
  k.cloud_size = r.scale(0.4f, 2.5f);
  k.cloud_kind = r.pick(3);
  (b.time == 0 ? sky_by_day : b.time == 1 ? sky_overcast : b.time == 2 ? sky_low_sun : b.time == 3 ? sky_by_night : sky_elsewhere)(b);
  k.below = b.colour(EARTH) * 0.4f;
  float wind = r.angle(), speed = r.range(0.01f, 0.08f);
  k.wind = vec(cosf(wind), sinf(wind), 0) * (k.cover > 0 || k.aurora > 0 ? speed : 0.0f);
  s.breeze = vec(cosf(wind), sinf(wind), 0) * r.range(0.02f, 0.3f);

  s.ambient = mix(k.horizon, k.zenith, 0.6f) * r.range(0.6f, 1.2f);
  if (k.cover > 0) s.ambient = mix(s.ambient, k.cloud, k.cover * 0.5f);
  if (s.night) s.ambient = s.ambient + hsv(r.unit(), r.range(0, 0.6f), r.range(0.01f, 0.08f));
  s.ambient_below = s.ambient * r.range(0.2f, 0.7f);
  s.water.colour = b.colour(WATERS) * r.range(0.3f, 1.2f);
  if (r.chance(0.25f)) s.water.colour = mix(s.water.colour, k.zenith, 0.6f);
  s.fog_colour = mix(k.horizon, s.ambient, 0.3f);
  if (r.chance(0.55f)) s.fog = r.scale(0.0001f, 0.004f);
  if (r.chance(0.12f)) {
    s.fog = r.scale(0.01f, 0.12f);
    s.fog_height = r.chance(0.6f) ? r.scale(0.7f, 15) : 0;
    if (r.chance(0.3f)) s.fog_colour = b.colour(ANY) * (s.night ? 0.3f : 1.0f);
  }

  b.dark = b.material(PLAIN, DARK);
  s.ground.material = b.countryside();
  b.leaf = b.material(LEAVES, r.chance(0.75f) ? GREENS : r.chance(0.6f) ? AUTUMN : (int)ANY);
  b.leaf2 = b.material(LEAVES, r.chance(0.8f) ? GREENS : AUTUMN);
  b.bark = b.material(MOTTLED, r.chance(0.7f) ? WOOD : DARK);
  s.material[b.bark].size = 0.3f;
  b.metal = b.material(PLAIN, r.chance(0.6f) ? DARK : GREYS);
  b.glass = b.plain(b.colour(DARK), 0.6f);
  b.lamp = b.lamp_material(r.range(2, 10));
  b.sign = b.material(SIGN, VIVID);
  b.sign2 = b.material(SIGN, VIVID);
}

// Paving, sometimes patched, sometimes wet: for scenes in towns.
static void pave(Builder& b) {
  b.s.ground.material = b.pavement();
  if (b.r.chance(0.5f)) b.s.ground.second = b.r.chance(0.5f) ? b.pavement() : b.countryside();
  if (b.r.chance(b.s.night ? 0.5f : 0.15f)) {
    b.s.ground.wet = b.r.range(0.2f, 1);
    b.s.ground.puddles = b.r.unit();
  }
}
