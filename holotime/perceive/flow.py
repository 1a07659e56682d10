"""Optical flow between the frames of a panoramic clip.

Dense inverse search (DIS, Kroeger et al. 2016; OpenCV's implementation) knows nothing of a sphere. Near the equator it
runs on the equirect itself, widened by wrapped columns, so nothing shows at the seam. Near the poles, where a picture
turns and stretches too fast for it, it runs on a square view of each pole's cap (azimuthal equidistant), and the motion
is carried back as directions. The two are blended around 50 degrees of latitude.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere

CAP_FROM, CAP_FULL = math.radians(45), math.radians(58)  # latitudes where the caps begin and have taken over
CAP_EDGE = math.radians(36)  # latitude of the middle of a cap picture's sides
WRAP = 1 / 16  # of the width, on either side: more than any motion between two frames
STILL_DIFFERENCE = 2  # grey levels; below this everywhere two frames are one


@dataclass(frozen=True)
class _Cap:
    """How the cap of one pole is seen and carried back. n = side of the cap's picture."""

    x: NDArray[np.float32]  # [n, n] column of the equirect under each cap pixel
    y: NDArray[np.float32]  # [n, n] its row
    rows: slice  # rows of the equirect that the cap serves
    u: NDArray[np.float32]  # [r, W] cap column (OpenCV's convention: centres at integers) of each of their pixels
    v: NDArray[np.float32]  # [r, W] its cap row
    weight: NDArray[np.float32]  # [r, 1] how far the cap has taken over


@lru_cache(maxsize=4)
def _caps(height: int, width: int) -> tuple[_Cap, _Cap]:
    """North and south cap for a panorama's size, at the equirect's own resolution along a meridian."""
    reach = math.pi / 2 - CAP_EDGE  # angle from the pole to the middle of a side
    n = 2 * math.ceil(reach / math.pi * height)
    focal = 0.5 * n / reach  # pixels per radian
    grid = (np.arange(n, dtype=np.float64) + 0.5 - 0.5 * n) / focal
    px, py = np.meshgrid(grid, grid)
    angle, bearing = np.hypot(px, py), np.arctan2(px, py)  # bearing is a longitude
    phi_rows = sphere.latitudes(height)
    caps = []
    for sign in (1, -1):
        phi = np.maximum(math.pi / 2 - angle, -math.pi / 2)
        x = (bearing / (2 * math.pi) + 0.5) * width
        y = (0.5 - sign * phi / math.pi) * height
        inside = np.flatnonzero(sign * phi_rows > CAP_FROM)
        rows = slice(int(inside[0]), int(inside[-1]) + 1)
        u, v = _to_cap(
            np.broadcast_to(np.arange(width) + 0.5, (len(inside), width)),
            np.broadcast_to(inside[:, None] + 0.5, (len(inside), width)),
            sign, height, width, focal, n,
        )  # fmt: skip
        t = np.clip((sign * phi_rows[rows] - CAP_FROM) / (CAP_FULL - CAP_FROM), 0, 1)[:, None]
        weight = (t * t * (3 - 2 * t)).astype(np.float32)
        caps.append(_Cap(x.astype(np.float32), y.astype(np.float32), rows, u, v, weight))
    return caps[0], caps[1]


def _to_cap(x, y, sign, height, width, focal, n):  # type: ignore[no-untyped-def]
    """Equirect pixels to cap pixels (centres at integers)."""
    lam, angle = 2 * math.pi * (x / width - 0.5), math.pi / 2 - sign * math.pi * (0.5 - y / height)
    u = focal * angle * np.sin(lam) + 0.5 * n - 0.5
    v = focal * angle * np.cos(lam) + 0.5 * n - 0.5
    return u.astype(np.float32), v.astype(np.float32)


def _dis() -> cv2.DISOpticalFlow:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def wrap_difference(dx: NDArray, width: int) -> NDArray:
    """Horizontal pixel differences brought into [-W/2, W/2)."""
    return np.mod(dx + width / 2, width) - width / 2


def grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W] luma of an sRGB frame [H, W, 3]."""
    return cast(NDArray[np.uint8], cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY))


def flow_between(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Flow [H, W, 2] in equirect pixels (x right, y down) from grey panorama ``first`` [H, W] to ``second`` [H, W].

    Exactly zero where nothing changes. x wraps: a flow across the seam is the short way around.
    """
    height, width = first.shape
    if int(cv2.absdiff(first, second).max()) <= STILL_DIFFERENCE:
        return np.zeros((height, width, 2), np.float32)
    margin = max(8, round(WRAP * width))
    wide = [sphere.pad(a, margin, min(16, height)) for a in (first, second)]
    rows = min(16, height)
    found = _dis().calc(wide[0], wide[1], None)  # type: ignore[call-overload]  # OpenCV takes None here
    flow = np.ascontiguousarray(found[rows:-rows, margin:-margin])
    for sign, cap in zip((1, -1), _caps(height, width), strict=True):
        views = [sphere.sample(a, cap.x, np.clip(cap.y, -1, height + 1)) for a in (first, second)]
        n = len(cap.x)
        # [n, n, 2]
        local = _dis().calc(views[0], views[1], None)  # type: ignore[call-overload]  # OpenCV takes None here
        moved = cv2.remap(local, cap.u, cap.v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # Where the pixel lands in the cap, as an equirect position.
        focal = 0.5 * n / (math.pi / 2 - CAP_EDGE)
        px, py = (cap.u + moved[..., 0] - 0.5 * n + 0.5) / focal, (cap.v + moved[..., 1] - 0.5 * n + 0.5) / focal
        x = (np.arctan2(px, py) / (2 * math.pi) + 0.5) * width
        y = (0.5 - sign * (math.pi / 2 - np.hypot(px, py)) / math.pi) * height
        here_y = np.arange(height, dtype=np.float32)[cap.rows, None] + 0.5
        dx = wrap_difference(x - (np.arange(width, dtype=np.float32) + 0.5), width)
        carried = np.stack([dx, y - here_y], axis=-1)
        w = cap.weight[..., None]
        flow[cap.rows] = (1 - w) * flow[cap.rows] + w * carried
    return flow


def speed(flow: NDArray) -> NDArray[np.float32]:
    """[H, W] length of a flow [H, W, 2] on the sphere, in pixels of the equator."""
    cos_phi = np.cos(sphere.latitudes(flow.shape[0]))[:, None]
    return np.hypot(flow[..., 0].astype(np.float32) * cos_phi, flow[..., 1].astype(np.float32))


def sample_along(values: NDArray, flow: NDArray) -> NDArray:
    """``values`` [H, W(, C)] of another frame, seen where ``flow`` [H, W, 2] leads."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32) + 0.5 + flow[..., 0].astype(np.float32)
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5 + flow[..., 1].astype(np.float32)
    return sphere.sample(values, x, np.clip(y, -1, height + 1))


def visible(forward: NDArray, backward: NDArray) -> NDArray[np.bool_]:
    """[H, W] where following ``forward`` [H, W, 2] and then ``backward`` comes back: the pixel is seen in both frames.

    The tolerance grows with the motion (Sundaram et al. 2010); columns count by their width on the sphere.
    """
    height, width = forward.shape[:2]
    there = forward.astype(np.float32)
    # The horizontal part jumps by a turn at the poles: sample it as a displacement scaled to the sphere.
    back = sample_along(backward.astype(np.float32), there)
    cos_phi = np.cos(sphere.latitudes(height))[:, None]
    ex = wrap_difference(there[..., 0] + back[..., 0], width) * cos_phi
    ey = there[..., 1] + back[..., 1]
    size = (there[..., 0] * cos_phi) ** 2 + there[..., 1] ** 2 + (back[..., 0] * cos_phi) ** 2 + back[..., 1] ** 2
    return ex * ex + ey * ey < 0.01 * size + 0.5
