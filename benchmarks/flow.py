"""Optical flow of a turning head: end-point error of DIS alone, and with GMFlow where it is needed.

    python benchmarks/flow.py PANORAMA [PANORAMA ...] [--degrees 2,15,25] [--height 512]

Every panorama is turned in yaw by whole columns, so the truth is exact. Prints one JSON object: for each panorama and
angle the mean end-point error in pixels of the equator, weighted by solid angle, and the seconds of a pair there and
back. The weights of GMFlow must be here (``holotime weights get gmflow``).
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holotime import sphere
from holotime.clip import read_image
from holotime.perceive.flow import flow_between, grey, speed, wrap_difference
from holotime.perceive.large_motion import find_large_motion
from holotime.weights import locate


def error(flow: NDArray, columns: int) -> float:
    """Mean end-point error of a flow [H, W, 2] for a turn by ``columns``, in pixels of the equator."""
    height, width = flow.shape[:2]
    away = np.stack([wrap_difference(flow[..., 0] - columns, width), flow[..., 1]], -1)
    weight = np.broadcast_to(sphere.solid_angles(height), (height, width))
    return round(float(np.average(speed(away), weights=weight)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panoramas", nargs="+", type=Path)
    parser.add_argument("--degrees", type=lambda s: [float(x) for x in s.split(",")], default=[2.0, 15.0, 25.0])
    parser.add_argument("--height", type=int, default=512)
    args = parser.parse_args()
    locate("gmflow")
    matcher = find_large_motion()
    assert matcher is not None
    result: dict[str, object] = {"height": args.height, "load": round(os.getloadavg()[0], 2)}
    for path in args.panoramas:
        first = np.clip(np.round(sphere.resize(read_image(path), args.height)), 0, 255).astype(np.uint8)
        cases = {}
        for degrees in args.degrees:
            columns = round(degrees / 360 * first.shape[1])
            second = np.roll(first, columns, axis=1)
            start = time.perf_counter()
            plain = flow_between(grey(first), grey(second)), flow_between(grey(second), grey(first))
            searched = time.perf_counter()
            before = matcher.pairs
            there, _ = matcher.improve(first, second, *plain)
            cases[f"{degrees:g}"] = {
                "dis": error(plain[0], columns),
                "with_gmflow": error(there, columns),
                "gmflow_used": matcher.pairs > before,
                "dis_seconds": round(searched - start, 2),
                "gmflow_seconds": round(time.perf_counter() - searched, 2),
            }
        result[path.name] = cases
    print(json.dumps(result))


if __name__ == "__main__":
    main()
