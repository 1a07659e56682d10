"""How good a network is on held-out panoramas of the generator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from holotime.perceive import SKY
from training.augment import augment
from training.generator import HELD_OUT, Generator
from training.metrics import Overlap, distance_scores, edge_score
from training.targets import Targets, motion_targets, targets_of

CHUNK = 8  # panoramas that are rendered and read at a time


@dataclass(frozen=True)
class HeldOut:
    """Pictures and labels that no training seed can reach."""

    pictures: Tensor  # [N, 3, H, W] in [0, 1]
    truth: Targets  # of N
    kinds: list[str]  # [N]


def held_out(generator: Generator, count: int, height: int, samples: int) -> HeldOut:
    """The first ``count`` held-out panoramas at a size, graded with a seed of their own."""
    state = torch.random.get_rng_state()
    device_state = torch.cuda.get_rng_state() if generator.device.type == "cuda" else None
    torch.manual_seed(7)
    pictures, parts, kinds = [], [], []
    for first in range(0, count, CHUNK):
        seeds = range(HELD_OUT + first, HELD_OUT + min(first + CHUNK, count))
        made = generator.render(seeds, height, samples=samples)
        part = targets_of(made)
        pictures.append(augment(part.rgb))
        parts.append(part)
        kinds += [generator.kinds[k] for k in made.kind]
    torch.random.set_rng_state(state)
    if device_state is not None:
        torch.cuda.set_rng_state(device_state)
    truth = Targets(**{name: torch.cat([getattr(p, name) for p in parts]) for name in Targets.__dataclass_fields__})
    return HeldOut(torch.cat(pictures), truth, kinds)


def validate(read: Callable[[Tensor], tuple[Tensor, ...]], data: HeldOut) -> dict:
    """Scores of a network: distance, edges, classes, and by kind of scene; light and motion where it gives them."""
    overlap, by_kind, edges = Overlap(), {}, []
    light, aim = [0.0, 0.0], []
    for first in range(0, len(data.pictures), CHUNK):
        with torch.inference_mode():
            out = read(data.pictures[first : first + CHUNK])
        label = out[2].argmax(1)
        part = data.truth.map(lambda t, first=first: t[first : first + CHUNK])
        if len(out) > 3:
            shines, true = out[3][:, 0] > 0, part.light > 0
            light[0] += float((shines & true).sum())
            light[1] += float((shines | true).sum())
            direction, _, _, moves = motion_targets(part.motion.float())
            cosine = (torch.nn.functional.normalize(out[4].float(), dim=1) * direction).sum(1)
            aim.append(float(cosine[moves].mean()) if moves.any() else 0.0)
        for i in range(len(label)):
            found, truth = label[i].cpu().numpy(), part.label[i].cpu().numpy()
            overlap.add(found, truth)
            far = np.exp(part.log_distance[i].float().cpu().numpy())
            guess = np.exp(out[0][i, 0].float().cpu().numpy())
            far[truth == SKY], guess[found == SKY] = np.inf, np.inf
            if (truth != SKY).mean() > 0.02 and (found != SKY).any():
                scores = distance_scores(guess, far)
                by_kind.setdefault(data.kinds[first + i], []).append((scores["abs_rel"], scores["delta"]))
                edges.append(edge_score(guess, far)["f"])
    everything = np.array([pair for pairs in by_kind.values() for pair in pairs])
    result = {
        "abs_rel": round(float(everything[:, 0].mean()), 4),
        "delta": round(float(everything[:, 1].mean()), 4),
        "edge_f": round(float(np.mean(edges)), 4),
        "iou": {k: None if v is None else round(v, 3) for k, v in overlap.result().items()},
        "kinds": {k: [round(float(x), 3) for x in np.mean(v, 0)] for k, v in sorted(by_kind.items())},
    }
    if aim:
        result["light_iou"] = round(light[0] / max(light[1], 1), 3)
        result["motion_cosine"] = round(float(np.mean(aim)), 3)
    return result
