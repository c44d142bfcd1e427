"""`"full_grid"`: the whole map as codes, uint8 (rows, cols), north up; where levels differ in size, of the largest.

| code                          | meaning                                                            |
|-------------------------------|--------------------------------------------------------------------|
| 0 … 7                         | off-road, road of several headings, shoulder, obstacle, crosswalk,  |
|                               | stop line showing green, parking bay, goal                          |
| 8, 9                          | stop line showing yellow, red                                       |
| 10 … 13                       | one-way lane heading north, east, south, west                       |
| 14                            | pedestrian on the crosswalk                                         |
| 15 + 7 · heading + 1 + speed  | a vehicle; the speed of an ego that moves backwards is -1           |
| 43 + 7 · heading + 1 + speed  | the ego                                                             |
| 71 + 7 · heading + 1 + speed  | the ego, where the junction ahead or around it is not its to enter  |
| 99 + 7 · heading + 1 + speed  | a vehicle that turns to its left within 10 cells                    |
| 127 + 7 · heading + 1 + speed | a vehicle that turns to its right within 10 cells                   |
| 155 + heading                 | a goal that must be reached in this heading                         |

Codes from 71 on are there only in scenarios with junctions or such goals.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.map import (
    LANE,
    LEFT_SIDE,
    OFF_ROAD,
    STOP_LINE,
    cell_at,
    col_of,
    distances_begin,
    headings,
    is_destination,
    is_ring,
    junction_ahead,
    kind,
    row_of,
)
from drivesim.core.outlook import TURN_SIGHT, entry_in_sight, has_turn, next_turn
from drivesim.core.signals import colour_for
from drivesim.core.world import CROSSING, DRIVING
from drivesim.observations.encoder import Encoder, Window
from drivesim.observations.grid import VEHICLE_TURNS, shown_planes

GOAL = 7
ONE_WAY = 10
PEDESTRIAN = 14
VEHICLE = 15
EGO = 43
WAITING_EGO = 71
TURNING_LEFT = 99
TURNING_RIGHT = 127
GOAL_IN_HEADING = 155
NUM_SPEEDS = 7  # -1 … 5
NUM_PLAIN_CODES = 71  # where there are neither junctions nor goals with headings
NUM_CODES = 159


@kernel
def heading_of(mask):
    """The heading of a mask that allows exactly one, else -1."""
    if mask == 1:
        return 0
    if mask == 2:
        return 1
    if mask == 4:
        return 2
    if mask == 8:
        return 3
    return -1


@kernel
def code_of(map, world, cell):
    """The code of an empty cell which is no goal."""
    where = kind(map, cell)
    only = heading_of(headings(map, cell))
    if where == LANE and only >= 0:
        return ONE_WAY + only
    if where == STOP_LINE and only >= 0:
        s = junction_ahead(map, cell, only)
        if s >= 0 and colour_for(map, world, s, only) > 0:
            return 7 + colour_for(map, world, s, only)
    return where


@kernel
def mark_cells(map, world, options, out):
    """Write the code of every cell, as if there were no goal; the next cell often has the same ground and code."""
    for row in range(map.rows):
        first = cell_at(map, row, 0)
        last = -1
        code = 0
        for col in range(map.cols):
            ground = map.ground[first + col]
            if ground != last:
                code = code_of(map, world, first + col)
                last = -1 if ground >> 4 & 7 == STOP_LINE else ground
            out[row * options.cols + col] = code


@kernel
def mark_goal(map, options, goal, out):
    """Write the code of a goal to its cells."""
    wanted = map.goals[goal].heading
    has_headings = map.has_goal_headings != 0
    distances = distances_begin(map, goal, 0)
    for row in range(map.rows):
        first = cell_at(map, row, 0)
        for col in range(map.cols):
            is_goal = map.distances[distances + first + col] == 0
            if is_goal or (has_headings and is_destination(map, goal, first + col)):
                out[row * options.cols + col] = GOAL if wanted == 0 else GOAL_IN_HEADING + wanted - 1


@kernel
def motion_of(vehicle):
    """Heading and speed of a vehicle in one number, 0 … 27."""
    return NUM_SPEEDS * vehicle.heading + 1 + vehicle.speed


@kernel
def index_of(map, options, cell):
    """Where a cell stands in the observation."""
    return row_of(map, cell) * options.cols + col_of(map, cell)


@kernel
def encode(map, world, k, options, scratch, out):
    """Write the map: cells first, then pedestrians, vehicles and ego k over them.

    Args:
        map: the map.
        world: the world.
        k: the ego that is shown as such.
        options: the rows and columns of the largest map.
        scratch: unused.
        out: uint8 (rows * cols,); beyond the map it is off the road.
    """
    if map.rows < options.rows or map.cols < options.cols:
        for n in range(options.rows * options.cols):
            out[n] = OFF_ROAD
    mark_cells(map, world, options, out)
    if not is_ring(map):
        mark_goal(map, options, world.egos[k].goal, out)
    for p in range(world.num_people):
        if world.people[p].status == CROSSING:
            out[index_of(map, options, world.people[p].cell)] = PEDESTRIAN
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if vehicle.status == DRIVING and j != k:
            side = 0
            if options.planes[VEHICLE_TURNS] >= 0:  # else nobody turns, and there are no codes for it
                _, side = next_turn(map, world, j, TURN_SIGHT)
            first = VEHICLE if side == 0 else (TURNING_LEFT if side == LEFT_SIDE else TURNING_RIGHT)
            out[index_of(map, options, vehicle.cell)] = first + motion_of(vehicle)
    ego = world.vehicles[k]
    _, entry = entry_in_sight(map, world, k)
    first = EGO if has_turn(map, world, k, entry) else WAITING_EGO
    out[index_of(map, options, ego.cell)] = first + motion_of(ego)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (rows, cols)."""
    shown = shown_planes(window)
    has_all = "my_turn" in shown or "goal_heading" in shown
    return spaces.Box(0, (NUM_CODES if has_all else NUM_PLAIN_CODES) - 1, (rows, cols), np.uint8)


ENCODER = Encoder("full_grid", encode, space, np.uint8)
