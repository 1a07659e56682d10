"""The families by name, and the pipeline that a configuration means."""

from holotime.animate.panoramic.cogvideox import CogVideoX
from holotime.animate.panoramic.config import PanoramicConfig
from holotime.animate.panoramic.family import Family
from holotime.animate.panoramic.ltx import LTX
from holotime.animate.panoramic.svd import SVD
from holotime.animate.panoramic.wan import Wan
from holotime.errors import InputError
from holotime.models import PipelineFiles, find_pipeline

FAMILIES: dict[str, type[Family]] = {family.animator: family for family in (Wan, LTX, CogVideoX, SVD)}


def find(config: PanoramicConfig) -> PipelineFiles:
    """The files of the pipeline. Errors: see find_pipeline; one of another family names the animator that takes it."""
    if config.animator not in FAMILIES:
        raise InputError(f"Unknown video model family '{config.animator}'. Take one of {', '.join(FAMILIES)}.")
    family = FAMILIES[config.animator]
    everything = [cls for one in FAMILIES.values() for cls in one.classes]
    files = find_pipeline(config.model or family.default, everything, "image to video")
    if files.cls not in family.classes:
        other = next(name for name, one in FAMILIES.items() if files.cls in one.classes)
        raise InputError(f"The model {files.name} is a {files.cls}: choose the animator {other} for it.")
    return files


def family_of(config: PanoramicConfig) -> Family:
    """The pipeline of a configuration, known from its files."""
    files = find(config)
    return FAMILIES[config.animator](files)
