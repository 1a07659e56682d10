"""Views: every projection against another way to the same picture, and what a view refuses."""

import math
from dataclasses import replace

import av
import numpy as np
import pytest

from holotime import sphere
from holotime.errors import BackendUnavailable, InputError
from holotime.render import EquirectCamera, FaceCamera, FisheyeCamera, PerspectiveCamera, gpu, rasterize, upright
from holotime.render.eyes import CUBE_LAYOUT
from holotime.render.project import image_circle, rays
from holotime.render.views import BACKENDS, PROJECTIONS, Output, View, axial, finish, renderer, size_of

BLACK = Output(behind=(0.0, 0.0, 0.0))
SIZES = {
    "perspective": (48, 32),
    "equirect": (64, 32),
    "ods": (64, 64),
    "vr180": (64, 32),
    "fisheye": (40, 40),
    "cubemap": (48, 32),
}


def tilted(position=(0.1, -0.2, 0.15)):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = sphere.look_at((0.4, -0.7, 0.5), (0.2, 0.1, 1.0)), position
    return pose


def psnr(a, b, weights=None):
    return -10 * math.log10(float(np.average((np.asarray(a, float) - b) ** 2, weights=weights)) + 1e-20)


@pytest.fixture(scope="module")
def cpu(make_scene):
    return renderer("cpu", make_scene(400, 3, sizes=(0.03, 0.1)))


@pytest.fixture(scope="module")
def panorama(cpu):
    """The whole sphere from the tilted pose at 0.6 seconds, finer than what is compared with it."""
    return cpu.draw(View("equirect", (1024, 512), tilted(), output=BLACK), 0.6).color


@pytest.mark.parametrize(("dome", "angle"), [("front", math.pi), ("up", math.pi), ("front", math.radians(230))])
def test_a_dome_is_the_panorama_in_a_circle(dome, angle, cpu, panorama):
    size = 160
    picture = cpu.draw(View("fisheye", (size, size), tilted(), dome=dome, dome_angle=angle, output=BLACK), 0.6)
    # "up": the zenith in the middle, the front at the bottom; x right, y front, z up of the panorama's world.
    axes = np.eye(3) if dome == "up" else upright()[:3, :3]
    d = rays(FisheyeCamera(size, angle)) @ axes.T
    x, y = np.mgrid[:size, :size] + 0.5 - size / 2
    radius = np.hypot(x, y)
    inside, outside = radius < size / 2 - 0.5, radius > size / 2 + 0.5
    x, y = sphere.to_pixels(np.where(inside[..., None], d, 1.0), 512)
    assert psnr(picture.color[inside], sphere.sample(panorama, x, y)[inside]) >= 38
    assert picture.color[outside].max() == 0
    assert picture.alpha[outside].max() == 0
    assert np.isinf(picture.distance[outside]).all()


def test_the_edge_of_a_dome_has_no_steps(make_splats):
    """A white sphere all around: the light of the picture is the area of the circle, and the edge pixels are grey."""
    size = 60
    white = replace(make_splats(4000, 1, sizes=(0.1, 0.12)), colors=np.ones((4000, 3), np.float32))
    for behind in ("fill", (0.0, 0.0, 0.0), "transparent"):
        view = View("fisheye", (size, size), output=Output(behind=behind))
        camera = view.layout[0].camera
        picture = finish(rasterize(white, camera), view.layout[0], behind)
        light = picture[..., 0] * image_circle(camera) if behind == "transparent" else picture[..., 0]
        assert light.sum() == pytest.approx(math.pi / 4 * size**2, rel=2e-3)
        edge = light[(light > 0.02) & (light < 0.98)]
        assert len(edge) > 2 * size
        assert np.abs(np.diff(light[0])).max() < 0.45  # along the first row, which the circle touches


def test_a_cube_map_is_the_panorama_on_six_faces(cpu, panorama):
    size = 96
    picture = cpu.draw(View("cubemap", (3 * size, 2 * size), tilted(), output=BLACK), 0.6).color
    faces = {n: picture[k // 3 * size :, k % 3 * size :][:size, :size] for k, n in enumerate(CUBE_LAYOUT)}
    expected = sphere.to_cube(panorama, size)
    for name, face in zip(sphere.CUBE_FACES, expected, strict=True):
        assert psnr(faces[name], face) >= 40


def through_ffmpeg(picture, options, size):
    """[H, W, 3] uint8 picture through FFmpeg's v360 filter."""
    graph = av.filter.Graph()
    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=1)
    chain = [source, graph.add("v360", f"{options}:w={size[0]}:h={size[1]}"), graph.add("buffersink")]
    graph.link_nodes(*chain).configure()
    graph.push(frame)
    graph.push(None)
    return graph.pull().to_ndarray(format="rgb24")


@pytest.mark.parametrize(
    ("projection", "size", "options"),
    [
        ("cubemap", (288, 192), "input=c3x2:output=equirect"),
        ("fisheye", (256, 256), "input=fisheye:ih_fov=180:iv_fov=180:output=equirect"),
        ("vr180", (256, 128), "input=hequirect:output=equirect"),
    ],
)
def test_ffmpeg_reads_them_as_we_mean_them(projection, size, options, cpu):
    """An independent reader turns each layout back into the panorama."""
    output = Output("uint8", behind=(0.0, 0.0, 0.0), alpha=False, distance="none")
    picture = cpu.draw(View(projection, size, ipd_m=0, dome="front", output=output), 0.6).color
    if projection == "vr180":
        picture = np.ascontiguousarray(picture[:, :128])
    found = through_ffmpeg(picture, options, (256, 128))
    expected = cpu.draw(View("equirect", (256, 128), output=output), 0.6).color
    part = slice(None) if projection == "cubemap" else slice(68, 188)
    assert psnr(found[:, part] / 255, expected[:, part] / 255) >= 30


def test_vr180_is_the_middle_of_each_eye(cpu):
    """The half panoramas hold the same pixels as the omnidirectional pair."""
    whole = cpu.draw(View("ods", (128, 128), tilted(), output=BLACK), 0.6)
    half = cpu.draw(View("vr180", (128, 64), tilted(), output=BLACK), 0.6)
    for eye in range(2):
        expected = whole.color[64 * eye :][:64, 32:96]
        np.testing.assert_allclose(half.color[:, 64 * eye :][:, :64], expected, atol=1e-6)
    np.testing.assert_array_equal(half.distance[:, :64], whole.distance[:64, 32:96])


def test_fixed_eyes_are_two_panoramas_side_by_side(cpu):
    pose = tilted()
    fixed = cpu.draw(View("vr180", (64, 32), pose, ipd_m=0.3, turning_eyes=False, output=BLACK), 0.6).color
    for eye, offset in enumerate((-0.15, 0.15)):
        moved = pose.copy()
        moved[:3, 3] += offset * pose[:3, 0]
        expected = cpu.draw(View("equirect", (64, 32), moved, output=BLACK), 0.6).color[:, 16:48]
        np.testing.assert_allclose(fixed[:, 32 * eye :][:, :32], expected, atol=1e-6)


def test_shift_is_a_part_of_a_larger_picture(cpu):
    """Blender's lens shift moves the frame in units of its fitted side: right and up are positive."""
    size = np.array([60, 40])
    shift = np.array([0.25, -0.1])
    picture = cpu.draw(View("perspective", (60, 40), tilted(), fov=1.0, shift=tuple(shift), output=BLACK), 0.6).color
    large = 3 * size
    fov = 2 * math.atan(3 * math.tan(0.5))
    whole = cpu.draw(View("perspective", tuple(large.tolist()), tilted(), fov=fov, output=BLACK), 0.6).color
    x, y = (size + np.round(shift * [1, -1] * size[0]).astype(int)).tolist()
    assert psnr(picture, whole[y : y + 40, x : x + 60]) >= 45  # the Jacobian is limited near a frame's own edges


def test_fit_names_the_side_that_the_angle_spans():
    cases = [("auto", (60, 40), 30), ("auto", (40, 60), 30), ("vertical", (60, 40), 20), ("horizontal", (40, 60), 20)]
    for fit, size, focal in cases:
        camera = View("perspective", size, fov=math.pi / 2, fit=fit).layout[0].camera
        assert camera.focal == pytest.approx(focal)


@pytest.mark.parametrize("projection", ["perspective", "equirect", "cubemap"])
def test_clip_hides_what_is_too_near_or_too_far(projection, one_splat):
    near, far = one_splat((0, 1, 0), 0.1), one_splat((0, 3, 0), 0.3)
    cases = [(near, (0.5, 2), True), (near, (1.5, 4), False), (far, (0.5, 2), False), (far, (1.5, 4), True)]
    for splat, clip, shown in cases:
        camera = View(projection, SIZES[projection], clip=clip).layout[-2 if projection == "cubemap" else 0].camera
        assert (rasterize(splat, camera).alpha.max() > 0.1) == shown


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_outputs(projection, cpu):
    """Straight alpha puts the picture over any colour again; bytes are the rounded floats; a fill is opaque."""
    view = View(projection, SIZES[projection], tilted(), output=Output(behind="transparent"))
    straight = cpu.draw(view, 0.6)
    paint = np.array([0.2, 0.5, 0.9])
    over = cpu.draw(replace(view, output=Output(behind=tuple(paint.tolist()))), 0.6)
    mixed = straight.color * straight.alpha[..., None] + (1 - straight.alpha[..., None]) * paint
    lit = np.ones(straight.alpha.shape, bool)
    if projection == "fisheye":
        lit = image_circle(view.layout[0].camera) == 1
    np.testing.assert_allclose(over.color[lit], mixed[lit], atol=1e-5)
    filled = cpu.draw(replace(view, output=Output()), 0.6)
    some = straight.alpha > 1e-3
    assert filled.color[lit].sum() >= (straight.color * straight.alpha[..., None]).sum() - 1e-3
    assert np.isfinite(filled.distance[some]).all()
    as_bytes = cpu.draw(replace(view, output=Output("uint8", alpha=False, distance="none")), 0.6)
    assert as_bytes.alpha is None
    assert as_bytes.distance is None
    assert np.abs(as_bytes.color - np.clip(filled.color, 0, 1) * 255).max() <= 0.5 + 1e-3


def test_holes_of_a_cube_map_are_filled_alike_on_both_sides_of_an_edge(make_scene):
    draws = renderer("cpu", make_scene(40, 5, sizes=(0.05, 0.15)))
    size = 64
    picture = draws.draw(View("cubemap", (3 * size, 2 * size)), 0.0).color
    front, right = picture[size:, size : 2 * size], picture[:size, :size]
    inside = np.abs(np.diff(front[:, -8:], axis=1)).mean()
    across = np.abs(front[:, -1] - right[:, 0]).mean()
    assert across <= 2 * inside + 1e-3


@pytest.mark.parametrize("projection", ["perspective", "cubemap"])
def test_planar_depth_of_a_wall_is_flat(projection, make_splats):
    """A wall at right angles to the axis has one planar depth; along the ray it gets farther to the sides."""
    grid = np.linspace(-3, 3, 121)
    x, z = (a.ravel() for a in np.meshgrid(grid, grid))
    base = make_splats(len(x), 1)
    wall = replace(
        base,
        means=np.stack([x, np.full_like(x, 2.0), z], -1).astype(np.float32),
        scales=np.full((len(x), 3), 0.04, np.float32),
        opacities=np.full(len(x), 0.95, np.float32),
    )
    size = (64, 64) if projection == "perspective" else (192, 128)
    views = {kind: View(projection, size, output=Output(distance=kind)) for kind in ("ray", "planar")}
    panel = views["ray"].layout[-2 if projection == "cubemap" else 0]
    assert isinstance(panel.camera, PerspectiveCamera | FaceCamera)
    ray = rasterize(wall, panel.camera).distance
    planar = ray * axial(panel)
    assert np.abs(planar - 2).max() < 0.1  # seen aslant, the nearer of overlapping splats wins
    assert ray.max() > 2 * 1.6


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_draw_many_is_draw_again_and_again(projection, cpu):
    view = View(projection, SIZES[projection], output=Output("uint8"))
    shots = [(replace(view, pose=upright((0.05 * k, 0, 0))), 0.3 * k) for k in range(3)]
    for frame, shot in zip(cpu.draw_many(iter(shots)), shots, strict=True):
        np.testing.assert_array_equal(frame.color, cpu.draw(*shot).color)


def test_a_loop_repeats_and_anything_else_rests(make_scene):
    scene = make_scene(50, 1)
    view = View("equirect", (32, 16))
    still, loop = renderer("cpu", scene), renderer("cpu", replace(scene, loop=True))
    np.testing.assert_array_equal(still.draw(view, 5.0).color, still.draw(view, 2.0).color)
    np.testing.assert_allclose(loop.draw(view, 5.0).color, loop.draw(view, 1.0).color, atol=1e-5)


@pytest.mark.parametrize("up", [-0.8, 0.0, 1.1])
@pytest.mark.parametrize("azimuth", range(-180, 180, 45))
def test_one_bright_splat_has_the_disparity_of_the_geometry(azimuth, up, one_splat):
    """In a stereo view a point rho metres away is 2 asin(ipd / 2 / rho) further right for the left eye."""
    lam, rho, width = math.radians(azimuth), 1.2, 1024
    splat = one_splat((rho * math.sin(lam), rho * math.cos(lam), up), size=0.004, opacity=0.95)
    found = []
    for panel in View("ods", (width, width)).layout:
        light = rasterize(splat, panel.camera).alpha
        column = (lam / (2 * math.pi) + 0.5) * width
        offsets = (np.arange(width) + 0.5 - column + width / 2) % width - width / 2
        found.append(float((light.sum(0) * offsets).sum() / light.sum()))
    assert found[0] - found[1] == pytest.approx(2 * math.asin(0.032 / rho) / (2 * math.pi) * width, abs=0.05)


def test_sizes():
    assert size_of("ods", 5760) == (5760, 5760)
    assert size_of("vr180", 7681) == (7680, 3840)
    assert size_of("cubemap", 3000) == (3000, 2000)
    for projection, size in SIZES.items():
        view = View(projection, size)
        covered = np.zeros(size[::-1], int)
        for panel in view.layout:
            covered[panel.rows, panel.columns] += 1
        assert (covered == 1).all()
    assert [p.name for p in View("ods", (64, 64)).layout] == ["left", "right"]
    assert View("ods", (64, 64)).layout[0].camera.eye == pytest.approx(-0.032)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"projection": "mercator", "size": (64, 32)}, "perspective, equirect"),
        ({"projection": "equirect", "size": (64, 40)}, "2:1"),
        ({"projection": "cubemap", "size": (64, 40)}, "3:2"),
        ({"projection": "vr180", "size": (66, 33)}, "that 4 divides"),
        ({"projection": "ods", "size": (64, 64), "ipd_m": 64.0}, "not plausible"),
        ({"projection": "perspective", "size": (64, 64), "fov": 3.5}, "180 degrees"),
        ({"projection": "perspective", "size": (64, 64), "fit": "diagonal"}, "sensor fit"),
        ({"projection": "perspective", "size": (64, 64), "clip": (1.0, 0.5)}, "clip between"),
        ({"projection": "perspective", "size": (64, 64), "pose": np.diag([2.0, 2, 2, 1])}, "without scale"),
        ({"projection": "fisheye", "size": (64, 64), "dome": "down"}, "up or front"),
        ({"projection": "fisheye", "size": (64, 64), "dome_angle": 7.0}, "360 degrees"),
        ({"projection": "fisheye", "size": (64, 64), "output": Output(distance="planar")}, "ray distance"),
    ],
)
def test_bad_views_are_refused(options, text):
    with pytest.raises(InputError, match=text):
        View(**options)


def test_bad_outputs_and_backends_are_refused(make_scene, monkeypatch):
    for options in ({"dtype": "uint16"}, {"behind": "red"}, {"behind": (1.0, 0.0)}, {"distance": "far"}):
        with pytest.raises(InputError):
            Output(**options)
    with pytest.raises(InputError, match=", ".join(BACKENDS)):
        renderer("vulkan", make_scene(3))
    with pytest.raises(InputError, match="even size"):
        EquirectCamera(33, 33, half=True)
    monkeypatch.setattr(gpu, "why_not", lambda: "the card is on fire")
    with pytest.raises(BackendUnavailable, match="the card is on fire"):
        renderer("gpu", make_scene(3))
    auto = renderer("auto", make_scene(3))
    assert auto.backend == "cpu"
    assert "the card is on fire" in auto.note
