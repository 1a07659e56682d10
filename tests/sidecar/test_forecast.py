"""Forecasts of renders: pixels are counted as the library draws them, memory goes with a frame and time with all."""

import itertools
import subprocess
import sys

import pytest

from holotime.video.config import RenderConfig
from holotime.video.presets import load_presets
from sidecar.forecast import expect
from sidecar.orders import StageUse
from sidecar.workload import codec_of, frame_megapixels, projection_of, workload

SHAPES = ("perspective", "equirect", "ods", "vr180", "fisheye", "cubemap")
RENDERS = [
    *({"projection": shape, "width": width} for shape, width in itertools.product(SHAPES, (None, 768, 1536))),
    {"projection": "perspective", "width": 640, "height": 640},
    *({"preset": name} for name in load_presets()),
    *({"preset": name, "width": 1024} for name in load_presets()),
    {},
]


@pytest.mark.parametrize("params", RENDERS, ids=str)
def test_pixels_are_those_that_the_library_draws(params: dict) -> None:
    config = RenderConfig(**params)
    width, height = config.size()
    # a perspective picture's height is rounded to an even number
    assert frame_megapixels(params) == pytest.approx(width * height / 1e6, rel=0.01)
    assert projection_of(params) == config.shape()
    assert codec_of(params) == config.encoding()[0]


def test_a_headset_preset_is_forecast_as_large_as_it_is() -> None:
    usual, headset = expect("render", {}, [])["render"], expect("render", {"preset": "quest3"}, [])["render"]
    assert headset.seconds == pytest.approx(usual.seconds * 5760**2 / 1024**2)
    assert headset.memory > usual.memory + 1e9


def test_a_render_learns_from_renders_of_other_projections_by_their_pixels() -> None:
    params = {"projection": "equirect", "width": 2048, "seconds": 2.0, "fps": 12}
    took = StageUse(seconds=24.0, memory=1_400_000_000)
    history = [("a", params, "render", workload("render", params), took)]
    stereo = expect("render", {**params, "projection": "ods"}, history)["render"]
    assert stereo.seconds == pytest.approx(48.0)
    assert stereo.memory == pytest.approx(400e6 + 2 * 1e9, rel=1e-3)


def test_a_longer_render_takes_longer_but_no_more_memory() -> None:
    params = {"preset": "quest3", "seconds": 2.0, "fps": 30}
    history = [("a", params, "render", workload("render", params), StageUse(seconds=100.0, memory=4_000_000_000))]
    longer = expect("render", {**params, "seconds": 20.0}, history)["render"]
    assert longer.seconds == pytest.approx(1000.0)
    assert longer.memory == 4_000_000_000


def test_a_camera_path_gives_the_length() -> None:
    still, turning = workload("render", {"seconds": 2.0}), workload("render", {"camera": "rotate360"})
    assert turning == pytest.approx(6 * still)
    assert workload("render", {"camera": "rotate360", "seconds": 2.0}) == pytest.approx(still)


@pytest.mark.parametrize(
    "params",
    [{"preset": "../../etc"}, {"preset": 7}, {"preset": ["quest3"]}, {"camera": {}}, {"projection": "flat"},
     {"width": -1}, {"width": True}, {"seconds": float("nan")}, {"fps": None}, {"height": "high"}],
)  # fmt: skip
def test_nonsense_is_forecast_as_the_usual(params: dict) -> None:
    assert workload("render", params) == workload("render", {})
    assert expect("render", params, []) == expect("render", {}, [])


def test_the_server_counts_without_loading_the_library() -> None:
    code = (
        "import sys; from sidecar.workload import workload; workload('render', {'preset': 'quest3'});"
        "print([m for m in ('numpy', 'torch', 'numba', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_enhanced_clip_is_more_to_do() -> None:
    plain = workload("generate", {"fps": 12.0})
    assert workload("generate", {"fps": 12.0, "enhance_scale": 2}) == pytest.approx(4 * plain)
    assert workload("generate", {"fps": 12.0, "enhance_scale": 2, "enhance_fps": 30.0}) == pytest.approx(10 * plain)
    assert workload("generate", {"enhance_scale": "big", "enhance_fps": -3}) == workload("generate", {})
