"""`"features"`: a compact float32 vector for small networks, every value in [-1, 1], the ego facing up.

`FEATURES` names every entry in order. Five columns (two to the left … two to the right of the ego) are described by
eight numbers each, then come the ego's own numbers, the four cells around it, the lane's bends ahead and the signal.
Distances are shares of the window's 12 cells ahead or 10 behind, relative speeds shares of 10 cells per tick.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.signals import cells_to_line, colour_for, signal_at
from drivesim.core.traffic import has_pedestrian
from drivesim.core.world import (
    CROSSWALK,
    DRIVING,
    GREEN,
    LEFT_SIDE,
    RED,
    RIGHT_SIDE,
    UNREACHABLE,
    YELLOW,
    allows,
    cell_at,
    cell_under,
    col_step,
    headings,
    kind,
    lane_offset,
    row_step,
    turned,
)
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
def seen_cell(world, row, col):
    """Flat index of a cell that a driver may look at; beyond the edge only on a ring."""
    return cell_at(world, row, col, world.is_ring != 0)


@kernel
def mark_occupants(world, occupants_out):
    """Write 1 + vehicle to its cell, 0 elsewhere."""
    occupants_out[: int(world.rows) * int(world.cols)] = 0
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if vehicle.status == DRIVING:
            occupants_out[int(vehicle.row) * int(world.cols) + int(vehicle.col)] = j + 1


@kernel
def speed_along(world, occupants, cell, heading):
    """Speed of the vehicle on `cell` in the direction of `heading`: negative if it comes the other way."""
    vehicle = world.vehicles[int(occupants[cell]) - 1]
    relative = (int(vehicle.heading) - heading) & 3
    if relative == 0:
        return int(vehicle.speed)
    if relative == 2:
        return -int(vehicle.speed)
    return 0


@kernel
def saved_moves(world, k, cell):
    """Moves to the goal saved by being on `cell` instead of here; far negative without a way."""
    if world.is_ring != 0:
        return 0
    route = int(world.route[cell])
    if route == UNREACHABLE:
        return -1000
    return int(world.drivers[k].remaining) - route


@kernel
def describe_column(world, k, across, occupants, out, base):
    """Eight numbers on the column `across` cells to the right of car k, written at `out[base:]`."""
    ego = world.vehicles[k]
    heading = int(ego.heading)
    speed = int(ego.speed)
    right = turned(heading, RIGHT_SIDE)
    row = int(ego.row) + row_step(right) * across
    col = int(ego.col) + col_step(right) * across
    step_row = row_step(heading)
    step_col = col_step(heading)
    cell = seen_cell(world, row, col)
    if cell >= 0:
        if allows(world.cells[cell], heading):
            out[base] = 1.0
        elif headings(world.cells[cell]) != 0:
            out[base] = -1.0
    clear = 0
    ahead = AHEAD + 1
    ahead_speed = 0
    last = cell
    for n in range(0 if across != 0 else 1, AHEAD + 1):
        cell = seen_cell(world, row + step_row * n, col + step_col * n)
        if cell < 0 or headings(world.cells[cell]) == 0:
            break
        clear = n
        last = cell
        if ahead > AHEAD and occupants[cell] != 0:
            ahead = n
            ahead_speed = speed_along(world, occupants, cell, heading) - speed
    behind = BEHIND + 1
    behind_speed = 0
    for n in range(1, BEHIND + 1):
        cell = seen_cell(world, row - step_row * n, col - step_col * n)
        if cell < 0 or headings(world.cells[cell]) == 0:
            break
        if occupants[cell] != 0:
            behind = n
            behind_speed = speed_along(world, occupants, cell, heading) - speed
            break
    out[base + 1] = clear / NEARBY
    out[base + 2] = clipped(ahead / NEARBY)
    out[base + 3] = ahead_speed / SPEEDS
    out[base + 4] = clipped(behind / SPEEDS)
    out[base + 5] = behind_speed / SPEEDS
    if last >= 0:
        out[base + 6] = clipped(saved_moves(world, k, last) / NEARBY)
    cell = seen_cell(world, row + step_row, col + step_col)
    out[base + 7] = -1.0
    if cell >= 0 and headings(world.cells[cell]) != 0:
        out[base + 7] = clipped(saved_moves(world, k, cell) / 2.0)


@kernel
def bend(world, k, distance):
    """Cells from car k's column to the lane's centre, `distance` cells ahead; positive to the right."""
    ego = world.vehicles[k]
    right = turned(ego.heading, RIGHT_SIDE)
    row = int(ego.row) + row_step(ego.heading) * distance
    col = int(ego.col) + col_step(ego.heading) * distance
    for reach in range(8):
        for side in (LEFT_SIDE, RIGHT_SIDE):
            across = side * reach
            cell = seen_cell(world, row + row_step(right) * across, col + col_step(right) * across)
            if cell >= 0 and headings(world.cells[cell]) != 0:
                return across - lane_offset(world.lanes[cell])
    return 0


@kernel
def describe_signal(world, k, out, base):
    """Ten numbers on the stop line, junction, oncoming traffic and crosswalk ahead, at `out[base:]`."""
    ego = world.vehicles[k]
    heading = int(ego.heading)
    out[base] = 1.0
    out[base + 6] = 1.0
    out[base + 8] = 1.0
    if world.num_signals == 0 and world.num_pedestrians == 0:
        return
    s = signal_at(world, int(ego.row), int(ego.col))
    if s >= 0:
        out[base + 5] = 1.0
    line = cells_to_line(world, k, AHEAD)
    if s < 0 and line >= 0:
        out[base] = clipped(line / NEARBY)
        s = signal_at(
            world,
            int(ego.row) + row_step(heading) * (line + 1),
            int(ego.col) + col_step(heading) * (line + 1),
        )
        if s >= 0:
            colour = colour_for(world, s, heading)
            out[base + 1] = 1.0 if colour == RED else 0.0
            out[base + 2] = 1.0 if colour == YELLOW else 0.0
            out[base + 3] = 1.0 if colour == GREEN else 0.0
    if s >= 0:
        nearest = 3 * AHEAD
        nearest_speed = 0
        inside = 0
        for j in range(world.num_vehicles):
            other = world.vehicles[j]
            if j == k or other.status != DRIVING:
                continue
            if signal_at(world, int(other.row), int(other.col)) == s:
                inside += 1
            if (int(other.heading) - heading) & 3 == 2:
                distance = (int(other.row) - int(ego.row)) * row_step(heading)
                distance += (int(other.col) - int(ego.col)) * col_step(heading)
                if 0 < distance < nearest:
                    nearest = distance
                    nearest_speed = int(other.speed)
        out[base + 4] = clipped(inside / 4.0)
        out[base + 6] = clipped(nearest / NEARBY)
        out[base + 7] = nearest_speed / 5.0
    for n in range(1, AHEAD + 1):
        row = int(ego.row) + row_step(heading) * n
        col = int(ego.col) + col_step(heading) * n
        cell = seen_cell(world, row, col)
        if cell < 0:
            break
        if kind(world.cells[cell]) == CROSSWALK:
            out[base + 8] = n / NEARBY
            out[base + 9] = 1.0 if has_pedestrian(world, row, col, heading) else 0.0
            break


@kernel
def encode(world, k, rules, scratch, out):
    """Write car k's features.

    Args:
        world: the world.
        k: the controlled car.
        rules: the options.
        scratch: int16, at least as long as the map has cells.
        out: float32 (NUM_FEATURES,).
    """
    ego = world.vehicles[k]
    heading = int(ego.heading)
    here = int(world.cells[cell_under(world, k)])
    out[:] = 0.0
    mark_occupants(world, scratch)
    base = 0
    for across in range(-(COLUMNS // 2), COLUMNS // 2 + 1):
        describe_column(world, k, across, scratch, out, base)
        base += 8
    out[base] = ego.speed / 5.0
    out[base + 1] = world.limit / 5.0
    if world.half_lane > 0 and headings(here) != 0:
        out[base + 2] = clipped(lane_offset(world.lanes[cell_under(world, k)]) / world.half_lane)
    out[base + 3] = 1.0 if allows(here, turned(heading, LEFT_SIDE)) else 0.0
    out[base + 4] = 1.0 if allows(here, turned(heading, RIGHT_SIDE)) else 0.0
    out[base + 5] = ego.turn
    for quarter in range(4):
        direction = (heading + quarter) & 3
        cell = seen_cell(world, int(ego.row) + row_step(direction), int(ego.col) + col_step(direction))
        value = -1.0
        if cell >= 0 and headings(world.cells[cell]) != 0:
            value = clipped(saved_moves(world, k, cell) / 2.0)
        out[base + 6 + quarter] = value
    out[base + 10] = clipped(world.drivers[k].remaining / world.drivers[k].route_length)
    base += 11
    if world.half_lane > 0:
        for n in range(BENDS):
            out[base + n] = clipped(bend(world, k, n + 1) / 8.0)
    describe_signal(world, k, out, base + BENDS)


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """float32 (NUM_FEATURES,) in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (NUM_FEATURES,), np.float32)


ENCODER = Encoder("features", encode, space)
