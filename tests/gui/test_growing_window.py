"""The growing scene in a real Blender window."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.gui
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_the_scene_grows_in_the_window(run, connection_file, tmp_path):
    """It is seen before it is imported, without a part in the file, and the finished one takes its place."""
    image = cv2.imread(str(ROOT / "presets" / "samples" / "lagoon.jpg"))
    panorama = tmp_path / "panorama.png"
    cv2.imwrite(str(panorama), cv2.resize(image, (256, 128), interpolation=cv2.INTER_AREA))
    files = {"scenarios.py": HERE / "growing.py", "common.py": HERE / "scenarios.py"}
    files |= {"connection.json": connection_file, "panorama.png": panorama}
    notes = run("grow", files, screen="1200x700")
    print(json.dumps(notes["pump_ms"]))
    assert notes["parts"] >= 3
    assert notes["first"] > 0.05
    growing, grown = (cv2.imread(str(notes["pictures"][name])).astype(float) / 255 for name in ("growing", "grown"))
    left = np.s_[100:-60, 60 : growing.shape[1] // 2]  # the view, free of the sidebar
    assert np.sqrt(np.mean((growing[left] - grown[left]) ** 2)) < 0.1, "the same place, only better"
