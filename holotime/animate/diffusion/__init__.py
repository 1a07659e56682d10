"""The panoramic animator: two-stage image-to-video diffusion for panoramas (backend ``holotime`` of the animate stage).

``animate(panorama, AnimatorConfig(prompt=...))`` returns a Clip; ``run`` also returns how it was made. Needs the
``diffusion`` extra and the published weights (:mod:`holotime.weights`).
"""

from holotime.animate.diffusion.animator import Animation, animate, fingerprint, run
from holotime.animate.diffusion.config import AnimatorConfig, StageConfig

__all__ = ["Animation", "AnimatorConfig", "StageConfig", "animate", "fingerprint", "run"]
