"""`"features"`: a compact float32 vector for small networks, every value in [-1, 1], the ego facing up.

`FEATURES` names every entry in order. Five columns (two to the left … two to the right of the ego) are described by
eight numbers each, then come the ego's own numbers, the four cells around it, the lane's bends ahead and the signal.
Distances are shares of the window's 12 cells ahead or 10 behind, relative speeds shares of 10 cells per tick.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.crosswalks import is_crossed
from drivesim.core.jit import kernel
from drivesim.core.junctions import colour_for
from drivesim.core.map import (
    CROSSWALK,
    EAST,
    EDGE,
    LEFT_SIDE,
    NORTH,
    RIGHT_SIDE,
    SOUTH,
    STOP_LINE,
    UNREACHABLE,
    allows,
    cell_towards,
    col_of,
    distance_from,
    headings,
    is_ring,
    junction_ahead,
    junction_of,
    kind,
    lane_offset,
    next_cell_for_ego,
    row_of,
    turned,
)
from drivesim.core.world import DRIVING, GREEN, RED, YELLOW, occupant_of
from drivesim.observations.encoder import Encoder, Window

AHEAD = 12
BEHIND = 10
COLUMNS = 5  # two to either side
BENDS = 8  # cells ahead whose lane centre is told

_COLUMN = ("here", "clear", "ahead", "ahead_speed", "behind", "behind_speed", "reach", "step")
_COLUMN_NAMES = ("left_2", "left_1", "own", "right_1", "right_2")
FEATURES = (
    *(f"{column}/{value}" for column in _COLUMN_NAMES for value in _COLUMN),
    "own/speed",
    "own/limit",
    "own/offset",
    "own/can_turn_left",
    "own/can_turn_right",
    "own/route_turn",
    "around/ahead",
    "around/right",
    "around/behind",
    "around/left",
    "own/remaining",
    *(f"bend_{n}" for n in range(1, BENDS + 1)),
    "line/distance",
    "line/red",
    "line/yellow",
    "line/green",
    "junction/vehicles",
    "junction/inside",
    "oncoming/distance",
    "oncoming/speed",
    "crosswalk/distance",
    "crosswalk/occupied",
)
NUM_FEATURES = len(FEATURES)
NEARBY = 12.0
SPEEDS = 10.0


@kernel
def clipped(value):
    """The value, at least -1 and at most 1."""
    return max(-1.0, min(1.0, value))


@kernel
def speed_along(world, j, heading):
    """Speed of vehicle j in the direction of `heading`: negative if it comes the other way."""
    vehicle = world.vehicles[j]
    relative = (vehicle.heading - heading) & 3
    if relative == 0:
        return vehicle.speed
    if relative == 2:
        return -vehicle.speed
    return 0


@kernel
def saved_moves(map, world, k, cell):
    """Moves to the goal saved by being on `cell` instead of here; far negative without a way."""
    if is_ring(map):
        return 0
    distance = distance_from(map, world.egos[k].goal, cell, world.vehicles[k].heading)
    if distance == UNREACHABLE:
        return -1000
    return world.egos[k].remaining - distance


@kernel
def describe_column(map, world, k, across, out, base):
    """Eight numbers on the column `across` cells to the right of ego k, written at `out[base:]`."""
    ego = world.vehicles[k]
    heading = ego.heading
    cell = cell_towards(map, ego.cell, heading, 0, across)
    if cell >= 0:
        if allows(map, cell, heading):
            out[base] = 1.0
        elif headings(map, cell) != 0:
            out[base] = -1.0
    clear = 0
    ahead = AHEAD + 1
    ahead_speed = 0
    last = cell
    for n in range(0 if across != 0 else 1, AHEAD + 1):
        cell = cell_towards(map, ego.cell, heading, n, across)
        if cell < 0 or headings(map, cell) == 0:
            break
        clear = n
        last = cell
        other = occupant_of(world, cell)
        if ahead > AHEAD and other >= 0:
            ahead = n
            ahead_speed = speed_along(world, other, heading) - ego.speed
    behind = BEHIND + 1
    behind_speed = 0
    for n in range(1, BEHIND + 1):
        cell = cell_towards(map, ego.cell, heading, -n, across)
        if cell < 0 or headings(map, cell) == 0:
            break
        other = occupant_of(world, cell)
        if other >= 0:
            behind = n
            behind_speed = speed_along(world, other, heading) - ego.speed
            break
    out[base + 1] = clear / NEARBY
    out[base + 2] = clipped(ahead / NEARBY)
    out[base + 3] = ahead_speed / SPEEDS
    out[base + 4] = clipped(behind / SPEEDS)
    out[base + 5] = behind_speed / SPEEDS
    if last >= 0:
        out[base + 6] = clipped(saved_moves(map, world, k, last) / NEARBY)
    cell = cell_towards(map, ego.cell, heading, 1, across)
    out[base + 7] = -1.0
    if cell >= 0 and headings(map, cell) != 0:
        out[base + 7] = clipped(saved_moves(map, world, k, cell) / 2.0)


@kernel
def bend(map, world, k, distance):
    """Cells from ego k's column to the lane's centre, `distance` cells ahead; positive to the right."""
    ego = world.vehicles[k]
    for reach in range(8):
        for side in (LEFT_SIDE, RIGHT_SIDE):
            cell = cell_towards(map, ego.cell, ego.heading, distance, side * reach)
            if cell >= 0 and headings(map, cell) != 0:
                return side * reach - lane_offset(map, cell)
    return 0


@kernel
def cells_ahead(map, ego, other):
    """Rows or columns by which another vehicle is ahead of an ego's, in its heading."""
    rows = row_of(map, other.cell) - row_of(map, ego.cell)
    cols = col_of(map, other.cell) - col_of(map, ego.cell)
    if ego.heading == NORTH:
        return -rows
    if ego.heading == EAST:
        return cols
    return rows if ego.heading == SOUTH else -cols


@kernel
def describe_junction(map, world, k, s, out, base):
    """Who is in junction s, and the nearest vehicle that comes towards ego k."""
    ego = world.vehicles[k]
    nearest = 3 * AHEAD
    nearest_speed = 0
    inside = 0
    for j in range(world.num_vehicles):
        other = world.vehicles[j]
        if j == k or other.status != DRIVING:
            continue
        if junction_of(map, other.cell) == s:
            inside += 1
        if (other.heading - ego.heading) & 3 == 2:
            distance = cells_ahead(map, ego, other)
            if 0 < distance < nearest:
                nearest = distance
                nearest_speed = other.speed
    out[base + 4] = clipped(inside / 4.0)
    out[base + 6] = clipped(nearest / NEARBY)
    out[base + 7] = nearest_speed / 5.0


@kernel
def cells_to_line(map, cell, heading, distance):
    """Cells straight ahead to a stop line, and its cell: 0 when standing on it; (-1, -1) if none within `distance`.

    Another vehicle in between does not hide the line; the map's edge does.
    """
    for n in range(distance + 1):
        if not allows(map, cell, heading):
            return -1, -1
        if kind(map, cell) == STOP_LINE:
            return n, cell
        cell = next_cell_for_ego(map, cell, heading)
    return -1, -1


@kernel
def describe_signal(map, world, k, out, base):
    """Ten numbers on the stop line, junction, oncoming traffic and crosswalk ahead, at `out[base:]`."""
    ego = world.vehicles[k]
    out[base] = 1.0
    out[base + 6] = 1.0
    out[base + 8] = 1.0
    s = junction_of(map, ego.cell)
    if s >= 0:
        out[base + 5] = 1.0
    else:
        distance, line = cells_to_line(map, ego.cell, ego.heading, AHEAD)
        if line >= 0:
            out[base] = clipped(distance / NEARBY)
            s = junction_ahead(map, line, ego.heading)
            if s >= 0:
                colour = colour_for(map, world, s, ego.heading)
                out[base + 1] = 1.0 if colour == RED else 0.0
                out[base + 2] = 1.0 if colour == YELLOW else 0.0
                out[base + 3] = 1.0 if colour == GREEN else 0.0
    if s >= 0:
        describe_junction(map, world, k, s, out, base)
    cell = ego.cell
    for n in range(1, AHEAD + 1):
        cell = next_cell_for_ego(map, cell, ego.heading)
        if kind(map, cell) == EDGE:
            break
        if kind(map, cell) == CROSSWALK:
            out[base + 8] = n / NEARBY
            out[base + 9] = 1.0 if is_crossed(map, world, cell) else 0.0
            break


@kernel
def encode(map, world, k, options, scratch, out):
    """Write ego k's features.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: unused.
        scratch: unused.
        out: float32 (NUM_FEATURES,).
    """
    ego = world.vehicles[k]
    here = ego.cell
    for n in range(NUM_FEATURES):
        out[n] = 0.0
    base = 0
    for across in range(-(COLUMNS // 2), COLUMNS // 2 + 1):
        describe_column(map, world, k, across, out, base)
        base += 8
    out[base] = ego.speed / 5.0
    out[base + 1] = map.speed_limit / 5.0
    if map.half_lane > 0 and headings(map, here) != 0:
        out[base + 2] = clipped(lane_offset(map, here) / map.half_lane)
    out[base + 3] = 1.0 if allows(map, here, turned(ego.heading, LEFT_SIDE)) else 0.0
    out[base + 4] = 1.0 if allows(map, here, turned(ego.heading, RIGHT_SIDE)) else 0.0
    out[base + 5] = world.egos[k].next_turn
    for quarter in range(4):
        cell = cell_towards(map, here, (ego.heading + quarter) & 3, 1, 0)
        value = -1.0
        if cell >= 0 and headings(map, cell) != 0:
            value = clipped(saved_moves(map, world, k, cell) / 2.0)
        out[base + 6 + quarter] = value
    out[base + 10] = clipped(world.egos[k].remaining / world.egos[k].route_length)
    base += 11
    if map.half_lane > 0:
        for n in range(BENDS):
            out[base + n] = clipped(bend(map, world, k, n + 1) / 8.0)
    describe_signal(map, world, k, out, base + BENDS)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """float32 (NUM_FEATURES,) in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (NUM_FEATURES,), np.float32)


ENCODER = Encoder("features", encode, space, np.float32)
