"""The rasterizer against its torch twin, against numbers worked out by hand, and against what must not change it."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holotime import sphere
from holotime.errors import InputError
from holotime.render import (
    EquirectCamera,
    FaceCamera,
    FisheyeCamera,
    PerspectiveCamera,
    color_adjoint,
    prepare,
    rasterize,
    torch_twin,
    upright,
)
from holotime.scene4d import Gaussians


def posed(rotation, position=(0.0, 0.0, 0.0)):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, position
    return pose


def axis_rotation(axis, angle):
    """[3, 3] right-handed turn about an axis (Rodrigues)."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k


def quaternion(axis, angle):
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) * axis)])


def times(p, q):
    """Hamilton products p * q of quaternions [..., 4] wxyz."""
    w, x, y, z = np.moveaxis(np.asarray(q, float), -1, 0)
    a, b, c, d = p
    return np.stack([a * w - b * x - c * y - d * z, a * x + b * w + c * z - d * y,
                     a * y - b * z + c * w + d * x, a * z + b * y - c * x + d * w], -1)  # fmt: skip


TILTED = posed(sphere.look_at((0.4, -0.7, 0.5), (0.2, 0.1, 1.0)), (0.1, -0.2, 0.15))
CAMERAS = {
    "equirect": EquirectCamera(64, 32),
    "equirect tilted": EquirectCamera(64, 32, TILTED),
    "odd size": EquirectCamera(70, 35, TILTED),
    "left eye": EquirectCamera(64, 32, eye=-0.2),
    "right eye tilted": EquirectCamera(64, 32, TILTED, eye=0.3),
    "perspective": PerspectiveCamera(48, 40, 1.2),
    "wide perspective": PerspectiveCamera(50, 37, 2.2, TILTED),
    "shifted and clipped": PerspectiveCamera(50, 37, 1.6, TILTED, axis=(9, -6), near=0.5, far=5.0),
    "half": EquirectCamera(40, 40, TILTED, eye=-0.1, half=True),
    "dome": FisheyeCamera(40, math.pi, TILTED),
    "wide fisheye": FisheyeCamera(40, 4.4, TILTED),
    "cube face": FaceCamera(40, TILTED),
}


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())
@pytest.mark.parametrize("sizes", [(0.002, 0.02), (0.02, 0.4)], ids=["small", "large"])
def test_equals_the_twin(camera, sizes, make_splats):
    splats = make_splats(150, 3, sizes=sizes)
    picture = rasterize(splats, camera)
    color, alpha, distance = (t.numpy() for t in torch_twin.rasterize(torch_twin.Splats.of(splats), camera))
    # A contribution at the 1/255 cut may fall on either side in float32: rare pixels differ by up to 1/255.
    for ours, theirs in ((picture.color, color), (picture.alpha, alpha)):
        assert np.abs(ours - theirs).max() < 5e-3
        assert np.mean(np.abs(ours - theirs) > 1e-4) < 0.003
    assert np.array_equal(np.isinf(picture.distance), picture.alpha == 0)
    seen = alpha > 0.1
    assert seen.any()
    assert np.quantile(np.abs(picture.distance[seen] / distance[seen] - 1), 0.99) < 1e-4


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())
def test_adjoint_is_the_gradient_of_the_twin(camera, make_splats):
    splats = make_splats(80, 5, sizes=(0.02, 0.2))
    residual = np.random.default_rng(1).normal(size=(camera.height, camera.width, 3)).astype(np.float32)
    twin = torch_twin.Splats.of(splats)
    twin.colors.requires_grad_()
    color, alpha, _ = torch_twin.rasterize(twin, camera)
    (color * torch.tensor(residual)).sum().backward()
    sums, weights = color_adjoint(splats, camera, residual)
    scale = np.abs(twin.colors.grad.numpy()).max()
    np.testing.assert_allclose(sums, twin.colors.grad.numpy(), atol=2e-3 * scale)
    assert weights.sum() == pytest.approx(float(alpha.sum()), rel=1e-3)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())
def test_adjoint_matches_draw(camera, make_splats):
    """<residual, draw(colours)> = <adjoint(residual), colours>, and twice the same call gives the same bits."""
    splats = make_splats(400, 6)
    residual = np.random.default_rng(2).normal(size=(camera.height, camera.width, 3)).astype(np.float32)
    footprints = prepare(splats, camera)
    sums, weights = footprints.adjoint(residual)
    drawn = footprints.draw(splats.colors)
    assert float((drawn.color * residual).sum()) == pytest.approx(
        float((sums * splats.colors).sum()), rel=1e-3, abs=0.05
    )
    assert float(drawn.alpha.sum()) == pytest.approx(float(weights.sum()), rel=1e-4)
    again = footprints.adjoint(residual)
    assert np.array_equal(again[0], sums)
    assert np.array_equal(again[1], weights)


def test_colour_sweeps_converge(make_splats):
    """colours += sum(w r) / sum(w) brings the picture towards the target."""
    camera = EquirectCamera(128, 64)
    splats = make_splats(3000, 7, sizes=(0.02, 0.05), opacities=(0.9, 1.0))
    footprints = prepare(splats, camera)
    target = footprints.draw(splats.colors).color
    colors = np.full_like(splats.colors, 0.5)
    errors = []
    for _ in range(6):
        residual = target - footprints.draw(colors).color
        errors.append(float((residual**2).mean()))
        sums, weights = footprints.adjoint(residual)
        colors = colors + sums / np.maximum(weights, 1e-6)[:, None]
    assert all(b < a for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.25 * errors[0]


def test_single_splat_by_hand(one_splat):
    """A round splat 2 m ahead: alpha falls with the gnomonic offset, sigma^2 = (size/r)^2 + 0.3 (pi/H)^2."""
    height = 64
    camera = EquirectCamera(2 * height, height)
    picture = rasterize(one_splat((0, 2, 0), size=0.1, opacity=0.8), camera)
    d = sphere.directions(height).astype(np.float64)
    offset = np.where(d[..., 1] > 0, (d[..., 0] ** 2 + d[..., 2] ** 2) / np.maximum(d[..., 1], 1e-9) ** 2, np.inf)
    alpha = 0.8 * np.exp(-0.5 * offset / (0.05**2 + 0.3 * (math.pi / height) ** 2))
    alpha[alpha < 1 / 255] = 0
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-5)
    np.testing.assert_allclose(picture.color, alpha[..., None] * [1.0, 0.5, 0.25], atol=1e-5)
    assert np.allclose(picture.distance[alpha > 0], 2)
    assert np.isinf(picture.distance[alpha == 0]).all()


def test_single_splat_by_hand_in_perspective(one_splat):
    """Off the axis of a pinhole: J = f/z [1 0 -x/z; 0 1 -y/z], C = (size J)(size J)^T + 0.3."""
    camera = PerspectiveCamera(60, 40, 1.0)
    f, size, (x, y, z) = camera.focal, 0.15, (0.5, -0.3, 2.0)
    picture = rasterize(one_splat((x, z, -y), size=size, opacity=0.9), camera)
    jacobian = f / z * np.array([[1, 0, -x / z], [0, 1, -y / z]])
    inverse = np.linalg.inv(size**2 * jacobian @ jacobian.T + 0.3 * np.eye(2))
    columns, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
    d = np.stack([columns - 30 - f * x / z, rows - 20 - f * y / z], -1)
    alpha = 0.9 * np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", d, inverse, d))
    alpha[alpha < 1 / 255] = 0
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-5)
    assert picture.distance[alpha > 0] == pytest.approx(math.sqrt(x * x + y * y + z * z), rel=1e-5)


def test_two_splats_by_hand(one_splat):
    """The near one hides the far one; 0.99 is the most that one splat covers; the background fills the rest."""
    near, far = one_splat((0, 1, 0), 0.5, 1.0, (1, 0, 0)), one_splat((0, 2, 0), 1.0, 0.5, (0, 1, 0))
    both = Gaussians(*(np.concatenate([getattr(far, n), getattr(near, n)])
                       for n in ("means", "quats", "scales", "opacities", "colors")))  # fmt: skip
    camera = PerspectiveCamera(33, 33, 1.0)
    picture = rasterize(both, camera, background=(0, 0, 1))
    np.testing.assert_allclose(picture.color[16, 16], [0.99, 0.01 * 0.5, 0.01 * 0.5], atol=1e-4)
    assert picture.alpha[16, 16] == pytest.approx(0.995, abs=1e-5)
    assert picture.distance[16, 16] == pytest.approx((0.99 * 1 + 0.005 * 2) / 0.995, abs=1e-4)
    plate = np.zeros((33, 33, 3), np.float32)
    plate[..., 2] = 1
    assert np.array_equal(rasterize(both, camera, background=plate).color, picture.color)


@pytest.mark.parametrize("eye", [0.0, 0.1])
@pytest.mark.parametrize("position", [(0, 0, 2), (0, 0, -2), (0, -2, 0), (1e-4, -2, 0.5), (-1e-6, 1e-7, 3)])
def test_poles_and_seam_show_a_whole_splat(position, eye, one_splat):
    """The solid-angle integral of a round splat's alpha is the same wherever it stands."""
    camera = EquirectCamera(128, 64, eye=eye)
    weights = sphere.solid_angles(64)
    straight = np.linalg.norm(position)

    def coverage(p):
        return float((rasterize(one_splat(p, 0.15 * straight), camera).alpha * weights).sum())

    assert coverage(position) == pytest.approx(coverage((0, straight, 0)), rel=0.01)


def test_nothing_to_see(one_splat):
    """Behind a pinhole, too near, invisible, not finite: a black picture, no error; so does an empty scene."""
    front = PerspectiveCamera(32, 32, 1.0)
    all_round = EquirectCamera(64, 32)
    broken = replace(one_splat((0, 2, 0)), means=np.full((1, 3), np.nan, np.float32))
    blown = replace(one_splat((0, 2, 0)), scales=np.full((1, 3), np.nan, np.float32))
    for splats, camera in [
        (one_splat((0, -2, 0)), front),
        (one_splat((0, 0.19, 0)), front),
        (one_splat((0, 0.04, 0)), all_round),
        (one_splat((0, 2, 0), opacity=1 / 300), all_round),
        (one_splat((0.05, 0, 0)), EquirectCamera(64, 32, eye=0.1)),
        *((s, c) for s in (broken, blown) for c in (front, all_round, EquirectCamera(64, 32, eye=0.1))),
        (Gaussians(*(np.zeros((0, *t), np.float32) for t in ((3,), (4,), (3,), (), (3,)))), all_round),
    ]:
        picture = rasterize(splats, camera)
        assert picture.alpha.max() == 0
        assert picture.color.max() == 0
        assert np.isinf(picture.distance).all()


@settings(max_examples=15, deadline=None)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1),
    angle=st.floats(-3, 3),
    move=st.tuples(*[st.floats(-5, 5)] * 3),
    kind=st.sampled_from(sorted(CAMERAS)),
    seed=st.integers(0, 99),
)
def test_turning_camera_and_scene_together_changes_nothing(axis, angle, move, kind, seed, make_splats):
    splats, camera = make_splats(60, seed), CAMERAS[kind]
    turn = axis_rotation(axis, angle)
    moved = replace(
        splats,
        means=(splats.means @ turn.T + move).astype(np.float32),
        quats=times(quaternion(axis, angle), splats.quats).astype(np.float32),
    )
    pose = posed(turn @ camera.pose[:3, :3], turn @ camera.pose[:3, 3] + move)
    a, b = rasterize(splats, camera), rasterize(moved, replace(camera, pose=pose))
    assert np.abs(a.color - b.color).max() < 6e-3
    assert np.abs(a.color - b.color).mean() < 1e-4


@settings(max_examples=10, deadline=None)
@given(columns=st.integers(-64, 64), seed=st.integers(0, 99), eye=st.sampled_from([0.0, -0.1]))
def test_yaw_rolls_the_panorama(columns, seed, eye, make_splats):
    """A camera turned right by k columns sees the picture shifted left by k columns."""
    splats = make_splats(80, seed)
    yaw = axis_rotation((0, 0, 1), -columns / 64 * 2 * math.pi)
    still = rasterize(splats, EquirectCamera(64, 32, eye=eye))
    turned = rasterize(splats, EquirectCamera(64, 32, posed(yaw @ upright()[:3, :3]), eye=eye))
    difference = np.abs(np.roll(still.color, -columns, axis=1) - turned.color)
    assert difference.max() < 6e-3
    assert difference.mean() < 1e-4


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), kind=st.sampled_from(sorted(CAMERAS)))
def test_order_of_the_input_does_not_matter(seed, kind, make_splats):
    splats = make_splats(100, seed)
    mixed = np.random.default_rng(seed).permutation(100)
    other = Gaussians(splats.means[mixed], splats.quats[mixed], splats.scales[mixed], splats.opacities[mixed],
                      splats.colors[mixed])  # fmt: skip
    a, b = rasterize(splats, CAMERAS[kind]), rasterize(other, CAMERAS[kind])
    assert np.array_equal(a.color, b.color)
    assert np.array_equal(a.distance, b.distance)


@pytest.mark.parametrize("turn", [np.eye(3), axis_rotation((1, 2, 0.5), 0.7)], ids=["upright", "turned"])
@pytest.mark.parametrize(("count", "opacities"), [(400, (0.5, 1.0)), (4000, (0.02, 0.1))], ids=["opaque", "haze"])
def test_equals_six_pinholes(turn, count, opacities, make_splats):
    """A panorama is what six cube faces show, poles and seam included, though pinholes draw by another formula.

    (In a dense opaque scene they differ for another reason: a pinhole sorts by depth, a panorama by distance.)
    """
    height, size = 256, 512
    splats = make_splats(count, 11, sizes=(0.02, 0.04), opacities=opacities)
    panorama = rasterize(splats, EquirectCamera(2 * height, height, posed(turn @ upright()[:3, :3])))
    blur = (size / 2) ** 2 * 0.3 * (math.pi / height) ** 2  # the panorama's low-pass, in pixels of a face's centre
    faces = [
        rasterize(splats, PerspectiveCamera(size, size, math.pi / 2, posed(turn @ r)), low_pass=blur).color
        for r in sphere.cube_rotations().values()
    ]
    expected = sphere.from_cube(np.stack(faces), height)
    weights = np.broadcast_to(sphere.solid_angles(height)[..., None], expected.shape)
    for rows, floor in ((slice(None), 43), (slice(0, 24), 50), (slice(-24, None), 50)):
        error = np.average((panorama.color[rows] - expected[rows]) ** 2, weights=weights[rows])
        assert -10 * math.log10(error) >= floor


def test_poles_look_like_any_other_place(make_splats):
    """A panorama whose poles lie on the horizon, turned back by resampling, is the upright panorama."""
    height = 256
    splats = make_splats(2000, 13, sizes=(0.02, 0.05), opacities=(0.5, 1.0))
    lying = axis_rotation((1, 0, 0), math.pi / 2) @ upright()[:3, :3]
    upright_picture = rasterize(splats, EquirectCamera(2 * height, height)).color
    lying_picture = rasterize(splats, EquirectCamera(2 * height, height, posed(lying))).color
    local = sphere.directions(height).astype(np.float64) @ (lying @ upright()[:3, :3].T)
    expected = sphere.sample(lying_picture, *sphere.to_pixels(local, height))
    for rows in (slice(0, 16), slice(-16, None), slice(112, 144)):
        assert -10 * math.log10(float(np.mean((upright_picture[rows] - expected[rows]) ** 2))) >= 45


def test_alpha_is_bounded_and_does_not_depend_on_threads(make_splats, monkeypatch):
    splats, camera = make_splats(5000, 12), EquirectCamera(256, 128)
    many = rasterize(splats, camera)
    monkeypatch.setattr("holotime.render.jit.threads", lambda: 1)
    one = rasterize(splats, camera)
    assert np.array_equal(many.color, one.color)
    assert 0 <= many.alpha.min() <= many.alpha.max() <= 1


def test_bad_input_is_refused(make_splats):
    with pytest.raises(InputError, match="twice as wide"):
        EquirectCamera(100, 60)
    with pytest.raises(InputError, match="positive width"):
        PerspectiveCamera(0, 10, 1.0)
    with pytest.raises(InputError, match="180 degrees"):
        PerspectiveCamera(10, 10, 4.0)
    with pytest.raises(InputError, match="without scale"):
        EquirectCamera(64, 32, np.diag([1.0, 2.0, 1.0, 1.0]))
    footprints = prepare(make_splats(5), EquirectCamera(64, 32))
    with pytest.raises(InputError, match="want \\[5, 3\\]"):
        footprints.draw(np.zeros((4, 3)))
    with pytest.raises(InputError, match="want \\[32, 64, 3\\]"):
        footprints.adjoint(np.zeros((64, 32, 3)))
