"""More pixels: the networks, their tiles around the circle, poles, and steadiness."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from holotime import quality, sphere
from holotime.enhance.esrgan import RRDBNet, SRVGGNet, load_network
from holotime.enhance.steady import steady
from holotime.enhance.superres import Lanczos, Network, back_project, lanczos, tiles
from holotime.errors import Cancelled, InputError, OutOfMemory

from .conftest import randomise, turned

CPU = torch.device("cpu")
TILTED = (1.0, 0.4, 0.2)
FINE = 0.4  # of the pattern; what is as fine as the pixels is not the same after resampling


def quiet(share: float) -> None:
    pass


def edgy(scale: int = 2, *, directed: bool = False) -> SRVGGNet:
    """A random network that reacts to borders: what it makes of one pixel depends on those around.

    Unless it is ``directed``, its filters look the same from all sides, so that what it makes of a place does not
    depend on which chart shows it.
    """
    network = randomise(SRVGGNet(8, 3, scale), 0.8).eval()
    with torch.no_grad():
        if directed:
            return network
        for layer in network.body:
            if isinstance(layer, torch.nn.Conv2d):
                w = layer.weight
                ways = [torch.rot90(v, k, (2, 3)) for v in (w, w.flip(3)) for k in range(4)]
                w.copy_(torch.stack(ways).mean(0))
        last = network.body[-1]
        last.weight.copy_(0.3 * last.weight[:: scale**2].repeat_interleave(scale**2, 0))
    return network


def enlarger(network, scale: int = 2) -> Network:
    return Network(network, scale, "tiny", ())


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_rrdb_is_read_by_its_shapes(scale: int, tmp_path: Path) -> None:
    made = randomise(RRDBNet(8, 2, 4, scale)).eval()
    torch.save({"params_ema": made.state_dict()}, tmp_path / "net.pth")
    read = load_network(tmp_path / "net.pth", CPU, torch.float32)
    x = torch.rand(1, 3, 8, 12)
    assert read(x).shape == (1, 3, scale * 8, scale * 12)
    torch.testing.assert_close(read(x), made(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_srvgg_is_read_by_its_shapes(scale: int, tmp_path: Path) -> None:
    made = edgy(scale)
    torch.save({"params": made.state_dict()}, tmp_path / "net.pth")
    read = load_network(tmp_path / "net.pth", CPU, torch.float32)
    x = torch.rand(1, 3, 8, 12)
    torch.testing.assert_close(read(x), made(x))
    assert read.scale == scale


@pytest.mark.parametrize("network", [SRVGGNet(8, 2, 4), RRDBNet(8, 1, 4, 4)])
def test_an_ncnn_file_is_the_same_network(network, tmp_path: Path) -> None:
    randomise(network).eval()
    layers, data = ["7767517", "1 1"], b""
    order = [m for _, m in network.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.PReLU)]
    if isinstance(network, RRDBNet):  # registered in another order than they run
        names = ["conv_first", *(n for n, m in network.body.named_modules() if isinstance(m, torch.nn.Conv2d))]
        order = [network.conv_first, *(network.body.get_submodule(n) for n in names[1:])]
        order += [network.conv_body, network.conv_up1, network.conv_up2, network.conv_hr, network.conv_last]
    for i, module in enumerate(order):
        weight = module.weight.detach().numpy()
        if weight.ndim == 1:
            layers.append(f"PReLU p{i} 1 1 a b 0={len(weight)}")
            data += weight.tobytes()
        else:
            layers.append(f"Convolution c{i} 1 1 a b 0={len(weight)} 1=3 4=1 5=1 6={weight.size}")
            data += bytes(4) + weight.tobytes() + module.bias.detach().numpy().tobytes()
    (tmp_path / "net.param").write_text("\n".join(layers))
    (tmp_path / "net.bin").write_bytes(data)
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(
        load_network(tmp_path / "net.param", CPU, torch.float32)(x), network(x), atol=1e-5, rtol=1e-5
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"conv_first.weight": torch.zeros(8, 7, 3, 3)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match="not a network of Real-ESRGAN"):
        load_network(tmp_path / "net.pth", CPU, torch.float32)
    torch.save(RRDBNet(8, 1, 4, 1).state_dict(), tmp_path / "net.pth")
    with pytest.raises(InputError, match="enlarges 1 times"):
        Network.load(tmp_path / "net.pth", "net", 2, CPU)


@pytest.mark.parametrize("scale", [2, 4])
def test_lanczos_turns_exactly_with_the_panorama(scale: int) -> None:
    frame = turned(32, 0, TILTED)
    big = lanczos(frame, scale)
    assert big.shape == (32 * scale, 64 * scale, 3)
    assert np.array_equal(lanczos(np.roll(frame, 7, 1), scale), np.roll(big, 7 * scale, 1))


@pytest.mark.parametrize(("own", "scale"), [(2, 2), (4, 2), (4, 4), (2, 4)])
def test_rolling_the_frame_rolls_the_result(own: int, scale: int) -> None:
    frame = turned(64, 0, TILTED, fine=FINE)
    made = enlarger(edgy(own), scale).enlarge(frame, quiet)
    assert made.shape == (64 * scale, 128 * scale, 3)
    rolled = enlarger(edgy(own), scale).enlarge(np.roll(frame, 40, 1), quiet)
    off = np.abs(np.roll(made, 40 * scale, 1).astype(int) - rolled)
    band = np.abs(np.degrees(sphere.latitudes(len(made)))) < 44
    assert off[band].max() <= 1, "the circle is exact"
    assert off[~band].mean() < 2, "the caps are resampled"


def test_tiles_do_not_show() -> None:
    frame = turned(64, 0, TILTED)
    whole = enlarger(edgy()).enlarge(frame, quiet)
    told: list[float] = []
    tiled = Network(edgy(), 2, "tiny", (), tile=24).enlarge(frame, told.append)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert len(told) > 10
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_it_can_be_cancelled_within_a_tile() -> None:
    told: list[float] = []

    def stop(share: float) -> None:
        told.append(share)
        if len(told) == 3:
            raise Cancelled

    network = enlarger(edgy())
    with pytest.raises(Cancelled):
        network.enlarge(turned(64, 0), stop)
    assert told[-1] < 0.5, "in the first tile"
    assert network.enlarge(turned(64, 0), quiet).shape == (128, 256, 3)


def test_too_little_memory_means_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = turned(64, 0, TILTED)
    whole = enlarger(edgy()).enlarge(frame, quiet)
    network = edgy()
    forward, most = type(network).forward, 128 + 2 * 20

    def limited(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] >= most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x)

    monkeypatch.setattr(type(network), "forward", limited)
    small = enlarger(network)
    assert np.abs(small.enlarge(frame, quiet).astype(int) - whole).max() <= 1
    assert small.tile == 96
    most = 10
    with pytest.raises(OutOfMemory, match="in tiles of 48 pixels"):
        small.enlarge(frame, quiet)


def test_no_seam_where_the_flat_network_shows_one() -> None:
    """The columns at the seam differ as much as the same ones do where they are in the middle of the picture."""
    frame = turned(64, 0)
    network = edgy(directed=True)
    band = np.abs(np.degrees(sphere.latitudes(128))) < 44

    def flat(picture: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            big = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[0]
        return np.clip(big.permute(1, 2, 0).numpy() * 255, 0, 255)

    def at_the_border(method) -> float:
        in_the_middle = np.roll(method(np.roll(frame, 64, 1)), -128, 1)
        return quality.seam_ratio(method(frame)[None, band]) / quality.seam_ratio(in_the_middle[None, band])

    assert at_the_border(lambda f: enlarger(network).enlarge(f, quiet)) == pytest.approx(1, abs=0.05)
    assert not 0.8 < at_the_border(flat) < 1.25


def test_the_pole_is_a_point_like_any_other() -> None:
    small, truth = (turned(h, 0, TILTED, fine=FINE).astype(float) for h in (64, 128))
    made = enlarger(edgy()).enlarge(small.astype(np.uint8), quiet)
    for rows in (slice(0, 8), slice(-8, None)):
        error = np.abs(made[rows] - truth[rows]).mean()
        assert error < np.abs(made - truth).mean() + 1, "no worse than elsewhere"
        assert np.abs(np.diff(made[rows].astype(float), axis=1)).max() < 8, "nothing jumps on the way round the pole"


def test_shrunk_again_it_is_the_frame() -> None:
    frame = turned(64, 0, TILTED)
    wrong = np.clip(lanczos(frame, 2) * 0.8 + 20, 0, 255).astype(np.uint8)
    shrunk = cv2.resize(back_project(wrong, frame), (128, 64), interpolation=cv2.INTER_AREA)
    before = cv2.resize(wrong, (128, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(float) - frame).mean() < 0.2 * np.abs(before.astype(float) - frame).mean()


def test_odd_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = turned(35, 0)
    assert enlarger(edgy()).enlarge(frame, quiet).shape == (70, 140, 3)
    assert Lanczos(2).enlarge(frame, quiet).shape == (70, 140, 3)
    assert sum(h * w for *_, h, w in tiles(35, 70, 16)) == 35 * 70


def test_noise_does_not_shimmer() -> None:
    """The flicker of still pixels, at the small frame's size, is not above that of the frames that came in."""
    rng = np.random.default_rng(0)
    still = turned(64, 0, TILTED).astype(float)
    small = [np.clip(still + rng.normal(0, 3, still.shape), 0, 255).astype(np.uint8) for _ in range(5)]
    network = enlarger(edgy())
    large = [network.enlarge(f, quiet) for f in small]
    calm = [steady(large[i], small[i], [(large[j], small[j]) for j in (i - 1, i + 1)]) for i in (1, 2, 3)]

    def flicker(frames: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(b.astype(float) - a).mean() for a, b in itertools.pairwise(frames)]))

    assert flicker(calm) < flicker(large[1:4])
    assert flicker(calm) <= 1.1 * flicker([lanczos(f, 2) for f in small[1:4]])


def test_what_moves_stays_sharp() -> None:
    small = [turned(64, 4 * i) for i in range(3)]
    large = [turned(128, 4 * i) for i in range(3)]
    made = steady(large[1], small[1], [(large[0], small[0]), (large[2], small[2])])
    assert quality.psnr(made, large[1]) > 38
