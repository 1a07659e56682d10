"""A geometric prior: what can be said of a panorama without learning.

The horizon is the middle row. Sky grows from the zenith while the picture stays smooth; ground grows from the nadir
while the colour stays alike and is a plane at eye height, capped in distance; everything else stands on the ground
where its column meets it. Fallback and yardstick for the network.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.perceive import CLASSES, EYE_HEIGHT, GROUND, SKY, SOLID, regions
from holotime.perceive.coarse import Coarse

FAR = 30.0  # metres; nothing is placed beyond
SURE, UNSURE = 0.2, 0.6  # expected error of log distance on the ground plane and elsewhere
INDOOR_SKYLINE = 0.7  # radians; a median skyline above this latitude is a ceiling's edge


def _sky(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[h, w] smooth pixels above the horizon that are joined to the zenith; empty indoors. lab: CIELAB [h, w, 3]."""
    height, width = lab.shape[:2]
    light = sphere.pad(lab[..., 0], 2, 2)
    gradient = np.hypot(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))[2:-2, 2:-2]
    texture = sphere.blur(gradient, width / 200)
    quarter = height // 4
    edge_limit = max(45.0, 1.5 * float(np.percentile(gradient[:quarter], 90)))
    texture_limit = max(30.0, 1.3 * float(np.percentile(texture[:quarter], 90)))
    smooth = (gradient < edge_limit) & (texture < texture_limit)
    smooth[height // 2 :] = False
    smooth[0] = True
    labels, _ = regions.label(smooth)
    sky = labels == labels[0, 0]
    rows = np.where(sky.all(0), height // 2, np.argmin(sky, 0))
    if np.median(sphere.latitudes(height)[np.minimum(rows, height - 1)]) > INDOOR_SKYLINE:
        return np.zeros_like(sky)
    return sky


def _ground(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[h, w] pixels below the horizon that look like what is underfoot and are joined to the nadir."""
    height = lab.shape[0]
    under = lab[int(0.72 * height) : int(0.95 * height)].reshape(-1, 3)
    like = (np.abs(lab - under.mean(0)) / (under.std(0) + 6)).max(-1) < 2.6
    like[: height // 2 + 1] = False
    like[int(0.9 * height) :] = True
    closed = cv2.morphologyEx(sphere.pad(like.astype(np.uint8), 8, 0), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    labels, _ = regions.label(closed[:, 8:-8] > 0)
    return labels == labels[-1, 0]


def read_prior(small: NDArray[np.uint8]) -> Coarse:
    """The prior on an image [h, w, 3] sRGB of any size; distances in metres."""
    height, width = small.shape[:2]
    lab = cv2.cvtColor(np.ascontiguousarray(sphere.blur(small, 1.5)), cv2.COLOR_RGB2LAB).astype(np.float32)
    sky, ground = _sky(lab), _ground(lab)
    sky &= ~ground
    phi = sphere.latitudes(height)[:, None]
    plane = np.minimum(EYE_HEIGHT / np.maximum(np.sin(-phi), EYE_HEIGHT / FAR), FAR)

    # What stands in a column stands where the column's ground begins; a short median makes neighbours agree.
    contact = np.where(ground.any(0), np.argmax(ground, 0), height - 1).astype(np.float32)
    reach = max(1, width // 200)
    windows = np.stack([np.roll(contact, k) for k in range(-reach, reach + 1)])
    contact_phi = sphere.latitudes(height)[np.median(windows, axis=0).astype(int)]
    horizontal = EYE_HEIGHT / np.maximum(np.tan(-contact_phi), EYE_HEIGHT / FAR)
    standing = np.minimum(horizontal[None] / np.maximum(np.cos(phi), 0.15), FAR)

    distance = np.where(ground, plane, standing).astype(np.float32)
    kind = np.where(sky, SKY, np.where(ground, GROUND, SOLID))
    classes = np.eye(len(CLASSES), dtype=np.float32)[kind]
    log_distance = regions.fill(np.log(distance), ~sky)
    log_error = np.where(ground & (plane < FAR), np.float32(SURE), np.float32(UNSURE))
    return Coarse(log_distance, log_error, classes)
