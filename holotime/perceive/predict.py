"""One panorama to distance and classes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holotime.clip import Clip
from holotime.errors import BackendUnavailable, InputError
from holotime.perceive import SKY, ImagePerception
from holotime.perceive.aligned import aligned_distance, default_device
from holotime.perceive.backends import LIBRARIES, Predictor, open_predictor, parse_spec
from holotime.perceive.coarse import Coarse, apply_rules, read_network, small_image
from holotime.perceive.prior import read_prior
from holotime.perceive.upsample import upsample

EMBEDDED = ("auto", "network", "prior")
LARGEST = 8192  # columns; a panorama of 16384 x 8192 would need more than 10 GB of memory


def check_image(image: NDArray[np.uint8]) -> None:
    """Raise InputError unless ``image`` is an equirect uint8 [H, 2H, 3]."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"A panorama needs [H, 2H, 3] of uint8, got {image.dtype} {list(image.shape)}.")
    if image.shape[1] != 2 * image.shape[0] or image.shape[0] < 16:
        raise InputError(
            f"A panorama must be twice as wide as high and at least 32 x 16, got {image.shape[1]} x {image.shape[0]}. "
            "Pad or stretch it first."
        )
    if image.shape[0] > LARGEST // 2:
        raise InputError(
            f"A panorama of {image.shape[1]} x {image.shape[0]} is larger than {LARGEST} x {LARGEST // 2}. "
            "Resize it first: what is perceived is no finer than 2048 x 1024."
        )


def facing(image: NDArray[np.uint8]) -> int:
    """The column of a panorama [H, W, 3] that is looked at first; it turns with the panorama.

    A network is equivariant to turns by whole cells of its coarsest grid only. Turned so that this column comes first,
    a panorama is the same array however it was turned, and so is what the network says of it. It is the centre
    of the brightest half circle, then eighth, then 32nd, then column: sums of integers, which no rounding can change.
    """
    columns = image.sum((0, 2), dtype=np.int64)
    width = len(columns)
    keys = [columns]
    for part in (32, 8, 2):
        reach = max(1, width // part)
        total = np.concatenate([[0], np.cumsum(np.tile(columns, 2))])
        keys.append(np.roll(total[reach : reach + width] - total[:width], reach // 2))
    return int(np.lexsort(keys)[-1])


def check_backend(backend: str) -> None:
    """Raise InputError for a name that is no backend."""
    if backend not in EMBEDDED and parse_spec(backend) is None:
        libraries = ", ".join(f"{library}:MODEL" for library in LIBRARIES)
        raise InputError(f"There is no perception backend {backend!r}. Use one of {', '.join(EMBEDDED)}, {libraries}.")


def embedded(backend: str) -> str:
    """The embedded backend beside ``backend``: for classes and the rough world, which no depth network gives."""
    return backend if backend in EMBEDDED else "auto"


def find_predictor(backend: str) -> Predictor | None:
    """The depth network that ``backend`` names, loaded; None for an embedded one."""
    spec = parse_spec(backend)
    return open_predictor(spec, default_device()) if spec else None


def finish(full: Coarse, backend: str) -> ImagePerception:
    """Distances in metres, +inf where the sky is more likely than all else together."""
    distance = np.exp(full.log_distance)
    distance[full.classes[..., SKY] >= 0.5] = np.inf
    return ImagePerception(distance, full.classes, full.log_error, backend)


def read_coarse(small: NDArray[np.uint8], backend: str) -> tuple[Coarse, str]:
    """The coarse prediction for an image at the network's size [h, w, 3], before any rule, and what made it.

    "auto" falls back to the prior when the network cannot be loaded, and the returned name says so.
    """
    if backend == "prior":
        return read_prior(small), "prior"
    turn = facing(small)
    try:
        read = read_network(np.ascontiguousarray(np.roll(small, -turn, 1)))
        return Coarse(*[np.roll(a, turn, 1) for a in (read.log_distance, read.log_error, read.classes)]), "network"
    except BackendUnavailable:
        if backend == "network":
            raise
        return read_prior(small), "prior (the network's weights are missing)"


def perceive_image(
    image: NDArray[np.uint8],
    *,
    backend: str = "auto",
    predictor: Predictor | None = None,
    cache: Path | None = None,
) -> ImagePerception:
    """Distance, classes and expected error of one panorama.

    Turning the panorama by whole columns of what the network reads (its width / 512 of the picture's) turns the result
    of an embedded backend by as many; see :func:`facing`.

    Args:
        image: [H, 2H, 3] uint8 sRGB equirect.
        backend: "network", "prior" (geometry only), "auto" (the network, or the prior when it cannot be loaded; the
            result's ``backend`` says which it was), or a depth network as in :mod:`holotime.perceive.backends`.
        predictor: a loaded depth network, instead of one that ``backend`` names.
        cache: folder that keeps what a depth network said.

    Raises InputError for another shape, BackendUnavailable when what was asked for cannot be loaded.
    """
    check_image(image)
    check_backend(backend)
    predictor = predictor or find_predictor(backend)
    small = small_image(image)
    coarse, used = read_coarse(small, embedded(backend))
    full = upsample(apply_rules(coarse, small), image, small)
    if predictor is None:
        return finish(full, used)
    none = np.zeros((1, *image.shape[:2], 2), np.float16)
    still = np.zeros(image.shape[:2], bool)
    distance, text = aligned_distance(
        Clip(image[None]), full, still, none, ~still[None], predictor, cache=cache, device=default_device()
    )
    return ImagePerception(distance[0], full.classes, full.log_error, f"{text}; classes: {used}")
