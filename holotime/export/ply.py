"""3DGS PLY, the format that splat viewers and Blender's importers read: one time of a scene, or a numbered sequence.

Little-endian float32 vertices, named as by Kerbl et al. 2023: x y z nx ny nz f_dc_0..2 opacity scale_0..2 rot_0..3;
colour is the zeroth spherical harmonic, opacity a logit, scale a logarithm, rotation wxyz. World as in Scene4D: metres,
Z up (many viewers assume Y down; nothing is turned here, so that Blender gets it upright).
"""

from pathlib import Path

import numpy as np

from holotime.errors import InputError
from holotime.export.frames import chosen_frames
from holotime.files import write_whole
from holotime.progress import Progress, no_progress, track
from holotime.scene4d import ALWAYS, Gaussians, Scene4D

SH0 = 0.28209479177387814  # the constant spherical harmonic, 1 / (2 sqrt(pi))
NAMES: tuple[str, ...] = ("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity")
NAMES += ("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")


def write_ply(path: Path | str, gaussians: Gaussians) -> Path:
    """Write the Gaussians of one time; the file appears when it is complete."""
    opacity = np.clip(gaussians.opacities, 1e-6, 1 - 1e-6)[:, None]
    columns = [
        gaussians.means,
        np.zeros_like(gaussians.means),
        (gaussians.colors - 0.5) / SH0,
        np.log(opacity / (1 - opacity)),
        np.log(np.maximum(gaussians.scales, 1e-9)),
        gaussians.quats,
    ]
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(gaussians)}\n"
    header += "".join(f"property float {name}\n" for name in NAMES) + "end_header\n"
    return write_whole(path, header.encode() + np.hstack(columns).astype("<f4").tobytes())


def write_ply_sequence(
    folder: Path | str, scene: Scene4D, frames: range | None = None, *, progress: Progress = no_progress
) -> list[Path]:
    """Write frames of the scene as FOLDER/frame_0000.ply and on, numbered by frame; all if ``frames`` is None."""
    times = scene.frame_times()
    chosen = chosen_frames(scene, frames)
    folder = Path(folder)
    return [
        write_ply(folder / f"frame_{i:04d}.ply", scene.at(float(times[i])))
        for i in track(chosen, progress, "writing PLY")
    ]


def read_ply(path: Path | str) -> Scene4D:
    """A 3DGS PLY as a scene that stands still. Higher spherical harmonics are left out. InputError if it is not one."""
    path = Path(path)
    try:
        data = path.read_bytes()
        end = data.index(b"end_header\n") + len(b"end_header\n")
        lines = data[:end].decode("ascii").split("\n")
        if lines[0] != "ply" or "format binary_little_endian 1.0" not in lines:
            raise ValueError("not a little-endian binary PLY")
        count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
        names = [line.split()[2] for line in lines if line.startswith("property")]
        if any(line.split()[1] not in ("float", "float32") for line in lines if line.startswith("property")):
            raise ValueError("a property is not a float")
        table = np.frombuffer(data, "<f4", count * len(names), end).reshape(count, len(names)).astype(np.float32)
        column = {name: table[:, i] for i, name in enumerate(names)}
        take = {
            name: np.stack([column[n] for n in NAMES if n.startswith(name)], -1) for name in ("f_dc", "scale", "rot")
        }
        means, opacity = np.stack([column[n] for n in "xyz"], -1), column["opacity"]
    except (OSError, ValueError, KeyError, StopIteration, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable 3DGS PLY ({error}). Export it as binary little-endian.") from error
    if not np.isfinite(means).all() or not count:
        raise InputError(f"{path} holds no splats, or positions that are not numbers. Export it again.")
    zeros = np.zeros(count, np.float32)
    return Scene4D(
        means=means,
        motion=np.zeros((count, 3, 3), np.float32),
        quats=take["rot"],
        omegas=np.zeros((count, 4), np.float32),
        log_scales=take["scale"],
        opacity_logits=opacity,
        t_centers=zeros,
        t_log_scales=np.full(count, ALWAYS, np.float32),
        colors=take["f_dc"] * SH0 + 0.5,
        provenance={"source": path.name},
    )
