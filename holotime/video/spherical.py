"""Telling players that a video is a sphere: Spherical Video V2 boxes, the older V1 document, and file names.

V2 (Google, "Spherical Video V2 RFC"): ``st3d`` and ``sv3d`` go into the video sample entry, after the codec's
configuration box and before optional ones such as ``pasp``. V1 ("Spherical Video RFC"): an RDF document in a ``uuid``
box of the track. Players that read neither go by the file's name.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holotime.errors import InputError
from holotime.video import mp4

Shape = Literal["equirect", "half_equirect", "cubemap"]
Stereo = Literal["mono", "top_bottom", "left_right"]
SHAPES: tuple[Shape, ...] = ("equirect", "half_equirect", "cubemap")
STEREO_MODES: dict[Stereo, int] = {"mono": 0, "top_bottom": 1, "left_right": 2}  # st3d.stereo_mode
QUARTER = 1 << 30  # a quarter of the width in 0.32 fixed point
CUBE_LAYOUT = 0  # 3 x 2 faces: right, left, up; down, front, back
CONFIGURATIONS = {b"avcC", b"hvcC", b"av1C", b"vpcC"}
VIDEO_ENTRIES = {b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09", b"apch", b"ap4h"}
V1_UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
SOURCE = "HoloTime"


@dataclass(frozen=True)
class Sphere:
    """What part of the sphere a frame shows and where its eyes are."""

    shape: Shape = "equirect"  # half_equirect: 180 degrees wide, 180 high
    stereo: Stereo = "mono"  # top_bottom: left eye on top; left_right: left eye left

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise InputError(f"Unknown shape {self.shape!r}. Use one of: {', '.join(SHAPES)}.")
        if self.stereo not in STEREO_MODES:
            raise InputError(f"Unknown stereo layout {self.stereo!r}. Use one of: {', '.join(STEREO_MODES)}.")

    @property
    def name_suffix(self) -> str:
        """How players that go by the file's name want it to end, before the dot."""
        if self.shape == "half_equirect":
            # 3dh and 3dv: Vimeo's and Google's names for halves side by side and on top of each other
            return "_180x180" + {"mono": "", "top_bottom": "_3dv", "left_right": "_3dh"}[self.stereo]
        base = "_360" if self.shape == "equirect" else "_360_cubemap"
        return base + {"mono": "", "top_bottom": "_TB", "left_right": "_LR"}[self.stereo]


def v2_boxes(sphere: Sphere) -> mp4.Boxes:
    """``st3d`` and ``sv3d`` of a sphere that looks along its centre."""
    no_flags = bytes(4)  # version 0, flags 0
    pose = no_flags + struct.pack(">iii", 0, 0, 0)  # yaw, pitch, roll, 16.16 degrees
    if sphere.shape == "cubemap":
        projection = (b"cbmp", no_flags + struct.pack(">II", CUBE_LAYOUT, 0))  # no padding around the faces
    else:
        side = QUARTER if sphere.shape == "half_equirect" else 0
        projection = (b"equi", no_flags + struct.pack(">IIII", 0, 0, side, side))  # cut off at top, bottom, left, right
    header = no_flags + SOURCE.encode() + b"\0"
    return [
        (b"st3d", no_flags + bytes([STEREO_MODES[sphere.stereo]])),
        (b"sv3d", mp4.join([(b"svhd", header), (b"proj", mp4.join([(b"prhd", pose), projection]))])),
    ]


def v1_box(sphere: Sphere, width: int, height: int) -> mp4.Boxes:
    """The ``uuid`` box with the RDF document of V1 for frames of such a size; none for a cube map, which V1 lacks."""
    if sphere.shape == "cubemap":
        return []
    tags = {"Spherical": "true", "Stitched": "true", "StitchingSoftware": SOURCE, "ProjectionType": "equirectangular"}
    if sphere.stereo != "mono":
        tags["StereoMode"] = sphere.stereo.replace("_", "-")
    if sphere.shape == "half_equirect":
        eye_width = width // 2 if sphere.stereo == "left_right" else width
        eye_height = height // 2 if sphere.stereo == "top_bottom" else height
        tags |= {
            "CroppedAreaImageWidthPixels": str(eye_width),
            "CroppedAreaImageHeightPixels": str(eye_height),
            "FullPanoWidthPixels": str(2 * eye_width),
            "FullPanoHeightPixels": str(eye_height),
            "CroppedAreaLeftPixels": str(eye_width // 2),
            "CroppedAreaTopPixels": "0",
        }
    body = "".join(f"<GSpherical:{name}>{text}</GSpherical:{name}>" for name, text in tags.items())
    xml = (
        '<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        f'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">{body}</rdf:SphericalVideo>'
    )
    return [(b"uuid", V1_UUID + xml.encode())]


def _tag_entries(payload: bytes, sphere: Sphere) -> bytes:
    """The ``stsd`` payload with the V2 boxes in every video sample entry."""
    entries = []
    for kind, body in mp4.split(payload[8:]):
        if kind in VIDEO_ENTRIES:
            children = [b for b in mp4.split(body[mp4.ENTRY_HEADER :]) if b[0] not in (b"st3d", b"sv3d")]
            after = max((i + 1 for i, b in enumerate(children) if b[0] in CONFIGURATIONS), default=0)
            children[after:after] = v2_boxes(sphere)
            body = body[: mp4.ENTRY_HEADER] + mp4.join(children)
        entries.append((kind, body))
    if not any(kind in VIDEO_ENTRIES for kind, _ in entries):
        raise ValueError("its pictures are not H.264, H.265, AV1, VP9 or ProRes")
    return payload[:8] + mp4.join(entries)


def _frame_size(trak: bytes) -> tuple[int, int]:
    """(width, height) in the first sample entry of a video ``trak``'s payload."""
    stbl = dict(mp4.split(dict(mp4.split(dict(mp4.split(dict(mp4.split(trak))[b"mdia"]))[b"minf"]))[b"stbl"]))
    width, height = struct.unpack_from(">HH", mp4.split(stbl[b"stsd"][8:])[0][1], 24)
    return width, height


def _tag_track(trak: bytes, sphere: Sphere) -> bytes:
    """The payload of a video ``trak`` with V2 boxes and the V1 document."""
    size = _frame_size(trak)
    trak = mp4.inside(trak, [b"mdia", b"minf", b"stbl", b"stsd"], lambda p: _tag_entries(p, sphere))
    boxes = [b for b in mp4.split(trak) if not (b[0] == b"uuid" and b[1][:16] == V1_UUID)]
    return mp4.join([*boxes, *v1_box(sphere, *size)])


def tag(moov: bytes, sphere: Sphere) -> bytes:
    """The payload of a ``moov`` with spherical metadata on its picture tracks; an earlier one is replaced."""
    return mp4.join(
        [
            (kind, _tag_track(body, sphere) if kind == b"trak" and mp4.is_video(body) else body)
            for kind, body in mp4.split(moov)
        ]
    )


def add_spherical(path: Path | str, sphere: Sphere, *, output: Path | str | None = None) -> Path:
    """Write spherical metadata into an MP4 or MOV.

    The result replaces ``path``, or becomes ``output`` (``path`` then stays as it is); it appears under its name only
    when it is complete, with its ``moov`` in front. Raises InputError for a file that is not a plain MP4 with a video
    track.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist. Give an MP4.")
    return mp4.rewrite(path, Path(output) if output is not None else path, lambda moov: tag(moov, sphere))


def find_sphere(moov: bytes) -> Sphere | None:
    """What the payload of a ``moov`` says of the sphere that its picture track shows; None when it says nothing."""
    for kind, trak in mp4.split(moov):
        if kind != b"trak" or not mp4.is_video(trak):
            continue
        stbl = dict(mp4.split(dict(mp4.split(dict(mp4.split(dict(mp4.split(trak))[b"mdia"]))[b"minf"]))[b"stbl"]))
        entry = dict(mp4.split(mp4.split(stbl[b"stsd"][8:])[0][1][mp4.ENTRY_HEADER :]))
        modes = {number: name for name, number in STEREO_MODES.items()}
        if b"sv3d" in entry:
            stereo = modes.get(entry[b"st3d"][4] if b"st3d" in entry else 0, "mono")
            projection = dict(mp4.split(dict(mp4.split(entry[b"sv3d"]))[b"proj"]))
            if b"cbmp" in projection:
                return Sphere("cubemap", stereo)
            cropped = any(projection.get(b"equi", bytes(20))[4:])
            return Sphere("half_equirect" if cropped else "equirect", stereo)
        for box, body in mp4.split(trak):
            if box == b"uuid" and body[:16] == V1_UUID:
                text = body[16:].decode("utf-8", "replace")
                named = (n for n in STEREO_MODES if f"StereoMode>{n.replace('_', '-')}<" in text)
                return Sphere("half_equirect" if "CroppedAreaLeftPixels>" in text else "equirect", next(named, "mono"))
    return None
