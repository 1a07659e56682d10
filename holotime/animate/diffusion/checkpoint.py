"""The published checkpoints: read safely, split into modules, checked key by key, kept as half-precision safetensors.

A checkpoint is one dictionary with every network and the schedule's tables under long prefixes, pickled by torch,
perhaps under ``state_dict`` (Lightning) or with ``_forward_module.`` before every key (DeepSpeed). It is read once with
``weights_only=True``, which cannot run code, and converted into a folder with one file a module; from then on those
files are memory-mapped.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from holotime.animate.diffusion import towers, vae
from holotime.animate.diffusion.config import ModelConfig, StageConfig, model_from_dict, stage_from_dict
from holotime.animate.diffusion.resampler import Resampler
from holotime.animate.diffusion.schedule import TIMESTEPS, NoiseSchedule
from holotime.animate.diffusion.unet import UNet
from holotime.errors import InputError
from holotime.progress import Progress, no_progress
from holotime.shelf import MODELS, module_bytes
from holotime.weights.safe import read_tensors
from holotime.weights.store import cache_dir, file_stamp

PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text": "cond_stage_model.model.",
    "image": "embedder.model.",
    "resampler": "image_proj_model.",
}
DEEPSPEED = "_forward_module."
TABLES = ("alphas_cumprod", "scale_arr")  # the tables that sampling reads; all others follow from the first
STATED = "holotime"  # entry of a checkpoint of another size: {"model": sizes, "stage": sizes}, see config.py
FORMAT = 2  # of the converted folder


def builder(module: str, config: ModelConfig) -> Callable[[], nn.Module]:
    """What makes one module of the checkpoint on the current default device."""
    return {
        "unet": lambda: UNet(config.unet),
        "vae": lambda: vae.build_vae(config.vae),
        "text": lambda: towers.build_text_tower(config.text),
        "image": lambda: towers.build_image_tower(config.image),
        "resampler": lambda: Resampler(config.resampler),
    }[module]


def map_state(module: str, state: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """One module's tensors (without prefix) under our module's names; what has no part in it is dropped."""
    if module == "vae":
        return vae.map_vae_state(state, len(config.vae.ch_mult))
    if module == "text":
        return towers.map_text_state(state, config.text)
    if module == "image":
        return towers.map_image_state(state, config.image)
    return {k.replace("framestride_embed", "fps_embedding", 1): v for k, v in state.items()}


def normalise(raw: dict[str, Any], source: str) -> dict[str, Tensor]:
    """The plain dictionary of tensors inside whatever was pickled."""
    state = raw.get("state_dict", raw)
    if not isinstance(state, dict):
        raise InputError(
            f"{source} holds no dictionary of tensors under 'state_dict'. It is not an animator checkpoint."
        )
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    if tensors and all(k.startswith(DEEPSPEED) for k in tensors):
        tensors = {k.removeprefix(DEEPSPEED): v for k, v in tensors.items()}
    return tensors


def split(state: dict[str, Tensor], source: str) -> dict[str, dict[str, Tensor]]:
    """Tensors of each module without their prefix. Raises InputError when a whole module is absent."""
    parts = {
        module: {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        for module, prefix in PREFIXES.items()
    }
    absent = [PREFIXES[m] for m, part in parts.items() if not part]
    if absent:
        raise InputError(
            f"{source} is no animator checkpoint: it has {len(state)} tensors but none that begins with "
            f"{', '.join(absent)}. Give holotime_guidance.ckpt, holotime_refinement.ckpt or a DynamiCrafter model.ckpt."
        )
    return parts


def check_state(module: str, state: dict[str, Tensor], expected: dict[str, Tensor], source: str) -> None:
    """Compare names and shapes with the module's. Raises InputError naming the first keys that differ."""
    missing = [k for k in expected if k not in state]
    surplus = [k for k in state if k not in expected]
    wrong = [
        f"{k} is {list(state[k].shape)}, should be {list(v.shape)}"
        for k, v in expected.items()
        if k in state and state[k].shape != v.shape
    ]
    for what, keys in (("lacks", missing), ("has unknown", surplus), ("has misshapen", wrong)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(
                f"{source}: its {module} network {what} {'; '.join(keys[:3])}{more}. "
                "The file belongs to another model, or is damaged: download it again."
            )


def to_half(state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Half-precision contiguous copies. Raises InputError for a value that is not finite."""
    out = {}
    for key, tensor in state.items():
        half = tensor.to(torch.float16).contiguous()
        if not torch.isfinite(half).all():
            raise InputError(f"{source}: the tensor {key} holds values that are not finite. Download the file again.")
        out[key] = half.clone() if half is tensor else half
    return out


def convert(source: Path, folder: Path, config: ModelConfig | None, progress: Progress = no_progress) -> None:
    """Convert a checkpoint file into ``folder``, which appears complete or not at all.

    Without ``config`` the networks have the sizes that the file states, or else the published ones.
    """
    name = source.name
    raw = read_tensors(source)
    stated = raw.get(STATED, {})
    if not isinstance(stated, dict):
        raise InputError(f"{name}: its entry '{STATED}' is a {type(stated).__name__}, not a dictionary of sizes.")
    config = config or (model_from_dict(stated["model"]) if "model" in stated else ModelConfig())
    stage = stated.get("stage", {})
    stage_from_dict(StageConfig(name, 0, 0, 0.0), stage)  # refused now rather than when it is used
    state = normalise(raw, name)
    parts = split(state, name)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for i, module in enumerate(PREFIXES):
            progress(i / len(PREFIXES), f"converting {module}")
            mapped = map_state(module, parts[module], config)
            with torch.device("meta"):
                empty = builder(module, config)()
            if module in ("text", "image"):
                mapped = towers.fit_names(empty, mapped)
            check_state(module, mapped, empty.state_dict(), name)
            save_file(to_half(mapped, name), partial / f"{module}.safetensors")
        tables = {k: state[k].float().contiguous().clone() for k in TABLES if k in state}
        for key, table in tables.items():
            if table.ndim != 1 or len(table) < TIMESTEPS or not torch.isfinite(table).all():
                raise InputError(f"{name}: the table {key} is damaged ({list(table.shape)}). Download the file again.")
        save_file(tables, partial / "schedule.safetensors")
        manifest = {"format": FORMAT, "source": name, "model": asdict(config), "stage": stage}
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@dataclass(frozen=True)
class Checkpoint:
    """A converted checkpoint; modules are loaded one by one, when they are needed."""

    folder: Path  # one safetensors file a module
    config: ModelConfig  # sizes of the networks
    stage: dict[str, int]  # sizes of the stage that the file states, by their names in StageConfig

    @classmethod
    def open(cls, source: Path, config: ModelConfig | None, progress: Progress = no_progress) -> "Checkpoint":
        """The converted form of a checkpoint file; converts it on first use. Raises InputError for a wrong file."""
        asked = asdict(config) if config else None
        folder = cache_dir() / "converted" / f"{source.stem}-{file_stamp(source, FORMAT, asked)}"
        if not (folder / "manifest.json").is_file():
            folder.parent.mkdir(parents=True, exist_ok=True)
            convert(source, folder, config, progress)
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return cls(folder, model_from_dict(manifest["model"]), manifest["stage"])

    def load(self, module: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A module of the checkpoint, in eval mode, on ``device``; perhaps one that an earlier job has left loaded.

        The U-Net is always read anew, for sampling changes it.
        """
        if module == "unet":
            return self._read(module, device, dtype)
        key = (str(self.folder), module, str(device), str(dtype))
        return MODELS.get(key, lambda: self._read(module, device, dtype), module_bytes)

    def _read(self, module: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
        with torch.device("meta"):
            network = builder(module, self.config)()
        state = load_file(self.folder / f"{module}.safetensors", device="cpu")
        network.load_state_dict({k: v.to(dtype) for k, v in state.items()}, assign=True)
        for owner in network.modules():
            for name, buffer in owner.named_buffers(recurse=False):
                if buffer.is_meta:  # transformers' position numbers are not stored
                    owner.register_buffer(name, torch.arange(buffer.shape[-1])[None], persistent=False)
        return network.to(device=device).eval().requires_grad_(False)

    def noise_schedule(self, base_scale: float) -> NoiseSchedule:
        """The checkpoint's own tables where it has them: they overrule the configuration, as in strict loading."""
        made = NoiseSchedule.make(base_scale)
        tables = load_file(self.folder / "schedule.safetensors")
        return NoiseSchedule(tables.get("alphas_cumprod", made.alphas_cumprod), tables.get("scale_arr", made.scale))
