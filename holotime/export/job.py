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
from holotime.export.ply import write_ply, write_ply_sequence
from holotime.progress import Progress, no_progress
from holotime.scene4d import Scene4D

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold: the same scene gives the same bytes


def _ply(scene: Scene4D, config: "ExportConfig", folder: Path, progress: Progress) -> Path:
    times = scene.frame_times()
    if config.frame >= len(times):
        raise InputError(f"The scene has frames 0 to {len(times) - 1}; there is no frame {config.frame}.")
    return write_ply(folder / f"scene_{config.frame:04d}.ply", scene.at(float(times[config.frame])))


def _ply_sequence(scene: Scene4D, config: "ExportConfig", folder: Path, progress: Progress) -> Path:
    target = folder / "scene_ply.zip"
    with TemporaryDirectory(dir=folder) as temporary, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in write_ply_sequence(temporary, scene, progress=progress):
            with archive.open(zipfile.ZipInfo(path.name, EPOCH), "w") as entry:
                entry.write(path.read_bytes())
            path.unlink()
    return target


WRITERS: dict[str, Callable[[Scene4D, "ExportConfig", Path, Progress], Path]] = {
    "ply": _ply,
    "ply_sequence": _ply_sequence,
}


@dataclass(frozen=True)
class ExportConfig:
    """What a scene is written as."""

    format: str = setting("ply", "ply: one frame; ply_sequence: all frames, in a zip", choices=tuple(WRITERS))
    frame: int = setting(0, "which frame, for ply", range=(0, 100_000))


def export(scene: Scene4D, config: ExportConfig, folder: Path, *, progress: Progress = no_progress) -> Path:
    """Write the scene into ``folder``; gives the file. InputError for a frame that the scene lacks."""
    return WRITERS[config.format](scene, config, folder, progress)
