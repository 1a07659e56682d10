// Vectors and scalars that work alike in CUDA and in plain C++.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __CUDACC__
#define DEVICE static __host__ __device__ __forceinline__
#define DEVICE_CALL static __host__ __device__ __noinline__  // large functions: inlining them makes ptxas run for minutes
#else
#define DEVICE static inline
#define DEVICE_CALL static
#endif

constexpr float PI = 3.14159265358979f;
constexpr float FAR_AWAY = 1e9f;  // metres; the sky

struct Vec {
  float x, y, z;
};
DEVICE Vec vec(float x, float y, float z) { return Vec{x, y, z}; }
DEVICE Vec grey(float v) { return Vec{v, v, v}; }
DEVICE Vec operator+(Vec a, Vec b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
DEVICE Vec operator-(Vec a, Vec b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
DEVICE Vec operator*(Vec a, Vec b) { return vec(a.x * b.x, a.y * b.y, a.z * b.z); }
DEVICE Vec operator*(Vec a, float s) { return vec(a.x * s, a.y * s, a.z * s); }
DEVICE Vec operator/(Vec a, Vec b) { return vec(a.x / b.x, a.y / b.y, a.z / b.z); }
DEVICE float dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
DEVICE Vec cross(Vec a, Vec b) { return vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
DEVICE float length(Vec a) { return sqrtf(dot(a, a)); }
DEVICE Vec normalized(Vec a) { return a * (1.0f / sqrtf(dot(a, a) + 1e-20f)); }
DEVICE float luminance(Vec c) { return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z; }

DEVICE float clampf(float x, float low, float high) { return fminf(fmaxf(x, low), high); }
DEVICE float saturate(float x) { return clampf(x, 0.0f, 1.0f); }
DEVICE float mix(float a, float b, float t) { return a + (b - a) * t; }
DEVICE Vec mix(Vec a, Vec b, float t) { return a + (b - a) * t; }
DEVICE float smooth(float a, float b, float x) {
  float t = saturate((x - a) / (b - a));
  return t * t * (3.0f - 2.0f * t);
}
DEVICE float fraction(float x) { return x - floorf(x); }
DEVICE float squared(float x) { return x * x; }
// 1 inside |x| < half, 0 outside, over a soft edge.
DEVICE float band(float x, float half, float soft) { return saturate((half - fabsf(x)) / soft + 0.5f); }
// No division by zero: the reciprocal of a component of a direction.
DEVICE float reciprocal(float x) { return 1.0f / (fabsf(x) < 1e-7f ? (x < 0 ? -1e-7f : 1e-7f) : x); }

// Two unit vectors that make a right-handed frame with unit n.
DEVICE void frame(Vec n, Vec* t, Vec* b) {
  Vec a = fabsf(n.z) < 0.9f ? vec(0, 0, 1) : vec(1, 0, 0);
  *t = normalized(cross(a, n));
  *b = cross(n, *t);
}

// Hue, saturation, value to RGB; the hue wraps.
DEVICE Vec hsv(float h, float s, float v) {
  h = fraction(h) * 6.0f;
  float c = v * s, m = v - c, x = c * (1.0f - fabsf(fmodf(h, 2.0f) - 1.0f));
  int k = (int)h;
  Vec rgb = k == 0 ? vec(c, x, 0) : k == 1 ? vec(x, c, 0) : k == 2 ? vec(0, c, x) : k == 3 ? vec(0, x, c) : k == 4 ? vec(x, 0, c) : vec(c, 0, x);
  return rgb + grey(m);
}
