"""Directed cycles of cells, and how many vehicles they can store.

They are looked for where traffic drives, as `core.certificate` has noted it in scratch memory: int64, in planes of as
many numbers as the map has cells. A cycle is told by the cells on which traffic may stand. From one to the next leads a
change of lane, or the way to one destination: through a junction nobody drives as no way does, though the cells of
several ways together may lead him back.
"""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    LANE,
    LEFT_SIDE,
    RIGHT_SIDE,
    allows,
    cell_beside,
    headings,
    is_within,
    junction_of,
    kind,
    next_cell,
    way_from,
)

# The planes.
AIMS = 0  # that traffic may have on a cell and has not reached yet; later all
PASSED = 1  # and those that it has passed, but not replaced yet; later the headings that it takes
QUEUE = 2
MARKS = 3
BEFORE = 4  # the cell from which a cell is reached
NUM_PLANES = 5
STORED = 1024  # more than any storage that is counted

# What traffic is heading for, a bit each: its destinations, and behind them straight on in each heading.
STRAIGHT_ON = 32
NUM_AIMS = STRAIGHT_ON + 4


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
def heading_to(map, aim, cell):
    """The heading in which traffic goes on from a cell, -1 where no way leads on."""
    heading = way_from(map, aim, cell) if aim < STRAIGHT_ON else aim - STRAIGHT_ON
    if heading < 0 or not allows(map, next_cell(map, cell, heading), heading):
        return -1
    return heading


@kernel
def stands_next(map, aim, cell):
    """The next cell on which traffic that heads for an aim may stand: behind a junction, if one comes next."""
    cell = next_cell(map, cell, heading_to(map, aim, cell))
    while is_within(map, cell):
        cell = next_cell(map, cell, heading_to(map, aim, cell))
    return cell


@kernel
def reach(map, scratch, start, cell, target, mark, limit, tail):
    """Reach a cell from another one on which traffic stands: (tail, whether that closes a cycle through `start`)."""
    num_cells = size_of(map)
    storage = int(scratch[MARKS * num_cells + cell]) % STORED
    if target == start or (target > start and storage < limit and scratch[MARKS * num_cells + target] < mark):
        scratch[BEFORE * num_cells + target] = cell
        if target != start:
            scratch[QUEUE * num_cells + tail] = target
            scratch[MARKS * num_cells + target] = mark + storage + 1
            tail += 1
    return tail, target == start


@kernel
def reach_on(map, scratch, start, cell, mark, limit, tail):
    """Reach what lies ahead of a cell, and beside it: (tail, whether that closes a cycle through `start`)."""
    num_cells = size_of(map)
    for side in (LEFT_SIDE, 0, RIGHT_SIDE):
        origin = cell if side == 0 else lane_beside(map, cell, side)
        if origin < 0:
            continue
        for heading in range(4):
            if scratch[PASSED * num_cells + origin] >> heading & 1 == 0:
                continue
            target = next_cell(map, origin, heading)
            if not is_within(map, target):
                tail, is_closed = reach(map, scratch, start, cell, target, mark, limit, tail)
                if is_closed:
                    return tail, True
                continue
            for aim in range(NUM_AIMS):
                if scratch[AIMS * num_cells + origin] >> aim & 1 == 1 and heading_to(map, aim, origin) == heading:
                    target = stands_next(map, aim, origin)
                    tail, is_closed = reach(map, scratch, start, cell, target, mark, limit, tail)
                    if is_closed:
                        return tail, True
    return tail, False


@kernel
def smallest_cycle(map, scratch, start, mark, limit):
    """Storage of the smallest cycle through a cell on which traffic may stand, if that is `limit` at most; else 0.

    Breadth first, from one cell on which traffic may stand to the next. Cycles through storage before `start` are left
    out. Afterwards, BEFORE leads backwards around the cycle.
    """
    num_cells = size_of(map)
    scratch[QUEUE * num_cells] = start
    scratch[MARKS * num_cells + start] = mark + 1
    head = 0
    tail = 1
    while head < tail:
        cell = int(scratch[QUEUE * num_cells + head])
        head += 1
        tail, is_closed = reach_on(map, scratch, start, cell, mark, limit, tail)
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
