"""What stands still: the cells of a road and where they lead.

A map is drawn in `rows` x `cols` cells and has a border of one more on every side, of the kind EDGE. So a cell is one
number, `(row + 1) * width + col + 1`, and the cell ahead of it is another, `cell + steps[heading]`, without a division
and without a look at the map's size. Only cells flagged as portals lead elsewhere: traffic passes, an ego leaves the
road there unless the map is a ring.

A map is written by a scenario's `lay` and never afterwards. It may be shared by all worlds.
"""

import numpy as np

from drivesim.core.jit import kernel
from drivesim.core.memory import WORD, Structure

# --- headings ------------------------------------------------------------------------------------------------------
NORTH, EAST, SOUTH, WEST = 0, 1, 2, 3  # clockwise; row grows southward
LEFT_SIDE, RIGHT_SIDE = -1, 1

# --- the ground of a cell: bits 0-3 the allowed headings, bits 4-6 the kind, bit 7 a portal --------------------------
OFF_ROAD, LANE, SHOULDER, OBSTACLE, CROSSWALK, STOP_LINE, PARKING_BAY, EDGE = 0, 1, 2, 3, 4, 5, 6, 7
ALL_HEADINGS = 15
PORTAL = 128

# --- the way from a cell: bits 0-2 are 1 + the heading that traffic takes, 0 = no way ------------------------------
WAY = 7
IS_DESTINATION = 8
CHANGE_LEFT, CHANGE_RIGHT = 16, 32  # a change of lane to that side leads nearer, and this lane does not lead there
FOR_EVER = 255  # a stay without an end

UNREACHABLE = 65535  # distance of a cell without a legal way to the destination
ROW_SHIFT = 30

# --- who may enter a junction --------------------------------------------------------------------------------------
SIGNALS, ALL_WAY_STOP, YIELD, NO_CONTROL = 0, 1, 2, 3

JUNCTION = np.dtype(
    (
        np.record,
        [
            ("control", "i4"),  # SIGNALS … NO_CONTROL
            ("ranks", "i4", (4,)),  # of YIELD, by the heading of an approach: 0 goes first
            ("green_0", "i4"),  # of SIGNALS: ticks; north-south is axis 0, east-west axis 1
            ("green_1", "i4"),
            ("yellow", "i4"),
            ("all_red", "i4"),
        ],
    )
)

# What it takes to arrive at a destination, beside being there.
GOAL = np.dtype(
    (
        np.record,
        [
            ("heading", "i4"),  # 1 + the heading in which a tick must end there, 0 = any
            ("top_speed", "i4"),  # 1 + the greatest speed with which it may, 0 = any
            ("next", "i4"),  # destinations that traffic may have after this one, one bit each, 0 = any
        ],
    )
)

MAP = Structure(
    "Map",
    head=(
        ("row_factor", "i8"),  # the row of a cell is cell * row_factor >> ROW_SHIFT
        ("rows", "i4"),  # without the border
        ("cols", "i4"),
        ("width", "i4"),  # cells from one row to the next: cols + 2
        ("ring_rows", "i4"),  # rows after which a ring repeats, 0 = it does not, or the map is none
        ("ring_cols", "i4"),
        ("speed_limit", "i4"),  # cells per tick
        ("half_lane", "i4"),  # cells from a lane's centre to its edge, 0 = one cell wide
        ("num_portals", "i4"),
        ("num_junctions", "i4"),
        ("num_slots", "i4"),  # cells that can be reserved
        ("are_junctions_apart", "i4"),  # who passes one junction is never in the way of who passes another
        ("num_destinations", "i4"),
        ("has_goal_headings", "i4"),  # distances depend on the heading of an ego
        ("num_passing", "i4"),  # cells on which overtaking is allowed
        ("has_reverse", "i4"),  # egos have a reverse gear
        ("has_ways", "i4"),  # the ways to its destinations have been measured
    ),
    blocks=(
        ("steps", "i4"),  # (4,) from a cell to the next one in each heading
        ("junctions", JUNCTION),
        ("goals", GOAL),  # of every destination
        ("leads_to", "i4"),  # where portals are: 4 * the cell that is entered + the heading in which it is left
        ("comes_from", "i4"),  # where portals are: the portal that leads to a cell, 0 = none
        # destination by destination: moves left from every cell; where goals have headings, for each heading of the ego
        ("distances", "u2"),
        ("slots", "u2"),  # 1 + number of the reservation of a cell in or behind a junction, 0 = it needs none
        ("ground", "u1"),  # allowed headings | kind << 4 | PORTAL
        ("lanes", "u1"),  # lane index << 4 | signed distance from its centre + 8
        ("ways", "u1"),  # destination by destination: the way from every cell | IS_DESTINATION | CHANGE_…
        ("stays", "u1"),  # destination by destination: cells that may still be driven in this lane
        ("passing", "u1"),  # the headings in which a cell may be used to overtake, one bit each
        ("junction", "u1"),  # 1 + number of the junction that a cell belongs to, 0 = none
        ("open_road", "u1"),  # where junctions are: cells of open road from here on << 2 | heading, see open_road.py
    ),
)


def map_dtype(
    rows: int,
    cols: int,
    junctions: int = 0,
    destinations: int = 1,
    has_portals: bool = False,
    has_ways: bool = False,
    has_passing: bool = False,
    has_goal_headings: bool = False,
) -> np.dtype[np.void]:
    """The record of a map of so many cells, which has what is asked for."""
    cells = (rows + 2) * (cols + 2)
    return MAP.dtype(
        steps=4,
        junctions=junctions,
        leads_to=cells if has_portals else 0,
        comes_from=cells if has_portals else 0,
        goals=destinations,
        distances=destinations * cells * (4 if has_goal_headings else 1),
        ground=cells + WORD,  # so that a word may be read from every cell
        lanes=cells,
        junction=cells if junctions else 0,
        open_road=cells if junctions else 0,
        slots=cells if junctions else 0,
        ways=destinations * cells if has_ways else 0,
        stays=destinations * cells if has_ways else 0,
        passing=cells if has_passing else 0,
    )


# --- reading it ------------------------------------------------------------------------------------------------------
@kernel
def cell_at(map, row, col):
    """The cell of a row and column, both on the map or its border."""
    return (row + 1) * map.width + col + 1


@kernel
def row_of(map, cell):
    """The row of a cell: a division by `width`, as a product; exact for all maps of less than 2**30 / width cells."""
    return (cell * map.row_factor >> ROW_SHIFT) - 1


@kernel
def col_of(map, cell):
    """The column of a cell."""
    return cell - (row_of(map, cell) + 1) * map.width - 1


@kernel
def is_on_map(map, row, col):
    """Whether a row and column are those of a cell within the border."""
    return 0 <= row < map.rows and 0 <= col < map.cols


@kernel
def turned(heading, side):
    """The heading after a quarter turn to `side` (LEFT_SIDE or RIGHT_SIDE)."""
    return (heading + side) & 3


@kernel
def headings(map, cell):
    """The mask of a cell's allowed headings."""
    return int(map.ground[cell]) & 15


@kernel
def kind(map, cell):
    """The kind of a cell, OFF_ROAD … EDGE."""
    return map.ground[cell] >> 4 & 7


@kernel
def allows(map, cell, heading):
    """Whether a cell may be driven in `heading`."""
    return map.ground[cell] >> heading & 1 == 1


@kernel
def headings_of_ego(map, cell):
    """The mask of the headings in which an ego may drive a cell: those allowed to everybody, and those to overtake."""
    mask = headings(map, cell)
    if map.num_passing > 0:
        mask |= map.passing[cell]
    return mask


@kernel
def may_drive(map, cell, heading):
    """Whether an ego may drive a cell in `heading`."""
    return headings_of_ego(map, cell) >> heading & 1 == 1


@kernel
def has_several_headings(map, cell):
    """Whether several headings meet in a cell: a junction, a corner or open ground."""
    mask = headings(map, cell)
    return mask & (mask - 1) != 0


@kernel
def junction_of(map, cell):
    """The junction that a cell belongs to, -1 = none."""
    if map.num_junctions == 0:
        return -1
    return int(map.junction[cell]) - 1


@kernel
def lane_index(map, cell):
    """Number of the lane that a cell belongs to."""
    return map.lanes[cell] >> 4


@kernel
def lane_offset(map, cell):
    """Signed distance of a cell from its lane's centre: cells, positive to the right of the lane's heading."""
    return int(map.lanes[cell] & 15) - 8


@kernel
def is_ring(map):
    """Whether this is a ring: egos pass its portals too, and their goal is a distance."""
    return map.ring_rows + map.ring_cols > 0


@kernel
def next_cell(map, cell, heading):
    """The cell ahead of another one, for traffic: a portal leads on."""
    if map.num_portals > 0 and map.ground[cell] & PORTAL != 0:
        leads_to = map.leads_to[cell]
        if leads_to & 3 == heading:
            return leads_to >> 2
    return cell + map.steps[heading]


@kernel
def next_cell_for_ego(map, cell, heading):
    """The cell ahead of another one, for an ego: unless the map is a ring, a portal is its edge."""
    if is_ring(map):
        return next_cell(map, cell, heading)
    return cell + map.steps[heading]


@kernel
def is_within(map, cell):
    """Whether traffic passes a cell without a stop: one of a junction, or of a crosswalk."""
    return junction_of(map, cell) >= 0 or kind(map, cell) == CROSSWALK


@kernel
def is_with_junction(map, cell):
    """Whether a cell is passed with a junction: one of it, or of a crosswalk directly before or behind it.

    A crosswalk that belongs to no junction needs no reservation: whoever is on it has its entry still ahead.
    """
    return map.num_junctions > 0 and map.slots[cell] != 0 and is_within(map, cell)


@kernel
def junction_ahead(map, cell, heading):
    """The junction into which `heading` leads from an entry, over crosswalks too; -1 if a cell is no entry."""
    if map.num_junctions == 0 or is_within(map, cell) or not allows(map, cell, heading):
        return -1
    cell = next_cell(map, cell, heading)
    while kind(map, cell) == CROSSWALK and allows(map, cell, heading) and junction_of(map, cell) < 0:
        cell = next_cell(map, cell, heading)
    return junction_of(map, cell)


@kernel
def cell_behind(map, cell, heading):
    """The cell from which `heading` leads to another one, for traffic."""
    if map.num_portals > 0:
        portal = map.comes_from[cell]
        if portal != 0 and map.leads_to[portal] == 4 * cell + heading:
            return portal
    return cell - map.steps[heading]


@kernel
def cell_behind_for_ego(map, cell, heading):
    """The same for an ego."""
    if is_ring(map):
        return cell_behind(map, cell, heading)
    return cell - map.steps[heading]


@kernel
def cell_beside(map, cell, heading, side):
    """The cell to `side` of a vehicle that stands on `cell`."""
    return cell + map.steps[turned(heading, side)]


@kernel
def cell_towards(map, cell, heading, ahead, right):
    """What an ego on `cell` sees `ahead` cells ahead and `right` cells to the right of it: a cell, -1 outside the map.

    On a ring it sees across the seam.
    """
    row = row_of(map, cell)
    col = cell - (row + 1) * map.width - 1
    if heading == NORTH:
        row -= ahead
        col += right
    elif heading == EAST:
        row += right
        col += ahead
    elif heading == SOUTH:
        row += ahead
        col -= right
    else:
        row -= right
        col -= ahead
    if map.ring_rows > 0:
        row = row % map.ring_rows
    if map.ring_cols > 0:
        col = col % map.ring_cols
    if not is_on_map(map, row, col):
        return -1
    return cell_at(map, row, col)


@kernel
def are_parallel(map, cell, beside):
    """Whether traffic may change from one cell to another beside it: both are plain lanes of one heading."""
    mask = headings(map, cell)
    if mask == 0 or mask & (mask - 1) != 0 or headings(map, beside) != mask:
        return False
    return kind(map, cell) == LANE and kind(map, beside) == LANE


@kernel
def way_from(map, destination, cell):
    """The heading that traffic takes from a cell to its destination, -1 where there is no way or no destination."""
    if destination < 0 or map.has_ways == 0:
        return -1
    return int(map.ways[destination * (map.rows + 2) * map.width + cell] & WAY) - 1


@kernel
def heading_on(map, destination, cell, heading):
    """The heading in which somebody who comes in `heading` goes on from a cell: his way's, else his own."""
    way = way_from(map, destination, cell)
    return way if way >= 0 else heading


@kernel
def onward(map, destination, cell, heading):
    """The next cell of somebody who comes to a cell in `heading` and goes on to a destination, and his heading."""
    heading = heading_on(map, destination, cell, heading)
    return next_cell(map, cell, heading), heading


@kernel
def ends_trip(map, destination, cell):
    """Whether a cell is (one of) the cells of a destination of the traffic."""
    return map.ways[destination * (map.rows + 2) * map.width + cell] & IS_DESTINATION != 0


@kernel
def num_layers(map):
    """How many distances there are from a cell to a destination: one, or one for each heading of an ego."""
    return 4 if map.has_goal_headings != 0 else 1


@kernel
def distances_begin(map, destination, heading):
    """Where the distances to a destination begin in `map.distances`, for an ego of this heading."""
    layer = destination
    if map.has_goal_headings != 0:
        layer = 4 * destination + heading
    return layer * (map.rows + 2) * map.width


@kernel
def distance_from(map, destination, cell, heading):
    """Moves from a cell to a destination for an ego of this heading, UNREACHABLE if no legal way leads there."""
    return int(map.distances[distances_begin(map, destination, heading) + cell])


@kernel
def is_destination(map, destination, cell):
    """Whether a cell is (one of) the cells of a destination, in whatever heading it has to be reached."""
    if map.has_goal_headings == 0:
        return map.distances[destination * (map.rows + 2) * map.width + cell] == 0
    for heading in range(4):
        if distance_from(map, destination, cell, heading) == 0:
            return True
    return False
