"""Ways to a destination: the least number of moves at speed 1 from every cell, and the heading that traffic takes."""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    LEFT_SIDE,
    RIGHT_SIDE,
    UNREACHABLE,
    allows,
    cell_behind,
    cell_beside,
    distances_begin,
    headings_of_ego,
    may_drive,
    num_layers,
    turned,
)


@kernel
def reach_back(map, base, place, distance, scratch, tail):
    """Give a place its distance if it has none and append it to the queue; the new tail."""
    if map.distances[base + place] == UNREACHABLE:
        map.distances[base + place] = distance
        scratch[tail] = place
        tail += 1
    return tail


@kernel
def mark_goals(map, destination, num_goals, scratch):
    """Give the places at which a drive to a destination ends the distance 0, all others none, and queue them.

    Returns how many they are.
    """
    num_cells = (map.rows + 2) * map.width
    layers = num_layers(map)
    base = distances_begin(map, destination, 0)
    for place in range(layers * num_cells):
        map.distances[base + place] = UNREACHABLE
    if layers == 1:
        for n in range(num_goals):
            map.distances[base + scratch[n]] = 0
        return num_goals
    wanted = map.goals[destination].heading - 1
    for n in range(num_goals):
        for heading in range(4):
            if may_drive(map, scratch[n], heading) and (wanted < 0 or wanted == heading):
                map.distances[base + heading * num_cells + scratch[n]] = 0
    tail = 0
    for place in range(layers * num_cells):
        if map.distances[base + place] == 0:
            scratch[tail] = place
            tail += 1
    return tail


@kernel
def measure_distances(map, destination, num_goals, scratch):
    """Fill the map's distances to a destination by breadth-first search backward over an ego's legal moves.

    A move is straight on, straight on after a quarter turn (where the cell allows that heading), or a change of
    lane: one cell sideways and one ahead; with a reverse gear also one cell backwards, after a quarter turn or without.
    Where an ego may overtake, it may drive as if its heading were allowed, but not turn into it. Cells from which no
    legal way leads to the destination stay UNREACHABLE.

    The places that are searched are cells, whatever the heading of an ego; a move that only some headings have counts
    for all then. Where goals have headings, places are pairs of a cell and a heading, and the distances are exact, but
    that a turn backwards counts as if the ego were in reverse gear already.

    Args:
        map: painted, with what it takes to arrive; its distances to this destination are overwritten.
        destination: its number.
        num_goals: cells of the destination.
        scratch: int32, as long as the map has distances to a destination; the first `num_goals` are the cells of the
            destination.
    """
    tail = mark_goals(map, destination, num_goals, scratch)
    num_cells = (map.rows + 2) * map.width
    layers = num_layers(map)
    base = distances_begin(map, destination, 0)
    num_ways = 2 if map.has_reverse != 0 else 1
    head = 0
    while head < tail:
        place = scratch[head]
        head += 1
        distance = map.distances[base + place] + 1
        layer = place // num_cells if layers > 1 else 0
        cell = place - layer * num_cells
        arriving = headings_of_ego(map, cell)
        if layers > 1:
            arriving &= 1 << layer
        for heading in range(4):
            if arriving >> heading & 1 == 0:
                continue
            for way in range(num_ways):  # ahead, backwards
                origin = cell - (1 - 2 * way) * map.steps[heading]
                if layers > 1 and allows(map, origin, heading):
                    for side in (LEFT_SIDE, RIGHT_SIDE):
                        turning = origin + turned(heading, side) * num_cells
                        tail = reach_back(map, base, turning, distance, scratch, tail)
                if not may_drive(map, origin, heading):
                    continue
                tail = reach_back(map, base, origin + layer * num_cells, distance, scratch, tail)
                if way == 1:  # nobody changes lane backwards
                    continue
                for side in (LEFT_SIDE, RIGHT_SIDE):
                    beside = cell_beside(map, origin, heading, side)
                    # Where the cell beside allows the heading across, steering there means a turn.
                    if may_drive(map, beside, heading) and not allows(map, beside, turned(heading, -side)):
                        tail = reach_back(map, base, beside + layer * num_cells, distance, scratch, tail)


@kernel
def measure_ways(map, destination, num_goals, scratch):
    """Fill the map's ways to a destination: a shortest one from every cell, through portals too, without lane changes.

    Traffic that has come to its destination drives on, so that a way leads on from there as well.

    Args:
        map: painted, its portals open; its ways to this destination are overwritten.
        destination: its number.
        num_goals: cells of the destination.
        scratch: int32, as long as the map has cells; the first `num_goals` are those of the destination.
    """
    num_cells = (map.rows + 2) * map.width
    base = destination * num_cells
    for cell in range(num_cells):
        map.ways[base + cell] = 0
    head = 0
    tail = num_goals
    while head < tail:
        cell = scratch[head]
        head += 1
        for heading in range(4):
            origin = cell_behind(map, cell, heading)
            if allows(map, cell, heading) and allows(map, origin, heading) and map.ways[base + origin] == 0:
                map.ways[base + origin] = heading + 1
                is_goal = False
                for n in range(num_goals):
                    is_goal = is_goal or scratch[n] == origin
                if not is_goal:
                    scratch[tail] = origin
                    tail += 1
