"""Reading the weights of an ncnn model: a text file of layers (.param) and their numbers one after another (.bin).

Of the layers only convolutions and PReLU carry numbers in the networks that are read here. A convolution's weights
begin with a tag of four bytes: 0 for float32, ``HALF`` for float16 padded to four bytes; biases and slopes are float32
without a tag (ncnn's wiki, "param and model file structure").
"""

from pathlib import Path
from typing import Any

import numpy as np

from holotime.errors import InputError

MAGIC = "7767517"
HALF = 0x01306B47
SILENT = {  # layers without numbers
    *("Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle", "Noop", "ReLU", "UnaryOp"),
}


def is_ncnn(path: Path) -> bool:
    """Whether ``path`` is one of the two files of an ncnn model."""
    return path.suffix == ".param" or (path.suffix == ".bin" and path.with_suffix(".param").is_file())


def read_ncnn(path: Path) -> dict[str, Any]:
    """{layer.weight, layer.bias: tensor} in the order of the layers; ``path`` is either file, the other lies beside it.

    Convolutions are [out, in, k, k], slopes [n], all float32. InputError for a damaged file or a layer of another kind.
    """
    import torch

    layers, numbers = path.with_suffix(".param"), path.with_suffix(".bin")
    for file in (layers, numbers):
        if not file.is_file():
            raise InputError(f"{file} is missing: an ncnn model is a .param and a .bin file of one name. Put it there.")
    lines = layers.read_text(encoding="utf-8", errors="replace").split("\n")
    if lines[0].strip() != MAGIC:
        raise InputError(f"{layers.name} is not an ncnn model in text form. Download it again.")
    data, at = numbers.read_bytes(), 0
    found: dict[str, Any] = {}

    def take(count: int, kind: Any) -> Any:
        nonlocal at
        size = count * np.dtype(kind).itemsize
        if count < 0 or at + size > len(data):
            raise InputError(f"{numbers.name} is cut short, or does not belong to {layers.name}. Download it again.")
        values = np.frombuffer(data, kind, count, at)
        at += -(-size // 4) * 4
        return torch.from_numpy(values.astype(np.float32))

    for line in lines[2:]:
        words = line.split()
        if len(words) < 4 or words[0] in SILENT:
            continue
        kind, name = words[:2]
        options = dict(w.split("=", 1) for w in words[4 + int(words[2]) + int(words[3]) :])
        if kind == "PReLU":
            found[f"{name}.weight"] = take(int(options["0"]), np.float32)
        elif kind == "Convolution" and "8" not in options:
            out, size = int(options["0"]), int(options["6"])
            kernel = (int(options.get("11", options["1"])), int(options["1"]))
            tag = int.from_bytes(data[at : at + 4], "little")
            at += 4
            if tag not in (0, HALF):
                raise InputError(f"{numbers.name} has weights in a form that is not read here. Take one in float16.")
            weight = take(size, np.float16 if tag else np.float32)
            if out * kernel[0] * kernel[1] == 0 or size % (out * kernel[0] * kernel[1]):
                raise InputError(f"{layers.name}: the sizes of {name} contradict each other. Download it again.")
            found[f"{name}.weight"] = weight.reshape(out, -1, *kernel)
            if options.get("5") == "1":
                found[f"{name}.bias"] = take(out, np.float32)
        else:
            raise InputError(f"{layers.name} has a layer {kind}, which the networks that are read here do not have.")
    if at != len(data):
        raise InputError(f"{numbers.name} is longer than {layers.name} says. They do not belong together.")
    return found
