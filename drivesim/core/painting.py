"""How a map is written: by a scenario's `lay` and by the builder of levels, and never afterwards."""

from drivesim.core.jit import kernel
from drivesim.core.map import EAST, EDGE, NORTH, PORTAL, ROW_SHIFT, SOUTH, WEST


@kernel
def set_size(map, rows, cols):
    """Make a blank map one of `rows` x `cols` cells off the road, with a border around them."""
    width = cols + 2
    map.rows = rows
    map.cols = cols
    map.width = width
    map.row_factor = ((1 << ROW_SHIFT) + width - 1) // width
    map.steps[NORTH] = -width
    map.steps[EAST] = 1
    map.steps[SOUTH] = width
    map.steps[WEST] = -1
    for col in range(width):
        map.ground[col] = EDGE << 4
        map.ground[(rows + 1) * width + col] = EDGE << 4
    for row in range(1, rows + 1):
        map.ground[row * width] = EDGE << 4
        map.ground[row * width + cols + 1] = EDGE << 4


@kernel
def paint(map, cell, kind, mask, lane, offset):
    """Make a cell of the road.

    Args:
        map: changed.
        cell: on the map.
        kind: OFF_ROAD … PARKING_BAY.
        mask: the allowed headings, one bit each; an obstacle allows none.
        lane: number of its lane, 0 … 15.
        offset: signed distance from the lane's centre, -8 … 7 cells, positive to the right of the lane's heading.
    """
    map.ground[cell] = mask | kind << 4
    map.lanes[cell] = lane << 4 | (offset + 8)


@kernel
def paint_passing(map, cell, mask):
    """Let egos use a painted cell to overtake, in the headings of `mask`, one bit each; traffic never does."""
    if map.passing[cell] == 0 and mask != 0:
        map.num_passing += 1
    map.passing[cell] = mask


@kernel
def lane_number(mask, row, col):
    """The number of the lane of a cell with the headings `mask`, unless a road numbers its lanes otherwise.

    Lanes run along their headings: a column of a north-south road, a row of an east-west one; of open ground, 0.
    """
    if mask == 1 << NORTH or mask == 1 << SOUTH:
        return col & 15
    if mask == 1 << EAST or mask == 1 << WEST:
        return row & 15
    return 0


@kernel
def open_portal(map, cell, heading, target):
    """Let `heading` lead from `cell` to `target`, and nowhere else; a cell is a portal in one heading at most."""
    map.ground[cell] = map.ground[cell] | PORTAL
    map.leads_to[cell] = 4 * target + heading
    map.comes_from[target] = cell
    map.num_portals += 1


@kernel
def give_slot(map, cell):
    """Let a cell be reserved, unless it can be already."""
    if map.slots[cell] == 0:
        map.num_slots += 1
        map.slots[cell] = map.num_slots
