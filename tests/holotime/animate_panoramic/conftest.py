"""Tiny random pipelines of every family, written once a session in the published layout."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

if os.environ.get("CI") == "true":
    import diffusers  # noqa: F401 - in CI the optional packages must be there
    import transformers  # noqa: F401
else:
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")

from holotime import sphere
from holotime.animate.panoramic import PanoramicConfig
from holotime.animate.panoramic.random_model import BUILDERS, write

WIDTHS = {
    "wan": 64,
    "wan-dense": 64,
    "ltx": 128,
    "cogvideox": 0,
    "cogvideox-1.5": 0,
    "svd": 64,
}  # pixels at which they work


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For every test here."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of the tiny pipeline of a family."""
    folder = tmp_path_factory.mktemp("models")
    return lambda family: folder / family if (folder / family).is_dir() else write(folder / family, family)


@pytest.fixture(scope="session")
def panorama() -> NDArray[np.uint8]:
    """[64, 128, 3] soft random colours without a seam."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 16, 3)).astype(np.uint8)
    return sphere.resize(coarse, 64, 128)


@pytest.fixture
def config(models: Callable[[str], Path]) -> Callable[..., PanoramicConfig]:
    """Settings of a short clip of a family."""

    def made(family: str, **changes: object) -> PanoramicConfig:
        assert family in BUILDERS
        given = {
            "animator": family.split("-")[0],
            "model": str(models(family)),
            "prompt": "waves",
            "frames": 3,
            "steps": 3,
            "width": WIDTHS[family],
            "device": "cpu",
            "preview_every": 2,
        }
        return PanoramicConfig(**(given | changes))  # type: ignore[arg-type]

    return made
