"""Trains the embedded perception network. From the root of the repository:

    python -m training.train OUT [--hours 0.14] [--seed 1] [--init weights.safetensors] [--resume] [--device cuda]

Everything else is in training/config.py. Writes OUT/weights.safetensors (averaged weights, half precision, with their
provenance in the metadata), OUT/checkpoint.pt (to go on after an interruption) and OUT/log.jsonl.
"""

import argparse
import copy
import json
import math
import platform
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from holotime.perceive.sharpnet import ARCHITECTURE, WORKING_HEIGHT, SharpNet
from training.augment import augment
from training.config import TINY, Phase, TrainConfig
from training.feed import Feed
from training.generator import HELD_OUT, Generator, digest
from training.losses import losses
from training.validate import HeldOut, held_out, validate

SEED_STRIDE = 40_000_003  # between the scenes of two runs


@dataclass
class Progress:
    """Where a run is."""

    step: int = 0
    seconds: float = 0.0  # of training, over all its parts
    next_seed: int = 0  # of the generator


def commit() -> str:
    """Of the working tree; "unknown" outside a repository."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def save_weights(network: nn.Module, file: Path, about: dict) -> None:
    """Half-precision weights with their provenance; appears when complete."""
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    weights = {k: (v.half() if v.is_floating_point() else v).contiguous().cpu().clone() for k, v in state.items()}
    part = file.with_suffix(".part")
    metadata = {
        "architecture": ARCHITECTURE,
        "height": str(WORKING_HEIGHT),
        "origin": "trained from scratch on procedural panoramas; no photograph, no foreign weight",
        "license": "Apache-2.0",
        **{k: v if isinstance(v, str) else json.dumps(v) for k, v in about.items()},
    }
    save_file(weights, part, metadata=metadata)
    part.rename(file)


class Trainer:
    """One run; see the module."""

    def __init__(self, config: TrainConfig, out: Path, device: str, *, init: Path | None = None) -> None:
        self.config, self.out, self.device = config, out, torch.device(device)
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        self.generator = Generator(self.device)
        self.network = SharpNet().to(self.device).to(memory_format=torch.channels_last)
        if init:
            weights = {k: v.float() for k, v in load_file(init).items()}
            missing = self.network.load_state_dict(weights, strict=False).missing_keys
            if not all(k.endswith("num_batches_tracked") for k in missing):
                raise ValueError(f"{init} is not of this architecture: {missing[:3]} are missing.")
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay,
            fused=self.device.type == "cuda",
        )  # fmt: skip
        self.class_weights = torch.tensor(config.class_weights, device=self.device)
        self.progress = Progress(next_seed=config.seed * SEED_STRIDE % (HELD_OUT - SEED_STRIDE))
        self.init = str(init) if init else ""
        self._phase_step = 0
        self._held_out: dict[int, HeldOut] = {}

    def log(self, **entry: object) -> None:
        """One line of the log, printed too."""
        line = json.dumps({"step": self.progress.step, "seconds": round(self.progress.seconds, 1), **entry})
        print(line, flush=True)
        with (self.out / "log.jsonl").open("a") as file:
            file.write(line + "\n")

    def phase(self) -> tuple[int, Phase]:
        """The phase that the time spent has come to."""
        done, until = self.progress.seconds / (3600 * self.config.hours), 0.0
        for i, phase in enumerate(self.config.phases):
            until += phase.share
            if done < until:
                return i, phase
        return len(self.config.phases) - 1, self.config.phases[-1]

    def learning_rate(self) -> float:
        """Cosine over the run's time, warmed up at the beginning and after each change of size."""
        done = min(1.0, self.progress.seconds / (3600 * self.config.hours))
        warm = min(1.0, (self._phase_step + 1) / self.config.warm_up)
        return self.config.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def step(self, feed: Feed) -> dict[str, Tensor]:
        """One update; returns the parts of the loss (on the device, not waited for)."""
        feed.add(self.config.fresh)
        truth = feed.draw()
        picture = augment(truth.rgb).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            reading = self.network(picture)
        parts = losses(reading, truth, self.class_weights)
        total = sum(
            (self.config.loss_weights[name] * part for name, part in parts.items()), torch.zeros(()).to(picture)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        if self.device.type == "cpu" and not torch.isfinite(norm):
            raise FloatingPointError(f"The gradient is not finite in step {self.progress.step}.")
        self.optimizer.step()
        self.average()
        self.progress.step += 1
        self._phase_step += 1
        self.progress.next_seed = feed.next_seed
        return {name: part.detach() for name, part in {**parts, "total": total}.items()}

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first."""
        keep = min(self.config.averaging, 1 - 1 / (self.progress.step / 4 + 2))
        old = [v for v in self.averaged.state_dict().values() if v.is_floating_point()]
        new = [v for v in self.network.state_dict().values() if v.is_floating_point()]
        torch._foreach_mul_(old, keep)
        torch._foreach_add_(old, new, alpha=1 - keep)

    def validation(self, height: int) -> dict:
        """Scores of the averaged weights on the held-out panoramas at a size."""
        if height not in self._held_out:
            self._held_out[height] = held_out(self.generator, self.config.validation, height, self.config.samples)

        def read(pictures: Tensor) -> tuple[Tensor, ...]:
            with self._autocast():
                return self.averaged(pictures.contiguous(memory_format=torch.channels_last))

        return validate(read, self._held_out[height])

    def about(self, scores: dict) -> dict:
        """Provenance for the weights file."""
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else platform.machine()
        return {
            "config": self.config.record(),
            "steps": str(self.progress.step), "seconds": str(round(self.progress.seconds)),
            "trained_on": name, "torch": torch.__version__, "generator": digest(), "commit": commit(),
            "initial_weights": self.init, "validation": scores,
        }  # fmt: skip

    def checkpoint(self, scores: dict) -> None:
        """Write weights and what is needed to go on."""
        save_weights(self.averaged, self.out / "weights.safetensors", self.about(scores))
        part = self.out / "checkpoint.part"
        torch.save(
            {
                "network": self.network.state_dict(), "averaged": self.averaged.state_dict(),
                "optimizer": self.optimizer.state_dict(), "progress": vars(self.progress), "seed": self.config.seed,
            },
            part,
        )  # fmt: skip
        part.rename(self.out / "checkpoint.pt")

    def resume(self) -> None:
        """Go on from OUT/checkpoint.pt. Raises ValueError for one of another seed."""
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        if state["seed"] != self.config.seed:
            raise ValueError(
                f"The checkpoint is of seed {state['seed']}, not {self.config.seed}. Use its seed or another folder."
            )
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])

    def run(self, steps: int | None = None) -> dict:
        """Train until the hours (or ``steps`` more) are over; returns the last validation."""
        feed, height, stop = None, -1, None if steps is None else self.progress.step + steps
        first, before = time.perf_counter(), self.progress.seconds
        validated = first
        while self.progress.seconds < 3600 * self.config.hours and (stop is None or self.progress.step < stop):
            index, phase = self.phase()
            if phase.height != height:
                del feed
                feed = Feed(self.generator, phase, self.config.samples, self.config.pool_bytes, self.progress.next_seed)
                while feed.filled < min(feed.capacity, 6 * phase.batch):
                    feed.add(min(self.config.fresh, feed.capacity))
                height, self._phase_step = phase.height, 0
                self.log(phase=index, height=height, batch=phase.batch, pool=feed.capacity)
            parts = self.step(feed)
            if self.device.type == "cuda" and self.progress.step % 20 == 0:
                torch.cuda.synchronize()  # the clock decides about the end: it must not run ahead of the work
            now = time.perf_counter()
            self.progress.seconds = before + now - first
            if self.progress.step % 100 == 0 or self.progress.step == 1:
                values = {k: round(float(v), 4) for k, v in parts.items()}
                if not math.isfinite(values["total"]):
                    raise FloatingPointError(f"The loss is not finite in step {self.progress.step}: {values}")
                self.log(rate=round(self.learning_rate(), 6), **values)
            if now - validated > 60 * self.config.validate_minutes:
                scores = self.validation(height)
                self.log(validation=scores)
                self.checkpoint(scores)
                validated = time.perf_counter()
        scores = self.validation(height if height > 0 else self.config.phases[-1].height)
        self.log(validation=scores, final=True)
        self.checkpoint(scores)
        return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=TrainConfig.hours)
    parser.add_argument("--seed", type=int, default=TrainConfig.seed)
    parser.add_argument("--init", type=Path, help="weights to begin with, of the same architecture")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", type=int, metavar="STEPS", help="a run of some steps at a tiny size")
    args = parser.parse_args()
    config = replace(TINY if args.tiny else TrainConfig(hours=args.hours), seed=args.seed)
    trainer = Trainer(config, args.out, args.device, init=args.init)
    if args.resume:
        trainer.resume()
    trainer.run(args.tiny)


if __name__ == "__main__":
    main()
