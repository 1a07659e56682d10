"""The add-on in a real Blender window, clicked through by simulated events."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.gui

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "blender"))


@pytest.fixture
def panorama(tmp_path: Path) -> Path:
    """A small lagoon."""
    image = cv2.imread(str(ROOT / "presets" / "samples" / "lagoon.jpg"))
    path = tmp_path / "panorama.png"
    cv2.imwrite(str(path), cv2.resize(image, (512, 256), interpolation=cv2.INTER_AREA))
    return path


def test_the_whole_job_by_clicks(run, connection_file, panorama):
    """Every panel is photographed, also while the job runs; the pump stays within its time."""
    notes = run("job", {"connection.json": connection_file, "panorama.png": panorama})
    print(json.dumps({k: v for k, v in notes.items() if k.startswith("pump")}))
    for name in ("connected", "running", "imported", "video"):
        assert cv2.imread(str(notes["pictures"][name])).std() > 5, name
    assert notes["video_bytes"] > 1000
    assert notes["pump_ms_running"]["count"] > 10


STATES = {
    "idle": ("world", "motion", "generate"),
    "models": ("world", "motion"),
    "running": ("generate",),
    "done": ("generate", "scene", "cameras", "render"),
    "refused": ("render",),
}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_panel_is_photographed(run, connection_file, panorama, theme):
    """Each panel unfolded, before, while and after a job, and the preferences; none is empty or in the wrong theme."""
    files = {"connection.json": connection_file, "panorama.png": panorama}
    notes = run("album", files, theme=theme, width=512, frames=12)
    pictures = {f"{name}_{state}_{theme}" for state, names in STATES.items() for name in names}
    pictures |= {f"preferences_own_{theme}", f"preferences_other_{theme}"}
    assert pictures <= set(notes["pictures"])
    for name in pictures:
        picture = cv2.imread(str(notes["pictures"][name]))
        assert picture.std() > 8, name
        assert min(picture.shape[:2]) > 100, name
        assert (np.median(picture) > 128) == (theme == "light"), name


def test_the_view_shows_what_the_panorama_shows(run, tmp_path):
    """Splats and the panorama behind everything have the picture's own colours, and a cube hides and is hidden."""
    import scenes

    image = scenes.ramps(256)
    panorama = tmp_path / "panorama.png"
    cv2.imwrite(str(panorama), np.uint8(np.round(255 * image[..., ::-1])))
    scene = scenes.write_scene(tmp_path / "scene.safetensors", scenes.panorama_scene(scenes.ramps(64), distance=6.0))
    notes = run("views", {"scene.safetensors": scene, "panorama.png": panorama}, screen="900x640")
    want = perspective(image, *notes["window"], notes["focal"])
    inner = np.s_[notes["top"] : notes["bottom"], notes["left"] : notes["middle"]]  # free of overlays and the cube
    for name in ("view_splats", "view_panorama"):
        shown = cv2.imread(str(notes["pictures"][name]))[..., ::-1] / 255
        shown = shown[-notes["window"][1] - notes["lowest"] : len(shown) - notes["lowest"], : notes["window"][0]]
        error = np.sqrt(np.mean((shown[inner] - want[inner]) ** 2))
        assert error < 0.06, f"{name}: {error:.3f}"
    assert notes["cube_seen"] > 0.05
    assert notes["cube_hidden"] < 0.2 * notes["cube_seen"]


def perspective(image: np.ndarray, width: int, height: int, focal: float) -> np.ndarray:
    """[height, width, 3] of a panorama seen straight ahead, ``focal`` in pixels."""
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    lam, phi = np.arctan2(x, focal), np.arctan2(-y, np.hypot(x, focal))
    rows = (0.5 - phi / np.pi) * image.shape[0] - 0.5
    columns = (lam / (2 * np.pi) + 0.5) * image.shape[1] - 0.5
    return cv2.remap(image, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
