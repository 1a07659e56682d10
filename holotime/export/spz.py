"""SPZ, the compressed splat format of Niantic's scanner and viewers (version 2): one time of a scene.

A gzip stream of a 16-byte header (magic "NGSP", version, count, degree of the harmonics, fractional bits, flags) and
then all positions (24-bit fixed point), opacities, colours, scales and rotations (8 bits a component), little-endian.
Axes: right, up, back; scenes are turned on the way out and in. Positions are exact to 2^-13 m up to 2 km, colours to
1/77, scales to 3 %, rotations to about half a degree.
"""

import gzip
import struct
import zlib
from pathlib import Path
from typing import cast

import numpy as np

from holotime.errors import InputError
from holotime.export.axes import RIGHT_UP_BACK, inverse, turned
from holotime.export.ply import SH0
from holotime.export.static import static_scene
from holotime.files import write_whole
from holotime.scene4d import Array, Gaussians, Scene4D

MAGIC, VERSION = 0x5053474E, 2
HEADER = struct.Struct("<IIIBBBB")
COLOUR = 0.15  # a colour's byte spans 1 / COLOUR of the harmonic's coefficient
MOST = 10_000_000  # splats in a file that is read at most, as in the published reader


def write_spz(path: Path | str, gaussians: Gaussians) -> Path:
    """Write the Gaussians of one time; the file appears when it is complete."""
    g = turned(gaussians, RIGHT_UP_BACK)
    reach = float(np.abs(g.means).max(initial=1e-3))
    bits = int(np.clip(np.floor(np.log2((2**23 - 1) / reach)), 0, 12))
    fixed = np.round(g.means.astype(np.float64) * 2**bits).clip(-(2**23), 2**23 - 1).astype("<i4")
    positions = fixed.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3]
    quats = g.quats / np.maximum(np.linalg.norm(g.quats, axis=1, keepdims=True), 1e-9)
    quats = np.where(quats[:, :1] < 0, -quats, quats)
    parts = [
        positions,
        _byte(g.opacities * 255),
        _byte(((g.colors - 0.5) / SH0 * COLOUR + 0.5) * 255),
        _byte((np.log(np.maximum(g.scales, 1e-9)) + 10) * 16),
        _byte(quats[:, 1:] * 127.5 + 127.5),
    ]
    data = HEADER.pack(MAGIC, VERSION, len(g), 0, bits, 0, 0) + b"".join(p.tobytes() for p in parts)
    return write_whole(path, gzip.compress(data, compresslevel=6, mtime=0))


def _byte(values: np.ndarray) -> np.ndarray:
    return np.round(values).clip(0, 255).astype(np.uint8)


def read_spz(path: Path | str) -> Scene4D:
    """An SPZ file (versions 1 with half floats excluded; 2) as a scene that stands still; higher harmonics left out."""
    path = Path(path)
    try:
        data = gzip.decompress(path.read_bytes())
        magic, version, count, degree, bits, _flags, _ = HEADER.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise ValueError(f"magic {magic:#x}, version {version}; version {VERSION} is read")
        need = HEADER.size + count * (9 + 1 + 3 + 3 + 3 + 3 * ((degree + 1) ** 2 - 1))
        if count > MOST or len(data) < need:
            raise ValueError(f"{count} splats need {need} bytes, it holds {len(data)}")
        body = np.frombuffer(data, np.uint8, offset=HEADER.size)
        ends = np.cumsum([9, 1, 3, 3, 3]) * count
        position, opacity, colour, scale, rotation = np.split(body[: ends[-1]], ends[:-1])
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise InputError(f"{path} is not a readable SPZ file ({error}). Export it again, as version 2.") from error
    wide = np.zeros((3 * count, 4), np.uint8)
    wide[:, 1:] = position.reshape(-1, 3)  # in the upper bytes, so that the shift keeps the sign
    means = (wide.view("<i4")[:, 0] >> 8).reshape(count, 3) / 2.0**bits
    xyz = rotation.reshape(count, 3).astype(np.float32) / 127.5 - 1
    w = np.sqrt(np.maximum(1 - (xyz**2).sum(1, keepdims=True), 0))
    harmonic = colour.reshape(count, 3).astype(np.float32) / 255 - 0.5
    g = Gaussians(
        means=means.astype(np.float32),
        quats=np.concatenate([w, xyz], axis=1),
        scales=np.exp(scale.reshape(count, 3).astype(np.float32) / 16 - 10),
        opacities=cast(Array, opacity.astype(np.float32) / 255),
        colors=cast(Array, (harmonic / COLOUR) * np.float32(SH0) + 0.5),
    )
    return static_scene(turned(g, inverse(RIGHT_UP_BACK)), path.name)
