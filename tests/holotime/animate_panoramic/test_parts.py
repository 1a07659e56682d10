"""The window, circular layers, frames and sizes, without any model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from holotime.animate.panoramic import PanoramicConfig, frames
from holotime.animate.panoramic.families import FAMILIES
from holotime.animate.panoramic.window import Window
from holotime.errors import InputError
from holotime.models import PipelineFiles
from holotime.models.circular import CircularColumns


@given(
    tokens=st.integers(2, 20),
    margin=st.integers(0, 2),
    unit=st.integers(1, 3),
    step=st.integers(0, 50),
    seed=st.integers(0, 9),
)
def test_a_window_closes_to_what_it_opened(tokens: int, margin: int, unit: int, step: int, seed: int) -> None:
    window = Window(tokens * unit, margin * unit).at_step(step, unit)
    x = torch.randn(2, 3, tokens * unit, generator=torch.Generator().manual_seed(seed))
    seen = window.open(x)
    assert seen.shape[-1] == (tokens + margin) * unit
    assert torch.equal(seen[..., : tokens * unit].roll(window.start, -1), x)
    assert torch.equal(seen[..., tokens * unit :], seen[..., : margin * unit]), "the margin repeats the start"
    torch.testing.assert_close(window.close(seen), x)
    assert window.start % unit == 0
    assert window.per_token(unit) == Window(tokens, margin, window.start // unit)


def test_the_cut_lies_elsewhere_in_every_step() -> None:
    starts = [Window(40, 4).at_step(step, 2).start for step in range(8)]
    assert starts[0] == 20, "first behind the back"
    assert len(set(starts)) == 8
    gaps = np.diff(sorted(starts))
    assert gaps.max() <= 10, "evenly"


def test_a_margin_hides_the_edges_of_what_knows_edges() -> None:
    """A network that answers at its edges with something else: nothing of it is left where a margin is faded."""
    window = Window(12, 4, start=3)
    seen = window.open(torch.zeros(12))
    seen[0] = seen[-1] = 1.0
    closed = window.close(seen)
    assert closed.max() <= 0.25, "each edge counts least where it is an edge"
    assert Window(12, 0, start=3).close(torch.ones(12)).max() == 1.0


@given(
    shift=st.integers(-8, 8), seed=st.integers(0, 9), kernel=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2])
)
def test_circular_layers_commute_with_a_turn(shift: int, seed: int, kernel: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 2, 6, 8, generator=generator)
    weight = torch.randn(3, 2, kernel, kernel, generator=generator)
    volume, cube = x[:, :, None].expand(1, 2, 3, 6, 8), weight[:, :, None].expand(3, 2, 3, kernel, kernel)

    def flat(x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, weight, None, stride, kernel // 2)
        return F.pad(y, (1, 2, 1, 0))[..., 1:-2]

    def solid(x: torch.Tensor) -> torch.Tensor:
        return torch.conv3d(x, cube, stride=(1, stride, stride), padding=(1, kernel // 2, kernel // 2))

    for layer, value in ((flat, x), (solid, volume)):
        with CircularColumns():
            turned = layer(value.roll(shift * stride, -1))
            expected = layer(value).roll(shift, -1)
        torch.testing.assert_close(turned, expected)
    if kernel > 1:
        assert not torch.allclose(flat(x.roll(2 * stride, -1)), flat(x).roll(2, -1)), (
            "the same layers see edges elsewhere"
        )


def test_circular_padding_of_every_kind() -> None:
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    with CircularColumns():
        assert torch.equal(F.pad(x, (2, 1)), torch.cat([x[..., -2:], x, x[..., :1]], -1))
        assert torch.equal(F.pad(x, (1, 1, 1, 1), "reflect")[..., 1:-1, 0], x[..., -1])
        assert F.pad(x, (0, -1, 0, 0)).shape[-1] == 5
        assert torch.equal(F.pad(x[0, 0], (1, 0)), torch.cat([torch.zeros(4, 1), x[0, 0]], -1)), (
            "tables are no pictures"
        )
        same = F.conv2d(x, torch.ones(1, 1, 1, 3), padding="same")
        assert torch.equal(same[..., 0], x[..., -1] + x[..., 0] + x[..., 1])
    narrow = torch.arange(2.0).reshape(1, 1, 1, 2)
    with CircularColumns():
        assert F.pad(narrow, (3, 3)).flatten().tolist() == [1, 0, 1, 0, 1, 0, 1, 0]


def files(tmp_path: Path, cls: str, index: dict | None = None, **parts: dict) -> PipelineFiles:
    """A pipeline of configurations alone, as published."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": cls, **(index or {})}))
    for name, config in parts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    return PipelineFiles("a-model", tmp_path, cls, dict.fromkeys(parts, "X"), None)


WAN = {
    "in_channels": 36,
    "out_channels": 16,
    "patch_size": [1, 2, 2],
    "num_attention_heads": 40,
    "attention_head_dim": 128,
}
COG = {
    "in_channels": 32,
    "out_channels": 16,
    "patch_size": 2,
    "sample_width": 90,
    "sample_height": 60,
    "sample_frames": 49,
    "use_learned_positional_embeddings": True,
}
LONG = {**COG, "sample_width": 170, "sample_height": 96, "sample_frames": 81, "patch_size_t": 2}
LONG["use_learned_positional_embeddings"] = False
BLOCKS = {"block_out_channels": [128, 256, 256, 512], "temporal_compression_ratio": 4}


@pytest.mark.parametrize(
    ("animator", "index", "parts", "size", "seen", "frames"),
    [
        ("wan", {}, {"transformer": WAN, "vae": {"z_dim": 16}}, (864, 432), 944, 81),
        (
            "wan",
            {"expand_timesteps": True},
            {"transformer": {**WAN, "in_channels": 48}, "vae": {"z_dim": 48, "scale_factor_spatial": 16}},
            (1280, 640),
            1408,
            121,
        ),
        ("ltx", {}, {"transformer": {"in_channels": 128}, "vae": {"patch_size": 4}}, (832, 416), 928, 121),
        ("cogvideox", {}, {"transformer": COG, "vae": BLOCKS}, (656, 480), 720, 49),
        ("cogvideox", {}, {"transformer": LONG, "vae": BLOCKS}, (1216, 608), 1344, 81),
        (
            "svd",
            {},
            {
                "unet": {"block_out_channels": [320, 640, 1280, 1280], "sample_size": 96, "num_frames": 25},
                "vae": BLOCKS,
            },
            (1024, 512),
            1024,
            25,
        ),
    ],
)
def test_sizes_of_published_models(
    animator: str, index: dict, parts: dict, size: tuple, seen: int, frames: int, tmp_path: Path
) -> None:
    """Near what each was trained with, in whole tokens, the picture twice as wide as high where that is free."""
    family = FAMILIES[animator](files(tmp_path, FAMILIES[animator].classes[0], index, **parts))
    family.check()
    found = family.size(0)
    assert (found.width, found.height) == size
    assert (found.window.width + found.window.margin) * family.stride == pytest.approx(seen, abs=16 * family.unit)
    assert family.rules.frames == frames
    whole, small = family.working(found, family.rules.frames, 2)
    assert 2**30 < small <= whole < 40 * 2**30


def test_models_that_cannot_be_told_a_picture(tmp_path: Path) -> None:
    wan = files(tmp_path / "wan", "WanPipeline", transformer={**WAN, "in_channels": 16}, vae={"z_dim": 16})
    with pytest.raises(InputError, match="videos of words alone"):
        FAMILIES["wan"](wan).check()
    cog = files(tmp_path / "cog", "CogVideoXImageToVideoPipeline", transformer={**COG, "in_channels": 16}, vae=BLOCKS)
    with pytest.raises(InputError, match="videos of words alone"):
        FAMILIES["cogvideox"](cog).check()
    with pytest.raises(InputError, match="at no other"):
        FAMILIES["cogvideox"](cog).size(512)


@given(
    wanted=st.integers(1, 300),
    loop=st.sampled_from(["none", "fade", "bounce"]),
    most=st.sampled_from([(4, 49), (8, 121), (0, 25)]),
)
def test_enough_frames_are_made(wanted: int, loop: str, most: tuple[int, int]) -> None:
    class Rules:
        every, frames = most

    class Model:
        rules = Rules
        clip_frames = FAMILIES["wan"].clip_frames

    model = Model()
    need = frames.needed(wanted, loop)  # type: ignore[arg-type]
    lengths = frames.windows(model, need)  # type: ignore[arg-type]
    made = sum(lengths) - len(lengths) + 1
    assert made >= need
    assert all(n <= Rules.frames and (n % Rules.every == 1 if Rules.every else n == Rules.frames) for n in lengths)
    numbers = np.arange(made, dtype=np.uint8)[:, None, None, None].repeat(3, -1)
    clip = frames.close(numbers[:need], wanted, loop)  # type: ignore[arg-type]
    assert len(clip) == wanted


def test_loops_meet_their_start() -> None:
    """A ramp of brightness: the step from the end to the start is no larger than the largest inside."""
    ramp = (np.arange(40, dtype=np.uint8) * 5)[:, None, None, None].repeat(3, -1)
    for wanted in (8, 9, 24):
        for loop in ("fade", "bounce"):
            need = frames.needed(wanted, loop)  # type: ignore[arg-type]
            clip = frames.close(ramp[:need], wanted, loop)[:, 0, 0, 0].astype(int)  # type: ignore[arg-type]
            inside = np.abs(np.diff(clip)).max()
            assert abs(clip[0] - clip[-1]) <= inside, (wanted, loop, clip)
    assert frames.close(ramp[: frames.needed(8, "bounce")], 8, "bounce")[:, 0, 0, 0].tolist() == [
        0,
        5,
        10,
        15,
        20,
        15,
        10,
        5,
    ]


@given(shift=st.integers(0, 31), grow=st.sampled_from([(32, 64), (37, 74), (64, 256), (8, 16)]))
def test_resizing_goes_round(shift: int, grow: tuple[int, int]) -> None:
    """Turning first or last is the same, when the turn is whole pixels in both."""
    image = np.random.default_rng(3).integers(0, 256, (16, 32, 3)).astype(np.uint8)
    height, width = grow
    whole = shift * width % 32 == 0
    turned = frames.resize(np.roll(image, shift, 1), height, width)
    assert turned.shape == (height, width, 3)
    if whole:
        assert (
            np.abs(turned.astype(int) - np.roll(frames.resize(image, height, width), shift * width // 32, 1)).max() <= 1
        )


def test_defaults_are_the_models_own() -> None:
    config = PanoramicConfig()
    assert (config.steps, config.guidance_scale, config.width, config.model) == (0, 0.0, 0, "")
