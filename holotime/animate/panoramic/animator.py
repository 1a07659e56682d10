"""An image-to-video pipeline made panoramic, end to end: find, plan, load, sample in windows, close."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from holotime import quality, sphere
from holotime.animate.panoramic import frames as clips
from holotime.animate.panoramic.config import LOOPS, PanoramicConfig
from holotime.animate.panoramic.families import family_of
from holotime.animate.panoramic.family import Family
from holotime.animate.panoramic.state import RunState, Saved
from holotime.animate.panoramic.stepper import Stepper
from holotime.clip import Clip
from holotime.errors import InputError
from holotime.models import (
    MODES,
    Plan,
    check_packages,
    explained,
    half_precision,
    load_pipeline,
    make_plan,
    pick_device,
    place,
    require,
)
from holotime.models.device import steady_threads
from holotime.panorama.seam import settle_seam
from holotime.progress import Progress, no_progress, part
from holotime.weights import licence_note

FAST = 0.6  # share of the steps of quality "fast"
OFFLOADED_PREVIEWS = 4  # times rarer, where showing a picture moves networks to and fro
Preview = Callable[[NDArray[np.uint8]], None]
# Settings without influence on the clip.
_MANNER = ("resume_dir", "preview_every", "memory", "device")


@dataclass
class Animation:
    """A clip of the panorama's size and how it was made."""

    clip: Clip
    notes: list[str] = field(default_factory=list)  # decisions and figures, one sentence each
    seconds: dict[str, float] = field(default_factory=dict)  # of each part
    plan: Plan | None = None
    model: str = ""  # registered name, hub id or folder
    backend: str = ""


def fingerprint(config: PanoramicConfig) -> str:
    """Hexadecimal digest of all that a clip depends on but the panorama: settings and the files of the model.

    Raises InputError or BackendUnavailable, so it is also the cheapest way to find out whether a clip can be made.
    """
    family = family_of(config)
    check(config, family)
    asked = {name: value for name, value in asdict(config).items() if name not in _MANNER}
    asked |= {"steps": steps_of(config, family), "guidance_scale": config.guidance_scale or family.rules.guidance}
    stamps = [family.files.fingerprint(), "panoramic 1"]
    return hashlib.sha256(json.dumps([asked, stamps], default=str, sort_keys=True).encode()).hexdigest()


def check(config: PanoramicConfig, family: Family) -> None:
    """Refuse settings that cannot work."""
    for name, value, low, high in (
        ("frames", config.frames, 1, 2000),
        ("steps", steps_of(config, family), family.least_steps, 1000),
        ("fps", config.fps, 0.1, 240),
        ("guidance_scale", config.guidance_scale or 1, 1, 50),
        ("video_width", config.width or 64, 32, 8192),
        ("preview_every", config.preview_every, 1, 1000),
    ):
        if not low <= value <= high:
            raise InputError(f"{name} is {value:g}; it must be between {low} and {high}.")
    for name, word, words in (
        ("loop", config.loop, LOOPS),
        ("memory", config.memory, MODES),
        ("quality", config.quality, ("exact", "fast")),
    ):
        if word not in words:
            raise InputError(f"{name} is {word!r}; it must be one of {', '.join(words)}.")
    family.check()
    family.size(config.width)


def steps_of(config: PanoramicConfig, family: Family) -> int:
    """Denoising steps of each window."""
    steps = config.steps or family.rules.steps
    return max(family.least_steps, round(steps * FAST)) if config.quality == "fast" else steps


def run(
    panorama: NDArray[np.uint8],
    config: PanoramicConfig,
    *,
    progress: Progress = no_progress,
    preview: Preview | None = None,
) -> Animation:
    """Animate a panorama [H, W, 3] sRGB; the clip has its size. ``preview`` gets a picture [h, w, 3] now and then.

    Raises InputError before any work, BackendUnavailable when the model or a package is not here, OutOfMemory,
    Cancelled (within one step).
    """
    if panorama.ndim != 3 or panorama.shape[2] != 3 or panorama.dtype != np.uint8:
        raise InputError(f"A panorama is [H, W, 3] of uint8, got {panorama.dtype} {list(panorama.shape)}.")
    family = family_of(config)
    check(config, family)
    require("diffusers")
    return _Run(panorama, config, family, preview).make(progress)


class _Run:
    """One clip in the making."""

    def __init__(
        self, panorama: NDArray[np.uint8], config: PanoramicConfig, family: Family, preview: Preview | None
    ) -> None:
        self.panorama, self.config, self.family, self.preview = panorama, config, family, preview
        self.size = family.size(config.width)
        self.lengths = clips.windows(family, clips.needed(config.frames, config.loop))
        self.device = pick_device(config.device)
        self.half = half_precision(self.device)
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self.state: RunState | None = None
        if config.resume_dir is not None:
            digest = hashlib.sha256(panorama.tobytes() + str(panorama.shape).encode())
            digest.update(json.dumps([fingerprint(config), self.device.type]).encode())
            self.state = RunState(config.resume_dir, digest.hexdigest())

    def make(self, progress: Progress) -> Animation:
        """All windows, joined, brought to the panorama's size."""
        family, config = self.family, self.config
        dtypes = family.dtypes(self.half)
        working = family.working(self.size, max(self.lengths), self.half.itemsize)
        passes = steps_of(config, family) * len(self.lengths) * 2
        plan = make_plan(
            family.files.part_bytes(dtypes),
            working,
            self.device,
            mode=config.memory,
            main=family.denoisers,
            passes=passes,
        )
        check_packages(plan)
        self._describe(plan)
        with explained(family.files.name, plan), steady_threads(), torch.no_grad():
            start = time.perf_counter()
            progress(0.0, f"loading {family.files.name}")
            pipeline = load_pipeline(family.files, family.load_as, dtypes, **family.parts())
            place(pipeline, plan, family.denoisers)
            if plan.small:
                family.in_pieces(pipeline)
            self._read_prompt(pipeline)
            self.seconds["load"] = time.perf_counter() - start
            made = self._windows(pipeline, plan, part(progress, 0.02, 0.98))
        progress(0.98, "to the panorama's size")
        height, width = self.panorama.shape[:2]
        kept = made[: clips.needed(config.frames, config.loop)]
        whole = np.stack([clips.resize(frame, height, width) for frame in kept])
        self._settle(whole)
        match = quality.psnr(whole[0], self.panorama)
        self.notes.append(f"The first frame matches the panorama with {match:.1f} dB; the model made it anew.")
        joined = clips.close(whole, config.frames, config.loop)
        clip = Clip(joined, config.fps, loop=config.loop != "none" and config.frames > 2)
        if self.state:
            self.state.clear()
        progress(1.0, "")
        return Animation(clip, self.notes, self.seconds, plan, family.name, config.animator)

    def _windows(self, pipeline: Any, plan: Plan, progress: Progress) -> NDArray[np.uint8]:
        """[T, h, w, 3] of all windows at the model's size, each going on from the last frame of the one before."""
        saved = self.state.load(self.notes.append) if self.state else None
        start = sphere.resize(self.panorama, self.size.height, self.size.width)
        parts: list[NDArray[np.uint8]] = []
        for number, length in enumerate(self.lengths):
            mine = part(progress, number / len(self.lengths), (number + 1) / len(self.lengths))
            frames = None
            if self.state and saved is not None and saved.window > number:
                frames = self.state.load_frames(number, self.notes.append)
                if frames is None:  # what came after it was made of it
                    saved = None
            if frames is None:
                here = saved if saved is not None and saved.window == number else None
                frames = self._sample(pipeline, plan, start, number, length, here, mine)
                if self.state and number + 1 < len(self.lengths):
                    self.state.save_frames(number, frames)
            parts.append(frames if not number else frames[1:])
            start = frames[-1]
        return np.concatenate(parts)

    def _sample(
        self,
        pipeline: Any,
        plan: Plan,
        start: NDArray[np.uint8],
        number: int,
        length: int,
        saved: Saved | None,
        progress: Progress,
    ) -> NDArray[np.uint8]:
        """[length, h, w, 3] frames that begin with ``start`` [h, w, 3]."""
        from PIL import Image

        clock = time.perf_counter()
        config, family = self.config, self.family
        seed = int.from_bytes(hashlib.sha256(f"{config.seed}/{number}".encode()).digest()[:7], "little")
        generator = torch.Generator("cpu").manual_seed(seed)
        every = config.preview_every * (1 if plan.residency == "resident" else OFFLOADED_PREVIEWS)
        stepper = Stepper(
            pipeline,
            family,
            self.size,
            generator,
            window=number,
            saved=saved,
            state=self.state,
            progress=progress,
            preview=self.preview,
            preview_every=every,
        )
        steps = steps_of(config, family)
        if saved is not None:
            of = f" of window {number + 1}" * (len(self.lengths) > 1)
            self.notes.append(f"{config.animator}: resumed at step {saved.next + 1} of {steps}{of}.")
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), family.around(), stepper.attached():
            torch.manual_seed(seed)  # of layers that draw numbers by themselves
            made = pipeline(
                image=Image.fromarray(start),
                height=self.size.height,
                width=self.size.width,
                num_inference_steps=steps,
                generator=generator,
                output_type="pt",
                callback_on_step_end=stepper.after_step,
                callback_on_step_end_tensor_inputs=["latents"],
                **family.arguments(config, length),
            ).frames[0]
        progress(0.99, "")
        if not torch.isfinite(made).all():
            raise InputError(
                f"{family.files.name} made values that are no numbers in {self.half}. Its weights may be damaged: "
                "fetch the model again, or run it on another device."
            )
        self.seconds[f"window {number + 1}"] = time.perf_counter() - clock
        levels = (made.float().clamp(0, 1) * 255).round().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _settle(self, frames: NDArray[np.uint8]) -> None:
        """Leave the seam of every frame [T, H, W, 3] as plain or lively as the rest, as all animators do, in place."""
        sampled = quality.seam_ratio(frames)
        every = np.concatenate([frames[:1], frames])  # the first of a clip is taken for the panorama itself
        settle_seam(every, np.ones(frames.shape[1:3], np.bool_))
        frames[:] = every[1:]
        self.notes.append(f"Seam ratio {sampled:.3f} as sampled, {quality.seam_ratio(frames):.3f} in the clip.")

    # What there is to say ---------------------------------------------------------------------------------------

    def _describe(self, plan: Plan) -> None:
        """Notes of what is known before the work."""
        config, family, size, say = self.config, self.family, self.size, self.notes.append
        rules = family.rules
        say(f"{licence_note(family.name)}.")
        say(f"{config.animator}: {plan.reason}.")
        say(
            f"{family.load_as} made panoramic without training: its latent is turned in every step, {family.says}, and "
            "its autoencoder is circular."
        )
        if config.quality == "fast":
            say(f"{config.animator}: fast, {steps_of(config, family)} steps.")
        height, width = self.panorama.shape[:2]
        if (height, width) != (size.height, size.width):
            grown = height >= size.height and width >= size.width
            say(
                f"Animated at {size.width}x{size.height}, then brought to {width}x{height} by "
                f"{'Lanczos' if grown else 'area means'}."
            )
        self._describe_frames()
        if config.animator not in ("ltx", "svd") and not math.isclose(rules.fps, config.fps):
            say(
                f"The model was trained with {rules.fps:g} frames per second: at {config.fps:g} its movements take "
                f"{rules.fps / config.fps:.2f} times as long as it means them to."
            )
        if config.prompt and not family.reads_prompt:
            say(f"The prompt was not followed: {config.animator} is steered by the panorama alone.")

    def _describe_frames(self) -> None:
        """Notes on the number of frames and the loop."""
        config, rules, say = self.config, self.family.rules, self.notes.append
        rule = f"multiples of {rules.every} and one" if rules.every else f"{rules.frames} at once"
        wanted, count = clips.needed(config.frames, config.loop), len(self.lengths)
        made = sum(self.lengths) - count + 1
        if count > 1:
            say(
                f"The model makes at most {rules.frames} frames at once ({rule}): the clip is made in {count} windows "
                f"of {self.lengths[0]}, each going on from the last frame of the one before."
            )
        if made > wanted:
            say(f"The model makes {rule}: of {made} frames {wanted} are used.")
        if config.loop == "fade" and config.frames > 2:
            over = clips.faded(config.frames)
            say(f"Loop by cross-fade: what follows the last frame is blended into the first {over}.")
        elif config.loop == "bounce" and config.frames > 2:
            say("Loop by going back the same way.")
        else:
            say(f"The clip does not loop{', for it has less than three frames' * (config.loop != 'none')}.")

    def _read_prompt(self, pipeline: Any) -> None:
        """A note when the prompt is longer than the model reads."""
        tokenizer = getattr(pipeline, "tokenizer", None)
        if tokenizer is None or not self.family.reads_prompt:
            return
        limit = self.family.prompt_tokens(pipeline)
        for name, text in (("prompt", self.config.prompt), ("negative prompt", self.config.negative_prompt)):
            count = len(tokenizer(text, truncation=False, verbose=False).input_ids) if text else 0
            if count > limit:
                self.notes.append(f"The {name} has {count} tokens; the model reads the first {limit} of them.")
