"""The allotment of splats: trees tile the picture, the price works, detail gets more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.reconstruct.budget import LEVELS, TILE, Grid, Layer, block_shapes, node_errors

MUST = 1e6


def layer_of(image: np.ndarray, inverse: np.ndarray | None = None) -> Layer:
    """A layer in which every pixel must have a splat."""
    height, width = image.shape[:2]
    grid = Grid(height, width)
    weight = np.repeat(sphere.solid_angles(height, width), width, 1).astype(np.float32)
    weight /= weight.max()
    inverse = np.full((height, width), 0.1, np.float32) if inverse is None else inverse
    nothing = grid.tiles(np.zeros((height, width), np.float32))
    must = grid.tiles(np.full((height, width), MUST, np.float32))
    return Layer(grid, node_errors(grid, image, inverse, weight), 1.0, nothing, must)


@pytest.mark.parametrize("flat", range(4))
def test_shapes_halve_from_level_to_level(flat):
    shapes = block_shapes(flat)
    assert len(shapes) == LEVELS
    assert np.array_equal(shapes.prod(1), 2 ** np.arange(LEVELS))
    assert (shapes <= TILE).all()


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([(64, 128), (48, 96), (50, 100), (33, 66)]), st.floats(1e-4, 10), st.integers(0, 9))
def test_patches_cover_every_pixel_once(size, price, seed):
    image = np.random.default_rng(seed).random((*size, 3), np.float32)
    layer = layer_of(image)
    patches = layer.patches(price)
    count = np.zeros((size[0] + TILE, size[1] + TILE), int)
    for x, y, w, h in zip(patches.x, patches.y, patches.w, patches.h, strict=True):
        count[y : y + h, x : x + w] += 1
    assert (count[: size[0], : size[1]] == 1).all()
    assert len(patches) == layer.price(price)[1].sum()


def test_a_dearer_splat_means_fewer():
    layer = layer_of(np.random.default_rng(0).random((64, 128, 3), np.float32))
    rates = [int(layer.price(p)[1].sum()) for p in (1e-4, 1e-2, 0.1, 1.0, 10.0)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 4 * rates[-1]


def test_pruning_is_the_cheapest_of_all_levels():
    layer = layer_of(np.random.default_rng(1).random((64, 128, 3), np.float32))
    cost, _ = layer.price(0.3)
    start = 0
    for level in range(LEVELS):  # every uniform level is one of the prunings
        count = (TILE * TILE) >> level
        uniform = layer.nodes[:, start : start + count].sum(1) + 0.3 * count
        assert (cost <= uniform + 1e-3).all()
        start += count


def test_detail_gets_the_splats():
    image = np.full((64, 128, 3), 0.5, np.float32)
    image[20:44, 40:80] = np.random.default_rng(2).random((24, 40, 3))
    patches = layer_of(image).patches(0.01)
    inside = (patches.x >= 40) & (patches.x < 80) & (patches.y >= 20) & (patches.y < 44)
    assert inside.mean() > 0.6
    assert (patches.w * patches.h)[~inside].mean() > 3 * (patches.w * patches.h)[inside].mean()


def test_no_splat_bridges_a_depth_edge():
    inverse = np.full((64, 128), 1 / 20, np.float32)
    inverse[:, 37:71] = 1 / 2
    patches = layer_of(np.full((64, 128, 3), 0.5, np.float32), inverse).patches(1e-4)
    for edge in (37, 71):
        assert not ((patches.x < edge) & (patches.x + patches.w > edge)).any()


def test_poles_get_few_splats():
    """Noise everywhere: the density follows the solid angle, not the pixels."""
    height = 128
    image = np.random.default_rng(3).random((height, 2 * height, 3), np.float32)
    patches = layer_of(image).patches(0.05)
    rows = np.bincount(np.clip(patches.y // 8, 0, 15), minlength=16)
    assert rows[0] < 0.35 * rows[8]
    assert rows[15] < 0.35 * rows[8]


def test_empty_where_nothing_is_gained():
    layer = layer_of(np.random.default_rng(4).random((64, 128, 3), np.float32))
    free = Layer(layer.grid, layer.nodes, 1.0, layer.extra, np.zeros_like(layer.empty))
    assert len(free.patches(1e-6)) == 0
