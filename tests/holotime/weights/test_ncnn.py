"""Reading the weights of ncnn models."""

from pathlib import Path

import numpy as np
import pytest
import torch

from holotime.errors import InputError
from holotime.weights.safe import read_tensors

LAYERS = """7767517
4 4
Input                    in                       0 1 data
Convolution              Conv_0                   1 1 data a 0=2 1=3 4=1 5=1 6=54
PReLU                    Act_1                    1 1 a b 0=2
Convolution              Conv_2                   1 1 b out 0=1 1=1 5=0 6=2 9=2 -23310=1,2.000000e-01
"""


def write(folder: Path, layers: str = LAYERS, cut: int = 0) -> tuple[Path, torch.Tensor]:
    weight = np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float16)
    data = (0x01306B47).to_bytes(4, "little") + weight.tobytes() + np.float32([1, 2]).tobytes()
    data += np.float32([0.1, 0.2]).tobytes() + bytes(4) + np.float32([5, 6]).tobytes()
    (folder / "net.param").write_text(layers)
    (folder / "net.bin").write_bytes(data[: len(data) - cut])
    return folder / "net.param", torch.from_numpy(weight.astype(np.float32))


def test_weights_biases_and_slopes(tmp_path: Path) -> None:
    path, weight = write(tmp_path)
    for file in (path, path.with_suffix(".bin")):
        found = read_tensors(file)
        assert list(found) == ["Conv_0.weight", "Conv_0.bias", "Act_1.weight", "Conv_2.weight"]
        assert torch.equal(found["Conv_0.weight"], weight)
        assert found["Conv_0.bias"].tolist() == [1, 2]
        assert found["Conv_2.weight"].flatten().tolist() == [5, 6]
        assert torch.allclose(found["Act_1.weight"], torch.tensor([0.1, 0.2]))


@pytest.mark.parametrize(
    ("layers", "cut", "said"),
    [
        (LAYERS, 6, "cut short"),
        (LAYERS.replace("4 4\n", "4 4\nLSTM x 1 1 a b\n"), 0, "a layer LSTM"),
        (LAYERS.replace("7767517", "hello"), 0, "not an ncnn model"),
        (LAYERS.replace("0=2 1=3 4=1", "0=2 1=3 8=1 4=1"), 0, "a layer Convolution"),
        ("\n".join(LAYERS.split("\n")[:-2]), 0, "longer than"),
    ],
)
def test_damaged_and_foreign_files(tmp_path: Path, layers: str, cut: int, said: str) -> None:
    path, _ = write(tmp_path, layers, cut)
    with pytest.raises(InputError, match=said):
        read_tensors(path)


def test_both_files_are_needed(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    path.with_suffix(".bin").unlink()
    with pytest.raises(InputError, match=r"net\.bin is missing"):
        read_tensors(path)
