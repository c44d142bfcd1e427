"""Signals, and the reservations by which traffic passes a junction.

A vehicle enters a junction only with a *claim*: the junction cells of its path and the free cell behind it. Claims
are granted in a total order (who asked first; of two who asked in the same tick, by approach), never overlap
between approaches, and are held until the vehicle has reached its exit cell. So nobody ever stops in a junction.
"""

from drivesim.core.jit import kernel
from drivesim.core.rng import DRAW_TURN, below, lane_words
from drivesim.core.traffic import braking_distance
from drivesim.core.world import (
    DRIVING,
    EAST,
    GREEN,
    LEFT_SIDE,
    RED,
    RIGHT_SIDE,
    STOP_LINE,
    UNAWARE,
    WEST,
    YELLOW,
    allows,
    cell_at,
    col_step,
    kind,
    row_step,
    turned,
)

SPLIT_TURNS = 3  # traffic goes left, straight on and right with equal probability
YIELD_DISTANCE = 10  # cells from the line within which a car that must be yielded to counts as approaching


@kernel
def colour_at(signal, axis, tick):
    """The colour that a signal shows to one axis (0 north-south, 1 east-west) at a tick."""
    cycle = signal.green_0 + signal.green_1 + 2 * (signal.yellow + signal.all_red)
    time = (tick + signal.offset) % cycle
    green = int(signal.green_0)
    if axis == 1:
        time -= signal.green_0 + signal.yellow + signal.all_red
        green = int(signal.green_1)
    if time < 0 or time >= green + signal.yellow:
        return RED
    if time < green:
        return GREEN
    return YELLOW


@kernel
def update_signals(world):
    """Show what holds when the next action acts."""
    for s in range(world.num_signals):
        signal = world.signals[s]
        signal.colour_0 = colour_at(signal, 0, world.tick)
        signal.colour_1 = colour_at(signal, 1, world.tick)


@kernel
def colour_for(world, s, heading):
    """The colour that signal s shows to a vehicle driving in `heading`."""
    if heading & 1 == 1:
        return int(world.signals[s].colour_1)
    return int(world.signals[s].colour_0)


@kernel
def signal_at(world, row, col):
    """The signal whose junction contains a cell, -1 = none."""
    for s in range(world.num_signals):
        signal = world.signals[s]
        if signal.row <= row < signal.row + signal.height and signal.col <= col < signal.col + signal.width:
            return s
    return -1


@kernel
def cells_to_line(world, k, distance):
    """Cells from vehicle k to the stop line on its path, 0 when standing on it; -1 if none within `distance`.

    Another vehicle in between does not hide the line.
    """
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    for n in range(distance + 1):
        cell = cell_at(world, int(vehicle.row) + row_step(heading) * n, int(vehicle.col) + col_step(heading) * n, True)
        if cell < 0:
            return -1
        bits = int(world.cells[cell])
        if not allows(bits, heading):
            return -1
        if kind(bits) == STOP_LINE:
            return n
    return -1


@kernel
def is_first_at_line(world, k, distance):
    """Whether no vehicle stands between k and the stop line `distance` cells ahead."""
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    for n in range(1, distance + 1):
        cell = cell_at(world, int(vehicle.row) + row_step(heading) * n, int(vehicle.col) + col_step(heading) * n, True)
        if world.occupants[cell] != 0:
            return False
    return True


@kernel
def path_through(world, k, distance):
    """The way of vehicle k through the junction behind the line `distance` ahead: (signal, claim, exit cell).

    `claim` has one bit per cell of the junction's box. The exit cell is -1 if the way leads nowhere.
    """
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    row = int(vehicle.row) + row_step(heading) * (distance + 1)
    col = int(vehicle.col) + col_step(heading) * (distance + 1)
    turn = int(vehicle.turn)
    s = signal_at(world, row, col)
    claim = 0
    if s < 0:
        return -1, 0, -1
    signal = world.signals[s]
    while signal_at(world, row, col) == s:
        claim |= 1 << ((row - int(signal.row)) * int(signal.width) + col - int(signal.col))
        if turn != 0 and allows(world.cells[row * int(world.cols) + col], turned(heading, turn)):
            heading = turned(heading, turn)
            turn = 0
        row += row_step(heading)
        col += col_step(heading)
    cell = cell_at(world, row, col, True)
    if cell >= 0 and not allows(world.cells[cell], heading):
        cell = -1
    return s, claim, cell


@kernel
def claim_conflicts(world, k, claim, exit_cell):
    """Whether somebody else holds a junction cell or the exit that vehicle k would need."""
    for j in range(world.num_controlled, world.num_vehicles):
        other = world.vehicles[j]
        if j != k and other.status == DRIVING and other.claim != 0:
            if other.claim & claim != 0 or other.exit_cell == exit_cell:
                return True
    return False


@kernel
def must_yield_to_controlled(world, k, s):
    """Whether traffic vehicle k leaves the junction to a controlled car.

    To one that is in the junction; and, turning left, to one that comes towards it and does not turn left itself. In a
    mirrored world, that is right.
    """
    vehicle = world.vehicles[k]
    across = RIGHT_SIDE if world.parity & 1 == 1 else LEFT_SIDE
    for c in range(world.num_controlled):
        car = world.vehicles[c]
        if car.status != DRIVING:
            continue
        if signal_at(world, int(car.row), int(car.col)) == s:
            return True
        if vehicle.turn == across and car.turn != across and car.speed > 0:
            if car.heading == turned(vehicle.heading, 2) and cells_to_line(world, c, YIELD_DISTANCE) >= 0:
                return True
    return False


@kernel
def may_be_granted(world, k):
    """Whether vehicle k, which has asked, could have its claim now: (yes, claim, exit cell)."""
    vehicle = world.vehicles[k]
    distance = cells_to_line(world, k, ask_distance(vehicle))
    s, claim, exit_cell = path_through(world, k, distance)
    if s < 0 or exit_cell < 0 or colour_for(world, s, int(vehicle.heading)) != GREEN:
        return False, 0, -1
    if world.occupants[exit_cell] != 0 or claim_conflicts(world, k, claim, exit_cell):
        return False, 0, -1
    if must_yield_to_controlled(world, k, s):
        return False, 0, -1
    return True, claim, exit_cell


@kernel
def ask_distance(vehicle):
    """How many cells before the line a driver asks: just early enough not to have to brake for it."""
    wish = min(int(vehicle.speed) + 1, int(vehicle.limit))
    return wish * (wish + 1) // 2


@kernel
def comes_before(world, a, b):
    """Whether vehicle a is granted before vehicle b: who asked first, then by approach.

    Of two who asked in one tick, northbound goes before southbound and these before the others; east and west take
    turns with the tick's parity, so that a mirrored world decides the mirror image.
    """
    first = world.vehicles[a]
    second = world.vehicles[b]
    if first.asked != second.asked:
        return first.asked < second.asked
    odd = (world.tick + world.parity) & 1
    return approach_rank(int(first.heading), odd) < approach_rank(int(second.heading), odd)


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
    vehicle.asked = -1


@kernel
def grant_junctions(world, rules):
    """Let claims lapse whose light has left green, or which must yield, in time to stop; note who asks; grant in order.

    Reads   positions after steering, old speeds, the colours of this tick
    Writes  vehicles[k].asked, .claim, .exit_cell of traffic
    """
    if world.num_signals == 0 or rules.driver_model == UNAWARE:
        return
    waiting = 0
    for k in range(world.num_controlled, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        distance = cells_to_line(world, k, ask_distance(vehicle))
        if distance < 0:
            continue
        if vehicle.claim != 0:
            row = int(vehicle.row) + row_step(vehicle.heading) * (distance + 1)
            col = int(vehicle.col) + col_step(vehicle.heading) * (distance + 1)
            s = signal_at(world, row, col)
            if colour_for(world, s, int(vehicle.heading)) != GREEN or must_yield_to_controlled(world, k, s):
                if braking_distance(int(vehicle.speed)) <= distance:
                    withdraw(vehicle)
        elif is_first_at_line(world, k, distance):
            if vehicle.asked < 0:
                vehicle.asked = world.tick
            waiting += 1
    while waiting > 0:
        best = -1
        best_claim = 0
        best_exit = -1
        for k in range(world.num_controlled, world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING and vehicle.asked >= 0 and vehicle.claim == 0:
                if best < 0 or comes_before(world, k, best):
                    granted, claim, exit_cell = may_be_granted(world, k)
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
    word = lane_words(world, DRAW_TURN, k)[0]
    turn = below(word, SPLIT_TURNS) - 1
    vehicle.turn = -turn if world.parity & 1 == 1 else turn
