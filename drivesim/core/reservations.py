"""Reservations: the cells by which a vehicle passes a junction, held for it by their slots.

A way leads from an entry through the junction's cells, and through crosswalks directly before and behind it, to the
first cell behind: the exit. Who holds what is `world.held`, by `map.slots`.
"""

from drivesim.core.following import reach_of
from drivesim.core.jit import kernel
from drivesim.core.map import (
    CROSSWALK,
    allows,
    cell_behind,
    give_slot,
    heading_on,
    is_within,
    junction_ahead,
    kind,
    next_cell,
)
from drivesim.core.world import DRIVING, leave, withdraw


@kernel
def destination_of(world, k):
    """The destination to which vehicle k is on its way, an ego to its goal."""
    return world.egos[k].goal if k < world.num_egos else world.vehicles[k].destination


@kernel
def cells_to_entry(map, cell, heading, destination, distance):
    """Cells straight ahead to an entry, and its cell: 0 when standing on it; (-1, -1) if none within `distance`.

    Another vehicle in between does not hide it, a turn of the way does.
    """
    for n in range(distance + 1):
        if not allows(map, cell, heading) or heading_on(map, destination, cell, heading) != heading:
            return -1, -1
        if junction_ahead(map, cell, heading) >= 0:
            return n, cell
        cell = next_cell(map, cell, heading)
    return -1, -1


@kernel
def entry_ahead(map, world, k):
    """Cells to the entry for which vehicle k has to ask now, and its cell; (-1, -1) if there is none within reach.

    An ego asks where it stands.
    """
    vehicle = world.vehicles[k]
    distance = 0 if k < world.num_egos else reach_of(vehicle)
    if k < world.num_egos and vehicle.speed != 0:
        return -1, -1
    return cells_to_entry(map, vehicle.cell, vehicle.heading, destination_of(world, k), distance)


@kernel
def is_first_at_entry(map, world, cell, heading, distance):
    """Whether nobody between a cell and the entry `distance` cells ahead still waits to be let in."""
    for _ in range(distance):
        cell = next_cell(map, cell, heading)
        if world.occupants[cell] != 0 and world.vehicles[int(world.occupants[cell]) - 1].may_enter == 0:
            return False
    return True


@kernel
def exit_of(map, entry, heading, destination):
    """The first cell behind the junction on the way from an entry, and the heading there; (-1, heading) without one."""
    cell = next_cell(map, entry, heading)
    for _ in range(map.num_slots):
        if not is_within(map, cell):
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)
    if not allows(map, cell, heading) or is_within(map, cell):
        return -1, heading
    return cell, heading


@kernel
def has_room_behind(map, world, entry, heading, destination, needed):
    """Whether so many cells in a row are empty from the exit of a way on."""
    cell, heading = exit_of(map, entry, heading, destination)
    for _ in range(needed):
        if cell < 0 or world.occupants[cell] != 0 or not allows(map, cell, heading):
            return False
        cell = next_cell(map, cell, heading)
    return True


@kernel
def is_ahead_on_way(map, world, k, entry, j):
    """Whether vehicle j drives on vehicle k's way, between its entry and the exit."""
    destination = destination_of(world, k)
    heading = world.vehicles[k].heading
    other = world.vehicles[j]
    cell = next_cell(map, entry, heading)
    for _ in range(map.num_slots):
        if cell == other.cell:
            return other.heading == heading or other.heading == heading_on(map, destination, cell, heading)
        if not is_within(map, cell):
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)
    return False


@kernel
def is_held_by_others(map, world, k, entry):
    """Whether somebody else has reserved a cell of vehicle k's way through the junction behind an entry, or its exit.

    Those ahead on the same way are no hindrance if as many free cells lie behind the junction as they and k need: so a
    platoon keeps its speed.
    """
    destination = destination_of(world, k)
    heading = world.vehicles[k].heading
    cell = next_cell(map, entry, heading)
    num_ahead = 0
    last = -1
    for _ in range(map.num_slots):
        holder = int(world.held[map.slots[cell] - 1]) - 1 if map.slots[cell] != 0 else -1
        if holder >= 0 and holder != k and holder != last:
            if not is_ahead_on_way(map, world, k, entry, holder):
                return True
            last = holder
            num_ahead += 1
        if not is_within(map, cell):
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)
    return num_ahead > 0 and not has_room_behind(
        map, world, entry, world.vehicles[k].heading, destination, num_ahead + 1
    )


@kernel
def hold_cells(map, world, k, cell, heading, is_polite):
    """Reserve vehicle k's way from a cell to the exit; with `is_polite` only what is free."""
    destination = destination_of(world, k)
    for _ in range(map.num_slots):
        if map.slots[cell] != 0 and (not is_polite or world.held[map.slots[cell] - 1] == 0):
            world.held[map.slots[cell] - 1] = k + 1
        if not is_within(map, cell):
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)


@kernel
def let_in(map, world, k, entry):
    """Reserve vehicle k's way through the junction behind an entry."""
    vehicle = world.vehicles[k]
    hold_cells(map, world, k, next_cell(map, entry, vehicle.heading), vehicle.heading, False)
    vehicle.may_enter = 1
    if k < world.num_egos:
        world.egos[k].granted_at = world.tick


@kernel
def give_back(map, world, k):
    """Vehicle k gives back all that it has reserved; those ahead on the same way hold their cells again."""
    withdraw(map, world, k)
    for j in range(world.num_vehicles):
        other = world.vehicles[j]
        if j == k or other.status != DRIVING or other.may_enter == 0:
            continue
        if is_within(map, other.cell):
            hold_cells(map, world, j, other.cell, other.heading, True)
        else:
            _, entry = entry_ahead(map, world, j)
            if entry >= 0:
                hold_cells(map, world, j, next_cell(map, entry, other.heading), other.heading, True)


@kernel
def leave_world(map, world, k):
    """Take vehicle k, which has crashed or arrived, out of the traffic."""
    leave(world, k)
    vehicle = world.vehicles[k]
    vehicle.status = vehicle.next_status
    vehicle.next_status = 0
    if vehicle.may_enter != 0:
        give_back(map, world, k)
    vehicle.asked_at = -1


@kernel
def do_ways_cross(map, world, a, entry_a, b, entry_b):
    """Whether the ways of two vehicles through a junction, from their entries to their exits, share a cell."""
    heading_a = world.vehicles[a].heading
    cell_a = next_cell(map, entry_a, heading_a)
    for _ in range(map.num_slots):
        heading_b = world.vehicles[b].heading
        cell_b = next_cell(map, entry_b, heading_b)
        for _ in range(map.num_slots):
            if cell_a == cell_b:
                return True
            if not is_within(map, cell_b):
                break
            heading_b = heading_on(map, destination_of(world, b), cell_b, heading_b)
            cell_b = next_cell(map, cell_b, heading_b)
        if not is_within(map, cell_a):
            break
        heading_a = heading_on(map, destination_of(world, a), cell_a, heading_a)
        cell_a = next_cell(map, cell_a, heading_a)
    return False


@kernel
def ticks_to_pass(map, world, k, entry):
    """Ticks within which vehicle k leaves the junction behind its entry, at the speed of a turn."""
    destination = destination_of(world, k)
    heading = world.vehicles[k].heading
    cell = next_cell(map, entry, heading)
    ticks = 1
    for _ in range(map.num_slots):
        ticks += 1
        if not is_within(map, cell):
            break
        heading = heading_on(map, destination, cell, heading)
        cell = next_cell(map, cell, heading)
    return ticks


@kernel
def release_passed(map, world, k):
    """After the advance, traffic vehicle k gives back the cells that it has passed; whether it has reached its exit."""
    vehicle = world.vehicles[k]
    cell = vehicle.cell
    for _ in range(vehicle.speed):
        before = cell
        if map.slots[before] != 0 and world.held[map.slots[before] - 1] == k + 1:
            world.held[map.slots[before] - 1] = 0
        cell = next_cell(map, before, vehicle.heading)
        # Crosswalks that belong to no junction need no reservation.
        if map.slots[before] != 0 and is_within(map, before) and not is_within(map, cell):
            withdraw(map, world, k)
            return True
    return False


@kernel
def number_slots(map):
    """Let every cell be reserved that is passed with a junction, and every exit; in reading order of the junctions."""
    num_cells = (map.rows + 2) * map.width
    for cell in range(num_cells):
        if map.junction[cell] == 0:
            continue
        give_slot(map, cell)
        for heading in range(4):
            if not allows(map, cell, heading):
                continue
            behind = next_cell(map, cell, heading)
            while kind(map, behind) == CROSSWALK and map.junction[behind] == 0 and map.slots[behind] == 0:
                give_slot(map, behind)
                behind = next_cell(map, behind, heading)
            give_slot(map, behind)
            before = cell_behind(map, cell, heading)
            while kind(map, before) == CROSSWALK and map.junction[before] == 0 and map.slots[before] == 0:
                give_slot(map, before)
                before = cell_behind(map, before, heading)
