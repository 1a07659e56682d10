"""The flow animator on a small synthetic world: sky with clouds, sea, a tower, a tree, lamps."""

import numpy as np
import pytest

from holotime import quality, sphere
from holotime.animate.class_rules import judge
from holotime.animate.flow import FlowConfig, animate, build_motion
from holotime.animate.hint import read_hint
from holotime.animate.splatting import prepare, render, spline_coefficients
from holotime.animate.splatting_plain import render_plain
from holotime.errors import Cancelled, InputError
from holotime.perceive import SKY, SOLID, VEGETATION, WATER, ImagePerception

HEIGHT, WIDTH = 96, 192


def world(height: int = HEIGHT, width: int = WIDTH, seed: int = 3) -> tuple[np.ndarray, ImagePerception]:
    """A panorama and its true perception: sky above, sea below, a tower ahead, a tree to the right."""
    rng = np.random.default_rng(seed)
    d = sphere.directions(height, width)
    texture = np.zeros((height, width), np.float32)
    for _ in range(24):
        k = rng.normal(size=3) * rng.uniform(4, 22)
        texture += np.cos(d @ k.astype(np.float32) + rng.uniform(0, 6.28)) / 8
    up = d[..., 2] > 0
    colour = np.where(up[..., None], [0.55, 0.65, 0.85], [0.15, 0.35, 0.45]) + 0.07 * texture[..., None]
    kind = np.where(up, SKY, WATER)
    azimuth = np.degrees(np.arctan2(d[..., 0], d[..., 1]))
    elevation = np.degrees(np.arcsin(np.clip(d[..., 2], -1, 1)))
    tower = (np.abs(azimuth) < 12) & (np.abs(elevation) < 35)
    tree = (np.abs(azimuth - 90) < 25) & (elevation > -10) & (elevation < 40)
    kind[tower], kind[tree] = SOLID, VEGETATION
    colour[tower] = [0.35, 0.25, 0.2]
    colour[tree] = [0.15, 0.4, 0.1]
    colour += rng.normal(0, 0.01, colour.shape)
    image = np.round(np.clip(colour, 0, 1) * 255).astype(np.uint8)
    classes = np.full((height, width, 7), 0.005, np.float32)
    np.put_along_axis(classes, kind[..., None], 0.97, -1)
    distance = np.where(kind == SKY, np.inf, 5).astype(np.float32)
    return image, ImagePerception(distance, classes, np.full((height, width), 0.1, np.float32), "network")


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, ImagePerception]:
    return world()


@pytest.fixture(scope="module")
def animated(scene):
    return animate(*scene, FlowConfig(frames=12, direction=40.0))


def rolled(perception: ImagePerception, columns: int) -> ImagePerception:
    def roll(a: np.ndarray) -> np.ndarray:
        return np.roll(a, columns, axis=1)

    return ImagePerception(
        roll(perception.distance), roll(perception.classes), roll(perception.log_error), perception.backend
    )


def test_first_frame_is_the_panorama_and_the_loop_closes(scene, animated):
    frames = animated.clip.frames
    assert animated.clip.loop
    assert np.array_equal(frames[0], scene[0])
    assert quality.loop_ratio(frames) <= 1.1
    assert len({f.tobytes() for f in frames}) == len(frames)


def test_time_one_is_time_zero(scene):
    image, perception = scene
    config = FlowConfig(frames=12, direction=40.0)
    motion = build_motion(image, judge(image, perception), config, None)
    prepared = prepare(image, motion)
    near_end = np.empty_like(image)
    render(prepared, 1 - 1e-6, near_end)
    assert np.abs(near_end.astype(int) - image).max() <= 1


def test_static_pixels_are_bit_identical_and_the_tower_is_static(scene, animated):
    image, perception = scene
    frames = animated.clip.frames
    assert np.array_equal(frames[:, ~animated.moving], np.repeat(image[None][:, ~animated.moving], len(frames), 0))
    tower = perception.classes[..., SOLID] > 0.5
    assert not animated.moving[tower].any()
    assert animated.moving[perception.classes[..., SKY] > 0.5].mean() > 0.5
    assert animated.moving[perception.classes[..., WATER] > 0.5].mean() > 0.5
    assert animated.moving[perception.classes[..., VEGETATION] > 0.5].mean() > 0.3


def test_turning_the_panorama_and_the_wind_turns_the_clip(scene, animated):
    image, perception = scene
    columns = 37
    turned = animate(
        np.roll(image, columns, axis=1),
        rolled(perception, columns),
        FlowConfig(frames=12, direction=40.0 + 360 * columns / WIDTH),
    )
    back = np.roll(turned.clip.frames, -columns, axis=2).astype(int)
    difference = np.abs(back - animated.clip.frames)
    # Half-size masks are sampled on another phase of the grid after an odd turn, so a few pixels differ a little.
    assert np.quantile(difference, 0.99) <= 2
    assert difference.mean() < 0.1


def test_nothing_shows_at_the_seam(animated):
    frames = animated.clip.frames.astype(float)
    change = np.abs(frames[6] - frames[0]).mean(-1)
    inside = np.abs(np.diff(change, axis=1)).mean()
    across = np.abs(change[:, 0] - change[:, -1]).mean()
    assert across < 2.5 * inside
    assert abs(quality.seam_ratio(animated.clip.frames) / quality.seam_ratio(animated.clip.frames[:1]) - 1) < 0.25


def test_the_pole_moves_as_one_piece():
    """At the zenith drift is one translation: a view straight up shows the same motion in all of its quadrants."""
    image, perception = world()
    classes = np.zeros_like(perception.classes)
    classes[..., SKY] = 1
    sky = ImagePerception(perception.distance, classes, perception.log_error, "network")
    config = FlowConfig(frames=12, direction=0.0)
    velocity = build_motion(image, judge(image, sky), config, None).drift.velocity
    cap = velocity[0]
    assert np.linalg.norm(cap, axis=-1).min() > 0.01
    assert np.abs(cap - cap.mean(0)).max() < 0.25 * np.linalg.norm(cap.mean(0))


def test_kernel_agrees_with_the_plain_twin(scene):
    image, perception = scene
    config = FlowConfig(frames=24, direction=200.0)
    hint = np.full((HEIGHT, WIDTH, 4), (128, 128, 0, 0), np.uint8)
    hint[60:80, 20:60] = (255, 128, 255, 0)
    motion = build_motion(image, judge(image, perception), config, read_hint(hint, HEIGHT, WIDTH))
    stars = np.zeros((HEIGHT, WIDTH), np.float32)
    stars[5:40:7, 3::11] = 1
    prepared = prepare(image, motion, stars)
    assert len(prepared.cycles) > 1
    for t in (0.0, 0.21, 0.5, 0.93):
        fast = np.empty_like(image)
        render(prepared, t, fast)
        difference = np.abs(fast.astype(int) - render_plain(prepared, t))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_splines_pass_through_the_pixels_also_at_seam_and_poles(scene):
    image = scene[0].astype(np.float32)
    c = sphere.pad(spline_coefficients(image), 1, 1)
    kernel = np.array([1, 4, 1]) / 6
    rows = sum(k * c[i : i + HEIGHT] for i, k in enumerate(kernel))
    both = sum(k * rows[:, i : i + WIDTH] for i, k in enumerate(kernel))
    assert np.abs(both - image).max() < 0.01


def test_the_same_seed_gives_the_same_clip_and_another_seed_another(scene, animated):
    again = animate(*scene, FlowConfig(frames=12, direction=40.0))
    other = animate(*scene, FlowConfig(frames=12, direction=40.0, seed=5))
    assert np.array_equal(again.clip.frames, animated.clip.frames)
    assert not np.array_equal(other.clip.frames, animated.clip.frames)


def test_strength_zero_is_still_and_says_so(scene):
    result = animate(*scene, FlowConfig(frames=4, strength=0.0))
    assert not result.moving.any()
    assert np.array_equal(result.clip.frames, np.repeat(scene[0][None], 4, 0))
    assert any("still" in note for note in result.notes)


def test_more_strength_moves_more(scene, animated):
    strong = animate(*scene, FlowConfig(frames=12, direction=40.0, strength=2.0)).clip.frames.astype(float)
    normal = animated.clip.frames.astype(float)
    assert np.abs(strong[3] - strong[0]).mean() > 1.2 * np.abs(normal[3] - normal[0]).mean()


def test_a_solid_room_stays_honestly_still():
    _, perception = world()
    image = np.random.default_rng(1).integers(90, 170, (HEIGHT, WIDTH, 3), np.uint8)
    classes = np.zeros_like(perception.classes)
    classes[..., SOLID] = 1
    room = ImagePerception(np.full((HEIGHT, WIDTH), 3, np.float32), classes, perception.log_error, "network")
    result = animate(image, room, FlowConfig(frames=3))
    assert not result.moving.any()
    assert "still" in result.notes[0]


def test_freezing_holds_pixels_bit_for_bit(scene):
    image, perception = scene
    hint = np.full((HEIGHT, WIDTH, 4), 128, np.uint8)
    hint[..., 2:] = 0
    hint[:, 100:150, 3] = 255
    frames = animate(image, perception, FlowConfig(frames=6), hint=hint).clip.frames
    assert np.array_equal(frames[:, :, 100:150], np.repeat(image[None, :, 100:150], 6, 0))
    assert not np.array_equal(frames[3][:, :80], image[:, :80])


def test_a_painted_stroke_moves_what_is_solid(scene):
    image, perception = scene
    hint = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    hint[..., :2] = 128
    hint[44:52, 90:102] = (192, 128, 255)
    drift = build_motion(
        image, judge(image, perception), FlowConfig(frames=12), read_hint(hint, HEIGHT, WIDTH)
    ).drift.velocity
    # Half of the full 20 degrees per second to the right, which at the picture's centre is +X.
    assert np.degrees(drift[48, 96, 0]) == pytest.approx(10, abs=1.0)
    assert np.degrees(np.abs(drift[48, 96, 1:])).max() < 1.0


def test_the_wind_carries_clouds_to_its_azimuth(scene):
    image, perception = scene
    for direction, axis, sign in ((0.0, 1, 1), (90.0, 0, 1), (180.0, 1, -1)):
        config = FlowConfig(frames=12, direction=direction)
        zenith = build_motion(image, judge(image, perception), config, None).drift.velocity[0].mean(0)
        assert sign * zenith[axis] > 0.8 * np.linalg.norm(zenith)


def test_water_is_fast_near_and_slow_far(scene):
    image, perception = scene
    motion = build_motion(image, judge(image, perception), FlowConfig(frames=12, direction=0.0), None)
    speed = np.linalg.norm(motion.drift.velocity, axis=-1)
    assert speed[85].mean() > 1.5 * speed[53].mean() > 0


def test_progress_can_cancel(scene):
    calls = []

    def progress(fraction: float, note: str = "") -> None:
        calls.append(fraction)
        if fraction > 0.5:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        animate(*scene, FlowConfig(frames=12), progress=progress)
    assert calls == sorted(calls)


@pytest.mark.parametrize("shape", [(50, 100), (33, 66)])
def test_odd_sizes(shape):
    image, perception = world(*shape)
    result = animate(image, perception, FlowConfig(frames=3))
    assert result.clip.frames.shape == (3, *shape, 3)
    assert result.moving.any()


def test_perception_of_another_size_is_resized(scene):
    image, _ = scene
    _, small = world(48, 96)
    assert animate(image, small, FlowConfig(frames=2)).moving.any()


@pytest.mark.parametrize(
    "values",
    [{"frames": 0}, {"fps": 0.0}, {"fps": float("nan")}, {"strength": -1.0}, {"direction": float("inf")}],
)
def test_bad_settings_are_refused(values):
    with pytest.raises(InputError):
        FlowConfig(**values)


def test_bad_arrays_are_refused(scene):
    image, perception = scene
    with pytest.raises(InputError, match="uint8"):
        animate(image.astype(np.float32), perception)
    with pytest.raises(InputError, match="hint"):
        animate(image, perception, hint=np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="hint"):
        animate(image, perception, hint=np.full((4, 4, 4), 7.0))
