"""Enhance: more frames a second and more pixels, around the whole circle."""

from holotime.enhance.config import SCALES, EnhanceConfig
from holotime.enhance.run import Enhanced, Plan, enhance_clip, enhance_video, plan

__all__ = ["SCALES", "EnhanceConfig", "Enhanced", "Plan", "enhance_clip", "enhance_video", "plan"]
