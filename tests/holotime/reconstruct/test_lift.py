"""The lift as a whole: it looks like the clip, holds up beside the eye, keeps its budget and its promises."""

import dataclasses

import numpy as np
import pytest

from holotime import sphere
from holotime.clip import Clip
from holotime.errors import Cancelled, InputError
from holotime.quality import psnr
from holotime.reconstruct import LiftConfig, coverage, eye_psnr, lift
from holotime.reconstruct.lift import sky_shell
from holotime.render import EquirectCamera, rasterize, upright
from holotime.scene4d import ALWAYS, Scene4D

from .conftest import HEIGHT, drifting_sky, moving_disc, perception_of, room, texture

SMALL = LiftConfig(budget=20_000)


def seen(scene: Scene4D, t: float, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    picture = rasterize(scene.at(t), EquirectCamera(2 * HEIGHT, HEIGHT, upright(position)))
    return np.clip(picture.color, 0, 1) * 255


def test_room_from_the_eye(lifted_room):
    assert eye_psnr(lifted_room.scene, lifted_room.clip) > 30
    # Enlarged, it is the smooth picture: colours that are sharpened for the eye alone reach 25 dB here.
    large = rasterize(lifted_room.scene.at(0.0), EquirectCamera(4 * HEIGHT, 2 * HEIGHT), low_pass=0.1).color
    smooth = sphere.resize(lifted_room.clip.frames[0].astype(np.float32), 2 * HEIGHT, 4 * HEIGHT)
    assert psnr(np.clip(large, 0, 1) * 255, smooth) > 28.5
    assert (lifted_room.scene.t_log_scales == ALWAYS).all()
    alpha, share = coverage(lifted_room.scene, HEIGHT)
    assert share > 0.998
    assert alpha.min() > 0.95


def test_room_distance_is_kept(lifted_room):
    picture = rasterize(lifted_room.scene.at(0.0), EquirectCamera(2 * HEIGHT, HEIGHT))
    error = np.abs(np.log(picture.distance / lifted_room.perception.distance[0]))
    assert np.median(error) < 0.02
    assert np.mean(error < 0.1) > 0.98


@pytest.mark.parametrize("position", [(0.25, 0, 0), (-0.25, 0, 0), (0, 0.25, 0), (0, 0, 0.2)])
def test_room_from_beside(lifted_room, position):
    truth, _ = room(position)
    standing = psnr(lifted_room.clip.frames[0], truth)
    there = psnr(seen(lifted_room.scene, 0.0, position), truth)
    assert there > 26
    assert there > standing + 7.5


def test_no_hole_behind_the_pillar(lifted_room):
    for position in ((0.4, 0, 0), (-0.4, 0, 0)):
        picture = rasterize(lifted_room.scene.at(0.0), EquirectCamera(2 * HEIGHT, HEIGHT, upright(position)))
        assert picture.alpha.min() > 0.8
        truth, distance = room(position)
        wall = distance > 3.5
        error = np.abs(np.clip(picture.color, 0, 1) * 255 - truth).max(-1)
        assert np.mean(error[wall] > 60) < 0.03
        # What is uncovered continues the wall: nowhere in it is there more red than in the wall around it.
        red = picture.color[..., 0] - picture.color[..., 1:].max(-1)
        beside = (distance > 3.5) & (np.abs(picture.distance / distance - 1) < 0.05)
        assert np.quantile(red[beside], 0.999) < 0.66


def test_quality_does_not_depend_on_the_seam(lifted_room):
    for shift in (HEIGHT, 37):
        color, distance = room()
        clip = Clip(np.roll(color, shift, 1)[None])
        scene = lift(clip, perception_of(clip, np.roll(distance, shift, 1)), SMALL)
        assert abs(eye_psnr(scene, clip) - eye_psnr(lifted_room.scene, lifted_room.clip)) < 1.2


def test_poles_look_like_everywhere(lifted_room):
    """A view straight up or down is as close to the clip as a view ahead of something as far away."""
    picture = seen(lifted_room.scene, 0.0)
    truth = lifted_room.clip.frames[0].astype(np.float64)
    rotations = sphere.cube_rotations()
    errors = {}
    for name in ("up", "down", "back"):
        a, b = (sphere.to_perspective(x.astype(np.float32), 64, 64, 1.2, rotations[name]) for x in (picture, truth))
        errors[name] = float(np.sqrt(np.mean((a - b) ** 2)))
    assert max(errors["up"], errors["down"]) < 2.0 * errors["back"] + 1.5


@pytest.mark.parametrize("budget", [2500, 6000, 12_000])
def test_budget_is_kept_and_used(budget):
    clip, perception = drifting_sky(frames=4)
    scene = lift(clip, perception, LiftConfig(budget=budget, sweeps=1))
    assert 0.8 * budget < len(scene) <= budget
    assert sum(scene.provenance["splats"].values()) == len(scene)


def test_more_splats_look_better():
    color, distance = room()
    clip = Clip(color[None])
    few, many = (
        eye_psnr(lift(clip, perception_of(clip, distance), LiftConfig(budget=b)), clip) for b in (3000, 15_000)
    )
    assert many > few + 3


def test_sweeps_sharpen(lifted_room):
    plain = lift(lifted_room.clip, lifted_room.perception, LiftConfig(budget=20_000, sweeps=0))
    assert eye_psnr(lifted_room.scene, lifted_room.clip) > eye_psnr(plain, lifted_room.clip) + 3
    assert lifted_room.scene.colors.min() >= 0
    assert lifted_room.scene.colors.max() <= 1


def test_loop_from_the_eye(lifted_sky):
    assert eye_psnr(lifted_sky.scene, lifted_sky.clip, range(len(lifted_sky.clip))) > 27
    kinds = lifted_sky.scene.provenance["splats"]
    assert kinds["windowed"] > 0


def test_floor_under_a_moving_sky_is_at_rest(lifted_sky):
    scene = lifted_sky.scene
    moving = (scene.t_log_scales < ALWAYS) & (np.abs(scene.motion).max((1, 2)) > 0)
    d = scene.means / np.linalg.norm(scene.means, axis=-1, keepdims=True)
    assert moving.any()
    assert (d[moving, 2] > -0.1).all()


def test_loop_closes(lifted_sky):
    """From just before the end to the start the picture changes no more than over any other step as long."""
    scene = lifted_sky.scene
    step = 0.02

    def change(a: float, b: float) -> float:
        return float(np.abs(seen(scene, a) - seen(scene, b)).mean())

    usual = [change(t, t + step) for t in (0.11, 0.37, 0.55, 0.83)]
    assert change(1 - step / 2, step / 2) < 2.2 * max(usual) + 0.1


def test_brightness_does_not_pump(lifted_sky):
    sky = sphere.latitudes(HEIGHT) > 0.1
    mean = [seen(lifted_sky.scene, t)[sky].mean() for t in np.linspace(0, 0.99, 23)]
    assert np.ptp(mean) < 4


def test_disc_moves_over_the_wall():
    clip, perception = moving_disc()
    scene = lift(clip, perception, SMALL)
    assert eye_psnr(scene, clip, range(len(clip))) > 30
    # Halfway between two frames there is one disc, not two halves of it.
    picture = seen(scene, 2.5 / 6)
    disc = (clip.frames[2][..., 0] > 200) & (clip.frames[3][..., 0] > 200) & (clip.frames[2][..., 1] < 60)
    assert np.abs(picture - clip.frames[2]).max(-1)[disc].mean() < 25

    # From beside it stands off the wall: 2 m away it moves three times as far as the wall.
    def column(position: tuple[float, float, float]) -> float:
        image = seen(scene, 0.5, position)
        red = np.maximum(image[..., 0] - image[..., 1:].max(-1) - 60, 0)  # how red, soft edges included
        return float((red * (np.arange(2 * HEIGHT) + 0.5)).sum() / red.sum())

    shift = (column((-0.2, 0, 0)) - column((0.2, 0, 0))) / (2 * HEIGHT) * 2 * np.pi
    assert shift == pytest.approx(2 * np.arctan(0.2 / 2), rel=0.15)


def test_two_runs_give_the_same_bytes(tmp_path):
    clip, perception = drifting_sky(frames=3)
    files = [lift(clip, perception, LiftConfig(budget=5000, seed=3)).save(tmp_path / f"{n}.safetensors") for n in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_progress_and_cancel():
    clip, perception = drifting_sky(frames=3)
    seen_fractions: list[float] = []
    lift(clip, perception, LiftConfig(budget=5000), progress=lambda f, note="": seen_fractions.append(f))
    assert seen_fractions == sorted(seen_fractions)
    assert seen_fractions[0] == 0
    assert seen_fractions[-1] == 1

    for at in range(0, len(seen_fractions), 9):
        calls = 0

        def stop(fraction: float, note: str = "", at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls > at:
                raise Cancelled("Stopped.")

        with pytest.raises(Cancelled):
            lift(clip, perception, LiftConfig(budget=5000), progress=stop)


def test_all_sky():
    d = sphere.directions(HEIGHT)
    clip = Clip(np.round(texture(d, 3.0) * 255).astype(np.uint8)[None])
    scene = lift(clip, perception_of(clip, np.full((HEIGHT, 2 * HEIGHT), np.inf)), SMALL)
    assert eye_psnr(scene, clip) > 36
    assert np.linalg.norm(scene.means, axis=-1).min() > 60


def test_nothing_moves():
    color, distance = room()
    clip = Clip(np.repeat(color[None], 4, 0), 8.0, loop=True)
    scene = lift(clip, perception_of(clip, distance), SMALL)
    assert scene.provenance["splats"]["windowed"] == 0
    assert np.array_equal(seen(scene, 0.0), seen(scene, 0.6))


def test_everything_moves():
    d = sphere.directions(HEIGHT)
    base = np.round(texture(d, 6.0) * 255).astype(np.uint8)
    clip = Clip(np.stack([np.roll(base, 3 * t, 1) for t in range(5)]), 8.0)
    flow = np.broadcast_to(np.array([3.0, 0.0]), (*base.shape[:2], 2))
    scene = lift(clip, perception_of(clip, np.full(base.shape[:2], 8.0), flow), SMALL)
    assert eye_psnr(scene, clip, range(5)) > 30


def test_distance_and_flow_of_another_size_are_resized_with_a_note():
    color, distance = room()
    clip = Clip(np.repeat(color[None], 2, 0))
    small = dataclasses.replace(perception_of(clip, distance), distance=distance[None, ::2, ::2].repeat(2, 0))
    scene = lift(clip, small, LiftConfig(budget=5000, sweeps=1))
    assert any("distance resized from 96 x 48 to 192 x 96" in note for note in scene.provenance["notes"])


@pytest.mark.parametrize("value", [np.nan, 0.0, -2.0])
def test_distance_that_is_no_distance(value):
    color, distance = room()
    distance = distance.copy()
    distance[3, 5] = value
    clip = Clip(color[None])
    with pytest.raises(InputError, match="1 pixels"):
        lift(clip, perception_of(clip, distance), SMALL)


def test_bad_arguments():
    color, distance = room()
    clip = Clip(np.repeat(color[None], 3, 0))
    perception = perception_of(clip, distance)
    with pytest.raises(InputError, match="clip of 3 frames"):
        lift(clip, dataclasses.replace(perception, distance=perception.distance[:2]), SMALL)
    with pytest.raises(InputError, match="flow_forward"):
        lift(clip, dataclasses.replace(perception, flow_forward=perception.flow_forward[:2]), SMALL)
    with pytest.raises(InputError, match="twice as wide"):
        lift(Clip(color[None, :, :100]), perception, SMALL)
    with pytest.raises(InputError, match="budget"):
        LiftConfig(budget=10)
    with pytest.raises(InputError, match="sweeps"):
        LiftConfig(sweeps=-1)


def test_sky_shell_is_far_and_within_reach_of_a_viewport():
    assert sky_shell(np.array([np.inf])) == 100
    assert sky_shell(np.array([3.0, np.inf])) == 100
    assert sky_shell(np.array([80.0])) == pytest.approx(120)
    assert sky_shell(np.array([900.0])) == 150
