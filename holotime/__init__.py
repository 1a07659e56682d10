"""HoloTime: from a panorama to an animated 4D world around the camera.

Arrays in, arrays out: this package imports neither Blender nor ZeroMQ.
"""

__version__ = "0.1.0"
