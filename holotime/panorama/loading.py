"""Which model makes a panorama, whether it is here and fits into the memory, and loading it with its LoRA."""

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from holotime.errors import BackendUnavailable, InputError
from holotime.models import (
    PipelineFiles,
    Plan,
    check_packages,
    find_pipeline,
    half_precision,
    load_pipeline,
    make_plan,
    pick_device,
    place,
    require,
)
from holotime.panorama.config import NO_LORA, RECIPES, PanoramaConfig, Recipe, recipe_of
from holotime.panorama.networks import FAMILIES, Network, UNetNetwork
from holotime.weights.registry import MODELS
from holotime.weights.repository import is_hub_id
from holotime.weights.store import file_stamp, locate, models_dir, search_dirs

LEFT_OUT = ("safety_checker", "feature_extractor", "image_encoder")  # parts of pipelines that this does not run
UNET_MAPS = 30  # first-level feature maps at the peak of a U-Net's pass, both guidance passes counted apart
TOKEN_MAPS = 24  # of width dim, at the peak of a transformer block: its projections, gated layer and residuals
DECODER_MAPS = 4  # full-size maps of the decoder's narrowest width at its peak
TILE = 64  # latent rows and columns of a tile where pictures are decoded in pieces
ADAPTER = "panorama"  # what the LoRA is called inside the pipeline


@dataclass(frozen=True)
class Chosen:
    """A model that is here, before it is loaded."""

    recipe: Recipe
    files: PipelineFiles
    lora: Path | None  # its file
    notes: tuple[str, ...] = ()  # what had to be chosen otherwise than asked

    @property
    def family(self) -> type[Network]:
        """What treats it."""
        return FAMILIES[self.files.cls]

    @property
    def main(self) -> str:
        """The part that runs in every step."""
        return "unet" if self.family is UNetNetwork else "transformer"

    @property
    def factor(self) -> int:
        """Pixels a latent column."""
        return 2 ** (len(self.files.config("vae").get("block_out_channels", [0] * 4)) - 1)

    @property
    def unit(self) -> int:
        """Pixels of which height and width of a picture are multiples."""
        levels = len(self.files.config("unet").get("block_out_channels", [])) if self.main == "unet" else 2
        return self.factor * 2 ** (levels - 1)

    @property
    def native(self) -> int:
        """The panorama's width that the model draws best: half as high, and of the area that it was trained with."""
        if self.recipe.width:
            return self.recipe.width
        side = self.files.config(self.main).get("sample_size") or 128
        side = side if isinstance(side, int) else max(side)
        return max(2 * self.unit, int(2**0.5 * side * self.factor) // (2 * self.unit) * 2 * self.unit)

    @property
    def name(self) -> str:
        """For reports: without the folders of this machine."""
        model = _short(self.files.name)
        return f"{model} + {_short(str(self.recipe.lora))}" if self.lora else model

    @property
    def used(self) -> list[str]:
        """Names of the models, for the list of licences."""
        return [self.files.name, *([self.recipe.lora] if self.lora else [])]

    def fingerprint(self) -> list[str]:
        """Changes when the weights do."""
        return [*self.files.fingerprint(), *([file_stamp(self.lora)] if self.lora else [])]

    def dtypes(self, device: torch.device) -> Any:
        """Precision of the parts; an autoencoder that overflows in half precision is kept in single."""
        half = half_precision(device)
        upcast = half == torch.float16 and self.files.config("vae").get("force_upcast", False)
        return {"default": half, "vae": torch.float32} if upcast else half

    def steps(self, config: PanoramaConfig) -> int:
        """Denoising steps."""
        return config.steps or self.recipe.steps

    def drawn(self, config: PanoramaConfig) -> int:
        """The width at which the model draws: what is asked for, at most its own."""
        multiple = 2 * self.unit
        return max(multiple, min(config.width, self.native) // multiple * multiple)

    def plan_for(self, config: PanoramaConfig) -> Plan:
        """The memory plan on the device asked for. Raises OutOfMemory when none fits."""
        device, steps, width = pick_device(config.device or None), self.steps(config), self.drawn(config)
        parts = self.files.part_bytes(self.dtypes(device))
        parts = {name: size for name, size in parts.items() if name not in LEFT_OUT}
        size = half_precision(device).itemsize
        cells = (width // self.factor) * (width // 2 // self.factor)
        network = self.files.config(self.main)
        if self.main == "unet":
            step = 2 * cells * network["block_out_channels"][0] * size * UNET_MAPS
        else:
            dim = network["num_attention_heads"] * network["attention_head_dim"]
            step = (cells // 4 + 512) * dim * size * TOKEN_MAPS
        narrow = self.files.config("vae").get("block_out_channels", [128])[0]
        vae = self.dtypes(device)
        a_pixel = narrow * DECODER_MAPS * (vae["vae"] if isinstance(vae, dict) else vae).itemsize
        whole, tile = a_pixel * config.width * config.width // 2, a_pixel * (TILE * self.factor) ** 2
        working = (max(step, whole), max(step, min(tile, whole)))
        plan = make_plan(parts, working, device, mode=config.memory, main=(self.main,), passes=steps)  # type: ignore[arg-type]
        check_packages(plan)
        return plan


def choose(config: PanoramaConfig, *, photo: bool) -> Chosen:
    """The model that ``config`` names; the inpainting one of its family for a photo, if that is here.

    Raises InputError for an unknown name (with the closest ones) or a pipeline that cannot be treated, and
    BackendUnavailable, with the exact hub ids and the folders to fill, for what is not here.
    """
    _check_name(config.model)
    recipe = recipe_of(config.model)
    notes: list[str] = []
    files = None
    if photo and recipe.fill:
        try:
            files = find_pipeline(recipe.fill, FAMILIES, "panoramas")
        except BackendUnavailable as error:
            try:
                files = find_pipeline(recipe.model, FAMILIES, "panoramas")
            except BackendUnavailable:
                raise error from None
            notes.append(f"{recipe.fill}, the inpainting model, is not here: {recipe.model} fills in, less well")
    wanted = config.lora or recipe.lora
    recipe = replace(recipe, lora="" if wanted == NO_LORA else wanted)
    if files is None:
        try:
            files = find_pipeline(recipe.model, FAMILIES, "panoramas")
        except BackendUnavailable as error:
            raise BackendUnavailable(f"{error}{_lora_too(recipe.lora)}") from error
    if recipe.lora != RECIPES.get(config.model, recipe).lora:
        recipe = replace(recipe, trigger="")  # another LoRA has other words, which are the user's to write
    return Chosen(recipe, files, _lora_file(recipe.lora) if recipe.lora else None, tuple(notes))


def open_network(chosen: Chosen, plan: Plan) -> Network:
    """Load the pipeline and its LoRA as planned."""
    files = chosen.files
    absent = {name: None for name in LEFT_OUT if name in files.parts}
    pipe = load_pipeline(files, files.cls, chosen.dtypes(plan.device), **absent)
    if chosen.lora is not None:
        _load_lora(pipe, chosen.lora, files.name)
    place(pipe, plan, main=(chosen.main,))
    return chosen.family(pipe, plan.device, half_precision(plan.device))


def _load_lora(pipe: Any, path: Path, model: str) -> None:
    require("peft")
    try:
        pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=ADAPTER, local_files_only=True)
        loaded = ADAPTER in {name for names in pipe.get_list_adapters().values() for name in names}
    except (ValueError, KeyError, RuntimeError, OSError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"The LoRA {path.name} does not fit {model} ({reason}). Choose one made for this family of models, or "
            f"--lora {NO_LORA}."
        ) from error
    if not loaded:
        raise InputError(f"The LoRA {path.name} changes nothing in {model}: it was made for another family of models.")


def _lora_file(name: str) -> Path:
    """The file of a LoRA: registered, a file, a folder with one file, or a hub id below the models' folder."""
    path = Path(name)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise InputError(f"The LoRA {path} is not a .safetensors file; others may run code when they are read.")
        return path
    if name in MODELS:
        return locate(name)
    if is_hub_id(name):
        from holotime.weights.registry import by_repository

        known = by_repository(name)
        if known is not None and known.files:
            return locate(known.name)
    folders = [path, *(folder / name for folder in search_dirs())] if is_hub_id(name) else [path]
    folder = next((f for f in folders if f.is_dir()), None)
    found = sorted(folder.glob("*.safetensors")) if folder else []
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InputError(
            f"{folder} holds {len(found)} files: {', '.join(f.name for f in found[:5])}. Name one of them."
        )
    if is_hub_id(name):
        raise BackendUnavailable(
            f"The LoRA {name} is not here. Download its .safetensors file from the hub and put it into "
            f"{models_dir() / name}, or give the file itself."
        )
    near = difflib.get_close_matches(name, [m for m in MODELS if "lora" in m], 2, 0.4)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(f"The LoRA {name} is neither a file, nor a hub id, nor a known name.{meant}")


def _lora_too(name: str) -> str:
    """What to do for a LoRA that is not here either, so that nobody is sent for two things one after the other."""
    try:
        if name:
            _lora_file(name)
    except (BackendUnavailable, InputError) as error:
        return f" Also: {error}"
    return ""


def _check_name(name: str) -> None:
    """Refuse a name that can be no model, with the closest ones."""
    pictures = [m.name for m in MODELS.values() if m.repository and "picture" in m.about and "video" not in m.about]
    known = [*RECIPES, *pictures]
    if name in known or name in MODELS or is_hub_id(name) or Path(name).exists():
        return
    near = difflib.get_close_matches(name.casefold(), known, 3, 0.5)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(RECIPES)}."
    raise InputError(f"There is no model called '{name}'. {meant} A hub id or a folder does as well.")


def _short(name: str) -> str:
    """A name for reports: a folder's or a file's own, without what lies above it."""
    if name in MODELS or not Path(name).exists():
        return name
    return Path(name).stem if Path(name).is_file() else Path(name).resolve().name
