"""The stages in order on a small real picture: results, report, cache, settings, cancel, bad input."""

import json

import cv2
import numpy as np
import pytest

from holotime import samples
from holotime.clip import read_clip
from holotime.errors import Cancelled, InputError
from holotime.jobs import run_job
from holotime.pipeline import STAGE_VERSIONS, GenerateConfig, generate
from holotime.scene4d import Scene4D

SMALL = {"width": 256, "frames": 4, "budget": 20_000, "sweeps": 1}


def quiet(stage, fraction, note="", preview=None):
    pass


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A finished small job: (folder of results, cache, what was reported)."""
    folder, cache = tmp_path_factory.mktemp("job"), tmp_path_factory.mktemp("cache")
    seen = []
    panorama = samples.path(samples.names()[0])
    files = run_job("generate", SMALL, {"panorama": panorama}, folder, cache, lambda *a: seen.append(a))
    return folder, cache, seen, files, panorama


def test_every_result_is_there_and_whole(job):
    folder, _, _, files, _ = job
    assert {"clip.mp4", "scene.safetensors", "report.json", "report.html"} <= set(files)
    clip, scene = read_clip(folder / "clip.mp4"), Scene4D.load(folder / "scene.safetensors")
    assert clip.frames.shape == (4, 128, 256, 3)
    assert clip.loop
    assert scene.loop
    assert 1_000 < len(scene) <= SMALL["budget"]
    assert scene.duration == pytest.approx(4 / 12)
    page = (folder / "report.html").read_text()
    assert page.count("data:image/jpeg;base64") >= 6
    for name in files:
        assert files[name].stat().st_size > 0


def test_report_has_what_programs_read(job):
    report = json.loads((job[0] / "report.json").read_text())
    for key in ("seam_ratio", "loop_ratio", "eye_psnr_db", "total_seconds", "frames", "coverage"):
        assert np.isfinite(report[key])
    assert report["size"] == [256, 128]
    assert report["eye_psnr_db"] > 24
    assert report["coverage"] > 0.99
    assert set(report["backends"]) == {"panorama", "perceive", "animate", "track", "reconstruct", "render"}
    assert set(report["stage_seconds"]) == {"panorama", "perceive", "animate", "track", "reconstruct", "report"}


def test_progress_tells_stages_in_order_with_pictures(job):
    seen = job[2]
    stages = list(dict.fromkeys(stage for stage, *_ in seen))
    assert stages == ["panorama", "perceive", "animate", "track", "reconstruct", "report"]
    assert all(0 <= fraction <= 1 for _, fraction, *_ in seen)
    previews = [p for *_, p in seen if p]
    assert len(previews) >= 3
    assert cv2.imdecode(np.frombuffer(previews[0], np.uint8), cv2.IMREAD_COLOR).shape == (128, 256, 3)


def test_the_same_job_again_is_read_not_made_and_gives_the_same_bytes(job, tmp_path):
    folder, cache, _, _, panorama = job
    files = run_job("generate", SMALL, {"panorama": panorama}, tmp_path, cache, quiet)
    assert files["scene.safetensors"].read_bytes() == (folder / "scene.safetensors").read_bytes()
    notes = json.loads((tmp_path / "report.json").read_text())["notes"]
    assert sum("reused" in note for note in notes) == 4
    other = run_job("generate", SMALL | {"sweeps": 0}, {"panorama": panorama}, tmp_path, cache, quiet)
    notes = json.loads(other["report.json"].read_text())["notes"]
    assert sum("reused" in note for note in notes) == 3, "only the reconstruction depends on the sweeps"


def test_a_new_version_of_a_stage_renews_what_follows(job, tmp_path, monkeypatch):
    _, cache, _, _, panorama = job
    monkeypatch.setitem(STAGE_VERSIONS, "animate", STAGE_VERSIONS["animate"] + 1)
    run_job("generate", SMALL, {"panorama": panorama}, tmp_path, cache, quiet)
    notes = json.loads((tmp_path / "report.json").read_text())["notes"]
    assert [note.split(":")[0] for note in notes if "reused" in note] == ["perceive"]


def test_another_way_to_find_flow_renews_what_follows(job, tmp_path, monkeypatch):
    _, cache, _, _, panorama = job
    monkeypatch.setattr("holotime.pipeline.flow_backend", lambda: "another")
    run_job("generate", SMALL, {"panorama": panorama}, tmp_path, cache, quiet)
    notes = json.loads((tmp_path / "report.json").read_text())["notes"]
    assert [note.split(":")[0] for note in notes if "reused" in note] == ["perceive", "animate"]


def test_a_cancelled_job_leaves_no_half_result(job, tmp_path):
    def stop(stage, fraction, note="", preview=None):
        if stage == "track" and fraction > 0:
            raise Cancelled("stopped")

    config = GenerateConfig(**SMALL, seed=9)
    with pytest.raises(Cancelled):
        generate(job[4], config, tmp_path / "cache", progress=stop)
    names = sorted(p.name.split("-")[0] for p in (tmp_path / "cache").iterdir())
    assert names == ["animate", "perceive"]


def test_bad_jobs_are_refused_before_any_work(job, tmp_path):
    panorama = job[4]
    (tmp_path / "empty.png").write_bytes(b"")
    cases = [
        ("generate", SMALL, {}, "needs the input 'panorama'"),
        ("generate", SMALL, {"panorama": tmp_path / "empty.png"}, "0 bytes"),
        ("generate", {"frame": 3}, {"panorama": panorama}, "Did you mean 'frames'"),
        ("generate", {"frames": 0}, {"panorama": panorama}, "between 1 and 600"),
        ("destroy", {}, {}, "Unknown kind of job"),
        ("render", {}, {}, "needs the input 'scene'"),
        ("render", {"projection": "flat"}, {"scene": panorama}, "one of perspective"),
        ("render", {}, {"scene": panorama}, "not a readable HoloTime scene"),
    ]
    for kind, params, inputs, match in cases:
        with pytest.raises(InputError, match=match):
            run_job(kind, params, inputs, tmp_path / "out", tmp_path / "cache", quiet)
    assert not (tmp_path / "out").exists()
    cv2.imwrite(str(tmp_path / "0a1b2c.png"), np.zeros((100, 100, 3), np.uint8))
    with pytest.raises(InputError, match=r"my panorama\.png is 100 x 100.*setting fit pad"):
        run_job(
            *("generate", SMALL | {"name": "my panorama.png"}, {"panorama": tmp_path / "0a1b2c.png"}),
            *(tmp_path / "out", tmp_path / "cache", quiet),
        )


def test_render_jobs_make_videos(job, tmp_path):
    scene = {"scene": job[0] / "scene.safetensors"}
    stereo = run_job("render", {"width": 128}, scene, tmp_path, tmp_path, quiet)
    assert read_clip(stereo["vr_360_TB.mp4"]).frames.shape == (4, 128, 128, 3)
    params = {"projection": "perspective", "camera": "orbit", "width": 96, "height": 64, "seconds": 0.5}
    flat = run_job("render", params, scene, tmp_path, tmp_path, quiet)
    frames = read_clip(flat["camera_orbit.mp4"]).frames
    assert frames.shape == (6, 64, 96, 3)
    assert np.abs(np.diff(frames.astype(int), axis=0)).mean() > 0.5, "the camera moves"
    with pytest.raises(InputError, match="orbit"):
        run_job("render", params | {"camera": "orbitt"}, scene, tmp_path, tmp_path, quiet)


def test_a_path_keyed_by_hand_is_followed_and_checked(job, tmp_path):
    scene = job[0] / "scene.safetensors"
    pose = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]
    good = [{"matrix": pose, "fov_x": 1.2}] * 3
    path = tmp_path / "path.json"
    path.write_text(json.dumps(good))
    params = {"projection": "equirect", "width": 64}
    made = run_job("render", params, {"scene": scene, "path": path}, tmp_path, tmp_path, quiet)
    assert len(read_clip(made["vr_360.mp4"])) == 3
    for bad, match in (
        ([], "0 poses"),
        ([{"matrix": [[2 * v for v in row] for row in pose], "fov_x": 1.2}], "scaled or sheared"),
        ([{"matrix": pose, "fov_x": 9}], "fov_x"),
        ([{"matrix": pose}], "cannot be read"),
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(InputError, match=match):
            run_job("render", params, {"scene": scene, "path": path}, tmp_path, tmp_path, quiet)
