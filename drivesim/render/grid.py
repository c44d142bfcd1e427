"""Many worlds in one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from drivesim.render import palette
from drivesim.render.frame import draw_scene
from drivesim.render.scene import Scene
from drivesim.render.view import DEFAULT_SIZE, cell_size, extents_of

Array = np.ndarray[Any, Any]

GAP = 4  # pixels between two worlds
MOST_WORLDS = 64  # shown at once; more would be specks


def columns_for(count: int, height: float, width: float) -> int:
    """How many of `count` pictures of this shape to put side by side, so that all together fill a square best."""
    return min(range(1, count + 1), key=lambda n: (max(n * width, math.ceil(count / n) * height), n))


def draw_grid(
    scenes: Sequence[Scene], share: float = 1.0, size: int = DEFAULT_SIZE, columns: int | None = None
) -> Array:
    """Scenes of one configuration side by side, row by row, uint8 (height, width, 3).

    Args:
        scenes: one per world, at least one; of more than `MOST_WORLDS` the first are shown.
        share: the part of the tick that has passed, in (0, 1].
        size: pixels along the longer side, at most, unless that leaves less than 2 pixels to a cell.
        columns: worlds side by side; None = as many as make the picture most like a square.
    """
    scenes = scenes[:MOST_WORLDS]
    rows, cols = (extent.shown for extent in extents_of(scenes[0].state.map))
    across = min(columns or columns_for(len(scenes), rows, cols), len(scenes))
    down = math.ceil(len(scenes) / across)
    cell = cell_size(down * rows, across * cols, size - GAP * (max(across, down) - 1))
    height, width = rows * cell + GAP, cols * cell + GAP
    picture: Array = np.empty((down * height - GAP, across * width - GAP, 3), np.uint8)
    picture[:] = palette.LAMP_HOUSING
    for n, scene in enumerate(scenes):
        top, left = n // across * height, n % across * width
        picture[top : top + height - GAP, left : left + width - GAP] = draw_scene(scene, cell, share)
    return picture
