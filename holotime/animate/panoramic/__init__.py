"""Image-to-video pipelines of diffusers made panoramic without training: ``wan``, ``ltx``, ``cogvideox``, ``svd``.

``run(panorama, PanoramicConfig(animator="wan", prompt="..."))`` returns an Animation: the clip, the memory plan and
every decision as a sentence. Needs the ``diffusion`` extra and a model (:mod:`holotime.weights`, or a folder).
"""

from holotime.animate.panoramic.animator import Animation, fingerprint, run
from holotime.animate.panoramic.config import LOOPS, PanoramicConfig
from holotime.animate.panoramic.families import FAMILIES

__all__ = ["FAMILIES", "LOOPS", "Animation", "PanoramicConfig", "fingerprint", "run"]
