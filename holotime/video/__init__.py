"""Video: pictures to a file that players and headsets show as it is meant.

``write_video`` takes pictures as they are drawn, encodes them beside the drawing, and resumes a killed render.
``Sphere`` says what part of the sphere a frame shows; ``presets`` knows headsets; ``exr`` and ``stills`` write pictures
for compositing and for photo viewers.
"""

from holotime.video.codecs import CODECS, EFFORTS
from holotime.video.segments import FrameSource, VideoReport, VideoSpec, write_video
from holotime.video.spherical import Sphere, add_spherical

__all__ = ["CODECS", "EFFORTS", "FrameSource", "Sphere", "VideoReport", "VideoSpec", "add_spherical", "write_video"]
