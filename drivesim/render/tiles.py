"""Paints the ground of one cell from its packed facts (`ground.FACTS`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from drivesim.core.map import CROSSWALK, LANE, OFF_ROAD, PARKING_BAY, SHOULDER, STOP_LINE
from drivesim.render import palette
from drivesim.render.canvas import Canvas, distance_to_segment, in_box
from drivesim.render.ground import (
    ARROW,
    BARRIER,
    DASHED,
    DIVIDER,
    EVERY_HEADING,
    FIRST_BUSH,
    GOAL,
    GUIDE,
    NO_LINE,
    NO_OBSTACLE,
    PARKED_CAR,
    SOLID,
    Level,
    ground_of,
    unpacked,
)
from drivesim.render.kept import kept
from drivesim.render.palette import Colour
from drivesim.render.sprites import in_lane_arrow, paint_parked_car, turned

Array = np.ndarray[Any, Any]

LINE_WIDTH = 0.07  # cells
VERGE_WIDTH = 0.13

CORNERS = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))  # north-west, clockwise
SIDES = ((0.0, -0.5), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0))  # middles of the sides, north first


def _surface(kind: int, heading: int) -> Colour:
    """The colour of a cell's road."""
    if kind == SHOULDER:
        return palette.SHOULDER
    if kind == PARKING_BAY:
        return palette.BAY
    return palette.OPEN_GROUND if kind == LANE and heading == EVERY_HEADING else palette.ASPHALT


class Verge(NamedTuple):
    """What grows on a cell of verge: middles (n, 2), in cells from its own."""

    blades: Array
    bushes: Array
    lights: Array
    """Of the bushes, where they are bright."""


def verge_of(verge: int) -> Verge:
    """The decoration of verge with this number; below `FIRST_BUSH` it has no bushes."""
    noise = np.random.default_rng(verge)
    return Verge(
        *(noise.uniform(low, high, (n, 2)) for low, high, n in ((-0.42, 0.42, 7), (-0.16, 0.16, 4), (-0.2, 0.12, 4)))
    )


def _paint_grass(canvas: Canvas, verge: int) -> None:
    """Grass with a few blades, or a bush."""
    blades, bushes, lights = verge_of(verge)
    everywhere = np.ones(canvas.x.shape, np.bool_)
    canvas.paint(everywhere, palette.GRASS)
    for x, y in blades:
        canvas.paint(in_box(canvas.x - x, canvas.y - y, 0.025, 0.06), palette.GRASS_DARK)
    if verge >= FIRST_BUSH:
        for x, y in bushes:
            canvas.paint(np.hypot(canvas.x - x, canvas.y - y) < 0.26, palette.BUSH)
        for x, y in lights:
            canvas.paint(np.hypot(canvas.x - x, canvas.y - y) < 0.1, palette.BUSH_LIGHT)


def _distance_to_edge(canvas: Canvas, halves: int, corners: int) -> Array:
    """Distance of every sample from where road and verge meet, inside this cell."""
    distance: Array = np.full(canvas.x.shape, 9.0, np.float32)
    for n in range(4):
        for half, corner in enumerate((n, (n + 1) % 4)):
            if halves >> (2 * n + half) & 1:
                to_half = distance_to_segment(canvas.x, canvas.y, SIDES[n], CORNERS[corner])
                distance = np.minimum(distance, to_half)
        if corners >> n & 1:
            to_corner = distance_to_segment(canvas.x, canvas.y, SIDES[(n + 3) % 4], SIDES[n])
            distance = np.minimum(distance, to_corner)
    return distance


def _in_corners(canvas: Canvas, corners: int) -> Array:
    """The samples in the given corners, each cut off by the line between the middles of its sides."""
    inside = np.zeros(canvas.x.shape, np.bool_)
    for n, (x, y) in enumerate(CORNERS):
        if corners >> n & 1:
            inside |= np.abs(canvas.x - x) + np.abs(canvas.y - y) < 0.5
    return inside


def _paint_lines(canvas: Canvas, lines: int, road: Array) -> None:
    """Half of every line at the cell's sides; the neighbour paints the other half."""
    for n in range(4):
        style = lines >> (2 * n) & 3
        if style == NO_LINE:
            continue
        x, y = SIDES[n]
        away = np.abs(canvas.x - x) if x else np.abs(canvas.y - y)
        along = canvas.y if x else canvas.x
        if style == DASHED:
            canvas.paint(road & (away < LINE_WIDTH / 2) & (np.abs(along) < 0.27), palette.MARKING)
        elif style == SOLID:
            canvas.paint(road & (away < LINE_WIDTH / 2), palette.MARKING)
        elif style == DIVIDER:
            canvas.paint(road & (away < LINE_WIDTH), palette.DIVIDER)


def _paint_middle(canvas: Canvas, middle: int, heading: int) -> None:
    """The guide along the centre of a wide lane, or an arrow in the lane's direction."""
    x, y = turned(canvas.x, canvas.y, heading)
    if middle == GUIDE:
        canvas.paint(in_box(x, y, 0.04, 0.2, 0.04), palette.GUIDE)
    elif middle == ARROW:
        canvas.paint(in_lane_arrow(x, y), palette.MARKING, 0.55)


def _paint_goal_heading(canvas: Canvas, heading: int) -> None:
    """A bold arrow in the heading in which the goal must be reached."""
    x, y = turned(canvas.x, canvas.y, heading)
    for rim, colour in ((0.06, palette.OUTLINE), (0.0, palette.ROUTE)):
        shaft = in_box(x, y - 0.14, 0.09 + rim, 0.2 + rim)
        tip = (y > -0.4 - 2 * rim) & (y < rim) & (np.abs(x) < (y + 0.4 + 2 * rim) * 0.75)
        canvas.paint(shaft | tip, colour)


def _paint_kind(canvas: Canvas, kind: int, heading: int, road: Array) -> None:
    """What makes a special cell: stripes, bars, chequers."""
    x, y = turned(canvas.x, canvas.y, heading % 4)
    if kind == GOAL:
        light = (np.floor(canvas.x * 4) + np.floor(canvas.y * 4)) % 2 == 0
        canvas.paint(road & light, palette.CHECKER_LIGHT)
        canvas.paint(road & ~light, palette.CHECKER_DARK)
    elif kind == CROSSWALK:
        canvas.paint(road & (np.abs(x % 0.25 - 0.125) < 0.07), palette.MARKING)
    elif kind == STOP_LINE:
        canvas.paint(road & (y < -0.34) & (y > -0.48), palette.MARKING)
    elif kind == PARKING_BAY:
        canvas.paint(road & ~in_box(canvas.x, canvas.y, 0.44, 0.44), palette.MARKING)
    elif kind == LANE and heading == EVERY_HEADING:
        canvas.paint(road & ~in_box(canvas.x, canvas.y, 0.485, 0.485), palette.JOINT)


def _paint_barrier(canvas: Canvas, joined: int) -> None:
    """A striped barrier that goes on at the sides in `joined`."""
    x, y = canvas.x, canvas.y
    inset = 0.1
    low_x, high_x = (-0.5 if joined & 8 else inset - 0.5), (0.5 if joined & 2 else 0.5 - inset)
    low_y, high_y = (-0.5 if joined & 1 else inset - 0.5), (0.5 if joined & 4 else 0.5 - inset)
    body = (x > low_x) & (x < high_x) & (y > low_y) & (y < high_y)
    canvas.paint(body, palette.OUTLINE)
    rim = 0.05
    low_x += 0.0 if joined & 8 else rim
    high_x -= 0.0 if joined & 2 else rim
    low_y += 0.0 if joined & 1 else rim
    high_y -= 0.0 if joined & 4 else rim
    top = (x > low_x) & (x < high_x) & (y > low_y) & (y < high_y)
    stripe = (x + y) % 0.5 < 0.25
    canvas.paint(top & stripe, palette.BARRIER)
    canvas.paint(top & ~stripe, palette.BARRIER_STRIPE)


@kept(8 << 20)
def tile(cell: int, number: int) -> Array:
    """The picture of a cell's ground, uint8 (cell, cell, 3)."""
    facts = unpacked(number)
    kind, heading = facts["kind"], facts["heading"]
    canvas = Canvas(cell)
    in_corners = _in_corners(canvas, facts["corners"])
    road = in_corners if kind == OFF_ROAD else ~in_corners
    if not road.all():
        _paint_grass(canvas, facts["verge"])
    distance = _distance_to_edge(canvas, facts["halves"], facts["corners"])
    canvas.paint(~road & (distance < VERGE_WIDTH), palette.VERGE)
    canvas.paint(road, _surface(kind, heading))
    _paint_kind(canvas, kind, heading, road)
    if kind not in (SHOULDER, GOAL):
        canvas.paint(road & (distance > 0.04) & (distance < 0.04 + LINE_WIDTH), palette.MARKING)
    _paint_lines(canvas, facts["lines"], road)
    if kind == GOAL and facts["middle"] == ARROW:
        _paint_goal_heading(canvas, heading)
    elif facts["obstacle"] == NO_OBSTACLE:
        _paint_middle(canvas, facts["middle"], heading)
    elif facts["obstacle"] == BARRIER:
        _paint_barrier(canvas, facts["joined"])
    elif facts["obstacle"] == PARKED_CAR:
        paint_parked_car(canvas, heading)
    return canvas.to_rgb()


@kept(32 << 20)
def ground_picture(level: Level, cell: int) -> Array:
    """All of a map's ground that can come into view, uint8 (height, width, 3), not to be written to.

    Its first row and column are those of the map's extents; a ring is continued by as much as a picture shows, so
    that every view is one part of it.
    """
    facts = ground_of(level)
    rows, cols = (
        np.arange(extent.count + (extent.shown + 1 if extent.period else 0)) % extent.count
        for extent in (level.shown_rows, level.shown_cols)
    )
    numbers, places = np.unique(facts, return_inverse=True)
    tiles = np.stack([tile(cell, number) for number in numbers.tolist()])
    picture = tiles[places.reshape(facts.shape)[np.ix_(rows, cols)]].transpose(0, 2, 1, 3, 4)
    flat: Array = picture.reshape(len(rows) * cell, len(cols) * cell, 3)
    flat.flags.writeable = False
    return flat
