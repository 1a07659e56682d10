"""Large motions: the parts of GMFlow, and what a good match does for DIS."""

import numpy as np
import pytest
import torch

from holotime import sphere
from holotime.clip import Clip
from holotime.errors import InputError
from holotime.perceive import clip as clip_module
from holotime.perceive import flow, gmflow, large_motion
from holotime.weights import status

from .conftest import texture

HEIGHT = 128
TINY = gmflow.GMFlowConfig(stem=(4, 8, 8), layers=2, expansion=1, splits=(1, 2), hidden=8)


def turned(degrees: float) -> tuple[np.ndarray, np.ndarray, int]:
    """A panorama, the same turned by whole columns, and by how many."""
    grey = np.round(40 + 175 * texture(HEIGHT, 3, 15.0)).astype(np.uint8)
    first = np.repeat(grey[..., None], 3, -1)
    columns = round(degrees / 360 * 2 * HEIGHT)
    return first, np.roll(first, columns, axis=1), columns


def error(found: np.ndarray, columns: int) -> float:
    away = np.stack([flow.wrap_difference(found[..., 0] - columns, 2 * HEIGHT), found[..., 1]], -1)
    weight = np.broadcast_to(sphere.solid_angles(HEIGHT), (HEIGHT, 2 * HEIGHT))
    return float(np.average(flow.speed(away), weights=weight))


def with_answer(monkeypatch, columns: int) -> large_motion.LargeMotion:
    """A matcher whose network knows the turn, half a pixel and a bit wrong."""
    found = large_motion.LargeMotion.__new__(large_motion.LargeMotion)
    found.pairs = 0
    there = np.full((HEIGHT, 2 * HEIGHT, 2), [columns + 0.6, 0.3], np.float32)
    monkeypatch.setattr(found, "match", lambda first, second: (there, -there), raising=False)
    return found


def test_network_has_the_parameters_of_the_published_weights():
    tensors = gmflow.GMFlow().state_dict()
    assert len(tensors) == 124
    assert sum(t.numel() for t in tensors.values()) == 4_716_720
    assert tensors["transformer.layers.5.cross_attn_ffn.mlp.0.weight"].shape == (1024, 256)


@pytest.mark.parametrize("shift", [3, -5, 20])
def test_matches_go_the_short_way_around(shift):
    random = torch.Generator().manual_seed(0)
    first = 8 * torch.nn.functional.normalize(torch.randn(1, 6, 32, 64, generator=random), dim=-1)
    second = first.roll(shift, dims=2)
    there = gmflow.match_everywhere(2 * first, 2 * second)
    away = torch.remainder(torch.tensor(shift) + 16, 32) - 16
    assert torch.allclose(there[:, 0], torch.full((1, 6, 32), float(away)), atol=0.05)
    assert float(there[:, 1].abs().max()) < 0.05


def test_neighbourhood_match_wraps_and_ends_at_the_poles():
    random = torch.Generator().manual_seed(1)
    first = 20 * torch.nn.functional.normalize(torch.randn(1, 8, 16, 64, generator=random), dim=-1)
    second = first.roll((1, 2), dims=(1, 2))
    found = gmflow.match_nearby(first, second, 3)
    assert torch.allclose(found[:, 0, :-1], torch.full((1, 7, 16), 2.0), atol=0.05)
    assert torch.allclose(found[:, 1, :-1], torch.full((1, 7, 16), 1.0), atol=0.05)
    seen = gmflow.look_along(second, torch.tensor([2.0, 1.0])[None, :, None, None].expand(1, 2, 8, 16))
    assert torch.allclose(seen[:, :-1], first[:, :-1], atol=1e-3)
    assert float(seen[:, -1].abs().max()) < 1e-3


def test_windows_are_put_together_again():
    x = torch.arange(2 * 8 * 16 * 3.0).reshape(2, 8, 16, 3)
    windows = gmflow.to_windows(x, 4)
    assert windows.shape == (32, 2, 4, 3)
    assert torch.equal(windows[1], x[0, :2, 4:8])
    assert torch.equal(gmflow.from_windows(windows, 4), x)


def test_same_pictures_give_the_same_flow_both_ways():
    torch.manual_seed(0)
    network = gmflow.GMFlow(TINY).eval()
    first, _, _ = turned(0)
    picture = np.ascontiguousarray(first[::2, ::2])
    there, back = gmflow.match_panoramas(network, picture, picture)
    assert there.shape == (64, 128, 2)
    assert np.isfinite(there).all()
    assert np.allclose(there, back, atol=1e-4)
    with pytest.raises(InputError, match="multiples of 32"):
        gmflow.match_panoramas(network, picture[:40], picture[:40])


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "gmflow.pkl"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="GMFlow"):
        gmflow.load_gmflow(path)


def test_a_large_turn_is_found_with_a_match_only(monkeypatch):
    first, second, columns = turned(40)
    greys = flow.grey(first), flow.grey(second)
    plain = flow.flow_between(*greys), flow.flow_between(*greys[::-1])
    assert error(plain[0], columns) > 1
    matcher = with_answer(monkeypatch, columns)
    there, back = matcher.improve(first, second, *plain)
    assert matcher.pairs == 1
    assert error(there, columns) < 0.3
    assert error(back, -columns) < 0.3
    assert large_motion.lost_share(there, back) < large_motion.LOST


def test_a_small_turn_is_left_to_dis(monkeypatch):
    first, second, columns = turned(2)
    greys = flow.grey(first), flow.grey(second)
    plain = flow.flow_between(*greys), flow.flow_between(*greys[::-1])
    matcher = with_answer(monkeypatch, columns)
    assert matcher.improve(first, second, *plain)[0] is plain[0]
    assert matcher.pairs == 0


def test_a_wrong_match_does_no_harm():
    first, second, columns = turned(3)
    greys = flow.grey(first), flow.grey(second)
    plain = flow.flow_between(*greys)
    wrong = np.full_like(plain, 37.0)
    kept = large_motion.better(*greys, plain, large_motion.refined(*greys, wrong))
    assert error(kept, columns) < error(plain, columns) + 0.05


def test_the_report_says_what_made_the_flow(monkeypatch):
    first, second, columns = turned(40)
    clip = Clip(np.stack([first, second]))
    monkeypatch.setattr(clip_module, "find_large_motion", lambda: with_answer(monkeypatch, columns))
    seen = clip_module.perceive_clip(clip, backend="prior")
    assert seen.backend.endswith("flow: GMFlow and DIS (1 of 1 pairs needed GMFlow)")
    monkeypatch.setattr(clip_module, "find_large_motion", lambda: None)
    assert "flow" not in clip_module.perceive_clip(clip, backend="prior").backend


@pytest.mark.skipif(not status("gmflow").present, reason="the weights of GMFlow are not here")
def test_published_weights_find_a_turn():
    first, second, columns = turned(25)
    greys = flow.grey(first), flow.grey(second)
    plain = flow.flow_between(*greys), flow.flow_between(*greys[::-1])
    matcher = large_motion.find_large_motion()
    there, _ = matcher.improve(first, second, *plain)
    assert error(there, columns) < 0.5
