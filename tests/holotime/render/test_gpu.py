"""The Triton rasterizer against the numba one: on a GPU, or anywhere with Triton under TRITON_INTERPRET=1."""

import itertools
import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    if os.environ.get("CI") == "true" and os.environ.get("HOLOTIME_CI_GPU") == "1":
        pytest.fail("this machine should have a CUDA device", pytrace=False)
    pytest.skip("needs a CUDA device, or Triton with TRITON_INTERPRET=1", allow_module_level=True)
pytest.importorskip("triton")

from holotime import sphere
from holotime.render import EquirectCamera, FaceCamera, FisheyeCamera, PerspectiveCamera, rasterize, upright
from holotime.render.gpu import blend
from holotime.render.gpu.project import atan2, pack
from holotime.render.gpu.renderer import GpuRenderer
from holotime.render.views import PROJECTIONS, Output, View, renderer

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter divides by zero where masks forbid
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TILTED = np.eye(4)
TILTED[:3, :3], TILTED[:3, 3] = sphere.look_at((0.4, -0.7, 0.5), (0.2, 0.1, 1.0)), (0.1, -0.2, 0.15)
CAMERAS = {
    "equirect": EquirectCamera(64, 32),
    "odd size": EquirectCamera(70, 35, TILTED),
    "eye": EquirectCamera(64, 32, TILTED, eye=0.3),
    "half": EquirectCamera(48, 48, TILTED, eye=-0.1, half=True),
    "fisheye": FisheyeCamera(40, math.pi, TILTED),
    "wide fisheye": FisheyeCamera(40, 4.4, TILTED),
    "face": FaceCamera(40, TILTED),
    "perspective": PerspectiveCamera(50, 37, 2.2, TILTED, axis=(5, -3), near=0.3, far=5.0),
}
SIZES = {
    "perspective": (40, 30),
    "equirect": (64, 32),
    "ods": (64, 64),
    "vr180": (64, 32),
    "fisheye": (32, 32),
    "cubemap": (48, 32),
}


def drawn(scene, t, camera):
    packed = pack(scene, DEVICE)
    return blend.draw(packed, t, camera, blend.Optics.of(camera, DEVICE))


@pytest.mark.parametrize("sizes", [(0.005, 0.03), (0.05, 0.5)], ids=["small", "large"])
@pytest.mark.parametrize("name", CAMERAS)
def test_equals_the_cpu(name, sizes, make_scene):
    scene, camera = make_scene(40, 5, sizes=sizes), CAMERAS[name]
    found, expected = drawn(scene, 0.3, camera), rasterize(scene.at(0.3), camera)
    np.testing.assert_allclose(found.color.permute(1, 2, 0).cpu(), expected.color, atol=2e-4)
    np.testing.assert_allclose(found.alpha.cpu(), expected.alpha, atol=2e-4)
    certain = expected.alpha > 0.05
    np.testing.assert_allclose(found.distance.cpu().numpy()[certain], expected.distance[certain], rtol=1e-3)
    assert np.isfinite(found.distance.cpu().numpy()[expected.alpha == 0]).sum() <= 2  # at the very edge of a splat


@pytest.mark.parametrize("position", [(0, 0, 2), (1e-4, -2, 0.5), (0, -2, 0), (-1e-6, 1e-7, 3)])
def test_poles_and_seam(position, make_scene):
    """Splats on the poles and on the seam are where the CPU draws them."""
    scene = replace(make_scene(1, 1, moving=False), means=np.array([position], np.float32))
    for camera in (EquirectCamera(64, 32), EquirectCamera(64, 32, eye=0.1)):
        expected = rasterize(scene.at(0), camera)
        np.testing.assert_allclose(drawn(scene, 0.0, camera).alpha.cpu(), expected.alpha, atol=2e-4)
        assert expected.alpha.max() > 0.05


def test_bands_of_rows_are_the_same_picture(make_scene, monkeypatch):
    """With too many entries for the memory a picture is drawn in bands."""
    scene, camera = make_scene(40, 6, sizes=(0.1, 0.4)), EquirectCamera(128, 64, TILTED)
    whole = drawn(scene, 0.5, camera)
    monkeypatch.setattr(blend, "MOST_ENTRIES", 300)
    bands = drawn(scene, 0.5, camera)
    assert torch.equal(whole.color, bands.color)
    assert torch.equal(whole.distance, bands.distance)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_see(count, make_scene):
    scene = make_scene(1, 1).select(np.arange(count))
    scene = replace(scene, means=np.full_like(scene.means, np.nan))
    for camera in CAMERAS.values():
        picture = drawn(scene, 0.3, camera)
        assert picture.alpha.max() == 0
        assert picture.color.max() == 0
        assert torch.isinf(picture.distance).all()


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_frames_equal_the_cpus(projection, make_scene):
    scene = make_scene(30, 7, sizes=(0.05, 0.3))
    fast, slow = GpuRenderer(scene, [DEVICE]), renderer("cpu", scene)
    planar = "planar" if projection in ("perspective", "cubemap") else "ray"
    outputs = (
        Output(),
        Output("uint8", alpha=False, distance="none"),
        Output(behind="transparent", distance=planar),
        Output(behind=(0.2, 0.5, 0.9)),
    )
    for output in outputs:
        view = View(projection, SIZES[projection], TILTED, output=output)
        found, expected = fast.draw(view, 0.6), slow.draw(view, 0.6)
        assert found.color.dtype == expected.color.dtype
        if output.dtype == "uint8":
            assert np.abs(found.color.astype(int) - expected.color).max() <= 1
            assert found.alpha is None
            assert found.distance is None
            continue
        faint = expected.alpha < 0.05 if output.behind == "transparent" else np.zeros(expected.alpha.shape, bool)
        np.testing.assert_allclose(found.color[~faint], expected.color[~faint], atol=5e-4)
        np.testing.assert_allclose(found.alpha, expected.alpha, atol=2e-4)
        certain = expected.alpha > 0.05
        np.testing.assert_allclose(found.distance[certain], expected.distance[certain], rtol=1e-3)


def test_several_devices_give_the_frames_in_order(make_scene):
    scene = make_scene(10, 8)
    one, two = GpuRenderer(scene, [DEVICE]), GpuRenderer(scene, [DEVICE, DEVICE])
    view = View("equirect", (32, 16))
    shots = [(replace(view, pose=upright((0.1 * k, 0, 0))), 0.2 * k) for k in range(5)]
    frames = list(two.draw_many(iter(shots)))
    assert len(frames) == 5
    for frame, shot in zip(frames, shots, strict=True):
        np.testing.assert_array_equal(frame.color, one.draw(*shot).color)


def test_a_film_may_be_left_early(make_scene):
    """Shots are taken as they are needed, and an abandoned film ends its threads."""
    asked = []

    def shots():
        for k in itertools.count():
            asked.append(k)
            yield View("equirect", (16, 8)), 0.1 * k

    film = GpuRenderer(make_scene(3, 1), [DEVICE]).draw_many(shots())
    next(film)
    film.close()
    assert len(asked) <= 4


def test_atan2():
    import triton
    import triton.language as tl

    @triton.jit
    def kernel(y, x, out, n, BLOCK: tl.constexpr):
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        here = i < n
        tl.store(out + i, atan2(tl.load(y + i, mask=here, other=0.0), tl.load(x + i, mask=here, other=1.0)), mask=here)

    values = torch.cat([torch.linspace(-3, 3, 41), torch.tensor([1e-12, -1e-12, 1e6])])
    y, x = (v.ravel().to(DEVICE) for v in torch.meshgrid(values, values, indexing="ij"))
    out = torch.empty_like(x)
    kernel[(-(-len(x) // 256),)](y, x, out, len(x), BLOCK=256)
    turned = (out - torch.atan2(y, x)).cpu().abs()
    assert torch.minimum(turned, 2 * math.pi - turned).max() < 5e-7


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a CUDA device")
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_dense_scene_looks_the_same(projection, make_scene):
    """At full size, with depths that tie within single precision, the picture is still the CPU's."""
    scene = make_scene(100_000, 9, sizes=(0.003, 0.01))
    view = View(projection, tuple(16 * s for s in SIZES[projection]), TILTED)
    found, expected = (draws.draw(view, 0.6).color for draws in (GpuRenderer(scene, [DEVICE]), renderer("cpu", scene)))
    assert -10 * math.log10(float(np.mean((found - expected) ** 2))) >= 55


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a CUDA device")
def test_a_pinhole_sees_what_gsplat_draws(make_scene):
    """An independent rasterizer agrees where both draw the same thing."""
    gsplat = pytest.importorskip("gsplat")
    scene = make_scene(50_000, 10, sizes=(0.003, 0.01), opacities=(0.2, 0.6))
    camera = View("perspective", (640, 360)).layout[0].camera
    splats = scene.at(0.3)
    tensors = [
        torch.from_numpy(a).to(DEVICE)
        for a in (splats.means, splats.quats, splats.scales, splats.opacities, splats.colors)
    ]
    focal, (x, y) = camera.focal, camera.center
    lens = torch.tensor([[[focal, 0, x], [0, focal, y], [0, 0, 1]]], device=DEVICE)
    pose = torch.from_numpy(np.linalg.inv(camera.pose).astype(np.float32)).to(DEVICE)[None]
    expected = gsplat.rasterization(*tensors, pose, lens, 640, 360, near_plane=0.2)[0][0].cpu().numpy()
    found = drawn(scene, 0.3, camera).color.permute(1, 2, 0).cpu().numpy()
    assert -10 * math.log10(float(np.mean((found - expected) ** 2))) >= 45
