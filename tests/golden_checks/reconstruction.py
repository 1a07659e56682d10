"""Goldens of the reconstruction: Spacetime Gaussians and the published recipe's training inputs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from golden_checks import Case, compare, golden, load
from holotime.reconstruct.training import recipe_inputs
from holotime.reconstruct.training.losses import masked_l1_ssim
from holotime.reconstruct.training.model import Sandwich, SpacetimeGaussians
from holotime.reconstruct.training.recipe import position_rate

EXACT = 2e-6
NAMES = {
    "xyz": "means",
    "motion": "motion",
    "rotation": "quats",
    "omega": "omegas",
    "scaling": "log_scales",
    "opacity": "opacity_logits",
    "trbf_center": "t_centers",
    "trbf_scale": "t_log_scales",
    "features_dc": "colors",
    "features_t": "features_t",
}
OUTPUTS = {
    "means3D": "means",
    "rotations": "quats",
    "scales": "scales",
    "opacities": "opacities",
    "colors_precomp": "colors",
}


def _model(io: dict[str, torch.Tensor], prefix: str) -> SpacetimeGaussians:
    values = {ours: io[f"{prefix}.{name}"].float() for name, ours in NAMES.items() if f"{prefix}.{name}" in io}
    values["motion"] = values["motion"].reshape(-1, 3, 3)
    for name in ("opacity_logits", "t_centers", "t_log_scales"):
        values[name] = values[name][:, 0]
    return SpacetimeGaussians(**values)


@golden("spacetime_gaussians")
def spacetime_gaussians(path: Path) -> Iterator[Case]:
    """Both models over time, the decoder, gradients (dt detached), the loss, the positions' learning rate."""
    io, _ = load(path)
    for kind in ("lite", "full"):
        model = _model(io, f"{kind}.param")
        for key in sorted(k.split(".")[1] for k in io if k.startswith(f"{kind}.t") and k.endswith(".timestamp")):
            splats = model.at(io[f"{kind}.{key}.timestamp"])
            for name, ours in OUTPUTS.items():
                want = io[f"{kind}.{key}.{name}"]
                got = getattr(splats, ours)
                yield compare(f"{kind}.{key}.{name}", got[:, None] if name == "opacities" else got, want, EXACT)
    decoder = Sandwich()
    decoder.load_state_dict({k.removeprefix("full.decoder."): io[k] for k in io if k.startswith("full.decoder.")})
    yield compare(
        "full.decoded", decoder(io["full.feature_image"][None], io["full.rays"])[0], io["full.decoded"], EXACT
    )
    yield from _gradients(io)
    for name, got in zip(("l1", "ssim", "total"), masked_l1_ssim(*(io[f"loss.{k}"] for k in ("image", "gt", "mask"))),
                         strict=True):  # fmt: skip
        yield compare(f"loss.{name}", got, io[f"loss.{name}"], EXACT)
    rates = [position_rate(int(i), 0.33) for i in io["lr.iters"]]
    yield compare("lr.xyz", np.array(rates) / io["lr.xyz"].numpy(), np.ones(len(rates)), 1e-5)


def _gradients(io: dict[str, torch.Tensor]) -> Iterator[Case]:
    with torch.inference_mode(False), torch.enable_grad():
        io = {k: v.clone() for k, v in io.items()}
        model = _model(io, "grad.param").requires_grad_(True)
        splats = model.at(io["grad.timestamp"])
        total = torch.zeros(())
        for name, ours in OUTPUTS.items():
            got = getattr(splats, ours)
            total = total + (io[f"grad.weight.{name}"] * (got[:, None] if name == "opacities" else got)).sum()
        total.backward()
    for name, ours in NAMES.items():
        if (key := f"grad.grad.{name}") in io:
            yield compare(key, getattr(model, ours).grad.reshape(io[key].shape), io[key], 1e-5)


@golden("reconstruction_inputs")
def reconstruction_inputs(path: Path) -> Iterator[Case]:
    """Flow masks, the cloud over time, all cameras, and the selected views of two frames."""
    io, meta = load(path)
    size = tuple(io["frames"].shape[1:3])
    flows = np.zeros((len(io["flow_rects"]), 512, 1024, 2), np.float32)
    for flow, rects in zip(flows, io["flow_rects"].numpy(), strict=True):
        for x, y, w, h, u, v in rects:
            flow[int(y) : int(y + h), int(x) : int(x + w)] = u, v
    before, after = recipe_inputs.flow_masks(flows, size)
    yield compare("mask_pre", before, io["mask_pre"], 0)
    yield compare("mask_post", after, io["mask_post"], 0)

    frames, depths = io["frames"].numpy(), io["depths"][..., 0].numpy()
    seed = np.random.RandomState(int(meta["np_seed"]))
    xyz, t, rgb = recipe_inputs.temporal_cloud(frames, depths, before, after, seed)
    ply = io["ply"].numpy()
    yield compare("ply.xyz", xyz, ply[:, :3], 1e-5)
    yield compare("ply.t", t, ply[:, 3], 1e-6)
    yield compare("ply.rgb", np.round(rgb * 255), ply[:, 7:], 1)

    poses = np.stack([camera.pose() for camera in recipe_inputs.cameras()])
    yield compare("traj_npy", poses, io["traj_npy"], 1e-5)
    resolution = int(meta["pers_res"])
    text = recipe_inputs.camera_params(2, resolution).split()
    wanted = str(meta["camera_params"]).split()
    same = [a == b or abs(float(a) - float(b)) < 1e-4 for a, b in zip(text, wanted, strict=True)]
    yield compare("camera_params", np.array(same, np.float32), np.ones(len(same)), 0)

    selected = [int(name.removeprefix("cam")) for name in meta["selected_cams"]]
    for frame in range(io["view_frames_bgr"].shape[1]):
        views = recipe_inputs.views_of(io["frames"][frame], io["depths"][frame, ..., 0], resolution)
        found = {camera: (image, mask) for camera, image, mask in views}
        for k, camera in enumerate(selected):
            image, mask = found[camera]
            difference = (image.flip(-1).float() - io["view_frames_bgr"][k, frame].float()).abs()
            wrong = int((mask != io["view_masks"][k, frame]).sum())
            yield Case(f"view.{camera}.{frame}.mask pixels", float(wrong), 2)
            both = ((mask > 0) & (io["view_masks"][k, frame] > 0))[..., None].expand_as(difference)
            # A pixel that lands within rounding of a whole number counts twice or once: a few may differ by more.
            off = int(((difference > 8) & both).any(-1).sum())
            yield Case(f"view.{camera}.{frame}.pixels off by more than 8", float(off), 4)
            yield Case(f"view.{camera}.{frame}.mean", float(difference[both].mean()), 0.3)
