"""The pictures of a film of an episode, made after the fact at any size and pace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from drivesim.render.frame import draw_scene
from drivesim.render.moment import Moment
from drivesim.render.scene import Scene
from drivesim.render.view import DEFAULT_SIZE, cell_for, filling

if TYPE_CHECKING:
    from drivesim.render.panel import Panel

Array = np.ndarray[Any, Any]


LOWEST_PANEL = 448  # pixels


def num_frames(num_ticks: int, frames_per_tick: int, hold: int) -> int:
    """Number of pictures that `film` makes of an episode."""
    return 1 + num_ticks * frames_per_tick + hold


def film(
    moments: Sequence[Moment],
    *,
    frames_per_tick: int,
    size: int = DEFAULT_SIZE,
    room: tuple[int, int] | None = None,
    hold: int = 0,
    xray: bool = False,
    panel: Panel | None = None,
) -> Iterator[Array]:
    """Pictures of an episode, uint8 (height, width, 3), of one size.

    Args:
        moments: of one episode, in their order, at least one.
        frames_per_tick: pictures of every tick, at least 1.
        size: pixels along the longer side of the picture of the road, at most.
        room: instead of it, width and height of the picture in pixels, as if it were those of a window.
        hold: how often the last picture is repeated.
        xray: whether the cells that matter to the driver are tinted.
        panel: drawn beside the road, as high or at least so high that what it says has room; None = none.
    """
    map = moments[0].state.map
    extents, cell = (None, cell_for(map, size)) if room is None else filling(map, *room)
    before: Moment | None = None
    picture = None
    for moment in moments:
        scene = Scene(moment.state, None if before is None else before.state)
        decision = before.decision if before is not None else moment.decision
        saliency = decision.saliency if xray and decision is not None else ()
        board = None
        if panel is not None:
            panel.take(moment)
        for n in range(1, frames_per_tick + 1) if before is not None else (frames_per_tick,):
            picture = draw_scene(scene, cell, n / frames_per_tick, saliency, extents)
            if room is not None:
                picture = _middle(picture, *room)
            if panel is not None:
                if board is None:
                    board = panel.to_array(max(LOWEST_PANEL, picture.shape[0]))
                picture = _beside(picture, board)
            yield picture
        before = moment
    for _ in range(hold):
        assert picture is not None
        yield picture


def _middle(picture: Array, width: int, height: int) -> Array:
    """The part of a picture in its middle."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[max(0, top) :, max(0, left) :][:height, :width]


def _beside(picture: Array, board: Array) -> Array:
    """A picture, halfway down, and a panel that is at least as high."""
    height, width = board.shape[0], picture.shape[1]
    both: Array = np.empty((height, width + board.shape[1], 3), np.uint8)
    both[:, :width] = board[0, 0]
    top = (height - picture.shape[0]) // 2
    both[top : top + picture.shape[0], :width] = picture
    both[:, width:] = board
    return both
