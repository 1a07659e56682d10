"""Worlds from a sentence or a photo, animators and enhancement: what the panel says and what it sends."""

import itertools
import math
from pathlib import Path

import bpy
import pytest
from test_bpy_video import ask_library

pytestmark = pytest.mark.bpy


@pytest.fixture
def settings(holotime):
    """The scene's settings."""
    return bpy.context.scene.holotime


def test_licences_are_those_of_the_registry(installed):
    """For every choice: the models exist, and the panel allows no more than the strictest of them."""
    from bl_ext.user_default.holotime import models

    code = """
import json
from holotime.animate.registry import ANIMATORS
from holotime.panorama.config import RECIPES
from holotime.weights.registry import MODELS
print(json.dumps([{m.name: [m.licence, m.commercial_use] for m in MODELS.values()}, list(ANIMATORS),
                  {name: [r.model, r.lora, r.fill] for name, r in RECIPES.items()}]))
"""
    registry, animators, recipes = ask_library(code, None)
    for choice in (*models.PANORAMAS, *models.PHOTOS, *models.ANIMATORS):
        uses = [registry[name] for name in choice.models]
        if any(commercial is False for _, commercial in uses):
            allowed = False
        else:
            allowed = None if any(commercial is None for _, commercial in uses) else True
        assert choice.commercial == allowed, choice.name
        assert not uses or choice.licence in {licence for licence, _ in uses}, choice.name
        assert bool(choice.told) == bool(uses)
    assert {choice.name for choice in models.ANIMATORS} == set(animators)
    for choice, photo in zip(models.PANORAMAS, models.PHOTOS, strict=True):
        model, lora, fill = recipes[choice.name]
        assert choice.models == (model, lora)
        assert photo.models == (fill, lora)


def test_every_setting_of_the_panel_is_one_of_the_librarys(settings):
    """The library takes what the panel sends, for every source, animator and enhancement."""
    from bl_ext.user_default.holotime.operators.jobs import generate_params

    sent = []
    settings.prompt = "a lighthouse"
    for source, animator, scale in itertools.product(
        ("IMAGE", "ENVIRONMENT", "RENDER", "PROMPT", "PHOTO"),
        ("flow", "holotime", "wan", "ltx", "cogvideox", "svd"),
        ("1", "2", "4"),
    ):
        settings.world_source, settings.animator, settings.enhance_scale = source, animator, scale
        settings.panorama = "" if source in ("PROMPT", "PHOTO") else "//panorama.png"
        settings.photo_fov, settings.photo_yaw = math.radians(70), math.radians(-20)
        settings.enhance_fps = 24.0 if scale != "1" else 0.0
        sent.append(generate_params(settings) | {"name": "x"})
    code = """
import json, sys
from holotime.config import from_params
from holotime.pipeline import GenerateConfig
out = []
for params in json.load(sys.stdin):
    config = from_params(GenerateConfig, params)
    names = ("panorama", "animator", "enhance_fps", "enhance_scale", "fov", "yaw")
    out.append([getattr(config, name) for name in names])
print(json.dumps(out))
"""
    for params, got in zip(sent, ask_library(code, sent), strict=True):
        panorama, animator, fps, scale, fov, yaw = got
        assert animator == params["animator"]
        assert (fps, scale) in ((0.0, 1), (24.0, 2), (24.0, 4))
        assert (fov, yaw) == (pytest.approx((70, -20)) if panorama == "outpaint" else (0, 0))
    assert {row["panorama"] for row in sent if "panorama" in row} == {"text", "outpaint"}


def test_a_panorama_that_was_drawn_before_is_used(settings):
    from bl_ext.user_default.holotime.operators import jobs

    settings.world_source = "PROMPT"
    assert "sentence" in jobs.why_not(settings)
    settings.prompt = "a quiet forest"
    assert jobs.why_not(settings) == ""
    assert jobs.generate_params(settings)["panorama"] == "text"
    settings.panorama_model = "OWN"
    assert "Name the model" in jobs.why_not(settings)
    settings.panorama_own_model = "someone/their-model"
    assert jobs.generate_params(settings)["panorama_model"] == "someone/their-model"
    settings.panorama = "//drawn.png"
    assert "panorama" not in jobs.generate_params(settings)
    settings.world_source, settings.panorama = "PHOTO", ""
    assert "photo" in jobs.why_not(settings)


def test_only_more_frames_than_there_are_are_sent(settings):
    from bl_ext.user_default.holotime.operators.jobs import generate_params

    settings.fps, settings.enhance_fps = 24.0, 12.0
    assert "enhance_fps" not in generate_params(settings)
    settings.enhance_fps = 48.0
    assert generate_params(settings)["enhance_fps"] == 48.0


def test_a_drawn_panorama_becomes_the_scenes(holotime, settings, tmp_path, monkeypatch):
    """What is sent to draw one, and what happens when it comes; the sidecar is played."""
    from bl_ext.user_default.holotime import client, results

    sent = []
    monkeypatch.setattr(client, "connected", lambda: True)
    monkeypatch.setattr(client, "offers", ("generate", "panorama"))
    monkeypatch.setattr(client, "submit", lambda *args, **named: sent.append((args, named)))
    settings.world_source, settings.prompt, settings.capture_width, settings.seed = "PROMPT", "a harbour", 2000, 7
    settings.panorama_model = "sdxl"
    assert bpy.ops.holotime.make_panorama() == {"FINISHED"}
    (_, kind, params, inputs, then), named = sent[-1]
    assert (kind, inputs) == ("panorama", {})
    assert params == {"prompt": "a harbour", "seed": 7, "width": 1984, "model": "sdxl"}
    code = """
import json, sys
from holotime.config import from_params
from holotime.panorama.config import PanoramaConfig
config = from_params(PanoramaConfig, json.load(sys.stdin))
config.check(photo=False)
print(json.dumps([config.width]))
"""
    assert ask_library(code, params) == [1984]
    assert type(results.on_success_of(client.Entry(kind="panorama", scene="x", output="y"))) is type(then)

    def fetch(job, name, path, arrived) -> None:
        Path(path).write_bytes(b"picture")
        arrived(None)

    monkeypatch.setattr(client, "fetch", fetch)
    job = client.Job("a" * 8)
    job.results = {"report.json": None, "panorama.png": None}
    then(job)
    assert Path(bpy.path.abspath(settings.panorama)).read_bytes() == b"picture"
    assert Path(named["entry"].output) == Path(bpy.path.abspath(settings.panorama))
    settings.world_source, settings.photo = "PHOTO", str(tmp_path / "none.jpg")
    with pytest.raises(RuntimeError, match="Choose a photo"):
        bpy.ops.holotime.make_panorama()
    (tmp_path / "none.jpg").write_bytes(b"photo")
    settings.photo_pitch = math.radians(10)
    assert bpy.ops.holotime.make_panorama() == {"FINISHED"}
    (_, _, params, inputs, _), _ = sent[-1]
    assert params["pitch"] == pytest.approx(10)
    assert inputs == {"photo": str(tmp_path / "none.jpg")}
