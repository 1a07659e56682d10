"""Every format that a scene can be written as or read from, by name and by the ending of a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holotime.errors import InputError
from holotime.export.four_dgs import read_4dgs, write_4dgs
from holotime.export.frames import chosen_frames
from holotime.export.ply import read_ply, write_ply
from holotime.export.splat import read_splat, write_splat
from holotime.export.spz import read_spz, write_spz
from holotime.export.usd import write_usd
from holotime.progress import Progress, no_progress, track
from holotime.scene4d import Gaussians, Scene4D

ONE_TIME: dict[str, Callable[[Path, Gaussians], Path]] = {"ply": write_ply, "spz": write_spz, "splat": write_splat}
MOVING = {"4dgs": (".4dgs",), "usd": (".usd", ".usdc", ".usda")}
FORMATS = (*ONE_TIME, *MOVING)
READERS: dict[str, Callable[[Path], Scene4D]] = {
    ".ply": read_ply,
    ".spz": read_spz,
    ".splat": read_splat,
    ".4dgs": read_4dgs,
}


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: list[Path]
    notes: list[str]  # what the format could not hold


def endings(format: str) -> tuple[str, ...]:
    """File endings of a format. InputError for an unknown one."""
    if format not in FORMATS:
        raise InputError(f"Unknown format '{format}'. Known are {', '.join(FORMATS)}.")
    return MOVING.get(format, (f".{format}",))


def export_scene(
    scene: Scene4D,
    format: str,
    output: Path,
    *,
    frames: range | None = None,
    time: float = 0.0,
    progress: Progress = no_progress,
) -> Exported:
    """Write a scene.

    Args:
        format: one of FORMATS. ply, spz and splat hold one time: a file with their ending gets the scene at ``time``,
            any other ``output`` is a folder for one file a frame. 4dgs and usd hold motion in one file.
        frames: frames to write (all if None); a .4dgs is no sequence of frames and always holds the whole scene.
        time: scene time in [0, 1] for a single file.

    Raises InputError for frames that the scene lacks, BackendUnavailable when a format's package is missing.
    """
    suffixes = endings(format)
    if not len(scene):
        raise InputError("The scene holds no splats; there is nothing to export.")
    single = output.suffix.lower() in suffixes
    if format == "usd":
        return Exported([write_usd(_file(output, suffixes, single), scene, frames, progress=progress)], [])
    if format == "4dgs":
        if frames is not None:
            raise InputError("A .4dgs file holds the whole scene. Leave --frames out, or export ply, spz or splat.")
        path, notes = write_4dgs(_file(output, suffixes, single), scene)
        progress(1.0, "written")
        return Exported([path], notes)
    write = ONE_TIME[format]
    if single and frames is None:
        return Exported([write(output, scene.at(time))], [])
    if single:
        raise InputError(f"{output} is one file; for frames give a folder.")
    times = scene.frame_times()
    files = [
        write(output / f"frame_{i:04d}{suffixes[0]}", scene.at(float(times[i])))
        for i in track(chosen_frames(scene, frames), progress, f"writing {format}")
    ]
    return Exported(files, [])


def _file(output: Path, suffixes: tuple[str, ...], fits: bool) -> Path:
    if not fits:
        raise InputError(f"The output {output} must end in {' or '.join(suffixes)}.")
    return output


def import_scene(path: Path) -> Scene4D:
    """Read a splat file of another program (.ply, .spz, .splat, .4dgs) as a scene."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} cannot be imported. Known endings are {', '.join(READERS)}.")
    if not path.is_file():
        raise InputError(f"{path} does not exist. Check the name.")
    return reader(path)
