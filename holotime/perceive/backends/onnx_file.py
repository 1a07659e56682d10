"""A depth network in an ONNX file, as exporters of MiDaS, Depth Anything and their like write it."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from holotime.errors import BackendUnavailable
from holotime.files import digest_file
from holotime.perceive.observe import Kind

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which nearly all of them were trained with
SIZE = 518  # of the input where the file leaves it open: a multiple of 14, for vision transformers


class OnnxDepth:
    """One input [N, 3, h, w] of normalised sRGB, first output [N, h, w] or [N, 1, h, w]: inverse depth if not told."""

    def __init__(self, model: str, *, kind: Kind | None = None, device: str = "cpu") -> None:
        path = Path(model)
        if not path.is_file():
            raise BackendUnavailable(f"The ONNX file {path} does not exist. Check the name.")
        try:
            import onnxruntime
        except ImportError as error:
            text = f"The backend onnx:{model} needs the package onnxruntime. Install holotime with its extra 'onnx'."
            raise BackendUnavailable(text) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        here = onnxruntime.get_available_providers()
        providers = [p for p in ("CUDAExecutionProvider",) if device != "cpu" and p in here] + ["CPUExecutionProvider"]
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime's errors share no base class of their own
            reason = " ".join(str(error).split())[:160]
            raise BackendUnavailable(f"{path} cannot be loaded as an ONNX model ({reason}).") from error
        first = self.session.get_inputs()[0]
        if len(self.session.get_inputs()) != 1 or len(first.shape) != 4 or first.shape[1] not in (3, "3"):
            raise BackendUnavailable(f"{path} wants {first.name} {first.shape}; a picture [N, 3, h, w] is expected.")
        self.input = first.name
        n, _, h, w = first.shape
        self.batch = n if isinstance(n, int) and n > 0 else 4
        self.size = (h if isinstance(h, int) else SIZE, w if isinstance(w, int) else SIZE)
        self.name = f"onnx:{path.name}"
        self.kind: Kind = kind or "disparity"
        self.digest = f"{digest_file(path)}-{self.kind}"

    def __call__(self, pictures: Tensor, frame: int) -> Tensor:
        """See :class:`holotime.perceive.backends.Predictor`."""
        mean, std = (torch.tensor(v, device=pictures.device)[:, None, None] for v in (MEAN, STD))
        small = F.interpolate(pictures, self.size, mode="bilinear", align_corners=False, antialias=True)
        inputs = ((small - mean) / std).cpu().numpy().astype(np.float32)
        out = []
        for i in range(0, len(inputs), self.batch):
            part = inputs[i : i + self.batch]
            missing = self.batch - len(part)
            # A file with a fixed batch wants it full.
            full = np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part
            found = torch.from_numpy(np.asarray(self.session.run(None, {self.input: full})[0], np.float32))
            out.append(found.reshape(len(full), 1, *found.shape[-2:])[: len(part)])
        size = pictures.shape[-2:]
        result = F.interpolate(torch.cat(out), size, mode="bilinear", align_corners=False)
        return result[:, 0].to(pictures.device)
