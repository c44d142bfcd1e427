"""`"rgb"`: a picture of the grid's window, uint8 (3, 4 · rows, 4 · columns), the ego facing up, 4 pixels a cell.

| what              | how it is drawn                                                                        |
|-------------------|----------------------------------------------------------------------------------------|
| ground            | verge green, road grey with a tick in the heading of a one-way lane, or two dots along  |
|                   | the centre of a wide one; shoulders, bays and obstacles in colours of their own         |
| crosswalk         | white stripes                                                                           |
| stop line         | a bar at its front: green, yellow or red as the light shows me, bright red where I have |
|                   | to stop, broken where I give way, white where it is not for me or of no junction        |
| my way            | yellow dots on the cells of my way, where there are ways to the goal                    |
| goal              | chequers; with a yellow tick in the heading in which it must be reached                 |
| vehicle           | blue, the ego yellow; a dark front, red lights behind, orange on the side to which it   |
|                   | turns within 10 cells; its middle is the brighter the faster it is, purple backwards    |
| ego               | its front is green if the junction that it is in, or the next one ahead, is its to      |
|                   | enter now, or there is none, else red; with a reverse gear the lights behind are white  |
| pedestrian        | purple: a block on the crosswalk, two dots beside it                                    |

The colours are those of all pictures: `drivesim.render.palette`. Beyond the map it is as dark as it can be.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.map import (
    CROSSWALK,
    LANE,
    LEFT_SIDE,
    OBSTACLE,
    PARKING_BAY,
    RIGHT_SIDE,
    SHOULDER,
    STOP_LINE,
    cell_towards,
    col_of,
    headings,
    is_destination,
    is_ring,
    kind,
    lane_offset,
    row_of,
)
from drivesim.core.outlook import TURN_SIGHT, entry_in_sight, has_turn, next_turn
from drivesim.core.world import CROSSING, DRIVING, NOBODY
from drivesim.observations.encoder import Encoder, Window
from drivesim.observations.features import note_way
from drivesim.observations.full_grid import heading_of
from drivesim.observations.grid import place_in_window, sign_at
from drivesim.render import palette

SIDE = 4  # pixels of a cell
CLEAR = 255  # a pixel that leaves what is there

LETTERS = {
    "g": palette.GRASS,
    "a": palette.ASPHALT,
    "o": palette.OPEN_GROUND,
    "t": palette.GUIDE,
    "s": palette.SHOULDER,
    "b": palette.BAY,
    "m": palette.MARKING,
    "x": palette.BARRIER,
    "y": palette.BARRIER_STRIPE,
    "l": palette.CHECKER_LIGHT,
    "d": palette.CHECKER_DARK,
    "r": palette.ROUTE,
    "p": palette.PEDESTRIAN,
    "e": palette.EGO,
    "c": palette.TRAFFIC[0],
    "f": palette.GLASS,
    "k": palette.TAIL_LIGHT,
    "i": palette.INDICATOR,
    "w": palette.HEADLIGHT,
    "1": palette.LAMPS[0],
    "2": palette.LAMPS[1],
    "3": palette.LAMPS[2],
    "!": palette.BRAKE_LIGHT,
}
COLOURS = np.array([*LETTERS.values(), *palette.SPEEDS], np.uint8)
DRAWN = {  # facing up
    "VERGE": "gggg gggg gggg gggg",
    "OPEN": "oooo oooo oooo oooo",
    "ONE_WAY": "atta aaaa aaaa aaaa",
    "CENTRE": "atta aaaa aaaa atta",
    "WIDE": "aaaa aaaa aaaa aaaa",
    "ON_SHOULDER": "ssss ssss ssss ssss",
    "IN_BAY": "mbbm mbbm mbbm mbbm",
    "BLOCKED": "xyxy yxyx xyxy yxyx",
    "STRIPES": "mama mama mama mama",
    "FINISH": "ldld dldl ldld dldl",
    "FINISH_HEADING": ".rr. .... .... ....",
    "LINE": "mmmm aaaa aaaa aaaa",
    "LINE_GIVE_WAY": "mama aaaa aaaa aaaa",
    "LINE_STOP": "!!!! aaaa aaaa aaaa",
    "LINE_GREEN": "1111 aaaa aaaa aaaa",
    "LINE_YELLOW": "2222 aaaa aaaa aaaa",
    "LINE_RED": "3333 aaaa aaaa aaaa",
    "WAY_DOT": ".... .rr. .rr. ....",
    "WALKER": ".... .pp. .pp. ....",
    "WAITING_WALKER": ".... p..p .... ....",
    "OTHER": "cffc c..c c..c kcck",
    "MY_TURN": "e11e e..e e..e keek",
    "NOT_MY_TURN": "e33e e..e e..e keek",
    "SIGNAL_LEFT": "i... .... .... i...",
    "SIGNAL_RIGHT": "...i .... .... ...i",
    "REVERSE_GEAR": ".... .... .... w..w",
}
TILES = np.array(
    [
        [CLEAR if pixel == "." else list(LETTERS).index(pixel) for pixel in drawn.replace(" ", "")]
        for drawn in DRAWN.values()
    ]
    + [  # the middle of a vehicle, by its speed
        [len(LETTERS) + n if row in (1, 2) and col in (1, 2) else CLEAR for row in range(SIDE) for col in range(SIDE)]
        for n in range(len(palette.SPEEDS))
    ],
    np.uint8,
)
VERGE, OPEN, ONE_WAY, CENTRE, WIDE, ON_SHOULDER, IN_BAY, BLOCKED, STRIPES, FINISH, FINISH_HEADING = range(11)
LINE, LINE_GIVE_WAY, LINE_STOP, LINE_GREEN, LINE_YELLOW, LINE_RED, WAY_DOT, WALKER, WAITING_WALKER = range(11, 20)
OTHER, MY_TURN, NOT_MY_TURN, SIGNAL_LEFT, SIGNAL_RIGHT, REVERSE_GEAR, SLOWEST = range(20, len(DRAWN) + 1)


@kernel
def pixels_of(options):
    """Pixels of a line of the picture, and of all of it."""
    line = SIDE * (2 * options.beside + 1)
    return line, SIDE * (options.ahead + 1 + options.behind) * line


@kernel
def first_pixel(options, n):
    """The pixel in the upper left corner of the window's n-th cell."""
    width = 2 * options.beside + 1
    return SIDE * ((n // width) * SIDE * width + n % width)


@kernel
def stamp(options, n, tile, turn, out):
    """Paint a tile into the window's n-th cell, turned to the right by so many quarters."""
    line, pixels = pixels_of(options)
    start = 0  # where the tile's upper left corner comes to lie, and how far it is from there down and across it
    down = line
    across = 1
    if turn == 1:
        start = SIDE - 1
        down = -1
        across = line
    elif turn == 2:
        start = (SIDE - 1) * (line + 1)
        down = -line
        across = -1
    elif turn == 3:
        start = (SIDE - 1) * line
        down = 1
        across = -line
    start += first_pixel(options, n)
    for row in range(SIDE):
        for col in range(SIDE):
            colour = TILES[tile, SIDE * row + col]
            if colour != CLEAR:
                at = start + row * down + col * across
                out[at] = COLOURS[colour, 0]
                out[at + pixels] = COLOURS[colour, 1]
                out[at + 2 * pixels] = COLOURS[colour, 2]


@kernel
def tile_of_line(sign):
    """The tile of a stop line, from what the grid's plane of signals shows of it."""
    if sign == 80:
        return LINE_GIVE_WAY
    if sign == 96:
        return LINE_STOP
    if sign == 128:
        return LINE_GREEN
    if sign == 192:
        return LINE_YELLOW
    return LINE_RED if sign == 255 else LINE


@kernel
def tile_of(map, world, cell, heading):
    """The tile of a cell's ground, as it looks to somebody of a heading, and the heading in which it faces."""
    where = kind(map, cell)
    only = heading_of(headings(map, cell))
    if where == STOP_LINE:
        return tile_of_line(sign_at(map, world, cell, heading)), max(only, 0)
    if where == CROSSWALK:
        return STRIPES, max(only, 0)
    if where == OBSTACLE:
        return BLOCKED, heading
    if where == SHOULDER:
        return ON_SHOULDER, heading
    if where == PARKING_BAY:
        return IN_BAY, max(only, 0)
    if where != LANE or headings(map, cell) == 0:
        return VERGE, heading
    if only < 0:
        return OPEN, heading
    if map.half_lane > 0:
        return CENTRE if lane_offset(map, cell) == 0 else WIDE, only
    return ONE_WAY, only


@kernel
def paint_ground(map, world, k, options, out):
    """Paint every cell of the window, and the goal."""
    ego = world.vehicles[k]
    width = 2 * options.beside + 1
    goal = -1 if is_ring(map) else world.egos[k].goal
    for n in range((options.ahead + 1 + options.behind) * width):
        cell = cell_towards(map, ego.cell, ego.heading, options.ahead - n // width, n % width - options.beside)
        if cell < 0:
            continue
        tile, faces = tile_of(map, world, cell, ego.heading)
        stamp(options, n, tile, (faces - ego.heading) & 3, out)
        if goal >= 0 and is_destination(map, goal, cell):
            stamp(options, n, FINISH, 0, out)
            if map.goals[goal].heading != 0:
                stamp(options, n, FINISH_HEADING, (map.goals[goal].heading - 1 - ego.heading) & 3, out)


@kernel
def paint_vehicle(map, world, k, j, options, n, out):
    """Paint vehicle j, as ego k sees it, into the window's n-th cell."""
    vehicle = world.vehicles[j]
    turn = (vehicle.heading - world.vehicles[k].heading) & 3
    tile = OTHER
    if j == k:
        _, entry = entry_in_sight(map, world, k)
        tile = MY_TURN if has_turn(map, world, k, entry) else NOT_MY_TURN
    stamp(options, n, tile, turn, out)
    if j == k and map.has_reverse != 0:
        stamp(options, n, REVERSE_GEAR, turn, out)
    _, side = next_turn(map, world, j, TURN_SIGHT)
    if side == LEFT_SIDE:
        stamp(options, n, SIGNAL_LEFT, turn, out)
    elif side == RIGHT_SIDE:
        stamp(options, n, SIGNAL_RIGHT, turn, out)
    stamp(options, n, SLOWEST + 1 + vehicle.speed, 0, out)


@kernel
def encode(map, world, k, options, scratch, out):
    """Paint ego k's window: ground, its way, pedestrians, vehicles.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: the options, with the window's size.
        scratch: int32, at least 80 long; overwritten.
        out: uint8 (3 * 4 * height * 4 * width,).
    """
    ego = world.vehicles[k]
    row = row_of(map, ego.cell)
    col = col_of(map, ego.cell)
    num_cells = (options.ahead + 1 + options.behind) * (2 * options.beside + 1)
    for n in range(3 * SIDE * SIDE * num_cells):
        out[n] = 0
    paint_ground(map, world, k, options, out)
    if map.has_ways != 0 and not is_ring(map):
        for n in range(note_way(map, world, k, scratch)):
            place = place_in_window(map, options, ego.heading, row, col, scratch[2 * n])
            if place >= 0:
                stamp(options, place, WAY_DOT, 0, out)
    for p in range(world.num_people):
        person = world.people[p]
        if person.status != NOBODY:
            place = place_in_window(map, options, ego.heading, row, col, person.cell)
            if place >= 0:
                stamp(options, place, WALKER if person.status == CROSSING else WAITING_WALKER, 0, out)
    for j in range(world.num_vehicles):
        if world.vehicles[j].status == DRIVING:
            place = place_in_window(map, options, ego.heading, row, col, world.vehicles[j].cell)
            if place >= 0:
                paint_vehicle(map, world, k, j, options, place, out)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """uint8 (3, 4 * height, 4 * width)."""
    return spaces.Box(0, 255, (3, SIDE * window.height, SIDE * window.width), np.uint8)


ENCODER = Encoder("rgb", encode, space, np.uint8, options=("window",))
