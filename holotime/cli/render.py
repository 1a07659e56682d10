"""The command that renders a scene: videos, stills and sequences, in every projection."""

from pathlib import Path
from typing import Annotated

import typer

from holotime.cli.common import JsonOption, cache_dir, emit, output_folder, output_path, stage_bars, stopwatch
from holotime.errors import InputError

SceneFile = Annotated[Path, typer.Argument(help="A scene .safetensors.")]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="A video (.mp4, .mov), a still (.png, .jpg, .exr), or a folder of pictures."),
]
Preset = Annotated[str, typer.Option(help="Video preset: quest3, vr180, youtube8k, ...; see presets/video.")]
Projection = Annotated[
    str,
    typer.Option(help="perspective, equirect, ods (stereo top-bottom), vr180, fisheye or cubemap.", show_default=False),
]
Camera = Annotated[
    str, typer.Option(help="Camera path: a preset's name (presets/cameras), a .toml, or a .json of poses.")
]
Settings = Annotated[
    list[str], typer.Option("--set", help="Parameter of the camera path, name=value; may be repeated.")
]
Size = Annotated[int | None, typer.Option(help="Width in pixels, of one eye in stereo.")]
Audio = Annotated[Path | None, typer.Option(help="File whose sound goes along with a video.")]
Eyes = Annotated[Path | None, typer.Option(help="JSON of moved eyes: writes VIEW_FRAME.png into the folder.")]


def render(
    scene: SceneFile,
    output: Output,
    projection: Projection = "",
    camera: Camera = "",
    preset: Preset = "",
    size: Size = None,
    height: Annotated[int | None, typer.Option(help="Height of a perspective picture; 9/16 of the width.")] = None,
    frames: Annotated[str, typer.Option(help="Frames a:b (b left out); all if not given.")] = "",
    fps: Annotated[float | None, typer.Option(help="Frames per second; the scene's own if not given.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length; the path's or the scene's own if not given.")] = None,
    set_: Settings = [],  # noqa: B006  # typer never changes it
    repeat: Annotated[str, typer.Option(help="At the scene's end: auto, loop, ping-pong or once.")] = "auto",
    phase: Annotated[float, typer.Option(help="Where in the scene to begin, as a share of one round.")] = 0.0,
    speed: Annotated[
        float, typer.Option(help="Seconds of the scene in a second of video; below zero backwards.")
    ] = 1.0,
    ipd: Annotated[float, typer.Option(help="Distance of the eyes in metres, for stereo.")] = 0.064,
    level: Annotated[bool | None, typer.Option(help="Keep the horizon level.", show_default=False)] = None,
    dome: Annotated[str, typer.Option(help="In the middle of a fisheye: up or front.")] = "up",
    safe: Annotated[str, typer.Option(help="A path beyond the safe volume: scale, clamp or off.")] = "scale",
    behind: Annotated[str, typer.Option(help="Where no splat is: fill, transparent or black.")] = "fill",
    distance: Annotated[str, typer.Option(help="Distance channel of an EXR: none, ray or planar.")] = "none",
    kind: Annotated[str, typer.Option("--format", help="Pictures in a folder: png, jpg or exr.")] = "png",
    codec: Annotated[str | None, typer.Option(help="h264, h265, av1, prores or prores4444.")] = None,
    bits: Annotated[int | None, typer.Option(help="Bits per channel of the video: 8 or 10.")] = None,
    crf: Annotated[int | None, typer.Option(help="Quality of the video; smaller is better.")] = None,
    effort: Annotated[str, typer.Option(help="How long the encoder thinks: fast, balanced or best.")] = "balanced",
    hardware: Annotated[str, typer.Option(help="Encode on the graphics card: auto, off or only.")] = "auto",
    backend: Annotated[str, typer.Option(help="What draws: auto, cpu or gpu.")] = "auto",
    audio: Audio = None,
    eyes: Eyes = None,
    json: JsonOption = False,
) -> None:
    """Render a scene: a video for headsets and screens, stills, or a sequence for compositing.

    A video that was cut off goes on where it was when the same command is given again.
    """
    from holotime.config import from_params
    from holotime.scene4d import Scene4D
    from holotime.video.config import RenderConfig
    from holotime.video.film import read_camera
    from holotime.video.write import ENDINGS, KINDS, read_eyes, render_eyes, render_to

    if kind not in KINDS:
        raise InputError(f"Unknown format '{kind}'. Known are {', '.join(KINDS)}.")
    named = camera if not Path(camera).suffix else ""
    path = read_camera(Path(camera)) if camera and not named else None
    settings = {
        "preset": preset,
        "projection": projection or (None if preset else "equirect"),
        "camera": named,
        "parameters": dict(_parameter(text) for text in set_),
        "width": size,
        "height": height,
        "fps": fps,
        "seconds": seconds,
        "repeat": repeat,
        "phase": phase,
        "speed": speed,
        "ipd": ipd,
        "level": level,
        "dome": dome,
        "safe": safe,
        "behind": behind,
        "distance": distance,
        "codec": codec,
        "bits": bits,
        "crf": crf,
        "effort": effort,
        "hardware": hardware,
        "backend": backend,
    }
    config = from_params(RenderConfig, settings)
    views = read_eyes(eyes) if eyes else None
    if output.suffix and not output.is_dir() and eyes is None:
        output_path(output, ENDINGS)
    else:
        output_folder(output)
    chosen = frame_range(frames)
    loaded = Scene4D.load(scene)
    with stopwatch() as time, stage_bars() as bars:
        if views is not None:
            wanted = views[1] if views[1] is not None else list(range(len(loaded.frame_times())))
            width = size or 1024
            pictures = render_eyes(
                loaded, views[0], wanted, output, width=width, backend=backend, progress=bars.of("render")
            )
            result = {"pictures": pictures}
        else:
            made = render_to(
                loaded,
                config,
                output,
                path=path,
                frames=chosen,
                audio=audio,
                cache=cache_dir(),
                kind=kind,
                progress=bars.of("render"),
            )
            result = made.as_dict()
    emit(json, {"output": str(output), **result, **time})


def frame_range(text: str) -> range | None:
    """``a:b`` as a range; None for an empty text."""
    if not text:
        return None
    first, colon, last = text.partition(":")
    if not colon or not first.isdecimal() or not last.isdecimal():
        raise InputError(f"The frames '{text}' cannot be read. Write them as 0:24 (the end is left out).")
    if int(first) >= int(last):
        raise InputError(f"'{text}' are zero frames, for the end is left out. Write 5:6 for frame 5 alone.")
    return range(int(first), int(last))


def _parameter(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError as error:
        raise InputError(f"The parameter '{text}' cannot be read. Write it as radius=0.3.") from error
