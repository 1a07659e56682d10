"""Clip: the frames of a panoramic video in memory, and reading and writing video with PyAV."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError
from holotime.files import whole_file
from holotime.progress import Progress, no_progress

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"}
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class Clip:
    """A panoramic clip. Frames are sRGB."""

    frames: NDArray[np.uint8]  # [T, H, W, 3]
    fps: float = 12.0  # frames per second
    loop: bool = False  # the frame after the last is the first

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8 or not len(self.frames):
            raise InputError(
                f"A clip needs frames [T, H, W, 3] of uint8, got {self.frames.dtype} {list(self.frames.shape)}."
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def height(self) -> int:
        return self.frames.shape[1]

    @property
    def width(self) -> int:
        return self.frames.shape[2]

    @property
    def duration(self) -> float:
        """Seconds from t = 0 to t = 1: to the repeated first frame in a loop, else to the last frame."""
        return (len(self) if self.loop else max(len(self) - 1, 1)) / self.fps

    @property
    def times(self) -> NDArray[np.float32]:
        """[T] scene time of each frame in [0, 1]: i/T in a loop, i/(T-1) otherwise."""
        return (np.arange(len(self)) / (len(self) if self.loop else max(len(self) - 1, 1))).astype(np.float32)


def read_clip(path: Path | str, *, fps: float | None = None, loop: bool = False) -> Clip:
    """Read a video file, a folder of numbered images, or one image (a clip of one frame).

    ``fps`` overrides what the file says (a folder or an image has none: 12 then). ``loop`` says that the clip repeats;
    a video written by :func:`write_clip` remembers it. Raises InputError with what was wrong.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise InputError(f"No images in the folder {path}. It should hold one PNG or JPEG for each frame.")
        frames = [read_image(f) for f in files]
        odd = next((f for f, a in zip(files, frames, strict=True) if a.shape != frames[0].shape), None)
        if odd is not None:
            raise InputError(f"{odd} has another size than {files[0].name}. All frames must have one size.")
        return Clip(np.stack(frames), fps or 12.0, loop)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return Clip(read_image(path)[None], fps or 12.0, loop)
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError(f"{path} is missing or empty. Give a video that plays.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no picture track. Give a video.")
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 12)
            loops = loop or container.metadata.get("comment") == "holotime loop"
            # Through 4:4:4, because FFmpeg's direct conversion to RGB rounds down and darkens the picture.
            wide = (f.reformat(format="yuv444p") for f in container.decode(stream))
            frames = [cast(NDArray[np.uint8], f.to_ndarray(format="rgb24")) for f in wide]
    except av.error.FFmpegError as error:
        raise InputError(f"{path} cannot be read as a video ({error.strerror}). It may be cut short.") from error
    if not frames:
        raise InputError(f"{path} holds no frames. It may be cut short.")
    return Clip(np.stack(frames), fps or rate, loops)


def read_image(path: Path | str) -> NDArray[np.uint8]:
    """[H, W, 3] sRGB of one image file. 16-bit is scaled to 8, alpha is composited over black, grey becomes RGB."""
    image = read_image_with_alpha(path)
    color, alpha = image[..., :3], image[..., 3:]
    return color.copy() if alpha.min() == 255 else np.round(color * (alpha.astype(np.float32) / 255)).astype(np.uint8)


def read_image_with_alpha(path: Path | str) -> NDArray[np.uint8]:
    """[H, W, 4] sRGB with straight alpha of one image file; alpha is 255 where the file has none."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder. Give one image file.")
    if not path.is_file():
        raise InputError(f"{path} does not exist. Check the name.")
    data = path.read_bytes()
    if not data:
        raise InputError(f"{path} is empty (0 bytes). Export or copy it again.")
    if not _is_complete(data):
        raise InputError(f"{path} is cut short: the end of the file is missing. Export or copy it again.")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path} cannot be read as an image; it may be cut short. Use a PNG, JPEG, WebP or TIFF.")
    if image.dtype == np.uint16:
        image = np.round(image / 257.0).astype(np.uint8)
    elif image.dtype != np.uint8:
        raise InputError(f"{path} holds {image.dtype} pixels. Save it as an 8- or 16-bit image.")
    if image.ndim == 2:
        image = image[..., None]
    has_alpha = image.shape[-1] in (2, 4)
    alpha = image[..., -1:] if has_alpha else np.full_like(image[..., :1], 255)
    color = image[..., : image.shape[-1] - has_alpha]
    color = np.repeat(color, 3, -1) if color.shape[-1] == 1 else color[..., 2::-1]
    return np.ascontiguousarray(np.concatenate([color, alpha], axis=-1))


def _is_complete(data: bytes) -> bool:
    """Whether an image file has its end. OpenCV decodes a truncated PNG or JPEG to a half-grey picture."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:]
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in data[-65536:]
    if data.startswith(b"RIFF"):
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    return True


def write_frames(
    path: Path | str,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    *,
    crf: int = 16,
    comment: str = "",
    total: int = 0,
    progress: Progress = no_progress,
) -> Path:
    """Encode frames [H, W, 3] as they come into an H.264 MP4 (8 bit 4:2:0, plays everywhere); never all in memory.

    H and W must be even. The file appears under its name only when it is complete.
    """
    path = Path(path)
    rate = Fraction(fps).limit_denominator(1001)
    options = {"movflags": "+faststart"}
    with whole_file(path) as partial, av.open(str(partial), "w", format="mp4", options=options) as container:
        if comment:
            container.metadata["comment"] = comment
        stream = None
        for i, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": str(crf), "preset": "medium", "tune": "grain"}
                context = stream.codec_context
                context.color_range, context.colorspace = 1, 1  # limited range, BT.709
                context.color_primaries, context.color_trc = 1, 1
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            # Through 4:4:4, because FFmpeg's direct conversion from RGB rounds down and darkens the picture.
            picture = picture.reformat(format="yuv444p", dst_colorspace="ITU709", dst_color_range="MPEG")
            picture = picture.reformat(format="yuv420p")
            picture.pts = i
            picture.time_base = 1 / rate
            container.mux(stream.encode(picture))
            progress((i + 1) / total if total else 0.0, "encoding")
        if stream is None:
            raise InputError(f"There are no frames to write to {path}.")
        container.mux(stream.encode())
    return path


def write_clip(path: Path | str, clip: Clip, *, crf: int = 10, progress: Progress = no_progress) -> Path:
    """Write a clip as an H.264 MP4 that remembers whether it loops.

    Fine grain is kept: smoothed away everywhere but between the two borders of the picture, which are coded apart,
    it would leave a seam at +-180 degrees.
    """
    comment = "holotime loop" if clip.loop else ""
    return write_frames(path, clip.frames, clip.fps, crf=crf, comment=comment, total=len(clip), progress=progress)
