"""Tiny random checkpoints in the published format, written once a session."""

import os
from pathlib import Path

import pytest

if os.environ.get("CI") == "true":
    import diffusers  # noqa: F401 - in CI the optional packages must be there
    import transformers  # noqa: F401
else:
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")

from holotime.animate.diffusion import AnimatorConfig, StageConfig
from holotime.animate.diffusion.random_checkpoint import TINY, write


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For every test here."""


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(guidance, refinement): one packed as by Lightning, one as by DeepSpeed."""
    folder = tmp_path_factory.mktemp("checkpoints")
    guidance = write(folder / "tiny_guidance.ckpt", TINY, 0.7)
    refinement = write(folder / "tiny_refinement.ckpt", TINY, 0.3, wrap="deepspeed", seed=1)
    return guidance, refinement


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests that only read from it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The session's cache as the library's."""
    monkeypatch.setenv("HOLOTIME_CACHE", str(shared_cache))
    return shared_cache


@pytest.fixture
def config(checkpoints: tuple[Path, Path], cache: Path) -> AnimatorConfig:
    """Both stages, small and short."""
    guidance, refinement = (str(p) for p in checkpoints)
    return AnimatorConfig(
        prompt="the waterfall runs",
        frames=3,
        steps=4,
        strength=0.75,
        device="cpu",
        model=TINY,
        guidance=StageConfig(guidance, 64, 128, 0.7, window=3, overlap=1),
        refinement=StageConfig(refinement, 128, 256, 0.3, window=3, overlap=1),
    )
