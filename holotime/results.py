"""What a job has made, in memory, and as the files that an artist gets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotime import report_pictures
from holotime.clip import Clip, write_clip
from holotime.perceive import ClipPerception
from holotime.report import write_report
from holotime.scene4d import Scene4D


@dataclass
class Generated:
    """The results of a job in memory, with the numbers of its report."""

    clip: Clip
    perception: ClipPerception
    scene: Scene4D
    report: dict[str, Any] = field(default_factory=dict)


def write_results(result: Generated, folder: Path) -> dict[str, Path]:
    """Write clip.mp4, scene.safetensors, the report and its pictures; name -> path of every file."""
    folder.mkdir(parents=True, exist_ok=True)
    clip, scene = result.clip, result.scene
    write_clip(folder / "clip.mp4", clip)
    scene.save(folder / "scene.safetensors")
    middle = len(clip) // 2
    eye, alpha = from_the_eye(scene, float(clip.times[middle]), clip.width, clip.height)
    sheets = {
        "report_contact.jpg": report_pictures.contact_sheet(clip.frames),
        "report_seam.jpg": report_pictures.seam_strip(clip.frames),
        "report_poles.jpg": report_pictures.poles(clip.frames),
        "report_distance.jpg": report_pictures.distance_map(result.perception.distance[0]),
        "report_classes.jpg": report_pictures.class_map(result.perception.classes),
        "report_eye.jpg": report_pictures.side_by_side(
            report_pictures.thumbnail(clip.frames[middle], 768),
            report_pictures.thumbnail(eye, 768),
            ("clip", f"scene, {result.report['eye_psnr_db']:.1f} dB"),
        ),
        "report_coverage.jpg": report_pictures.coverage_map(alpha),
    }
    for name, image in sheets.items():
        (folder / name).write_bytes(report_pictures.jpeg(image))
    write_report(folder, result.report)
    names = ["clip.mp4", "scene.safetensors", "report.json", "report.html", *sheets]
    return {name: folder / name for name in names}


def from_the_eye(scene: Scene4D, t: float, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """([height, width, 3] the scene at t in [0, 1] with its holes filled, [height, width] opacity)."""
    from holotime.render import EquirectCamera, fill_holes, rasterize

    picture = rasterize(scene.at(t), EquirectCamera(width, height))
    return np.round(255 * np.clip(fill_holes(picture), 0, 1)).astype(np.uint8), picture.alpha


def preview(image: NDArray[np.uint8]) -> bytes:
    """A JPEG thumbnail of image [H, W, 3] sRGB."""
    return report_pictures.jpeg(report_pictures.thumbnail(image), 80)
