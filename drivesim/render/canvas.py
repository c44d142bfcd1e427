"""A small square canvas on which tiles and sprites are painted once, four times as fine as they are shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.render.palette import Colour

Array = np.ndarray[Any, Any]

FINENESS = 4  # samples along a pixel's side


class Canvas:
    """An RGBA picture of `span` x `span` cells.

    Args:
        cell: pixels along a cell's side.
        span: cells along the canvas's side.

    `x` and `y` hold the coordinates of every sample, in cells from the canvas's centre, x to the right and y down.
    """

    def __init__(self, cell: int, span: int = 1) -> None:
        samples = cell * span * FINENESS
        steps = ((np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5) * span
        self.x: Array = np.broadcast_to(steps, (samples, samples))
        self.y: Array = np.broadcast_to(steps[:, None], (samples, samples))
        self._rgba = np.zeros((samples, samples, 4), np.float32)  # colour premultiplied by coverage

    def paint(self, where: Array, colour: Colour, opacity: float = 1.0) -> None:
        """Cover the samples `where` is true with a colour."""
        cover = np.array([*colour, 255.0], np.float32) * opacity
        self._rgba[where] = self._rgba[where] * (1.0 - opacity) + cover

    def to_rgba(self) -> Array:
        """The picture, uint8 (side, side, 4), colour premultiplied by alpha."""
        side = self._rgba.shape[0] // FINENESS
        fine = self._rgba.reshape(side, FINENESS, side, FINENESS, 4)
        return np.rint(fine.mean(axis=(1, 3))).astype(np.uint8)

    def to_rgb(self) -> Array:
        """The picture without its alpha, uint8 (side, side, 3)."""
        return np.ascontiguousarray(self.to_rgba()[..., :3])


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
