"""`"full_grid"`: the whole map as codes, uint8 (rows, cols), north up.

| code                      | meaning                                                            |
|---------------------------|--------------------------------------------------------------------|
| 0 … 7                     | off-road, road of several headings, shoulder, obstacle, crosswalk,  |
|                           | stop line showing green, parking bay, goal                          |
| 8, 9                      | stop line showing yellow, red                                       |
| 10 … 13                   | one-way lane heading north, east, south, west                       |
| 14                        | pedestrian on the crosswalk                                         |
| 15 + 6 · heading + speed  | a vehicle                                                           |
| 39 + 6 · heading + speed  | the ego                                                             |
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.signals import colour_for, signal_at
from drivesim.core.world import (
    CROSSING,
    DRIVING,
    LANE,
    STOP_LINE,
    col_step,
    headings,
    kind,
    row_step,
)
from drivesim.observations.encoder import Encoder, Window

ONE_WAY = 10
PEDESTRIAN = 14
VEHICLE = 15
EGO = 39
NUM_CODES = 63


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
def code_of(world, cell):
    """The code of an empty cell."""
    bits = int(world.cells[cell])
    where = kind(bits)
    only = heading_of(headings(bits))
    if where == LANE and only >= 0:
        return ONE_WAY + only
    if where == STOP_LINE and only >= 0:
        row = cell // int(world.cols) + row_step(only)
        col = cell % int(world.cols) + col_step(only)
        s = signal_at(world, row, col)
        if s >= 0:
            colour = colour_for(world, s, only)
            if colour != 0:
                return 7 + colour
    return where


@kernel
def encode(world, k, rules, scratch, out):
    """Write the map: cells first, then pedestrians, vehicles and car k over them.

    Args:
        world: the world.
        k: the controlled car that is shown as the ego.
        rules: unused.
        scratch: unused.
        out: uint8 (rows * cols,).
    """
    for cell in range(out.shape[0]):
        out[cell] = code_of(world, cell)
    for p in range(world.num_pedestrians):
        pedestrian = world.pedestrians[p]
        if pedestrian.status == CROSSING:
            out[int(pedestrian.row) * int(world.cols) + int(pedestrian.col)] = PEDESTRIAN
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if vehicle.status == DRIVING and j != k:
            cell = int(vehicle.row) * int(world.cols) + int(vehicle.col)
            out[cell] = VEHICLE + 6 * int(vehicle.heading) + int(vehicle.speed)
    ego = world.vehicles[k]
    out[int(ego.row) * int(world.cols) + int(ego.col)] = EGO + 6 * int(ego.heading) + int(ego.speed)


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (rows, cols)."""
    return spaces.Box(0, NUM_CODES - 1, (rows, cols), np.uint8)


ENCODER = Encoder("full_grid", encode, space)
