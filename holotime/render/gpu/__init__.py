"""The rasterizer on a CUDA device: the footprints of project.py, drawn with Triton."""

from functools import lru_cache
from importlib.util import find_spec

LEAST_CAPABILITY = (7, 0)  # CUDA compute capability that Triton supports


@lru_cache(maxsize=1)
def why_not() -> str | None:
    """Why this machine cannot render on a GPU, in words; None where it can."""
    import torch

    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if find_spec("triton") is None:
        return "Triton is not installed"
    if torch.cuda.get_device_capability() < LEAST_CAPABILITY:
        return f"{torch.cuda.get_device_name()} is too old for Triton"
    return None
