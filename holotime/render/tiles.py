"""Depth order and binning of footprints into tiles (numba).

Splats are sorted once by depth (radix sort on the float's bits), then dealt to the tiles that their box touches in that
order, so every tile's list is sorted front to back. Equal depths keep the order of the input.
"""

import numpy as np
from numpy.typing import NDArray

from holotime.render.jit import compiled

TILE = 16  # pixels on a side


@compiled()
def depth_order(depths):
    """Indices [M] of the finite entries of positive float32 ``depths`` [N], nearest first; stable."""
    bits = depths.view(np.uint32)
    count = 0
    for i in range(len(depths)):
        if depths[i] < np.inf:
            count += 1
    order, other = np.empty(count, np.int32), np.empty(count, np.int32)
    count = 0
    for i in range(len(depths)):
        if depths[i] < np.inf:
            order[count] = i
            count += 1
    for shift in (0, 11, 22):
        starts = np.zeros(2049, np.int64)
        for i in range(count):
            starts[((bits[order[i]] >> np.uint32(shift)) & np.uint32(2047)) + 1] += 1
        for b in range(2048):
            starts[b + 1] += starts[b]
        for i in range(count):
            b = (bits[order[i]] >> np.uint32(shift)) & np.uint32(2047)
            other[starts[b]] = order[i]
            starts[b] += 1
        order, other = other, order
    return order


@compiled()
def _deal(order, boxes, width, across, cursor, entries, fill):
    """Count (fill False) or write (fill True) the entries of every tile; ``cursor`` [tiles] is advanced."""
    for s in order:
        x0, x1 = boxes[s, 0], boxes[s, 0] + boxes[s, 1]
        first, last = x0 // TILE, (min(x1, width) - 1) // TILE
        again = min((x1 - width - 1) // TILE, first - 1) if x1 > width else -1  # the part beyond the seam
        for row in range(boxes[s, 2] // TILE, (boxes[s, 2] + boxes[s, 3] - 1) // TILE + 1):
            for part in range(2):
                a, b = (first, last) if part == 0 else (0, again)
                for column in range(a, b + 1):
                    tile = row * across + column
                    if fill:
                        entries[cursor[tile]] = s
                    cursor[tile] += 1


def bin_tiles(
    depths: NDArray[np.float32], boxes: NDArray[np.int32], width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Tile lists of footprints: offsets [tiles + 1] into entries [E] of splat indices, nearest first in each tile.

    ``depths`` [N] (inf = unseen) and ``boxes`` [N, 4] come from :func:`holotime.render.project.project`.
    """
    across, down = -(-width // TILE), -(-height // TILE)
    order = depth_order(depths)
    counts = np.zeros(across * down, np.int64)
    _deal(order, boxes, width, across, counts, np.empty(0, np.int32), False)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    entries = np.empty(offsets[-1], np.int32)
    _deal(order, boxes, width, across, offsets[:-1].copy(), entries, True)
    return offsets, entries
