"""Heal a panorama whose left and right edges do not meet, as generated panoramas' seldom do; keep it so in a clip."""

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.quality import seam_ratio

TOLERANCE = 1.02  # a seam ratio up to this is as good as any other place
BAND = (0.97, 1.03)  # seam ratios that an animated frame is left at
GAINS = (0.5, 2.0)  # of the step across the seam; more would be seen


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
    width = image.shape[1]
    membrane = _membrane(image)  # [H, reach, 3]
    reach = membrane.shape[1]

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


def settle_seam(frames: NDArray[np.uint8], moving: NDArray[np.bool_]) -> None:
    """Keep the seam of an animated clip [T, H, W, 3] as plain or as lively as its panorama's, in place.

    Movement carries what the panorama has at +-180 degrees somewhere else, and something else there: sharp detail
    that now moves across raises the seam ratio, drifting clouds lower it. Where pixels move (``moving`` [H, W]), each
    frame's step across the seam is scaled until the frame's ratio lies in BAND, by at most GAINS, with the membrane of
    :func:`heal_seam`. Pixels that do not move, and frames within BAND, stay bit for bit. A threshold pattern that is
    fixed on the sphere rounds the change, so that nothing flickers that was still.
    """
    for frame in frames[1:]:  # the first is the panorama itself
        ratio = seam_ratio(frame[None])
        if not BAND[0] <= ratio <= BAND[1]:
            _scale_step(frame, moving, (BAND[0] if ratio < BAND[0] else BAND[1]) / max(ratio, 1e-6))


def _scale_step(frame: NDArray[np.uint8], moving: NDArray[np.bool_], factor: float) -> None:
    """Scale the mean step across the seam of ``frame`` [H, W, 3] by ``factor`` where ``moving`` [H, W], in place."""
    membrane = _membrane(frame)
    height, reach = membrane.shape[:2]
    sides = np.concatenate([np.arange(reach), np.arange(frame.shape[1] - reach, frame.shape[1])])
    change = np.concatenate([-0.5 * membrane, 0.5 * membrane[:, ::-1]], axis=1) * moving[:, sides, None]
    before = frame[:, sides] + _threshold(height, sides)[..., None]  # [H, 2 reach, 3]
    weight = sphere.solid_angles(*frame.shape[:2])  # [H, 1]

    def settled(gain: float, columns: list[int] | slice = slice(None)) -> NDArray[np.float64]:
        return np.clip(np.floor(before[:, columns] + (1 - gain) * change[:, columns]), 0, 255)

    def across(gain: float) -> float:
        edges = settled(gain, [0, -1])
        return float((np.abs(edges[:, 0] - edges[:, 1]) * weight).mean())

    # What the change does inside the picture is next to nothing, so the ratio goes with the step alone.
    wanted = factor * across(1.0)
    low, high = GAINS
    for _ in range(8):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if across(middle) > wanted else (middle, high)
    frame[:, sides] = settled(0.5 * (low + high))


def _threshold(height: int, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rounding thresholds in [0, 1) for rows 0..height-1 of ``columns``: additive recurrence of the plastic number
    (M. Roberts' R2 sequence), as even as blue noise and the same in every frame."""
    rows = np.arange(height)[:, None]
    return (0.7548776662466927 * columns[None] + 0.5698402909980532 * rows) % 1.0


def _membrane(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The step across the seam of [H, W, 3], dying away to the right of it over [H, W/8, 3] like a membrane."""
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
    return np.fft.irfft(spectrum[:, None] * decay[..., None], n=2 * height, axis=0)[:height]
