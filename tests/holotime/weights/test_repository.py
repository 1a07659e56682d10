"""Models of many files, through the hub's own client against a small hub on this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from holotime import weights
from holotime.errors import BackendUnavailable, Cancelled, InputError
from holotime.weights import registry, repository, store

COMMIT = "0" * 40
PART = save({"a": torch.ones(4)})
FILES = {
    "model_index.json": json.dumps(
        {"_class_name": "Toy", "unet": ["diffusers", "UNet"], "extra": [None, None]}
    ).encode(),
    "unet/config.json": b"{}",
    "unet/w.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "w-1.safetensors", "b": "w-2.safetensors"}}
    ).encode(),
    "unet/w-1.safetensors": PART,
    "unet/w-2.safetensors": PART,
    "unet/w.fp16.safetensors": b"not wanted",
    "whole.safetensors": b"not wanted either",
    "README.md": b"hello",
}


class Hub(BaseHTTPRequestHandler):
    """The few addresses that a snapshot needs."""

    gated = False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if "/missing" in self.path:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if self.gated:
            return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if "/tree/" in self.path:
            tree = [{"type": "file", "path": n, "size": len(c), "oid": "x"} for n, c in FILES.items()]
            return self.answer(200, json.dumps(tree).encode(), {})
        if self.path.startswith("/api/models/"):
            listed = [{"rfilename": n, "size": len(c), "blobId": "x"} for n, c in FILES.items()]
            about = {"id": "toys/pipe", "modelId": "toys/pipe", "sha": COMMIT, "siblings": listed, "tags": []}
            return self.answer(200, json.dumps(about).encode(), {})
        content = FILES.get(self.path.split(f"/resolve/{COMMIT}/")[-1])
        if content is None:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        digest = hashlib.sha256(content).hexdigest()
        return self.answer(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})

    def answer(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registered model "toy" on a hub of our own; its id."""
    pytest.importorskip("huggingface_hub")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{http.server_port}")
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HOLOTIME_WEIGHTS", raising=False)
    monkeypatch.setattr(Hub, "gated", False)
    toy = registry.Model("toy", "a toy", "toys/pipe", "MIT", (), 0.001, True, repository="toys/pipe", gated=True)
    monkeypatch.setitem(registry.MODELS, "toy", toy)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield "toys/pipe"
    http.shutdown()
    http.server_close()
    thread.join()


def test_fetched_found_checked_removed(hub: str) -> None:
    told: list[tuple[float, str]] = []
    (folder,) = weights.get("toy", lambda fraction, note="": told.append((fraction, note)))
    assert folder == store.models_dir() / "toys" / "pipe"
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "model_index.json",
        "unet/config.json",
        "unet/w.safetensors.index.json",
        "unet/w-1.safetensors",
        "unet/w-2.safetensors",
    }, "no second copy of the weights in another form"
    assert told[-1][0] == 1.0
    assert weights.locate("toy") == weights.locate(hub) == folder
    assert weights.verify("toy")["unet/w-1.safetensors"].startswith("1 tensors")
    (folder / "unet" / "w-2.safetensors").write_bytes(PART[:-5])
    with pytest.raises(InputError, match="damaged"):
        weights.verify("toy")
    assert weights.remove("toy") > 100
    assert not weights.status("toy").present


def test_an_incomplete_folder_is_not_taken_for_the_model(hub: str) -> None:
    (folder,) = weights.get("toy")
    (folder / "unet" / "w-2.safetensors").unlink()
    assert repository.lacking(folder) == ["unet/w-2.safetensors"]
    with pytest.raises(BackendUnavailable, match=r"lacks unet/w-2\.safetensors.*weights get toy.*accepted on its page"):
        weights.locate("toy")
    assert weights.get("toy") == [folder]
    assert weights.locate("toy") == folder


def test_a_folder_filled_by_hand_or_by_another_program(hub: str, tmp_path: Path, monkeypatch) -> None:
    def fill(folder: Path) -> Path:
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    cached = tmp_path / "hub" / "hub" / "models--toys--pipe"
    fill(cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    assert weights.locate("toy") == cached / "snapshots" / COMMIT
    own = fill(tmp_path / "own" / "toys" / "pipe")
    monkeypatch.setenv("HOLOTIME_WEIGHTS", str(tmp_path / "own"))
    assert weights.locate("toy") == own
    assert weights.locate(str(own)) == own


def test_without_network_the_id_and_the_folder_are_named(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.models_dir() / "toys" / "pipe"
    with pytest.raises(BackendUnavailable) as told:
        weights.locate("toy")
    assert hub in str(told.value)
    assert str(folder) in str(told.value)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BackendUnavailable, match="Without network: copy the files of toys/pipe") as told:
        weights.get("toy")
    assert str(folder) in str(told.value)
    with pytest.raises(BackendUnavailable, match="copy the files of the repository other/model"):
        weights.locate("other/model")
    with pytest.raises(InputError, match="neither a file nor a known model"):
        weights.locate("weights/mine.pth")


def test_gated_missing_and_too_large_models_say_what_to_do(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "gated", True)
    with pytest.raises(BackendUnavailable, match=r"accept its licence.*HF_TOKEN"):
        weights.get("toy")
    monkeypatch.setattr(Hub, "gated", False)
    with pytest.raises(BackendUnavailable, match="no repository toys/missing"):
        weights.get("toys/missing")
    usage = store.shutil.disk_usage("/")
    monkeypatch.setattr(repository.shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(InputError, match="Make room"):
        weights.get("toy")


def test_a_fetch_can_be_cancelled(hub: str) -> None:
    def stop(fraction: float, note: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        weights.get("toy", stop)


def test_licences() -> None:
    assert weights.licence_note("rife-4.6") == "rife-4.6: licence MIT, commercial use allowed"
    assert "no commercial use" in weights.licence_note("black-forest-labs/FLUX.1-dev")
    assert weights.licence_entry("jbilcke-hf/flux-dev-panorama-lora-2")["commercial_use"] is False
    unknown = weights.licence_entry("/home/artist/my_lora.safetensors", "panorama")
    assert (unknown["name"], unknown["commercial_use"], unknown["stage"]) == ("my_lora.safetensors", None, "panorama")
    assert weights.licence_entry("some/model")["name"] == "some/model"
