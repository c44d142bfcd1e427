"""Cars, people, signal heads and signs on the ground, seen from above."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from drivesim.render import palette
from drivesim.render.canvas import Canvas, Sprite, in_box, in_disc
from drivesim.render.kept import kept
from drivesim.render.palette import Colour

Array = np.ndarray[Any, Any]

HALF_LENGTH = 0.42  # cells
HALF_WIDTH = 0.25
WRECK_ANGLE = 0.5  # radians by which a crashed car is thrown out of its direction
STEPS_PER_TURN = 24  # directions between two headings in which sprites are painted

EGO, CAR, TRUCK, WRECK, WAKE, PEDESTRIAN, SIGNAL, ROUTE = (
    "ego",
    "car",
    "truck",
    "wreck",
    "wake",
    "pedestrian",
    "signal",
    "route",
)


CHEVRON, BRIGHT_ARROW, CHEVRON_OVER_ARROW = 0, 1, 2
"""Signs of the ego's way: a chevron, a lane's arrow in the way's colour, a chevron that leaves such an arrow."""


class Look(NamedTuple):
    """The look of something, apart from its place, its direction and its size."""

    kind: str
    """EGO … ROUTE."""
    body: Colour = palette.EGO
    """Of a vehicle or a wreck."""
    brakes: bool = False
    indicator: int = 0
    """-1 left, 1 right."""
    level: int = 0
    """Speed of whoever leaves a wake, colour of a signal, sign of the ego's way."""


def turned(x: Array, y: Array, turn: float) -> tuple[Array, Array]:
    """Coordinates of a car's own frame, to its right and behind it, if it heads `turn` quarter turns right of north."""
    quarter = turn % 4
    if quarter == 0:
        return x, y
    if quarter == 1:
        return y, -x
    if quarter == 2:
        return -x, -y
    if quarter == 3:
        return -y, x
    angle = turn * np.pi / 2
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def _paint_indicators(canvas: Canvas, x: Array, y: Array, indicator: int) -> None:
    """The blinkers of one side, in front and behind."""
    if indicator:
        corners = in_box(x - indicator * 0.19, np.abs(y) - HALF_LENGTH + 0.05, 0.08, 0.06, 0.03)
        canvas.paint(corners, palette.INDICATOR)


def _paint_car(canvas: Canvas, x: Array, y: Array, body: Colour, lights: Colour) -> None:
    """A car whose front points to negative y."""
    canvas.paint(in_box(x, y, HALF_WIDTH + 0.06, HALF_LENGTH + 0.05, 0.16), palette.OUTLINE)
    canvas.paint(in_box(x, y, HALF_WIDTH, HALF_LENGTH, 0.12), body)
    taper = 1.0 - 0.8 * np.clip(y + 0.27, 0.0, 0.15)  # the windscreen narrows towards the roof
    canvas.paint(in_box(x / taper, y + 0.17, HALF_WIDTH - 0.05, 0.075, 0.03), palette.GLASS)
    canvas.paint(in_box(x, y - 0.27, HALF_WIDTH - 0.07, 0.045, 0.02), palette.GLASS)
    canvas.paint(in_box(np.abs(x) - 0.155, y + HALF_LENGTH - 0.045, 0.055, 0.03), palette.HEADLIGHT)
    canvas.paint(in_box(np.abs(x) - 0.15, y - HALF_LENGTH + 0.035, 0.075, 0.04), lights)


def _paint_truck(canvas: Canvas, x: Array, y: Array, body: Colour, lights: Colour) -> None:
    """A truck with its cab towards negative y."""
    canvas.paint(in_box(x, y, HALF_WIDTH + 0.08, HALF_LENGTH + 0.06, 0.08), palette.OUTLINE)
    canvas.paint(in_box(x, y + 0.29, HALF_WIDTH, 0.13, 0.05), body)
    canvas.paint(in_box(x, y + 0.33, HALF_WIDTH - 0.05, 0.05, 0.02), palette.GLASS)
    canvas.paint(in_box(x, y - 0.13, HALF_WIDTH + 0.02, 0.26), palette.TRUCK_BOX)
    canvas.paint(in_box(x, y - 0.13, 0.03, 0.26), body)
    canvas.paint(in_box(np.abs(x) - 0.17, y - HALF_LENGTH + 0.02, 0.08, 0.04), lights)


def paint_parked_car(canvas: Canvas, heading: int) -> None:
    """A car that stands still with its hazard lights on."""
    x, y = turned(canvas.x, canvas.y, heading)
    _paint_car(canvas, x, y, palette.PARKED, palette.HAZARD)
    canvas.paint(in_box(np.abs(x) - 0.17, y + HALF_LENGTH - 0.04, 0.075, 0.045), palette.HAZARD)


def _vehicle(cell: int, turn: float, look: Look) -> Canvas:
    """A driving vehicle, the ego in a bright outline."""
    is_slanted = turn % 1 != 0
    canvas = Canvas(cell, span=2 if look.kind == EGO or is_slanted else 1)
    x, y = turned(canvas.x, canvas.y, turn)
    if look.kind == EGO:
        for width, opacity in ((0.22, 0.15), (0.18, 0.25), (0.13, 1.0)):
            outline = in_box(x, y, HALF_WIDTH + width, HALF_LENGTH + width, 0.16 + width)
            canvas.paint(outline, palette.EGO_OUTLINE, opacity)
    lights = palette.BRAKE_LIGHT if look.brakes else palette.TAIL_LIGHT
    paint = _paint_truck if look.kind == TRUCK else _paint_car
    paint(canvas, x, y, look.body, lights)
    _paint_indicators(canvas, x, y, look.indicator)
    return canvas


def _wake(cell: int, turn: float, speed: int) -> Canvas:
    """Streaks behind a moving vehicle, as long as it is fast."""
    canvas = Canvas(cell, span=3)
    x, y = turned(canvas.x, canvas.y, turn)
    length = 0.2 * speed
    behind = (y - HALF_LENGTH) / length
    for lane in (-0.17, 0.0, 0.17):
        streak = np.abs(x - lane) < 0.03
        for part in range(5):
            canvas.paint(streak & (behind >= part / 5) & (behind < (part + 1) / 5), palette.WAKE, 0.55 * (1 - part / 5))
    return canvas


def _wreck(cell: int, turn: float, body: Colour) -> Canvas:
    """A crashed car in flames."""
    canvas = Canvas(cell, span=2)
    x, y = canvas.x, canvas.y
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    canvas.paint(in_disc(x - 0.2, y + 0.3, 0.42) | in_disc(x + 0.3, y + 0.1, 0.36), palette.SMOKE, 0.5)
    spike = np.abs((angle * 11 / (2 * np.pi)) % 1.0 - 0.5) * 2  # 1 at a spike's tip, 0 between two
    reach = 0.34 + (0.3 + 0.14 * np.cos(3 * angle + 1.0)) * spike
    canvas.paint(radius < reach + 0.12, palette.FLAME)
    canvas.paint(radius < reach, palette.FLAME_CORE)
    own_x, own_y = turned(x, y, turn + WRECK_ANGLE * 2 / np.pi)
    _paint_car(canvas, own_x, own_y, body, palette.TAIL_LIGHT)
    canvas.paint(in_disc(own_x + 0.05, own_y + 0.3, 0.2) | in_disc(own_x - 0.1, own_y - 0.2, 0.14), palette.SCORCHED)
    return canvas


def _pedestrian(cell: int) -> Canvas:
    """A person."""
    canvas = Canvas(cell)
    canvas.paint(in_box(canvas.x, canvas.y, 0.3, 0.18, 0.16), palette.OUTLINE)
    canvas.paint(in_box(canvas.x, canvas.y, 0.25, 0.13, 0.12), palette.PEDESTRIAN)
    canvas.paint(in_disc(canvas.x, canvas.y, 0.15), palette.OUTLINE)
    canvas.paint(in_disc(canvas.x, canvas.y, 0.11), palette.SKIN)
    return canvas


def _signal_head(cell: int, colour: int) -> Canvas:
    """Three lamps, red on top and green at the bottom, `colour` lit."""
    canvas = Canvas(cell, span=2)
    x, y = canvas.x, canvas.y
    canvas.paint(in_box(x, y, 0.33, 0.82, 0.12), palette.LAMP_HOUSING)
    for lamp, middle in ((2, -0.5), (1, 0.0), (0, 0.5)):
        lit = palette.LAMPS[lamp] if lamp == colour else palette.LAMP_OFF
        canvas.paint(in_disc(x, y - middle, 0.21), lit)
    return canvas


def in_lane_arrow(x: Array, y: Array) -> Array:
    """The samples inside a lane's arrow, in coordinates to its right and behind it."""
    shaft = in_box(x, y - 0.08, 0.035, 0.2)
    inside: Array = shaft | (y > -0.32) & (y < -0.06) & (np.abs(x) < (y + 0.32) * 0.55)
    return inside


def _route_sign(cell: int, turn: float, sign: int) -> Canvas:
    """A sign on the ground that points along the ego's way."""
    canvas = Canvas(cell)
    x, y = turned(canvas.x, canvas.y, turn)
    if sign == BRIGHT_ARROW:
        canvas.paint(in_lane_arrow(x, y), palette.ROUTE, 0.85)
        return canvas
    bend = np.abs(y + 0.05 - 0.8 * np.abs(x))
    if sign == CHEVRON_OVER_ARROW:
        canvas.paint((bend < 0.16) & (np.abs(x) < 0.26), palette.OUTLINE)
    canvas.paint((bend < 0.09) & (np.abs(x) < 0.2), palette.ROUTE, 0.6 if sign == CHEVRON else 0.85)
    return canvas


@kept(24 << 20)
def sprite(cell: int, look: Look, turn: float) -> Sprite:
    """The picture of a look.

    Args:
        cell: pixels along a cell's side.
        look: what it looks like.
        turn: where it heads, in quarter turns to the right of north.
    """
    if look.kind == WAKE:
        canvas = _wake(cell, turn, look.level)
    elif look.kind == WRECK:
        canvas = _wreck(cell, turn, look.body)
    elif look.kind == PEDESTRIAN:
        canvas = _pedestrian(cell)
    elif look.kind == SIGNAL:
        canvas = _signal_head(cell, look.level)
    elif look.kind == ROUTE:
        canvas = _route_sign(cell, turn, look.level)
    else:
        canvas = _vehicle(cell, turn, look)
    return canvas.to_sprite()
