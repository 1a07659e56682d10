"""From RGB pictures to the planes that encoders take: BT.709, limited range, straight into FFmpeg's frame (numba).

    Y = 16 + 219 E_Y,   Cb = 128 + 224 E_Cb,   Cr = 128 + 224 E_Cr     (ITU-R BT.709-6, times 4 with 10 bits)

rounded to nearest. Chroma sits where decoders expect it: level with the left one of its two columns and between its two
rows (H.264 annex E, type 0), hence the weights 1 2 1 across and 1 1 down. FFmpeg's own conversion from RGB rounds down,
which darkens a picture, and goes through a copy at full size.
"""

import av
import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError
from holotime.render.jit import compiled, spread

RED, BLUE = 0.2126, 0.0722  # luma weights of BT.709
GREEN = 1 - RED - BLUE
ROWS = 32  # rows of chroma in one range of work
SCALES = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


@compiled(fastmath=True)
def _planes(start, stop, rgb, scale, unit, across, down, luma, cb, cr):
    """Rows [start, stop) of chroma, and the luma rows that belong to them.

    ``rgb`` [H, W, >= 3]; ``scale`` makes it [0, 1]; ``unit`` is 1 for 8 bits, 4 for 10; ``across``, ``down``: luma
    columns and rows per chroma sample. Planes are written in place, [H, W] and [H / down, W / across].
    """
    width = rgb.shape[1]
    one, half = np.float32(scale), np.float32(0.5)
    red, green, blue = np.float32(RED), np.float32(GREEN), np.float32(BLUE)
    gain, base = np.float32(219 * unit), np.float32(16 * unit)
    to_cb = np.float32(224 * unit / (2 * (1 - BLUE)))
    to_cr = np.float32(224 * unit / (2 * (1 - RED)))
    middle, most = np.float32(128 * unit), np.float32(256 * unit - 1)
    zero, top = np.float32(0), np.float32(1)
    share = np.float32(1 / (4 * down)) if across == 2 else np.float32(1 / down)
    for c in range(start, stop):
        for y in range(c * down, c * down + down):
            for x in range(width):
                r = min(max(np.float32(rgb[y, x, 0]) * one, zero), top)
                g = min(max(np.float32(rgb[y, x, 1]) * one, zero), top)
                b = min(max(np.float32(rgb[y, x, 2]) * one, zero), top)
                luma[y, x] = int(base + gain * (red * r + green * g + blue * b) + half)
        for k in range(width // across):
            x = k * across
            r, g, b = zero, zero, zero
            for y in range(c * down, c * down + down):
                for step in range(-1, 2):
                    if across == 1 and step != 0:
                        continue
                    weight = np.float32(2) if step == 0 and across == 2 else np.float32(1)
                    column = max(x + step, 0)
                    r += weight * min(max(np.float32(rgb[y, column, 0]) * one, zero), top)
                    g += weight * min(max(np.float32(rgb[y, column, 1]) * one, zero), top)
                    b += weight * min(max(np.float32(rgb[y, column, 2]) * one, zero), top)
            r, g, b = r * share, g * share, b * share
            light = red * r + green * g + blue * b
            cb[c, k] = int(min(middle + to_cb * (b - light) + half, most))
            cr[c, k] = int(min(middle + to_cr * (r - light) + half, most))


def plain_planes(rgb: NDArray, bits: int, across: int, down: int) -> tuple[NDArray, NDArray, NDArray]:
    """The twin of the kernel in numpy: Y [H, W], Cb and Cr [H / down, W / across] of ``rgb`` [H, W, 3]."""
    x = np.clip(np.asarray(rgb[..., :3], np.float64) / SCALES[rgb.dtype], 0, 1)
    unit = 1 << (bits - 8)
    luma = x @ [RED, GREEN, BLUE]
    if across == 2:
        left = np.concatenate([x[:, :1], x[:, :-1]], axis=1)
        right = np.concatenate([x[:, 1:], x[:, -1:]], axis=1)
        x = ((left + 2 * x + right) / 4)[:, ::2]
    if down == 2:
        x = 0.5 * (x[0::2] + x[1::2])
    light = x @ [RED, GREEN, BLUE]
    chroma = [(x[..., 2] - light) / (2 * (1 - BLUE)), (x[..., 0] - light) / (2 * (1 - RED))]
    kind = np.uint8 if bits == 8 else np.uint16
    planes = [16 * unit + 219 * unit * luma, *(128 * unit + 224 * unit * c for c in chroma)]
    y, cb, cr = (np.minimum(np.floor(p + 0.5), 256 * unit - 1).astype(kind) for p in planes)
    return y, cb, cr


def to_video_frame(picture: NDArray, pixel_format: str) -> av.VideoFrame:
    """FFmpeg's frame of ``picture`` [H, W, 3] (or [H, W, 4] with straight alpha, for a format with alpha).

    uint8, uint16 or float32 in [0, 1], sRGB; sides a multiple of what the format's chroma needs. A picture with four
    channels in a format without alpha loses its alpha. The values are BT.709 in limited range.
    """
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype not in SCALES:
        raise InputError(
            f"A picture must be [H, W, 3 or 4] uint8, uint16 or float32, got {picture.dtype} {picture.shape}."
        )
    across = 1 if "444" in pixel_format else 2
    down = 2 if "420" in pixel_format else 1
    height, width = picture.shape[:2]
    if width % across or height % down:
        raise InputError(f"A {pixel_format} video needs even sides, got {width} x {height} pixels.")
    unit = 4 if "10" in pixel_format else 1
    frame = av.VideoFrame(width, height, pixel_format)
    frame.color_range, frame.colorspace = 1, 1
    planes = [_plane(p, unit) for p in frame.planes]
    scale = 1 / SCALES[picture.dtype]
    spread(_planes, height // down, picture, scale, unit, across, down, *planes[:3], chunk=ROWS)
    if pixel_format.startswith("yuva"):
        if picture.shape[2] == 4:
            planes[3][:] = np.clip(picture[..., 3] * np.float32(scale), 0, 1) * (256 * unit - 1) + 0.5
        else:
            planes[3][:] = 256 * unit - 1
    return frame


def _plane(plane: "av.video.plane.VideoPlane", unit: int) -> NDArray:
    """The pixels [H, W] of a plane of FFmpeg's frame, to be written to."""
    kind = np.dtype(np.uint8 if unit == 1 else np.uint16)
    rows = np.frombuffer(memoryview(plane), kind)[: plane.line_size // kind.itemsize * plane.height]
    return rows.reshape(plane.height, -1)[:, : plane.width]
