"""Signals, and the reservations by which traffic passes a junction.

A vehicle enters a junction only with a *claim*: the junction cells of its path and the free cell behind it. Claims
are granted in a total order (who asked first; of two who asked in the same tick, by approach), never overlap
between approaches, and are held until the vehicle has reached its exit cell. So nobody ever stops in a junction.
"""

from drivesim.core.following import braking_distance, reach_of
from drivesim.core.jit import kernel
from drivesim.core.map import (
    EAST,
    LEFT_SIDE,
    RIGHT_SIDE,
    STOP_LINE,
    WEST,
    allows,
    kind,
    next_cell,
    turned,
)
from drivesim.core.rng import DRAW_TURN, below, tick_words
from drivesim.core.world import DRIVING, GREEN, RED, UNAWARE, YELLOW

SPLIT_TURNS = 3  # traffic goes left, straight on and right with equal probability
YIELD_DISTANCE = 10  # cells from the line within which a car that must be yielded to counts as approaching


@kernel
def junction_of(map, cell):
    """The junction that a cell belongs to, -1 = none."""
    if map.num_junctions == 0:
        return -1
    return int(map.junction[cell]) - 1


@kernel
def colour_at(junction, lamp, axis, tick):
    """The colour that a signal shows to one axis (0 north-south, 1 east-west) at a tick."""
    cycle = junction.green_0 + junction.green_1 + 2 * (junction.yellow + junction.all_red)
    time = (tick + lamp.cycle_start) % cycle
    green = junction.green_0
    if axis == 1:
        time -= junction.green_0 + junction.yellow + junction.all_red
        green = junction.green_1
    if time < 0 or time >= green + junction.yellow:
        return RED
    if time < green:
        return GREEN
    return YELLOW


@kernel
def update_signals(map, world):
    """Show what holds when the next action acts."""
    for s in range(map.num_junctions):
        lamp = world.lamps[s]
        lamp.colour_0 = colour_at(map.junctions[s], lamp, 0, world.tick)
        lamp.colour_1 = colour_at(map.junctions[s], lamp, 1, world.tick)


@kernel
def colour_for(world, s, heading):
    """The colour that the signal of junction s shows to a vehicle driving in `heading`."""
    if heading & 1 == 1:
        return world.lamps[s].colour_1
    return world.lamps[s].colour_0


@kernel
def line_junction(map, cell, heading):
    """The junction behind the stop line on a cell, for whoever drives in `heading`; -1 if there is no such line."""
    if kind(map, cell) != STOP_LINE or not allows(map, cell, heading):
        return -1
    return junction_of(map, next_cell(map, cell, heading))


@kernel
def cells_to_line(map, cell, heading, distance):
    """Cells straight ahead to a stop line, and its cell: 0 when standing on it; (-1, -1) if none within `distance`.

    Another vehicle in between does not hide the line.
    """
    for n in range(distance + 1):
        if not allows(map, cell, heading):
            return -1, -1
        if kind(map, cell) == STOP_LINE:
            return n, cell
        cell = next_cell(map, cell, heading)
    return -1, -1


@kernel
def is_first_at_line(map, world, cell, heading, distance):
    """Whether nobody stands between a cell and the stop line `distance` cells ahead."""
    for _ in range(distance):
        cell = next_cell(map, cell, heading)
        if world.occupants[cell] != 0:
            return False
    return True


@kernel
def path_through(map, line, heading, next_turn):
    """The way through the junction behind a line: (junction, claim, exit cell).

    Args:
        map: the map.
        line: the stop line's cell.
        heading: in which it is passed.
        next_turn: LEFT_SIDE, 0 or RIGHT_SIDE.

    Returns:
        `claim` has one bit per place of the junction; the exit cell is -1 if the way leads nowhere.
    """
    cell = next_cell(map, line, heading)
    s = junction_of(map, cell)
    claim = 0
    if s < 0:
        return -1, 0, -1
    while junction_of(map, cell) == s:
        claim |= 1 << int(map.place[cell])
        if next_turn != 0 and allows(map, cell, turned(heading, next_turn)):
            heading = turned(heading, next_turn)
            next_turn = 0
        cell = next_cell(map, cell, heading)
    if not allows(map, cell, heading):
        cell = -1
    return s, claim, cell


@kernel
def claim_conflicts(world, k, claim, exit_cell):
    """Whether somebody else holds a junction cell or the exit that vehicle k would need."""
    for j in range(world.num_egos, world.num_vehicles):
        other = world.vehicles[j]
        if j != k and other.status == DRIVING and other.claim != 0:
            if other.claim & claim != 0 or other.exit_cell == exit_cell:
                return True
    return False


@kernel
def must_yield_to_ego(map, world, k, s):
    """Whether traffic vehicle k leaves junction s to an ego.

    To one that is in the junction; and, turning left, to one that comes towards it and does not turn left itself. In a
    mirrored world, that is right.
    """
    vehicle = world.vehicles[k]
    across = RIGHT_SIDE if world.is_mirrored != 0 else LEFT_SIDE
    for c in range(world.num_egos):
        ego = world.vehicles[c]
        if ego.status != DRIVING:
            continue
        if junction_of(map, ego.cell) == s:
            return True
        if vehicle.next_turn == across and ego.next_turn != across and ego.speed > 0:
            if ego.heading == turned(vehicle.heading, 2):
                if cells_to_line(map, ego.cell, ego.heading, YIELD_DISTANCE)[0] >= 0:
                    return True
    return False


@kernel
def may_be_granted(map, world, k):
    """Whether vehicle k, which has asked, could have its claim now: (yes, claim, exit cell)."""
    vehicle = world.vehicles[k]
    _, line = cells_to_line(map, vehicle.cell, vehicle.heading, reach_of(vehicle))
    if line < 0:
        return False, 0, -1
    s, claim, exit_cell = path_through(map, line, vehicle.heading, vehicle.next_turn)
    if s < 0 or exit_cell < 0 or colour_for(world, s, vehicle.heading) != GREEN:
        return False, 0, -1
    if world.occupants[exit_cell] != 0 or claim_conflicts(world, k, claim, exit_cell):
        return False, 0, -1
    if must_yield_to_ego(map, world, k, s):
        return False, 0, -1
    return True, claim, exit_cell


@kernel
def comes_before(world, a, b):
    """Whether vehicle a is granted before vehicle b: who asked first, then by approach.

    Of two who asked in one tick, northbound goes before southbound and these before the others; east and west take
    turns with the tick's parity, so that a mirrored world decides the mirror image.
    """
    first = world.vehicles[a]
    second = world.vehicles[b]
    if first.asked_at != second.asked_at:
        return first.asked_at < second.asked_at
    odd = (world.tick + world.is_mirrored) & 1
    return approach_rank(first.heading, odd) < approach_rank(second.heading, odd)


@kernel
def approach_rank(heading, odd):
    """Order of the approaches within one tick."""
    if heading == EAST:
        return 2 + odd
    if heading == WEST:
        return 3 - odd
    return heading >> 1  # NORTH 0, SOUTH 1


@kernel
def withdraw(vehicle):
    """Give a claim back."""
    vehicle.claim = 0
    vehicle.exit_cell = -1
    vehicle.asked_at = -1


@kernel
def grant_junctions(map, world, options):
    """Let claims lapse whose light has left green, or which must yield, in time to stop; note who asks; grant in order.

    Reads   the map, positions after steering, old speeds, the colours of this tick
    Writes  vehicles[k].asked_at, .claim, .exit_cell of traffic
    """
    if map.num_junctions == 0 or options.driver_model == UNAWARE:
        return
    waiting = 0
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        distance, line = cells_to_line(map, vehicle.cell, vehicle.heading, reach_of(vehicle))
        if distance < 0:
            continue
        if vehicle.claim != 0:
            s = line_junction(map, line, vehicle.heading)
            if colour_for(world, s, vehicle.heading) != GREEN or must_yield_to_ego(map, world, k, s):
                if braking_distance(vehicle.speed) <= distance:
                    withdraw(vehicle)
        elif is_first_at_line(map, world, vehicle.cell, vehicle.heading, distance):
            if vehicle.asked_at < 0:
                vehicle.asked_at = world.tick
            waiting += 1
    while waiting > 0:
        best = -1
        best_claim = 0
        best_exit = -1
        for k in range(world.num_egos, world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING and vehicle.asked_at >= 0 and vehicle.claim == 0:
                if best < 0 or comes_before(world, k, best):
                    granted, claim, exit_cell = may_be_granted(map, world, k)
                    if granted:
                        best = k
                        best_claim = claim
                        best_exit = exit_cell
        if best < 0:
            return
        world.vehicles[best].claim = best_claim
        world.vehicles[best].exit_cell = best_exit
        waiting -= 1


@kernel
def release_claim(world, k):
    """Vehicle k has reached its exit cell: free the junction and choose the next turn."""
    vehicle = world.vehicles[k]
    withdraw(vehicle)
    word = tick_words(world, DRAW_TURN, k)[0]
    turn = below(word, SPLIT_TURNS) - 1
    vehicle.next_turn = -turn if world.is_mirrored != 0 else turn
