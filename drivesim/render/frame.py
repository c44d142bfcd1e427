"""A world as a picture or as text. Needs no display and reads the world's record only."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.world import (
    ABSENT,
    CRASHED,
    CROSSWALK,
    DRIVING,
    GOAL,
    LANE,
    NOBODY,
    OBSTACLE,
    OFF_ROAD,
    PARKING_BAY,
    SHOULDER,
    STOP_LINE,
)
from drivesim.render import palette
from drivesim.render.canvas import Sprite
from drivesim.render.ground import COL_STEPS, HEADING_OF_MASK, ROW_STEPS, SEVERAL_HEADINGS, ground_of
from drivesim.render.sprites import (
    ego_sprite,
    pedestrian_sprite,
    signal_head,
    vehicle_sprite,
    wake_sprite,
    wreck_sprite,
)
from drivesim.render.tiles import tile
from drivesim.render.view import View, World, view_of

Array = np.ndarray[Any, Any]

TRUCK_LIMIT = 1  # cells per tick: drivers that never go faster drive a truck
HEAD_ACROSS, HEAD_BACK = 1.25, 0.5  # cells from a stop line's cell to its signal head, on the verge
ARROWS = "^>v<"
SIGNAL_LETTERS = "gyr"
LETTERS = {OFF_ROAD: ".", SHOULDER: ":", OBSTACLE: "#", CROSSWALK: "%", STOP_LINE: "=", PARKING_BAY: "P", GOAL: "G"}


def _ground_picture(world: World, view: View) -> Array:
    """The ground in view, uint8 (height, width, 3)."""
    numbers, places = np.unique(ground_of(world, view), return_inverse=True)
    tiles = np.stack([tile(view.cell, number) for number in numbers.tolist()])
    picture = tiles[places.reshape(view.rows, view.cols)].transpose(0, 2, 1, 3, 4)
    return picture.reshape(view.rows * view.cell, view.cols * view.cell, 3)


def _stamp(picture: Array, sprite: Sprite, view: View, row: float, col: float) -> None:
    """Lay a sprite over the middle of the picture's cell (row, col), or of a place between cells."""
    sprite.lay_over(picture, round((row + 0.5) * view.cell), round((col + 0.5) * view.cell))


def _stop_lines(world: World) -> list[tuple[int, int, int, int]]:
    """The signalised stop lines: row, column, heading and the colour shown."""
    if int(world["num_signals"]) == 0:
        return []
    cols = int(world["cols"])
    cells = world["cells"][: int(world["rows"]) * cols]
    lines = []
    for at in np.flatnonzero(cells >> 4 == STOP_LINE).tolist():
        heading = int(HEADING_OF_MASK[cells[at] & 15])
        if heading >= SEVERAL_HEADINGS:
            continue
        row, col = at // cols, at % cols
        ahead_row, ahead_col = row + ROW_STEPS[heading], col + COL_STEPS[heading]
        for signal in world["signals"][: int(world["num_signals"])]:
            in_rows = 0 <= ahead_row - int(signal["row"]) < int(signal["height"])
            in_cols = 0 <= ahead_col - int(signal["col"]) < int(signal["width"])
            if in_rows and in_cols:
                lines.append((row, col, heading, int(signal["colour_1" if heading & 1 else "colour_0"])))
    return lines


def _stamp_vehicles(picture: Array, world: World, view: View) -> None:
    """Lay all vehicles over the picture, the controlled ones last."""
    num_controlled = int(world["num_controlled"])
    vehicles = world["vehicles"][: int(world["num_vehicles"])]
    names = ("status", "row", "col", "heading", "speed", "limit", "acceleration")
    shown = []
    for k, facts in enumerate(zip(*(vehicles[name].tolist() for name in names), strict=True)):
        status, row, col, heading, speed, limit, acceleration = facts
        at = view.row_of(row), view.col_of(col)
        if status == ABSENT or not (-1 <= at[0] <= view.rows and -1 <= at[1] <= view.cols):
            continue
        body = palette.EGO if k < num_controlled else palette.TRAFFIC[k % len(palette.TRAFFIC)]
        if status == CRASHED:
            sprite = wreck_sprite(view.cell, heading, body)
        elif k < num_controlled:
            sprite = ego_sprite(view.cell, heading, acceleration < 0)
        else:
            sprite = vehicle_sprite(view.cell, heading, body, limit <= TRUCK_LIMIT, acceleration < 0)
        if status == DRIVING and speed > 0:
            _stamp(picture, wake_sprite(view.cell, heading, speed), view, *at)
        shown.append((sprite, at))
    for sprite, at in reversed(shown):
        _stamp(picture, sprite, view, *at)


def draw_frame(world: World) -> Array:
    """The world from above, north up, uint8 (height, width, 3), the same size for every world of a configuration.

    Args:
        world: one record of dtype `core.world.WORLD`, an episode of which has begun.
    """
    view = view_of(world)
    picture = _ground_picture(world, view)
    for row, col, heading, colour in _stop_lines(world):
        across, back = (heading + 1) & 3, (heading + 2) & 3
        at_row = view.row_of(row) + HEAD_ACROSS * ROW_STEPS[across] + HEAD_BACK * ROW_STEPS[back]
        at_col = view.col_of(col) + HEAD_ACROSS * COL_STEPS[across] + HEAD_BACK * COL_STEPS[back]
        _stamp(picture, signal_head(view.cell, colour), view, at_row, at_col)
    for pedestrian in world["pedestrians"][: int(world["num_pedestrians"])]:
        if pedestrian["status"] != NOBODY:
            at = view.row_of(int(pedestrian["row"])), view.col_of(int(pedestrian["col"]))
            _stamp(picture, pedestrian_sprite(view.cell), view, *at)
    _stamp_vehicles(picture, world, view)
    return picture


def _letter(bits: int) -> str:
    """The letter of a cell of the map."""
    kind, heading = bits >> 4, int(HEADING_OF_MASK[bits & 15])
    if kind != LANE:
        return LETTERS[kind]
    if heading < SEVERAL_HEADINGS:
        return ARROWS[heading]
    return "+" if heading == SEVERAL_HEADINGS else "."


def draw_text(world: World) -> str:
    """The part of the world that `draw_frame` shows, one letter per cell, and a line of figures.

    `E` is the ego, `X` a wreck, a digit another vehicle and its speed, `g`, `y` and `r` stop lines with their
    signal's colour, `p` a pedestrian; everything else as in the scenarios' drawings.
    """
    view = view_of(world)
    rows, cols = int(world["rows"]), int(world["cols"])
    letters = [[_letter(bits) for bits in line] for line in world["cells"][: rows * cols].reshape(rows, cols).tolist()]
    for row, col, _, colour in _stop_lines(world):
        letters[row][col] = SIGNAL_LETTERS[colour]
    for pedestrian in world["pedestrians"][: int(world["num_pedestrians"])]:
        if pedestrian["status"] != NOBODY:
            letters[int(pedestrian["row"])][int(pedestrian["col"])] = "p"
    vehicles = world["vehicles"][: int(world["num_vehicles"])]
    for k in reversed(range(len(vehicles))):
        vehicle = vehicles[k]
        if vehicle["status"] != ABSENT:
            letter = "E" if k < int(world["num_controlled"]) else str(int(vehicle["speed"]))
            letters[int(vehicle["row"])][int(vehicle["col"])] = "X" if vehicle["status"] == CRASHED else letter
    lines = []
    for row in range(view.first_row, view.first_row + view.rows):
        at_row = row % rows if view.row_period else row
        if 0 <= at_row < rows:
            columns = range(view.first_col, view.first_col + view.cols)
            shown = [col % cols for col in columns if view.col_period or 0 <= col < cols]
            lines.append(" ".join(letters[at_row][col] for col in shown))
    driver = world["drivers"][0]
    route_length = max(1, int(driver["route_length"]))
    completion = max(0.0, (route_length - int(driver["remaining"])) / route_length)
    lines.append(f"tick {int(world['tick'])}   speed {int(world['vehicles'][0]['speed'])}   route {completion:.0%}")
    return "\n".join(lines) + "\n"
