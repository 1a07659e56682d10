"""Panoramas made whole: progress, previews, cancelling, resuming, LoRAs, enlarging, poles, long prompts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from holotime.errors import Cancelled
from holotime.panorama import poles
from holotime.panorama.config import PanoramaConfig
from holotime.panorama.loading import choose, open_network
from holotime.panorama.make import make
from holotime.panorama.sampler import Part, Sampler
from holotime.quality import seam_ratio
from tests.holotime.panorama import tiny

pytest.importorskip("diffusers")
WIDTH = 128


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: tiny.make(kind, tmp_path_factory.mktemp(kind), size=64) for kind in ("sd", "flux")}


def order(folder, **more):
    asked = {"prompt": "a lighthouse", "model": str(folder), "width": WIDTH, "steps": 3, "device": "cpu", "seed": 1}
    return PanoramaConfig(**(asked | more))


@pytest.fixture(scope="module", params=["sd", "flux"])
def made(request, folders):
    """(configuration, panorama, how it was made, what was reported, previews)."""
    config = order(folders[request.param])
    seen, shown = [], []
    image, how = make(config, progress=lambda f, note="": seen.append((f, note)), preview=shown.append)
    return config, image, how, seen, shown


def test_a_panorama_is_made_with_progress_and_previews(made):
    config, image, how, seen, shown = made
    assert image.shape == (64, 128, 3)
    assert image.std() > 5
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    notes = " ".join(note for _, note in seen)
    for words in ("reading the prompt", "panorama: step 3/3", "s left", "pole up", "pole down", "decoding"):
        assert words in notes
    assert shown[0].shape == (64, 128, 3)
    assert all(p.shape[1] <= 512 and p.shape[1] >= p.shape[0] for p in shown)
    assert any("every part stays in memory" in note for note in how.notes)
    assert any("licence" in note and "commercial use" in note for note in how.notes)
    assert how.backend == config.model.rsplit("/", 1)[-1]


def test_poles_are_places_like_others(made):
    _, image, how, _, _ = made
    numbers = how.numbers
    assert min(numbers["up_made"], numbers["down_made"]) > 1.8, "random weights draw rays at the poles"
    assert max(poles.pole_ratio(image)) < 1.4
    assert numbers["up_final"] == pytest.approx(poles.pole_ratio(image)[0])
    assert any("rays up" in note for note in how.notes)


def test_the_same_seed_is_the_same_panorama_and_another_is_another(made):
    config, image, *_ = made
    np.testing.assert_array_equal(make(config)[0], image)
    assert np.abs(make(replace(config, seed=2))[0].astype(int) - image).mean() > 5


@pytest.mark.parametrize("where", ["panorama: step 3", "pole up: step 1", "pole down: step 1", "decoding"])
def test_stopped_anywhere_it_goes_on_to_the_identical_panorama(made, tmp_path, where):
    config, image, *_ = made
    asked = []

    def stop(fraction, note=""):
        asked.append(note)
        if where in note:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        make(config, progress=stop, state_dir=tmp_path / "state")
    assert list((tmp_path / "state").glob("panorama-*.safetensors"))
    again = []
    other, how = make(config, state_dir=tmp_path / "state", progress=lambda f, note="": again.append(note))
    np.testing.assert_array_equal(other, image)
    assert sum(": step" in note for note in again) < sum(": step" in note for _, note in made[3])
    if where == "panorama: step 3":
        assert "panorama went on with panorama at step 3 of 3" in how.notes
    assert not list(tmp_path.glob("state/*")), "a complete panorama leaves no state"


def test_a_damaged_state_is_told_and_not_used(made, tmp_path):
    config, image, *_ = made

    def stop(fraction, note=""):
        if "step 2" in note:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        make(config, progress=stop, state_dir=tmp_path / "state")
    (state,) = (tmp_path / "state").iterdir()
    state.write_bytes(state.read_bytes()[:100])
    other, how = make(config, state_dir=tmp_path / "state")
    np.testing.assert_array_equal(other, image)
    assert any("could not be used" in note for note in how.notes)


@pytest.mark.parametrize("upscale", ["diffusion", "lanczos"])
def test_larger_than_the_model_draws(folders, upscale):
    config = order(folders["sd"], width=384, upscale=upscale, poles=False)
    drawn = choose(config, photo=False).drawn(config)
    assert drawn < 300
    image, how = make(config)
    assert image.shape == (192, 384, 3)
    assert seam_ratio(image[None]) < 1.06
    words = "drawn again in windows" if upscale == "diffusion" else "by Lanczos"
    assert any(words in note and str(drawn) in note for note in how.notes)


def test_pieces_for_little_memory_cost_next_to_nothing(folders):
    config = order(folders["flux"], poles=False, width=256)
    whole, _ = make(config)
    pieces, how = make(replace(config, memory="low"))
    assert any("in pieces" in note for note in how.notes)
    assert np.abs(whole.astype(int) - pieces).mean() < 12, "group norms see a tile instead of the whole"


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_a_lora_is_really_loaded_and_let_go_at_the_poles(folders, tmp_path, kind):
    pytest.importorskip("peft")
    config = order(folders[kind], poles=False)
    plain, _ = make(config)
    lora = save_lora(config, tmp_path / "pano.safetensors")
    drawn, how = make(replace(config, lora=str(lora)))
    assert np.abs(drawn.astype(int) - plain).mean() > 0.2, "the same call gives the same picture to the bit"
    assert how.backend.endswith("+ pano")
    chosen = choose(replace(config, lora=str(lora)), photo=False)
    network = open_network(chosen, chosen.plan_for(config))
    layer = next(m for m in network.denoiser.modules() if hasattr(m, "disable_adapters") and hasattr(m, "base_layer"))
    with network.without_lora():
        assert layer.disable_adapters
    assert not layer.disable_adapters


def save_lora(config, path):
    """A LoRA with random weights for the attention of the model that ``config`` names."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    chosen = choose(config, photo=False)
    network = open_network(chosen, chosen.plan_for(config))
    denoiser = network.denoiser
    torch.manual_seed(5)
    denoiser.add_adapter(
        LoraConfig(r=4, lora_alpha=64, init_lora_weights=False, target_modules=["to_q", "to_v", "to_out.0"])
    )
    layers = {f"{chosen.main}_lora_layers": get_peft_model_state_dict(denoiser)}
    type(network.pipe).save_lora_weights(path.parent, weight_name=path.name, **layers)
    return path


def test_what_of_a_long_prompt_is_not_read_is_told(folders):
    words = "a grey sea with a lighthouse on a rock. " * 14
    _, how = make(order(folders["sd"], prompt=words, poles=False, steps=1))
    (note,) = [n for n in how.notes if "too long" in n]
    cut = note.split("this was not read: ")[1]
    assert words.strip().endswith(cut)
    assert len(cut) > 100
    _, how = make(order(folders["flux"], prompt=words[:300], poles=False, steps=1))
    assert not any("too long" in n for n in how.notes), "T5 reads more than CLIP"
    _, how = make(order(folders["flux"], prompt=words, negative_prompt="rain", poles=False, steps=1))
    assert any("too long" in n for n in how.notes)
    assert any("without a negative prompt" in n for n in how.notes)


def test_a_negative_prompt_is_followed_where_there_is_guidance(folders):
    config = order(folders["sd"], poles=False)
    assert np.abs(make(config)[0].astype(int) - make(replace(config, negative_prompt="rain"))[0]).mean() > 0.5


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_weights_in_eight_bits_draw_nearly_the_same_with_a_lora_too(folders, tmp_path, kind):
    pytest.importorskip("peft")
    lora = save_lora(order(folders[kind]), tmp_path / "pano.safetensors")
    config = order(folders[kind], lora=str(lora))
    chosen = choose(config, photo=False)
    made = []
    for eight in (False, True):
        with torch.inference_mode():
            network = open_network(chosen, chosen.plan_for(config))
            if eight:
                network.denoiser.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)
            task = Part("a", network.read("a sea", "", 3.5), 3, 3.5)
            made.append(Sampler(network, 0).run(task, (1, 4, 16, 32)))
    stored = {p.dtype for p in network.denoiser.parameters()}
    assert torch.float8_e4m3fn in stored
    difference = (made[1] - made[0]).abs().mean() / made[0].abs().mean()
    assert 0 < difference < 0.2
