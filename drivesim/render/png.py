"""Pictures as PNG files in memory, without an imaging library."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {3: 2, 4: 6}  # of RGB and of RGBA


def encode_png(picture: Array) -> bytes:
    """A picture, uint8 (height, width, 3) or with opacity (height, width, 4), as the bytes of a PNG file.

    Raises:
        ValueError: for anything else; an empty picture is none.
    """
    is_picture = picture.ndim == 3 and picture.size > 0 and picture.shape[2] in COLOUR_TYPES
    if picture.dtype != np.uint8 or not is_picture:
        raise ValueError(f"picture must be uint8 (height, width, 3 or 4), got {picture.dtype} {picture.shape}")
    height, width, channels = picture.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # every line begins with its filter, 0 = none
    lines[:, 1:] = picture.reshape(height, width * channels)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG file: its length, name, content and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
