"""Reading checkpoints: the published packings, and files that are wrong."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from holotime.animate.diffusion.checkpoint import Checkpoint
from holotime.animate.diffusion.random_checkpoint import TINY, make, write
from holotime.errors import InputError

CPU = torch.device("cpu")


def test_every_module_loads_with_the_values_of_the_file(checkpoints: tuple[Path, Path], cache: Path) -> None:
    state = make(TINY, 0.7)
    checkpoint = Checkpoint.open(checkpoints[0], TINY)
    unet = checkpoint.load("unet", CPU, torch.float32).state_dict()
    assert torch.equal(unet["out.2.weight"], state["model.diffusion_model.out.2.weight"].float())
    assert set(unet) == {k.removeprefix("model.diffusion_model.") for k in state if "diffusion_model" in k}
    vae = checkpoint.load("vae", CPU, torch.float32).state_dict()
    key = "first_stage_model.decoder.up.0.block.1.conv2.weight"
    assert torch.equal(vae["decoder.up_blocks.3.resnets.1.conv2.weight"], state[key].float())
    for module in ("text", "image", "resampler"):
        network = checkpoint.load(module, CPU, torch.bfloat16)
        assert all(p.dtype is torch.bfloat16 and not p.is_meta for p in network.parameters())
        assert not any(b.is_meta for b in network.buffers())


def test_deepspeed_and_lightning_packings_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    opened = [
        Checkpoint.open(write(tmp_path / f"{w}.ckpt", TINY, 0.3, wrap=w), TINY) for w in ("lightning", "deepspeed")
    ]
    a, b = (c.load("unet", CPU, torch.float32).state_dict() for c in opened)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_files_own_scale_overrules_the_configuration(checkpoints: tuple[Path, Path], cache: Path) -> None:
    schedule = Checkpoint.open(checkpoints[1], TINY).noise_schedule(base_scale=0.9)
    assert schedule.scale[999] == pytest.approx(0.3)


def test_dynamicrafter_key_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    state = {k.replace("fps_embedding", "framestride_embed"): v for k, v in make(TINY, 0.7).items()}
    assert any("framestride_embed" in k for k in state)
    torch.save({"state_dict": state}, tmp_path / "model.ckpt")
    assert (
        "fps_embedding.0.weight"
        in Checkpoint.open(tmp_path / "model.ckpt", TINY).load("unet", CPU, torch.float32).state_dict()
    )


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_wrong_files_are_named_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("HOLOTIME_CACHE", str(cache))
    good = make(TINY, 0.7)
    whole = write(tmp_path / "whole.ckpt", TINY, 0.7).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "text.ckpt").write_text("<html>not found</html>")
    (tmp_path / "evil4.ckpt").write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=4))
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    torch.save({"state_dict": {**good, "extra": Evil()}}, tmp_path / "evil2.ckpt")
    torch.save({"state_dict": {k: v for k, v in good.items() if "embedder" not in k}}, tmp_path / "part.ckpt")
    key = "model.diffusion_model.out.2.weight"
    torch.save({"state_dict": {k: v for k, v in good.items() if k != key}}, tmp_path / "lacks.ckpt")
    torch.save({"state_dict": {**good, key: good[key][:2]}}, tmp_path / "shape.ckpt")
    torch.save({"state_dict": {**good, key: good[key] * float("nan")}}, tmp_path / "nan.ckpt")
    torch.save({"state_dict": {**good, "scale_arr": torch.ones(3)}}, tmp_path / "table.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    for name, words in {
        "cut.ckpt": "cut short",
        "empty.ckpt": "empty",
        "text.ckpt": "cannot be read",
        "evil.ckpt": "print",
        "evil2.ckpt": "print",
        "evil4.ckpt": "cannot be read",
        "part.ckpt": "embedder.model.",
        "lacks.ckpt": "lacks out.2.weight",
        "shape.ckpt": r"out.2.weight is \[2",
        "nan.ckpt": "out.2.weight holds values",
        "table.ckpt": "scale_arr",
        "list.ckpt": "not a dictionary",
        "absent.ckpt": "does not exist",
    }.items():
        path = tmp_path / name
        if name == "absent.ckpt":
            from holotime.weights.safe import read_tensors

            with pytest.raises(InputError, match=words):
                read_tensors(path)
            continue
        with pytest.raises(InputError, match=words):
            Checkpoint.open(path, TINY)
    assert not any(p for p in cache.rglob("*") if p.is_file())
    assert "must not run" not in capsys.readouterr().out


def test_another_configuration_is_refused(checkpoints: tuple[Path, Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path))
    other = replace(TINY, unet=replace(TINY.unet, model_channels=64))
    with pytest.raises(InputError, match=r"unet network (has misshapen|lacks)"):
        Checkpoint.open(checkpoints[0], other)
