"""What is drawn of a scene, and the form in which the graphics card takes it. numpy only: may run in any thread."""

from dataclasses import dataclass

import numpy as np

TEXELS = 8  # RGBA texels a splat, one in each of as many textures (see splat_shader)
WIDTH = 2048  # texels in a row of a texture
LONGEST_WIDTH = 9.0  # logarithm of a time window's width that is as good as always


@dataclass
class SplatArrays:
    """N splats, object space, display colours."""

    means: np.ndarray  # [N, 3] metres
    motion: np.ndarray  # [N, 3, 3] metres per t, t^2, t^3
    t_centers: np.ndarray  # [N]
    inverse_widths: np.ndarray  # [N] 1 / the time window's width; 0 is always
    opacities: np.ndarray  # [N] 0..1
    quats: np.ndarray  # [N, 4] wxyz
    omegas: np.ndarray  # [N, 4] per t
    scales: np.ndarray  # [N, 3] metres
    colors: np.ndarray  # [N, 3] sRGB

    def __len__(self) -> int:
        return len(self.means)

    def take(self, keep: np.ndarray) -> "SplatArrays":
        """Some of the splats."""
        return SplatArrays(**{name: value[keep] for name, value in vars(self).items()})

    @classmethod
    def of(cls, tensors: dict[str, np.ndarray]) -> "SplatArrays":
        """The splats of a scene file's tensors (docs/formats.md)."""
        return cls(
            means=tensors["means"],
            motion=tensors["motion"],
            t_centers=tensors["t_centers"],
            inverse_widths=np.exp(-np.minimum(tensors["t_log_scales"], LONGEST_WIDTH)),
            opacities=1 / (1 + np.exp(-tensors["opacity_logits"])),
            quats=tensors["quats"],
            omegas=tensors["omegas"],
            scales=np.exp(tensors["log_scales"]),
            colors=tensors["colors"],
        )


def planes(arrays: SplatArrays) -> list[np.ndarray]:
    """TEXELS arrays [rows, WIDTH, 4] float32, the last row filled up with zeros; what is in which: splat_shader."""
    a = arrays
    contents: list[tuple[np.ndarray, np.ndarray | None]] = [  # (first channels, last one)
        (a.means, a.t_centers),
        (a.motion[:, 0], a.opacities),
        (a.motion[:, 1], a.inverse_widths),
        (a.motion[:, 2], None),
        (a.quats, None),
        (a.omegas, None),
        (a.scales, None),
        (a.colors, None),
    ]
    out = []
    for first, last in contents:
        plane = np.zeros((-(-len(a) // WIDTH) * WIDTH, 4), np.float32)
        plane[: len(a), : first.shape[1]] = first
        if last is not None:
            plane[: len(a), 3] = last
        out.append(plane.reshape(-1, WIDTH, 4))
    return out
