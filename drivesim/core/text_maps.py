"""The map of a level that is given as a text: its ground, portals, junctions and what their lines say."""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    ALL_HEADINGS,
    EDGE,
    LEFT_SIDE,
    NO_CONTROL,
    OFF_ROAD,
    RIGHT_SIDE,
    SIGNALS,
    STOP_LINE,
    YIELD,
    allows,
    cell_at,
    col_of,
    headings,
    junction_of,
    kind,
    next_cell,
    row_of,
    turned,
)
from drivesim.core.painting import lane_number, open_portal, paint, set_size
from drivesim.core.reservations import number_slots
from drivesim.core.texts import (
    ALL_RED_TICKS,
    FINE,
    GREEN_TICKS,
    MAX_JUNCTIONS,
    MAX_SLOTS,
    MISSING_JUNCTION,
    PORTAL_LEADS_NOWHERE,
    PORTAL_TARGET_IS_NO_ROAD,
    PORTAL_TARGET_IS_TAKEN,
    SEVERAL_CONTROLS,
    TOO_MANY_JUNCTIONS,
    TOO_MANY_SLOTS,
    UNSAID,
    YELLOW_TICKS,
)


@kernel
def cell_of_token(map, n):
    """The cell of the n-th word."""
    return cell_at(map, n // map.cols, n % map.cols)


@kernel
def paint_ground(text, map):
    """Make every cell what its word says; a verge stays blank."""
    for n in range(map.rows * map.cols):
        token = text.tokens[n]
        if token.kind == OFF_ROAD:
            continue
        lane = 0
        if map.half_lane == 0:
            lane = lane_number(token.headings, n // map.cols, n % map.cols)
        cell = cell_of_token(map, n)
        paint(map, cell, token.kind, token.headings, lane, 0)
        if token.is_passing != 0:
            map.passing[cell] = (token.headings << 2 | token.headings >> 2) & ALL_HEADINGS
            map.num_passing += 1


@kernel
def cells_beside(map, cell, side, mask):
    """How many cells to a side of a cell, seen in its only heading, are of the same headings."""
    heading = 0
    while mask >> heading & 1 == 0:
        heading += 1
    step = map.steps[turned(heading, side)]
    count = 0
    cell += step
    while kind(map, cell) != EDGE and headings(map, cell) == mask:
        count += 1
        cell += step
    return count


@kernel
def centre_lanes(map):
    """Where lanes are several cells wide, tell of every cell how far it is from the middle of its lane."""
    for n in range(map.rows * map.cols):
        cell = cell_of_token(map, n)
        mask = headings(map, cell)
        if mask != 0 and mask & (mask - 1) == 0:
            offset = (cells_beside(map, cell, LEFT_SIDE, mask) - cells_beside(map, cell, RIGHT_SIDE, mask)) // 2
            map.lanes[cell] = min(max(offset, -8), 7) + 8


@kernel
def spread_junction(text, map, cell, number, scratch):
    """Give a number to a cell of a junction without one and to all such cells that it touches."""
    map.junction[cell] = number
    scratch[0] = cell
    head = 0
    tail = 1
    while head < tail:
        cell = scratch[head]
        head += 1
        for heading in range(4):
            beside = cell + map.steps[heading]
            if kind(map, beside) == EDGE or map.junction[beside] != 0:
                continue
            if text.tokens[row_of(map, beside) * map.cols + col_of(map, beside)].junction == 0:
                map.junction[beside] = number
                scratch[tail] = beside
                tail += 1


@kernel
def number_junctions(text, map, scratch):
    """Number the junctions: as the words say, and the others in reading order behind them; (fault, token)."""
    num_tokens = map.rows * map.cols
    for n in range(num_tokens):
        number = text.tokens[n].junction
        if number > 0:
            map.junction[cell_of_token(map, n)] = number
            map.num_junctions = max(map.num_junctions, number)
    for number in range(1, map.num_junctions + 1):
        is_there = False
        for n in range(num_tokens):
            is_there = is_there or text.tokens[n].junction == number
        if not is_there:
            for n in range(num_tokens):
                if text.tokens[n].junction > number:
                    return MISSING_JUNCTION, n
    for n in range(num_tokens):
        cell = cell_of_token(map, n)
        if text.tokens[n].junction == 0 and map.junction[cell] == 0:
            if map.num_junctions == MAX_JUNCTIONS:
                return TOO_MANY_JUNCTIONS, n
            map.num_junctions += 1
            spread_junction(text, map, cell, map.num_junctions, scratch)
    return FINE, 0


@kernel
def far_end(map, cell, heading):
    """The cell at the other end of a cell's row or column, against `heading`."""
    while kind(map, cell - map.steps[heading]) != EDGE:
        cell -= map.steps[heading]
    return cell


@kernel
def heading_off_the_map(map, cell):
    """The first heading in which a cell may be left over the edge of the map, -1 = none."""
    for heading in range(4):
        if allows(map, cell, heading) and kind(map, cell + map.steps[heading]) == EDGE:
            return heading
    return -1


@kernel
def open_portals(text, map):
    """Let the portals lead where the head says, else to the other end of their row or column; (fault, token)."""
    for n in range(map.rows * map.cols):
        if text.tokens[n].is_portal == 0:
            continue
        cell = cell_of_token(map, n)
        if text.has_portals != 0:
            at = 3 * map.num_portals
            heading = text.portals[at]
            target = cell_at(map, text.portals[at + 1], text.portals[at + 2])
            if not allows(map, cell, heading):
                return PORTAL_LEADS_NOWHERE, n
        else:
            heading = heading_off_the_map(map, cell)
            if heading < 0:
                return PORTAL_LEADS_NOWHERE, n
            target = far_end(map, cell, heading)
        if not allows(map, target, heading):
            return PORTAL_TARGET_IS_NO_ROAD, n
        if map.comes_from[target] != 0:
            return PORTAL_TARGET_IS_TAKEN, n
        open_portal(map, cell, heading, target)
    return FINE, 0


@kernel
def junction_entered(map, cell, heading):
    """The junction into which a cell's heading leads from outside it, -1 = none."""
    if not allows(map, cell, heading):
        return -1
    s = junction_of(map, next_cell(map, cell, heading))
    return -1 if s == junction_of(map, cell) else s


@kernel
def read_controls(text, map):
    """Let the lines before a junction tell its control; (fault, token)."""
    for s in range(map.num_junctions):
        map.junctions[s].control = NO_CONTROL
    for n in range(map.rows * map.cols):
        token = text.tokens[n]
        if token.kind != STOP_LINE:
            continue
        cell = cell_of_token(map, n)
        for heading in range(4):
            s = junction_entered(map, cell, heading)
            if s < 0:
                continue
            junction = map.junctions[s]
            if junction.control != NO_CONTROL and junction.control != token.control:
                return SEVERAL_CONTROLS, n
            junction.control = token.control
            if token.control == YIELD:
                junction.ranks[heading] = 1
    return FINE, 0


@kernel
def said(fact, otherwise):
    """What the head says, else what follows."""
    return otherwise if fact == UNSAID else fact


@kernel
def set_controls(text, map, world):
    """What the head says of junctions, and what follows from their controls."""
    for s in range(map.num_junctions):
        facts = text.junctions[s]
        junction = map.junctions[s]
        junction.control = said(facts.control, junction.control)
        for heading in range(4):
            junction.ranks[heading] = said(facts.ranks[heading], junction.ranks[heading])
        has_signals = int(junction.control == SIGNALS)
        junction.green_0 = said(facts.green_0, GREEN_TICKS * has_signals)
        junction.green_1 = said(facts.green_1, GREEN_TICKS * has_signals)
        junction.yellow = said(facts.yellow, YELLOW_TICKS * has_signals)
        junction.all_red = said(facts.all_red, ALL_RED_TICKS * has_signals)
        world.lamps[s].cycle_start = facts.cycle_start


@kernel
def paint_map(text, map, world, scratch):
    """The map of a text, and its lamps; (fault, token)."""
    set_size(map, text.rows, text.cols)
    map.speed_limit = text.speed_limit
    map.half_lane = text.half_lane
    map.ring_rows = text.ring_rows
    map.ring_cols = text.ring_cols
    map.has_reverse = text.has_reverse
    map.has_goal_headings = text.has_goal_headings
    map.num_destinations = text.num_destinations
    paint_ground(text, map)
    if map.half_lane > 0:
        centre_lanes(map)
    for n in range(text.num_lanes):
        cell = cell_at(map, text.lanes[4 * n], text.lanes[4 * n + 1])
        map.lanes[cell] = text.lanes[4 * n + 2] << 4 | (text.lanes[4 * n + 3] + 8)
    fault, n = open_portals(text, map)
    if fault == FINE:
        fault, n = number_junctions(text, map, scratch)
    if fault == FINE and map.num_junctions > 0:
        number_slots(map)
        if map.num_slots > MAX_SLOTS:
            fault, n = TOO_MANY_SLOTS, first_of_junctions(text, map)
    if fault == FINE:
        fault, n = read_controls(text, map)
    if fault == FINE:
        set_controls(text, map, world)
    return fault, n


@kernel
def first_of_junctions(text, map):
    """The first word of a junction."""
    for n in range(map.rows * map.cols):
        if text.tokens[n].junction != UNSAID:
            return n
    return 0
