"""PNG and JPEG pictures, and the GPano XMP by which photo viewers know a panorama."""

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from holotime.errors import InputError

JPEG_QUALITY = 95
PNG_START = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"  # of the PNG chunk (XMP specification, part 3)
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"  # of the JPEG segment


def gpano(width: int, height: int) -> bytes:
    """The XMP packet of a whole equirectangular panorama that looks along its centre (Google, Photo Sphere XMP)."""
    tags = {
        "ProjectionType": "equirectangular",
        "UsePanoramaViewer": "True",
        "CroppedAreaImageWidthPixels": width,
        "CroppedAreaImageHeightPixels": height,
        "FullPanoWidthPixels": width,
        "FullPanoHeightPixels": height,
        "CroppedAreaLeftPixels": 0,
        "CroppedAreaTopPixels": 0,
        "StitchingSoftware": "HoloTime",
    }
    attributes = " ".join(f'GPano:{name}="{value}"' for name, value in tags.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {attributes}/></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="r"?>'
    ).encode()


def encode(color: NDArray[np.uint8], suffix: str, projection: str) -> bytes:
    """The bytes of a PNG or JPEG of ``color`` [H, W, 3 or 4] sRGB; an ``equirect`` one says that it is a panorama."""
    swapped = color[..., [2, 1, 0, 3] if color.shape[-1] == 4 else [2, 1, 0]]
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix in (".jpg", ".jpeg") else []
    good, array = cv2.imencode(suffix, np.ascontiguousarray(swapped), options)
    if not good:
        raise InputError(f"A picture of {color.shape[1]} x {color.shape[0]} pixels cannot be written as {suffix}.")
    data = array.tobytes()
    if projection != "equirect":
        return data
    packet = gpano(color.shape[1], color.shape[0])
    return with_png_xmp(data, packet) if suffix == ".png" else with_jpeg_xmp(data, packet)


def with_png_xmp(data: bytes, packet: bytes) -> bytes:
    """A PNG with an XMP packet after its header chunk."""
    body = b"iTXt" + XMP_KEYWORD + b"\0\0\0\0\0" + packet  # not compressed, no language, no translated keyword
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    header_end = len(PNG_START) + 25
    return data[:header_end] + chunk + data[header_end:]


def with_jpeg_xmp(data: bytes, packet: bytes) -> bytes:
    """A JPEG with an XMP packet after its first segment (JFIF)."""
    first_end = 4 + struct.unpack_from(">H", data, 4)[0]
    segment = XMP_HEADER + packet
    return data[:first_end] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[first_end:]
