"""Directed cycles of cells, and how many vehicles they can store.

They are looked for where traffic drives, as `core.certificate` has noted it in scratch memory: int64, in planes of as
many numbers as the map has cells.
"""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    LANE,
    LEFT_SIDE,
    RIGHT_SIDE,
    cell_beside,
    headings,
    is_within,
    junction_of,
    kind,
    next_cell,
)

# The planes.
AIMS = 0  # that traffic may have on a cell and has not reached yet
PASSED = 1  # and those that it has passed, but not replaced yet; later the headings that it takes
QUEUE = 2
MARKS = 3
BEFORE = 4  # the cell from which a cell is reached
NUM_PLANES = 5
STORED = 1024  # more than any storage that is counted


@kernel
def size_of(map):
    """Cells of a map, its border included."""
    return (map.rows + 2) * map.width


@kernel
def lane_beside(map, cell, side):
    """The cell of the lane beside, to which traffic may change from a cell; -1 = none.

    Nobody changes lane onto the exit of a junction: a lane that ends beside one, and nowhere else, leads nowhere.
    """
    mask = headings(map, cell)
    if kind(map, cell) != LANE or mask & (mask - 1) != 0 or junction_of(map, cell) >= 0:
        return -1
    heading = 0
    while mask >> heading & 1 == 0:
        heading += 1
    beside = cell_beside(map, cell, heading, side)
    if kind(map, beside) != LANE or headings(map, beside) != mask or junction_of(map, beside) >= 0:
        return -1
    if map.num_junctions > 0 and map.slots[beside] != 0:
        return -1
    return beside


@kernel
def reach_on(map, scratch, start, cell, mark, limit, tail, depth):
    """Reach what lies ahead of a cell: (tail, depth, whether that closes a cycle through `start`)."""
    num_cells = size_of(map)
    storage = int(scratch[MARKS * num_cells + cell]) % STORED
    for side in (LEFT_SIDE, 0, RIGHT_SIDE):
        origin = cell if side == 0 else lane_beside(map, cell, side)
        if origin < 0:
            continue
        for heading in range(4):
            if scratch[PASSED * num_cells + origin] >> heading & 1 == 0:
                continue
            target = next_cell(map, origin, heading)
            if target == start:
                scratch[BEFORE * num_cells + start] = cell
                return tail, depth, True
            if scratch[MARKS * num_cells + target] >= mark:
                continue
            if is_within(map, target):
                depth += 1
                scratch[QUEUE * num_cells + num_cells - depth] = target
                scratch[MARKS * num_cells + target] = mark + storage
            elif target > start and storage < limit:
                scratch[QUEUE * num_cells + tail] = target
                scratch[MARKS * num_cells + target] = mark + storage + 1
                tail += 1
            else:
                continue
            scratch[BEFORE * num_cells + target] = cell
    return tail, depth, False


@kernel
def smallest_cycle(map, scratch, start, mark, limit):
    """Storage of the smallest cycle through a cell on which traffic may stand, if that is `limit` at most; else 0.

    Breadth first: cells that are no storage are gone through at once, from a stack at the other end of the queue.
    Cycles through storage before `start` are left out. Afterwards, BEFORE leads backwards around the cycle.
    """
    num_cells = size_of(map)
    scratch[QUEUE * num_cells] = start
    scratch[MARKS * num_cells + start] = mark + 1
    head = 0
    tail = 1
    depth = 0
    while head < tail or depth > 0:
        if depth > 0:
            cell = int(scratch[QUEUE * num_cells + num_cells - depth])
            depth -= 1
        else:
            cell = int(scratch[QUEUE * num_cells + head])
            head += 1
        tail, depth, is_closed = reach_on(map, scratch, start, cell, mark, limit, tail, depth)
        if is_closed:
            return int(scratch[MARKS * num_cells + cell]) % STORED
    return 0


@kernel
def full_cycle(map, scratch, num_vehicles):
    """A cell of the smallest cycle that so many vehicles would fill, 0 = there is none.

    Afterwards, `BEFORE` leads backwards around it. The work grows with the square of the cells on which traffic may
    stand.
    """
    num_cells = size_of(map)
    for cell in range(num_cells):
        scratch[MARKS * num_cells + cell] = 0
    limit = num_vehicles
    worst = 0
    runs = 0
    for start in range(num_cells):
        if scratch[PASSED * num_cells + start] != 0 and not is_within(map, start):
            runs += 1
            storage = smallest_cycle(map, scratch, start, runs * STORED, limit)
            if storage > 0:
                worst = start
                limit = storage - 1
    if worst != 0:
        smallest_cycle(map, scratch, worst, (runs + 1) * STORED, limit + 1)
    return worst
