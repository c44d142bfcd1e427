"""`"grid"`: an ego-centred window of cells, the ego facing up, one uint8 plane per fact.

| name              | value                                                                                 |
|-------------------|---------------------------------------------------------------------------------------|
| `road`            | 255 drivable in my heading, 128 the same on a shoulder or bay, 0 not                   |
| `other_road`      | 255 drivable, but not in my heading                                                    |
| `lane_offset`     | on the road: distance from the lane's centre, 36 per cell                              |
| `obstacle`        | 255 an obstacle                                                                        |
| `vehicle`         | 55 + 40 · speed of the vehicle here, the ego included                                  |
| `vehicle_heading` | 64 as mine, 128 to my right, 192 towards me, 255 to my left                            |
| `vehicle_turn`    | where it turns within 10 cells: 128 to its left, 255 to its right                      |
| `pedestrian`      | 255 a pedestrian on the crosswalk, 128 one who waits beside it                         |
| `signal`          | stop line: 64 not for me or of no junction, 80 give way, 96 stop, 128 green, 192       |
|                   | yellow, 255 red; crosswalk: 32                                                         |
| `my_turn`         | 255 everywhere if the junction that I am in, or the next one ahead, is mine to enter   |
|                   | now, or there is none; else 0                                                          |
| `route`           | 128 + 8 · (moves to the goal saved by being here), clipped to 1 … 255; 0 no way        |
| `goal_heading`    | everywhere: heading in which I must arrive, as in `vehicle_heading`; 0 any             |
| `own_speed`       | 36 · (my speed + 1), everywhere; 18 more if I have a reverse gear                      |

A scenario shows those planes of which it has something to tell, in this order: `window.planes` of its class.
An ego that moves backwards has the speed -1. On a ring there is no goal: `route` is 128 everywhere on the road. Cells
outside the map are 0 in every plane but those that are alike everywhere.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.bits import word_at, zero_bytes_above, zero_bytes_below
from drivesim.core.jit import kernel
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EDGE,
    LEFT_SIDE,
    OBSTACLE,
    PARKING_BAY,
    PORTAL,
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
from drivesim.core.memory import WORD
from drivesim.core.outlook import TURN_SIGHT, entry_in_sight, has_turn, next_turn
from drivesim.core.signals import colour_for
from drivesim.core.world import CROSSING, DRIVING, GREEN, NOBODY, YELLOW
from drivesim.observations.encoder import Encoder, Window

PLANES = (
    "road",
    "other_road",
    "lane_offset",
    "obstacle",
    "vehicle",
    "vehicle_heading",
    "vehicle_turn",
    "pedestrian",
    "signal",
    "my_turn",
    "route",
    "goal_heading",
    "own_speed",
)
ROAD, OTHER_ROAD, LANE_OFFSET, OBSTACLES, VEHICLES, VEHICLE_HEADINGS, VEHICLE_TURNS = range(7)
PEDESTRIANS, SIGNS, MY_TURN, ROUTE, GOAL_HEADING, OWN_SPEED = range(7, 13)

EACH_BYTE = int.from_bytes(bytes([1] * WORD), "little")  # times a byte: a word full of it


def shown_planes(window: Window) -> tuple[str, ...]:
    """Names of the planes that a window shows, in their order."""
    return window.planes or PLANES


def places_of_planes(window: Window) -> list[int]:
    """The place of every plane of `PLANES` among those that a window shows, -1 = it is not shown."""
    shown = shown_planes(window)
    return [shown.index(name) if name in shown else -1 for name in PLANES]


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
def position_from(map, heading, ego_row, ego_col, cell):
    """How far ahead of an ego and to its right a cell lies; on a ring the short way round."""
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
    return ahead, right


@kernel
def place_in_window(map, options, heading, ego_row, ego_col, cell):
    """The place of a cell in the window of an ego, -1 outside it."""
    ahead, right = position_from(map, heading, ego_row, ego_col, cell)
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
    vehicles = options.planes[VEHICLES] * num_cells
    vehicle_headings = options.planes[VEHICLE_HEADINGS] * num_cells
    pedestrians = options.planes[PEDESTRIANS] * num_cells
    for j in range(world.num_vehicles if vehicles >= 0 else 0):
        vehicle = world.vehicles[j]
        if vehicle.status != DRIVING:
            continue
        n = place_in_window(map, options, heading, row, col, vehicle.cell)
        if n >= 0:
            out[vehicles + n] = 55 + 40 * vehicle.speed
            if vehicle_headings >= 0:
                out[vehicle_headings + n] = heading_code(vehicle.heading - heading)
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.status == NOBODY:
            continue
        n = place_in_window(map, options, heading, row, col, pedestrian.cell)
        if n >= 0 and pedestrians >= 0:
            out[pedestrians + n] = 255 if pedestrian.status == CROSSING else 128


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
    lane_offsets = options.planes[LANE_OFFSET] * num_cells if map.half_lane > 0 else -1
    signs = options.planes[SIGNS] * num_cells
    route = options.planes[ROUTE] * num_cells
    is_ground_enough = lane_offsets < 0 and route < 0
    for across in range(width):
        start = cell_towards(map, here, heading, 0, across - options.beside)
        if start < 0:
            continue
        for is_ahead in (True, False):
            cell = start if is_ahead else cell_behind_for_ego(map, start, heading)
            onward = step if is_ahead else -step
            n = (options.ahead + (0 if is_ahead else 1)) * width + across
            next_n = -width if is_ahead else width
            last = -1
            plane = -1  # where the plane begins that shows this ground; below 0 = none
            value = 0
            is_road = False
            is_sign = False
            left = options.ahead + 1 if is_ahead else options.behind  # cells of this column
            while left > 0:
                if map.ground[cell] != last:
                    last = map.ground[cell]
                    if kind(map, cell) == EDGE:
                        break
                    look, value = look_of(map, cell, heading)
                    is_road = look == ROAD or look == OTHER_ROAD
                    plane = options.planes[look] * num_cells if look >= 0 else -1
                    is_sign = signs >= 0 and (kind(map, cell) == STOP_LINE or kind(map, cell) == CROSSWALK)
                run = alike(map, cell, onward, left) if is_ground_enough and not is_sign else 1
                if plane >= 0:
                    for i in range(run):
                        out[plane + n + i * next_n] = value
                if is_sign:
                    out[signs + n] = sign_at(map, world, cell, heading)
                if is_road and lane_offsets >= 0:
                    out[lane_offsets + n] = 36 * abs(lane_offset(map, cell))
                if is_road and route >= 0:
                    out[route + n] = 128 if repeats else saving(remaining, map.distances[distances + cell])
                n += run * next_n
                left -= run
                cell += (run - 1) * onward
                cell = beyond(map, cell, heading, is_ahead) if repeats else cell + onward


@kernel
def saving(remaining, distance):
    """What the plane `route` shows of a cell on the road so far from the goal, 0 = no way."""
    if distance == UNREACHABLE:
        return 0
    return max(1, min(255, 128 + 8 * (remaining - distance)))


@kernel
def beyond(map, cell, heading, is_ahead):
    """The next cell of a ring, ahead or behind."""
    return next_cell(map, cell, heading) if is_ahead else cell_behind(map, cell, heading)


@kernel
def alike(map, cell, onward, most):
    """How many cells from one on, up to `most`, have its ground, as far as one look goes: along a row eight cells.

    Args:
        map: the map.
        cell: the first one; a portal is alone.
        onward: from a cell to the next one.
        most: how many are asked for.
    """
    ground = int(map.ground[cell])
    if ground & PORTAL != 0:
        return 1
    if onward == 1:
        return min(zero_bytes_below(word_at(map.ground, cell) ^ ground * EACH_BYTE), most)
    if onward == -1 and cell >= WORD:
        return min(zero_bytes_above(word_at(map.ground, cell - WORD + 1) ^ ground * EACH_BYTE), most)
    return 1


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
        return OBSTACLES, 255
    if allows(map, cell, heading):
        return ROAD, 128 if where == SHOULDER or where == PARKING_BAY else 255
    if headings(map, cell) != 0:
        return OTHER_ROAD, 255
    return -1, 0


@kernel
def heading_code(relative):
    """The code of a heading in quarter turns to the right of my own: 64 as mine … 255 to my left."""
    return min(64 * ((relative & 3) + 1), 255)


@kernel
def fill(out, plane, num_cells, value):
    """Write one value all over a plane, if it is shown."""
    if plane >= 0:
        for n in range(plane * num_cells, (plane + 1) * num_cells):
            out[n] = value


@kernel
def mark_turns(map, world, k, options, num_cells, out):
    """Stamp where vehicles turn into their plane, and whose turn it is into another."""
    ego = world.vehicles[k]
    row = row_of(map, ego.cell)
    col = col_of(map, ego.cell)
    vehicle_turns = options.planes[VEHICLE_TURNS] * num_cells
    for j in range(world.num_vehicles if vehicle_turns >= 0 else 0):
        if world.vehicles[j].status == DRIVING:
            n = place_in_window(map, options, ego.heading, row, col, world.vehicles[j].cell)
            if n >= 0:
                _, side = next_turn(map, world, j, TURN_SIGHT)
                out[vehicle_turns + n] = 0 if side == 0 else (128 if side == LEFT_SIDE else 255)
    if options.planes[MY_TURN] >= 0:
        _, entry = entry_in_sight(map, world, k)
        fill(out, options.planes[MY_TURN], num_cells, 255 if has_turn(map, world, k, entry) else 0)


@kernel
def encode_without_turns(map, world, k, options, scratch, out):
    """Write ego k's window, but for turns: all of a window that shows none, compiled without the code of junctions.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: the options, with the window's size and planes.
        scratch: unused.
        out: uint8 (planes * height * width,).
    """
    ego = world.vehicles[k]
    num_cells = (options.ahead + 1 + options.behind) * (2 * options.beside + 1)
    for n in range(options.planes[OWN_SPEED] * num_cells):
        out[n] = 0
    mark_road(map, world, k, options, num_cells, out)
    mark_moving(map, world, k, options, num_cells, out)
    if options.planes[GOAL_HEADING] >= 0 and not is_ring(map):
        wanted = map.goals[world.egos[k].goal].heading - 1
        fill(out, options.planes[GOAL_HEADING], num_cells, heading_code(wanted - ego.heading) if wanted >= 0 else 0)
    fill(out, options.planes[OWN_SPEED], num_cells, 36 * (ego.speed + 1) + (18 if map.has_reverse != 0 else 0))
    return 0


@kernel
def encode(map, world, k, options, scratch, out):
    """Write ego k's window: `encode_without_turns`, and turns."""
    encode_without_turns(map, world, k, options, scratch, out)
    num_cells = (options.ahead + 1 + options.behind) * (2 * options.beside + 1)
    mark_turns(map, world, k, options, num_cells, out)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (planes, height, width)."""
    return spaces.Box(0, 255, (len(shown_planes(window)), window.height, window.width), np.uint8)


ENCODER = Encoder("grid", encode, space, np.uint8, encode_without_turns, options=("window", "all_planes"))
