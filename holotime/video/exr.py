"""OpenEXR pictures for compositing: linear colour, straight alpha, distance.

Written with the library of the Academy Software Foundation: OpenCV writes neither layers nor a channel beside R, G, B
and A. Channels are R, G, B, A (half) and ``Depth.Z`` (float): every program shows the first four, and Blender opens the
file as Combined and Depth, where it would ignore a plain ``Z``.
"""

from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from holotime.errors import InputError
from holotime.files import whole_file

NOTHING = 1e10  # metres where nothing is, as Cycles writes its depth
LARGEST_HALF = 65504.0


def to_linear(color: NDArray) -> NDArray[np.float32]:
    """sRGB values to scene-linear light (IEC 61966-2-1); what lies outside [0, 1] goes on with the same formula."""
    x = np.asarray(color, np.float32)
    size = np.abs(x)
    curve = np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)
    return np.copysign(curve, x).astype(np.float32)


def write(
    path: Path, color: NDArray, *, alpha: NDArray | None = None, distance: NDArray | None = None, planar: bool = False
) -> Path:
    """Write ``color`` [H, W, 3] sRGB (uint8, or float in [0, 1]) as linear light, losslessly compressed.

    ``alpha`` [H, W] in [0, 1]; the colour is straight, not multiplied by it. ``distance`` [H, W] metres, along the ray
    or, ``planar``, along the optical axis; where it is infinite 1e10 is written. The file appears under its name only
    when it is complete.
    """
    if color.dtype == np.uint8:
        color = color.astype(np.float32) / 255
    linear = to_linear(color).clip(-LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    channels = {name: np.ascontiguousarray(linear[..., i]) for i, name in enumerate("RGB")}
    if alpha is not None:
        channels["A"] = np.ascontiguousarray(np.clip(alpha, 0, 1).astype(np.float16))
    if distance is not None:
        channels["Depth.Z"] = np.minimum(distance, NOTHING).astype(np.float32)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "software": "HoloTime",
        "comments": "linear Rec. 709"
        + (", straight alpha" if alpha is not None else "")
        + ("" if distance is None else f", Depth.Z in metres {'along the axis' if planar else 'along the ray'}"),
    }
    try:
        with whole_file(path) as partial:
            OpenEXR.File(header, channels).write(str(partial))
    except (RuntimeError, FileExistsError) as error:  # what the library makes of a refusal; a file in the way
        raise InputError(f"Cannot write {path} ({error}). Choose another place or free some space.") from error
    return path
