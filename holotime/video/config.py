"""What a render job may be asked for."""

from dataclasses import dataclass

from holotime.config import setting
from holotime.errors import InputError
from holotime.render.views import BACKENDS, IPD, PROJECTIONS, SHAPES, STEPS, size_of
from holotime.video.codecs import CODECS, EFFORTS
from holotime.video.playback import REPEATS
from holotime.video.presets import VideoPreset, find_preset

SAFE = ("scale", "clamp", "off")
BEHIND = ("fill", "transparent", "black")
DISTANCES = ("none", "ray", "planar")
STEREO = ("ods", "vr180")
WIDTH = 1024  # pixels, of one eye
CUBE_WIDTH = 1536  # pixels: faces of 512
FLAT_ASPECT = 16 / 9


@dataclass(frozen=True)
class RenderConfig:
    """What a scene is rendered to. What is left out comes from the preset, if one is named."""

    preset: str = setting("", "video preset that gives projection, size and codec; see presets/video")
    projection: str | None = setting(
        None, "what the picture shows; ods (stereo top-bottom) if empty", choices=PROJECTIONS
    )
    camera: str = setting("", "preset camera path; the eye stands still if empty")
    parameters: dict | None = setting(None, "parameters of the camera path that differ from its defaults")
    width: int | None = setting(None, "width of the picture, of one eye in stereo, in pixels", range=(32, 16384))
    height: int | None = setting(None, "height of a perspective picture; 9/16 of the width if empty", range=(16, 16384))
    fps: float | None = setting(None, "frames per second; the scene's own if empty", range=(1, 240))
    seconds: float | None = setting(None, "length; the scene's own or the path's if empty", range=(0.01, 3600))
    ipd: float = setting(IPD, "distance of the eyes in metres, for stereo", range=(0, 1))
    level: bool | None = setting(None, "keep the horizon level; if empty, for stereo on preset paths")
    dome: str = setting("up", "what stands in the middle of a fisheye", choices=("up", "front"))
    repeat: str = setting("auto", "what follows the scene's end: auto repeats a loop, else rests", choices=REPEATS)
    phase: float = setting(0.0, "where in the scene to begin, as a share of one round", range=(-1, 1))
    speed: float = setting(1.0, "seconds of the scene in a second of video; below zero backwards", range=(-16, 16))
    safe: str = setting("scale", "what happens to a path that leaves the safe volume", choices=SAFE)
    behind: str = setting("fill", "what is seen where no splat is", choices=BEHIND)
    distance: str = setting("none", "distance channel of an EXR: along the ray, or planar depth", choices=DISTANCES)
    codec: str | None = setting(None, "video codec; h264 if empty", choices=tuple(CODECS))
    bits: int | None = setting(None, "bits per channel of the video; the codec's smallest if empty", range=(8, 16))
    crf: int | None = setting(None, "quality of the video, smaller is better; the codec's own if empty", range=(0, 63))
    effort: str = setting("balanced", "how long the encoder may think", choices=EFFORTS)
    hardware: str = setting("auto", "encode on the graphics card", choices=("auto", "off", "only"))
    backend: str = setting("auto", "what draws", choices=BACKENDS)

    def video_preset(self) -> VideoPreset | None:
        """The named preset; InputError lists the names when there is none, or says what contradicts it."""
        if not self.preset:
            return None
        preset = find_preset(self.preset)
        if self.projection not in (None, preset.projection):
            raise InputError(
                f"The preset {preset.name} is {preset.projection}, not {self.projection}. Leave one of them out."
            )
        return preset

    def shape(self) -> str:
        """The projection that is meant."""
        preset = self.video_preset()
        return preset.projection if preset is not None else self.projection or "ods"

    def size(self) -> tuple[int, int]:
        """(width, height) of the whole picture in pixels, both eyes together."""
        projection, preset = self.shape(), self.video_preset()
        if self.width is None and preset is not None:
            return preset.width, preset.height
        width = self.width or (CUBE_WIDTH if projection == "cubemap" else WIDTH)
        if projection == "perspective":
            ratio = preset.height / preset.width if preset is not None else 1 / FLAT_ASPECT
            return width, self.height or max(2, round(width * ratio / 2) * 2)
        whole = 2 * width if projection == "vr180" else width
        fits = size_of(projection, whole)
        if fits[0] != whole:
            step = STEPS[projection] // (2 if projection == "vr180" else 1)
            near = max(step, round(width / step) * step)
            raise InputError(f"The width of a {projection} picture must be a multiple of {step}: {near}, not {width}.")
        if self.height is not None and self.height != fits[1]:
            across, down = SHAPES[projection]
            raise InputError(f"A {projection} picture is {across}:{down}; leave out the height.")
        return fits

    def encoding(self) -> tuple[str, int, int | None]:
        """(codec, bits, crf) of the video."""
        preset = self.video_preset()
        codec = self.codec or (preset.codec if preset is not None else "h264")
        bits, crf = min(CODECS[codec].pixels), None
        if preset is not None and codec == preset.codec:
            bits, crf = preset.bits, preset.crf
        return codec, self.bits or bits, self.crf if self.crf is not None else crf
