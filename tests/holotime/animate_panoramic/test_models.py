"""Every family on its tiny pipeline: equivariance, seam, seeds, progress, preview, cancel, going on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from holotime import quality, sphere
from holotime.animate.panoramic import PanoramicConfig, run
from holotime.animate.panoramic import animator as animators
from holotime.animate.panoramic.families import family_of
from holotime.animate.panoramic.family import Family, Size
from holotime.animate.panoramic.window import Window
from holotime.errors import Cancelled, OutOfMemory
from holotime.models import load_pipeline
from holotime.models.circular import CircularColumns
from holotime.models.plan import Plan

Config = Callable[..., PanoramicConfig]
FAMILIES = ("wan", "wan-dense", "ltx", "cogvideox", "cogvideox-1.5", "svd")
# diffusers with numpy 2, in the schedule of SVD.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def loaded(config: PanoramicConfig) -> tuple[Family, Size, object]:
    family = family_of(config)
    return family, family.size(config.width), load_pipeline(family.files, family.load_as, torch.float32)


def told(family: Family, size: Size, generator: torch.Generator) -> tuple[tuple, dict, Callable, int]:
    """(positional, named arguments of the denoiser, of a turn of them, columns of the turn)."""
    network, h, w = family.network, size.height // family.stride, size.window.width  # type: ignore[attr-defined]
    turn = 2 * family.unit

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    text = noise(1, 16, 32)  # CogVideoX's learned positions leave no other length
    if family.animator == "svd":
        x = noise(1, 3, 8, h, w)
        named = {"encoder_hidden_states": text[:, :1], "added_time_ids": noise(1, 3), "return_dict": False}
        return (x, torch.tensor(3.0)), named, lambda x: x.roll(turn, -1), turn
    time = torch.tensor([500.0])
    if family.animator == "wan":
        named = {"hidden_states": noise(1, network["in_channels"], 2, h, w), "timestep": time}
        if family.dense:  # type: ignore[attr-defined]
            named["timestep"] = torch.arange(2 * (h // 2) * (w // 2))[None] % 7 * 100.0
        else:
            named["encoder_hidden_states_image"] = noise(1, 17, 32)
    elif family.animator == "cogvideox":
        named = {"hidden_states": noise(1, 2, 8, h, w), "timestep": time.long(), "image_rotary_emb": ()}
        if network["ofs_embed_dim"]:
            named["ofs"] = torch.full((1,), 2.0)
    else:
        named = {"hidden_states": noise(1, 2 * h * w, 8), "timestep": noise(1, 2 * h * w).abs() * 100}
        named |= {"num_frames": 2, "height": h, "width": w, "rope_interpolation_scale": (0.3, 32, 32)}
        named["encoder_attention_mask"] = torch.ones(1, 16)
    return (), named | {"encoder_hidden_states": text, "return_dict": False}, lambda x: x.roll(turn, -1), turn


def rolled(family: Family, size: Size, value: torch.Tensor, turn: int) -> torch.Tensor:
    """Turn what is laid out as tokens or as a picture."""
    if family.animator == "ltx":
        return value.unflatten(1, (-1, size.window.width)).roll(turn, 2).flatten(1, 2)
    if value.ndim == 2:
        return value.unflatten(1, (-1, size.window.width // family.unit)).roll(turn // family.unit, 2).flatten(1)
    return value.roll(turn, -1)


@pytest.mark.parametrize("name", FAMILIES)
def test_denoisers_and_autoencoders_commute_with_a_turn(name: str, config: Config) -> None:
    """Where the window is cut has moved along, and so has everything else; SVD needs no such help."""
    family, size, pipeline = loaded(config(name))
    generator = torch.Generator().manual_seed(1)
    args, named, _, turn = told(family, size, generator)
    network = getattr(pipeline, family.denoisers[0])
    here = size.window.at_step(1, family.unit)
    moved = Window(here.width, here.margin, (here.start + turn) % here.width)
    with torch.no_grad():
        plain = family.denoise(pipeline, network.forward, here, args, dict(named))[0]
        if family.animator == "svd":
            again = family.denoise(pipeline, network.forward, here, (args[0].roll(turn, -1), args[1]), dict(named))[0]
        else:
            given = {"hidden_states": rolled(family, size, named["hidden_states"], turn)}
            if named["timestep"].ndim == 2:
                given["timestep"] = rolled(family, size, named["timestep"], turn)
            again = family.denoise(pipeline, network.forward, moved, args, named | given)[0]
        torch.testing.assert_close(again, rolled(family, size, plain, turn), atol=2e-4, rtol=1e-3)
        assert not torch.allclose(again, plain, atol=1e-2)

        vae = pipeline.vae  # type: ignore[attr-defined]
        flat = family.animator == "svd"
        image = torch.rand(1, 3, size.height, size.width, generator=generator) * 2 - 1
        image = image if flat else image[:, :, None]
        pixels = turn * family.stride
        with CircularColumns():
            z, turned = (vae.encode(x).latent_dist.mode() for x in (image, image.roll(pixels, -1)))
            torch.testing.assert_close(turned, z.roll(turn, -1), atol=1e-3, rtol=1e-3)
            more = {"num_frames": 1} if flat else {}
            back, turned = (vae.decode(x, return_dict=False, **more)[0] for x in (z, z.roll(turn, -1)))
            torch.testing.assert_close(turned, back.roll(pixels, -1), atol=1e-3, rtol=1e-3)
        bare = vae.encode(image.roll(pixels, -1)).latent_dist.mode()
        assert not torch.allclose(bare, vae.encode(image).latent_dist.mode().roll(turn, -1), atol=1e-3), "it has edges"


def unmodified(name: str, config: PanoramicConfig, panorama: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[T, h, w, 3]: the same model, size, seed and steps without any of it."""
    family, size, pipeline = loaded(config)
    width = size.width
    if name == "cogvideox":  # learned positions leave no choice
        width = family.wide * family.stride  # type: ignore[attr-defined]
    start = Image.fromarray(sphere.resize(panorama, size.height, width))
    with family.around():
        made = pipeline(  # type: ignore[operator]
            image=start,
            height=size.height,
            width=width,
            num_inference_steps=config.steps,
            generator=torch.Generator().manual_seed(config.seed),
            output_type="np",
            **family.arguments(config, family.clip_frames(config.frames)),
        ).frames[0]
    return np.round(made * 255).astype(np.uint8)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_seam_where_the_unmodified_pipeline_has_one(name: str, config: Config, panorama: NDArray[np.uint8]) -> None:
    """The clip's seam ratio is 1 within 5 %. As sampled, before frames are settled, it is as near to 1 as chance
    leaves one pair of columns in a few random frames."""
    wide = {"wan": 128, "wan-dense": 128, "ltx": 256, "svd": 96}.get(name, 0)
    asked = config(name, frames=3 if name == "svd" else 5, width=wide)
    plain = quality.seam_ratio(unmodified(name, asked, panorama))
    assert not 0.8 < plain < 1.25, f"the unmodified pipeline shows no seam to be mended ({plain:.2f})"
    made = run(panorama, asked)
    assert made.clip.frames.shape[1:] == panorama.shape
    ratio = quality.seam_ratio(made.clip.frames)
    assert abs(ratio - 1) <= 0.05, (ratio, plain)
    sampled = next(note for note in made.notes if note.startswith("Seam ratio"))
    before = float(sampled.split()[2])
    assert abs(np.log(before)) < 0.7 * abs(np.log(plain)), (before, plain)


@pytest.mark.parametrize("name", ["wan", "ltx", "cogvideox", "cogvideox-1.5", "svd"])
def test_progress_preview_seeds_and_going_on(
    name: str, config: Config, panorama: NDArray[np.uint8], tmp_path: Path
) -> None:
    """One clip, made at once; stopped in its third step and gone on with; and with another seed."""
    asked = config(name, steps=4)
    told: list[tuple[float, str]] = []
    shown: list[NDArray[np.uint8]] = []
    whole = run(panorama, asked, progress=lambda f, n="": told.append((f, n)), preview=shown.append)
    fractions = [f for f, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    words = [n for _, n in told]
    assert any(n.startswith(f"{asked.animator} step 3/4, ") and n.endswith("left in this stage") for n in words)
    assert {"encoding", "decoding"} <= set(words)
    assert len(shown) == 2, "steps 2 and 4"
    assert all(p.shape[1] == 2 * p.shape[0] or asked.animator == "cogvideox" for p in shown)
    assert shown[0].std() > 1

    def stopping(fraction: float, note: str = "") -> None:
        if note.startswith(f"{asked.animator} step 3/4"):
            raise Cancelled("stopped")

    kept = config(name, steps=4, resume_dir=tmp_path / "kept")
    with pytest.raises(Cancelled):
        run(panorama, kept, progress=stopping)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    resumed = run(panorama, kept)
    assert f"{asked.animator}: resumed at step 4 of 4." in resumed.notes
    assert np.array_equal(resumed.clip.frames, whole.clip.frames)
    assert not list((tmp_path / "kept").iterdir()), "what was kept is gone"
    other = run(panorama, config(name, steps=4, seed=1))
    assert not np.array_equal(other.clip.frames, whole.clip.frames)
    assert any("dB; the model made it anew" in note for note in whole.notes)


def test_a_cancel_is_noticed_within_a_step(config: Config, panorama: NDArray[np.uint8]) -> None:
    """Also while pictures are encoded and decoded: no more than one pass through a network lies between two looks."""
    for phase in ("encoding", "wan step 2/3", "decoding"):
        seen = []

        def stopping(fraction: float, note: str = "", phase: str = phase, seen: list = seen) -> None:
            seen.append(note)
            if note.startswith(phase):
                raise Cancelled("stopped")

        with pytest.raises(Cancelled):
            run(panorama, config("wan"), progress=stopping)
        assert sum(note.startswith(phase) for note in seen) == 1


def test_in_pieces_the_circle_stays_whole(
    config: Config, panorama: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The low plan decodes tiles of whole rows."""
    plans: list[Plan] = []
    rows = []
    make = animators.make_plan
    monkeypatch.setattr(animators, "make_plan", lambda *a, **k: plans.append(make(*a, **k)) or plans[-1])
    for name, width in (("wan", 512), ("ltx", 512)):
        family = type(family_of(config(name)))
        pieces = family.in_pieces
        monkeypatch.setattr(family, "in_pieces", lambda self, p, old=pieces: rows.append(p) or old(self, p))
        made = run(panorama, config(name, width=width, memory="low", steps=2, frames=1))
        assert plans[-1].small
        assert rows[-1].vae.use_tiling
        assert any("in pieces" in note and "(low)" in note for note in made.notes)
        assert abs(quality.seam_ratio(made.clip.frames) - 1) < 0.05


def test_long_clips_go_on_in_windows_and_resume_in_any(
    config: Config, panorama: NDArray[np.uint8], tmp_path: Path
) -> None:
    """SVD makes three frames at once: six frames are three windows."""
    asked = config("svd", frames=6, steps=2)
    whole = run(panorama, asked)
    assert len(whole.clip) == 6
    assert any("in 3 windows of 3" in note for note in whole.notes)
    kept = config("svd", frames=6, steps=2, resume_dir=tmp_path)

    def stopping(fraction: float, note: str = "") -> None:
        if fraction > 0.4 and note.startswith("svd step 1/2, "):
            raise Cancelled("stopped in the second window")

    with pytest.raises(Cancelled):
        run(panorama, kept, progress=stopping)
    resumed = run(panorama, kept)
    assert any("resumed at step 2 of 2 of window 2" in note for note in resumed.notes)
    assert np.array_equal(resumed.clip.frames, whole.clip.frames)


def test_a_damaged_state_begins_anew(config: Config, panorama: NDArray[np.uint8], tmp_path: Path) -> None:
    def stopping(fraction: float, note: str = "") -> None:
        if note.startswith("ltx step 1/2, "):
            raise Cancelled("stopped")

    asked = config("ltx", steps=2, resume_dir=tmp_path)
    with pytest.raises(Cancelled):
        run(panorama, asked, progress=stopping)
    (state,) = tmp_path.iterdir()
    state.write_bytes(state.read_bytes()[:100])
    again = run(panorama, asked)
    assert any("began anew" in note for note in again.notes)


def test_loops_and_other_wishes_are_reported(config: Config, panorama: NDArray[np.uint8]) -> None:
    faded = run(panorama, config("ltx", frames=8, loop="fade", steps=3, quality="fast", fps=7.0))
    assert len(faded.clip) == 8
    assert faded.clip.loop
    assert faded.clip.fps == 7.0
    notes = " ".join(faded.notes)
    for words in (
        "blended into the first 2",
        "multiples of 8 and one",
        "fast, 2 steps",
        "licence",
        "turned in every step",
    ):
        assert words in notes, words
    assert "frames per second" not in notes, "the model is told the rate"
    long = "waves " * 60
    bounced = run(panorama, config("wan", frames=4, loop="bounce", steps=1, prompt=long))
    assert np.array_equal(bounced.clip.frames[1], bounced.clip.frames[3])
    assert "trained with 16 frames per second" in " ".join(bounced.notes)
    spoken = run(panorama, config("cogvideox", steps=1, prompt=long))
    assert any("tokens; the model reads the first 16" in note for note in spoken.notes)
    assert any("prompt was not followed" in note for note in run(panorama, config("svd", steps=1)).notes)


def test_too_little_memory_is_said_before_anything_is_loaded(
    config: Config, panorama: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animators, "load_pipeline", lambda *a, **k: pytest.fail("loaded"))
    monkeypatch.setattr("holotime.models.plan.free_memory", lambda device: 1000)
    with pytest.raises(OutOfMemory, match="no plan fits"):
        run(panorama, config("wan"))
