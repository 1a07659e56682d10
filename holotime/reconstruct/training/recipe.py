"""``recipe: holotime``: the published training, for comparison in one run with this package's own.

Its point cloud, 120 views a frame (with its camera scaling and its warp), batches of two cameras of a random frame,
30 000 iterations, learning rates, cloning and splitting ("densify 3"), guided sampling of the worst views and masked
L1 + SSIM, on gsplat. Repaired where the published code cannot run: no motion at all, a background of nine channels.
Distances are taken as given instead of being squeezed into 2 to 10; what guided sampling takes for a camera's farthest
distance is the mean along the ray where most light is blocked, not the median.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from holotime.clip import Clip
from holotime.errors import BackendUnavailable
from holotime.perceive import ClipPerception
from holotime.progress import Progress, no_progress
from holotime.reconstruct.lift import sky_shell
from holotime.reconstruct.surface import invert
from holotime.reconstruct.training import recipe_inputs
from holotime.reconstruct.training.adam import Adam, Group
from holotime.reconstruct.training.growth import rotations
from holotime.reconstruct.training.guided import FROM, UNSEEN, Guided, bad_pixels, sampled
from holotime.reconstruct.training.losses import masked_l1_ssim
from holotime.reconstruct.training.model import SpacetimeGaussians
from holotime.reconstruct.training.rasterizers import available
from holotime.reconstruct.training.schedule import log_linear
from holotime.scene4d import Scene4D

EXTENT = 0.33  # 1.1 times the largest distance of a camera from the mean of all, for displacements of 0.3
GRADIENT = 2e-4  # of the loss by a splat's place in normalised device coordinates, from which it is cloned or split
SMALL = 0.01 * EXTENT  # scale up to which a splat is cloned rather than split
FAINT = 0.005  # opacity under which a splat is removed
RATES = {
    "means": 1.6e-4 * EXTENT,
    "colors": 1e-3,
    "opacity_logits": 0.05,
    "log_scales": 5e-3,
    "quats": 1e-3,
    "omegas": 1e-4,
    "t_centers": 1e-4,
    "t_log_scales": 0.03,
    "motion": 1.6e-4 * EXTENT * 0.5 * 3.5,
}


@dataclass(frozen=True)
class RecipeConfig:
    """Settings of the published recipe; all but the first two are what it is."""

    iterations: int = 30_000  # as published
    seconds: float | None = None  # stop after this time
    size: int = 512  # pixels of a view's side
    seed: int = 0


def position_rate(step: int, extent: float) -> float:
    """Learning rate of the positions at a step: 1.6e-4 to 1.6e-6 of the extent over 35 000 steps."""
    return log_linear(step, 1.6e-4 * extent, 1.6e-6 * extent, 35_000)


def nearest_scales(points: Tensor, among: Tensor | None = None) -> Tensor:
    """[N] log of the root mean squared distance of points [N, 3] to the three nearest, in [-10, 1].

    ``among`` [M, 3] are the points to choose from, which hold ``points`` themselves too (default: just these).
    """
    out = []
    for block in points.split(2048):
        squared = torch.cdist(block, points if among is None else among).square_()
        out.append(squared.topk(4, largest=False).values[:, 1:].mean(-1))
    return (0.5 * torch.log(torch.cat(out).clamp_min(1e-7))).clamp(-10, 1)


class Recipe:
    """One run of the published training on a CUDA device."""

    def __init__(self, clip: Clip, perception: ClipPerception, config: RecipeConfig | None = None) -> None:
        if not available():
            raise BackendUnavailable("The recipe 'holotime' needs a CUDA device and the package gsplat; install both.")
        self.clip, self.config, self.device = clip, config or RecipeConfig(), torch.device("cuda")
        self.random = torch.Generator().manual_seed(self.config.seed)
        sky = sky_shell(perception.distance)
        depths = 1 / np.stack([invert(d, sky) for d in perception.distance])
        depths = np.broadcast_to(depths, clip.frames.shape[:3]).astype(np.float32)
        self._start(perception, depths)
        self._views(depths)
        self.guided = Guided(self._farthest())
        self.steps, self.spent = 0, 0.0

    def _start(self, perception: ClipPerception, depths: np.ndarray) -> None:
        """The cloud as splats; the camera frame is turned into the world (Z up)."""
        clip = self.clip
        size = recipe_inputs.FLOW_SIZE
        scale = np.array([size[1] / perception.flow_forward.shape[2], size[0] / perception.flow_forward.shape[1]])
        flows = [cv2.resize(f.astype(np.float32), size[::-1]) * scale for f in perception.flow_forward[:-1]]
        masks = recipe_inputs.flow_masks(np.array(flows).reshape(-1, *size, 2), (clip.height, clip.width)) if (
            flows
        ) else (np.zeros((0, clip.height, clip.width), np.uint8),) * 2  # fmt: skip
        seed = np.random.RandomState(self.config.seed)
        xyz, t, rgb = recipe_inputs.temporal_cloud(clip.frames, depths, *masks, seed)
        means = torch.from_numpy(np.stack([xyz[:, 0], xyz[:, 2], -xyz[:, 1]], -1)).to(self.device)
        count = len(means)
        quats = torch.zeros(count, 4, device=self.device)
        quats[:, 0] = 1
        zeros = torch.zeros(count, device=self.device)
        self.bounds = means.amin(0), means.amax(0)
        self.model = SpacetimeGaussians(
            means=means,
            motion=torch.zeros(count, 3, 3, device=self.device),
            quats=quats,
            omegas=torch.zeros_like(quats),
            log_scales=nearest_scales(means)[:, None].repeat(1, 3),
            opacity_logits=torch.full_like(zeros, math.log(0.1 / 0.9)),
            t_centers=torch.from_numpy(t).to(self.device),
            t_log_scales=zeros.clone(),
            colors=torch.from_numpy(rgb).to(self.device),
        ).requires_grad_()
        self.adam = self._optimiser()
        self.pull, self.count = torch.zeros_like(zeros), torch.zeros_like(zeros)

    def _optimiser(self) -> Adam:
        groups = {n: Group(t, RATES[n], 1e-15) for n, t in self.model.tensors().items()}
        return Adam(groups, (0.9, 0.999))

    def _views(self, depths: np.ndarray) -> None:
        """All images and masks [T, 120, S, S(, 3)] uint8 on the device, and the cameras."""
        images, masks = [], []
        for frame, depth in zip(self.clip.frames, depths, strict=True):
            found = list(
                recipe_inputs.views_of(torch.from_numpy(frame), torch.from_numpy(depth), self.config.size, "cuda")
            )
            found.sort(key=lambda entry: entry[0])
            images.append(torch.stack([image for _, image, _ in found]))
            masks.append(torch.stack([mask for _, _, mask in found]))
        self.images, self.masks = torch.stack(images), torch.stack(masks)
        world = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # camera frame to world
        viewmats, ks = [], []
        for camera in recipe_inputs.cameras():
            matrix = torch.eye(4)
            matrix[:3, :3], matrix[:3, 3] = camera.rotation.T @ world.T, camera.translation
            focal = self.config.size / (2 * math.tan(camera.fov / 2))
            half = self.config.size / 2
            viewmats.append(matrix)
            ks.append(torch.tensor([[focal, 0, half], [0, focal, half], [0, 0, 1.0]]))
        self.viewmats, self.ks = torch.stack(viewmats).to(self.device), torch.stack(ks).to(self.device)

    def _draw(self, frame: int, cameras: Tensor, mode: str = "RGB") -> tuple[Tensor, Tensor, dict[str, Any]]:
        """Pictures [B, S, S, C], alpha [B, S, S, 1] and what gsplat knows of the splats."""
        import gsplat

        splats, size = self.model.at(float(self.clip.times[frame])), self.config.size
        parts = (splats.means, splats.quats, splats.scales, splats.opacities, splats.colors)
        views = (self.viewmats[cameras], self.ks[cameras], size, size)
        return gsplat.rasterization(*parts, *views, near_plane=0.2, eps2d=0.3, packed=False, render_mode=mode)

    @torch.no_grad()
    def _farthest(self) -> Tensor:
        """[120] the farthest depth that each camera sees in the first frame of the initial cloud."""
        out = []
        for camera in range(len(self.viewmats)):
            depth, alpha, _ = self._draw(0, torch.tensor([camera]), "ED")
            solid = depth[..., 0][alpha[..., 0] > 0.5]
            out.append(float(solid.max()) if len(solid) else UNSEEN)
        return torch.tensor(out)

    def advance(self) -> None:
        """One iteration."""
        self.steps += 1
        size = self.config.size
        frame = int(torch.randint(len(self.clip), (), generator=self.random))
        pair = torch.randperm(120, generator=self.random)[:2]
        color, _, info = self._draw(frame, pair)
        info["means2d"].retain_grad()
        images, masks = self.images[frame, pair].permute(0, 3, 1, 2) / 255, self.masks[frame, pair] / 255
        pictures = color.permute(0, 3, 1, 2)
        terms = [masked_l1_ssim(pictures[k], images[k], masks[k]) for k in range(2)]
        ((terms[0][2] + terms[1][2]) / 2).backward()
        replaced = self._densify(info["means2d"].grad[1] * size, info["radii"][1])
        if self.steps >= FROM and self.guided.chosen != []:  # reading the similarities makes the device wait
            replaced |= self._guide(pair.tolist(), [float(term[1]) for term in terms], pictures[1], images[1])
        if not replaced:
            self.adam.groups["means"].rate = position_rate(self.steps, EXTENT)
            self.adam.step()

    @torch.no_grad()
    def _densify(self, gradient: Tensor, radii: Tensor) -> bool:
        """Clone, split and prune where the schedule wants it; whether the splats were replaced.

        ``gradient`` [N, 2] of the last camera's loss by NDC (the batch's mean halves it, NDC are size / 2 pixels).
        """
        step = self.steps
        if step < 3000:
            seen = (radii > 0).all(-1)
            self.pull += torch.where(seen, gradient.norm(dim=-1), torch.zeros_like(self.pull))
            self.count += seen
        if step == 10_000:
            low, high = self.bounds
            inside = ((self.model.means >= low) & (self.model.means <= high)).all(-1)
            return self._take(torch.nonzero(inside)[:, 0], None)
        if step % 100 or not 600 <= step < 3000:
            return False
        if step > 1500:
            return self._take(torch.nonzero(torch.sigmoid(self.model.opacity_logits) >= FAINT)[:, 0], None)
        strong = self.pull / self.count.clamp_min(1) >= GRADIENT
        largest = torch.exp(self.model.log_scales).amax(-1)
        clone, split = strong & (largest <= SMALL), strong & (largest > SMALL)
        keep = torch.nonzero(~split)[:, 0]
        children = torch.nonzero(split)[:, 0].repeat(2)
        source = torch.cat([keep, torch.nonzero(clone)[:, 0], children])
        return self._take(source, len(children), fresh=len(source) - len(keep))

    @torch.no_grad()
    def _guide(self, cameras: list[int], similarities: list[float], picture: Tensor, target: Tensor) -> bool:
        """New splats where the last of the two cameras errs, if it is its turn; whether there are any."""
        self.guided.observe(self.steps, cameras, similarities)
        camera = cameras[-1]
        if not self.guided.due(self.steps, camera, similarities[-1]):
            return False
        pixels = bad_pixels(picture, target)
        if not len(pixels):
            return False
        view = (self.viewmats[camera], self.ks[camera])
        new = sampled(pixels, target, *view, float(self.guided.farthest[camera]), self.random)
        among = torch.cat([self.model.means.detach(), new["means"]])
        new["log_scales"] = nearest_scales(new["means"], among)[:, None].repeat(1, 3)
        state = self.adam.state()
        for name, tensor in self.model.tensors().items():
            setattr(self.model, name, torch.cat([tensor.detach(), new[name]]).requires_grad_(True))
            for k in ("mean", "square"):
                state[f"{name}.{k}"] = torch.cat([state[f"{name}.{k}"], torch.zeros_like(new[name])])
        steps = self.adam.steps + 1
        self.adam = self._optimiser()
        self.adam.load(state, steps)
        self.pull = torch.zeros(len(among), device=self.device)
        self.count = torch.zeros_like(self.pull)
        return True

    def _take(self, source: Tensor, children: int | None, fresh: int = 0) -> bool:
        """Replace the splats by rows ``source``; the last ``fresh`` are new, of these the last ``children`` halves."""
        state, m = self.adam.state(), self.model
        rows = {name: tensor.detach()[source].clone() for name, tensor in m.tensors().items()}
        if fresh:
            rows["t_centers"][-fresh:] = torch.rand(fresh, generator=self.random).to(self.device)
        if children:
            scales = torch.exp(rows["log_scales"][-children:])
            noise = torch.randn(children, 3, generator=self.random).to(self.device) * scales
            rows["means"][-children:] += (rotations(rows["quats"][-children:]) @ noise[..., None])[..., 0]
            rows["log_scales"][-children:] -= math.log(1.6)
        for name, tensor in rows.items():
            setattr(m, name, tensor.requires_grad_(True))
            for k in ("mean", "square"):
                state[f"{name}.{k}"] = state[f"{name}.{k}"][source]
                if fresh:
                    state[f"{name}.{k}"][-fresh:] = 0
        steps = self.adam.steps + 1
        self.adam = self._optimiser()
        self.adam.load(state, steps)
        self.pull = torch.zeros(len(source), device=self.device)
        self.count = torch.zeros_like(self.pull)
        return True

    def run(
        self, *, progress: Progress = no_progress, watch: Callable[["Recipe"], None] | None = None, every: int = 2000
    ) -> Scene4D:
        """Train to the end, or until the time is up; ``watch`` is called every so many iterations, off the clock."""
        begin = time.perf_counter()
        c = self.config
        while self.steps < c.iterations and (c.seconds is None or self.spent < c.seconds):
            self.advance()
            if self.steps % 10 == 0:
                torch.cuda.synchronize()
                self.spent += time.perf_counter() - begin
                begin = time.perf_counter()
                progress(self.steps / c.iterations, f"published recipe, iteration {self.steps}")
                if watch and self.steps % every == 0:
                    watch(self)
                    begin = time.perf_counter()
        return self.scene()

    def scene(self) -> Scene4D:
        """The present state as a scene."""
        clip = self.clip
        empty: dict[str, Any] = {n: np.zeros((0, *tail), np.float32) for n, tail in Scene4D.TENSORS.items()}
        like = Scene4D(**empty, duration=clip.duration, fps=clip.fps, loop=clip.loop)
        like.provenance = {"recipe": "holotime", "iterations": self.steps, "seconds": round(self.spent, 1)}
        return self.model.scene(like)
