"""Junctions: who may enter, and the reservations by which everybody passes.

A junction is a set of cells with a control. Its entry is any cell outside it from which a way leads into it, painted or
not; crosswalks that lie directly before or behind it are passed with it. A vehicle enters only when it has reserved the
cells of its way through both, and the first cell behind them, its exit. Reservations are granted in a total order, do
not overlap, and are held until a cell has been passed. So nobody ever stops in a junction, and nobody waits for ever.

An ego is not held back by anything, so a junction is shared with it as it is: in there, it holds the cells of its own
way that are free. Standing at the entry it asks as everybody does, and keeps its turn for `TURN_TICKS`.

Junctions that touch are passed as one, under the control of the first.
"""

from drivesim.core.following import braking_distance
from drivesim.core.jit import kernel
from drivesim.core.map import (
    ALL_WAY_STOP,
    EAST,
    EDGE,
    LEFT_SIDE,
    NORTH,
    RIGHT_SIDE,
    SIGNALS,
    SOUTH,
    WEST,
    YIELD,
    col_of,
    junction_ahead,
    junction_of,
    kind,
    next_cell,
    row_of,
    turned,
    way_from,
)
from drivesim.core.reservations import (
    cells_to_entry,
    destination_of,
    do_cells_cross,
    do_ways_cross,
    entry_ahead,
    exit_of,
    has_room_behind,
    hold_cells,
    is_first_at_entry,
    is_taken,
    let_in,
    people_go_first,
    ticks_to_pass,
)
from drivesim.core.signals import colour_for
from drivesim.core.world import DRIVING, GREEN, UNAWARE, withdraw

YIELD_DISTANCE = 10  # cells from the entry within which an ego that must be yielded to counts as approaching
PATIENCE = 20  # ticks after which whoever has waited goes first
TURN_TICKS = 3  # for which an ego that stands at the entry keeps its turn


@kernel
def rank_of(map, world, s, k):
    """The rank of vehicle k at junction s: 0 goes first. Whoever has waited long enough has that of the first."""
    vehicle = world.vehicles[k]
    if map.junctions[s].control != YIELD or has_waited(world, k):
        return 0
    return map.junctions[s].ranks[vehicle.heading]


@kernel
def has_waited(world, k):
    """Whether vehicle k has asked in vain for longer than its patience."""
    asked_at = world.vehicles[k].asked_at
    return asked_at >= 0 and world.tick - asked_at >= PATIENCE


@kernel
def could_be_in_the_way(map, world, k, s, entry, ticks, j):
    """Whether vehicle j, which goes before k and has not asked yet, could reach k's way before k has left it.

    Vehicle k passes junction s, behind its entry, within so many ticks.
    """
    other = world.vehicles[j]
    if other.speed <= 0 and other.asked_at < 0 and j < world.num_egos:
        return False  # an ego that stands elsewhere
    reach = ticks * other.top_speed
    distance, other_entry = cells_to_entry(map, other.cell, other.heading, destination_of(world, j), reach)
    if distance < 0:
        return False
    if map.are_junctions_apart != 0 and junction_ahead(map, other_entry, other.heading) != s:
        return False
    if not is_first_at_entry(map, world, other.cell, other.heading, distance):
        return False
    if not has_room_behind(map, world, other_entry, other.heading, destination_of(world, j), 1):
        return False
    heading = world.vehicles[k].heading
    first = next_cell(map, entry, heading)
    return do_cells_cross(map, world, k, first, heading, j, next_cell(map, other_entry, other.heading), other.heading)


@kernel
def must_give_way(map, world, k, s, entry, to_egos):
    """Whether vehicle k leaves junction s, behind its entry, to somebody of a higher rank who comes near.

    At a give-way line to whoever has priority, `to_egos` alone or to everybody; at a signal, turning across the
    oncoming lane or back, to an ego that comes towards it and does not turn so itself. In a mirrored world, across is
    right.
    """
    vehicle = world.vehicles[k]
    control = map.junctions[s].control
    if control == YIELD:
        rank = rank_of(map, world, s, k)
        if rank == 0:
            return False
        ticks = ticks_to_pass(map, world, k, entry)
        for j in range(world.num_egos if to_egos else world.num_vehicles):
            other = world.vehicles[j]
            if j != k and other.status == DRIVING and other.may_enter == 0:
                goes_first = map.junctions[s].ranks[other.heading] < rank
                if goes_first and could_be_in_the_way(map, world, k, s, entry, ticks, j):
                    return True
    elif control == SIGNALS and world.num_egos > 0:
        across = RIGHT_SIDE if world.is_mirrored != 0 else LEFT_SIDE
        _, exit_heading = exit_of(map, entry, vehicle.heading, destination_of(world, k))
        if exit_heading == vehicle.heading or exit_heading == turned(vehicle.heading, -across):
            return False
        for c in range(world.num_egos):
            ego = world.vehicles[c]
            if c == k or ego.status != DRIVING or ego.speed <= 0 or world.egos[c].next_turn == across:
                continue
            if ego.heading == turned(vehicle.heading, 2):
                distance, other_entry = cells_to_entry(map, ego.cell, ego.heading, -1, YIELD_DISTANCE)
                if distance >= 0 and junction_ahead(map, other_entry, ego.heading) == s:
                    return True
    return False


@kernel
def is_open(map, world, k, s, entry):
    """Whether the control of junction s lets vehicle k, which has asked at an entry, in now."""
    if map.junctions[s].control == SIGNALS and colour_for(map, world, s, world.vehicles[k].heading) != GREEN:
        return False
    return not must_give_way(map, world, k, s, entry, False)


@kernel
def may_be_granted(map, world, k, entry, are_noted):
    """Whether vehicle k could have its way through the junction behind an entry now.

    Of two whose ways cross, the later passes the earlier only while the earlier's exit is not free. Before the requests
    of a tick are noted, those that will be count too, and who has not asked itself comes after everybody.
    """
    vehicle = world.vehicles[k]
    s = junction_ahead(map, entry, vehicle.heading)
    if s < 0 or not is_open(map, world, k, s, entry):
        return False
    if not has_room_behind(map, world, entry, vehicle.heading, destination_of(world, k), 1):
        return False
    waited = world.tick - vehicle.asked_at if has_waited(world, k) else 0
    if world.num_people > 0 and people_go_first(map, world, k, entry, waited):
        return False
    if is_taken(map, world, k, entry):
        return False
    first = next_cell(map, entry, vehicle.heading)
    for j in range(world.num_vehicles):
        other = world.vehicles[j]
        if j == k or other.status != DRIVING or other.may_enter != 0:
            continue
        if other.asked_at < 0 and (are_noted or not asks_now(map, world, j)):
            continue
        _, other_entry = entry_ahead(map, world, j)
        if other_entry < 0 or junction_ahead(map, other_entry, other.heading) != s:
            continue
        if vehicle.asked_at >= 0 and not comes_before(map, world, s, j, k):
            continue
        if is_open(map, world, j, s, other_entry) and has_room_behind(
            map, world, other_entry, other.heading, destination_of(world, j), 1
        ):
            if do_ways_cross(map, world, k, first, j):
                return False
    return True


@kernel
def comes_before(map, world, s, a, b):
    """Whether vehicle a is granted before vehicle b: by rank, then who asked first, then by approach.

    Of two who asked in one tick, northbound goes before southbound and these before the others; east and west take
    turns with the tick's parity, so that a mirrored world decides the mirror image. So do two of one heading side by
    side.
    """
    first = world.vehicles[a]
    second = world.vehicles[b]
    if has_waited(world, a) != has_waited(world, b):
        return has_waited(world, a)
    rank_a = rank_of(map, world, s, a)
    rank_b = rank_of(map, world, s, b)
    if rank_a != rank_b:
        return rank_a < rank_b
    asked_first = first.asked_at if first.asked_at >= 0 else world.tick
    asked_second = second.asked_at if second.asked_at >= 0 else world.tick
    if asked_first != asked_second:
        return asked_first < asked_second
    odd = (world.tick + world.is_mirrored) & 1
    if first.heading != second.heading:
        return approach_rank(first.heading, odd) < approach_rank(second.heading, odd)
    side_a, along_a = place_of(map, first)
    side_b, along_b = place_of(map, second)
    if side_a != side_b:
        return (side_a < side_b) == (odd == 0)
    return along_a > along_b


@kernel
def place_of(map, vehicle):
    """Where a vehicle is, to the right and ahead as its own heading sees it: cells."""
    row = row_of(map, vehicle.cell)
    col = col_of(map, vehicle.cell)
    if vehicle.heading == NORTH:
        return col, -row
    if vehicle.heading == EAST:
        return row, col
    if vehicle.heading == SOUTH:
        return -col, row
    return -row, -col


@kernel
def approach_rank(heading, odd):
    """Order of the approaches within one tick."""
    if heading == EAST:
        return 2 + odd
    if heading == WEST:
        return 3 - odd
    return heading >> 1  # NORTH 0, SOUTH 1


# --- one tick ---------------------------------------------------------------------------------------------------------
@kernel
def hold_for_ego(map, world, k):
    """Note what ego k reserves: in a junction its way, at an entry its turn; and whether it asks.

    Reads   the map, positions after steering, speeds before
    Writes  vehicles[k].asked_at, .may_enter, world.held
    """
    vehicle = world.vehicles[k]
    had_turn = vehicle.may_enter != 0
    asked_at = vehicle.asked_at
    if had_turn:
        withdraw(map, world, k)
    if junction_of(map, vehicle.cell) >= 0:
        vehicle.may_enter = 1
        way = way_from(map, world.egos[k].goal, vehicle.cell)
        if way >= 0 and way != turned(vehicle.heading, 2):
            hold_cells(map, world, k, vehicle.cell, vehicle.heading)
        else:
            hold_reach(map, world, k)
        return
    distance, entry = entry_ahead(map, world, k)
    if distance < 0:
        vehicle.asked_at = -1
        return
    vehicle.asked_at = asked_at if asked_at >= 0 else world.tick
    if had_turn:
        if world.tick - world.egos[k].granted_at < TURN_TICKS:
            vehicle.may_enter = 1
            hold_cells(map, world, k, next_cell(map, entry, vehicle.heading), vehicle.heading)
        else:
            vehicle.asked_at = world.tick  # it has let its turn pass, and asks behind the others


@kernel
def hold_reach(map, world, k):
    """Let ego k, which is in a junction off its way, hold the free cells that its next action could lead to."""
    vehicle = world.vehicles[k]
    for side in range(4):
        heading = turned(vehicle.heading, side)
        cell = vehicle.cell
        for _ in range(abs(vehicle.speed) + 2):
            if kind(map, cell) == EDGE:
                break
            if map.slots[cell] != 0 and world.held[map.slots[cell] - 1] == 0:
                world.held[map.slots[cell] - 1] = k + 1
            cell = next_cell(map, cell, heading)


@kernel
def let_turns_lapse(map, world):
    """Take back what has been granted to traffic that has not entered, may no longer do so and can still stop.

    Whoever is held back holds back those behind it, who come after it in turn; so does who has changed lane to before
    somebody who has been let in.
    """
    has_lapsed = True
    while has_lapsed:
        has_lapsed = False
        for k in range(world.num_egos, world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING and vehicle.may_enter != 0:
                distance, entry = entry_ahead(map, world, k)
                if distance < braking_distance(vehicle.speed):
                    continue
                s = junction_ahead(map, entry, vehicle.heading)
                is_over = map.junctions[s].control == SIGNALS and colour_for(map, world, s, vehicle.heading) != GREEN
                is_behind = not is_first_at_entry(map, world, vehicle.cell, vehicle.heading, distance)
                if is_over or is_behind or must_give_way(map, world, k, s, entry, True):
                    withdraw(map, world, k)
                    has_lapsed = True


@kernel
def asks_now(map, world, k):
    """Whether vehicle k, which has not been let in, asks for the junction ahead in this tick, be it anew."""
    vehicle = world.vehicles[k]
    distance, entry = entry_ahead(map, world, k)
    if distance < 0 or not is_first_at_entry(map, world, vehicle.cell, vehicle.heading, distance):
        return False
    must_stand = map.junctions[junction_ahead(map, entry, vehicle.heading)].control == ALL_WAY_STOP
    return vehicle.asked_at >= 0 or not must_stand or (distance == 0 and vehicle.speed == 0)


@kernel
def note_requests(map, world):
    """Note which vehicles ask for a junction from now on, and which no longer do; how many wait."""
    waiting = 0
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING or vehicle.may_enter != 0:
            continue
        if not asks_now(map, world, k):
            vehicle.asked_at = -1
        else:
            waiting += 1
            if vehicle.asked_at < 0:
                vehicle.asked_at = world.tick
    return waiting


@kernel
def waits(vehicle):
    """Whether a vehicle has asked and has not been let in."""
    return (vehicle.status == DRIVING) & (vehicle.asked_at >= 0) & (vehicle.may_enter == 0)


@kernel
def asks_for(map, world, k):
    """The entry at which vehicle k, which waits, asks in this tick, and its junction; -1 = none is within reach."""
    _, entry = entry_ahead(map, world, k)
    return entry, junction_ahead(map, entry, world.vehicles[k].heading) if entry >= 0 else -1


@kernel
def grant(map, world, s):
    """Let in whoever comes first of those who ask for junction s (-1 = any) and may be let in; false if nobody may."""
    best = -1
    best_entry = -1
    for k in range(world.num_vehicles):
        if not waits(world.vehicles[k]):
            continue
        entry, asked = asks_for(map, world, k)
        if asked >= 0 and (asked == s or s < 0) and may_be_granted(map, world, k, entry, True):
            if best < 0 or comes_before(map, world, asked, k, best):
                best = k
                best_entry = entry
    if best < 0:
        return False
    let_in(map, world, best, best_entry)
    return True


@kernel
def grant_junctions(map, world, options):
    """Let reservations lapse whose light has left green, or which must give way, in time to stop; note who asks; grant.

    Reads   the map, positions after steering, old speeds, the colours of this tick
    Writes  vehicles[k].asked_at, .may_enter, world.held
    """
    if map.num_junctions == 0 or options.driver_model == UNAWARE:
        return
    for k in range(world.num_egos):
        if world.vehicles[k].status == DRIVING:
            hold_for_ego(map, world, k)
    let_turns_lapse(map, world)
    waiting = note_requests(map, world)
    if map.are_junctions_apart == 0:
        while waiting > 0 and grant(map, world, -1):
            waiting -= 1
        return
    done = 0  # junctions, a bit each
    for k in range(world.num_vehicles if waiting > 0 else 0):
        if not waits(world.vehicles[k]):
            continue
        _, s = asks_for(map, world, k)
        if s >= 0 and done >> s & 1 == 0:
            done |= 1 << s
            while grant(map, world, s):
                pass
