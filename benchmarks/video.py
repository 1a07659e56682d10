#!/usr/bin/env python3
"""How fast a headset video is drawn, encoded, and both at once. Prints JSON.

    python benchmarks/video.py [--backend gpu] [--size 5760] [--splats 1000000] [--frames 96]

The scene and its moving camera are those of benchmarks/render.py. For every codec and effort: "encoded" is the encoder
alone, fed with frames that are already there; "film" is the whole of it, drawing, transfer, conversion, encoding and
joining, from one call to the finished file. "delivered" is drawing and transfer without an encoder. A film can be no
faster than the slower of the two. Frames per second; sizes in megabytes; memory is the largest of the process.
"""

import argparse
import itertools
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.render import VIDEO, moving, room, shots
from holotime.render.views import View, renderer
from holotime.video.segments import VideoSpec, write_video
from holotime.video.spherical import Sphere

CASES = ("h264:fast", "h264:balanced", "h265:fast", "av1:fast")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="auto, cpu or gpu")
    parser.add_argument("--size", type=int, default=5760, help="width of the top-bottom frame in pixels")
    parser.add_argument("--splats", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--cases", nargs="+", default=list(CASES), help="codec:effort")
    options = parser.parse_args()

    draws = renderer(options.backend, moving(room(options.splats)))
    view = View("ods", (options.size, options.size), output=VIDEO)
    some = [frame.color for frame in draws.draw_many(shots(view, 8))]  # also compiles what must be
    begin = time.perf_counter()
    for _ in draws.draw_many(shots(view, options.frames)):
        pass
    result = {
        "device": f"{draws.backend} ({draws.note})",
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "size": [options.size, options.size],
        "splats": options.splats,
        "delivered_fps": round(options.frames / (time.perf_counter() - begin), 2),
    }
    back_and_forth = [*some, *some[-2:0:-1]]
    for case in options.cases:
        codec, effort = case.split(":")
        spec = VideoSpec(options.size, options.size, options.frames, 30.0, codec, effort=effort)
        with tempfile.TemporaryDirectory() as folder:
            sources = {
                "encoded": lambda wanted: itertools.islice(itertools.cycle(back_and_forth), len(wanted)),
                "film": lambda wanted: (frame.color for frame in draws.draw_many(shots(view, len(wanted)))),
            }
            for name, source in sources.items():
                path = Path(folder) / f"{name}.mp4"
                begin = time.perf_counter()
                made = write_video(path, source, spec, identity={}, sphere=Sphere(stereo="top_bottom"))
                fps = round(options.frames / (time.perf_counter() - begin), 2)
                result.setdefault(case, {})[f"{name}_fps"] = fps
            result[case] |= {"encoder": made.encoder, "megabytes": round(path.stat().st_size / 1e6, 1)}
        print(case, result[case], flush=True)
        result["memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    result["mean"] = round(float(np.mean([frame.mean() for frame in some])), 2)  # not an empty picture
    print(json.dumps(result))


if __name__ == "__main__":
    main()
