"""Gradients of the CPU rasterizer against the plain twin, finite differences, and themselves."""

import math

import numpy as np
import pytest
import torch

from holotime.render import EquirectCamera, rasterize, torch_twin, upright
from holotime.render.backward import equirect_forms, panorama
from holotime.render.project import LOW_PASS
from holotime.render.torch_twin import Splats
from holotime.sphere import look_at

# The twin reads each splat's latitude as a number, which torch warns of once in a process.
pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")
NAMES = ("means", "quats", "scales", "opacities", "colors")


def leaves(gaussians, dtype=torch.float32) -> Splats:
    splats = Splats.of(gaussians, dtype)
    for name in NAMES:
        getattr(splats, name).requires_grad_(True)
    return splats


def weights(height: int, channels: int, seed: int = 3) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(height, 2 * height, channels)), dtype=torch.float32)


def tilted(position=(0.1, -0.2, 0.15)) -> np.ndarray:
    pose = upright(position)
    pose[:3, :3] = look_at((0.5, 1.0, 0.7), (0.2, 0.1, 1.0))
    return pose


def twin_gradients(gaussians, camera, weight) -> Splats:
    splats = leaves(gaussians, torch.float64)
    color, alpha, distance = torch_twin.rasterize(splats, camera)
    w = weight.double()
    # The twin gives a mean distance; inverse distances are compared through a channel of their own below.
    loss = (color * w[..., :3]).sum() + (alpha * w[..., 3]).sum()
    loss.backward()
    assert torch.isfinite(distance[alpha > 0]).all()
    return splats


@pytest.mark.parametrize("pose", [upright(), tilted()], ids=["upright", "tilted"])
@pytest.mark.parametrize("sizes", [(0.02, 0.12), (0.005, 0.3)])
def test_gradients_equal_those_of_the_twin(pose, sizes, make_splats):
    gaussians = make_splats(60, 5, sizes=sizes)
    camera = EquirectCamera(48, 24, pose)
    weight = weights(24, 4)
    fast = leaves(gaussians)
    color, alpha, _ = panorama(fast, camera)
    ((color * weight[..., :3]).sum() + (alpha * weight[..., 3]).sum()).backward()
    slow = twin_gradients(gaussians, camera, weight)
    for name in NAMES:
        a, b = getattr(fast, name).grad.double(), getattr(slow, name).grad
        if name == "quats":  # the twin takes them as given; only the part across a unit quaternion means a rotation
            q = getattr(slow, name).detach()
            a, b = (g - q * (g * q).sum(-1, keepdim=True) for g in (a, b))
        assert (a - b).abs().max() <= 2e-3 * b.abs().max() + 1e-4, name


def test_inverse_distance_is_blended_like_a_colour(make_splats):
    gaussians = make_splats(40, 1)
    camera = EquirectCamera(32, 16)
    weight = weights(16, 1)[..., 0]
    fast = leaves(gaussians)
    inverse = panorama(fast, camera)[2]
    (inverse * weight).sum().backward()
    slow = leaves(gaussians, torch.float64)
    share = (1 / torch.linalg.norm(slow.means, dim=-1))[:, None].expand(-1, 3)
    as_color = Splats(slow.means, slow.quats, slow.scales, slow.opacities, share)
    color, _, _ = torch_twin.rasterize(as_color, camera)
    assert (color[..., 0] - inverse.double()).abs().max() < 1e-5
    (color[..., 0] * weight).sum().backward()
    for name in ("means", "scales", "opacities"):
        a, b = getattr(fast, name).grad.double(), getattr(slow, name).grad
        assert (a - b).abs().max() <= 2e-3 * b.abs().max() + 1e-4, name


def test_picture_is_that_of_the_rasterizer(make_splats):
    gaussians = make_splats(300, 2)
    camera = EquirectCamera(128, 64, tilted())
    color, alpha, _ = panorama(Splats.of(gaussians, torch.float32), camera)
    picture = rasterize(gaussians, camera)
    assert np.abs(color.numpy() - picture.color).max() < 1e-6
    assert np.abs(alpha.numpy() - picture.alpha).max() < 1e-6


@pytest.mark.parametrize(
    "place", [(0.02, 0.03, 2.0), (0.05, 0.02, -1.5), (0.01, -2.0, 0.1)], ids=["up", "down", "seam"]
)
def test_finite_differences_at_poles_and_seam(place, one_splat):
    """Central differences of a smooth loss; one splat that lies over a pole or the seam."""
    gaussians = one_splat(place, size=0.4, opacity=0.7)
    camera = EquirectCamera(64, 32)
    d = torch.tensor(np.stack(np.meshgrid(np.linspace(0, 6 * math.pi, 64), np.linspace(0, 2, 32)), -1)).float()
    weight = (1.5 + torch.sin(d[..., 0]) + d[..., 1])[..., None]

    def loss(splats: Splats) -> torch.Tensor:
        color, alpha, inverse = panorama(splats, camera)
        return (color * weight).sum() + (alpha * weight[..., 0]).sum() + 3 * (inverse * weight[..., 0]).sum()

    splats = leaves(gaussians)
    loss(splats).backward()
    for name, step in (("means", 2e-3), ("scales", 2e-3), ("opacities", 2e-3), ("colors", 1e-2)):
        tensor = getattr(splats, name)
        for k in range(tensor[0].numel()):
            change = torch.zeros_like(tensor[0]).reshape(-1)
            change[k] = step
            change = change.reshape(tensor[0].shape)[None]
            moved = [
                float(
                    loss(
                        Splats(**{n: getattr(splats, n).detach() + (sign * change if n == name else 0) for n in NAMES})
                    )
                )
                for sign in (1, -1)
            ]
            want = (moved[0] - moved[1]) / (2 * step)
            got = float(tensor.grad.reshape(-1)[k])
            # Contributions under 1/255 are dropped, so the loss has small steps that differences see.
            assert got == pytest.approx(want, rel=0.08, abs=0.03 * float(tensor.grad.abs().max()) + 0.3), (name, k)


def test_turning_the_camera_about_the_vertical_changes_no_gradient(make_splats):
    """Rolling the weights with the picture leaves every gradient as it is: the seam is an ordinary place."""
    gaussians = make_splats(80, 9)
    weight = weights(24, 4)
    grads = []
    for columns in (0, 17):
        angle = 2 * math.pi * columns / 48
        pose = upright()
        pose[:3, :3] = look_at((-math.sin(angle), math.cos(angle), 0.0))
        splats = leaves(gaussians)
        color, alpha, _ = panorama(splats, EquirectCamera(48, 24, pose))
        rolled = torch.roll(weight, columns, dims=1)
        ((color * rolled[..., :3]).sum() + (alpha * rolled[..., 3]).sum()).backward()
        grads.append([getattr(splats, n).grad for n in NAMES])
    for name, a, b in zip(NAMES, *grads, strict=True):
        assert (a - b).abs().max() <= 1e-3 * a.abs().max() + 1e-4, name


def test_gradients_do_not_depend_on_threads(make_splats, monkeypatch):
    gaussians = make_splats(400, 4)
    camera = EquirectCamera(128, 64)
    weight = weights(64, 4)
    grads = []
    for threads in (1, 2):
        monkeypatch.setattr("holotime.render.jit.threads", lambda count=threads: count)
        splats = leaves(gaussians)
        color, alpha, _ = panorama(splats, camera)
        ((color * weight[..., :3]).sum() + (alpha * weight[..., 3]).sum()).backward()
        grads.append([getattr(splats, n).grad.clone() for n in NAMES])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_forms_equal_those_of_the_kernel(make_splats):
    from holotime.render.project import project

    gaussians = make_splats(200, 7)
    camera = EquirectCamera(96, 48, tilted())
    footprints, _, depths = project(gaussians, camera)
    pose = torch.tensor(camera.pose)
    s = Splats.of(gaussians)
    forms, distance = equirect_forms(s.means, s.quats, s.scales, pose[:3, 3], pose[:3, :3].T, 48, LOW_PASS)
    seen = np.isfinite(depths)
    a, b = footprints[seen, :9], forms.numpy()[seen]

    # a and b are only defined up to a common rotation; what counts is a a^T + b b^T.
    def gram(f):
        return np.einsum("ni,nj->nij", f[:, :3], f[:, :3]) + np.einsum("ni,nj->nij", f[:, 3:6], f[:, 3:6])

    assert np.abs(gram(a) - gram(b)).max() <= 1e-4 * np.abs(gram(b)).max()
    assert np.abs(footprints[seen, 11] - distance.numpy()[seen]).max() < 1e-5
