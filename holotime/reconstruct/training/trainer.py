"""The training loop: a lifted scene learns from the clip, seen from the clip's eye and from beside it.

What keeps the picture from beside the eye right while the one from the eye gets sharp:

* displaced views, warped from the frame with its distance; where they show what the clip does not, the lift's own
  picture is the target, so that filled layers stay filled;
* gradients that are small in absolute terms move a splat little (Adam's epsilon is in units of a pixel), so that what
  hardly shows is not painted with the complement of what lies in front of it;
* still splats stay still, and the sky stays on its shell.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from holotime.clip import Clip
from holotime.errors import InputError
from holotime.perceive import ClipPerception
from holotime.progress import Progress, no_progress
from holotime.reconstruct.training import checkpoint
from holotime.reconstruct.training.adam import Adam, Group
from holotime.reconstruct.training.config import EPS, TrainConfig
from holotime.reconstruct.training.growth import Growth
from holotime.reconstruct.training.losses import photometric
from holotime.reconstruct.training.model import SpacetimeGaussians, is_static
from holotime.reconstruct.training.rasterizers import Drawn, Lens, Rasterizer, choose
from holotime.reconstruct.training.schedule import cosine
from holotime.reconstruct.training.views import Frames, Sampler, Step, Target, parallax
from holotime.scene4d import Scene4D

MOST_OPAQUE = 4.5  # logit; 0.989, the rasterizers draw nothing above 0.99
LEAST_WINDOW = 0.35  # a window gets no narrower than this share of what the lift gave it
SHELL = 0.97  # of the sky's distance: from here on a splat belongs to the sky
SNAPSHOT_SECONDS = 0.5
KEPT = ("least_window", "first_motion", "distance")  # what else a checkpoint holds of every splat
Snapshot = Callable[[SpacetimeGaussians, int], None]  # (model, step): may read, must not keep


@dataclass
class Result:
    """A trained scene and how the training went."""

    scene: Scene4D
    steps: int
    seconds: float
    backend: str  # "gsplat" or "cpu"
    stopped: bool  # ended by time or by the caller before all steps were made
    peak_bytes: int  # of GPU memory; 0 on a CPU


class Trainer:
    """Parameters, optimiser and views of one run; :meth:`run` makes the steps."""

    def __init__(
        self,
        scene: Scene4D,
        clip: Clip,
        perception: ClipPerception,
        config: TrainConfig,
        rasterizer: Rasterizer | None = None,
    ) -> None:
        if clip.width != 2 * clip.height:
            raise InputError(f"A panorama is twice as wide as high, got {clip.width} x {clip.height} pixels.")
        if perception.distance.shape[1:] != clip.frames.shape[1:3]:
            raise InputError(
                f"The distance is {list(perception.distance.shape[1:])}, the clip {list(clip.frames.shape[1:3])}. "
                "Use one size."
            )
        self.like, self.config = scene, config
        self.rasterizer = rasterizer or choose(clip.height, config.device)
        self.device = self.rasterizer.device
        self.height = clip.height
        torch.manual_seed(config.seed)
        self.sky = float(scene.provenance.get("sky_distance", 150.0))
        self.frames = Frames(clip, perception, self.sky, self.device)
        self.sampler = Sampler(self.frames, config)
        self.model = SpacetimeGaussians.of(scene, config.model, self.device).requires_grad_()
        self.lifted = SpacetimeGaussians.of(scene, config.model, self.device)
        self.least_window = self.model.t_log_scales.detach() + torch.log(torch.tensor(LEAST_WINDOW))
        self.first_motion = self.model.motion.detach().clone()
        self.distance = self.model.means.detach().norm(dim=-1)  # [N] of the lift: the unit in which a splat moves
        self.adam = self._optimiser()
        self.growth = Growth(config)
        self.step_number = 0
        self.spent = 0.0  # seconds of the run so far, over all resumptions
        self.losses: list[float] = []

    def _optimiser(self) -> Adam:
        """Groups over the present parameters; units and restraints follow from the splats."""
        model, rates = self.model, self.config.rates
        distance, moves = self.distance, ~is_static(model)
        self.shell = distance > SHELL * self.sky
        groups = {}
        for name, tensor in model.parameters().items():
            kind = name.partition(".")[0]
            unit = None
            if kind == "means":
                unit = distance[:, None]
            elif kind == "motion":
                unit = (distance[:, None, None] * moves[:, None, None]).contiguous()
            elif kind in ("omegas", "t_centers", "t_log_scales"):
                unit = moves.float().reshape(-1, *[1] * (tensor.dim() - 1))
            groups[name] = Group(tensor, getattr(rates, kind), EPS[kind], unit)
        return Adam(groups)

    def share(self) -> float:
        """How much of the run is done, by steps or by time."""
        done = self.step_number / self.config.steps
        return max(done, self.spent / self.config.seconds) if self.config.seconds else done

    def look(self, model: SpacetimeGaussians, step: Step, lens: Lens) -> Drawn:
        """What a model shows in the view of a step, as RGB."""
        drawn = self.rasterizer.draw(model.at(step.time), step.eye, lens)
        if model.decoder is None:
            return drawn
        rays = lens.directions.permute(0, 3, 1, 2)
        eye = step.eye.to(rays).reshape(1, 3, 1, 1).expand_as(rays)
        return Drawn(model.decoder(drawn.color, torch.cat([eye, rays], dim=1)), drawn.alpha, drawn.inverse)

    def loss(self, drawn: Drawn, target: Target, step: Step, lens: Lens) -> Tensor:
        """The loss of one view, a sum over the panorama's pixels."""
        c = self.config
        color, weight = target.color, lens.weight * target.seen
        if bool(step.eye.any()):
            with torch.no_grad():
                lifted = self.look(self.lifted, step, lens)
            color = torch.where(target.seen[:, None], color, lifted.color.clamp(0, 1))
            weight = torch.where(target.seen, lens.weight, c.unseen * lens.weight)
        loss = photometric(drawn.color, color, weight, c.ssim, c.square)
        if c.opacity:
            loss = loss + c.opacity * ((1 - drawn.alpha) * lens.weight).sum()
        if c.distance:
            away = parallax(drawn.inverse - target.inverse * drawn.alpha.detach(), self.height).abs()
            loss = loss + c.distance * (away.clamp_max(4) * lens.weight * target.sharp).sum()
        if c.motion:
            change = (self.model.motion - self.first_motion) / self.distance[:, None, None]
            loss = loss + c.motion * (change**2).sum()
        return loss

    def advance(self) -> float:
        """One step; the loss per pixel (only every tenth time, else nan: reading it would make the device wait)."""
        # The variances of SSIM are differences of means: ten bits of TF32 would be noise.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            return self._advance()

    def _advance(self) -> float:
        step = self.sampler.draw()
        lens = self.rasterizer.lens(step.turn)
        target = self.frames.target(step, lens)
        drawn = self.look(self.model, step, lens)
        loss = self.loss(drawn, target, step, lens)
        loss.backward()
        self.growth.observe(self.model)
        self.adam.step(cosine(self.share()))
        self._restrain()
        self.step_number += 1
        index = self.growth.plan(self.model, self.step_number, self.share())
        if index is not None:
            self._reindex(*index)
        return float(loss.detach()) / (2 * self.height**2) if self.step_number % 10 == 1 else float("nan")

    @torch.no_grad()
    def _restrain(self) -> None:
        """Keep the parameters where they mean something."""
        m = self.model
        if m.decoder is None:
            m.colors.clamp_(0, 1)
        m.opacity_logits.clamp_(-6, MOST_OPAQUE)
        torch.maximum(m.t_log_scales, self.least_window, out=m.t_log_scales)
        far = self.distance[:, None] / m.means.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        m.means.mul_(torch.where(self.shell[:, None], far, torch.ones_like(far)))

    @torch.no_grad()
    def _reindex(self, source: Tensor, fresh: Tensor, changes: dict[str, Tensor]) -> None:
        """Replace the splats by rows ``source`` [M] of the present ones; ``fresh`` [M] start with empty moments.

        ``changes`` are new values [M, ...] of whole parameters.
        """
        state = self.adam.state()
        rows = self.model.tensors()
        for name, tensor in rows.items():
            setattr(self.model, name, changes.get(name, tensor.detach()[source]).clone().requires_grad_(True))
            for k in ("mean", "square"):
                moments = state[f"{name}.{k}"][source]
                moments[fresh] = 0
                state[f"{name}.{k}"] = moments
        self.least_window = self.least_window[source]
        self.first_motion = self.first_motion[source]
        self.distance = self.distance[source]
        steps = self.adam.steps
        self.adam = self._optimiser()
        self.adam.load(state, steps)

    def run(self, *, progress: Progress = no_progress, snapshot: Snapshot | None = None, stop: float = 0.0) -> Result:
        """Make the steps that are left and return the scene.

        ``snapshot`` is called first, then every SNAPSHOT_SECONDS. ``stop`` > 0 ends the run at that share of its
        schedule. An exception from ``progress`` (the user cancelled) leaves a checkpoint, if there is to be one.
        """
        c = self.config
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        begin = last = shown = time.perf_counter()
        before = self.spent
        if snapshot:
            snapshot(self.model, self.step_number)
        try:
            while self.step_number < c.steps and self.share() < (stop or 1.0):
                self.losses.append(self.advance())
                now = time.perf_counter()
                self.spent = before + now - begin
                if self.step_number % 10 == 0:
                    progress(min(self.share(), 1.0), f"training, step {self.step_number}")
                if snapshot and now - shown > SNAPSHOT_SECONDS:
                    snapshot(self.model, self.step_number)
                    shown = now
                if c.checkpoint and now - last > c.checkpoint_seconds:
                    self.save()
                    last = now
        finally:
            if c.checkpoint:
                self.save()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.spent = before + time.perf_counter() - begin
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else 0
        return Result(
            self.scene(), self.step_number, self.spent, self.rasterizer.name, self.step_number < c.steps, int(peak)
        )

    def scene(self) -> Scene4D:
        """The present state as a scene; valid at any time."""
        out = self.model.scene(self.like)
        note = {"model": self.config.model, "steps": self.step_number, "rasterizer": self.rasterizer.name}
        out.provenance["training"] = note | {"densify": self.config.densify, "seconds": round(self.spent, 2)}
        return out

    def _identity(self) -> str:
        config = {k: v for k, v in asdict(self.config).items() if k not in ("checkpoint", "checkpoint_seconds")}
        return checkpoint.describe(config, len(self.like), self.like.provenance.get("source_sha256", ""))

    def save(self) -> None:
        """Write the checkpoint."""
        assert self.config.checkpoint is not None
        tensors = {f"model.{n}": t for n, t in self.model.parameters().items()}
        tensors |= {f"adam.{n}": t for n, t in self.adam.state().items()}
        tensors |= {f"sampler.{n}": t for n, t in self.sampler.state().items()}
        tensors |= {f"growth.{n}": t for n, t in self.growth.state().items()}
        tensors |= {name: getattr(self, name) for name in KEPT}
        meta = {"step": str(self.step_number), "spent": repr(self.spent), "identity": self._identity()}
        checkpoint.write(self.config.checkpoint, tensors, meta)

    def resume(self) -> bool:
        """Go on from the checkpoint if there is one that belongs to this run; whether it did."""
        path = self.config.checkpoint
        if path is None or not path.is_file():
            return False
        tensors, meta = checkpoint.read(path)
        if meta["identity"] != self._identity():
            return False
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "adam": {}, "sampler": {}, "growth": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if rest:
                parts[kind][rest] = tensor
        with torch.no_grad():
            for name, tensor in parts["model"].items():
                if name.startswith("decoder."):
                    self.model.parameters()[name].copy_(tensor.to(self.device))
                else:
                    setattr(self.model, name, tensor.to(self.device).requires_grad_(True))
        for name in KEPT:
            setattr(self, name, tensors[name].to(self.device))
        self.step_number, self.spent = int(meta["step"]), float(meta["spent"])
        self.adam = self._optimiser()
        self.adam.load(parts["adam"], self.step_number)
        self.sampler.load(parts["sampler"])
        self.growth.load(parts["growth"])
        return True
