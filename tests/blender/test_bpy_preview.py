"""The splat preview's shader against the same formulas in numpy, and its sort."""

import bpy
import numpy as np
import pytest
import scenes

pytestmark = pytest.mark.bpy
WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope="module")
def gpu(installed):
    """The gpu module with a context, also without a window."""
    import gpu

    if hasattr(gpu, "init"):
        gpu.init()
    else:  # before 5.2 a first render makes the context
        scene = bpy.context.scene
        scene.render.engine, scene.render.resolution_percentage = "BLENDER_WORKBENCH", 100
        scene.render.resolution_x = scene.render.resolution_y = 16  # a movie takes no less
        scene.camera = bpy.data.objects.new("c", bpy.data.cameras.new("c"))
        scene.collection.objects.link(scene.camera)
        bpy.ops.render.render()
    return gpu


def arrays_of(tensors):
    from bl_ext.user_default.holotime.viewport.splat_gpu import SplatArrays

    f = {k: np.asarray(v, np.float32) for k, v in tensors.items()}
    return SplatArrays(
        means=f["means"],
        motion=f["motion"],
        t_centers=f["t_centers"],
        inverse_widths=np.exp(-np.minimum(f["t_log_scales"], 9)),
        opacities=1 / (1 + np.exp(-f["opacity_logits"])),
        quats=f["quats"],
        omegas=f["omegas"],
        scales=np.exp(f["log_scales"]),
        colors=f["colors"],
    )


def reference(arrays, t: float, modelview, projection) -> np.ndarray:
    """[HEIGHT, WIDTH, 4] premultiplied, rows from the bottom: EWA splatting in plain numpy."""
    dt = t - arrays.t_centers
    d = dt[:, None]
    means = arrays.means + d * (arrays.motion[:, 0] + d * (arrays.motion[:, 1] + d * arrays.motion[:, 2]))
    alpha = arrays.opacities * np.exp(-((dt * arrays.inverse_widths) ** 2))
    quats = arrays.quats + d * arrays.omegas
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).T
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    seen = means @ modelview[:3, :3].T + modelview[:3, 3]
    focal = 0.5 * np.array([WIDTH * projection[0, 0], HEIGHT * projection[1, 1]])
    picture = np.zeros((HEIGHT, WIDTH, 4))
    py, px = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for i in np.argsort(seen[:, 2], kind="stable"):  # farthest first: -z is forward
        if seen[i, 2] > -0.02 or alpha[i] < 1 / 255:
            continue
        depth = -seen[i, 2]
        slope = np.clip(seen[i, :2] / depth, -1.3 / np.diag(projection)[:2], 1.3 / np.diag(projection)[:2])
        jacobian = np.array(
            [[focal[0] / depth, 0, focal[0] * slope[0] / depth], [0, focal[1] / depth, focal[1] * slope[1] / depth]]
        )
        half = jacobian @ modelview[:3, :3] @ turn[i] @ np.diag(arrays.scales[i])
        inverse = np.linalg.inv(half @ half.T + 0.3 * np.eye(2))
        centre = (focal * seen[i, :2] / depth) + np.array([WIDTH, HEIGHT]) / 2
        offset = np.stack([px - centre[0], py - centre[1]], -1)
        square = np.einsum("...i,ij,...j", offset, inverse, offset)
        a = np.where(square <= 9.0, alpha[i] * np.exp(-0.5 * square), 0)
        a = np.where(a < 1 / 255, 0, a)[..., None]
        picture = a * np.append(arrays.colors[i], 1) + (1 - a) * picture
    return picture


@pytest.mark.parametrize("t", [0.0, 0.6])
def test_the_shader_draws_what_the_formulas_say(gpu, installed, t):
    from bl_ext.user_default.holotime.viewport.splat_gpu import SplatDrawer

    tensors = scenes.random_scene(60)
    tensors["opacity_logits"] += 2
    tensors["t_log_scales"][:] = 0.0
    arrays = arrays_of(tensors)
    angle = 0.7
    modelview = np.eye(4)
    modelview[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    modelview[:3, 3] = (0.2, -0.1, -0.3)
    projection = np.array([[1.2, 0, 0, 0], [0, 1.8, 0, 0], [0, 0, -1.0002, -0.02], [0, 0, -1, 0]])
    target = gpu.types.GPUOffScreen(WIDTH, HEIGHT, format="RGBA32F")
    with target.bind():
        frame = gpu.state.active_framebuffer_get()
        frame.clear(color=(0, 0, 0, 0), depth=1.0)
        SplatDrawer(arrays).draw(modelview, projection, (WIDTH, HEIGHT), time=t)
        buffer = frame.read_color(0, 0, WIDTH, HEIGHT, 4, 0, "FLOAT")
    shown = np.array(buffer.to_list(), np.float32).reshape(HEIGHT, WIDTH, 4)
    target.free()
    want = reference(arrays, t, modelview, projection)
    assert want[..., 3].max() > 0.5
    assert np.abs(shown - want).mean() < 2e-3
    # A splat's quad ends at a square, the formulas' at a circle of the same reach: there alpha is 1 % at most.
    assert np.quantile(np.abs(shown - want), 0.99) < 0.03


def test_the_order_is_made_only_when_it_changes(gpu, installed):
    from bl_ext.user_default.holotime.viewport.splat_gpu import SplatDrawer

    drawer = SplatDrawer(arrays_of(scenes.random_scene(50)))
    view = np.eye(4)
    drawer.sort(view, 0.0)
    view[:3, 3] = (1, 2, 3)  # moved, not turned: the order along the view's direction stays
    drawer.sort(view, 0.0)
    assert drawer.sorts == 1
    drawer.sort(view, 0.5)
    assert drawer.sorts == 2


def test_an_order_is_made_beside_the_drawing(gpu, installed):
    from bl_ext.user_default.holotime.viewport.splat_gpu import SplatDrawer, Upload

    drawer = SplatDrawer(arrays_of(scenes.random_scene(50)))
    drawer.sort(np.eye(4), 0.0, wait=False)
    assert (drawer.sorts, drawer.pending) == (1, False), "without any order there is nothing to draw"
    drawer.sort(np.eye(4), 0.5, wait=False)
    assert drawer.pending
    drawer._ordering.result()
    drawer.sort(np.eye(4), 0.5, wait=False)
    assert (drawer.sorts, drawer.pending) == (2, False)
    drawer.replace(Upload.of(arrays_of(scenes.random_scene(60))))
    while drawer.go_on(0.0):
        pass
    drawer.sort(np.eye(4), 0.5, wait=False)
    assert (drawer.sorts, drawer.pending) == (3, False), "the order of other splats is of no use"


def test_back_to_front():
    from bl_ext.user_default.holotime.viewport.splat_sort import back_to_front, depths_at, scene_time

    rng = np.random.default_rng(0)
    depth = rng.normal(size=5000).astype(np.float32)
    order = back_to_front(depth)
    assert sorted(order) == list(range(5000))
    assert (np.diff(depth[order]) < 2 * np.ptp(depth) / 65535).all()
    assert len(back_to_front(np.zeros(3, np.float32))) == 3
    t = scenes.random_scene(100)
    position, _ = scenes.formula(t, 0.3)
    axis = np.array([0.6, 0.0, 0.8])
    np.testing.assert_allclose(
        depths_at(t["means"], t["motion"], t["t_centers"], 0.3, axis), position @ axis, atol=1e-4
    )
    times = {"offset": 0.0, "speed": 1.0, "duration": 2.0, "phase": 0.0}
    assert scene_time(2.0, mode="loop", **times) == pytest.approx(0, abs=1e-5)
    assert scene_time(3.0, mode="pingpong", **times) == pytest.approx(0.5)
    assert scene_time(3.0, mode="once", **times) == 1.0
