"""Enhancing as a stage of a job, as the sidecar runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from holotime.clip import read_clip
from holotime.errors import Cancelled, InputError
from holotime.job_context import JobContext
from holotime.jobs import run_job
from holotime.report import models_used
from holotime.scene4d import Scene4D

SMALL = {"width": 128, "frames": 4, "budget": 4000, "sweeps": 0, "recipe": "lift"}
MORE = SMALL | {"enhance_fps": 24.0, "enhance_scale": 2}


def quiet(stage: str, fraction: float, note: str = "", preview: bytes | None = None) -> None:
    pass


@pytest.fixture(scope="module")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("panorama") / "sea.png"
    rows, columns = np.mgrid[0:64, 0:128]
    waves = 30 * np.sin(columns * 2 * np.pi / 16 + rows * 0.7) * (rows > 32)
    picture = np.stack([200 - 2 * rows + waves, 120 + waves + 0.6 * rows, 60 + rows + waves], -1)
    assert cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))
    return path


@pytest.mark.slow
def test_the_whole_job_works_with_the_larger_clip(panorama: Path, tmp_path: Path, no_weights: Path) -> None:
    seen: list[str] = []
    files = run_job("generate", MORE, {"panorama": panorama}, tmp_path, tmp_path / "c", lambda s, *a: seen.append(s))
    assert list(dict.fromkeys(seen)) == ["panorama", "perceive", "animate", "enhance", "track", "reconstruct", "report"]
    clip, scene = read_clip(files["clip.mp4"]), Scene4D.load(files["scene.safetensors"])
    assert clip.frames.shape == (8, 128, 256, 3)
    assert (clip.fps, clip.loop) == (24, True)
    assert (scene.fps, scene.loop, scene.duration) == (24, True, pytest.approx(4 / 12))
    report = json.loads(files["report.json"].read_text())
    assert report["size"] == [256, 128]
    assert report["frames"] == 8
    assert report["backends"]["enhance"] == "dis + lanczos"
    notes = "\n".join(report["notes"])
    assert "4 of 8 frames are new (dis)" in notes
    assert "Lanczos" in notes
    assert "256 x 128 pixels; the scene keeps its budget of 4,000" in notes
    assert report["models"][0]["commercial_use"] is True
    assert "Models and their licences" in files["report.html"].read_text()

    told: list[tuple[str, str]] = []
    with pytest.raises(Cancelled):
        run_job("generate", MORE, {"panorama": panorama}, tmp_path / "2", tmp_path / "c", until("track", told))
    assert ("enhance", "reused") in told
    told.clear()
    other = MORE | {"upscaler": "lanczos", "enhance_fps": 36.0}
    with pytest.raises(Cancelled):
        run_job("generate", other, {"panorama": panorama}, tmp_path / "2", tmp_path / "c", until("track", told))
    assert ("animate", "reused") in told
    assert ("enhance", "reused") not in told


def until(last: str, told: list[tuple[str, str]], fraction: float = 0.0) -> Callable[..., None]:
    """Progress that is cancelled when a stage has come so far; ``told`` gets (stage, note)."""

    def progress(stage: str, done: float, note: str = "", preview: bytes | None = None) -> None:
        told.append((stage, note))
        if stage == last and done >= fraction:
            raise Cancelled

    return progress


def test_cancelled_and_begun_again_it_goes_on(panorama: Path, tmp_path: Path, no_weights: Path) -> None:
    context, inputs, cache = JobContext(tmp_path / "work"), {"panorama": panorama}, tmp_path / "c"
    with pytest.raises(Cancelled):
        run_job("generate", MORE, inputs, tmp_path / "1", cache, until("enhance", [], 0.6), context)
    (kept,) = (tmp_path / "work").glob("enhance-*")
    assert len(list(kept.glob("*.png"))) >= 4
    assert not list(cache.glob("enhance-*"))
    with pytest.raises(Cancelled):
        run_job("generate", MORE, inputs, tmp_path / "1", cache, until("track", []), context)
    with pytest.raises(Cancelled):
        run_job("generate", MORE, inputs, tmp_path / "2", tmp_path / "d", until("track", []))
    made, alone = (next(folder.glob("enhance-*")) / "animated.npz" for folder in (cache, tmp_path / "d"))
    with np.load(made) as a, np.load(alone) as b:
        assert np.array_equal(a["frames"], b["frames"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"enhance_scale": 3}, "must be one of 1, 2, 4"),
        ({"enhance_scale": 2, "upscaler": "realesrgan"}, "Did you mean"),
        ({"enhance_scale": 4, "enhance_fps": 240.0, "width": 8192, "frames": 600}, r"of memory.*holotime enhance"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_stage(
    panorama, tmp_path, no_weights, asked: dict, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run_job("generate", SMALL | asked | {"fit": "stretch"}, {"panorama": panorama}, tmp_path, tmp_path / "c", quiet)
    assert not list((tmp_path / "c").glob("perceive-*"))


def test_models_in_a_report() -> None:
    used = models_used({"animate": ("holotime-guidance", "holotime-guidance"), "enhance": ("rife-4.6",)})
    assert [(m["stage"], m["name"], m["commercial_use"]) for m in used] == [
        ("animate", "holotime-guidance", None),
        ("enhance", "rife-4.6", True),
    ]
