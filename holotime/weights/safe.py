"""Reading model files that come from elsewhere: no code in them is run, and a damaged file is named as such."""

import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from holotime.errors import InputError
from holotime.weights.ncnn import is_ncnn, read_ncnn


def read_tensors(path: Path) -> dict[str, Any]:
    """The dictionary in a .safetensors file or in a file written by torch.save; tensors stay on disk until used.

    An ncnn model (.param and .bin) is read into memory. Pickled files are read with ``weights_only=True``. Raises
    InputError for a file that is missing, empty, cut short, of another kind, or that asks for code to be run.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Check the name.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Download it again.")
    if is_ncnn(path):
        return read_ncnn(path)
    from safetensors.torch import load_file  # torch takes seconds to import, and most commands do not need it

    try:
        data = load_file(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, SafetensorError) as error:
        raise InputError(
            f"{path.name} cannot be read as a model file; it is cut short or of another kind "
            f"({str(error).splitlines()[0].split('. ')[0][:120]}). Download it again."
        ) from error
    except Exception as error:
        if type(error).__name__ != "UnpicklingError":  # what torch raises for anything that is not a tensor
            raise
        reason = str(error).split("GLOBAL ")[-1].split(" was not")[0] if "GLOBAL" in str(error) else ""
        if reason:
            raise InputError(
                f"{path.name} was refused: besides tensors it wants to run {reason}. Only tensors are loaded from it; "
                "get the file from its publisher, or a .safetensors version."
            ) from error
        raise InputError(f"{path.name} cannot be read as a model file. Download it again.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path.name} holds a {type(data).__name__}, not a dictionary of tensors.")
    return data


def _read_pickle(path: Path) -> Any:
    """torch.load without code, memory-mapped where the file's format allows."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # another pickle protocol is either read or refused below
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
        return torch.load(path, map_location="cpu", weights_only=True)
