"""A film as GIF, written picture by picture."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["GifStream"]


class GifStream:
    """A GIF that repeats for ever, of pictures with one palette; holds two of them, whatever its length.

    Each picture after the first is the rectangle in which it differs from the one before, and in it the pixels that do
    not are transparent, which makes the file small.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, palette: bytes) -> None:
        """Writes the header.

        Args:
            file: to write to.
            width: of every picture, pixels.
            height: of every picture, pixels.
            palette: red, green and blue of up to 255 colours.
        """
        self._file = file
        self._transparent = len(palette) // 3
        bits = max(self._transparent.bit_length(), 2)  # of a colour's number, that of no colour too
        file.write(struct.pack("<6sHHBBB", b"GIF89a", width, height, 0xF0 | (bits - 1), 0, 0))
        file.write(palette.ljust(3 << bits, b"\0"))
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
        self._shown: NDArray[np.uint8] | None = None
        self._waiting: tuple[NDArray[np.uint8], tuple[int, int]] | None = None  # rectangle and its corner
        self._pause = 0

    def add(self, picture: NDArray[np.uint8], pause: int) -> None:
        """Shows a picture, numbers of colours (height, width), for ``pause`` hundredths of a second."""
        if self._shown is None:
            rectangle, corner = picture, (0, 0)
        else:
            differs = picture != self._shown
            rows, cols = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
            if rows.size == 0:
                self._pause += pause
                return
            place = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
            rectangle = np.where(differs[place], picture[place], np.uint8(self._transparent))
            corner = int(cols[0]), int(rows[0])
        self._write_waiting()
        self._shown, self._waiting, self._pause = picture.copy(), (rectangle, corner), pause

    def close(self) -> None:
        """Writes what is left; closing the file stays the caller's business."""
        self._write_waiting()
        self._file.write(b";")

    def _write_waiting(self) -> None:
        """Writes the newest picture, whose pause is known now."""
        from PIL import GifImagePlugin, Image

        if self._waiting is None:
            return
        rectangle, corner = self._waiting
        keep, is_transparent = 1 << 2, 1
        pause = min(self._pause, 0xFFFF)
        self._file.write(struct.pack("<3sBHBB", b"!\xf9\x04", keep | is_transparent, pause, self._transparent, 0))
        for part in GifImagePlugin.getdata(Image.fromarray(rectangle), corner):
            self._file.write(part)
