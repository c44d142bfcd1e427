"""A small square canvas on which tiles and sprites are painted once, finer than they are shown."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from drivesim.render.palette import Colour

Array = np.ndarray[Any, Any]

SAMPLES = 64  # along a cell's side, at least; a whole number of them, two or more, makes a pixel


class Sprite(NamedTuple):
    """A picture to be laid over another, cropped to what can be seen of it."""

    top: int
    """Pixels from the middle of the canvas down to the first row."""
    left: int
    """Pixels from the middle of the canvas to the first column on its right."""
    colour: Array
    """uint16 (height, width, 3), 0 … 255, premultiplied by opacity."""
    through: Array
    """uint16 (height, width, 1), 0 … 256: how much shows through."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.colour.nbytes + self.through.nbytes

    def lay_over(self, picture: Array, y: int, x: int) -> None:
        """Lay it over a picture, uint8 (height, width, 3), its middle on pixel (y, x); what does not fit is cut."""
        top, left = y + self.top, x + self.left
        height, width = self.colour.shape[:2]
        first_row, last_row = max(top, 0), min(top + height, picture.shape[0])
        first_col, last_col = max(left, 0), min(left + width, picture.shape[1])
        if first_row >= last_row or first_col >= last_col:
            return
        own = slice(first_row - top, last_row - top), slice(first_col - left, last_col - left)
        under = picture[first_row:last_row, first_col:last_col]
        seen = under * self.through[own]  # uint16
        seen >>= 8
        seen += self.colour[own]
        under[:] = seen


class Canvas:
    """An RGBA picture of `span` x `span` cells.

    Args:
        cell: pixels along a cell's side.
        span: cells along the canvas's side.

    `x` and `y` hold the coordinates of every sample, in cells from the canvas's centre, x to the right and y down.
    """

    def __init__(self, cell: int, span: int = 1) -> None:
        self._fineness = max(2, -(-SAMPLES // cell))
        samples = cell * span * self._fineness
        steps = ((np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5) * span
        self.x: Array = np.broadcast_to(steps, (samples, samples))
        self.y: Array = np.broadcast_to(steps[:, None], (samples, samples))
        self._rgba = np.zeros((samples, samples, 4), np.float32)  # colour premultiplied by coverage

    def paint(self, where: Array, colour: Colour, opacity: float = 1.0) -> None:
        """Cover the samples `where` is true with a colour."""
        cover = np.array([*colour, 255.0], np.float32)
        self._rgba[where] = cover if opacity == 1.0 else self._rgba[where] * (1.0 - opacity) + cover * opacity

    def _shrunk(self) -> Array:
        """The picture in its own resolution, float32 (side, side, 4)."""
        side = self._rgba.shape[0] // self._fineness
        shrunk: Array = self._rgba.reshape(side, self._fineness, side, self._fineness, 4).mean(axis=(1, 3))
        return shrunk

    def to_sprite(self) -> Sprite:
        """The picture, to be laid over others."""
        shrunk = self._shrunk()
        seen = shrunk[..., 3] > 1.0
        rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        top, left = int(rows[0]), int(cols[0])
        part = shrunk[top : int(rows[-1]) + 1, left : int(cols[-1]) + 1]
        through = np.rint((255.0 - part[..., 3:]) * 256 / 255).astype(np.uint16)
        half = shrunk.shape[0] // 2
        return Sprite(top - half, left - half, np.rint(part[..., :3]).astype(np.uint16), through)

    def to_rgb(self) -> Array:
        """The picture of an opaque canvas, uint8 (side, side, 3)."""
        return np.rint(self._shrunk()[..., :3]).astype(np.uint8)


def in_box(x: Array, y: Array, half_width: float, half_height: float, corner: float = 0.0) -> Array:
    """Which points lie in a box around the origin whose corners are rounded with radius `corner`."""
    beyond_x = np.maximum(np.abs(x) - (half_width - corner), 0.0)
    beyond_y = np.maximum(np.abs(y) - (half_height - corner), 0.0)
    inside: Array = beyond_x**2 + beyond_y**2 <= corner**2 if corner else (beyond_x + beyond_y <= 0.0)
    return inside


def in_disc(x: Array, y: Array, radius: float) -> Array:
    """Which points lie in a disc around the origin."""
    inside: Array = x**2 + y**2 <= radius**2
    return inside


def distance_to_segment(x: Array, y: Array, start: tuple[float, float], end: tuple[float, float]) -> Array:
    """Distance of every point from the straight line between two points (x, y)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx**2 + dy**2), 0.0, 1.0)
    distance: Array = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    return distance
