"""The published recipe's guided sampling: new splats along the rays of the two views that it draws worst.

From iteration 1600 on the first similarity of each of the 120 cameras is noted. When all are known, the two worst of
those below 0.91 are chosen; each, once it is drawn again and still below 0.88, gets splats in the patches where it
errs most, at 0.7 and 7.5 times the farthest distance that the camera saw at the start.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

FROM = 1600  # iteration at which views begin to be judged
CHOSEN, POOR, STILL_POOR = 2, 0.91, 0.88  # views at most; similarity under which a view is chosen, and is sampled
PAUSE = 100  # iterations between two samplings
QUANTILE = 0.6  # of the errors of a picture: what lies above is bad
PATCH, SHARE = 16, 0.85  # pixels of a patch's side; share of bad pixels from which the patch is sampled
BORDER = 0.1  # of a picture's side, left out
DEPTHS, SCATTER = (0.7, 7.5), 0.05  # times the camera's farthest distance, times 1 +- at most this
UNSEEN = 10.0  # farthest distance of a camera that saw nothing
OPACITY = 0.1


@dataclass
class Guided:
    """Which views are sampled, and when."""

    farthest: Tensor  # [C] of each camera at the start
    similarity: dict[int, float] = field(default_factory=dict)  # first structural similarity seen, by camera
    chosen: list[int] | None = None  # cameras still to be sampled; None until all were seen
    last: int = -PAUSE  # iteration of the latest sampling

    def observe(self, step: int, cameras: list[int], similarities: list[float]) -> None:
        """Note how well the cameras of an iteration were drawn."""
        if step < FROM or self.chosen is not None:
            return
        for camera, similarity in zip(cameras, similarities, strict=True):
            self.similarity.setdefault(camera, similarity)
        if len(self.similarity) == len(self.farthest):
            ranked = sorted(self.similarity, key=lambda camera: self.similarity[camera])
            poor = [camera for camera in ranked if self.similarity[camera] < POOR][:CHOSEN]
            self.chosen = poor if len(poor) == CHOSEN else []

    def due(self, step: int, camera: int, similarity: float) -> bool:
        """Whether the last camera of an iteration is sampled now; it then counts as done."""
        if not self.chosen or camera not in self.chosen or step - self.last < PAUSE or similarity >= STILL_POOR:
            return False
        self.chosen.remove(camera)
        self.last = step
        return True


def bad_pixels(image: Tensor, target: Tensor) -> Tensor:
    """[M, 2] rows and columns that are sampled in a picture [3, S, S] which should be ``target``."""
    size = image.shape[-1]
    away = (image / (image.mean() + 0.01) - target / (target.mean() + 0.01)).abs().sum(0)
    bad = (away > torch.quantile(away.flatten()[:: max(1, away.numel() // 2**20)], QUANTILE)).float()
    share = F.avg_pool2d(bad[None, None], PATCH)
    chosen = F.interpolate(share, scale_factor=PATCH, mode="nearest")[0, 0] > SHARE
    rows, columns = torch.nonzero(chosen, as_tuple=True)
    odd = ((rows % PATCH) % 2 == 1) | ((columns % PATCH) % 2 == 1)
    edge = BORDER * size
    inside = (rows >= edge) & (rows < size - edge) & (columns >= edge) & (columns < size - edge)
    keep = odd & inside
    return torch.stack([rows[keep], columns[keep]], dim=-1)


def sampled(
    pixels: Tensor, target: Tensor, viewmat: Tensor, k: Tensor, farthest: float, random: torch.Generator
) -> dict[str, Tensor]:
    """Parameters of two splats for each of ``pixels`` [M, 2]; sizes are set by the caller, from their neighbours.

    ``target`` [3, S, S] gives the colours, ``viewmat`` [4, 4] world-to-camera and ``k`` [3, 3] the rays.
    """
    device, count = pixels.device, len(pixels)
    depth = torch.tensor(DEPTHS, device=device).repeat_interleave(count) * farthest
    depth = depth * (1 + SCATTER * (2 * torch.rand(2 * count, generator=random).to(device) - 1))
    place = (pixels.flip(-1) + 0.5 - k[:2, 2]) / torch.stack([k[0, 0], k[1, 1]])
    ray = torch.cat([place, torch.ones_like(place[:, :1])], dim=-1).repeat(2, 1)
    inverse = torch.linalg.inv(viewmat)
    means = (ray * depth[:, None]) @ inverse[:3, :3].T + inverse[:3, 3]
    colors = target[:, pixels[:, 0], pixels[:, 1]].T.repeat(2, 1)
    quats = torch.zeros(2 * count, 4, device=device)
    quats[:, 0] = 1  # zeros, as published, are no rotation
    zeros = torch.zeros(2 * count, device=device)
    return {
        "means": means,
        "motion": torch.zeros(2 * count, 3, 3, device=device),
        "quats": quats,
        "omegas": torch.zeros_like(quats),
        "log_scales": torch.zeros(2 * count, 3, device=device),
        "opacity_logits": torch.full_like(zeros, math.log(OPACITY / (1 - OPACITY))),
        "t_centers": torch.rand(2 * count, generator=random).to(device),
        "t_log_scales": zeros,
        "colors": colors,
    }
