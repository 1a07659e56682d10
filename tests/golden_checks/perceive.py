"""Goldens of distance and what is made from it: perspective views, points, warp, flow over the seam, alignment."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch

from golden_checks import SINGLE, Case, compare, golden, load
from holotime import sphere
from holotime.perceive.align import align
from holotime.perceive.fuse import fuse
from holotime.perceive.observe import Scene
from holotime.perceive.views import Views, sample_panorama
from holotime.reconstruct import original

PIXELS = 5e-3  # tolerance of sampled colours in 0..255
WARP_COLOURS = 8.0  # largest difference of warped colours in 0..255 (rounding decides at integer positions)
WARP_MEAN = 0.3  # their mean difference
WARP_PIXELS = 2.0  # mask pixels that may differ


@golden("pers_cameras")
def cameras(path: Path) -> Iterator[Case]:
    """The published helper's cameras and pictures, and the clean cameras against them."""
    io, metadata = load(path)
    size = int(metadata["gen_res"])
    for name in sorted({k.split(".c2w_raw")[0] for k in io if k.endswith(".c2w_raw")}):
        ratio = float(name.removeprefix("r"))
        found = original.compat_cameras(ratio)
        yield compare(f"{name} centres", found.to, io[f"{name}.to_vecs"], 1e-6)
        yield compare(f"{name} down", found.down, io[f"{name}.down_vecs"], 1e-6)
        yield compare(f"{name} right", found.right, io[f"{name}.right_vecs"], 1e-6)
        yield compare(f"{name} published c2w", found.c2w, io[f"{name}.c2w_raw"], 1e-5)
        for axis in ("fovx", "fovy"):
            yield compare(f"{name} published {axis}", torch.full((20, 1), found.fov), io[f"{name}.{axis}_raw"], 1e-6)
        directions, ratios = original.view_directions(ratio, size)
        for view in (0, 7):
            yield compare(f"{name} directions {view}", directions[view], io[f"{name}.dirs_view{view}"], 1e-6)
        yield compare(f"{name} distance over depth", ratios, io[f"{name}.pers_ratios"], 1e-6)
        coordinates = original.view_coordinates(directions[0])
        yield compare(f"{name} coordinates", coordinates, io[f"{name}.img_coords_view0"], 1e-6)
        pictures = original.sample_views(io["pano"], ratio, size)
        yield compare(f"{name} pictures", pictures, io[f"{name}.views"], PIXELS)

        # The clean cameras look along the same rays: their columns are the published ones, normalised.
        clean = Views.icosahedron(size, ratio)
        yield compare(
            f"{name} true fov", 2 * math.atan(math.tan(found.fov / 2) / float(found.to[0].norm())), clean.fov, 1e-6
        )
        x, y, z = clean.directions().unbind(-1)  # x right, y ahead, z up
        yield compare(f"{name} clean directions", torch.stack([y, -x, z], -1), directions, 1e-6)
        yield compare(f"{name} clean distance over depth", clean.rays().norm(dim=-1, keepdim=True), ratios, 1e-6)
        published = io[f"{name}.c2w_raw"]
        unit = published / published.norm(dim=1, keepdim=True)
        right, down, ahead = clean.rotation.unbind(1)  # rows: x, y, z of the world
        yield compare(f"{name} clean c2w", torch.stack([right, -ahead, down], 1), unit, 1e-5)


@golden("point_cloud")
def point_cloud(path: Path) -> Iterator[Case]:
    """Panorama pixels to points."""
    io, _ = load(path)
    points, colours = original.point_cloud(io["image"], io["depth"])
    yield compare("points", points, io["points"], SINGLE)
    yield compare("colours", colours, io["colors"], 1e-6)


@golden("warp")
def warp(path: Path) -> Iterator[Case]:
    """Forward splatting into displaced cameras."""
    io, _ = load(path)
    colours, masks, depths = original.warp(io["image"], io["depth"], io["poses"], io["intrinsic"])
    differ = (masks != io["mask"]).sum().item()
    yield compare("mask pixels that differ", differ, 0, WARP_PIXELS)
    both = (masks > 0) & (io["mask"] > 0)
    yield compare("colours", colours[both], io["warped_rgb"][both], WARP_COLOURS)
    yield compare("colours, mean", (colours[both] - io["warped_rgb"][both]).abs().mean(), 0, WARP_MEAN)
    yield compare("depth, mean", (depths[both] - io["warped_depth"][both]).abs().mean(), 0, 1e-3)
    holes = (masks == 0) & (io["mask"] == 0)
    yield compare("holes are white", colours[holes], io["warped_rgb"][holes], 0)


@golden("cfe")
def cyclic_flow(path: Path) -> Iterator[Case]:
    """Both passes see what the published code gives them, and their results are joined as there."""
    io, _ = load(path)
    seen = []

    def estimate(first: torch.Tensor, second: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        seen.append(torch.stack([first, second, context]))
        return io["flow_from_BA" if len(seen) == 1 else "flow_from_AB"]

    flow = original.cyclic_flow(estimate, io["feat"], io["feat"] + 1, io["feat"] + 2)
    for number, features in enumerate(seen, start=1):
        yield compare(f"features of pass {number}", features, io[f"packed_call{number}"], 0)
    yield compare("flow", flow, io["flow_out"], 1e-6)


@golden("depth_alignment")
def alignment(path: Path) -> Iterator[Case]:
    """Our alignment where the published optimiser was run: exact depth but for the scale of each view."""
    io, metadata = load(path)
    views = Views.icosahedron(int(metadata["gen_res"]), 1.1)
    red = io["frames"][..., 0].float()
    truth = 2 + 6 * red / 255
    directions, length = views.directions(), views.rays().norm(dim=-1)
    predictions = [
        (2 + 6 * sample_panorama(frame[None], directions)[0] / 255) / length * io["view_scale"][:, None, None]
        for frame in red
    ]
    moving = (io["mask_pre"] | io["mask_post"]).amax(0) > 0
    none = torch.zeros_like(red[0])
    scene = Scene(torch.full_like(none, 4.0), none > 0, none, none, moving)
    found = align(predictions, "depth", views, scene)
    rays = torch.from_numpy(sphere.directions(red.shape[1]).copy())
    distance = fuse(predictions, found, views, rays, moving).exp()
    weight = torch.from_numpy(sphere.solid_angles(red.shape[1]).copy())

    def error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Largest over the frames of the mean relative error, each frame weighted by solid angle, one scale for all."""
        relative = (a * (b / a).median() / b - 1).abs()
        return ((relative * weight).sum((1, 2)) / (weight.sum() * relative.shape[2])).max()

    yield compare("published field against the truth", error(io["distances"], truth), 0, 0.01)
    yield compare("mean relative error", error(distance, truth), 0, 0.01)
    yield compare("against the published field", error(distance, io["distances"]), 0, 0.01)
