"""Export as a job."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from holotime.errors import Cancelled, InputError
from holotime.export import read_ply
from holotime.jobs import run_job
from holotime.scene4d import Scene4D


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Twelve splats that rise by a metre in three frames."""
    rng = np.random.default_rng(0)
    n = 12
    motion = np.zeros((n, 3, 3), np.float32)
    motion[:, 0, 2] = 1.0
    made = Scene4D(
        means=rng.normal(size=(n, 3)).astype(np.float32),
        motion=motion,
        quats=np.tile(np.float32([1, 0, 0, 0]), (n, 1)),
        omegas=np.zeros((n, 4), np.float32),
        log_scales=np.full((n, 3), -3, np.float32),
        opacity_logits=np.full(n, 3, np.float32),
        t_centers=np.zeros(n, np.float32),
        t_log_scales=np.full(n, 9, np.float32),
        colors=rng.random((n, 3)).astype(np.float32),
        duration=1.0,
        fps=3.0,
        loop=True,
    )
    return Path(made.save(tmp_path / "scene.safetensors"))


def run(scene: Path, folder: Path, params: dict, progress=lambda *told: None) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    return run_job("export", params, {"scene": scene}, folder, folder / "cache", progress)


def test_one_frame_becomes_a_ply(scene: Path, tmp_path: Path) -> None:
    files = run(scene, tmp_path / "out", {"frame": 2})
    assert list(files) == ["scene_0002.ply"]
    at = Scene4D.load(scene).at(float(Scene4D.load(scene).frame_times()[2]))
    np.testing.assert_allclose(read_ply(files["scene_0002.ply"]).means, at.means, atol=1e-6)


def test_all_frames_become_one_zip_of_the_same_bytes(scene: Path, tmp_path: Path) -> None:
    told = []
    first = run(scene, tmp_path / "a", {"format": "ply_sequence"}, lambda *event: told.append(event))["scene_ply.zip"]
    second = run(scene, tmp_path / "b", {"format": "ply_sequence"})["scene_ply.zip"]
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["frame_0000.ply", "frame_0001.ply", "frame_0002.ply"]
    assert told[-1][:2] == ("export", 1.0)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["scene_ply.zip"]


@pytest.mark.parametrize(
    ("params", "text"), [({"frame": 3}, "frames 0 to 2"), ({"format": "gif"}, "one of ply"), ({"x": 1}, "Unknown")]
)
def test_a_wrong_export_is_refused(scene: Path, tmp_path: Path, params: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        run(scene, tmp_path / "out", params)
    with pytest.raises(InputError, match="needs the input 'scene'"):
        run_job("export", {}, {}, tmp_path, tmp_path, lambda *told: None)


def test_a_cancel_ends_an_export_without_a_file(scene: Path, tmp_path: Path) -> None:
    def stop(stage: str, fraction: float, note: str, preview: bytes | None) -> None:
        if fraction > 0.5:
            raise Cancelled("The job was cancelled.")

    with pytest.raises(Cancelled):
        run(scene, tmp_path / "out", {"format": "ply_sequence"}, stop)
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix == ".ply"]
