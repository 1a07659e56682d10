"""Pipelines in the layout of diffusers: found, looked into, planned for the memory."""

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holotime.errors import BackendUnavailable, InputError, OutOfMemory
from holotime.models import Plan, check_packages, explained, find_pipeline, make_plan, pick_device, plan
from holotime.models.device import GIB, host_memory

WEIGHTS = {"text_encoder": 11 * GIB, "transformer": 28 * GIB, "vae": GIB // 2}
CUDA = torch.device("cuda")


def pipeline(
    folder: Path, cls: str = "SomePipeline", *, name: str = "model.safetensors", own: str = "diffusers"
) -> Path:
    """A folder with two parts, one of which has weights of 6 and 4 numbers."""
    index = {"_class_name": cls, "net": [own, "Net"], "tokenizer": ["transformers", "Tok"], "gone": [None, None]}
    (folder / "net").mkdir(parents=True)
    (folder / "tokenizer").mkdir()
    (folder / "model_index.json").write_text(json.dumps(index | {"extra": 3}))
    (folder / "tokenizer" / "words.json").write_text("{}")
    header = {"a": {"dtype": "F32", "shape": [2, 3]}, "b": {"dtype": "F32", "shape": [4]}, "__metadata__": {}}
    text = json.dumps(header).encode()
    (folder / "net" / name).write_bytes(struct.pack("<Q", len(text)) + text + bytes(40))
    (folder / "net" / "config.json").write_text('{"wide": 5}')
    return folder


def test_a_folder_is_found_and_looked_into(tmp_path: Path) -> None:
    found = find_pipeline(str(pipeline(tmp_path)), {"SomePipeline"}, "tests")
    assert found.parts == {"net": "Net", "tokenizer": "Tok"}
    assert found.config("net") == {"wide": 5}
    assert found.index() == {"extra": 3, "gone": [None, None]}
    assert found.part_bytes(torch.float16) == {"net": 20}
    assert found.part_bytes({"default": torch.float16, "net": torch.float32}) == {"net": 40}
    assert found.variant is None
    stamp = found.fingerprint()
    weights = tmp_path / "net" / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")
    assert found.fingerprint() != stamp


def test_half_precision_files_alone_are_a_variant(tmp_path: Path) -> None:
    found = find_pipeline(str(pipeline(tmp_path, name="model.fp16.safetensors")), {"SomePipeline"}, "tests")
    assert found.variant == "fp16"
    assert found.part_bytes(torch.float16) == {"net": 20}


def test_what_is_no_pipeline_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)

    def refused(name: object, words: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=words):
            find_pipeline(str(name), {"SomePipeline"}, "tests")

    refused(pipeline(tmp_path / "a", "OtherPipeline"), "is a OtherPipeline, which cannot be used for tests")
    refused(pipeline(tmp_path / "b", own="my.module"), "code of its own for net")
    refused(pipeline(tmp_path / "c", name="model.bin"), "may run code")
    (pipeline(tmp_path / "d") / "model_index.json").write_text("{")
    refused(tmp_path / "d", "not a whole pipeline: it lacks model_index.json")
    (tmp_path / "e.safetensors").write_bytes(b"x")
    refused(tmp_path / "e.safetensors", "single file")
    refused("", "No model is named")
    refused("wan2.1-i2w", "Did you mean wan2.1-i2v")
    refused("Lightricks/LTX-Vidio", "did you mean Lightricks/LTX-Video", BackendUnavailable)
    refused("nobody/nothing", r"holotime weights get nobody/nothing", BackendUnavailable)
    bad = pipeline(tmp_path / "f")
    (bad / "net" / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        find_pipeline(str(bad), {"SomePipeline"}, "tests").part_bytes(torch.float32)


@pytest.mark.parametrize(
    ("free", "residency"), [(80, "resident"), (40, "offload"), (20, "quantised"), (10, "sequential"), (6, "sequential")]
)
def test_the_fastest_plan_that_fits(free: int, residency: str) -> None:
    made = make_plan(WEIGHTS, (4 * GIB, 2 * GIB), CUDA, free=free * GIB)
    assert made.residency == residency
    assert made.estimate <= free * GIB
    assert f"of {free}.00 GiB (auto)" in made.reason
    if residency != "resident":
        assert " s" in made.reason, "says what it costs"


@given(
    free=st.integers(0, 100),
    mode=st.sampled_from(["auto", "low", "high"]),
    exact=st.booleans(),
    device=st.sampled_from(["cuda", "cpu"]),
)
def test_a_plan_fits_or_none_is_made(free: int, mode: str, exact: bool, device: str) -> None:
    budget = min(free, 8) if mode == "low" else free
    try:
        made = make_plan(WEIGHTS, (4 * GIB, 2 * GIB), torch.device(device), mode=mode, exact=exact, free=free * GIB)  # type: ignore[arg-type]
    except OutOfMemory:
        assert mode != "high"
        return
    assert mode == "high" or made.estimate <= budget * GIB
    assert not (exact and made.residency == "quantised")
    assert made.small or mode != "low"
    assert device == "cuda" or made.residency == "resident", "a CPU has nowhere to put anything off to"


def test_none_fits_and_it_says_what_would() -> None:
    with pytest.raises(OutOfMemory, match=r"smallest plan needs about 3\.\d GiB .* no plan fits"):
        make_plan(WEIGHTS, (4 * GIB, 2 * GIB), CUDA, free=3 * GIB)
    with pytest.raises(OutOfMemory, match=r"about 41\.5 GiB .* a GPU"):
        make_plan(WEIGHTS, (4 * GIB, 2 * GIB), torch.device("cpu"), free=20 * GIB)


def test_low_says_when_auto_would_fit() -> None:
    with pytest.raises(OutOfMemory, match=r"the plan low: no plan fits\. The plan auto would fit: every part"):
        make_plan(WEIGHTS, (4 * GIB, 2 * GIB), torch.device("cpu"), mode="low", free=80 * GIB)


def test_errors_of_memory_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Plan("offload", CUDA, False, 3 * GIB, "")
    with pytest.raises(OutOfMemory, match=r"about 3\.0 GiB were expected"), explained("x", made):
        raise torch.OutOfMemoryError("CUDA out of memory")

    def absent(name: str) -> None:
        raise BackendUnavailable(f"This needs the package {name}")

    monkeypatch.setattr(plan, "require", absent)
    with pytest.raises(BackendUnavailable, match=r"plan 'offload' cannot be carried out.*accelerate"):
        check_packages(made)
    check_packages(Plan("sequential", CUDA, False, 0, ""))


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="cannot be used"):
        pick_device("warp")
    assert host_memory() > 0
