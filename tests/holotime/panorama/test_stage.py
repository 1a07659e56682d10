"""Panoramas as a stage of a job, as a job of their own, by command, and for a folder of prompts and images."""

import json

import cv2
import numpy as np
import pytest

from holotime.cli.common import report_error
from holotime.errors import BackendUnavailable, Cancelled, HoloTimeError, InputError, OutOfMemory
from holotime.jobs import run_job
from holotime.panorama.config import PanoramaConfig, recipe_of
from holotime.panorama.folder import tasks
from holotime.panorama.loading import choose
from holotime.panorama.stage import order
from tests.holotime.panorama import tiny

pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.make("sd", tmp_path_factory.mktemp("tiny-sd"), size=64))


@pytest.fixture(autouse=True)
def _no_weights_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "holotime"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HOLOTIME_WEIGHTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def quiet(*told):
    pass


def photo(path):
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.GaussianBlur(image, (0, 0), 3))
    return path


def test_a_job_without_any_input_becomes_a_world(model, tmp_path):
    params = {"panorama": "text", "panorama_model": model, "prompt": "a sea", "width": 128}
    params |= {"frames": 2, "budget": 2000, "sweeps": 0}
    seen = []
    files = run_job("generate", params, {}, tmp_path / "out", tmp_path / "cache", lambda *told: seen.append(told))
    report = json.loads(files["report.json"].read_text())
    name = model.rsplit("/", 1)[-1]
    assert report["backends"]["panorama"] == name
    assert report["source"] == "a sea"
    assert report["size"] == [128, 64]
    assert any("panorama memory" in note for note in report["notes"])
    assert any(entry["stage"] == "panorama" for entry in report["models"])
    stages = list(dict.fromkeys(stage for stage, *_ in seen))
    assert stages[:3] == ["panorama", "perceive", "animate"]
    pictures = [p for stage, *_, p in seen if stage == "panorama" and p]
    assert len(pictures) >= 3
    again = run_job("generate", params | {"sweeps": 1}, {}, tmp_path / "two", tmp_path / "cache", quiet)
    notes = json.loads(again["report.json"].read_text())["notes"]
    assert "panorama: reused from an earlier job" in notes


def test_a_panorama_as_a_job_and_its_cancel(model, tmp_path):
    params = {"prompt": "a sea", "model": model, "width": 128, "steps": 2}

    def stop(stage, fraction, note="", preview=None):
        if "step 2" in note:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run_job("panorama", params, {}, tmp_path / "out", tmp_path / "cache", stop)
    assert not list((tmp_path / "cache").iterdir())
    files = run_job("panorama", params, {}, tmp_path / "out", tmp_path / "cache", quiet)
    assert cv2.imread(str(files["panorama.png"])).shape == (64, 128, 3)
    report = json.loads(files["report.json"].read_text())
    assert report["settings"]["prompt"] == "a sea"
    assert np.isfinite([report["seam_ratio"], report["pole_ratio"]]).all()
    turned = run_job(
        "panorama",
        params | {"yaw": 30.0},
        {"photo": photo(tmp_path / "p.png")},
        tmp_path / "b",
        tmp_path / "cache",
        quiet,
    )
    assert any("kept exactly" in note for note in json.loads(turned["report.json"].read_text())["notes"])


def test_a_world_round_a_photo(model, tmp_path):
    params = {"panorama": "outpaint", "panorama_model": model, "width": 128, "frames": 1, "budget": 1000, "sweeps": 0}
    files = run_job("generate", params, {"panorama": photo(tmp_path / "p.png")}, tmp_path / "o", tmp_path / "c", quiet)
    notes = json.loads(files["report.json"].read_text())["notes"]
    assert any("degrees across was assumed" in note for note in notes)


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"prompt": " "}, InputError, "prompt is empty"),
        ({"model": "fluxx"}, InputError, "Did you mean flux"),
        ({"model": "zzz"}, InputError, "Known: flux, sdxl, sd15"),
        ({"model": "flux"}, BackendUnavailable, "FLUX.1-dev.*licence.*Also.*flux-panorama-lora"),
        ({"model": "flux", "lora": "none"}, BackendUnavailable, "black-forest-labs/FLUX.1-dev"),
        ({"model": "somebody/something"}, BackendUnavailable, "somebody/something"),
        ({"lora": "somebody/a-lora"}, BackendUnavailable, "somebody/a-lora"),
        ({"lora": "sdxl-360-laro"}, InputError, "sdxl-360-lora"),
        ({"width": 100}, InputError, "multiple of 32"),
        ({"widht": 128}, InputError, "Did you mean 'width'"),
        ({"steps": -1}, InputError, "between 0 and 1000"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_work(model, tmp_path, params, error, match):
    seen = []
    asked = {"prompt": "a sea", "model": model, "width": 128} | params
    with pytest.raises(error, match=match):
        run_job("panorama", asked, {}, tmp_path / "out", tmp_path / "cache", lambda *told: seen.append(told))
    assert not seen
    with pytest.raises(InputError, match="needs the input 'panorama'"):
        run_job("generate", {}, {}, tmp_path / "out", tmp_path / "cache", quiet)
    with pytest.raises(InputError, match="prompt is empty"):
        run_job("generate", {"panorama": "text"}, {}, tmp_path / "out", tmp_path / "cache", quiet)


def test_models_of_other_kinds_and_loras_of_others_are_refused(model, tmp_path):
    index = json.loads((tiny.make("sd", tmp_path / "video") / "model_index.json").read_text())
    (tmp_path / "video" / "model_index.json").write_text(json.dumps(index | {"_class_name": "WanPipeline"}))
    with pytest.raises(InputError, match=r"WanPipeline.*FluxPipeline"):
        choose(PanoramaConfig(prompt="a", model=str(tmp_path / "video")), photo=False)
    from safetensors.numpy import save_file

    save_file({"transformer.x.lora_A.weight": np.zeros((4, 8), np.float32)}, tmp_path / "other.safetensors")
    asked = {"prompt": "a sea", "model": model, "width": 128, "lora": str(tmp_path / "other.safetensors")}
    with pytest.raises(InputError, match=r"The LoRA other\.safetensors"):
        run_job("panorama", asked, {}, tmp_path / "out", tmp_path / "cache", quiet)
    (tmp_path / "code.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"not a \.safetensors"):
        order(PanoramaConfig(prompt="a", model=model, lora=str(tmp_path / "code.bin")))


def test_too_little_memory_names_what_would_be_needed(model, monkeypatch):
    monkeypatch.setattr("holotime.models.plan.free_memory", lambda device: 1 << 16)
    with pytest.raises(OutOfMemory, match=r"needs about .* no plan fits.*smaller"):
        order(PanoramaConfig(prompt="a", model=model, width=1024, device="cpu"))


def test_recipes_know_triggers_sizes_and_inpainting_models():
    flux = recipe_of("flux")
    assert (flux.trigger, flux.width) == ("HDRI panoramic view of TOK", 2048)
    assert recipe_of("black-forest-labs/FLUX.1-dev").lora == flux.lora
    assert recipe_of("flux-fill").trigger == flux.trigger
    assert recipe_of("somebody/else").lora == ""


def test_a_folder_of_images_of_prompts_or_of_both(tmp_path):
    for name in ("b10.png", "b2.png"):
        photo(tmp_path / name)
    assert [(t.name, t.prompt) for t in tasks(tmp_path)] == [("b2", ""), ("b10", "")]
    (tmp_path / "prompts.txt").write_text("first\nsecond\n")
    assert [(t.name, t.prompt) for t in tasks(tmp_path)] == [("b2", "first"), ("b10", "second")]
    (tmp_path / "prompts.txt").write_text("only one\n")
    with pytest.raises(InputError, match=r"b10\.png.*\(no line\)"):
        tasks(tmp_path)
    for image in tmp_path.glob("*.png"):
        image.unlink()
    (tmp_path / "prompts.txt").write_text("A lighthouse, stormy!\n\na lighthouse stormy\n???\n")
    made = tasks(tmp_path)
    assert [(t.name, t.image) for t in made] == [
        ("a-lighthouse-stormy", None),
        ("a-lighthouse-stormy-2", None),
        ("panorama", None),
    ]
    (tmp_path / "prompts.txt").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        tasks(tmp_path)
    (tmp_path / "prompts.txt").unlink()
    with pytest.raises(InputError, match="neither images"):
        tasks(tmp_path)


def command(*arguments):
    """The command line in this process: (exit code, what it printed)."""
    import typer
    from typer.testing import CliRunner

    from holotime.cli import panorama, run

    app = typer.Typer()
    for module in (panorama, run):
        module.register(app)
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(done.exception, HoloTimeError):
        report_error(done.exception)
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, done.stdout


def test_by_command(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out, now = tmp_path / "pano.png", tmp_path / "now.jpg"
    more = ("--model", model, "--width", 128, "--steps", 2, "--json")
    code, text = command("panorama", "a sea", "-o", out, "--preview", now, *more)
    assert code == 0, text
    numbers = json.loads(text.strip().splitlines()[-1])
    assert numbers["size"] == [128, 64]
    assert cv2.imread(str(out)).shape == (64, 128, 3)
    assert cv2.imread(str(now)) is not None
    code, _ = command(
        "panorama", "a sea", "--from", photo(tmp_path / "p.png"), "--fov", 60, "-o", tmp_path / "b.jpg", *more
    )
    assert code == 0
    assert command("panorama", "", "-o", out, *more)[0] == 2
    assert command("panorama", "a", "-o", tmp_path / "a.txt", *more)[0] == 2
    assert command("run", photo(tmp_path / "p.png"), "--panorama", "text", "-o", tmp_path / "x")[0] == 2


def test_run_makes_every_prompt_of_a_folder(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "prompts.txt").write_text("a sea\na forest\n")
    more = (
        "--panorama-model",
        model,
        "--width",
        64,
        "--frames",
        2,
        "--budget",
        2000,
        "--sweeps",
        0,
        "--no-vr",
        "--json",
    )
    code, text = command("run", folder, "-o", tmp_path / "out", *more)
    assert code == 0, text
    worlds = json.loads(text.strip().splitlines()[-1])["worlds"]
    assert set(worlds) == {"a-sea", "a-forest"}
    assert (tmp_path / "out" / "a-forest" / "scene.safetensors").is_file()
    assert command("run", folder, "--prompt", "x", "-o", tmp_path / "out", *more)[0] == 2
    assert command("run", folder, "--panorama", "outpaint", "-o", tmp_path / "out", *more)[0] == 2
