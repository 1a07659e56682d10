"""Figures that say how good a reading is; everything weighted by solid angle."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import CLASSES
from holotime.perceive.upsample import row_planes

EDGE = math.log(1.25)  # difference of log distance between neighbours that is a discontinuity
WITHIN = 2  # pixels by which an edge may be off
BIN = 1.25  # ratio of distances that still counts as right
SKY_AS = 1e3  # metres; a solid thing that is called sky counts as this far


def solid_angle(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """[H, W] weights that sum to 1."""
    weight = np.broadcast_to(sphere.solid_angles(*shape), shape)
    return weight / weight.sum()


def distance_scores(found: NDArray, truth: NDArray) -> dict[str, float]:
    """AbsRel and delta of distances [H, W] (+inf = sky) with one free scale, and the IoU of the sky (1 without any)."""
    weight = solid_angle(truth.shape)
    solid, sky, found_sky = np.isfinite(truth), ~np.isfinite(truth), ~np.isfinite(found)
    both = solid & ~found_sky
    scale = np.median(truth[both] / found[both]) if both.any() else 1.0
    ratio = np.where(found_sky, SKY_AS, np.where(found_sky, 1, found) * scale)[solid] / truth[solid]
    w = weight[solid] / weight[solid].sum()
    union = weight[sky | found_sky].sum()
    return {
        "abs_rel": float(np.minimum(np.abs(ratio - 1), 10) @ w),
        "delta": float((np.maximum(ratio, 1 / ratio) < BIN) @ w),
        "sky_iou": float(weight[sky & found_sky].sum() / union) if union > 1e-6 else 1.0,
    }


def discontinuities(distance: NDArray) -> NDArray[np.bool_]:
    """[H, W] pixels that differ from a neighbour by more than a wall or a floor can; the sky is beyond everything."""
    log = np.log(np.where(np.isfinite(distance), distance, 1e6)).astype(np.float32)
    right = np.abs(np.roll(log, -1, 1) - log)
    down, plane = log[1:] - log[:-1], np.diff(row_planes(len(log)))[:, None]
    down = np.minimum(np.abs(down), np.abs(down - plane))
    edges = np.zeros(log.shape, bool)
    edges |= right > EDGE
    edges[:-1] |= down > EDGE
    return edges


def edge_score(found: NDArray, truth: NDArray, within: int = WITHIN) -> dict[str, float]:
    """Precision, recall and F-score of the discontinuities of distances [H, W] within some pixels."""
    a, b, weight = discontinuities(found), discontinuities(truth), solid_angle(truth.shape)
    kernel = np.ones((2 * within + 1, 2 * within + 1), np.uint8)

    def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        wide = cv2.dilate(sphere.pad(mask.astype(np.uint8), within, within), kernel)
        return wide[within:-within, within:-within] > 0

    precision = float((weight * (a & grown(b))).sum() / max((weight * a).sum(), 1e-9))
    recall = float((weight * (b & grown(a))).sum() / max((weight * b).sum(), 1e-9))
    return {"precision": precision, "recall": recall, "f": 2 * precision * recall / max(precision + recall, 1e-9)}


class Overlap:
    """IoU of each class over many panoramas."""

    def __init__(self) -> None:
        self.common, self.either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))

    def add(self, found: NDArray, truth: NDArray) -> None:
        """Class indices [H, W] of one panorama."""
        weight = solid_angle(truth.shape)
        for k in range(len(CLASSES)):
            self.common[k] += weight[(found == k) & (truth == k)].sum()
            self.either[k] += weight[(found == k) | (truth == k)].sum()

    def result(self) -> dict[str, float | None]:
        """By class name; None for a class that never was nor was found."""
        return {
            name: float(self.common[k] / self.either[k]) if self.either[k] > 1e-6 else None
            for k, name in enumerate(CLASSES)
        }
