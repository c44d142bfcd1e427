"""A city drawn at random: streets between up to 16 crossings, whatever control these have, and where one can go.

Four by four crossings stand in rows and columns; a street with a lane in each direction leads from one to the next, but
for some that are missing. So there are crossroads, T-junctions and bends. Traffic keeps to the right.

A crossing is a box of 2 x 2 cells. Cells of a street count from the box: its *arm* number `heading` leads away from it
in that heading, cell 1 is the first beside the box, cells 0 and -1 lie in it. A roundabout takes the cells 1 of all
arms and the corners between them, and leaves the box to the verge.

What is drawn is kept in scratch memory, the *plan*: numbers from `PLAN` times the map's cells on.
"""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EAST,
    LANE,
    LEFT_SIDE,
    NORTH,
    OFF_ROAD,
    RIGHT_SIDE,
    SIGNALS,
    SOUTH,
    STOP_LINE,
    UNREACHABLE,
    WEST,
    YIELD,
    cell_at,
    col_of,
    distance_from,
    ends_trip,
    headings,
    junction_of,
    kind,
    next_cell,
    onward,
    row_of,
    turned,
)
from drivesim.core.open_road import open_cells
from drivesim.core.painting import lane_number, paint, set_size
from drivesim.core.reservations import number_slots
from drivesim.core.rng import DRAW_MAP, level_below
from drivesim.core.ways import measure_distances, measure_ways

SIZE = 72  # rows and columns
NODES = 4  # rows and columns of crossings
GAP = 20  # rows or columns from one crossing to the next at least
STREET = 4 * SIZE  # cells: longer than any street
JITTER = 3  # by so many the gap varies: 0 … JITTER - 1
MARGIN = 1  # before the first crossing: a roundabout needs it
NUM_STREETS = 2 * NODES * (NODES - 1)
MAX_JUNCTIONS = NODES * NODES - 4  # the corners of the town are bends
# A crossing has 4 cells and 4 behind them; a roundabout 12, and behind these 4 exits, 4 cells beyond its corners and 4
# in its middle. Half of the junctions can be roundabouts.
MAX_SLOTS = MAX_JUNCTIONS // 2 * (8 + 24)
STORAGE = 4 * (GAP - 2 - 1 - 1)  # of any way around: four streets, each without a crosswalk and a roundabout's cells
CORNERS = 4  # destinations of the traffic
NUM_GOALS = 8  # destinations of egos, behind them
NEAR = 4  # cells from a crossing within which there is neither a goal nor a crosswalk
LEAST_GREEN, MORE_GREEN, YELLOW, ALL_RED = 8, 5, 3, 2  # ticks
LONGEST_CYCLE = 2 * (LEAST_GREEN + MORE_GREEN - 1 + YELLOW + ALL_RED)

# The plan.
PLAN = 3
ROWS, COLS = 0, NODES  # of the boxes: their first row, their first column
STREETS = 2 * NODES  # a bit for each street that there is
IS_ROUND = STREETS + 1  # a bit for each crossing that is a roundabout
CROSSED = IS_ROUND + 1  # of each street, the cell of its crosswalk, counted from its first crossing; 0 = none

# What is drawn for the map: index of the first number of each.
DRAW_PLACES, DRAW_GAPS, DRAW_KINDS, DRAW_TIMES, DRAW_CROSSWALKS, DRAW_GOALS = 0, 100, 200, 300, 400, 600
REMOVALS = 9  # tries of taking a street away, at most
ROUND_SHARE, SIGNAL_SHARE, STOP_SHARE = 40, 40, 30  # per cent: of half the crossings; of all others; the rest yields


@kernel
def street_of(row, col, heading):
    """The number of the street that leads from a crossing in a heading; -1 beyond the town."""
    if heading == WEST:
        col -= 1
    elif heading == NORTH:
        row -= 1
    if row < 0 or col < 0 or (heading & 1 == 1 and col >= NODES - 1) or (heading & 1 == 0 and row >= NODES - 1):
        return -1
    return row * (NODES - 1) + col if heading & 1 == 1 else NUM_STREETS // 2 + row * NODES + col


@kernel
def first_crossing(street):
    """Row and column of the crossing at which a street begins, and the heading in which it leads from there."""
    if street < NUM_STREETS // 2:
        return street // (NODES - 1), street % (NODES - 1), EAST
    return (street - NUM_STREETS // 2) // NODES, street % NODES, SOUTH


@kernel
def has_arm(scratch, plan, row, col, heading):
    """Whether a street leads from a crossing in a heading."""
    street = street_of(row, col, heading)
    return street >= 0 and scratch[plan + STREETS] >> street & 1 == 1


@kernel
def num_arms(scratch, plan, row, col):
    """How many streets meet at a crossing."""
    count = 0
    for heading in range(4):
        count += has_arm(scratch, plan, row, col, heading)
    return count


@kernel
def is_round(scratch, plan, row, col):
    """Whether a crossing is a roundabout."""
    return scratch[plan + IS_ROUND] >> (row * NODES + col) & 1 == 1


@kernel
def street_length(scratch, plan, street):
    """Cells of a street between the boxes of its crossings."""
    row, col, heading = first_crossing(street)
    at = plan + (COLS + col if heading == EAST else ROWS + row)
    return scratch[at + 1] - scratch[at] - 2


@kernel
def arm_cell(map, scratch, plan, row, col, heading, n, is_inward):
    """Cell n of the arm of a crossing, in the lane that leads away from it, or in the one that leads to it."""
    y = scratch[plan + ROWS + row]
    x = scratch[plan + COLS + col]
    if heading == NORTH:
        return cell_at(map, y - n, x + 1 - is_inward)
    if heading == EAST:
        return cell_at(map, y + 1 - is_inward, x + 1 + n)
    if heading == SOUTH:
        return cell_at(map, y + 1 + n, x + is_inward)
    return cell_at(map, y + is_inward, x - n)


# --- drawing ---------------------------------------------------------------------------------------------------------
@kernel
def draw_plan(map, world, options, scratch, plan, num_crosswalks):
    """Draw where the crossings are, which streets there are, what is a roundabout, and where people cross."""
    for axis in range(2):
        at = MARGIN
        for n in range(NODES):
            at += level_below(world, DRAW_MAP, DRAW_PLACES + axis * NODES + n, JITTER) + (GAP if n > 0 else 0)
            scratch[plan + axis * NODES + n] = at
    scratch[plan + STREETS] = (1 << NUM_STREETS) - 1
    for n in range(level_below(world, DRAW_MAP, DRAW_GAPS, REMOVALS + 1)):
        street = level_below(world, DRAW_MAP, DRAW_GAPS + 1 + n, NUM_STREETS)
        row, col, heading = first_crossing(street)
        if has_arm(scratch, plan, row, col, heading):
            beyond_row = row + (heading == SOUTH)
            beyond_col = col + (heading == EAST)
            if num_arms(scratch, plan, row, col) > 2 and num_arms(scratch, plan, beyond_row, beyond_col) > 2:
                scratch[plan + STREETS] -= 1 << street
    scratch[plan + IS_ROUND] = 0
    for row in range(NODES):
        for col in range(NODES):
            # Not two in a row: so a street gives cells to one of them at most.
            if (row + col) & 1 == 0 and num_arms(scratch, plan, row, col) > 2:
                if level_below(world, DRAW_MAP, DRAW_KINDS + row * NODES + col, 100) < ROUND_SHARE:
                    scratch[plan + IS_ROUND] |= 1 << row * NODES + col
    for street in range(NUM_STREETS):
        scratch[plan + CROSSED + street] = 0
    missing = num_crosswalks
    for n in range(200):
        street = level_below(world, DRAW_MAP, DRAW_CROSSWALKS + n, NUM_STREETS)
        is_street = scratch[plan + STREETS] >> street & 1 == 1
        if missing > 0 and is_street and scratch[plan + CROSSED + street] == 0:
            room = street_length(scratch, plan, street) - 2 * NEAR
            along = level_below(world, DRAW_MAP, DRAW_CROSSWALKS + 200 + street, room)
            scratch[plan + CROSSED + street] = NEAR + 1 + along
            missing -= 1
    return missing == 0


# --- painting --------------------------------------------------------------------------------------------------------
@kernel
def paint_lane(map, cell, where, mask):
    """Make a cell of a lane of those headings."""
    paint(map, cell, where, mask, lane_number(mask, row_of(map, cell), col_of(map, cell)), 0)


@kernel
def pave(map, scratch, plan, street):
    """Paint both lanes of a street, and its crosswalk."""
    row, col, heading = first_crossing(street)
    crosswalk = scratch[plan + CROSSED + street]
    for n in range(1, street_length(scratch, plan, street) + 1):
        where = CROSSWALK if n == crosswalk else LANE
        paint_lane(map, arm_cell(map, scratch, plan, row, col, heading, n, 0), where, 1 << heading)
        paint_lane(map, arm_cell(map, scratch, plan, row, col, heading, n, 1), where, 1 << turned(heading, 2))


@kernel
def paint_bend(map, scratch, plan, row, col):
    """Join two streets that meet: straight on, or around a corner."""
    for heading in range(4):
        if not has_arm(scratch, plan, row, col, heading):
            continue
        inward = turned(heading, 2)
        right = turned(heading, RIGHT_SIDE)
        if has_arm(scratch, plan, row, col, inward):
            for n in range(2):
                paint_lane(map, arm_cell(map, scratch, plan, row, col, heading, -n, 0), LANE, 1 << heading)
        elif has_arm(scratch, plan, row, col, right):
            # Who comes along this street turns left in the far cell of the box, who comes along the other one right.
            paint_lane(map, arm_cell(map, scratch, plan, row, col, heading, 0, 1), LANE, 1 << inward)
            paint_lane(map, arm_cell(map, scratch, plan, row, col, heading, -1, 1), LANE, 1 << inward | 1 << right)
            paint_lane(map, arm_cell(map, scratch, plan, row, col, right, 0, 0), LANE, 1 << right)
            corner = 1 << turned(right, 2) | 1 << heading
            paint_lane(map, arm_cell(map, scratch, plan, row, col, right, 0, 1), LANE, corner)


@kernel
def paint_junction(map, scratch, plan, row, col, number):
    """Paint a box in which streets cross, or a roundabout, and the lines before it."""
    around = int(is_round(scratch, plan, row, col))
    for heading in range(4):
        inward = turned(heading, 2)
        left = turned(heading, LEFT_SIDE)  # the heading in which a roundabout is driven here
        into = arm_cell(map, scratch, plan, row, col, heading, around, 1)
        out = arm_cell(map, scratch, plan, row, col, heading, around, 0)
        arm = int(has_arm(scratch, plan, row, col, heading))
        map.junction[into] = number
        if around == 0:
            paint_lane(map, into, LANE, 1 << inward | 1 << left)
        else:
            corner = into + map.steps[left]
            map.junction[out] = number
            map.junction[corner] = number
            paint_lane(map, into, LANE, arm << inward | 1 << left)
            paint_lane(map, out, LANE, arm << heading | 1 << left)
            paint_lane(map, corner, LANE, 1 << left | 1 << turned(left, LEFT_SIDE))
        if arm == 1:
            line = arm_cell(map, scratch, plan, row, col, heading, around + 1, 1)
            paint_lane(map, line, STOP_LINE, 1 << inward)


@kernel
def choose_control(map, world, options, scratch, plan, row, col, number):
    """Draw the control of a junction: signals, a stop for everybody, or who gives way."""
    junction = map.junctions[number - 1]
    node = row * NODES + col
    choice = level_below(world, DRAW_MAP, DRAW_KINDS + 50 + node, 100)
    if is_round(scratch, plan, row, col):
        junction.control = YIELD
        for heading in range(4):
            junction.ranks[heading] = 1
    elif choice < SIGNAL_SHARE:
        junction.control = SIGNALS
        junction.green_0 = LEAST_GREEN + level_below(world, DRAW_MAP, DRAW_TIMES + 2 * node, MORE_GREEN)
        junction.green_1 = LEAST_GREEN + level_below(world, DRAW_MAP, DRAW_TIMES + 2 * node + 1, MORE_GREEN)
        junction.yellow = YELLOW
        junction.all_red = ALL_RED
    elif choice < SIGNAL_SHARE + STOP_SHARE:
        junction.control = ALL_WAY_STOP
    else:
        junction.control = YIELD
        minor = level_below(world, DRAW_MAP, DRAW_KINDS + 100 + node, 2)  # an axis
        for heading in range(4):
            if not has_arm(scratch, plan, row, col, heading):
                minor = heading & 1  # the street that ends here
        for heading in range(4):
            junction.ranks[heading] = int(heading & 1 == minor)


@kernel
def measure_to(map, destination, first, second, scratch):
    """Measure distances and ways to a destination, which has a cell in both lanes of a street."""
    for n in range(2):
        scratch[0] = first
        scratch[1] = second
        if n == 0:
            measure_distances(map, destination, 2, scratch)
        else:
            measure_ways(map, destination, 2, scratch)


@kernel
def open_destinations(map, world, scratch, plan):
    """Measure the ways to the corners of the town, where traffic goes, and to goals on some of the streets."""
    map.num_destinations = CORNERS + NUM_GOALS
    for corner in range(CORNERS):
        row = (NODES - 1) * (corner >> 1)
        col = (NODES - 1) * (corner & 1)
        heading = EAST if col == 0 else WEST
        if level_below(world, DRAW_MAP, DRAW_GOALS + corner, 2) == 0:
            heading = SOUTH if row == 0 else NORTH
        map.goals[corner].next = ((1 << CORNERS) - 1) & ~(1 << corner)
        away = arm_cell(map, scratch, plan, row, col, heading, NEAR, 0)
        measure_to(map, corner, away, arm_cell(map, scratch, plan, row, col, heading, NEAR, 1), scratch)
    used = 0
    for n in range(NUM_GOALS):
        for attempt in range(100):
            street = level_below(world, DRAW_MAP, DRAW_GOALS + 10 + 100 * n + attempt, NUM_STREETS)
            if scratch[plan + STREETS] >> street & 1 == 1 and used >> street & 1 == 0:
                break
        used |= 1 << street
        along = level_below(world, DRAW_MAP, DRAW_GOALS + 900 + n, street_length(scratch, plan, street) - 2 * NEAR - 1)
        along += NEAR + 1
        along += along >= scratch[plan + CROSSED + street] > 0
        row, col, heading = first_crossing(street)
        away = arm_cell(map, scratch, plan, row, col, heading, along, 0)
        measure_to(map, CORNERS + n, away, arm_cell(map, scratch, plan, row, col, heading, along, 1), scratch)


@kernel
def leads_everywhere(map):
    """Whether every cell of the road leads to every destination."""
    for cell in range((map.rows + 2) * map.width):
        if headings(map, cell) != 0:
            for destination in range(map.num_destinations):
                if distance_from(map, destination, cell, NORTH) == UNREACHABLE:
                    return False
    return True


@kernel
def lane_heading(map, cell):
    """The heading of a cell of a street on which somebody may begin, -1 of any other cell."""
    if kind(map, cell) == LANE and map.junction[cell] == 0:
        for heading in range(4):
            if headings(map, cell) == 1 << heading:
                return heading
    return -1


@kernel
def turns_back(map, destination, cell, heading):
    """Whether the way from a lane to a destination leads back along the street, behind the first junction."""
    for _ in range(STREET):
        cell += open_cells(map, cell, heading) * map.steps[heading]  # up to the line, a crosswalk, a destination
        if junction_of(map, cell) >= 0 or ends_trip(map, destination, cell):
            break
        cell, heading = onward(map, destination, cell, heading)
    came = heading
    for _ in range(STREET):
        if junction_of(map, cell) < 0:
            break
        cell, heading = onward(map, destination, cell, heading)
    return heading == turned(came, 2)


@kernel
def comes_back(map, destination):
    """Whether who passes a destination of the traffic comes back to it on the same street, whatever way it came.

    Else the way back would lead through the town, and those who leave it for a new destination anywhere could fill a
    single street by turning back at both ends: a smaller cycle than `STORAGE` says.
    """
    for cell in range((map.rows + 2) * map.width):
        if distance_from(map, destination, cell, NORTH) == 0:
            heading = lane_heading(map, cell)
            if not turns_back(map, destination, next_cell(map, cell, heading), heading):
                return False
    return True


@kernel
def lay_city(map, world, options, num_crosswalks, scratch):
    """Draw a city with so many crosswalks; false if they do not fit, or ways lead nowhere or where they should not."""
    set_size(map, SIZE, SIZE)
    map.speed_limit = options.speed_limit
    plan = PLAN * (SIZE + 2) * (SIZE + 2)
    if not draw_plan(map, world, options, scratch, plan, num_crosswalks):
        return False
    for street in range(NUM_STREETS):
        if scratch[plan + STREETS] >> street & 1 == 1:
            pave(map, scratch, plan, street)
    for row in range(NODES):
        for col in range(NODES):
            if num_arms(scratch, plan, row, col) == 2:
                paint_bend(map, scratch, plan, row, col)
            else:
                map.num_junctions += 1
                paint_junction(map, scratch, plan, row, col, map.num_junctions)
                choose_control(map, world, options, scratch, plan, row, col, map.num_junctions)
    number_slots(map)
    open_destinations(map, world, scratch, plan)
    for corner in range(CORNERS):
        if not comes_back(map, corner):
            return False
    return leads_everywhere(map)


# --- people and places -----------------------------------------------------------------------------------------------
@kernel
def heading_over(map, cell):
    """The heading in which somebody on the verge steps onto a crosswalk right before it; -1 = there is none."""
    if kind(map, cell) == OFF_ROAD:
        for heading in range(4):
            over = cell + map.steps[heading]
            if kind(map, over) == CROSSWALK and headings(map, over) >> (heading & 1) & 5 == 0:
                return heading
    return -1
