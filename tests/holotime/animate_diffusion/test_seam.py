"""Circular convolutions, blending, extending and closing on panoramas."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime.animate.diffusion.norm import GroupNorm
from holotime.animate.diffusion.seam import (
    Wrap,
    WrapConv2d,
    blend_edge,
    circular_resize,
    close,
    extend,
    repeat_overlap,
    wrap_pad,
)


@given(sixteenth=st.integers(1, 8), left=st.integers(0, 2), right=st.integers(0, 2), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_padding_continues_the_turn(sixteenth: int, left: int, right: int, seed: int) -> None:
    turn = torch.randn(1, 2, 3, 15 * sixteenth, generator=torch.Generator().manual_seed(seed))
    x = torch.cat([turn, turn[..., :sixteenth]], -1)
    endless = torch.cat([turn] * 4, -1)
    start = 15 * sixteenth
    expected = endless[..., start - left : start + 16 * sixteenth + right]
    for wrap in (Wrap.FLOOR, Wrap.EXACT):
        assert torch.equal(wrap_pad(x, left, right, wrap), expected)


def test_exact_padding_interpolates_where_the_overlap_is_not_whole() -> None:
    x = torch.arange(8.0).reshape(1, 1, 1, 8)  # overlap of half a column: the period is 7.5
    padded = wrap_pad(x, 1, 1, Wrap.EXACT)[0, 0, 0]
    assert padded[0] == 6.5
    assert padded[-1] == 0.5
    assert wrap_pad(x, 1, 1, Wrap.FLOOR)[0, 0, 0, [0, -1]].tolist() == [7, 0]


def test_convolution_equals_a_circular_one_on_the_turn() -> None:
    torch.manual_seed(0)
    turn = torch.randn(2, 3, 5, 30)
    conv = WrapConv2d(3, 4, 3, padding=1)
    conv.wrap = Wrap.EXACT
    y = conv(torch.cat([turn, turn[..., :2]], -1))
    rows = F.pad(F.pad(turn, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1))
    expected = F.conv2d(rows, conv.weight, conv.bias)
    torch.testing.assert_close(y[..., :30], expected)
    torch.testing.assert_close(y[..., 30:], expected[..., :2])  # the overlap stays a copy


@given(width=st.integers(16, 80), step=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_blending_leaves_a_closed_field_alone(width: int, step: int, seed: int) -> None:
    x = repeat_overlap(torch.randn(2, 3, width, generator=torch.Generator().manual_seed(seed)))
    torch.testing.assert_close(blend_edge(x, step), x)


def test_blending_fades_into_one_edge_only() -> None:
    x = torch.randn(1, 4, 64)
    left, right = blend_edge(x, 0), blend_edge(x, 1)
    assert torch.equal(left[..., 4:], x[..., 4:])
    assert torch.equal(right[..., :60], x[..., :60])
    torch.testing.assert_close(left[..., :4], right[..., 60:])
    torch.testing.assert_close(left[..., 0], x[..., 60])  # k = 0 takes the right copy


def test_extending_is_exact_and_goes_round() -> None:
    torch.manual_seed(0)
    panorama = torch.rand(1, 3, 64, 128)
    wide = extend(panorama, 64, 256, compat=False)
    assert torch.equal(wide[..., 240:], wide[..., :16])
    # A turn of the input by 8 of 128 columns is a turn of the output by 15 of 240.
    turned = extend(panorama.roll(8, -1), 64, 256, compat=False)
    torch.testing.assert_close(turned[..., :240], wide[..., :240].roll(15, -1), atol=1e-4, rtol=0)
    recipe = extend(panorama, 64, 256, compat=True)
    assert (recipe[..., 240:] - recipe[..., :16]).abs().mean() > 1e-3  # the published recipe is not


def test_closing_inverts_extending() -> None:
    x = torch.linspace(0, 2 * torch.pi, 257)[:-1]
    panorama = (torch.sin(x) * 0.5 + 0.5).expand(1, 3, 128, 256)
    back = close(extend(panorama, 128, 256, compat=False), 128, compat=False)
    assert (back - panorama).abs().max() < 2e-3
    seam = (back[..., 0] - back[..., -1]).abs().mean() / back.diff(dim=-1).abs().mean()
    assert seam == pytest.approx(torch.pi / 2, rel=0.05)  # as steep as a sine is at its zero


@given(k=st.integers(0, 31), width=st.sampled_from([16, 24, 32, 48, 64]))
@settings(max_examples=30, deadline=None)
def test_resizing_turns_with_its_input(k: int, width: int) -> None:
    x = torch.rand(1, 2, 16, 32, generator=torch.Generator().manual_seed(k))
    shift = k * width
    if shift % 32:
        return
    torch.testing.assert_close(
        circular_resize(x.roll(k, -1), 8, width), circular_resize(x, 8, width).roll(shift // 32, -1), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("wrap", list(Wrap))
@pytest.mark.parametrize("width", [8, 32])
def test_convolution_of_a_norm(wrap: Wrap, width: int) -> None:
    """The norm that leaves room for the sides gives what norm, padding and convolution give one after the other."""
    x, shift = torch.randn(2, 32, 4, width), torch.randn(2, 32)
    norm, conv = (m.requires_grad_(False) for m in (GroupNorm(32, 32), WrapConv2d(32, 6, 3, padding=1)))
    conv.wrap = wrap
    expected = conv(F.silu(norm(x + shift[:, :, None, None])))
    torch.testing.assert_close(conv.of_norm(norm, x, shift), expected, atol=1e-5, rtol=1e-5)
    without = conv.of_norm(norm, x, shift, biased=False) + conv.bias[:, None, None]
    torch.testing.assert_close(without, expected, atol=1e-5, rtol=1e-5)
