"""Sampling a latent panorama: turned in every step, whole or in windows, saved, previewed, cancelled within a step."""

import hashlib
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from holotime.animate.diffusion.state import RunState
from holotime.errors import HoloTimeError
from holotime.panorama.codec import in_tiles
from holotime.panorama.networks import Condition, Network
from holotime.panorama.schedule import Schedule
from holotime.progress import Progress, no_progress

SAVE_BYTES = 1 << 28  # of latents written in a run at most, besides the last: saving must not be what takes long


@dataclass(frozen=True)
class Known:
    """What is known of a picture and stays (blended latent diffusion, Avrahami et al. 2022)."""

    latent: Tensor  # [1, C, h, w] of the known picture
    unknown: Tensor  # [1, 1, h, w] in [0, 1]: 1 where it is made


@dataclass(frozen=True)
class Part:
    """One sampling of a run: the panorama itself, its enlargement, or the patch of a pole."""

    name: str  # tells it from the run's other parts
    condition: Condition
    steps: int  # of the whole schedule
    guidance: float
    strength: float = 1.0  # 1: from pure noise; less: so much of the steps, from ``latent``
    latent: Tensor | None = None  # [1, C, h, w] to begin with; not needed at strength 1
    circle: bool = True  # the columns are a circle
    window: int = 0  # latent rows and columns that the network sees at once; 0: all
    known: Known | None = None  # what stays
    fill: Tensor | None = None  # [1, K, h, w] what an inpainting model is told besides
    noise: Tensor | None = None  # [1, C, h, w] instead of the seed's


# Gets the clean latent [1, C, h, w] that is expected, and whether its columns are a circle.
Look = Callable[[Tensor, bool], None]


@dataclass
class Sampler:
    """Runs parts with one network. A part that an earlier run has finished or begun goes on from its state."""

    network: Network
    seed: int
    state_dir: Path | None = None  # where every part keeps its latent
    fingerprint: str = ""  # of everything that the result depends on
    look: Look | None = None  # gets a preview every few steps
    look_every: int = 5
    notes: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)  # parts that did not begin anew
    _states: list[RunState] = field(default_factory=list)

    def run(self, part: Part, shape: tuple[int, ...], progress: Progress = no_progress) -> Tensor:
        """The clean latent of a part, float32 on the CPU. ``shape``: [1, C, h, w]."""
        progress(0.0, part.name)
        seen = (part.window, part.window) if part.window else shape[-2:]
        schedule = self.network.schedule(part.steps, *seen)
        begin = schedule.first_of(part.strength)
        state = self._state(part)
        saved = state.load(self.notes.append) if state else None
        if saved is not None and saved.x.shape == shape:
            x, first = saved.x, saved.next
            if first < len(schedule):
                self.resumed.append(f"{part.name} at step {first - begin + 1} of {len(schedule) - begin}")
        else:
            x, first = self._start(part, schedule, begin, shape), begin
        x = x.to(self.network.device)
        total = len(schedule) - begin
        every = max(1, math.ceil(total * x.numel() * 4 / SAVE_BYTES))
        took: list[float] = []
        for index in range(first, len(schedule)):
            clock = time.perf_counter()
            done = index - begin
            left = f", {statistics.median(took[-5:]) * (total - done):.0f} s left" if took else ""
            note = f"{part.name}: step {done + 1}/{total}{left}"
            prediction = self.predict(part, x, schedule, index, partial(progress, done / total, note))
            x, x0 = schedule.step(prediction, x, index)
            x = self._keep_known(part, x, schedule, index + 1)
            if not torch.isfinite(x).all():
                raise HoloTimeError(
                    f"The model gave values that are not finite in step {done + 1} ({self.network.dtype}). Its weights "
                    "are damaged (`holotime weights verify`), or need another precision."
                )
            if state and ((done + 1) % every == 0 or done + 1 == total):
                state.save(part.name, index + 1, x)
            if self.look and ((done + 1) % self.look_every == 0 or done + 1 == total):
                self.look(x0, part.circle)
            took.append(time.perf_counter() - clock)
        progress(1.0, part.name)
        return x.float().cpu()

    def clear(self) -> None:
        """Forget the states of this run's parts (when the picture is complete)."""
        for state in self._states:
            state.clear()

    def predict(self, part: Part, x: Tensor, schedule: Schedule, index: int, check: Callable[[], None]) -> Tensor:
        """The prediction [1, C, h, w] for x at step ``index``; ``check`` is called before every forward pass.

        On a circle, the latent is turned by another random number of columns in every step and the prediction turned
        back: what a network cannot help doing at fixed columns is then spread over all of them.
        """
        turn = self._turn(part, x.shape[-1], index) if part.circle else 0
        told = x if part.fill is None else torch.cat([x, part.fill.to(x)], dim=1)
        told = told.roll(turn, -1)
        channels = x.shape[1]

        def forward(piece: Tensor, circle: bool) -> Tensor:
            check()
            fill = piece[:, channels:] if piece.shape[1] > channels else None
            return self.network.predict(
                piece[:, :channels], schedule.timesteps[index], part.condition, part.guidance, fill, circle
            )

        if part.window and max(x.shape[-2:]) > part.window:
            # Overlapping windows, averaged (MultiDiffusion, Bar-Tal et al. 2023), here round the circle.
            made = in_tiles(told, lambda piece: forward(piece, False).cpu(), part.window, scale=1.0, wrap=part.circle)
            made = made.to(x)
        else:
            made = forward(told, part.circle)
        return made.roll(-turn, -1)

    def noise(self, part: Part, shape: tuple[int, ...]) -> Tensor:
        """Standard normal [1, C, h, w] that depends on the seed and the part's name alone."""
        return torch.randn(shape, generator=self._generator(part.name)) if part.noise is None else part.noise

    def _start(self, part: Part, schedule: Schedule, begin: int, shape: tuple[int, ...]) -> Tensor:
        noise = self.noise(part, shape)
        if begin == 0 and part.strength >= 1:
            return noise * schedule.start
        assert part.latent is not None
        return schedule.at(part.latent, noise, begin)

    def _keep_known(self, part: Part, x: Tensor, schedule: Schedule, index: int) -> Tensor:
        """x [1, C, h, w] with the known picture, as noisy as before step ``index``, where it is known."""
        if part.known is None:
            return x
        there = schedule.at(part.known.latent, self.noise(part, tuple(x.shape)), index).to(x)
        return torch.lerp(there, x, part.known.unknown.to(x))

    def _turn(self, part: Part, columns: int, index: int) -> int:
        """A random turn in latent columns. FLUX draws pairs of columns, so there it is even."""
        even = 2 if self.network.unit == 2 else 1
        return even * int(torch.randint(columns // even, (), generator=self._generator(f"{part.name}/turn/{index}")))

    def _generator(self, what: str) -> torch.Generator:
        digest = hashlib.sha256(f"{self.seed}/{what}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))

    def _state(self, part: Part) -> RunState | None:
        if self.state_dir is None:
            return None
        digest = hashlib.sha256(f"{self.fingerprint}/{part.name}".encode()).hexdigest()
        state = RunState(self.state_dir, digest, "panorama")
        self._states.append(state)
        return state
