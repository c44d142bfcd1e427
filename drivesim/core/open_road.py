"""Open road: cells of a street on which nothing depends on junctions, crosswalks, ways or other lanes.

Most traffic of a town is on it most of the time, and has nothing to look for there but whoever drives ahead. So a map
with junctions tells of every cell how far the open road goes on, and whether its junctions lie apart. Without that,
steps take longer and nothing else is different.
"""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    CROSSWALK,
    IS_DESTINATION,
    LANE,
    LEFT_SIDE,
    PORTAL,
    RIGHT_SIDE,
    WAY,
    are_parallel,
    cell_beside,
    has_several_headings,
    headings,
    junction_ahead,
    junction_of,
    kind,
)

MOST_APART = 62  # junctions: as many as a word has bits
LONGEST = 62  # cells that a byte can tell, beside a heading
ENTRY = 63  # instead of a number of cells: of a junction


@kernel
def open_cells(map, cell, heading):
    """How many cells of open road lie in a row from a cell on, itself counted, for somebody of this heading."""
    if map.num_junctions == 0:
        return 0
    road = int(map.open_road[cell]) & 255  # an int64, as all sums with it must be
    return road >> 2 if road & 3 == heading and road >> 2 != ENTRY else 0


@kernel
def is_plain_entry(map, cell, heading):
    """Whether a cell is an entry of a junction for this heading, and every way leads straight on into that."""
    return map.num_junctions > 0 and int(map.open_road[cell]) & 255 == ENTRY << 2 | heading


@kernel
def leads_on(map, cell, heading):
    """Whether a cell has this heading only, nobody has to reserve it and it is on the way to everywhere.

    It is no destination, and has no lane of this heading beside it.
    """
    if headings(map, cell) != 1 << heading or map.ground[cell] & PORTAL != 0 or map.slots[cell] != 0:
        return False
    for side in (LEFT_SIDE, RIGHT_SIDE):
        if are_parallel(map, cell, cell_beside(map, cell, heading, side)):
            return False
    if map.has_ways != 0:
        num_cells = (map.rows + 2) * map.width
        for destination in range(map.num_destinations):
            if map.ways[destination * num_cells + cell] & (WAY | IS_DESTINATION) != heading + 1:
                return False
    return True


@kernel
def claim(map, cell, s):
    """Note that a cell is passed with junction s, or lies beside it; whether that can be said of no other junction."""
    is_free = map.open_road[cell] == 0 or map.open_road[cell] == s + 1
    map.open_road[cell] = s + 1
    return is_free


@kernel
def has_portal(map, cell):
    """Whether a portal leads from a cell, or to it."""
    return map.num_portals > 0 and (map.ground[cell] & PORTAL != 0 or map.comes_from[cell] != 0)


@kernel
def are_junctions_apart(map):
    """Whether there are several and no cell is passed with two junctions, nor passed with one and beside another.

    Who passes one junction need then not be compared with who passes another. `map.open_road` is overwritten.
    """
    num_cells = (map.rows + 2) * map.width
    for cell in range(num_cells):
        map.open_road[cell] = 0
    for begin in range(num_cells):
        s = junction_of(map, begin)
        if s < 0:
            continue
        if not claim(map, begin, s) or has_portal(map, begin):
            return False
        for heading in range(4):  # the crosswalks there and the first cell behind them
            cell = begin + map.steps[heading]
            while kind(map, cell) == CROSSWALK and map.junction[cell] == 0:
                if not claim(map, cell, s) or has_portal(map, cell) or has_several_headings(map, cell):
                    return False
                cell += map.steps[heading]
            if not claim(map, cell, s):
                return False
    return 1 < map.num_junctions <= MOST_APART


@kernel
def mark_open_road(map):
    """Fill `map.open_road` and `map.are_junctions_apart`, from all else of a map."""
    if map.num_junctions == 0:
        return
    map.are_junctions_apart = are_junctions_apart(map)
    num_cells = (map.rows + 2) * map.width
    for cell in range(num_cells):
        map.open_road[cell] = 0
        if headings(map, cell) != 0:
            for heading in range(4):
                if leads_on(map, cell, heading):
                    if junction_ahead(map, cell, heading) >= 0:
                        map.open_road[cell] = ENTRY << 2 | heading
                    elif kind(map, cell) == LANE:
                        map.open_road[cell] = 1 << 2 | heading
    for cell in range(num_cells):
        heading = map.open_road[cell] & 3
        if open_cells(map, cell, heading) > 0:
            length = 1
            ahead = cell + map.steps[heading]
            while length < LONGEST and open_cells(map, ahead, heading) > 0:
                length += 1
                ahead += map.steps[heading]
            map.open_road[cell] = length << 2 | heading
