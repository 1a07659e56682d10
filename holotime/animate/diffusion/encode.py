"""What the network is told: prompts, picture and latent of one stage. Encoders are loaded, used and dropped."""

from dataclasses import dataclass

import torch
from torch import Tensor

from holotime.animate.diffusion.checkpoint import Checkpoint
from holotime.animate.diffusion.config import StageConfig
from holotime.animate.diffusion.norm import to_channels_last
from holotime.animate.diffusion.sampler import Conditioning, SeededNoise
from holotime.animate.diffusion.seam import Wrap, extend
from holotime.animate.diffusion.tokenizer import tokenize
from holotime.animate.diffusion.towers import ImageEncoder, TextEncoder
from holotime.animate.diffusion.vae import VAE
from holotime.progress import Progress


@dataclass(frozen=True)
class Where:
    """Device and precision of a stage."""

    device: torch.device
    dtype: torch.dtype


def release(device: torch.device) -> None:
    """Give freed device memory back, after a network was dropped."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def encode_context(
    checkpoint: Checkpoint, prompts: tuple[str, str], image: Tensor, where: Where, progress: Progress
) -> tuple[Tensor, Tensor]:
    """Context tokens [1, 77 + Q, C] of (prompt, image) and of (negative prompt, grey), float32.

    image [1, 3, H, W] in [-1, 1] at the stage's size, overlap included.
    """
    progress(0.0, "reading the prompt")
    tower = TextEncoder(checkpoint.load("text", where.device, where.dtype))
    text = tower(tokenize(list(prompts))).float()
    del tower
    progress(0.4, "looking at the panorama")
    config = checkpoint.config.image
    eye = ImageEncoder(checkpoint.load("image", where.device, where.dtype), config.image_size)
    tokens = eye(torch.cat([image, torch.zeros_like(image)]))
    del eye
    resampler = checkpoint.load("resampler", where.device, where.dtype)
    picture = resampler(tokens.to(where.dtype)).float()
    del resampler
    release(where.device)
    both = torch.cat([text, picture], dim=1)
    return both[:1], both[1:]


def load_vae(checkpoint: Checkpoint, where: Where, chunk: int) -> VAE:
    """The autoencoder of a checkpoint."""
    model = to_channels_last(checkpoint.load("vae", where.device, where.dtype))
    return VAE(model, checkpoint.config.vae, chunk)


def encode_frames(vae: VAE, frames: Tensor, seed: int, name: str, wrap: Wrap) -> Tensor:
    """Scaled latents [1, 4, T, H/8, W/8], float32, of frames [T, 3, H, W] in [-1, 1].

    Posterior noise depends on (seed, name) alone; identical frames are encoded once by the caller.
    """
    count, _, height, width = frames.shape
    shape = (count, vae.config.z_channels, height // 8, width // 8)
    noise = SeededNoise(seed, f"{name}/posterior", shape, closed=wrap is not Wrap.OFF)(0)
    return vae.encode(frames, noise.to(vae.device), wrap).transpose(0, 1)[None]


def stage_image(panorama: Tensor, stage: StageConfig, *, compat: bool) -> Tensor:
    """The panorama [1, 3, h, w] in [0, 1] at a stage's size with its overlap, [1, 3, H, W] in [-1, 1]."""
    return extend(panorama, stage.height, stage.width, compat=compat).clamp(0, 1) * 2 - 1


def conditioning(
    context: tuple[Tensor, Tensor], image_latent: Tensor, stage: StageConfig, device: torch.device
) -> Conditioning:
    """All of it on the device: context 2 x [1, L, C], image latent [1, 4, 1, H, W]."""
    return Conditioning(context[0].to(device), context[1].to(device), image_latent.to(device), stage.fs)
