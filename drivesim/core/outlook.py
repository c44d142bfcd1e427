"""What lies ahead of a driver: its next turn, the junction that it comes to, and whether that is its to enter.

Nothing here is written, and nothing is decided: these are the facts by which `core.junctions` decides, for those who
see the world.
"""

from drivesim.core.jit import kernel
from drivesim.core.junctions import TURN_TICKS, may_be_granted
from drivesim.core.map import (
    ALL_WAY_STOP,
    EDGE,
    LEFT_SIDE,
    RIGHT_SIDE,
    allows,
    heading_on,
    is_with_junction,
    junction_ahead,
    kind,
    next_cell,
    next_cell_for_ego,
)
from drivesim.core.open_road import open_cells
from drivesim.core.reservations import destination_of, entry_ahead, is_held_by_others

TURN_SIGHT = 10  # cells within which a vehicle shows where it turns
ENTRY_AHEAD = 40  # cells within which an ego sees the junction that it comes to


@kernel
def side_of_turn(before, after):
    """The side to which somebody turns from one heading to another: LEFT_SIDE, 0 ahead or back, RIGHT_SIDE."""
    turn = (after - before) & 3
    return RIGHT_SIDE if turn == 1 else (LEFT_SIDE if turn == 3 else 0)


@kernel
def next_turn(map, world, k, distance):
    """Cells along vehicle k's way to where it next turns, and to which side; (-1, 0) if nowhere within `distance`."""
    if map.has_ways != 0:
        vehicle = world.vehicles[k]
        destination = destination_of(world, k)
        begin = open_cells(map, vehicle.cell, vehicle.heading)
        cell = vehicle.cell + begin * map.steps[vehicle.heading]
        for n in range(begin, distance + 1):
            if kind(map, cell) == EDGE:
                break
            way = heading_on(map, destination, cell, vehicle.heading)
            if way != vehicle.heading:
                return n, side_of_turn(vehicle.heading, way)
            cell = next_cell(map, cell, vehicle.heading)
    return -1, 0


@kernel
def entry_in_sight(map, world, k):
    """Cells straight ahead of ego k to the next entry on its way, and its cell: (-1, -1) if none within ENTRY_AHEAD.

    Another vehicle does not hide it; a turn of the way, or the map's edge, does. In a junction none is seen.
    """
    if map.num_junctions > 0:
        heading = world.vehicles[k].heading
        begin = open_cells(map, world.vehicles[k].cell, heading)
        cell = world.vehicles[k].cell + begin * map.steps[heading]
        for n in range(begin, ENTRY_AHEAD + 1):
            if not allows(map, cell, heading) or (n == 0 and is_with_junction(map, cell)):
                break
            if heading_on(map, world.egos[k].goal, cell, heading) != heading:
                break
            if junction_ahead(map, cell, heading) >= 0:
                return n, cell
            cell = next_cell_for_ego(map, cell, heading)
    return -1, -1


@kernel
def has_turn(map, world, k, entry):
    """Whether the junction is ego k's to enter now, behind an entry straight ahead or, without one (-1), where it is.

    As traffic would be let in: its control is open, its exit free, nobody in the way has been let in, and nobody asks
    who comes first. Who has not asked at the entry comes after everybody, and at an all-way stop not at all. In a
    junction: nobody else holds what is left of its way. True where there is no junction.
    """
    vehicle = world.vehicles[k]
    if entry < 0:
        return not is_with_junction(map, vehicle.cell) or not is_held_by_others(map, world, k, vehicle.cell)
    waits = entry_ahead(map, world, k)[1] == entry
    if waits and vehicle.may_enter != 0:
        return world.tick - world.egos[k].granted_at < TURN_TICKS
    if not waits and map.junctions[junction_ahead(map, entry, vehicle.heading)].control == ALL_WAY_STOP:
        return False
    return may_be_granted(map, world, k, entry, False)
