"""Noise and meshes: numpy arrays to Blender objects."""

import math

import bpy
import numpy as np
from numpy.typing import NDArray


def noise(p: NDArray, seed: int = 0) -> NDArray:
    """Gradient noise (Perlin 2002) at points [..., 3]: about -1 to 1, one feature per unit."""
    table = np.random.default_rng(seed).permutation(256)
    cell = np.floor(p).astype(int)
    f = p - cell
    u = f * f * f * (f * (f * 6 - 15) + 10)
    gradients = np.random.default_rng(seed + 1).normal(size=(256, 3))
    gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
    total = np.zeros(p.shape[:-1])
    for corner in np.ndindex(2, 2, 2):
        c = np.array(corner)
        i = (cell + c) & 255
        h = table[(table[(table[i[..., 0]] + i[..., 1]) & 255] + i[..., 2]) & 255]
        total += ((gradients[h] * (f - c)).sum(-1)) * np.where(c == 1, u, 1 - u).prod(-1)
    return total * 1.6


def fbm(p: NDArray, octaves: int = 5, seed: int = 0, *, ridged: bool = False) -> NDArray:
    """Octaves of noise at points [..., 3], each half as strong and twice as fine; ``ridged`` makes sharp crests."""
    total, strength = np.zeros(p.shape[:-1]), 1.0
    for k in range(octaves):
        n = noise(p * 2.0**k + 17.3 * k, seed + k)
        total += strength * (1 - 2 * np.abs(n) if ridged else n)
        strength *= 0.5
    return total


def smoothstep(a: float, b: float, x: NDArray) -> NDArray:
    """0 below ``a``, 1 above ``b``, soft in between (a may be above b)."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def place(azimuth: float, distance: float, z: float = 0.0) -> NDArray:
    """The point at an azimuth in degrees, a horizontal distance and a height."""
    a = math.radians(azimuth)
    return np.array([distance * math.sin(a), distance * math.cos(a), z])


def mesh(name: str, vertices: NDArray, faces: NDArray, material: bpy.types.Material | None, smooth: bool = True):
    """A mesh from vertices [N, 3] and faces [F, 3 or 4], or a list of such arrays when both kinds mix."""
    data = bpy.data.meshes.new(name)
    faces = [faces] if isinstance(faces, np.ndarray) else faces
    sizes = np.concatenate([np.full(len(f), f.shape[1]) for f in faces])
    flat = np.concatenate([f.ravel() for f in faces]).astype(np.int32)
    data.vertices.add(len(vertices))
    data.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    data.loops.add(len(flat))
    data.loops.foreach_set("vertex_index", flat)
    data.polygons.add(len(sizes))
    data.polygons.foreach_set("loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    data.polygons.foreach_set("use_smooth", np.full(len(sizes), smooth))
    data.update(calc_edges=True)
    if material:
        data.materials.append(material)
    return data


def attribute(data: bpy.types.Mesh, name: str, values: NDArray) -> None:
    """Add a float per vertex that a shader can read."""
    data.attributes.new(name, "FLOAT", "POINT").data.foreach_set("value", np.ascontiguousarray(values, np.float32))


def add(data, name: str | None = None, location=(0, 0, 0), scale=1.0, turn: float = 0.0) -> bpy.types.Object:
    """Put a mesh into the scene; ``turn`` in degrees about Z."""
    obj = bpy.data.objects.new(name or data.name, data)
    obj.location = tuple(location)
    obj.scale = (scale,) * 3 if np.isscalar(scale) else tuple(scale)
    obj.rotation_euler = (0, 0, -math.radians(turn))
    bpy.context.scene.collection.objects.link(obj)
    return obj


def scatter(data: bpy.types.Mesh, points: NDArray, scales: NDArray, tilt: float, rng, normals: NDArray | None = None):
    """Instance a mesh at points [N, 3] with sizes [N], a random turn and up to ``tilt`` radians off the normal.

    Blender copies the child once per face of the parent, in the face's frame and size: no node graph, no modifier.
    """
    n = len(points)
    axis = np.tile([0.0, 0.0, 1.0], (n, 1)) if normals is None else normals
    axis = axis + rng.normal(size=(n, 3)) * tilt
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    a = rng.normal(size=(n, 3))
    a -= (a * axis).sum(1, keepdims=True) * axis
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(axis, a)
    half = (scales / 2)[:, None]
    corners = np.stack(
        [points + half * (-a - b), points + half * (a - b), points + half * (a + b), points + half * (b - a)], 1
    )
    parent = add(mesh(f"{data.name} places", corners.reshape(-1, 3), np.arange(4 * n).reshape(-1, 4), None, False))
    parent.instance_type = "FACES"
    parent.use_instance_faces_scale = True
    parent.show_instancer_for_render = False
    add(data).parent = parent


def polar_grid(radii: NDArray, columns: int) -> tuple[NDArray, NDArray]:
    """(points [R*C, 2] around the eye, quads [F, 4]): fine where the eye is near, closed all round."""
    angle = 2 * math.pi * np.arange(columns) / columns
    xy = np.stack([radii[:, None] * np.sin(angle), radii[:, None] * np.cos(angle)], -1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(len(radii) - 1), np.arange(columns), indexing="ij")
    k = (j + 1) % columns
    quads = np.stack([i * columns + j, i * columns + k, (i + 1) * columns + k, (i + 1) * columns + j], -1)
    return xy, quads.reshape(-1, 4)[:, ::-1]


def tube(points: NDArray, radii: NDArray, sides: int = 8) -> tuple[NDArray, NDArray]:
    """(vertices, quads) of a tube along points [N, 3] with radii [N]."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    up = np.where(np.abs(tangent[:, 2:]) > 0.9, [[1.0, 0, 0]], [[0, 0, 1.0]])
    a = np.cross(tangent, up)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(tangent, a)
    t = 2 * math.pi * np.arange(sides) / sides
    ring = a[:, None] * np.cos(t)[:, None] + b[:, None] * np.sin(t)[:, None]
    vertices = (points[:, None] + ring * radii[:, None, None]).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(len(points) - 1), np.arange(sides), indexing="ij")
    k = (j + 1) % sides
    quads = np.stack([i * sides + j, (i + 1) * sides + j, (i + 1) * sides + k, i * sides + k], -1)
    return vertices, quads.reshape(-1, 4)


def lathe(profile: list[tuple[float, float]], sides: int = 48) -> tuple[NDArray, NDArray]:
    """(vertices, quads) of a profile of (radius, height) turned about Z."""
    r, z = np.array(profile, float).T
    t = 2 * math.pi * np.arange(sides) / sides
    v = np.stack(np.broadcast_arrays(r[:, None] * np.cos(t), r[:, None] * np.sin(t), z[:, None]), -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(len(r) - 1), np.arange(sides), indexing="ij")
    k = (j + 1) % sides
    return v, np.stack([i * sides + j, i * sides + k, (i + 1) * sides + k, (i + 1) * sides + j], -1).reshape(-1, 4)


def box(size: tuple[float, float, float], centre=(0.0, 0.0, 0.0)) -> tuple[NDArray, NDArray]:
    """(vertices, quads) of a box."""
    v = np.array(list(np.ndindex(2, 2, 2)), float) - 0.5
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return v * size + centre, quads


def join(parts: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, list[NDArray]]:
    """Several (vertices, faces) as one."""
    vertices, faces, offset = [], {}, 0
    for v, f in parts:
        vertices.append(v)
        faces.setdefault(f.shape[1], []).append(f + offset)
        offset += len(v)
    return np.concatenate(vertices), [np.concatenate(f) for f in faces.values()]


def sphere(rows: int, columns: int) -> tuple[NDArray, NDArray]:
    """(unit directions, quads) of a sphere with collapsed poles."""
    phi = np.linspace(-math.pi / 2, math.pi / 2, rows)
    return lathe([(max(1e-4, math.cos(p)), math.sin(p)) for p in phi], columns)
