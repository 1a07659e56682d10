"""Make the sample panoramas of presets/samples. Run with a Python that has bpy:

    python tools/make_samples.py            # all
    python tools/make_samples.py sunset     # some

Three are CC0 photographs that come inside Blender, developed for the screen; the lagoon is modelled and rendered here.
Every picture is rolled by a few columns to where the join at +-180 degrees differs as much as any two neighbouring
columns do, so that the number that tests check can tell a true seam from a busy one.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

SAMPLES = Path(__file__).resolve().parent.parent / "presets" / "samples"
LARGEST = 1_000_000  # bytes


@dataclass(frozen=True)
class Development:
    """How a linear picture becomes one for the screen."""

    middle: float  # what the typical (log-mean) brightness becomes, linear; 0.18 is a photographer's middle grey
    transform: str = "AgX"  # Blender's view transform: AgX pales towards white, Filmic keeps gold golden
    look: str = "AgX - Medium High Contrast"  # that transform's contrast
    glare: float = 0.0  # share of the light above white that spreads around it, as in a lens


PHOTOGRAPHS = {
    "sunset": Development(0.34, look="AgX - Punchy", glare=0.06),
    "forest": Development(0.17),
    "sunrise": Development(0.27, look="AgX - Punchy", glare=0.03),
}
LAGOON = Development(0.135, "Filmic", "High Contrast", glare=0.10)
LAGOON_WIDTH, LAGOON_SAMPLES, LAGOON_MARGIN = 2048, 16, 32


def row_weights(height: int) -> NDArray:
    """[H, 1] share of the sphere of every row."""
    weights = np.cos(np.pi * ((np.arange(height) + 0.5) / height - 0.5))[:, None]
    return weights / weights.sum()


def read(path: Path) -> NDArray:
    """[H, W, 3] numbers as they are in the file (linear light in an EXR, sRGB in [0, 1] else), first row at the top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[::-1, :, :3].copy()


def glare(light: NDArray, share: float) -> NDArray:
    """Spread ``share`` of what is brighter than white: three circles of blur by running means, round the seam."""
    over = np.clip(light - 2.0, 0, 60.0) * share
    out = light.copy()
    for degrees in (0.6, 2.5, 9.0):
        reach = max(1, round(degrees / 360 * light.shape[1]))
        soft = over
        for _ in range(3):
            for axis in (0, 1):
                mode = "wrap" if axis else "edge"
                padding = [(reach + 1, reach) if a == axis else (0, 0) for a in range(3)]
                sums = np.cumsum(np.pad(soft, padding, mode=mode), axis=axis, dtype=np.float64)
                n = soft.shape[axis]
                ahead, behind = sums.take(range(2 * reach + 1, 2 * reach + 1 + n), axis), sums.take(range(n), axis)
                soft = ((ahead - behind) / (2 * reach + 1)).astype(np.float32)
        out += soft / 3
    return out


def develop(light: NDArray, how: Development) -> NDArray:
    """[H, W, 3] linear light to [H, W, 3] sRGB in [0, 1], exposed by the log-mean."""
    luminance = light @ np.float32([0.2126, 0.7152, 0.0722])
    typical = float(np.exp((np.log(luminance + 1e-4) * row_weights(len(light))).sum() / light.shape[1]))
    scene = bpy.data.scenes.new("develop")
    scene.view_settings.view_transform = how.transform
    scene.view_settings.look = how.look
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "16"
    height, width = light.shape[:2]
    exposed = glare(light * (how.middle / typical), how.glare) if how.glare else light * (how.middle / typical)
    image = bpy.data.images.new("linear", width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels.foreach_set(np.dstack([exposed, np.ones((height, width))])[::-1].astype(np.float32).ravel())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "developed.png"
        image.save_render(str(file), scene=scene)
        developed = read(file)
    bpy.data.images.remove(image)
    bpy.data.scenes.remove(scene)
    return developed


def steps_between(picture: NDArray) -> NDArray:
    """[W] how much column j differs from column j + 1, in units of the average; the last entry is the join."""
    steps = (np.abs(np.roll(picture, -1, 1) - picture).mean(-1) * row_weights(len(picture))).sum(0)
    return steps / steps.mean()


def save(picture: NDArray, file: Path, quality: int) -> None:
    """[H, W, 3] sRGB in [0, 1] to a PNG or JPEG file."""
    height, width = picture.shape[:2]
    image = bpy.data.images.new("sample", width, height)
    image.pixels.foreach_set(np.dstack([picture, np.ones((height, width))])[::-1].astype(np.float32).ravel())
    image.filepath_raw, image.file_format = str(file), "PNG" if file.suffix == ".png" else "JPEG"
    image.save(quality=quality)
    bpy.data.images.remove(image)


def write(name: str, picture: NDArray) -> None:
    """Save as PNG if that stays under the size limit, else as the best JPEG that does; roll as said above.

    What counts is the join of the file as it is read again (compression treats the two ends as strangers), at this size
    and at half of it, at which a large sample is worked on.
    """
    for suffix in (".png", ".jpg"):
        (SAMPLES / name).with_suffix(suffix).unlink(missing_ok=True)
    for suffix, quality in ((".png", 100), *((".jpg", q) for q in range(98, 78, -2))):
        file = (SAMPLES / name).with_suffix(suffix)
        save(picture, file, quality)
        if file.stat().st_size < LARGEST * 0.98:  # rolling changes the size a little
            break
        file.unlink()
    else:
        raise SystemExit(f"{name}: no JPEG quality brings it under {LARGEST} bytes. Make it smaller.")
    width = picture.shape[1]
    ratio = steps_between(np.round(picture * 255) / 255)
    for shift in sorted(range(-width // 2, width // 2), key=abs):
        if abs(ratio[shift - 1] - 1) > 0.15:
            continue
        save(np.roll(picture, -shift, 1), file, quality)
        again = read(file)
        halved = (again[::2, ::2] + again[1::2, ::2] + again[::2, 1::2] + again[1::2, 1::2]) / 4
        joins = [float(steps_between(x)[-1]) for x in ((again, halved) if width > 1024 else (again,))]
        if max(abs(join - 1) for join in joins) < 0.035:
            break
    else:
        raise SystemExit(f"{name}: no column makes an unremarkable join. Look at the picture's seam.")
    size, join = file.stat().st_size / 1e3, ", ".join(f"{join:.3f}" for join in joins)
    print(f"{file.name}: quality {quality}, {size:.0f} kB, rolled by {shift} columns, join {join}", flush=True)


def photograph(name: str) -> None:
    """One of the HDRIs that Blender lights its material previews with."""
    folder = bpy.utils.system_resource("DATAFILES", path="studiolights/world")
    how = PHOTOGRAPHS[name]
    write(name, develop(read(Path(folder) / f"{name}.exr"), how))


def lagoon(width: int, samples: int, keep: Path | None) -> None:
    """Model, render (or take the linear picture ``keep`` if it is there) and develop our own panorama."""
    from lagoon import scene

    with tempfile.TemporaryDirectory() as folder:
        file = keep or Path(folder) / "lagoon.exr"
        if not file.exists():
            start = time.perf_counter()
            scene.build()
            built = time.perf_counter()
            scene.render(file, width, samples, LAGOON_MARGIN)
            print(
                f"lagoon: built in {built - start:.0f} s, rendered in {time.perf_counter() - built:.0f} s", flush=True
            )
        light = read(file)[:, LAGOON_MARGIN:-LAGOON_MARGIN]
    write("lagoon", develop(light, LAGOON))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sample panoramas of presets/samples.")
    choices = (*PHOTOGRAPHS, "lagoon")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(choices)} (default all)")
    parser.add_argument("--width", type=int, default=LAGOON_WIDTH, help="pixels, of the lagoon")
    parser.add_argument("--samples", type=int, default=LAGOON_SAMPLES, help="per pixel, of the lagoon")
    parser.add_argument("--keep", type=Path, help="linear EXR of the lagoon to write, or to develop again if it exists")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(choices)):
        parser.error(f"no sample {', '.join(unknown)}; choose from {', '.join(choices)}")
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for name in args.names or choices:
        if name == "lagoon":
            lagoon(args.width, args.samples, args.keep)
        else:
            photograph(name)


if __name__ == "__main__":
    main()
