"""Export as a job: a scene file becomes one file of another format.

A new format is one entry in :data:`WRITERS`.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from holotime.config import setting
from holotime.errors import InputError
from holotime.export.formats import export_scene
from holotime.export.ply import write_ply_sequence
from holotime.progress import Progress, no_progress
from holotime.scene4d import Scene4D

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold: the same scene gives the same bytes


def _frame(scene: Scene4D, config: "ExportConfig", folder: Path, progress: Progress) -> Path:
    times = scene.frame_times()
    if config.frame >= len(times):
        raise InputError(f"The scene has frames 0 to {len(times) - 1}; there is no frame {config.frame}.")
    target = folder / f"scene_{config.frame:04d}.{config.format}"
    return export_scene(scene, config.format, target, time=float(times[config.frame]), progress=progress).files[0]


def _whole(scene: Scene4D, config: "ExportConfig", folder: Path, progress: Progress) -> Path:
    return export_scene(scene, config.format, folder / f"scene.{config.format}", progress=progress).files[0]


def _ply_sequence(scene: Scene4D, config: "ExportConfig", folder: Path, progress: Progress) -> Path:
    target = folder / "scene_ply.zip"
    with TemporaryDirectory(dir=folder) as temporary, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in write_ply_sequence(temporary, scene, progress=progress):
            with archive.open(zipfile.ZipInfo(path.name, EPOCH), "w") as entry:
                entry.write(path.read_bytes())
            path.unlink()
    return target


WRITERS: dict[str, Callable[[Scene4D, "ExportConfig", Path, Progress], Path]] = {
    "ply": _frame,
    "ply_sequence": _ply_sequence,
    "spz": _frame,
    "splat": _frame,
    "4dgs": _whole,
    "usd": _whole,
}


@dataclass(frozen=True)
class ExportConfig:
    """What a scene is written as."""

    format: str = setting(
        "ply",
        "ply, spz, splat: one frame; ply_sequence: all frames, in a zip; 4dgs, usd: the moving scene",
        choices=tuple(WRITERS),
    )
    frame: int = setting(0, "which frame, for ply, spz and splat", range=(0, 100_000))


def export(scene: Scene4D, config: ExportConfig, folder: Path, *, progress: Progress = no_progress) -> Path:
    """Write the scene into ``folder``; gives the file. InputError for a frame that the scene lacks."""
    return WRITERS[config.format](scene, config, folder, progress)
