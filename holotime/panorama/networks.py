"""What differs between families of text-to-image models: reading the prompt, one prediction, and how it gets round.

All latents are [1, C, h, w]; FLUX's packing of 2 x 2 latent pixels into a token happens inside.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.models.circular import CircularColumns
from holotime.panorama.schedule import Schedule, of_flow, of_unet
from holotime.panorama.turning import block_count, turning

TEXT_TOKENS = 512  # that FLUX reads


@dataclass(frozen=True)
class Condition:
    """A prompt as the network takes it."""

    embeds: Tensor  # [1 or 2, L, D] tokens; with guidance the negative prompt's first
    pooled: Tensor | None = None  # [1 or 2, D'] the whole sentence


class Network(ABC):
    """A pipeline of diffusers as a function from a noisy panorama to a prediction."""

    def __init__(self, pipe: Any, device: torch.device, dtype: torch.dtype) -> None:
        """``dtype``: of the activations; weights may be stored in less."""
        self.pipe, self.device, self.dtype = pipe, device, dtype

    @property
    @abstractmethod
    def denoiser(self) -> Any:
        """The network that is run in every step."""

    @property
    @abstractmethod
    def unit(self) -> int:
        """Height and width of a latent are multiples of this."""

    @property
    @abstractmethod
    def channels_in(self) -> int:
        """Spatial channels that the network takes: the latent's own, and more in an inpainting model."""

    @abstractmethod
    def schedule(self, steps: int, height: int, width: int) -> Schedule:
        """The noise levels for a latent of this size."""

    @abstractmethod
    def read(self, prompt: str, negative: str, guidance: float) -> Condition:
        """A prompt through the text encoders, on the CPU."""

    @abstractmethod
    def predict(
        self, x: Tensor, timestep: Tensor, condition: Condition, guidance: float, fill: Tensor | None, circle: bool
    ) -> Tensor:
        """The (guided) prediction for x [1, C, h, w], float32. ``fill`` [1, K, h, w]: what an inpainting model is told
        besides; ``circle``: the columns are one."""

    @abstractmethod
    def fill_of(self, mask: Tensor, known: Tensor) -> Tensor:
        """The ``fill`` of an inpainting model from mask [1, 1, H, W] (1: make it) and the latent [1, C, h, w] of the
        picture with grey there."""

    def usual_guidance(self, fills: bool) -> float:
        """Guidance that models of this family are used with; ``fills``: an inpainting one."""
        return 7.0

    def step_of(self, columns: int) -> int:
        """Latent columns by which a turn of the latent is exactly a turn of the result."""
        return self.unit

    def tokenizers(self) -> list[tuple[Any, int]]:
        """(tokenizer, tokens that it may use) of the encoders that decide what of a prompt is read."""
        return [(self.pipe.tokenizer, self.pipe.tokenizer.model_max_length)]

    def guided(self, guidance: float) -> bool:
        """Whether a negative prompt is followed."""
        return guidance > 1

    @contextmanager
    def without_lora(self) -> Iterator[None]:
        """The model itself while the block runs: a panorama's LoRA would draw a panorama into a perspective view."""
        adapted = bool(getattr(self.denoiser, "peft_config", None))
        if adapted:
            self.denoiser.disable_adapters()
        try:
            yield
        finally:
            if adapted:
                self.denoiser.enable_adapters()

    def take_text_away(self) -> None:
        """Let go of the text encoders; all prompts have been read."""
        for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
            if getattr(self.pipe, name, None) is not None:
                setattr(self.pipe, name, None)


class UNetNetwork(Network):
    """Stable Diffusion 1, 2 and XL: a convolutional U-Net, made circular layer by layer."""

    @property
    def denoiser(self) -> Any:
        return self.pipe.unet

    @property
    def unit(self) -> int:
        return 2 ** (len(self.denoiser.config.block_out_channels) - 1)

    @property
    def channels_in(self) -> int:
        return self.denoiser.config.in_channels

    def schedule(self, steps: int, height: int, width: int) -> Schedule:
        return of_unet(self.pipe.scheduler, steps)

    def read(self, prompt: str, negative: str, guidance: float) -> Condition:
        guided = guidance > 1
        out = self.pipe.encode_prompt(
            prompt=prompt,
            device=self.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=guided,
            negative_prompt=negative or None,
        )
        if len(out) == 2:
            embeds, no_embeds = out
            return Condition(_both(no_embeds, embeds, guided))
        embeds, no_embeds, pooled, no_pooled = out
        return Condition(_both(no_embeds, embeds, guided), _both(no_pooled, pooled, guided))

    def predict(
        self, x: Tensor, timestep: Tensor, condition: Condition, guidance: float, fill: Tensor | None, circle: bool
    ) -> Tensor:
        told = x if fill is None else torch.cat([x, fill.to(x)], dim=1)
        batch = len(condition.embeds)
        more: dict[str, Any] = {}
        if condition.pooled is not None:
            factor = self.pipe.vae_scale_factor
            size = [x.shape[-2] * factor, x.shape[-1] * factor]
            ids = torch.tensor([[*size, 0, 0, *size]], device=self.device, dtype=self.dtype)
            pooled = condition.pooled.to(self.device, self.dtype)
            more["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids.expand(batch, -1)}
        with CircularColumns() if circle else nullcontext():
            out = self.denoiser(
                told.to(self.dtype).expand(batch, -1, -1, -1),
                timestep.to(self.device),
                encoder_hidden_states=condition.embeds.to(self.device, self.dtype),
                return_dict=False,
                **more,
            )[0].float()
        if batch == 1:
            return out
        without, with_ = out.chunk(2)
        return without + guidance * (with_ - without)

    def fill_of(self, mask: Tensor, known: Tensor) -> Tensor:
        return torch.cat([F.interpolate(mask, known.shape[-2:]), known], dim=1)


class FluxNetwork(Network):
    """FLUX.1: a transformer with rotary positions, whose image tokens are put on a circle."""

    @property
    def denoiser(self) -> Any:
        return self.pipe.transformer

    @property
    def unit(self) -> int:
        return 2

    @property
    def channels_in(self) -> int:
        return self.denoiser.config.in_channels // 4

    def usual_guidance(self, fills: bool) -> float:
        return 30.0 if fills else 3.5

    def guided(self, guidance: float) -> bool:
        return False  # guidance is one of its inputs

    def step_of(self, columns: int) -> int:
        return columns // block_count(columns // 2)

    def tokenizers(self) -> list[tuple[Any, int]]:
        # CLIP gives only the pooled sentence; what T5 reads is what is drawn.
        return [(self.pipe.tokenizer_2, TEXT_TOKENS)]

    def schedule(self, steps: int, height: int, width: int) -> Schedule:
        return of_flow(self.pipe.scheduler, steps, height * width // 4)

    def read(self, prompt: str, negative: str, guidance: float) -> Condition:
        embeds, pooled, _ids = self.pipe.encode_prompt(
            prompt=prompt, prompt_2=None, device=self.device, num_images_per_prompt=1, max_sequence_length=TEXT_TOKENS
        )
        return Condition(embeds.cpu(), pooled.cpu())

    def predict(
        self, x: Tensor, timestep: Tensor, condition: Condition, guidance: float, fill: Tensor | None, circle: bool
    ) -> Tensor:
        told = x if fill is None else torch.cat([x, fill.to(x)], dim=1)
        rows, columns = x.shape[-2] // 2, x.shape[-1] // 2
        assert condition.pooled is not None
        ids = torch.zeros(rows, columns, 3, device=self.device)
        ids[..., 1] += torch.arange(rows, device=self.device)[:, None]
        ids[..., 2] += torch.arange(columns, device=self.device)
        strength = torch.full([1], guidance, device=self.device) if self.denoiser.config.guidance_embeds else None
        with turning(self.denoiser, rows, columns) if circle else nullcontext():
            out = self.denoiser(
                hidden_states=pack(told).to(self.dtype),
                timestep=(timestep.reshape(1) / 1000).to(self.device, self.dtype),
                guidance=strength,
                pooled_projections=condition.pooled.to(self.device, self.dtype),
                encoder_hidden_states=condition.embeds.to(self.device, self.dtype),
                txt_ids=torch.zeros(condition.embeds.shape[1], 3, device=self.device),
                img_ids=ids.flatten(0, 1),
                return_dict=False,
            )[0]
        return unpack(out.float(), rows, columns)

    def fill_of(self, mask: Tensor, known: Tensor) -> Tensor:
        return torch.cat([known, F.pixel_unshuffle(mask, mask.shape[-1] // known.shape[-1])], dim=1)


def pack(x: Tensor) -> Tensor:
    """[B, C, h, w] -> tokens [B, h/2 * w/2, 4 C], row by row, each the 2 x 2 pixels of channel after channel."""
    return F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The inverse of :func:`pack`."""
    return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (rows, columns)), 2)


def _both(negative: Tensor | None, positive: Tensor, guided: bool) -> Tensor:
    """[2, ...] negative and positive, or the positive [1, ...] alone; on the CPU."""
    if not guided or negative is None:
        return positive.cpu()
    return torch.cat([negative, positive]).cpu()


# Class of a diffusers pipeline, as its model_index.json names it -> the family that treats it.
FAMILIES: dict[str, type[Network]] = {
    **{
        f"StableDiffusion{kind}Pipeline": UNetNetwork
        for kind in ("", "Img2Img", "Inpaint", "XL", "XLImg2Img", "XLInpaint")
    },
    **{f"Flux{kind}Pipeline": FluxNetwork for kind in ("", "Img2Img", "Inpaint", "Fill")},
}
