"""HoloTime: from a panorama to an animated 4D world around the camera.

Arrays in, arrays out: this package imports neither Blender nor ZeroMQ.
"""

import os

# OpenMP threads that spin while they wait make torch several times slower on a machine that is busy with other work.
# It is read once, when torch starts its threads, so it must be set before torch is imported; what the user set wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
