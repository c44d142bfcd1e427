"""Ways to a destination: the least number of moves at speed 1 from every cell, and the heading that traffic takes."""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    IS_DESTINATION,
    LEFT_SIDE,
    RIGHT_SIDE,
    UNREACHABLE,
    WAY,
    allows,
    cell_behind,
    cell_beside,
    turned,
)


@kernel
def reach_back(map, base, cell, distance, scratch, tail):
    """Give a cell its distance if it has none and append it to the queue; the new tail."""
    if map.distances[base + cell] == UNREACHABLE:
        map.distances[base + cell] = distance
        scratch[tail] = cell
        tail += 1
    return tail


@kernel
def measure_distances(map, destination, num_goals, scratch):
    """Fill the map's distances to a destination by breadth-first search backward over legal moves.

    A move is straight on, straight on after a quarter turn (where the cell allows that heading), or a change of
    lane: one cell sideways and one ahead. Cells from which no legal way leads to the destination stay UNREACHABLE.

    Args:
        map: painted; its distances to this destination are overwritten.
        destination: its number.
        num_goals: cells of the destination.
        scratch: int32, as long as the map has cells; the first `num_goals` are those of the destination.
    """
    num_cells = (map.rows + 2) * map.width
    base = destination * num_cells
    for cell in range(num_cells):
        map.distances[base + cell] = UNREACHABLE
    for n in range(num_goals):
        map.distances[base + scratch[n]] = 0
    head = 0
    tail = num_goals
    while head < tail:
        cell = scratch[head]
        head += 1
        distance = map.distances[base + cell] + 1
        for heading in range(4):
            if not allows(map, cell, heading):
                continue
            origin = cell - map.steps[heading]
            if allows(map, origin, heading):
                tail = reach_back(map, base, origin, distance, scratch, tail)
                for side in (LEFT_SIDE, RIGHT_SIDE):
                    beside = cell_beside(map, origin, heading, side)
                    # Where the cell beside allows the heading across, steering there means a turn.
                    if allows(map, beside, heading) and not allows(map, beside, turned(heading, -side)):
                        tail = reach_back(map, base, beside, distance, scratch, tail)


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
    for n in range(num_goals):
        map.ways[base + scratch[n]] = IS_DESTINATION
    head = 0
    tail = num_goals
    while head < tail:
        cell = scratch[head]
        head += 1
        for heading in range(4):
            origin = cell_behind(map, cell, heading)
            if not allows(map, cell, heading) or not allows(map, origin, heading):
                continue
            known = map.ways[base + origin]
            if known & WAY == 0:
                map.ways[base + origin] = known | (heading + 1)
                if known == 0:
                    scratch[tail] = origin
                    tail += 1
