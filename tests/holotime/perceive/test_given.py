"""Distance that the artist brings, and clips at the edge of sense, as they meet the command line."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from holotime import cli
from holotime.clip import Clip
from holotime.errors import InputError
from holotime.perceive import GROUND, ClipPerception
from holotime.perceive.given import place, read_given
from holotime.scene4d import Scene4D

from .conftest import field
from .test_align import mean_error, world

H = 32


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run a command in this process: exit code, and what it said on standard error."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["holotime", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        return int(done.value.code or 0), capsys.readouterr().err.strip()

    return run


@pytest.fixture
def clip(tmp_path) -> Path:
    """A folder with two frames."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for t in range(2):
        cv2.imwrite(str(folder / f"{t}.png"), np.roll(field(H), t, 1)[..., ::-1])
    return folder


def one_line(said: str) -> str:
    """The only line that is no progress bar, and no traceback."""
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, said
    return lines[0]


def perception(distance: np.ndarray) -> ClipPerception:
    """What would be perceived in a clip: rough distances and the ground."""
    t, h, w = distance.shape
    classes = np.zeros((h, w, 7), np.float32)
    z = np.sin(np.pi * (0.5 - (np.arange(h) + 0.5) / h))[:, None]
    classes[..., GROUND] = np.abs(np.where(np.isfinite(distance[0]), distance[0], 99) * -z - 1.6) < 0.01
    none = np.zeros((t, h, w, 2), np.float16)
    return ClipPerception(
        distance**0.9, classes, none, none, np.ones((t, h, w), bool), np.zeros((h, w), bool), "network"
    )


@pytest.mark.parametrize(
    ("distance", "match"),
    [
        (np.full((2, H, 2 * H), np.nan), "4096 values that are not a distance (NaN, zero or negative)"),
        (np.zeros((2, H, 2 * H)), "not a distance"),
        (np.full((3, H, 2 * H), 2.0), "holds 3 frames of distance, the clip has 2"),
        (np.zeros((0, H, 2 * H)), "holds 0 frames"),
        (np.full((2, H, H), 2.0), "want [frames, height, 2 height]"),
        (np.full((1, 1, 2), 2.0), "at least 16 rows"),
        (np.float32(3), "want [frames, height, 2 height]"),
        (np.array(["a"]), "holds no readable array"),
    ],
)
def test_a_wrong_distance_is_one_line_and_nothing_is_written(command, clip, tmp_path, distance, match):
    np.savez(tmp_path / "d.npz", distance=distance)
    out = tmp_path / "s.safetensors"
    code, said = command("reconstruct", clip, "--distance", tmp_path / "d.npz", "-o", out)
    assert code == 2
    assert match in one_line(said)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.npz", b"no archive", "holds no readable array"),
        ("a.npz", b"", "holds no readable array"),
        ("a.exr", b"no picture", "cannot be read as OpenEXR"),
        ("a.png", b"", "no readable 8- or 16-bit picture"),
        ("a.obj", b"v 0 0 0", "no distance that can be read"),
        (None, None, "does not exist"),
    ],
)
def test_a_file_that_is_no_distance_is_one_line(command, clip, tmp_path, name, content, match):
    path = tmp_path / (name or "none.npz")
    if name:
        path.write_bytes(content)
    code, said = command("reconstruct", clip, "--distance", path, "-o", tmp_path / "s.safetensors")
    assert code == 2
    assert match in one_line(said)


def test_frames_of_differing_size_are_refused(command, clip, tmp_path):
    cv2.imwrite(str(clip / "2.png"), field(H)[::2, ::2])
    for what in ("perceive", "reconstruct"):
        out = tmp_path / ("p.npz" if what == "perceive" else "s.safetensors")
        code, said = command(what, clip, "-o", out)
        assert code == 2
        assert "2.png has another size than 0.png" in one_line(said)


def test_backends_that_are_not_there_are_one_line(command, clip, tmp_path):
    for backend, match, want in (
        ("magic", "There is no perception backend 'magic'", 2),
        ("onnx:none.onnx", "none.onnx does not exist", 3),
        ("onnx:", "names no model", 2),
    ):
        code, said = command("perceive", clip, "--backend", backend, "-o", tmp_path / "p.npz")
        assert code == want
        assert match in one_line(said)
    assert not (tmp_path / "p.npz").exists()


def test_a_clip_of_one_frame(command, tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), field(H)[..., ::-1])
    code, said = command("perceive", tmp_path / "one.png", "--backend", "prior", "-o", tmp_path / "p.npz")
    assert code == 0, said
    with np.load(tmp_path / "p.npz") as file:
        assert file["distance"].shape == (1, H, 2 * H)
        assert not file["moving"].any()


def test_distance_of_another_resolution_is_brought_to_the_clip(tmp_path):
    truth = world(2, 64)
    clip = Clip(np.repeat(field(32)[None], 2, 0))
    np.savez(tmp_path / "d.npz", distance=truth)
    given = read_given(tmp_path / "d.npz", clip)
    assert given.values.shape == (2, 32, 64)
    assert set(np.unique(given.values)) <= set(np.unique(truth))  # nothing between two surfaces
    np.savez(tmp_path / "e.npz", distance=truth[0, :, :, None][None])
    assert read_given(tmp_path / "e.npz", clip).values.shape == (2, 32, 64)  # one frame serves all


def test_a_panorama_of_nothing_but_sky(command, tmp_path):
    """It becomes a scene on the far shell, not an error: an artist may well paint a sky."""
    cv2.imwrite(str(tmp_path / "sky.png"), np.full((H, 2 * H, 3), (230, 170, 120), np.uint8))
    np.savez(tmp_path / "inf.npz", distance=np.full((H, 2 * H), np.inf))
    out = tmp_path / "s.safetensors"
    code, said = command(
        "reconstruct", tmp_path / "sky.png", "--distance", tmp_path / "inf.npz", "--backend", "prior", "-o", out
    )
    assert code == 0, said
    scene = Scene4D.load(out)
    assert len(scene) > 10
    assert np.linalg.norm(scene.means, axis=1).min() > 20
    assert np.isfinite(scene.means).all()


def test_an_openexr_depth_pass_is_metres(tmp_path):
    OpenEXR = pytest.importorskip("OpenEXR")
    truth = world(1, H)[0]
    z = np.where(np.isinf(truth), np.float32(1e10), truth).astype(np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": z, "A": np.ones_like(z)}).write(str(tmp_path / "d.exr"))
    given = read_given(tmp_path / "d.exr", Clip(field(H)[None]))
    assert given.metric
    np.testing.assert_array_equal(given.values[0], truth)
    OpenEXR.File(header, {"B": z, "G": z}).write(str(tmp_path / "e.exr"))
    with pytest.raises(InputError, match="no depth channel, only B, G"):
        read_given(tmp_path / "e.exr", Clip(field(H)[None]))


@pytest.mark.parametrize(("contrast", "lift"), [(0.9, 0.05), (0.4, 0.3)])
def test_a_depth_picture_gets_its_metres_from_the_ground(tmp_path, contrast, lift):
    truth = world(1, 128)
    inverse = np.where(np.isinf(truth[0]), 0, 1 / truth[0])
    picture = np.round(65535 * (lift + contrast * inverse / inverse.max())).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), picture)
    given = read_given(tmp_path / "d.png", Clip(field(128)[None]))
    assert not given.metric
    assert "placed by the ground" in given.source
    metres = given.metres(perception(truth))
    assert np.array_equal(np.isinf(metres), np.isinf(truth))
    solid = np.isfinite(truth)
    assert mean_error(metres, truth) < 0.01
    assert np.median(metres[solid] / truth[solid]) == pytest.approx(1, abs=0.01)


def test_a_depth_picture_without_ground_or_without_anything_solid():
    truth = world(1, 64)
    brightness = np.where(np.isinf(truth), 0, 0.5 / truth).astype(np.float32)
    found = perception(truth)
    found.classes[:] = 0
    metres = place(brightness, found)
    assert mean_error(metres, truth) < 0.2  # the perceived distances are bent themselves
    assert (metres > 0).all()
    sky = perception(np.full_like(truth, np.inf))
    assert np.isinf(place(brightness, sky)).all()


def test_a_folder_of_depth_pictures_is_one_a_frame(tmp_path):
    folder = tmp_path / "depth"
    folder.mkdir()
    for t in range(2):
        cv2.imwrite(str(folder / f"{t}.png"), (np.linspace(0, 1, H)[:, None] * np.ones(2 * H) * 255).astype(np.uint8))
    clip = Clip(np.repeat(field(H)[None], 2, 0))
    assert read_given(folder, clip).values.shape == (2, H, 2 * H)
    cv2.imwrite(str(folder / "2.png"), np.zeros((16, 32), np.uint8))
    with pytest.raises(InputError, match="another size"):
        read_given(folder, clip)
    (folder / "2.png").unlink()
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((H, 2 * H), 9, np.uint8))
    with pytest.raises(InputError, match="one flat tone"):
        read_given(tmp_path / "flat.png", clip)
