"""Panoramas without a seam: attention on the circle, tiles that wrap, whole pipelines against diffusers' own."""

import warnings

import numpy as np
import pytest
import torch

from holotime.panorama.codec import Codec, in_tiles, ramp, starts
from holotime.panorama.config import PanoramaConfig
from holotime.panorama.loading import choose, open_network
from holotime.panorama.networks import pack, unpack
from holotime.panorama.sampler import Part, Sampler
from holotime.panorama.turning import block_count, layouts, rotate, turned_attention
from holotime.quality import seam_ratio
from tests.holotime.panorama import tiny

pytest.importorskip("diffusers")
STEPS, GUIDANCE = 2, {"sd": 5.0, "sdxl": 5.0, "flux": 3.5}
SHAPE = (1, 4, 128, 64)  # more rows than a panorama has: the seam is better measured


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Tiny networks, loaded from folders by the code that loads published ones."""
    made = {}
    for kind in ("sd", "sdxl", "flux"):
        # The grids of strides in random weights would be taken for a seam: see tiny.make.
        folder = tiny.make(kind, tmp_path_factory.mktemp(kind), levels=2 if kind == "flux" else 1)
        config = PanoramaConfig(prompt="a sea", model=str(folder), device="cpu", width=128)
        chosen = choose(config, photo=False)
        made[kind] = open_network(chosen, chosen.plan_for(config))
    return made


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def start(seed, shape=SHAPE):
    """Noise that changes slowly along the circle and freely from row to row: a seam stands out."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    waves = torch.fft.rfft(noise, dim=-1)
    turns = torch.fft.rfftfreq(shape[-1]) * 2 * torch.pi
    smooth = torch.fft.irfft(waves * torch.exp(-0.5 * (turns * 6) ** 2), n=shape[-1], dim=-1)
    return smooth / smooth.std()


def sample(network, kind, noise, **more):
    guidance = GUIDANCE[kind]
    task = Part("a", network.read("a sea", "", guidance), STEPS, guidance, noise=noise, **more)
    return Sampler(network, 0).run(task, tuple(noise.shape))


def picture(z, codec, **how):
    x = codec.decode(z, **how)[0]
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()


def unmodified(pipe, kind, noise, codec):
    """diffusers' own pipeline from the same noise."""
    height, width = (n * codec.factor for n in noise.shape[-2:])
    latents = pack(noise) if kind == "flux" else noise.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, in diffusers' Euler scheduler
        out = pipe(
            prompt="a sea",
            height=height,
            width=width,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE[kind],
            latents=latents,
            output_type="np",
        )
    return np.round(out.images[0] * 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_the_seam_is_gone_where_the_unmodified_pipeline_has_one(networks, kind):
    network = networks[kind]
    codec = Codec(network.pipe.vae, network.device)
    plain, ours, tiled = [], [], []
    for seed in range(5):
        noise = start(seed)
        plain.append(unmodified(network.pipe, kind, noise, codec))
        z = sample(network, kind, noise)
        ours.append(picture(z, codec))
        tiled.append(picture(z, codec, tile=32))
        if seed == 0:
            # With everything switched off, the loop makes the pipeline's own picture: half a level is rounding.
            same = picture(sample(network, kind, noise, circle=False), codec, wrap=False)
            assert np.abs(same.astype(int) - plain[0]).max() <= 3
    assert seam_ratio(np.stack(plain)) > 1.15
    assert seam_ratio(np.stack(ours)) == pytest.approx(1.0, abs=0.05)
    assert seam_ratio(np.stack(tiled)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_a_turn_of_the_noise_is_a_turn_of_the_panorama(networks, kind):
    network = networks[kind]
    codec = Codec(network.pipe.vae, network.device)
    noise = start(7, (1, 4, 16, 32))
    turn = 3 * network.step_of(32)
    one = sample(network, kind, noise)
    other = sample(network, kind, noise.roll(turn, -1))
    assert (other - one.roll(turn, -1)).abs().max() < 1e-3
    assert (other - one).abs().max() > 0.1
    a, b = (codec.decode(z) for z in (one, other))
    assert (b - a.roll(turn * codec.factor, -1)).abs().max() < 1e-3
    # As it is, the network is not so.
    fixed = [sample(network, kind, n, circle=False) for n in (noise, noise.roll(turn, -1))]
    assert (fixed[1] - fixed[0].roll(turn, -1)).abs().max() > 0.02


def test_attention_on_the_circle_is_plain_attention_on_turned_pictures():
    """The twin: for each block, turn the whole picture until the block is in the middle, and attend as ever."""
    rows, columns, texts, heads, d = 3, 16, 5, 2, 8
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, texts + rows * columns, heads, d, generator=g) for _ in range(3))
    angle = torch.rand(texts + rows * columns, d // 2, generator=g).repeat_interleave(2, -1) * 6
    cos, sin = angle.cos(), angle.sin()
    found = turned_attention(q, k, v, layouts(cos, sin, texts, rows, columns), texts)

    def turn(x, by):
        image = x[:, texts:].unflatten(1, (rows, columns)).roll(by, 2).flatten(1, 2)
        return torch.cat([x[:, :texts], image], 1)

    def plain(q, k, v):
        q, k, v = (x.transpose(1, 2) for x in (rotate(q, cos, sin), rotate(k, cos, sin), v))
        return (torch.softmax(q @ k.mT / d**0.5, -1) @ v).transpose(1, 2)

    wide = columns // block_count(columns)
    answers = []
    for block in range(columns // wide):
        by = columns // 2 - (block * wide + wide // 2)
        answers.append(turn(plain(*(turn(x, by) for x in (q, k, v))), -by))
        mine = slice(block * wide, (block + 1) * wide)
        ours, theirs = (x[:, texts:].unflatten(1, (rows, columns))[:, :, mine] for x in (found, answers[-1]))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[:, :texts], torch.stack(answers).mean(0)[:, :texts], atol=1e-5, rtol=1e-4)
    assert [block_count(n) for n in (64, 12, 7, 11)] == [8, 6, 7, 1]


def test_tokens_are_those_of_the_pipeline():
    from diffusers import FluxPipeline

    x = torch.randn(1, 16, 8, 16)
    assert torch.equal(pack(x), FluxPipeline._pack_latents(x, 1, 16, 8, 16))
    assert torch.equal(unpack(pack(x), 4, 8), x)


@pytest.mark.parametrize(("length", "tile"), [(64, 32), (48, 32), (33, 32), (40, 16), (16, 16), (128, 24)])
@pytest.mark.parametrize("wrap", [True, False])
def test_tiles_cover_everything_and_go_round(length, tile, wrap):
    def double(piece):
        return piece.repeat_interleave(2, -1).repeat_interleave(2, -2)

    x = torch.randn(1, 2, tile, length)
    if tile <= length:
        covered = torch.zeros(length, dtype=torch.long)
        for first in starts(length, tile, wrap=wrap):
            covered[(torch.arange(tile) + first) % length] += 1
        assert covered.min() >= 1
    out = in_tiles(x, lambda piece: piece, tile, scale=1.0, wrap=wrap)
    torch.testing.assert_close(out, x)
    doubled = in_tiles(
        x, lambda piece: piece.repeat_interleave(2, -1).repeat_interleave(2, -2), tile, scale=2, wrap=wrap
    )
    torch.testing.assert_close(doubled, double(x))
    assert ramp(tile).min() > 0


def test_pictures_come_back_from_latents_wherever_the_tiles_lie(networks):
    """Encoding in tiles round the circle has no place of its own: a turn by a tile's step is a turn of the latent."""
    codec = Codec(networks["flux"].pipe.vae, torch.device("cpu"))
    x = torch.randn(1, 3, 48, 96, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    for tile in (0, 16):
        step = 96 // len(starts(96, 32, wrap=True, unit=2)) if tile else codec.factor
        one, other = (codec.encode(p, tile=tile) for p in (x, x.roll(step, -1)))
        torch.testing.assert_close(other, one.roll(step // codec.factor, -1), atol=1e-4, rtol=1e-3)
