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
| 7     | `signal`          | stop line: 64 not for me or of no junction, 80 give way, 96 stop, 128 green, 192   |
|       |                   | yellow, 255 red; crosswalk: 32                                                     |
| 8     | `route`           | 128 + 8 · (moves to the goal saved by being here), clipped to 1 … 255; 0 no way    |
| 9     | `own_speed`       | 42 · (my speed + 1), everywhere                                                    |

An ego that moves backwards has the speed -1. On a ring there is no goal: `route` is 128 everywhere on the road. Cells
outside the map are 0 in every plane but the last.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.junctions import colour_for
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EDGE,
    OBSTACLE,
    PARKING_BAY,
    SHOULDER,
    SIGNALS,
    STOP_LINE,
    UNREACHABLE,
    allows,
    cell_behind,
    cell_behind_for_ego,
    cell_towards,
    col_of,
    distances_begin,
    headings,
    is_ring,
    junction_ahead,
    kind,
    lane_offset,
    next_cell,
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
OBSTACLE_PLANE = PLANES.index("obstacle")


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
def place_in_window(map, options, heading, ego_row, ego_col, cell):
    """The place of a cell in the window of an ego, -1 outside it."""
    row = row_of(map, cell)
    rows = shortest(row - ego_row, map.ring_rows)
    cols = shortest(cell - (row + 1) * map.width - 1 - ego_col, map.ring_cols)
    ahead = -rows
    right = cols
    if heading & 1 == 1:
        ahead = cols
        right = rows
    if heading >> 1 == 1:
        ahead = -ahead
        right = -right
    if -options.behind <= ahead <= options.ahead and -options.beside <= right <= options.beside:
        return (options.ahead - ahead) * (2 * options.beside + 1) + right + options.beside
    return -1


@kernel
def mark_moving(map, world, k, options, num_cells, out):
    """Stamp vehicles and pedestrians into their planes."""
    ego = world.vehicles[k]
    heading = ego.heading
    row = row_of(map, ego.cell)
    col = col_of(map, ego.cell)
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if vehicle.status != DRIVING:
            continue
        n = place_in_window(map, options, heading, row, col, vehicle.cell)
        if n >= 0:
            out[4 * num_cells + n] = 55 + 40 * vehicle.speed
            out[5 * num_cells + n] = min(64 * (((vehicle.heading - heading) & 3) + 1), 255)
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.status == NOBODY:
            continue
        n = place_in_window(map, options, heading, row, col, pedestrian.cell)
        if n >= 0:
            out[6 * num_cells + n] = 255 if pedestrian.status == CROSSING else 128


@kernel
def mark_road(map, world, k, options, num_cells, out):
    """Write the planes of the map, along each column of the window from the ego's row ahead, then behind.

    Along a column most cells are alike, so what a ground looks like is kept.
    """
    heading = world.vehicles[k].heading
    here = world.vehicles[k].cell
    remaining = world.egos[k].remaining
    width = 2 * options.beside + 1
    # What the loop would read again for every cell, since a byte that is written could be any of them.
    distances = distances_begin(map, world.egos[k].goal, heading)
    step = map.steps[heading]
    repeats = is_ring(map)
    is_wide = map.half_lane > 0
    for across in range(width):
        start = cell_towards(map, here, heading, 0, across - options.beside)
        if start < 0:
            continue
        for is_ahead in (True, False):
            cell = start if is_ahead else cell_behind_for_ego(map, start, heading)
            n = options.ahead * width + across
            if not is_ahead:
                n += width
            last = -1
            plane = -1  # that shows this ground; -1 = none
            value = 0
            is_sign = False
            for _ in range(options.ahead + 1 if is_ahead else options.behind):
                if map.ground[cell] != last:
                    last = map.ground[cell]
                    if kind(map, cell) == EDGE:
                        break
                    plane, value = look_of(map, cell, heading)
                    is_sign = kind(map, cell) == STOP_LINE or kind(map, cell) == CROSSWALK
                if is_sign:
                    out[7 * num_cells + n] = sign_at(map, world, cell, heading)
                if plane >= 0:
                    out[plane * num_cells + n] = value
                if plane == 0 or plane == 1:
                    if is_wide:
                        out[2 * num_cells + n] = 36 * abs(lane_offset(map, cell))
                    if repeats:
                        out[8 * num_cells + n] = 128
                    else:
                        distance = map.distances[distances + cell]
                        if distance != UNREACHABLE:
                            out[8 * num_cells + n] = max(1, min(255, 128 + 8 * (remaining - distance)))
                n += -width if is_ahead else width
                if not repeats:
                    cell += step if is_ahead else -step
                elif is_ahead:
                    cell = next_cell(map, cell, heading)
                else:
                    cell = cell_behind(map, cell, heading)


@kernel
def sign_at(map, world, cell, heading):
    """What the plane of signals shows of a stop line or a crosswalk to somebody of a heading."""
    if kind(map, cell) == CROSSWALK:
        return 32
    s = junction_ahead(map, cell, heading)
    if s < 0:
        return 64
    control = map.junctions[s].control
    if control == SIGNALS:
        colour = colour_for(map, world, s, heading)
        return 128 if colour == GREEN else (192 if colour == YELLOW else 255)
    return 96 if control == ALL_WAY_STOP else 80


@kernel
def look_of(map, cell, heading):
    """The plane that shows a cell's ground to somebody of a heading, -1 = none, and the value there."""
    where = kind(map, cell)
    if where == OBSTACLE:
        return OBSTACLE_PLANE, 255
    if allows(map, cell, heading):
        return 0, 128 if where == SHOULDER or where == PARKING_BAY else 255
    if headings(map, cell) != 0:
        return 1, 255
    return -1, 0


@kernel
def encode(map, world, k, options, scratch, out):
    """Write ego k's window.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: the options, with the window's size.
        scratch: unused.
        out: uint8 (planes * height * width,).
    """
    num_cells = (options.ahead + 1 + options.behind) * (2 * options.beside + 1)
    for n in range(9 * num_cells):
        out[n] = 0
    mark_road(map, world, k, options, num_cells, out)
    mark_moving(map, world, k, options, num_cells, out)
    for n in range(9 * num_cells, 10 * num_cells):
        out[n] = 42 * (world.vehicles[k].speed + 1)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (planes, height, width)."""
    return spaces.Box(0, 255, (len(PLANES), window.height, window.width), np.uint8)


ENCODER = Encoder("grid", encode, space, np.uint8)
