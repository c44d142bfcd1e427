"""`"grid"`: an ego-centred window of cells, the ego facing up, one uint8 plane per fact.

| plane | name              | value                                                                             |
|-------|-------------------|-----------------------------------------------------------------------------------|
| 0     | `road`            | 255 drivable in my heading, 128 the same on a shoulder or bay, 0 not               |
| 1     | `other_road`      | 255 drivable, but not in my heading                                                |
| 2     | `lane_offset`     | on the road: distance from the lane's centre, 36 per cell                          |
| 3     | `obstacle`        | 255 an obstacle                                                                    |
| 4     | `vehicle`         | 55 + 40 · speed of the vehicle here, the ego included                              |
| 5     | `vehicle_heading` | 64 as mine, 128 to my right, 192 towards me, 255 to my left                        |
| 6     | `pedestrian`      | 255 a pedestrian on the crosswalk, 128 one who waits beside it                     |
| 7     | `signal`          | stop line: 64 not for me or without a light, 128 green, 192 yellow, 255 red;       |
|       |                   | crosswalk: 32                                                                      |
| 8     | `route`           | 128 + 8 · (moves to the goal saved by being here), clipped to 1 … 255; 0 no way    |
| 9     | `own_speed`       | 51 · my speed, everywhere                                                          |

On a ring there is no goal: `route` is 128 everywhere on the road. Cells outside the map are 0 in every plane but the
last.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.signals import colour_for, signal_at
from drivesim.core.world import (
    CROSSING,
    CROSSWALK,
    DRIVING,
    GREEN,
    NOBODY,
    OBSTACLE,
    PARKING_BAY,
    RIGHT_SIDE,
    SHOULDER,
    STOP_LINE,
    UNREACHABLE,
    YELLOW,
    allows,
    col_step,
    headings,
    kind,
    lane_offset,
    row_step,
    turned,
    wrapped,
)
from drivesim.observations.encoder import Encoder, Window

PLANES = (
    "road",
    "other_road",
    "lane_offset",
    "obstacle",
    "vehicle",
    "vehicle_heading",
    "pedestrian",
    "signal",
    "route",
    "own_speed",
)


@kernel
def gather(world, k, rules, window_out):
    """The flat index of every cell of the window, row by row from the far end; -1 outside the map."""
    vehicle = world.vehicles[k]
    rows = int(world.rows)
    cols = int(world.cols)
    right = turned(vehicle.heading, RIGHT_SIDE)
    step_row = row_step(vehicle.heading)
    step_col = col_step(vehicle.heading)
    width = 2 * int(rules.beside) + 1
    height = int(rules.ahead) + 1 + int(rules.behind)
    wraps_rows = world.is_ring != 0 and world.wraps_rows != 0
    wraps_cols = world.is_ring != 0 and world.wraps_cols != 0
    for across in range(width):
        row = int(vehicle.row) + row_step(right) * (across - rules.beside) + step_row * rules.ahead
        col = int(vehicle.col) + col_step(right) * (across - rules.beside) + step_col * rules.ahead
        for down in range(height):
            if wraps_rows:
                row = wrapped(row, rows)
            if wraps_cols:
                col = wrapped(col, cols)
            cell = row * cols + col
            if row < 0 or row >= rows or col < 0 or col >= cols:
                cell = -1
            window_out[down * width + across] = cell
            row -= step_row
            col -= step_col


@kernel
def mark_moving(world, k, rules, num_cells, out):
    """Stamp vehicles and pedestrians into their planes."""
    ego = world.vehicles[k]
    forward_row = row_step(ego.heading)
    forward_col = col_step(ego.heading)
    right = turned(ego.heading, RIGHT_SIDE)
    right_row = row_step(right)
    right_col = col_step(right)
    width = 2 * int(rules.beside) + 1
    ring_rows = int(world.rows) if world.is_ring != 0 and world.wraps_rows != 0 else 0
    ring_cols = int(world.cols) if world.is_ring != 0 and world.wraps_cols != 0 else 0
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if vehicle.status != DRIVING:
            continue
        rows = shortest(int(vehicle.row) - int(ego.row), ring_rows)
        cols = shortest(int(vehicle.col) - int(ego.col), ring_cols)
        ahead = rows * forward_row + cols * forward_col
        across = rows * right_row + cols * right_col
        if -rules.behind <= ahead <= rules.ahead and -rules.beside <= across <= rules.beside:
            n = (int(rules.ahead) - ahead) * width + across + int(rules.beside)
            out[4 * num_cells + n] = 55 + 40 * int(vehicle.speed)
            relative = (int(vehicle.heading) - int(ego.heading)) & 3
            out[5 * num_cells + n] = min(64 * (relative + 1), 255)
    for p in range(world.num_pedestrians):
        pedestrian = world.pedestrians[p]
        if pedestrian.status == NOBODY:
            continue
        rows = shortest(int(pedestrian.row) - int(ego.row), ring_rows)
        cols = shortest(int(pedestrian.col) - int(ego.col), ring_cols)
        ahead = rows * forward_row + cols * forward_col
        across = rows * right_row + cols * right_col
        if -rules.behind <= ahead <= rules.ahead and -rules.beside <= across <= rules.beside:
            n = (int(rules.ahead) - ahead) * width + across + int(rules.beside)
            out[6 * num_cells + n] = 255 if pedestrian.status == CROSSING else 128


@kernel
def shortest(difference, ring):
    """The difference of two coordinates, the short way round where there is a ring (`ring` > 0 cells)."""
    if ring > 0:
        if 2 * difference > ring:
            return difference - ring
        if 2 * difference < -ring:
            return difference + ring
    return difference


@kernel
def mark_signals(world, k, num_cells, window, out):
    """Write the plane of stop lines and crosswalks."""
    heading = int(world.vehicles[k].heading)
    for n in range(num_cells):
        cell = int(window[n])
        if cell < 0:
            continue
        bits = int(world.cells[cell])
        if kind(bits) == CROSSWALK:
            out[7 * num_cells + n] = 32
        if kind(bits) != STOP_LINE:
            continue
        value = 64
        if allows(bits, heading):
            row = cell // int(world.cols) + row_step(heading)
            col = cell % int(world.cols) + col_step(heading)
            s = signal_at(world, row, col)
            if s >= 0:
                colour = colour_for(world, s, heading)
                value = 128 if colour == GREEN else (192 if colour == YELLOW else 255)
        out[7 * num_cells + n] = value


@kernel
def mark_cells(world, k, num_cells, window, out):
    """Write the planes of the map, cell by cell."""
    heading = int(world.vehicles[k].heading)
    here = int(world.drivers[k].remaining)
    for n in range(num_cells):
        cell = int(window[n])
        if cell < 0:
            continue
        bits = int(world.cells[cell])
        where = kind(bits)
        if where == OBSTACLE:
            out[3 * num_cells + n] = 255
            continue
        if allows(bits, heading):
            out[n] = 128 if where == SHOULDER or where == PARKING_BAY else 255
        elif headings(bits) != 0:
            out[num_cells + n] = 255
        else:
            continue
        out[2 * num_cells + n] = 36 * abs(lane_offset(world.lanes[cell]))
        if world.is_ring != 0:
            out[8 * num_cells + n] = 128
        elif world.route[cell] != UNREACHABLE:
            out[8 * num_cells + n] = max(1, min(255, 128 + 8 * (here - int(world.route[cell]))))


@kernel
def mark_lanes(world, k, rules, num_cells, out):
    """What `mark_cells` writes on an eastbound ring, where all cells of a row are alike (three times as fast)."""
    width = 2 * int(rules.beside) + 1
    for across in range(width):
        row = int(world.vehicles[k].row) + across - int(rules.beside)
        if 0 <= row < world.rows and headings(world.cells[row * int(world.cols)]) != 0:
            for n in range(across, num_cells, width):
                out[n] = 255
                out[8 * num_cells + n] = 128


@kernel
def encode(world, k, rules, scratch, out):
    """Write car k's window: gather the cells once, then write plane by plane.

    Args:
        world: the world.
        k: the controlled car.
        rules: the options, with the window's size.
        scratch: int16, at least as long as the window.
        out: uint8 (planes * height * width,).
    """
    num_cells = (int(rules.ahead) + 1 + int(rules.behind)) * (2 * int(rules.beside) + 1)
    out[:] = 0
    if world.is_eastbound != 0:
        mark_lanes(world, k, rules, num_cells, out)
    else:
        gather(world, k, rules, scratch)
        mark_cells(world, k, num_cells, scratch, out)
        if world.num_signals > 0 or world.num_pedestrians > 0:
            mark_signals(world, k, num_cells, scratch, out)
    mark_moving(world, k, rules, num_cells, out)
    out[9 * num_cells : 10 * num_cells] = 51 * int(world.vehicles[k].speed)


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (planes, height, width)."""
    return spaces.Box(0, 255, (len(PLANES), window.height, window.width), np.uint8)


ENCODER = Encoder("grid", encode, space)
