"""Models of many files: a repository of the hub in a folder, fetched with huggingface_hub, or put there by hand."""

import fnmatch
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

from holotime.errors import BackendUnavailable, Cancelled, InputError
from holotime.progress import Progress, no_progress

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FILES = (".pth", ".pt", ".pkl", ".ckpt", ".bin", ".param", ".safetensors", ".onnx", ".gguf")
TELL_EVERY = 0.5  # seconds between looks at how much has come


def is_hub_id(name: str) -> bool:
    """Whether ``name`` has the form OWNER/REPOSITORY, and not that of a file in a folder."""
    return HUB_ID.fullmatch(name) is not None and ".." not in name and not name.endswith(FILES)


def lacking(folder: Path) -> list[str]:
    """What a pipeline in the layout of diffusers needs and ``folder`` lacks; empty when it is whole."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ["model_index.json"]
    parts = [name for name, value in index.items() if isinstance(value, list) and value and value[0]]
    missing = [name for name in parts if not any(p.is_file() for p in (folder / name).glob("*"))]
    for shards in folder.glob("*/*.index.json"):
        try:
            names = set(json.loads(shards.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            missing.append(shards.relative_to(folder).as_posix())
            continue
        missing += [f"{shards.parent.name}/{name}" for name in sorted(names) if not (shards.parent / name).is_file()]
    return missing


def find(hub_id: str, folders: list[Path]) -> Path | None:
    """The folder of a whole repository: OWNER/REPOSITORY below one of ``folders``, or the hub's own cache."""
    own = [folder / hub_id for folder in folders]
    return next((f for f in (*own, *_hub_cache(hub_id)) if f.is_dir() and not lacking(f)), None)


def _hub_cache(hub_id: str) -> list[Path]:
    """Snapshots of the repository that other programs have fetched, the branch's own first."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    root = Path(os.environ.get("HF_HUB_CACHE", home / "hub")) / f"models--{hub_id.replace('/', '--')}"
    try:
        return [root / "snapshots" / (root / "refs" / "main").read_text(encoding="utf-8").strip()]
    except OSError:
        return []


def fetch(
    hub_id: str,
    folder: Path,
    patterns: tuple[str, ...],
    leave: tuple[str, ...],
    progress: Progress = no_progress,
) -> Path:
    """Fetch the files of a repository that match ``patterns`` and not ``leave`` into ``folder``.

    An interrupted fetch goes on where it was. Raises InputError when the disk is too small, BackendUnavailable (with
    the exact id and the folder to fill by hand) when the hub cannot be reached or wants a licence accepted first.
    """
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
        from tqdm.auto import tqdm
    except ImportError as error:
        raise BackendUnavailable(
            f"Fetching {hub_id} needs the package huggingface_hub: pip install 'holotime[diffusion]'. "
            f"Or put the repository's files into {folder} by hand."
        ) from error
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        progress(0.0, f"{hub_id}: asking what there is")
        listed = hub.HfApi(endpoint=endpoint).model_info(hub_id, files_metadata=True).siblings or []
        sizes = {f.rfilename: f.size or 0 for f in listed if _wanted(f.rfilename, patterns, leave)}
        if not sizes:
            raise InputError(f"{hub_id} has no file that a diffusers pipeline is loaded from. Choose another model.")
        total = sum(sizes.values())
        check_disk(hub_id, folder, total - _bytes_in(folder))

        last = 0.0

        class Told(tqdm):  # huggingface_hub's way to follow a download
            """Reports the bytes that have come; draws nothing."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                kwargs.pop("name", None)
                super().__init__(*args, **{**kwargs, "disable": True})

            def update(self, n: float | None = 1) -> bool | None:
                nonlocal last
                if time.monotonic() - last > TELL_EVERY:
                    last = time.monotonic()
                    here = _bytes_in(folder)
                    progress(min(here / max(total, 1), 0.99), f"{hub_id}: {here / 1e9:.2f} of {total / 1e9:.2f} GB")
                return super().update(n)

        hub.snapshot_download(
            hub_id, local_dir=folder, allow_patterns=sorted(sizes), tqdm_class=Told, endpoint=endpoint, max_workers=4
        )
    except (InputError, Cancelled):
        raise
    except GatedRepoError as error:
        raise BackendUnavailable(
            f"{hub_id} is gated: accept its licence on its page of the hub, then log in with `hf auth login` or set "
            f"HF_TOKEN to a token that may read it, and try again. {by_hand(hub_id, folder)}"
        ) from error
    except RepositoryNotFoundError as error:
        raise BackendUnavailable(
            f"The hub has no repository {hub_id}, or it is private (then log in with `hf auth login`). Check the name."
        ) from error
    except Exception as error:  # each version of the client speaks through another transport, with errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise BackendUnavailable(
            f"{hub_id} could not be fetched ({reason}). Try again: it goes on where it stopped. "
            f"{by_hand(hub_id, folder)}"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's book-keeping of unfinished files
    progress(1.0, f"{hub_id}: complete")
    return folder


def by_hand(hub_id: str, folder: Path) -> str:
    """What to do without network."""
    return f"Without network: copy the files of {hub_id}, with their folders, into {folder}"


def check_disk(name: str, folder: Path, needed: float) -> None:
    """Raise InputError when the disk of ``folder`` has no room for ``needed`` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{name} needs {needed / 1e9:.1f} GB on the disk of {folder}, which has {free / 1e9:.1f} GB free. "
            "Make room, or set HOLOTIME_CACHE to a folder on another disk."
        )


def _wanted(file: str, patterns: tuple[str, ...], leave: tuple[str, ...]) -> bool:
    def matches(any_of: tuple[str, ...]) -> bool:
        return any(fnmatch.fnmatch(file, pattern) for pattern in any_of)

    return matches(patterns) and not matches(leave)


def _bytes_in(folder: Path) -> int:
    """Size of everything in a folder that changes meanwhile, unfinished files too."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # renamed between listing and looking
            continue
    return total
