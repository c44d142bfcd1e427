"""Reservations: the cells by which a vehicle passes a junction, held for it by their slots.

A way leads from an entry through the junction's cells, and through crosswalks directly before and behind it, to the
first cell behind: the exit. Who holds what is `world.held`, by `map.slots`.
"""

from drivesim.core.crosswalks import is_crossed, is_waited_for
from drivesim.core.following import reach_of
from drivesim.core.jit import kernel
from drivesim.core.map import (
    CROSSWALK,
    allows,
    cell_behind,
    heading_on,
    is_with_junction,
    junction_ahead,
    junction_of,
    kind,
    next_cell,
    onward,
)
from drivesim.core.open_road import is_plain_entry, open_cells
from drivesim.core.painting import give_slot
from drivesim.core.world import DRIVING, withdraw

ENTRY_SIGHT = 22  # cells: whoever has been let in sees its entry


@kernel
def destination_of(world, k):
    """The destination to which vehicle k is on its way, an ego to its goal."""
    return world.egos[k].goal if k < world.num_egos else world.vehicles[k].destination


@kernel
def cells_to_entry(map, cell, heading, destination, distance):
    """Cells straight ahead to an entry, and its cell: 0 when standing on it; (-1, -1) if none within `distance`.

    Another vehicle in between does not hide it, a turn of the way does.
    """
    begin = open_cells(map, cell, heading)
    if begin > distance:
        return -1, -1
    cell += begin * map.steps[heading]
    if is_plain_entry(map, cell, heading):
        return begin, cell
    for n in range(begin, distance + 1):
        if not allows(map, cell, heading) or heading_on(map, destination, cell, heading) != heading:
            return -1, -1
        if junction_ahead(map, cell, heading) >= 0:
            return n, cell
        cell = next_cell(map, cell, heading)
    return -1, -1


@kernel
def entry_ahead(map, world, k):
    """Cells to the entry for which vehicle k has to ask now, and its cell; (-1, -1) if there is none within reach.

    An ego asks where it stands. Whoever has been let in keeps it in sight.
    """
    vehicle = world.vehicles[k]
    distance = 0 if k < world.num_egos else (ENTRY_SIGHT if vehicle.may_enter != 0 else reach_of(vehicle))
    if open_cells(map, vehicle.cell, vehicle.heading) > distance:
        return -1, -1
    if is_with_junction(map, vehicle.cell) or (k < world.num_egos and vehicle.speed != 0):
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
        if not is_with_junction(map, cell):
            break
        cell, heading = onward(map, destination, cell, heading)
    if not allows(map, cell, heading) or is_with_junction(map, cell):
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
def way_in(map, world, k):
    """The first cell that vehicle k still has to pass with its junction, and its heading there; (-1, heading) if none.

    Its own if it is inside already, else the one behind its entry.
    """
    vehicle = world.vehicles[k]
    if is_with_junction(map, vehicle.cell):
        return vehicle.cell, vehicle.heading
    _, entry = entry_ahead(map, world, k)
    return (next_cell(map, entry, vehicle.heading) if entry >= 0 else -1), vehicle.heading


@kernel
def comes_to(map, world, j, passed):
    """Whether vehicle j still has to pass a cell with the junction that it is in, or its exit."""
    cell, heading = way_in(map, world, j)
    for _ in range(map.num_slots):
        if cell < 0 or cell == passed:
            return cell >= 0
        if not is_with_junction(map, cell):
            return False
        cell, heading = onward(map, destination_of(world, j), cell, heading)
    return False


@kernel
def is_ahead_on_way(map, world, k, j):
    """Whether vehicle j drives ahead of vehicle k on k's way, up to its exit, and does not come back towards k."""
    destination = destination_of(world, k)
    heading = world.vehicles[k].heading
    other = world.vehicles[j]
    cell = world.vehicles[k].cell
    has_entered = is_with_junction(map, cell)
    for _ in range(map.num_slots + ENTRY_SIGHT):
        way = heading_on(map, destination, cell, heading)
        if cell == other.cell:
            return other.heading == heading or other.heading == way
        if is_with_junction(map, cell):
            has_entered = True
            if comes_to(map, world, j, cell):
                return False
        elif has_entered:
            return False
        heading = way
        cell = next_cell(map, cell, heading)
    return False


@kernel
def is_held_by_others(map, world, k, first):
    """Whether somebody whom vehicle k does not follow has reserved a cell of its way, from cell `first` to its exit.

    `first` is the cell behind its entry or, in a junction, its own.
    """
    destination = destination_of(world, k)
    cell = first
    heading = world.vehicles[k].heading
    for _ in range(map.num_slots):
        holder = int(world.held[map.slots[cell] - 1]) - 1 if map.slots[cell] != 0 else -1
        if holder >= 0 and holder != k and not is_ahead_on_way(map, world, k, holder):
            return True
        if not is_with_junction(map, cell):
            break
        cell, heading = onward(map, destination, cell, heading)
    return False


@kernel
def is_elsewhere(map, world, j, s):
    """Whether vehicle j, which has been let in, passes another junction than s and can be in nobody's way there."""
    if map.are_junctions_apart == 0:
        return False
    vehicle = world.vehicles[j]
    passed = junction_of(map, vehicle.cell)
    if passed < 0:
        _, entry = entry_ahead(map, world, j)
        passed = junction_ahead(map, entry, vehicle.heading) if entry >= 0 else s
    return passed != s


@kernel
def is_taken(map, world, k, entry):
    """Whether somebody who has been let in, or an ego in the junction, is in the way of vehicle k behind an entry.

    Those ahead on the same way are no hindrance if as many free cells lie behind the junction as they and k need: so a
    platoon keeps its speed.
    """
    heading = world.vehicles[k].heading
    first = next_cell(map, entry, heading)
    s = junction_ahead(map, entry, heading)
    num_ahead = 0
    for j in range(world.num_vehicles):
        other = world.vehicles[j]
        if j == k or other.status != DRIVING or other.may_enter == 0 or is_elsewhere(map, world, j, s):
            continue
        if is_ahead_on_way(map, world, k, j):
            num_ahead += 1
        elif do_ways_cross(map, world, k, first, j):
            return True
    if is_held_by_others(map, world, k, first):
        return True
    return num_ahead > 0 and not has_room_behind(map, world, entry, heading, destination_of(world, k), num_ahead + 1)


@kernel
def people_go_first(map, world, k, entry, waited):
    """Whether somebody is on a crosswalk that vehicle k, which asks, passes with its junction, or goes before k.

    Who has run out of patience goes before those who have not, and of two who have, who has waited longer: `waited`
    ticks for k, 0 if it still has patience.
    """
    heading = world.vehicles[k].heading
    cell = next_cell(map, entry, heading)
    for _ in range(map.num_slots):
        if not is_with_junction(map, cell):
            break
        if kind(map, cell) == CROSSWALK:
            if is_crossed(map, world, cell) or is_waited_for(map, world, cell, waited):
                return True
        cell, heading = onward(map, destination_of(world, k), cell, heading)
    return False


@kernel
def hold_cells(map, world, k, cell, heading):
    """Reserve what is free of vehicle k's way from a cell to the exit."""
    destination = destination_of(world, k)
    for _ in range(map.num_slots):
        if map.slots[cell] != 0 and world.held[map.slots[cell] - 1] == 0:
            world.held[map.slots[cell] - 1] = k + 1
        if not is_with_junction(map, cell):
            break
        cell, heading = onward(map, destination, cell, heading)


@kernel
def let_in(map, world, k, entry):
    """Reserve vehicle k's way through the junction behind an entry; in a platoon, what those ahead do not hold."""
    vehicle = world.vehicles[k]
    hold_cells(map, world, k, next_cell(map, entry, vehicle.heading), vehicle.heading)
    vehicle.may_enter = 1
    if k < world.num_egos:
        world.egos[k].granted_at = world.tick


@kernel
def hold_ways(map, world):
    """After cells have become free: whoever has been let in takes those on its way, before whoever follows it there.

    So in a platoon each cell goes from one to the next, in whatever order the vehicles are stored. Egos in it are no
    exception: one that is in a junction counts as let in, and gives what it has not reached to an ego ahead of it.
    """
    for k in range(world.num_vehicles):
        if world.vehicles[k].status != DRIVING or world.vehicles[k].may_enter == 0:
            continue
        destination = destination_of(world, k)
        cell, heading = way_in(map, world, k)
        if cell < 0:
            continue
        for _ in range(map.num_slots):
            if map.slots[cell] != 0:
                holder = int(world.held[map.slots[cell] - 1]) - 1
                may_pass_on = holder >= world.num_egos or k < world.num_egos
                if holder < 0 or (may_pass_on and holder != k and is_ahead_on_way(map, world, holder, k)):
                    world.held[map.slots[cell] - 1] = k + 1
            if not is_with_junction(map, cell):
                break
            cell, heading = onward(map, destination, cell, heading)


@kernel
def do_ways_cross(map, world, k, first, j):
    """Whether vehicle k's way from cell `first` on, and what vehicle j still has to pass with its junction, cross.

    Both up to their exits.
    """
    cell, heading = way_in(map, world, j)
    return cell >= 0 and do_cells_cross(map, world, k, first, world.vehicles[k].heading, j, cell, heading)


@kernel
def do_cells_cross(map, world, a, cell_a, heading_a, b, first_b, first_heading_b):
    """The same, from a cell on the way of each and the heading there."""
    for _ in range(map.num_slots):
        cell_b = first_b
        heading_b = first_heading_b
        for _ in range(map.num_slots):
            if cell_a == cell_b:
                return True
            if not is_with_junction(map, cell_b):
                break
            cell_b, heading_b = onward(map, destination_of(world, b), cell_b, heading_b)
        if not is_with_junction(map, cell_a):
            break
        cell_a, heading_a = onward(map, destination_of(world, a), cell_a, heading_a)
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
        if not is_with_junction(map, cell):
            break
        cell, heading = onward(map, destination, cell, heading)
    return ticks


@kernel
def release_passed(map, world, k):
    """After the advance, traffic vehicle k gives back the cells that it has passed; at its exit, its turn."""
    vehicle = world.vehicles[k]
    cell = vehicle.cell
    for _ in range(vehicle.speed):
        before = cell
        if map.slots[before] != 0 and world.held[map.slots[before] - 1] == k + 1:
            world.held[map.slots[before] - 1] = 0
        cell = next_cell(map, before, vehicle.heading)
        if is_with_junction(map, before) and not is_with_junction(map, cell):
            withdraw(map, world, k)
            return


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
