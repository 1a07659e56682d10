// Procedural panoramas with exact labels: one source for CUDA and for plain C++ (compiled with -x c++, OpenMP).
// Scenes are laid out on the host, pixels are rendered on the device. Plain C interface, used through ctypes.
#include "kinds.h"
#include "pixel.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

struct Output {        // B panoramas of H x W pixels, row by row
  float* rgb;          // [B, H, W, 3] linear
  float* distance;     // [B, H, W] metres, FAR_AWAY = sky
  uint8_t* label;      // [B, H, W] class
  uint8_t* light;      // [B, H, W] 1 = shines by itself
  float* normal;       // [B, H, W, 3] unit, towards the eye
  float* motion;       // [B, H, W, 3] tangent, radians per second
};

EXPORT int panorama_kinds() { return KIND_COUNT; }
EXPORT const char* panorama_kind_name(int i) { return i >= 0 && i < KIND_COUNT ? KINDS[i].name : ""; }
EXPORT int panorama_scene_bytes() { return (int)sizeof(Scene); }

// Lays out `count` scenes into host memory of count * panorama_scene_bytes(); eye and kind [count] are returned.
EXPORT void panorama_lay_out(void* scenes, const uint32_t* seeds, const int* kinds, float yaw, int count, int height, float* eye, int* kind) {
  Scene* s = (Scene*)scenes;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
  for (int i = 0; i < count; i++) {
    lay_out(s[i], seeds[i], kinds[i], yaw, height);
    eye[i] = s[i].eye;
    kind[i] = s[i].kind;
  }
}

DEVICE void render_into(const Scene* scenes, int b, int x, int y, int width, int height, int turn, int samples, Output out) {
  size_t i = ((size_t)b * height + y) * width + x;
  render_pixel(scenes[b], x, y, width, height, turn, samples, out.rgb + 3 * i, out.distance + i, out.label + i, out.light + i, out.normal + 3 * i, out.motion + 3 * i);
}

#ifdef __CUDACC__
__global__ void __launch_bounds__(128) render_kernel(const Scene* scenes, int width, int height, int turn, int samples, Output out) {
  int x = blockIdx.x * 16 + threadIdx.x % 16, y = blockIdx.y * 8 + threadIdx.x / 16;
  if (x < width && y < height) render_into(scenes, blockIdx.z, x, y, width, height, turn, samples, out);
}
// scenes: device memory; returns a cudaError.
EXPORT int panorama_render(const void* scenes, int count, int width, int height, int turn, int samples, Output out, void* stream) {
  dim3 grid((width + 15) / 16, (height + 7) / 8, count);
  render_kernel<<<grid, 128, 0, (cudaStream_t)stream>>>((const Scene*)scenes, width, height, turn, samples, out);
  return (int)cudaGetLastError();
}
#else
EXPORT int panorama_render(const void* scenes, int count, int width, int height, int turn, int samples, Output out, void*) {
#pragma omp parallel for schedule(dynamic, 4) collapse(2)
  for (int b = 0; b < count; b++)
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++) render_into((const Scene*)scenes, b, x, y, width, height, turn, samples, out);
  return 0;
}
#endif
