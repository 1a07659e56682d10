"""The shader that draws splats: one quad a splat, the footprint by the EWA projection (Zwicker et al. 2002, Kerbl et
al. 2023). Everything that depends on time is done here, so that a frame change uploads nothing but the order.

A splat has one texel, at the same place, in each of TEXELS RGBA32F textures with rows of WIDTH texels. (In one texture
they would lie closer together; but Blender fills a texture in one go, and only small ones take no time that is felt.)

    0  position, time centre      3  cubic motion, unused       6  scale, unused
    1  linear motion, opacity     4  quaternion wxyz            7  colour (display values), unused
    2  quadratic motion, 1/width  5  its rate
"""

from .splat_arrays import TEXELS

LOW_PASS = 0.3  # px^2, added to every footprint
REACH = 3.0  # standard deviations at which a splat ends
NEAR = 0.02  # metres: what is closer to the eye is left out

VERTEX = """
mat3 turn(vec4 q) {
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
              2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
              2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  /* outside, until it is known to be seen */
  int rank = gl_InstanceID;
  int splat = int(texelFetch(order, ivec2(rank % 2048, rank / 2048), 0).r + 0.5);
  ivec2 at = ivec2(splat % 2048, splat / 2048);
  vec4 a = texelFetch(data0, at, 0), b = texelFetch(data1, at, 0);
  float dt = time - a.w;
  vec4 c = texelFetch(data2, at, 0), d = texelFetch(data3, at, 0);
  float ratio = dt * c.w;
  float opacity = b.w * exp(-ratio * ratio) * fade;
  if (opacity < 1.0 / 255.0) { return; }
  vec3 place = a.xyz + dt * (b.xyz + dt * (c.xyz + dt * d.xyz));
  vec4 point = vec4(place, 1.0);
  vec3 seen = vec3(dot(view_x, point), dot(view_y, point), dot(view_z, point));
  bool flat_view = depths.z > 0.5;
  if (!flat_view && seen.z > -NEAR) { return; }
  vec2 shift = flat_view ? lens.zw : seen.z * lens.zw;
  vec4 clip = vec4(lens.xy * seen.xy + shift, depths.x * seen.z + depths.y, flat_view ? 1.0 : -seen.z);

  vec4 q = normalize(texelFetch(data4, at, 0) + dt * texelFetch(data5, at, 0));
  mat3 m = transpose(mat3(view_x.xyz, view_y.xyz, view_z.xyz)) * turn(q);
  vec3 s = texelFetch(data6, at, 0).xyz;
  float least = widen * length(place);  /* as the node group widens what is rendered */
  s = sqrt(s * s + least * least) * size;
  m = mat3(m[0] * s.x, m[1] * s.y, m[2] * s.z);
  vec2 focal = 0.5 * viewport * lens.xy;
  /* rows of the Jacobian of the projection to pixels, times m */
  vec3 across, upward;
  if (flat_view) {
    across = focal.x * vec3(m[0].x, m[1].x, m[2].x);
    upward = focal.y * vec3(m[0].y, m[1].y, m[2].y);
  } else {
    float z = -seen.z;
    vec2 limit = 1.3 * 0.5 * viewport / focal + abs(lens.zw / lens.xy);
    vec2 slope = clamp(seen.xy / z, -limit, limit);
    across = focal.x / z * vec3(m[0].x + slope.x * m[0].z, m[1].x + slope.x * m[1].z, m[2].x + slope.x * m[2].z);
    upward = focal.y / z * vec3(m[0].y + slope.y * m[0].z, m[1].y + slope.y * m[1].z, m[2].y + slope.y * m[2].z);
  }
  float xx = dot(across, across) + LOW_PASS, xy = dot(across, upward), yy = dot(upward, upward) + LOW_PASS;
  float middle = 0.5 * (xx + yy), half_gap = sqrt(max(0.25 * (xx - yy) * (xx - yy) + xy * xy, 1e-9));
  float large = middle + half_gap, small = max(middle - half_gap, 1e-4);
  vec2 axis = abs(xy) > 1e-6 ? normalize(vec2(large - yy, xy)) : (xx >= yy ? vec2(1.0, 0.0) : vec2(0.0, 1.0));
  vec2 pixels = REACH * (sqrt(large) * axis * corner.x + sqrt(small) * vec2(-axis.y, axis.x) * corner.y);

  across_splat = REACH * corner;
  vec3 shown = texelFetch(data7, at, 0).rgb;
  vec3 light = mix(pow((shown + 0.055) / 1.055, vec3(2.4)), shown / 12.92, lessThanEqual(shown, vec3(0.04045)));
  tone = depths.w > 0.5 ? sqrt(max(dot(light, vec3(0.2126, 0.7152, 0.0722)), 0.0)) : -1.0;
  color = vec4(depths.w > 0.5 ? light : shown, opacity);
  gl_Position = vec4(clip.xy + 2.0 * pixels / viewport * clip.w, clip.zw);
}
"""

FRAGMENT = """
void main() {
  float alpha = color.a * exp(-0.5 * dot(across_splat, across_splat));
  if (alpha < 1.0 / 255.0) { discard; }
  if (tone >= 0.0) {
    /* blending light so that it looks as blending display values does; see scene_import.materials */
    alpha = min(1.0, alpha * ((2.0 - alpha) * 0.5 + alpha * tone) / (tone + 0.5));
  }
  result = vec4(color.rgb * alpha, alpha);
}
"""


def make():
    """Compile it. Raises Exception with the driver's message on a computer that cannot."""
    import gpu

    info = gpu.types.GPUShaderCreateInfo()
    for k in range(TEXELS):
        info.sampler(k, "FLOAT_2D", f"data{k}")
    info.sampler(TEXELS, "FLOAT_2D", "order")
    # 104 bytes: every graphics card has room for 128. Rows of the model-view matrix; the projection's few numbers.
    for name in ("view_x", "view_y", "view_z", "lens", "depths"):
        info.push_constant("VEC4", name)
    info.push_constant("VEC2", "viewport")
    for name in ("time", "fade", "size", "widen"):
        info.push_constant("FLOAT", name)
    for name, value in (("LOW_PASS", LOW_PASS), ("REACH", REACH), ("NEAR", NEAR)):
        info.define(name, f"{value}")
    info.vertex_in(0, "VEC2", "corner")
    between = gpu.types.GPUStageInterfaceInfo("holotime_splat")
    between.smooth("VEC2", "across_splat")
    between.flat("VEC4", "color")
    between.flat("FLOAT", "tone")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "result")
    info.vertex_source(VERTEX)
    info.fragment_source(FRAGMENT)
    return gpu.shader.create_from_info(info)
