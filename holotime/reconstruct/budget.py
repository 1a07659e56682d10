"""Budget: which rectangles of pixels become one splat each, so that a given number of splats looks best.

Every tile of 32 x 32 pixels is a binary tree whose nodes are rectangles, down to single pixels. A node can stay empty
(what lies behind shows), become one splat, or be split. For a price lambda per splat the cheapest pruning of every
tree follows bottom-up (Breiman et al. 1984; Chou, Lookabaugh and Gray 1989: optimal pruning for rate and distortion);
the price is chosen so that all trees together meet the budget. Near the poles rectangles are first merged along the
rows, where neighbouring pixels of an equirect are nearly the same place.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.reconstruct.splats import Patches
from holotime.reconstruct.surface import parallax_pixels
from holotime.render.jit import compiled, spread

TILE = 32
LEVELS = 9
NODES = sum((TILE * TILE) >> level for level in range(LEVELS))
PARALLAX_PRICE = 0.06  # colour error (of 1) that one pixel of wrong parallax counts as
F32 = NDArray[np.float32]


def block_shapes(flat: int) -> NDArray[np.int32]:
    """[LEVELS, 2] width and height of the nodes of each level; ``flat`` = how many halvings of the row are extra."""
    w, h = 1, 1
    shapes = [(w, h)]
    while len(shapes) < LEVELS:
        if w <= h << flat and w < TILE:
            w *= 2
        else:
            h *= 2
        shapes.append((w, h))
    return np.array(shapes, np.int32)


@dataclass(frozen=True)
class Grid:
    """How a picture is cut into tiles."""

    height: int
    width: int

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return math.ceil(self.height / TILE)

    @property
    def columns(self) -> int:
        """Number of tile columns."""
        return math.ceil(self.width / TILE)

    def flatness(self) -> NDArray[np.int32]:
        """[rows] extra horizontal merges of each tile row: log2(1 / cos latitude), at most 3."""
        phi = sphere.latitudes(self.height)
        middle = [phi[i * TILE : (i + 1) * TILE].mean() for i in range(self.rows)]
        return np.clip(np.round(-np.log2(np.cos(middle))), 0, 3).astype(np.int32)

    def shapes(self) -> NDArray[np.int32]:
        """[tiles, LEVELS, 2] node shapes of every tile, row by row."""
        table = np.stack([block_shapes(f) for f in range(4)])
        return np.repeat(table[self.flatness()], self.columns, axis=0)

    def level(self, level: int) -> Patches:
        """All rectangles of one level of the trees that touch the picture."""
        rows = []
        for i, flat in enumerate(self.flatness()):
            w, h = block_shapes(int(flat))[level]
            y = np.arange(i * TILE, min((i + 1) * TILE, self.height), h)
            x = np.arange(0, self.width, w)
            grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
            rows.append(np.concatenate([grid, np.broadcast_to([w, h], grid.shape)], 1))
        table = np.concatenate(rows).astype(np.int32)
        return Patches(*(np.ascontiguousarray(table[:, i]) for i in range(4)))

    def tiles(self, image: F32, outside: float = 0.0) -> F32:
        """[H, W] to [tiles, TILE * TILE]; pixels outside the picture get ``outside``."""
        padded = np.full((self.rows * TILE, self.columns * TILE), outside, np.float32)
        padded[: self.height, : self.width] = image
        cut = padded.reshape(self.rows, TILE, self.columns, TILE).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(cut).reshape(-1, TILE * TILE)


@compiled()
def _sum_nodes(first, last, error, shapes, level, offset, columns, out):
    """Add error [H, W] of one level into out [tiles, NODES] for the tiles [first, last)."""
    height, width = error.shape
    for tile in range(first, last):
        w, h = shapes[tile, level, 0], shapes[tile, level, 1]
        y0, x0 = (tile // columns) * 32, (tile % columns) * 32
        across = 32 // w
        for i in range(min(32, height - y0)):
            for j in range(min(32, width - x0)):
                out[tile, offset + (i // h) * across + j // w] += error[y0 + i, x0 + j]


def node_errors(grid: Grid, image: F32, inverse: F32, weight: F32) -> F32:
    """[tiles, NODES] what is lost when a node of the tree is one splat: sum over its pixels of weight x error^2.

    Neighbouring splats overlap, so a level of the tree is as good as its picture shrunk to the nodes' size and
    interpolated back; parallax counts as a fourth colour. ``image`` [H, W, 3], ``inverse`` [H, W] 1/m,
    ``weight`` [H, W].
    """
    height, width = grid.height, grid.width
    shapes, flat = grid.shapes(), grid.flatness()
    stack = np.concatenate([image, PARALLAX_PRICE * parallax_pixels(inverse)[..., None]], -1)
    margin = TILE
    wide = sphere.pad(stack, margin, min(margin, height))
    # The picture may end inside a tile: continue it so that every level divides it.
    extra_x, extra_y = -wide.shape[1] % TILE, -wide.shape[0] % TILE
    wide = np.pad(wide, ((0, extra_y), (0, extra_x), (0, 0)), "edge")
    top = min(margin, height)
    out = np.zeros((len(shapes), NODES), np.float32)
    row = 0
    while row < grid.rows:
        end = row
        while end < grid.rows and flat[end] == flat[row]:
            end += 1
        y0, y1 = row * TILE, min(end * TILE, height)
        # A strip with a margin of whole tiles above and below keeps interpolation right at its ends.
        s0 = max(0, y0 + top - TILE) // TILE * TILE
        s1 = min(wide.shape[0], (y1 + top + 2 * TILE) // TILE * TILE)
        strip = np.ascontiguousarray(wide[s0:s1])
        error = np.zeros((height, width), np.float32)
        offset = TILE * TILE
        for level in range(1, LEVELS):
            w, h = block_shapes(int(flat[row]))[level]
            small = cv2.resize(strip, (strip.shape[1] // w, strip.shape[0] // h), interpolation=cv2.INTER_AREA)
            back = cv2.resize(small, (strip.shape[1], strip.shape[0]), interpolation=cv2.INTER_LINEAR)
            a = y0 + top - s0
            rest = (back - strip)[a : a + y1 - y0, margin : margin + width]
            error[y0:y1] = (rest * rest).sum(-1) * weight[y0:y1]
            first, last = row * grid.columns, end * grid.columns
            _sum_nodes(first, last, error, shapes, level, offset, grid.columns, out)
            offset += (TILE * TILE) >> level
        row = end
    return out


@compiled()
def _prune(tile, nodes, scale, extra, empty, price, shapes, cost, rate, choice):
    """Fill cost, rate, choice [NODES] of one tile's tree. choice: 0 empty, 1 splat, 2 split."""
    kept_extra = extra[tile].copy()
    kept_empty = empty[tile].copy()
    size = 1024
    for n in range(size):
        one = kept_extra[n] + price + scale * nodes[tile, n]
        if kept_empty[n] <= one:
            cost[n], rate[n], choice[n] = kept_empty[n], 0, 0
        else:
            cost[n], rate[n], choice[n] = one, 1, 1
    below, offset = 0, 1024
    for level in range(1, shapes.shape[1]):
        w = shapes[tile, level, 0]
        columns = 32 // w
        wide = w > shapes[tile, level - 1, 0]
        for n in range(1024 >> level):
            by, bx = n // columns, n % columns
            if wide:
                first = by * 2 * columns + 2 * bx
                second = first + 1
            else:
                first = 2 * by * columns + bx
                second = first + columns
            e = kept_extra[first] + kept_extra[second]
            nothing = kept_empty[first] + kept_empty[second]
            split = cost[below + first] + cost[below + second]
            # In place: entry n is written after both of its children were read (first >= n).
            kept_extra[n], kept_empty[n] = e, nothing
            one = scale * nodes[tile, offset + n] + e + price
            k = offset + n
            if nothing <= one and nothing <= split:
                cost[k], rate[k], choice[k] = nothing, 0, 0
            elif one <= split:
                cost[k], rate[k], choice[k] = one, 1, 1
            else:
                cost[k], rate[k], choice[k] = split, rate[below + first] + rate[below + second], 2
        below = offset
        offset += 1024 >> level
    return below


@compiled()
def _price(start, stop, nodes, scale, extra, empty, price, shapes, active, costs, rates):
    """Cost and number of splats of the tiles [start, stop), added to costs, rates [tiles]."""
    cost = np.empty(nodes.shape[1], np.float32)
    rate = np.empty(nodes.shape[1], np.int32)
    choice = np.empty(nodes.shape[1], np.uint8)
    for tile in range(start, stop):
        if active[tile]:
            root = _prune(tile, nodes, scale, extra, empty, price, shapes, cost, rate, choice)
            for n in range(root, nodes.shape[1]):
                costs[tile] += cost[n]
                rates[tile] += rate[n]


@compiled()
def _emit(nodes, scale, extra, empty, price, shapes, active, columns, total):
    out = np.empty((total, 4), np.int32)
    found = 0
    cost = np.empty(nodes.shape[1], np.float32)
    rate = np.empty(nodes.shape[1], np.int32)
    choice = np.empty(nodes.shape[1], np.uint8)
    stack = np.empty((4096, 2), np.int32)
    levels = shapes.shape[1]
    for tile in range(len(nodes)):
        if not active[tile]:
            continue
        root = _prune(tile, nodes, scale, extra, empty, price, shapes, cost, rate, choice)
        top = 0
        for n in range(nodes.shape[1] - root):
            stack[top, 0], stack[top, 1] = levels - 1, n
            top += 1
        while top > 0:
            top -= 1
            level, n = stack[top, 0], stack[top, 1]
            offset = 0
            for m in range(level):
                offset += 1024 >> m
            w, h = shapes[tile, level, 0], shapes[tile, level, 1]
            across = 32 // w
            by, bx = n // across, n % across
            if choice[offset + n] == 1:
                out[found, 0] = (tile % columns) * 32 + bx * w
                out[found, 1] = (tile // columns) * 32 + by * h
                out[found, 2], out[found, 3] = w, h
                found += 1
            elif choice[offset + n] == 2:
                if w > shapes[tile, level - 1, 0]:
                    first = by * 2 * across + 2 * bx
                    second = first + 1
                else:
                    first = 2 * by * across + bx
                    second = first + across
                stack[top, 0], stack[top, 1] = level - 1, first
                stack[top + 1, 0], stack[top + 1, 1] = level - 1, second
                top += 2
    return out[:found]


@dataclass(frozen=True)
class Layer:
    """One layer of splats to be allotted: its trees and what they cost."""

    grid: Grid
    nodes: F32  # [tiles, NODES] spatial error of a node as one splat, from node_errors
    scale: float  # how many frames the layer stands for
    extra: F32  # [tiles, TILE * TILE] error of a pixel that remains although it has a splat
    empty: F32  # [tiles, TILE * TILE] error of a pixel without a splat (large: it must have one)

    def price(self, price: float, active: NDArray[np.bool_] | None = None) -> tuple[NDArray, NDArray]:
        """(cost, splats) [tiles] each of the cheapest pruning for a price per splat."""
        on = np.ones(len(self.nodes), np.bool_) if active is None else active
        shapes = self.grid.shapes()
        costs, rates = np.zeros(len(on), np.float64), np.zeros(len(on), np.int64)
        trees = (self.nodes, np.float32(self.scale), self.extra, self.empty, np.float32(price), shapes, on)
        spread(_price, len(on), *trees, costs, rates, chunk=16)
        return costs, rates

    def patches(self, price: float, active: NDArray[np.bool_] | None = None) -> Patches:
        """The splats' rectangles for a price per splat, tile by tile."""
        on = np.ones(len(self.nodes), np.bool_) if active is None else active
        total = int(self.price(price, on)[1].sum())
        args = (self.nodes, np.float32(self.scale), self.extra, self.empty, np.float32(price), self.grid.shapes(), on)
        rows = _emit(*args, self.grid.columns, total)
        return Patches(*(np.ascontiguousarray(rows[:, i]) for i in range(4)))
