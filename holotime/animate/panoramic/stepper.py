"""Drives a pipeline's own sampling loop: looks through the window, saves, goes on, shows and can be cancelled.

The loops of diffusers' pipelines stay what they are. Three of their calls are replaced while one runs: the denoiser's
forward (seen through a window, see window.py), the scheduler's step (whose clean estimate makes the previews) and the
autoencoder's ``encode`` and ``decode`` (circular). To go on at step k, the first k steps are run through without the
denoiser and the scheduler, and at the last of them the latent, the scheduler's memory and the random numbers are put
back as they were.
"""

import inspect
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from holotime.animate.panoramic.family import Family, Size
from holotime.animate.panoramic.patch import replaced
from holotime.animate.panoramic.state import RunState, Saved, pack, unpack
from holotime.models.circular import CircularColumns
from holotime.progress import Progress

PREVIEW_WIDTH = 512  # pixels at most
# What a scheduler's step may return besides the next sample, and needs again in the next step.
SECOND = "old_pred_original_sample"


class Stepper:
    """One window's sampling of one pipeline."""

    def __init__(
        self,
        pipeline: Any,
        family: Family,
        size: Size,
        generator: torch.Generator,
        *,
        window: int,
        saved: Saved | None,
        state: RunState | None,
        progress: Progress,
        preview: Callable[[NDArray[np.uint8]], None] | None,
        preview_every: int,
    ) -> None:
        self.pipeline, self.family, self.size, self.generator = pipeline, family, size, generator
        self.number, self.saved, self.state = window, saved, state
        self.progress, self.preview, self.preview_every = progress, preview, preview_every
        self.done = 0  # steps, those of an earlier run included
        self.first = saved.next if saved else 0
        self.second: Tensor | None = None
        self.clean: Tensor | None = None  # latest estimate of the clean latent, as the scheduler holds it
        self.note = "encoding"
        self.seconds: list[float] = []
        self.clock = time.perf_counter()
        self._scheduler_step: Callable[..., Any] = pipeline.scheduler.step
        self._signature = inspect.signature(pipeline.scheduler.step)

    @property
    def total(self) -> int:
        """Steps of the schedule."""
        return len(self.pipeline.scheduler.timesteps)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """The pipeline's calls go through this object while the block runs."""
        with ExitStack() as stack:
            for name in self.family.denoisers:
                network = getattr(self.pipeline, name, None)
                if network is not None:
                    stack.enter_context(replaced(network, "forward", self._denoiser(network.forward)))
            scheduler, vae = self.pipeline.scheduler, self.pipeline.vae
            stack.enter_context(replaced(scheduler, "step", self._step))
            for name in ("encode", "decode"):
                stack.enter_context(replaced(vae, name, self._circular(getattr(vae, name))))
            for name in ("encoder", "decoder"):  # called once a few frames, so that a cancel is noticed there
                part = getattr(vae, name, None)
                if part is not None:
                    stack.callback(part.register_forward_pre_hook(lambda *_: self._still_wanted()).remove)
            yield

    def after_step(self, pipeline: Any, number: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        """The pipeline's ``callback_on_step_end``."""
        self.done = number + 1
        if self.done < self.first:
            return values
        if self.saved is not None and self.done == self.first:
            self._put_back(values["latents"])
            return {"latents": self.saved.tensors["latents"].to(values["latents"].device)}
        now = time.perf_counter()
        self.seconds.append(now - self.clock)
        self.clock = now
        left = statistics.median(self.seconds[-5:]) * (self.total - self.done)
        self.note = f"{self.family.animator} step {self.done}/{self.total}, {left:.0f} s left in this stage"
        if self.state:
            self._save(values["latents"])
        if self.preview and self.clean is not None and self._shows():
            self.preview(self._picture(self.clean))
        self._still_wanted()
        return values

    def _still_wanted(self) -> None:
        """Report, which raises Cancelled when the clip is not wanted any more."""
        self.progress(0.9 * self.done / max(self.total, 1) if self.done else 0.0, self.note)

    def _shows(self) -> bool:
        return self.done % self.preview_every == 0 or self.done == self.total

    # What the pipeline calls ------------------------------------------------------------------------------------

    def _denoiser(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def through_window(*args: Any, **kwargs: Any) -> Any:
            if self.done < self.first:
                return self.family.blank(args, kwargs)
            if not self.done:
                self.note = f"{self.family.animator} step 1/{self.total}"
            self._still_wanted()
            window = self.size.window.at_step(self.done, self.family.unit)
            return self.family.denoise(self.pipeline, forward, window, args, kwargs)

        return through_window

    def _circular(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def on_circle(*args: Any, **kwargs: Any) -> Any:
            if self.done == self.total:
                self.note = "decoding"
            self._still_wanted()
            with CircularColumns():
                return call(*args, **kwargs)

        return on_circle

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        given = self._signature.bind(*args, **kwargs).arguments
        sample, output = given["sample"], given["model_output"]
        if self.done < self.first:
            assert self.saved is not None
            second = self.saved.tensors.get("second")
            if given.get("return_dict", True):
                return SimpleNamespace(prev_sample=sample)
            return (sample, sample if second is None else second.to(sample.device))
        scheduler = self.pipeline.scheduler
        index = getattr(scheduler, "step_index", None)
        made = self._scheduler_step(*args, **kwargs)
        self.second = made[1] if SECOND in given else None
        self.clean = clean_estimate(scheduler, output, sample, made, index)
        return made

    # Saving and going on ----------------------------------------------------------------------------------------

    def _save(self, latents: Tensor) -> None:
        assert self.state is not None
        tensors, plain = pack(self.pipeline.scheduler)
        kept = {f"scheduler/{name}": t for name, t in tensors.items()}
        kept |= {"latents": latents, "generator": self.generator.get_state()}
        if self.second is not None:
            kept["second"] = self.second
        self.state.save(Saved(self.number, self.done, kept, plain))

    def _put_back(self, latents: Tensor) -> None:
        assert self.saved is not None
        own = {n.removeprefix("scheduler/"): t for n, t in self.saved.tensors.items() if n.startswith("scheduler/")}
        unpack(self.pipeline.scheduler, own, self.saved.plain, latents.device)
        self.generator.set_state(self.saved.tensors["generator"])
        self.clock = time.perf_counter()

    def _picture(self, clean: Tensor) -> NDArray[np.uint8]:
        """[h, w, 3] sRGB, decoded on the circle."""
        frame = self.family.picture(self.pipeline, clean)[None].float()
        width = min(PREVIEW_WIDTH, frame.shape[-1])
        small = F.interpolate(frame, (width // 2, width), mode="area")[0].clamp(-1, 1)
        return ((small + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


def clean_estimate(scheduler: Any, output: Tensor, sample: Tensor, made: Any, index: int | None) -> Tensor:
    """What the scheduler takes for the clean latent after a step from ``sample`` with the denoiser's ``output``.

    ``made`` is what its step returned, ``index`` its place in the schedule before the step.
    """
    stated = getattr(made, "pred_original_sample", None)
    if stated is None and isinstance(made, tuple) and len(made) > 1 and isinstance(made[1], Tensor):
        stated = made[1]
    if stated is not None:
        return stated
    history = getattr(scheduler, "model_outputs", None)
    if history and isinstance(history[-1], Tensor):  # UniPC, DPM-Solver++: converted to the clean latent
        return history[-1]
    if index is not None and "FlowMatch" in type(scheduler).__name__:
        return sample - scheduler.sigmas[index].to(sample) * output
    return sample
