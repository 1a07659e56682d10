"""Fetching, finding, checking and removing model files, against a real server on this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from holotime import weights
from holotime.errors import BackendUnavailable, InputError
from holotime.weights import registry, store
from holotime.weights.cli import register
from holotime.weights.download import download, resolve


class Server(BaseHTTPRequestHandler):
    """Serves one file; understands Range; can break off."""

    content = b""
    break_after: int | None = None
    ranges: list[str | None] = []  # noqa: RUF012 - reset by the fixture

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        if start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        end = len(self.content) if self.break_after is None else self.break_after
        self.wfile.write(self.content[start:end])

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HOLOTIME_WEIGHTS", raising=False)
    torch.save({"params": {"a": torch.ones(1000)}}, tmp_path / "served")
    Server.content, Server.break_after, Server.ranges = (tmp_path / "served").read_bytes(), None, []
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def model(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    file = registry.ModelFile("toy.pth", f"{server}/toy.pth", hashlib.sha256(Server.content).hexdigest())
    toy = registry.Model("toy", "a toy", "nobody", "CC0", (file,), 0.001)
    monkeypatch.setitem(registry.MODELS, "toy", toy)
    return "toy"


def test_get_verify_remove(model: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"weights get toy.*toy.pth"):
        weights.locate(model)
    fractions: list[float] = []
    (path,) = weights.get(model, lambda f, note="": fractions.append(f))
    assert path.read_bytes() == Server.content
    assert fractions[-1] == 1.0
    assert weights.locate(model) == path
    said = weights.verify(model)["toy.pth"]
    assert "as published" in said
    assert " tensors" in said
    assert weights.get(model) == [path]
    assert len(Server.ranges) == 1  # the second call fetched nothing
    path.write_bytes(Server.content[:-1])
    with pytest.raises(InputError, match="damaged"):
        weights.verify(model)
    assert weights.remove(model) > 0
    assert not weights.status(model).present


def test_a_broken_download_goes_on(model: str) -> None:
    Server.break_after = 1000
    with pytest.raises(BackendUnavailable, match="put it here"):
        weights.get(model)
    assert not weights.status(model).present
    Server.break_after = None
    weights.get(model)
    assert Server.ranges == [None, "bytes=1000-"]
    assert weights.locate(model).read_bytes() == Server.content


def test_wrong_content_is_deleted(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the expected file"):
        download(f"{server}/toy", tmp_path / "toy", sha256="0" * 64)
    assert not list(tmp_path.glob("toy*"))


def test_unreachable_sources_say_what_to_do(server: str, tmp_path: Path) -> None:
    for url in (f"{server}/missing", "http://127.0.0.1:9/nothing"):
        with pytest.raises(BackendUnavailable, match=r"put it here: .*thing\.bin"):
            download(url, tmp_path / "thing.bin")


def test_a_full_disk_is_noticed_first(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = store.shutil.disk_usage("/")
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(InputError, match="Make room"):
        weights.get(model)
    assert not Server.ranges


def test_own_folders_and_paths(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "toy.pth").write_bytes(Server.content)
    monkeypatch.setenv("HOLOTIME_WEIGHTS", str(own))
    assert weights.locate(model) == own / "toy.pth"
    weights.remove(model)
    assert (own / "toy.pth").is_file()  # the user's own files are not touched
    assert weights.locate(str(own / "toy.pth")) == own / "toy.pth"
    with pytest.raises(InputError, match="neither a file nor a known model"):
        weights.locate("holotime-guidence")
    with pytest.raises(InputError, match="no model called"):
        weights.status("nothing")
    with pytest.raises(InputError, match="Did you mean realesrgan-x"):
        weights.locate("realesrgan-2plus")


def test_registry_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example/")
    for name, model in weights.MODELS.items():
        assert name == model.name
        assert bool(model.files) != bool(model.repository), "single files, or a repository"
        assert model.licence
        assert model.commercial_use is not None or model.terms, "what is not plain is explained"
        assert model.approximate_gb > 0
        for file in model.files:
            if file.url.startswith("wheel:"):
                assert file.sha256, "what is taken out of a package is known to the byte"
            else:
                assert resolve(file.url).startswith("http")
    assert resolve("hub:a/b/c.ckpt") == "http://mirror.example/a/b/resolve/main/c.ckpt"


def test_commands(model: str) -> None:
    app = typer.Typer()
    register(app)
    runner = CliRunner()
    listed = runner.invoke(app, ["weights", "list", "--json"])
    assert listed.exit_code == 0, listed.output
    said = json.loads(listed.stdout)
    assert said["toy"] | {"here": False, "licence": "CC0", "commercial_use": None} == said["toy"]
    assert said["flux-dev"]["commercial_use"] is False
    assert said["realesrgan-x2plus"]["commercial_use"] is True
    assert "holotime-refinement" in said
    plain = runner.invoke(app, ["weights", "list"]).output
    assert "CC0: commercial use: see the terms" in plain
    assert "MIT: commercial use allowed" in plain
    assert "no commercial use" in plain
    assert runner.invoke(app, ["weights", "get", model]).exit_code == 0
    assert "as published" in runner.invoke(app, ["weights", "verify", model]).output
    assert json.loads(runner.invoke(app, ["weights", "remove", model, "--json"]).stdout)["freed_bytes"] > 1000
    assert isinstance(runner.invoke(app, ["weights", "get", "nothing"]).exception, InputError)
