"""Ways to a destination: the least number of moves at speed 1 from every cell, and the heading that traffic takes."""

from drivesim.core.bits import lowest_bit
from drivesim.core.jit import kernel
from drivesim.core.map import (
    CHANGE_LEFT,
    CHANGE_RIGHT,
    FOR_EVER,
    IS_DESTINATION,
    LEFT_SIDE,
    RIGHT_SIDE,
    UNREACHABLE,
    WAY,
    allows,
    are_parallel,
    cell_behind,
    cell_beside,
    distances_begin,
    headings_of_ego,
    may_drive,
    next_cell,
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
        while arriving != 0:
            heading = lowest_bit(arriving)
            arriving &= arriving - 1
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
                    if map.distances[base + beside + layer * num_cells] != UNREACHABLE:
                        continue
                    # Where the cell beside allows the heading across, steering there means a turn.
                    if may_drive(map, beside, heading) and not allows(map, beside, turned(heading, -side)):
                        tail = reach_back(map, base, beside + layer * num_cells, distance, scratch, tail)


@kernel
def measure_ways(map, destination, num_goals, scratch):
    """Fill the map's ways and stays to a destination: shortest ways, through portals too, without lane changes.

    Where none leads there without a change of lane, the way is that of the lane, and the stay is how many more cells of
    it may be driven before going on would make the rest longer. Elsewhere it is FOR_EVER. Traffic that has come to its
    destination drives on, so that a way leads on from there as well.

    Args:
        map: painted, its portals open; its ways to this destination are overwritten.
        destination: its number.
        num_goals: cells of the destination.
        scratch: int32, twice as long as the map has cells; the first `num_goals` are those of the destination.
    """
    map.has_ways = 1
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
    for cell in range(num_cells):
        map.stays[base + cell] = FOR_EVER if map.ways[base + cell] != 0 else 0
    measure_stays(map, base, num_goals, scratch)


@kernel
def measure_stays(map, base, num_goals, scratch):
    """Fill ways and stays where a change of lane is needed, by breadth-first search backward over changes as well.

    Args:
        map: its ways without changes of lane are there, its stays FOR_EVER along them and 0 elsewhere.
        base: where those of the destination begin.
        num_goals: cells of the destination.
        scratch: as in `measure_ways`; its second half takes 1 + the moves from every cell, 0 = not found yet.
    """
    num_cells = (map.rows + 2) * map.width
    for cell in range(num_cells):
        scratch[num_cells + cell] = 0
    for n in range(num_goals):
        scratch[num_cells + scratch[n]] = 1
    head = 0
    tail = num_goals
    while head < tail:
        cell = scratch[head]
        head += 1
        if map.stays[base + cell] != FOR_EVER:
            settle(map, base, cell, scratch)
        for heading in range(4):
            if not allows(map, cell, heading):
                continue
            origin = cell_behind(map, cell, heading)
            if allows(map, origin, heading):
                tail = find(map, base, cell, origin, heading, scratch, tail)
            for side in (LEFT_SIDE, RIGHT_SIDE):
                beside = cell_beside(map, cell, heading, side)
                if are_parallel(map, cell, beside):
                    tail = find(map, base, cell, beside, heading, scratch, tail)


@kernel
def find(map, base, cell, origin, heading, scratch, tail):
    """Count the moves from a cell that one move leads from to `cell`, unless it is found already; the new tail."""
    num_cells = (map.rows + 2) * map.width
    if scratch[num_cells + origin] == 0:
        scratch[num_cells + origin] = scratch[num_cells + cell] + 1
        if map.ways[base + origin] & WAY == 0:
            map.ways[base + origin] = map.ways[base + origin] | (heading + 1)
        scratch[tail] = origin
        tail += 1
    return tail


@kernel
def settle(map, base, cell, scratch):
    """The stay of a cell whose lane does not lead to the destination, and the sides to which a change leads nearer."""
    num_cells = (map.rows + 2) * map.width
    moves = scratch[num_cells + cell]
    heading = int(map.ways[base + cell] & WAY) - 1
    ahead = next_cell(map, cell, heading)
    if allows(map, ahead, heading) and 0 < scratch[num_cells + ahead] < moves:
        map.stays[base + cell] = min(map.stays[base + ahead] + 1, FOR_EVER - 1)
    for side in (LEFT_SIDE, RIGHT_SIDE):
        beside = cell_beside(map, cell, heading, side)
        if are_parallel(map, cell, beside) and 0 < scratch[num_cells + beside] < moves:
            change = CHANGE_LEFT if side == LEFT_SIDE else CHANGE_RIGHT
            map.ways[base + cell] = map.ways[base + cell] | change
