"""What the tests of the training share. ``training`` is no installed package: it is found from the root."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def generator(tmp_path_factory):
    """The generator, compiled for the CPU by this session."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        if os.environ.get("CI") == "true":
            pytest.fail("The generator's tests need g++.")
        pytest.skip("no g++")
    from training.generator import Generator, build

    return Generator("cpu", build("cpu", tmp_path_factory.mktemp("build")))


@pytest.fixture(scope="session")
def every_kind(generator):
    """One small panorama of each kind: {name: Panoramas of one}."""
    return {kind: generator.render([11], 48, samples=1, kind=kind) for kind in generator.kinds}
