"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[Path, typer.Argument(help="A panorama: any image file, twice as wide as high.")]
Fit = Annotated[str, typer.Option(help="For a picture that is not 2:1: refuse, pad or stretch.")]
Width = Annotated[int, typer.Option(help="Working width in pixels, a multiple of 32.")]
Frames = Annotated[int, typer.Option(help="Frames of the clip.")]
Fps = Annotated[float, typer.Option(help="Frames per second.")]
Strength = Annotated[float, typer.Option(help="How much moves: 0 is still, 1 natural.")]
Direction = Annotated[float | None, typer.Option(help="Where wind and water go, degrees; by the seed if not given.")]
Seed = Annotated[int, typer.Option(help="Another seed, another motion.")]
Prompt = Annotated[str, typer.Option(help="What the panorama shows; steers which parts move.")]
Hint = Annotated[Path | None, typer.Option(help="Motion hint image: RG direction, B weight, alpha frozen.")]
Backend = Annotated[
    str,
    typer.Option(
        help="How distance is found: auto, network, prior, or a depth network: transformers:ID, marigold:ID, onnx:FILE."
    ),
]
Budget = Annotated[int, typer.Option(help="Splats at most.")]
Sweeps = Annotated[int, typer.Option(help="Colour corrections against the clip.")]
Recipe = Annotated[str, typer.Option(help="auto, lift (no training), lite, full or holotime (as published).")]
TrainSteps = Annotated[int, typer.Option(help="Training steps of the scene; 0: by the recipe (none on a CPU).")]
Quality = Annotated[str, typer.Option(help="Diffusion: exact, or fast (fewer steps; holotime: features used again).")]
MemoryChoice = Annotated[str, typer.Option("--memory", help="Diffusion: auto, low (at most 8 GB) or high.")]
NegativePrompt = Annotated[str, typer.Option(help="Diffusion: what to lead away from.")]
GuidanceScale = Annotated[float, typer.Option(help="Diffusion: how strongly to follow the prompt; 0: the model's own.")]
Steps = Annotated[int, typer.Option(help="Diffusion: denoising steps; 0: the model's own.")]
AnimatorChoice = Annotated[
    str, typer.Option("--animator", help="What makes the picture move: flow, holotime, wan, ltx, cogvideox or svd.")
]
VideoModel = Annotated[
    str, typer.Option("--model", help="wan, ltx, cogvideox, svd: a model's name, hub id or folder; its own if empty.")
]
VideoWidth = Annotated[
    int, typer.Option("--model-width", help="wan, ltx, cogvideox, svd: pixels to work at; 0: as it was trained.")
]
Loop = Annotated[str, typer.Option(help="wan, ltx, cogvideox, svd: none, fade or bounce.")]
EnhanceFps = Annotated[float, typer.Option(help="Interpolate the clip to so many frames per second; 0: off.")]
EnhanceScale = Annotated[int, typer.Option(help="Make the clip 1, 2 or 4 times as wide and high.")]
Upscaler = Annotated[str, typer.Option(help="Super-resolution: auto, lanczos, a network's name, or its file.")]
Interpolator = Annotated[
    str, typer.Option(help="Frames in between: auto, rife, dis (optical flow), a network's name, or its file.")
]
