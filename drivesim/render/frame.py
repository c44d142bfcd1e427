"""A world as a picture or as text. Needs no display and reads records only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from drivesim.core.map import SIGNALS
from drivesim.core.texts import A_VEHICLE, A_WALKER, AN_EGO
from drivesim.core.world import ABSENT, CRASHED, NOBODY
from drivesim.decimals import decimal
from drivesim.levels.alphabet import aligned, word_text
from drivesim.levels.ground import Ground
from drivesim.render import palette
from drivesim.render.ground import Level
from drivesim.render.scene import Points, Scene
from drivesim.render.sprites import STEPS_PER_TURN, sprite
from drivesim.render.state import State, completion_of
from drivesim.render.tiles import ground_picture
from drivesim.render.view import DEFAULT_SIZE, Extent, View, cell_for, view_of

Array = np.ndarray[Any, Any]

Saliency = Sequence[tuple[int, int, float]]
TINT = 0.75  # opacity of the most salient cell
COLOURS = ("green", "yellow", "red")
REACH = 2  # cells; nothing is seen so far from the cell that it is drawn around


def draw_frame(
    state: State,
    before: State | None = None,
    share: float = 1.0,
    size: int = DEFAULT_SIZE,
    saliency: Saliency = (),
) -> Array:
    """The world from above, north up, uint8 (height, width, 3), the same size for every world of a configuration.

    Args:
        state: a world and its map, for example `drivesim.rendering.state_of(env)`.
        before: the same one tick earlier, to see it move; any other is left out of account.
        share: the part of the tick that has passed, in (0, 1].
        size: pixels along the longer side, at most.
        saliency: (row, column, weight in [0, 1]) of cells to be tinted.
    """
    return draw_scene(Scene(state, before), cell_for(state.map, size), share, saliency)


def draw_scene(
    scene: Scene,
    cell: int,
    share: float = 1.0,
    saliency: Saliency = (),
    extents: tuple[Extent, Extent] | None = None,
) -> Array:
    """A scene after a share of its tick, with `cell` pixels along a cell's side. The rest as in `draw_frame`.

    `extents` says how much of the map's rows and columns is shown, None = as much as in every picture of it.
    """
    level = scene.level
    if extents is not None:
        level = level._replace(shown_rows=extents[0], shown_cols=extents[1])
    view = view_of(scene.state, cell, scene.focus(share), extents)
    top, left = _corner(level, view)
    height, width = view.shape
    # Whole pixels: the picture's edge may lie between two.
    edge_row, edge_col = round(view.first_row * cell), round(view.first_col * cell)
    picture: Array = ground_picture(level, view.cell)[top : top + height, left : left + width].copy()
    for cell_row, cell_col, weight in saliency:
        _tint(picture, view, view.row_of(cell_row), view.col_of(cell_col), TINT * weight)
    for piece in scene.pieces:
        row, col = piece.place(share)
        at_rows = _places(view.row_of(row), piece.rows, scene.level.rows, bool(view.row_period), view.rows)
        at_cols = _places(view.col_of(col), piece.cols, scene.level.cols, bool(view.col_period), view.cols)
        if not at_rows or not at_cols:
            continue
        turn = round(piece.direction(share) * STEPS_PER_TURN) / STEPS_PER_TURN % 4
        shape = sprite(cell, piece.look_at(share), turn)
        for at_row in at_rows:
            y = round((at_row + view.first_row + 0.5) * cell) - edge_row
            for at_col in at_cols:
                shape.lay_over(picture, y, round((at_col + view.first_col + 0.5) * cell) - edge_col)
    return picture


def _corner(level: Level, view: View) -> tuple[int, int]:
    """The picture's first row and column of pixels in the picture of all the ground."""
    rows, cols = level.shown_rows, level.shown_cols
    return round((view.first_row - rows.first) * view.cell), round((view.first_col - cols.first) * view.cell)


def _places(place: float, way: Points, size: int, is_ring: bool, shown: int) -> list[float]:
    """Where something is seen, in cells from the picture's edge, if at all among the `shown` cells.

    Whoever leaves a map that continues on its other side comes in there.
    """
    is_inside = is_ring or (min(way) > -1 and max(way) < size)
    places = (place,) if is_inside else (place - size, place, place + size)
    return [at for at in places if -REACH <= at < shown + REACH]


def _tint(picture: Array, view: View, row: float, col: float, opacity: float) -> None:
    """Tint the cell (row, col) of the picture."""
    rows = slice(max(0, round(row * view.cell)), max(0, round((row + 1) * view.cell)))
    cols = slice(max(0, round(col * view.cell)), max(0, round((col + 1) * view.cell)))
    part = picture[rows, cols].astype(np.float32)
    picture[rows, cols] = part * (1.0 - opacity) + np.array(palette.SALIENCY, np.float32) * opacity


def draw_text(state: State) -> str:
    """The part of the world that `draw_frame` shows, in the words of `drivesim.levels.alphabet`, and a line of figures.

    Vehicles are all of one class, `a`; a wreck is an `X`; the colours of signals, north-south and east-west, stand in
    the line of figures.
    """
    view, world, ground = view_of(state), state.world, Ground(state.map)
    rows, cols = ground.rows, ground.cols
    cells = [[(row + 1) * ground.width + col + 1 for col in range(cols)] for row in range(rows)]
    words = {cell: ground.word(cell, has_numbers=False) for row in cells for cell in row}
    for person in world["people"][: int(world["num_people"])]:
        if person["status"] != NOBODY:
            cell = int(person["cell"])
            words[cell] = replace(words[cell], who=A_WALKER, pace=int(person["heading"]))
    vehicles = world["vehicles"][: int(world["num_vehicles"])]
    wrecks = set(vehicles["cell"][vehicles["status"] == CRASHED].tolist())
    for k in reversed(range(len(vehicles))):
        cell = int(vehicles["cell"][k])
        if vehicles["status"][k] != ABSENT:
            is_ego = k < int(world["num_egos"])
            who = {"who": AN_EGO, "number": k} if is_ego else {"who": A_VEHICLE, "name": "a"}
            words[cell] = replace(words[cell], **who, pace=int(vehicles["speed"][k]))
    texts = [["X" if cell in wrecks else word_text(words[cell]) for cell in row] for row in cells]
    shown = []
    first_row, first_col = math.floor(view.first_row), math.floor(view.first_col)
    for row in range(first_row, first_row + view.rows):
        at_row = row % rows if view.row_period else row
        if 0 <= at_row < rows:
            columns = range(first_col, first_col + view.cols)
            shown.append([texts[at_row][col % cols] for col in columns if view.col_period or 0 <= col < cols])
    speed = decimal(int(vehicles["speed"][0]), 0)
    figures = f"tick {int(world['tick'])}   speed {speed}   route {completion_of(world):.0%}"
    for number in range(int(state.map["num_junctions"])):
        if state.map["junctions"]["control"][number] != SIGNALS:
            continue
        lamp = world["lamps"][number]
        colours = (COLOURS[int(lamp[name])] for name in ("colour_0", "colour_1"))
        figures += f"   signal {number + 1} {'/'.join(colours)}"
    return aligned(shown) + figures + "\n"
