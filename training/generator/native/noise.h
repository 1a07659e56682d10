// Hashing, random streams and noise. Everything depends on a seed alone, so a scene is the same on every machine.
#pragma once
#include "vec.h"

// Integer hash (Wellons 2018, "lowbias32").
DEVICE uint32_t hash(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}
DEVICE float unit(uint32_t x) { return (hash(x) >> 8) * (1.0f / 16777216.0f); }  // [0, 1)
DEVICE float unit2(int x, int y, uint32_t s) { return unit((uint32_t)x * 0x9E3779B1u ^ ((uint32_t)y * 0x85EBCA77u) ^ s * 0xC2B2AE3Du); }
DEVICE float unit3(int x, int y, int z, uint32_t s) {
  return unit((uint32_t)x * 0x9E3779B1u ^ ((uint32_t)y * 0x85EBCA77u) ^ ((uint32_t)z * 0x27D4EB2Fu) ^ s * 0xC2B2AE3Du);
}

// A stream of random numbers (O'Neill 2014, PCG).
struct Random {
  uint32_t state;
  explicit Random(uint32_t seed) : state(hash(seed) * 2654435761u + 1u) {
    for (int i = 0; i < 4; i++) next();
  }
  uint32_t next() {
    state = state * 747796405u + 2891336453u;
    uint32_t w = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
    return (w >> 22) ^ w;
  }
  float unit() { return (next() >> 8) * (1.0f / 16777216.0f); }
  float range(float a, float b) { return a + (b - a) * unit(); }
  float scale(float a, float b) { return a * expf(unit() * logf(b / a)); }  // log-uniform
  int pick(int n) { return (int)(next() % (uint32_t)n); }
  bool chance(float p) { return unit() < p; }
  float angle() { return unit() * 2.0f * PI; }
  float sign() { return chance(0.5f) ? 1.0f : -1.0f; }
};

// Value noise in [0, 1], one feature a unit.
DEVICE float noise2(float x, float y, uint32_t s) {
  float fx = floorf(x), fy = floorf(y);
  int i = (int)fx, j = (int)fy;
  x -= fx;
  y -= fy;
  x = x * x * x * (x * (x * 6 - 15) + 10);
  y = y * y * y * (y * (y * 6 - 15) + 10);
  return mix(mix(unit2(i, j, s), unit2(i + 1, j, s), x), mix(unit2(i, j + 1, s), unit2(i + 1, j + 1, s), x), y);
}
DEVICE float noise3(Vec p, uint32_t s) {
  float fx = floorf(p.x), fy = floorf(p.y), fz = floorf(p.z);
  int i = (int)fx, j = (int)fy, k = (int)fz;
  float x = p.x - fx, y = p.y - fy, z = p.z - fz;
  x = x * x * (3 - 2 * x);
  y = y * y * (3 - 2 * y);
  z = z * z * (3 - 2 * z);
  float a = mix(mix(unit3(i, j, k, s), unit3(i + 1, j, k, s), x), mix(unit3(i, j + 1, k, s), unit3(i + 1, j + 1, k, s), x), y);
  float b = mix(mix(unit3(i, j, k + 1, s), unit3(i + 1, j, k + 1, s), x), mix(unit3(i, j + 1, k + 1, s), unit3(i + 1, j + 1, k + 1, s), x), y);
  return mix(a, b, z);
}

// Octaves of noise, turned against each other so that the grid does not show; in [0, 1].
DEVICE_CALL float fbm2(float x, float y, uint32_t s, int octaves, float gain) {
  float strength = 1, total = 0, weight = 0;
  for (int i = 0; i < octaves; i++) {
    total += strength * noise2(x, y, s + i);
    weight += strength;
    strength *= gain;
    float turned = 1.6f * x + 1.2f * y + 7.3f;
    y = -1.2f * x + 1.6f * y + 3.1f;
    x = turned;
  }
  return total / weight;
}
DEVICE_CALL float fbm3(Vec p, uint32_t s, int octaves, float gain) {
  float strength = 1, total = 0, weight = 0;
  for (int i = 0; i < octaves; i++) {
    total += strength * noise3(p, s + i);
    weight += strength;
    strength *= gain;
    p = vec(1.6f * p.x + 1.2f * p.y + 7.3f, -1.2f * p.x + 1.6f * p.y + 3.1f, p.z * 2.0f + 1.7f);
  }
  return total / weight;
}
// The same with sharp crests (Musgrave et al. 1989): mountains, waves, caustics.
DEVICE_CALL float ridged2(float x, float y, uint32_t s, int octaves) {
  float strength = 1, total = 0, weight = 0;
  for (int i = 0; i < octaves; i++) {
    float n = 1 - fabsf(2 * noise2(x, y, s + i) - 1);
    total += strength * n * n;
    weight += strength;
    strength *= 0.5f;
    float turned = 1.6f * x + 1.2f * y + 7.3f;
    y = -1.2f * x + 1.6f * y + 3.1f;
    x = turned;
  }
  return total / weight;
}
// Cells (Worley 1996): distance to the border between cells, and a random number of the cell.
DEVICE float cells2(float x, float y, uint32_t s, float* id) {
  int ix = (int)floorf(x), iy = (int)floorf(y);
  float first = 9, second = 9;
  *id = 0;
  for (int j = -1; j < 2; j++)
    for (int i = -1; i < 2; i++) {
      float px = ix + i + unit2(ix + i, iy + j, s), py = iy + j + unit2(ix + i, iy + j, s + 77);
      float d = squared(px - x) + squared(py - y);
      if (d < first) {
        second = first;
        first = d;
        *id = unit2(ix + i, iy + j, s + 31);
      } else if (d < second) {
        second = d;
      }
    }
  return sqrtf(second) - sqrtf(first);
}
