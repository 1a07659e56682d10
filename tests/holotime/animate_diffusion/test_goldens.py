"""The recorded numbers of the published animator."""

import importlib.util
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
SHARED = TESTS.parents[1] / "shared" / "reference" / "goldens"
PREFIXES = ("unet_io", "resampler_io", "vae_io", "clip_preprocess", "ddim_")


def _check_goldens():
    spec = importlib.util.spec_from_file_location("check_goldens", TESTS / "check_goldens.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _files() -> list:
    own = {p.name: p for p in sorted((TESTS / "goldens").glob("*.safetensors"))}
    more = {p.name: p for p in sorted(SHARED.glob("*.safetensors")) if p.name not in own}
    files = [p for p in [*own.values(), *more.values()] if p.name.startswith(PREFIXES)]
    return [pytest.param(p, id=f"{p.parent.name}-{p.stem}") for p in files]


@pytest.mark.parametrize("path", _files())
def test_golden(path: Path) -> None:
    records = list(_check_goldens().cases(path.parent, f"{path.stem}."))
    assert records
    failed = [r for r in records if not r["ok"]]
    assert not failed, failed


def test_a_wrong_number_fails(tmp_path: Path) -> None:
    """The checks are able to fail: a changed weight is noticed, and so is a missing partner."""
    import torch
    from safetensors.torch import load_file, save_file

    goldens = TESTS / "goldens"
    io = load_file(goldens / "resampler_io.safetensors")
    save_file({**io, "x": io["x"] + 0.01}, tmp_path / "resampler_io.safetensors")
    with pytest.raises(FileNotFoundError, match="resampler_weights"):
        list(_check_goldens().cases(tmp_path))
    (tmp_path / "resampler_weights_fp16.safetensors").write_bytes(
        (goldens / "resampler_weights_fp16.safetensors").read_bytes()
    )
    records = list(_check_goldens().cases(tmp_path))
    assert [r["ok"] for r in records] == [False]
    assert not torch.isnan(torch.tensor(records[0]["max_abs_error"]))
