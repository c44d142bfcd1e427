"""Lines over a picture, and where they hide neither the ego nor the road before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pygame

from drivesim.render import panel
from drivesim.render.panel import font, wrapped
from drivesim.render.planned_route import planned_route
from drivesim.render.scene import Scene
from drivesim.render.view import Extent, view_of

TEXT, LINE, MARGIN = 22, 30, 18  # pixels: of text, of a line, and around all of them
EGO_WEIGHT = 1000.0  # of the ego, beside the next cell of its way, which weighs 1
PLACES = ((0.5, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.5), (0.0, 0.5), (0.5, 0.0), (1.0, 0.0), (0.0, 0.0))
"""Where a box may stand: shares of the free width to its left and of the free height above it; the best-liked first."""


class Spot(NamedTuple):
    """A cell of the screen that is to be seen."""

    x: int
    """Pixels, of its middle."""
    y: int
    radius: int
    """Pixels around it in which nothing may lie."""
    weight: float


def box_of(texts: Sequence[str], room: int) -> pygame.Surface:
    """Lines on a dark ground, broken where there is no room for them.

    Args:
        texts: the lines.
        room: pixels of width that the box may have.
    """
    room -= 2 * MARGIN
    lines = [line for text in texts for line in wrapped(text, TEXT, room)]
    drawn = [font(TEXT).render(line, True, panel.FOREGROUND) for line in lines]
    width = min(room, max(line.get_width() for line in drawn)) + 2 * MARGIN
    box = pygame.Surface((width, LINE * len(drawn) + 2 * MARGIN), pygame.SRCALPHA)
    box.fill((*panel.BACKGROUND, 225))
    for n, line in enumerate(drawn):
        box.blit(line, ((width - line.get_width()) // 2, MARGIN + 2 + LINE * n))
    return box


def spots_of(
    scene: Scene, share: float, cell: int, extents: tuple[Extent, Extent], room: tuple[int, int]
) -> list[Spot]:
    """The ego, and the cells of its way, of which the near ones weigh most.

    Args:
        scene: that is shown.
        share: of the tick.
        cell: pixels along a cell's side.
        extents: of the map's rows and columns that are shown.
        room: width and height, in whose middle the picture lies.
    """
    focus = scene.focus(share)
    view = view_of(scene.state, cell, focus, extents)
    height, width = view.shape
    left, top = (room[0] - width) // 2, (room[1] - height) // 2

    def spot(row: float, col: float, weight: float) -> Spot:
        x, y = round((view.col_of(col) + 0.5) * cell), round((view.row_of(row) + 0.5) * cell)
        return Spot(left + x, top + y, round(1.5 * cell), weight)

    ahead = planned_route(scene.state)
    return [spot(*focus, EGO_WEIGHT), *(spot(row, col, 1 / (1 + n)) for n, (row, col, _) in enumerate(ahead))]


def place_of(box: tuple[int, int], room: tuple[int, int], spots: Sequence[Spot]) -> tuple[int, int]:
    """Left and top of a box in a room, both by width and height in pixels, where it hides least."""
    free = room[0] - box[0], room[1] - box[1]
    places = [(round(across * free[0]), round(down * free[1])) for across, down in PLACES]
    return min(places, key=lambda place: hidden(place, box, spots))


def hidden(place: tuple[int, int], box: tuple[int, int], spots: Sequence[Spot]) -> float:
    """What a box hides at a place, by weight."""
    rect = pygame.Rect(place, box)
    return sum(spot.weight for spot in spots if rect.inflate(2 * spot.radius, 2 * spot.radius).collidepoint(spot[:2]))
