"""Signals, and the reservations by which traffic passes a junction.

A vehicle enters a junction only when it has reserved the junction's cells on its way and the free cell behind it, its
exit. Reservations are granted in a total order (who asked first; of two who asked in the same tick, by approach), never
overlap, and are held until the vehicle has reached its exit. So nobody ever stops in a junction.
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
    give_slot,
    heading_on,
    kind,
    next_cell,
    next_cell_for_ego,
    turned,
)
from drivesim.core.world import DRIVING, GREEN, RED, UNAWARE, YELLOW, withdraw

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
def cells_to_line(map, cell, heading, distance, is_ego):
    """Cells straight ahead to a stop line, and its cell: 0 when standing on it; (-1, -1) if none within `distance`.

    Another vehicle in between does not hide the line; for an ego, the map's edge does.
    """
    for n in range(distance + 1):
        if not allows(map, cell, heading):
            return -1, -1
        if kind(map, cell) == STOP_LINE:
            return n, cell
        cell = next_cell_for_ego(map, cell, heading) if is_ego else next_cell(map, cell, heading)
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
def exit_of(map, line, heading, destination):
    """The first cell behind the junction on the way from a line, and the heading there; (-1, heading) without one."""
    cell = next_cell(map, line, heading)
    s = junction_of(map, cell)
    for _ in range(map.num_slots):
        if junction_of(map, cell) != s:
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)
    if not allows(map, cell, heading):
        return -1, heading
    return cell, heading


@kernel
def is_held_by_others(map, world, k, line, heading, destination):
    """Whether somebody else has reserved a cell of vehicle k's way through the junction behind a line, or its exit."""
    cell = next_cell(map, line, heading)
    s = junction_of(map, cell)
    for _ in range(map.num_slots):
        if map.slots[cell] == 0:
            break
        holder = world.held[map.slots[cell] - 1]
        if holder != 0 and holder != k + 1:
            return True
        if junction_of(map, cell) != s:
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)
    return False


@kernel
def hold_way(map, world, k, line):
    """Reserve vehicle k's way through the junction behind a line, and the first cell behind it."""
    vehicle = world.vehicles[k]
    heading = vehicle.heading
    cell = next_cell(map, line, heading)
    s = junction_of(map, cell)
    for _ in range(map.num_slots):
        if map.slots[cell] == 0:
            break
        world.held[map.slots[cell] - 1] = k + 1
        if junction_of(map, cell) != s:
            break
        heading = heading_on(map, vehicle.destination, cell, heading)
        cell = next_cell(map, cell, heading)
    vehicle.may_enter = 1


@kernel
def must_yield_to_ego(map, world, k, s, line):
    """Whether traffic vehicle k leaves junction s, behind a line, to an ego.

    To one that is in the junction; and, turning left, to one that comes towards it and does not turn left itself. In a
    mirrored world, that is right.
    """
    vehicle = world.vehicles[k]
    across = RIGHT_SIDE if world.is_mirrored != 0 else LEFT_SIDE
    _, exit_heading = exit_of(map, line, vehicle.heading, vehicle.destination)
    crosses = exit_heading == turned(vehicle.heading, across)
    for c in range(world.num_egos):
        ego = world.vehicles[c]
        if ego.status != DRIVING:
            continue
        if junction_of(map, ego.cell) == s:
            return True
        if crosses and ego.speed > 0 and world.egos[c].next_turn != across:
            if ego.heading == turned(vehicle.heading, 2):
                if cells_to_line(map, ego.cell, ego.heading, YIELD_DISTANCE, True)[0] >= 0:
                    return True
    return False


@kernel
def may_be_granted(map, world, k, line):
    """Whether vehicle k, which has asked at a line, could have its way through the junction behind it now."""
    vehicle = world.vehicles[k]
    s = line_junction(map, line, vehicle.heading)
    if s < 0 or colour_for(world, s, vehicle.heading) != GREEN:
        return False
    exit_cell, _ = exit_of(map, line, vehicle.heading, vehicle.destination)
    if exit_cell < 0 or world.occupants[exit_cell] != 0:
        return False
    if is_held_by_others(map, world, k, line, vehicle.heading, vehicle.destination):
        return False
    return not must_yield_to_ego(map, world, k, s, line)


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
def line_ahead(map, vehicle):
    """Cells to the line at which a vehicle has to ask now, and its cell; (-1, -1) if there is none within reach."""
    return cells_to_line(map, vehicle.cell, vehicle.heading, reach_of(vehicle), False)


@kernel
def grant_junctions(map, world, options):
    """Let reservations lapse whose light has left green, or which must yield, in time to stop; note who asks; grant.

    Reads   the map, positions after steering, old speeds, the colours of this tick
    Writes  vehicles[k].asked_at, .may_enter of traffic, world.held
    """
    if map.num_junctions == 0 or options.driver_model == UNAWARE:
        return
    waiting = 0
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        distance, line = line_ahead(map, vehicle)
        if distance < 0:
            continue
        if vehicle.may_enter != 0:
            s = line_junction(map, line, vehicle.heading)
            if colour_for(world, s, vehicle.heading) != GREEN or must_yield_to_ego(map, world, k, s, line):
                if braking_distance(vehicle.speed) <= distance:
                    withdraw(map, world, k)
        elif is_first_at_line(map, world, vehicle.cell, vehicle.heading, distance):
            if vehicle.asked_at < 0:
                vehicle.asked_at = world.tick
            waiting += 1
    while waiting > 0:
        best = -1
        best_line = -1
        for k in range(world.num_egos, world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING and vehicle.asked_at >= 0 and vehicle.may_enter == 0:
                if best < 0 or comes_before(world, k, best):
                    _, line = line_ahead(map, vehicle)
                    if line >= 0 and may_be_granted(map, world, k, line):
                        best = k
                        best_line = line
        if best < 0:
            return
        hold_way(map, world, best, best_line)
        waiting -= 1


@kernel
def number_slots(map):
    """Let every cell of a junction be reserved, and every cell that a way leads to from one; in reading order."""
    num_cells = (map.rows + 2) * map.width
    for cell in range(num_cells):
        if map.junction[cell] != 0:
            give_slot(map, cell)
            for heading in range(4):
                if allows(map, cell, heading):
                    give_slot(map, next_cell(map, cell, heading))
