"""The look of every cell's ground, as one number per cell.

The number packs the few facts on which a tile's picture depends: what kind of cell it is, where the road ends, which
lines run along its sides. `tiles` paints one tile per distinct number. Cells outside the map are verge, except that a
one-way lane runs on beyond the map's edge. A map does not change in an episode, so what depends on it is remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from drivesim.core.map import CROSSWALK, LANE, OBSTACLE, OFF_ROAD, PORTAL, SHOULDER, STOP_LINE
from drivesim.render.state import State, grid_of, is_goal, is_ring
from drivesim.render.view import Extent, extents_of

Array = np.ndarray[Any, Any]

GOAL = 7  # beside the kinds of core.map: a road's cell that is the goal of ego 0; no EDGE is ever shown
SEVERAL_HEADINGS, EVERY_HEADING = 4, 5  # beside NORTH … WEST: a junction or no road at all; open ground
HEADING_OF_MASK = np.full(16, SEVERAL_HEADINGS)
HEADING_OF_MASK[[1, 2, 4, 8, 15]] = 0, 1, 2, 3, EVERY_HEADING

ROW_STEPS, COL_STEPS = (-1, 0, 1, 0), (0, 1, 0, -1)  # of the headings north, east, south, west
NO_LINE, DASHED, SOLID, DIVIDER = 0, 1, 2, 3  # lines between two cells
NO_OBSTACLE, BARRIER, PARKED_CAR = 0, 1, 2
PLAIN, GUIDE, ARROW = 0, 1, 2  # what is painted in the middle of a lane, or of a goal with a heading
NUM_VERGES = 8  # decorations of verge
FIRST_BUSH = 5  # they are grass, from here on with bushes
ARROW_SPACING = 8  # cells

# Name of a fact and its bits. Sides are in the order north, east, south, west, corners north-west, north-east,
# south-east, south-west; so side n joins the corners n and n + 1, and has two halves in that order.
FACTS = {
    "kind": 3,
    "heading": 3,
    "halves": 8,  # half sides at which road and verge meet
    "corners": 4,  # corners that belong to the other of road and verge: they smooth a road's steps
    "lines": 8,  # NO_LINE … DIVIDER at each side
    "obstacle": 2,
    "joined": 4,  # sides at which a barrier goes on
    "middle": 2,
    "verge": 3,
}


class Level(NamedTuple):
    """All that a level's ground depends on; can be compared and hashed."""

    rows: int
    cols: int
    shown_rows: Extent
    shown_cols: Extent
    half_lane: int
    ground: bytes
    """Of every cell the allowed headings | kind << 4, the kind being GOAL on a goal."""
    lanes: bytes
    junction: bytes
    """Of every cell 1 + number of the junction that it belongs to, 0 = none; empty if there is none at all."""
    goal_heading: int
    """1 + the heading in which ego 0 must arrive, 0 = any."""

    def grid(self, name: str) -> Array:
        """The bytes `ground`, `lanes` or `junction` as an array (rows, cols)."""
        return np.frombuffer(getattr(self, name), np.uint8).reshape(self.rows, self.cols)


def level_of(state: State) -> Level:
    """The level of a state."""
    map = state.map
    ground = grid_of(map, map["ground"] & ~np.uint8(PORTAL))
    if not is_ring(map):
        ground = np.where(grid_of(map, is_goal(state)), ground & 15 | GOAL << 4, ground).astype(np.uint8)
    return Level(
        int(map["rows"]),
        int(map["cols"]),
        *extents_of(map),
        half_lane=int(map["half_lane"]),
        ground=ground.tobytes(),
        lanes=grid_of(map, map["lanes"]).tobytes(),
        junction=grid_of(map, map["junction"]).tobytes() if map["num_junctions"] else b"",
        goal_heading=int(map["goals"]["heading"][state.world["egos"]["goal"][0]]) if map["has_goal_headings"] else 0,
    )


def packed(facts: dict[str, Array]) -> Array:
    """One integer per cell, from arrays of equal shape by the names of `FACTS`."""
    number: Array = np.zeros(facts["kind"].shape, np.int64)
    for name, bits in FACTS.items():
        number = number << bits | facts[name]
    return number


def unpacked(number: int) -> dict[str, int]:
    """The inverse of `packed`, for one cell."""
    facts = {}
    for name, bits in reversed(FACTS.items()):
        facts[name] = number & ((1 << bits) - 1)
        number >>= bits
    return facts


def _without_obstacles(cells: Array, is_obstacle: Array) -> Array:
    """The map as if under an obstacle lay what lies in the next free row below it: on long roads, its own lane."""
    rows = len(cells)
    free = np.where(is_obstacle, rows, np.arange(rows)[:, None])
    below = np.minimum(np.minimum.accumulate(free[::-1], axis=0)[::-1], rows - 1)
    return np.take_along_axis(cells, below, axis=0)


def _around(extent: Extent) -> Array:
    """The rows or columns that can come into view, and one more at either end."""
    index = np.arange(extent.first - 1, extent.first + extent.count + 1)
    return index % extent.period if extent.period else index


def _cells_around(level: Level) -> dict[str, Array]:
    """The map's cells that can come into view and one more on every side, each array (rows + 2, cols + 2)."""
    rows, cols = level.rows, level.cols
    cells, lanes = level.grid("ground"), level.grid("lanes")
    is_obstacle = cells >> 4 == OBSTACLE
    ground = _without_obstacles(cells, is_obstacle) if rows >= cols else _without_obstacles(cells.T, is_obstacle.T).T
    row, col = _around(level.shown_rows), _around(level.shown_cols)
    at_row, at_col = row.clip(0, rows - 1), col.clip(0, cols - 1)
    at = np.ix_(at_row, at_col)
    bits = ground[at]
    kind = (bits >> 4).astype(np.int64)
    heading = HEADING_OF_MASK[bits & 15]
    beyond_row, beyond_col = (row != at_row)[:, None], (col != at_col)[None, :]
    is_outside = beyond_row | beyond_col
    runs_on = np.where(beyond_row, heading & 1 == 0, heading & 1 == 1)
    runs_on &= (heading < SEVERAL_HEADINGS) & ~(beyond_row & beyond_col)
    kind[is_outside & ~runs_on] = OFF_ROAD
    kind[is_outside & runs_on & (kind != SHOULDER) & (kind != OFF_ROAD)] = LANE
    return {
        "row": row[:, None],
        "col": col[None, :],
        "kind": kind,
        "heading": heading,
        "lane": (lanes[at] >> 4).astype(np.int64),
        "offset": (lanes[at] & 15).astype(np.int64) - 8,
        "obstacle": is_obstacle[at] & ~is_outside,
    }


def _edges(is_road: Array) -> tuple[Array, Array]:
    """Where road and verge meet: the facts "halves" and "corners" of the inner cells.

    Around a point where four cells meet, one cell unlike the other three loses that corner to them, so a road that
    moves sideways step by step has straight oblique edges.
    """
    road = is_road.astype(np.int64)
    count = road[:-1, :-1] + road[:-1, 1:] + road[1:, :-1] + road[1:, 1:]
    inner = road[1:-1, 1:-1]
    counts = (count[:-1, :-1], count[:-1, 1:], count[1:, 1:], count[1:, :-1])  # north-west, clockwise
    neighbours = (road[:-2, 1:-1], road[1:-1, 2:], road[2:, 1:-1], road[1:-1, :-2])
    halves = np.zeros_like(inner)
    corners = np.zeros_like(inner)
    for n in range(4):
        corners |= (counts[n] == np.where(inner == 1, 1, 3)).astype(np.int64) << n
        meets = neighbours[n] != inner
        for half, corner in enumerate((n, (n + 1) % 4)):
            is_square = counts[corner] == 2
            halves |= (meets & is_square).astype(np.int64) << (2 * n + half)
    return halves, corners


def _line(first: dict[str, Array], second: dict[str, Array], across: int) -> Array:
    """The line between two arrays of cells; `across` is the heading, NORTH or EAST, along which it would run."""
    is_along = (first["heading"] & 1 == across) & (second["heading"] & 1 == across)
    for side in (first, second):
        is_along &= (side["heading"] < SEVERAL_HEADINGS) & (side["kind"] != OFF_ROAD) & (side["kind"] != GOAL)
    line = np.where(first["lane"] != second["lane"], DASHED, NO_LINE)
    line = np.where((first["kind"] == SHOULDER) != (second["kind"] == SHOULDER), SOLID, line)
    line = np.where(first["heading"] != second["heading"], DIVIDER, line)
    return np.where(is_along, line, NO_LINE)


def _part(cells: dict[str, Array], rows: slice, cols: slice) -> dict[str, Array]:
    """A part of the arrays that `_line` compares."""
    return {name: cells[name][rows, cols] for name in ("heading", "kind", "lane")}


def _lines(cells: dict[str, Array]) -> Array:
    """The fact "lines" of the inner cells."""
    inner, before, after = slice(1, -1), slice(None, -1), slice(1, None)
    upright = _line(_part(cells, inner, before), _part(cells, inner, after), across=0)
    level = _line(_part(cells, before, inner), _part(cells, after, inner), across=1)
    lines: Array = level[:-1] | upright[:, 1:] << 2 | level[1:] << 4 | upright[:, :-1] << 6
    return lines


def _verge(row: Array, col: Array, is_road: Array) -> Array:
    """Decoration of the inner cells' verge: fixed to the map, so that it scrolls with it; bushes keep off the road."""
    noise = (row * 73_856_093 + col * 19_349_663) & 0xFFFF_FFFF
    noise = (noise ^ noise >> 15) * 0x2C1B_3C6D & 0xFFFF_FFFF
    noise = (noise ^ noise >> 12) * 0x297A_2D39 & 0xFFFF_FFFF
    noise = (noise ^ noise >> 15) & 63
    near = np.zeros(noise.shape, np.bool_)
    rows, cols = noise.shape
    for i in range(3):
        for j in range(3):
            near |= is_road[i : i + rows, j : j + cols]
    verge: Array = np.where((noise < NUM_VERGES) & ~near, noise, noise % FIRST_BUSH)
    return verge


def ground_of(level: Level) -> Array:
    """The packed facts of every cell that can come into view, int64 (rows, cols)."""
    cells = _cells_around(level)
    inner = (slice(1, -1), slice(1, -1))
    kind, heading = cells["kind"][inner], cells["heading"][inner]
    is_road = cells["kind"] != OFF_ROAD
    halves, corners = _edges(is_road)
    blocked = cells["obstacle"].astype(np.int64)
    joined = blocked[:-2, 1:-1] | blocked[1:-1, 2:] << 1 | blocked[2:, 1:-1] << 2 | blocked[1:-1, :-2] << 3
    is_blocked = cells["obstacle"][inner]
    is_parked = is_blocked & (joined == 0) & (heading < SEVERAL_HEADINGS)
    is_lane = (kind == LANE) & (heading < SEVERAL_HEADINGS)
    row, col = cells["row"][1:-1], cells["col"][:, 1:-1]
    if level.half_lane > 0:
        middle = np.where(is_lane & (cells["offset"][inner] == 0), GUIDE, PLAIN)
    else:
        along = np.where(heading & 1 == 0, row, col)
        middle = np.where(is_lane & (along % ARROW_SPACING == ARROW_SPACING // 2), ARROW, PLAIN)
    if level.goal_heading > 0:
        is_goal_cell = kind == GOAL
        middle = np.where(is_goal_cell, ARROW, middle)
        heading = np.where(is_goal_cell, level.goal_heading - 1, heading)
    needs_heading = (middle != PLAIN) | is_parked | (kind == STOP_LINE) | (kind == CROSSWALK)
    return packed(
        {
            "kind": kind,
            "heading": np.where(needs_heading | (heading == EVERY_HEADING) & (kind == LANE), heading, 0),
            "halves": halves,
            "corners": corners,
            "lines": _lines(cells),
            "obstacle": np.where(is_parked, PARKED_CAR, np.where(is_blocked, BARRIER, NO_OBSTACLE)),
            "joined": np.where(is_blocked, joined, 0),
            "middle": middle,
            "verge": np.where(is_road[inner], 0, _verge(row, col, is_road)),
        }
    )


@lru_cache(maxsize=256)
def lane_arrows(level: Level) -> dict[tuple[int, int], int]:
    """The heading of every arrow on a lane, by row and column."""
    found = {}
    ground = ground_of(level)
    facts = {number: unpacked(number) for number in np.unique(ground).tolist()}
    arrows = [number for number, fact in facts.items() if fact["middle"] == ARROW]
    for row, col in np.argwhere(np.isin(ground, arrows)).tolist():
        place = row + level.shown_rows.first, col + level.shown_cols.first
        found[place] = facts[int(ground[row, col])]["heading"]
    return found


@lru_cache(maxsize=256)
def stop_lines(level: Level) -> tuple[tuple[int, int, int, int], ...]:
    """The lines before junctions: row, column, heading and number of the junction."""
    if not level.junction:
        return ()
    lines = []
    ground, junction = level.grid("ground"), level.grid("junction")
    for row, col in np.argwhere(ground >> 4 == STOP_LINE).tolist():
        heading = int(HEADING_OF_MASK[ground[row, col] & 15])
        if heading >= SEVERAL_HEADINGS:
            continue
        ahead_row, ahead_col = row + ROW_STEPS[heading], col + COL_STEPS[heading]
        if 0 <= ahead_row < level.rows and 0 <= ahead_col < level.cols and junction[ahead_row, ahead_col]:
            lines.append((row, col, heading, int(junction[ahead_row, ahead_col]) - 1))
    return tuple(lines)
