"""Heal a panorama whose left and right edges do not meet, as generated panoramas' seldom do."""

import numpy as np
from numpy.typing import NDArray

from holotime.quality import seam_ratio

TOLERANCE = 1.02  # a seam ratio up to this is as good as any other place


def heal_seam(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """([H, W, 3] without a visible seam at +-180 degrees, the seam ratio that it had).

    Half of the step across the seam is added to either side and dies away into the picture like a membrane: the
    harmonic function with that step as its boundary, exp(-k x) for the vertical frequency k, so that a step in
    brightness fades over a wide strip and a misplaced line over a few pixels. Just as much of the step is left as
    neighbouring columns differ elsewhere (the ratio becomes 1), for a seam that is too smooth would show as well.
    """
    ratio = seam_ratio(image[None])
    if ratio <= TOLERANCE:
        return image, ratio
    height, width = image.shape[:2]
    step = image[:, 0].astype(np.float64) - image[:, -1]  # [H, 3] across the seam
    # Mirrored over the poles, where the membrane ends without a slope.
    spectrum = np.fft.rfft(np.concatenate([step, step[::-1]]), axis=0)
    k = np.pi / height * np.arange(len(spectrum))  # radians a pixel
    reach = width // 8
    x = np.arange(reach) + 0.5
    # The slowest frequencies would reach around the whole picture; nothing is changed beyond ``reach``.
    window = np.cos(0.5 * np.pi * np.arange(reach) / reach) ** 2
    decay = np.exp(-k[:, None] * x[None]) * window
    membrane = np.fft.irfft(spectrum[:, None] * decay[..., None], n=2 * height, axis=0)[:height]  # [H, reach, 3]

    def healed(strength: float) -> NDArray[np.float64]:
        out = image.astype(np.float64)
        out[:, :reach] -= 0.5 * strength * membrane
        out[:, width - reach :] += 0.5 * strength * membrane[:, ::-1]
        return np.clip(out, 0, 255)

    # Clipping and rounding bend the relation a little, so the strength is found by bisection.
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if seam_ratio(np.round(healed(middle))[None]) > 1 else (low, middle)
    return np.round(healed(0.5 * (low + high))).astype(np.uint8), ratio
