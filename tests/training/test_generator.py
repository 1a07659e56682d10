import math

import pytest
import torch

from holotime import sphere
from holotime.perceive import CLASSES, GROUND, SKY, SOLID, WATER
from training.generator import FAR_AWAY, HELD_OUT

HEIGHT = 48


def directions(height):
    return torch.from_numpy(sphere.directions(height).copy())


def test_labels_are_complete_and_consistent(every_kind):
    d = directions(HEIGHT)
    for kind, made in every_kind.items():
        assert made.rgb.shape == (1, HEIGHT, 2 * HEIGHT, 3), kind
        assert torch.isfinite(made.rgb).all(), kind
        assert (made.rgb >= 0).all(), kind
        assert made.rgb.std() > 1e-3, f"{kind} shows nothing"
        assert (made.distance > 0.04).all(), kind
        assert torch.equal(made.distance > FAR_AWAY, made.label == SKY), kind
        assert int(made.label.max()) < len(CLASSES), kind
        assert (made.light <= 1).all(), kind
        torch.testing.assert_close(made.normal.norm(dim=-1), torch.ones(1, HEIGHT, 2 * HEIGHT), atol=1e-3, rtol=0)
        assert ((made.normal[0] * d).sum(-1) < 0.35).float().mean() > 0.97, f"{kind}: normals face the eye"
        along = (made.motion[0] * d).sum(-1).abs()
        assert (along <= 1e-3 * (1 + made.motion[0].norm(dim=-1))).all(), f"{kind}: motion is tangent"


def test_every_class_is_made(every_kind):
    seen = set()
    for made in every_kind.values():
        seen |= set(made.label.unique().tolist())
    assert seen == set(range(len(CLASSES)))


def test_a_seed_is_a_panorama(generator):
    a, b = generator.render([5, 6], 32, samples=2), generator.render([6, 5], 32, samples=2)
    for name in ("rgb", "distance", "label", "light", "normal", "motion"):
        assert torch.equal(getattr(a, name)[0], getattr(b, name)[1]), name
        assert not torch.equal(a.rgb[0], a.rgb[1])
    assert len({int(k) for k in generator.render(range(40), 16, samples=1).kind}) > 10
    assert torch.equal(generator.render([HELD_OUT + 3], 16).rgb, generator.render([HELD_OUT + 3], 16).rgb)


@pytest.mark.parametrize("turn", [1, 13, 50, -7])
def test_a_turn_shifts_the_columns_exactly(generator, turn):
    seeds = [1, 2, 3, 4, 5, 6]
    a, b = generator.render(seeds, 32, samples=2), generator.render(seeds, 32, samples=2, turn=turn)
    for name in ("rgb", "distance", "label", "light"):
        assert torch.equal(torch.roll(getattr(a, name), turn, 2), getattr(b, name)), name
    angle = 2 * math.pi * turn / 64
    c, s = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    for name in ("normal", "motion"):
        torch.testing.assert_close(
            torch.roll(getattr(a, name), turn, 2) @ rotation.T, getattr(b, name), atol=2e-5, rtol=1e-4
        )


def test_turning_the_camera_turns_the_picture(generator):
    """The same by rotating every ray: nothing knows a column or the seam. A quarter of the cameras are tilted: there it
    is no shift of columns, so most panoramas must agree, not all."""
    seeds, turn = list(range(20, 36)), 16
    a = generator.render(seeds, 32, samples=1)
    b = generator.render(seeds, 32, samples=1, yaw=2 * math.pi * turn / 64)
    near = (torch.roll(a.distance, turn, 2) / b.distance - 1).abs() < 1e-3
    same = ((torch.roll(a.label, turn, 2) == b.label) & near).float().mean((1, 2))
    assert (same > 0.99).float().mean() > 0.6


def test_distance_and_normal_are_of_one_surface(generator):
    """On smooth surfaces, the normal is that of the points the distances give."""
    made = generator.render([31, 32, 33, 34], 128, samples=1, kind="room")
    points = made.distance[..., None] * directions(128)
    right, down = points[:, 1:-1, 2:] - points[:, 1:-1, :-2], points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    found = torch.nn.functional.normalize(torch.cross(right, down, dim=-1), dim=-1)
    inside = made.label[:, 1:-1, 1:-1] != SKY
    agreement = (found * made.normal[:, 1:-1, 1:-1]).sum(-1).abs()[inside]
    assert (agreement > 0.99).float().mean() > 0.8


def test_a_flat_ground_lies_at_eye_height(generator):
    made = generator.render(range(60, 72), 64, samples=1, kind="plaza")
    height = made.distance * -directions(64)[..., 2]
    ground = made.label == GROUND
    for i in range(len(made.eye)):
        assert abs(float(height[i][ground[i]].median()) / float(made.eye[i]) - 1) < 0.1


def test_water_moves_and_rooms_stand_still(every_kind):
    speed = {kind: made.motion.norm(dim=-1) for kind, made in every_kind.items()}
    assert speed["waterfall"][every_kind["waterfall"].label == WATER].max() > 0.02
    still = every_kind["room"].label == SOLID
    assert float(speed["room"][still].max()) == 0


def test_an_unknown_kind_is_refused(generator):
    with pytest.raises(ValueError, match="not in tuple"):
        generator.render([1], 16, kind="zoo")


@pytest.mark.gpu
def test_the_gpu_renders_what_the_cpu_renders(generator):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from training.check_generator import AGREE, compare
    from training.generator import build

    assert compare(build("cuda"))["agree"] >= AGREE
