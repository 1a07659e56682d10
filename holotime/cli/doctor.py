"""``holotime doctor``: what this machine can do, found by trying."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import typer

from holotime.cli.common import JsonOption, cache_dir, emit

PACKAGES = (
    "torch",
    "numba",
    "numpy",
    "av",
    "opencv-python-headless",
    "gsplat",
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "usd-core",
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(doctor)


def doctor(json: JsonOption = False) -> None:
    """Check versions, memory, GPU, free disk and that the renderer draws on this machine."""
    import numpy as np
    import torch

    from holotime.perceive import perceive_image
    from holotime.render.views import Output, View, renderer
    from holotime.scene4d import ALWAYS, Scene4D

    nothing = {name: np.zeros((1, *tail), np.float32) for name, tail in Scene4D.TENSORS.items()}
    one = Scene4D(**nothing)  # type: ignore[arg-type]  # only tensors are given
    one.means[:], one.quats[:], one.colors[:] = (0, 2, 0), (1, 0, 0, 0), 1
    one.log_scales[:], one.opacity_logits[:], one.t_log_scales[:] = -0.7, 9, ALWAYS
    draws = renderer("auto", one)
    view = View("equirect", (64, 32), output=Output(behind=(0.0, 0.0, 0.0)))
    centre = draws.draw(view, 0.0).color[16, 32].mean()
    network = perceive_image(np.full((64, 128, 3), 128, np.uint8), backend="network")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    result = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "renderer": "draws" if centre > 0.9 else f"wrong: a white splat came out {centre:.2f}",
        "rendering": f"{draws.backend}: {draws.note}",
        "perception": network.backend,
        "cache": str(cache_dir()),
        "free_disk_gb": round(shutil.disk_usage(next(p for p in cache_dir().parents if p.exists())).free / 1e9, 1),
    }
    for package in PACKAGES:
        try:
            result[package] = version(package)
        except PackageNotFoundError:
            result[package] = "not installed"
    emit(json, result)
