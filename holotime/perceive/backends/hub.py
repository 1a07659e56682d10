"""Models by hub id or folder: depth estimation of transformers, and Marigold of diffusers."""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holotime.errors import BackendUnavailable
from holotime.perceive.observe import Kind

BATCH = 4  # views at once


def weights_digest(modules: Iterable[nn.Module], *more: object) -> str:
    """sha256 in hex of all parameters and buffers, and of whatever else changes the output."""
    digest = hashlib.sha256(repr(more).encode())
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _unavailable(library: str, model: str, error: Exception) -> BackendUnavailable:
    """The error of a model that does not load, in one line."""
    if isinstance(error, ImportError):
        text = f"The backend {library}:{model} needs a package that is missing ({error.name or error})."
        return BackendUnavailable(f"{text} Install holotime with its extra 'diffusion'.")
    reason = " ".join(str(error).split())[:200]
    return BackendUnavailable(
        f"The model {library}:{model} cannot be loaded ({type(error).__name__}: {reason}). Check the id; offline, give "
        "a folder that holds it."
    )


class TransformersDepth:
    """A depth-estimation model of transformers (Depth Anything, DPT, ZoeDepth, Depth Pro ...)."""

    def __init__(self, model: str, *, kind: Kind | None = None, device: str = "cpu") -> None:
        try:
            from transformers import AutoImageProcessor, AutoModelForDepthEstimation

            # The plain processor: the fast one needs torchvision, which drags another torch along.
            self.processor: Any = AutoImageProcessor.from_pretrained(model, use_fast=False)
            self.model: Any = AutoModelForDepthEstimation.from_pretrained(model)
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise _unavailable("transformers", model, error) from error
        config = self.model.config
        self.name = f"transformers:{model}"
        self.kind: Kind = kind or _kind_of(config)
        self.digest = weights_digest([self.model], "transformers", self.kind, self.processor.to_json_string())
        self.device = device
        self.model.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, frame: int) -> Tensor:
        """See :class:`holotime.perceive.backends.Predictor`."""
        out = []
        for part in pictures.split(BATCH):
            images = [p.permute(1, 2, 0).mul(255).round().byte().cpu().numpy() for p in part]
            inputs = self.processor(images=images, return_tensors="pt").to(self.device)
            found = self.model(**inputs).predicted_depth.float()
            size = pictures.shape[-2:]
            out.append(F.interpolate(found[:, None], size, mode="bilinear", align_corners=False)[:, 0])
        return torch.cat(out)


def _kind_of(config: Any) -> Kind:
    """Relative models of transformers give inverse depth, metric ones depth."""
    metric_kinds = ("zoedepth", "depth_pro", "glpn", "prompt_depth_anything")
    metric = getattr(config, "depth_estimation_type", "") == "metric" or config.model_type in metric_kinds
    return "depth" if metric else "disparity"


class MarigoldDepth:
    """A Marigold depth pipeline of diffusers (Ke et al. 2024). Seeded: one picture always gives one depth."""

    STEPS = 4  # denoising steps if the pipeline names no number; enough for the distilled and the trailing schedules

    def __init__(self, model: str, *, kind: Kind | None = None, device: str = "cpu") -> None:
        try:
            from diffusers import MarigoldDepthPipeline

            half = device != "cpu"
            self.pipeline: Any = MarigoldDepthPipeline.from_pretrained(
                model,
                torch_dtype=torch.float16 if half else torch.float32,
                use_safetensors=True,
                low_cpu_mem_usage=False,  # its other way needs the package accelerate
            )
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise _unavailable("marigold", model, error) from error
        self.pipeline.set_progress_bar_config(disable=True)
        config = self.pipeline.config
        self.steps = config.get("default_denoising_steps") or self.STEPS
        self.resolution = config.get("default_processing_resolution") or 768
        says = config.get("prediction_type")
        self.name = f"marigold:{model}"
        self.kind: Kind = kind or ("disparity" if says == "disparity" else "depth")
        parts = (self.pipeline.unet, self.pipeline.vae, self.pipeline.text_encoder)
        self.digest = weights_digest(parts, "marigold", self.kind, self.steps, self.resolution)
        self.device = device
        self.pipeline.to(device)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, frame: int) -> Tensor:
        """See :class:`holotime.perceive.backends.Predictor`."""
        out = []
        for part in pictures.split(BATCH):
            # The same noise for every view and frame, so that what does not change in the picture does not flicker.
            generators = [torch.Generator("cpu").manual_seed(0) for _ in part]
            found = self.pipeline(
                part.to(self.device, self.pipeline.dtype),
                num_inference_steps=self.steps,
                processing_resolution=self.resolution,
                batch_size=len(part),
                generator=generators,
                output_type="pt",
            )
            out.append(found.prediction[:, 0].float().to(pictures.device))
        return torch.cat(out)
