"""Crossings: four arms with a lane in and a lane out each, whose traffic comes back at the other side.

The middle is the scenario's: a box of crossing lanes, a ring. Traffic keeps to the right. Destination h is on the lane
that leaves in heading h.
"""

from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import (
    ALL_HEADINGS,
    EAST,
    LANE,
    LEFT_SIDE,
    NORTH,
    RIGHT_SIDE,
    SOUTH,
    STOP_LINE,
    UNREACHABLE,
    cell_at,
    col_of,
    distance_from,
    headings,
    row_of,
    turned,
)
from drivesim.core.painting import lane_number, open_portal, paint, set_size
from drivesim.core.reservations import number_slots
from drivesim.core.rng import DRAW_EGO, DRAW_TRAFFIC, level_below
from drivesim.core.styles import draw_style
from drivesim.core.ways import measure_distances, measure_ways
from drivesim.core.world import place
from drivesim.observations.encoder import Window

SIZE = 30  # rows and columns
MIDDLE = 14  # row of the westbound and column of the southbound lane; the opposite lanes lie beside them
STARTS = 4  # cells at the beginning of an arm, one of which an ego starts from
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again
TRAFFIC_SPEED = 2  # cells per tick: the traffic's top speed
LEFT_SHARE = 45  # per cent of the levels in which the exit lies to the left
STRAIGHT_SHARE = 15  # per cent in which it lies straight on, of a box; in the others it lies to the right
WINDOW = Window(
    ahead=12,
    behind=6,
    beside=6,
    planes=(
        "road",
        "other_road",
        "vehicle",
        "vehicle_heading",
        "vehicle_turn",
        "signal",
        "my_turn",
        "route",
        "own_speed",
    ),
)


@kernel
def lane_cell(map, heading, along):
    """Cell `along` of the one-way lane that crosses the map in `heading`; traffic keeps to the right."""
    if heading == NORTH:
        return cell_at(map, SIZE - 1 - along, MIDDLE + 1)
    if heading == EAST:
        return cell_at(map, MIDDLE + 1, along)
    if heading == SOUTH:
        return cell_at(map, along, MIDDLE)
    return cell_at(map, MIDDLE, SIZE - 1 - along)


@kernel
def add_heading(map, cell, heading):
    """Let a cell of a lane, blank or painted before, be left in `heading` too."""
    mask = headings(map, cell) | 1 << heading
    paint(map, cell, LANE, mask, lane_number(mask, row_of(map, cell), col_of(map, cell)), 0)


@kernel
def lay_arms(map, options, arm):
    """Make a blank map one of four arms, `arm` cells long each, whose lanes end at a line."""
    set_size(map, SIZE, SIZE)
    map.speed_limit = options.speed_limit
    for heading in range(4):
        for n in range(SIZE):
            if n < arm or n >= SIZE - arm:
                add_heading(map, lane_cell(map, heading, n), heading)
        line = lane_cell(map, heading, arm - 1)
        paint(map, line, STOP_LINE, 1 << heading, lane_number(1 << heading, row_of(map, line), col_of(map, line)), 0)
        open_portal(map, lane_cell(map, heading, SIZE - 1), heading, lane_cell(map, heading, 0))


@kernel
def open_crossing(map, control, goal, scratch):
    """Number what can be reserved, once the middle is painted, and measure the ways to the four destinations.

    Args:
        map: changed.
        control: of the one junction, SIGNALS … YIELD.
        goal: how far along its lane a destination lies.
        scratch: as for `measure_ways`.
    """
    map.num_junctions = 1
    map.junctions[0].control = control
    number_slots(map)
    map.num_destinations = 4
    for heading in range(4):
        scratch[0] = lane_cell(map, heading, goal)
        measure_distances(map, heading, 1, scratch)
        measure_ways(map, heading, 1, scratch)
        map.goals[heading].next = ALL_HEADINGS & ~(1 << turned(heading, 2))  # nobody turns back


@kernel
def place_egos(map, world, options, straight):
    """All egos at the beginnings of arms, at rest and with one goal; false if there are too few cells.

    `straight`: per cent of the levels in which the exit of ego 0 lies straight on.
    """
    approach = level_below(world, DRAW_EGO, 0, 4)
    start = lane_cell(map, approach, level_below(world, DRAW_EGO, 1, STARTS))
    choice = level_below(world, DRAW_EGO, 2, 100)
    turn = 0
    if choice < LEFT_SHARE:
        turn = LEFT_SIDE
    elif choice < 100 - straight:
        turn = RIGHT_SIDE
    goal = turned(approach, turn)
    place(world, 0, start, approach, 0, options.top_speed)
    world.egos[0].next_turn = turn
    world.egos[0].goal = goal
    for k in range(1, options.num_egos):
        found = False
        for attempt in range(TRIES):
            draw = 3 + ((k - 1) * TRIES + attempt) * 2
            turn = level_below(world, DRAW_EGO, draw, 3) - 1
            approach = turned(goal, -turn)
            cell = lane_cell(map, approach, level_below(world, DRAW_EGO, draw + 1, STARTS))
            if world.occupants[cell] == 0:
                found = True
                place(world, k, cell, approach, 0, options.top_speed)
                world.egos[k].next_turn = turn
                world.egos[k].goal = goal
                break
        if not found:
            return False
    return True


@kernel
def place_traffic(map, world, options, arm, count):
    """`count` vehicles on free cells of the arms, with a destination each; false if there are too few cells."""
    egos = options.num_egos
    for n in range(count):
        found = False
        for attempt in range(TRIES):
            draw = (n * TRIES + attempt) * 2
            heading = level_below(world, DRAW_TRAFFIC, draw, 4)
            along = level_below(world, DRAW_TRAFFIC, draw + 1, SIZE)
            cell = lane_cell(map, heading, along)
            if (along < arm or along >= SIZE - arm) and world.occupants[cell] == 0:
                found = True
                place(world, egos + n, cell, heading, 0, TRAFFIC_SPEED)
                draw_style(world, options, egos + n)
                turn = level_below(world, DRAW_TRAFFIC, 100_000 + n, 3) - 1
                world.vehicles[egos + n].destination = turned(heading, turn)
                break
        if not found:
            return False
    world.num_vehicles = egos + count
    for k in range(egos, world.num_vehicles):
        world.vehicles[k].speed = fastest_start(map, world, k, world.vehicles[k].top_speed)
    return True


@kernel
def is_certified(map, world, options, longest_wait):
    """Whether ego 0 finds a way, and two thirds of the time are enough for it at speed 1 and for the longest wait."""
    vehicle = world.vehicles[0]
    route = distance_from(map, world.egos[0].goal, vehicle.cell, vehicle.heading)
    return route != UNREACHABLE and 3 * (route + longest_wait) <= 2 * options.certified_within
