"""What a panorama costs: time and memory of a step as diffusers runs it and on the circle, and of decoding.

Networks of full size with random weights: no download. Prints JSON.

    python benchmarks/panorama.py --model flux --width 2048      # 24 GB of GPU memory in bfloat16
    python benchmarks/panorama.py --model sdxl --width 1536
    python benchmarks/panorama.py --model sd15 --width 256 --device cpu --repeats 1
"""

import argparse
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from holotime.models import half_precision, pick_device
from holotime.panorama.codec import Codec
from holotime.panorama.loading import TILE
from holotime.panorama.networks import TEXT_TOKENS, Condition, FluxNetwork, UNetNetwork

LEVELS = (128, 256, 512, 512)  # of the autoencoders of all three
SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


def network(model: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Condition, Codec]:
    """A network of full size, a prompt for it, and its autoencoder."""
    from diffusers import AutoencoderKL, FluxTransformer2DModel, UNet2DConditionModel

    torch.set_default_dtype(dtype)
    with torch.device(device):
        channels = 16 if model == "flux" else 4
        vae = AutoencoderKL(
            latent_channels=channels,
            block_out_channels=LEVELS,
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        if model == "flux":
            denoiser = FluxTransformer2DModel(guidance_embeds=True)
            condition = Condition(torch.randn(1, TEXT_TOKENS, 4096), torch.randn(1, 768))
        else:
            more = SDXL if model == "sdxl" else {"cross_attention_dim": 768, "attention_head_dim": 8}
            denoiser = UNet2DConditionModel(**more)
            pooled = torch.randn(2, 1280) if model == "sdxl" else None
            condition = Condition(torch.randn(2, 77, denoiser.config.cross_attention_dim), pooled)
    torch.set_default_dtype(torch.float32)
    for part in (vae, denoiser):
        part.eval().requires_grad_(False)
    pipe = SimpleNamespace(transformer=denoiser, unet=denoiser, vae=vae, vae_scale_factor=8)
    cls = FluxNetwork if model == "flux" else UNetNetwork
    return cls(pipe, device, dtype), condition, Codec(vae, device)


def measure(work: Callable[[], Any], device: torch.device, repeats: int) -> dict[str, float]:
    """Median seconds of ``work`` after a warm-up, and the peak of the GPU's memory."""
    cuda = device.type == "cuda"
    times = []
    for number in range(repeats + 1):
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        work()
        if cuda:
            torch.cuda.synchronize()
        if number or not repeats:
            times.append(time.perf_counter() - start)
    took = {"seconds": round(sorted(times)[len(times) // 2], 4)}
    return took | ({"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)} if cuda else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("flux", "sdxl", "sd15"), default="flux")
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--device", default="")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    device = pick_device(asked.device or None)
    dtype = half_precision(device)
    with torch.inference_mode():
        net, condition, codec = network(asked.model, device, dtype)
        z = torch.randn(1, codec.channels, asked.width // 16, asked.width // 8, device=device)
        at = torch.tensor(500.0)
        result: dict[str, Any] = {
            "model": asked.model,
            "width": asked.width,
            "device": str(device),
            "dtype": str(dtype),
        }
        for name, circle in (("step as it is", False), ("step on the circle", True)):
            result[name] = measure(
                lambda circle=circle: net.predict(z, at, condition, 3.5, None, circle), device, asked.repeats
            )
        for name, tile in (("decode whole", 0), ("decode in tiles", TILE)):
            result[name] = measure(lambda tile=tile: codec.decode(z, tile=tile), device, asked.repeats)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
