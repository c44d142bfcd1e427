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
from drivesim.core.junctions import colour_for, line_junction
from drivesim.core.map import (
    CROSSWALK,
    EDGE,
    OBSTACLE,
    PARKING_BAY,
    SHOULDER,
    STOP_LINE,
    UNREACHABLE,
    allows,
    cell_behind_for_ego,
    cell_towards,
    col_of,
    distance_from,
    headings,
    is_ring,
    kind,
    lane_offset,
    next_cell_for_ego,
    row_of,
)
from drivesim.core.world import CROSSING, DRIVING, GREEN, NOBODY, YELLOW
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
def gather(map, world, k, options, window_out):
    """The cell under every cell of the window, row by row from the far end; 0, a cell of the border, outside the map."""
    vehicle = world.vehicles[k]
    width = 2 * options.beside + 1
    middle = options.ahead * width
    for across in range(width):
        start = max(0, cell_towards(map, vehicle.cell, vehicle.heading, 0, across - options.beside))
        window_out[middle + across] = start
        cell = start
        for n in range(1, options.ahead + 1):
            if kind(map, cell) != EDGE:
                cell = next_cell_for_ego(map, cell, vehicle.heading)
            window_out[middle - n * width + across] = cell
        cell = start
        for n in range(1, options.behind + 1):
            if kind(map, cell) != EDGE:
                cell = cell_behind_for_ego(map, cell, vehicle.heading)
            window_out[middle + n * width + across] = cell


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
def place_in_window(map, ego, options, cell):
    """The place of a cell in the window of an ego's vehicle, -1 outside it."""
    rows = shortest(row_of(map, cell) - row_of(map, ego.cell), map.ring_rows)
    cols = shortest(col_of(map, cell) - col_of(map, ego.cell), map.ring_cols)
    ahead = -rows
    right = cols
    if ego.heading & 1 == 1:
        ahead = cols
        right = rows
    if ego.heading >> 1 == 1:
        ahead = -ahead
        right = -right
    if -options.behind <= ahead <= options.ahead and -options.beside <= right <= options.beside:
        return (options.ahead - ahead) * (2 * options.beside + 1) + right + options.beside
    return -1


@kernel
def mark_moving(map, world, k, options, num_cells, out):
    """Stamp vehicles and pedestrians into their planes."""
    ego = world.vehicles[k]
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if vehicle.status != DRIVING:
            continue
        n = place_in_window(map, ego, options, vehicle.cell)
        if n >= 0:
            out[4 * num_cells + n] = 55 + 40 * vehicle.speed
            out[5 * num_cells + n] = min(64 * (((vehicle.heading - ego.heading) & 3) + 1), 255)
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.status == NOBODY:
            continue
        n = place_in_window(map, ego, options, pedestrian.cell)
        if n >= 0:
            out[6 * num_cells + n] = 255 if pedestrian.status == CROSSING else 128


@kernel
def mark_signals(map, world, k, num_cells, window, out):
    """Write the plane of stop lines and crosswalks."""
    heading = world.vehicles[k].heading
    for n in range(num_cells):
        cell = window[n]
        if kind(map, cell) == CROSSWALK:
            out[7 * num_cells + n] = 32
        if kind(map, cell) != STOP_LINE:
            continue
        value = 64
        s = line_junction(map, cell, heading)
        if s >= 0:
            colour = colour_for(world, s, heading)
            value = 128 if colour == GREEN else (192 if colour == YELLOW else 255)
        out[7 * num_cells + n] = value


@kernel
def mark_cells(map, world, k, num_cells, window, out):
    """Write the planes of the map, cell by cell."""
    heading = world.vehicles[k].heading
    ego = world.egos[k]
    for n in range(num_cells):
        cell = window[n]
        where = kind(map, cell)
        if where == OBSTACLE:
            out[3 * num_cells + n] = 255
            continue
        if allows(map, cell, heading):
            out[n] = 128 if where == SHOULDER or where == PARKING_BAY else 255
        elif headings(map, cell) != 0:
            out[num_cells + n] = 255
        else:
            continue
        out[2 * num_cells + n] = 36 * abs(lane_offset(map, cell))
        if is_ring(map):
            out[8 * num_cells + n] = 128
        else:
            distance = distance_from(map, ego.goal, cell)
            if distance != UNREACHABLE:
                out[8 * num_cells + n] = max(1, min(255, 128 + 8 * (ego.remaining - distance)))


@kernel
def encode(map, world, k, options, scratch, out):
    """Write ego k's window: gather the cells once, then write plane by plane.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: the options, with the window's size.
        scratch: int32, at least as long as the window.
        out: uint8 (planes * height * width,).
    """
    num_cells = (options.ahead + 1 + options.behind) * (2 * options.beside + 1)
    for n in range(9 * num_cells):
        out[n] = 0
    gather(map, world, k, options, scratch)
    mark_cells(map, world, k, num_cells, scratch, out)
    if map.num_junctions > 0 or world.num_people > 0:
        mark_signals(map, world, k, num_cells, scratch, out)
    mark_moving(map, world, k, options, num_cells, out)
    for n in range(9 * num_cells, 10 * num_cells):
        out[n] = 51 * world.vehicles[k].speed
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (planes, height, width)."""
    return spaces.Box(0, 255, (len(PLANES), window.height, window.width), np.uint8)


ENCODER = Encoder("grid", encode, space, np.uint8)
