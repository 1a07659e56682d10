#!/usr/bin/env python3
"""What it costs a training to be watched: waiting, processor time beside it, bytes. Prints one JSON line.

``python benchmarks/growing.py [--splats N] [--width W] [--seconds S]``: trains a synthetic room on this machine's
device and shows it through :class:`LiveScene`; then the parts of 400 000 splats are made without a training.
"""

import argparse
import json
import os
import time

import numpy as np
import torch

from holotime import sphere
from holotime.clip import Clip
from holotime.job_context import ScenePart
from holotime.perceive import ClipPerception
from holotime.reconstruct import LiftConfig, lift
from holotime.reconstruct.training import TrainConfig, Trainer
from holotime.reconstruct.training.growing import Sender, encode
from holotime.reconstruct.training.live import LiveScene
from holotime.scene4d import Scene4D


def room(height: int) -> tuple[Clip, ClipPerception]:
    """A box room with waves on its walls, one frame."""
    d = sphere.directions(height).astype(np.float64)
    distance = np.where(d > 0, np.array([4.0, 5.0, 3.0]) / d, np.array([-4.0, -4.0, -1.6]) / d).min(-1)
    place = d * distance[..., None]
    color = 0.5 + 0.2 * np.sin(3 * place) + 0.1 * np.sin(17 * place[..., ::-1])
    clip = Clip(np.round(255 * color).astype(np.uint8)[None])
    shape = clip.frames.shape[:3]
    zero = np.zeros((*shape, 2), np.float16)
    return clip, ClipPerception(
        distance=distance[None].astype(np.float32),
        classes=np.full((*shape[1:], 7), 1 / 7, np.float32),
        flow_forward=zero,
        flow_backward=zero,
        visible_next=np.ones(shape, np.bool_),
        moving=np.zeros(shape[1:], np.bool_),
        backend="benchmark",
    )


def watched(splats: int, width: int, seconds: float) -> dict[str, float | int | str]:
    """A training of about ``seconds`` and what showing it took."""
    clip, perception = room(width // 2)
    scene = lift(clip, perception, LiftConfig(budget=splats, sweeps=0))
    trainer = Trainer(scene, clip, perception, TrainConfig(steps=100_000, seconds=seconds))
    trainer.advance()  # compiles
    parts: list[ScenePart] = []
    with LiveScene(parts.append, duration=clip.duration, fps=clip.fps, loop=clip.loop) as live:
        result = trainer.run(snapshot=live)
    deltas = [len(part.data) for part in parts if not part.whole]
    return {
        "splats": len(scene),
        "width": width,
        "rasterizer": result.backend,
        "seconds": round(result.seconds, 1),
        "steps": result.steps,
        "parts": len(parts),
        "waiting_share": round(live.paused / result.seconds, 5),
        "processor_share": round(live.busy / result.seconds, 5),
        "whole_mb": round(len(parts[0].data) / 1e6, 2),
        "delta_mb": round(float(np.mean(deltas)) / 1e6, 2) if deltas else 0.0,
    }


def parts_of(count: int) -> dict[str, float]:
    """Milliseconds to make a whole part and a delta in which a tenth of the splats have changed."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(count, *tail)) for name, tail in Scene4D.TENSORS.items()}
    arrays["motion"][rng.random(count) < 0.7] = 0
    arrays["omegas"][:] = 0
    first = Scene4D(**arrays)
    later = first.select(np.arange(count))
    later.colors = later.colors + (rng.random((count, 1)) < 0.1).astype(np.float32)
    sender, out = Sender(), {}
    for name, scene in (("whole", first), ("delta", later)):
        start = time.perf_counter()
        data = encode(sender.update(scene, 0), scene)
        out |= {f"{name}_ms": round(1000 * (time.perf_counter() - start), 1), f"{name}_mb": round(len(data) / 1e6, 2)}
    return {"splats": count, **out}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    torch.manual_seed(0)
    result = {"load": os.getloadavg()[0], "training": watched(options.splats, options.width, options.seconds)}
    print(json.dumps(result | {"parts": parts_of(400_000)}))


if __name__ == "__main__":
    main()
