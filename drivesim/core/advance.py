"""The swept advance: five sub-steps to a tick, so that nothing tunnels through anything.

A car of speed v enters its k-th cell at sub-step ceil(5k/|v|). Sharing a cell after any sub-step, or swapping cells,
is a collision. Traffic among itself cannot collide (see `following`), so only egos are swept.
"""

from drivesim.core.bits import word_at, zero_bytes_below
from drivesim.core.events import collide, ends_drive, enter_cell, enter_junction
from drivesim.core.jit import inlined_kernel, kernel, seldom_kernel
from drivesim.core.map import (
    EAST,
    EDGE,
    PORTAL,
    cell_behind_for_ego,
    is_ring,
    kind,
    next_cell,
    next_cell_for_ego,
    row_of,
)
from drivesim.core.memory import WORD
from drivesim.core.open_road import open_cells
from drivesim.core.reservations import hold_ways, release_passed
from drivesim.core.trips import note_arrival
from drivesim.core.world import DRIVING, NEVER, enter, leave, leave_world

SUB_STEPS = 5
PORTALS = int.from_bytes(bytes([PORTAL] * WORD), "little", signed=True)


@kernel
def entered(speed, sub_step):
    """How many cells a car of `speed` has entered after a sub-step."""
    return abs(speed) * sub_step // SUB_STEPS


@seldom_kernel
def cell_ahead(map, world, k, distance):
    """The cell that is `distance` on for vehicle k, behind it in reverse gear; no way leads on from the border."""
    vehicle = world.vehicles[k]
    cell = vehicle.cell
    if k < world.num_egos:
        for _ in range(distance):
            if kind(map, cell) == EDGE:
                break
            if vehicle.speed >= 0:
                cell = next_cell_for_ego(map, cell, vehicle.heading)
            else:
                cell = cell_behind_for_ego(map, cell, vehicle.heading)
    else:
        for _ in range(distance):
            cell = next_cell(map, cell, vehicle.heading)
    return cell


@inlined_kernel
def end_of_way(map, world, k):
    """The cell that vehicle k reaches in this tick; eight cells of a row are seen to hold no portal in one look."""
    vehicle = world.vehicles[k]
    if map.num_portals == 0 and k >= world.num_egos:
        return vehicle.cell + vehicle.speed * map.steps[vehicle.heading]
    if vehicle.heading == EAST and zero_bytes_below(word_at(map.ground, vehicle.cell) & PORTALS) >= vehicle.speed:
        if k >= world.num_egos or (is_ring(map) and vehicle.speed >= 0):
            return vehicle.cell + vehicle.speed
    return cell_ahead(map, world, k, abs(vehicle.speed))


@kernel
def are_near(map, a, b, reach):
    """Whether two cells lie within `reach` cells of each other, counted in rows and columns."""
    rows = row_of(map, b) - row_of(map, a)
    return abs(rows) + abs(b - a - rows * map.width) <= reach


@kernel
def passes_portal(map, vehicle):
    """Whether a vehicle's way in this tick, noted before, leads through a portal."""
    return vehicle.next_cell - vehicle.cell != vehicle.speed * map.steps[vehicle.heading]


@kernel
def is_near(map, first, second, any_portal):
    """Whether two vehicles could meet in this tick at all.

    Where one of them drives through a portal (`any_portal`: somebody does), it may meet the other on either side of it.
    """
    reach = abs(first.speed) + abs(second.speed)
    apart = abs(second.cell - first.cell)
    if any_portal and (passes_portal(map, first) or passes_portal(map, second)):
        return True
    if first.heading & 1 == 1 and second.heading & 1 == 1:  # along the rows: only in one and the same row
        return apart <= reach
    return apart <= reach * map.width + reach and are_near(map, first.cell, second.cell, reach)


@seldom_kernel
def meeting(map, world, a, b):
    """The first sub-step after which two vehicles share a cell or have swapped cells, 0 = they do not meet."""
    cell_a = world.vehicles[a].cell
    cell_b = world.vehicles[b].cell
    for sub_step in range(1, SUB_STEPS + 1):
        next_a = cell_ahead(map, world, a, entered(world.vehicles[a].speed, sub_step))
        next_b = cell_ahead(map, world, b, entered(world.vehicles[b].speed, sub_step))
        if kind(map, next_a) != EDGE:
            if next_a == next_b:
                return sub_step
            if next_a == cell_b and next_b == cell_a and next_a != cell_a:
                return sub_step
        cell_a = next_a
        cell_b = next_b
    return 0


@kernel
def is_eventful(map, world, any_portal):
    """Whether any ego meets anything in this tick; most ticks, none does."""
    for k in range(world.num_egos):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        for n in range(1, abs(vehicle.speed) + 1):
            if ends_drive(map, world, k, cell_ahead(map, world, k, n)):
                return True
        for other in range(world.num_vehicles):
            if other != k and world.vehicles[other].status == DRIVING:
                if is_near(map, vehicle, world.vehicles[other], any_portal) and meeting(map, world, k, other) != 0:
                    return True
    return False


@kernel
def count_cells(map, world, k, cells):
    """On a ring there is no goal cell: the odometer of an ego counts down instead, and up for cells below 0."""
    if k < world.num_egos and is_ring(map):
        world.egos[k].remaining -= cells


@kernel
def leave_on_the_way(map, world, k, sub_step):
    """Vehicle k leaves the world in the cell that it has reached after a sub-step, or at the map's edge."""
    leave(world, k)
    vehicle = world.vehicles[k]
    n = entered(vehicle.speed, sub_step)
    while n > 0 and kind(map, cell_ahead(map, world, k, n)) == EDGE:
        n -= 1
    vehicle.cell = cell_ahead(map, world, k, n)
    count_cells(map, world, k, n if vehicle.speed >= 0 else -n)
    leave_world(map, world, k)


@seldom_kernel
def sweep(map, world, any_portal):
    """Go through the sub-steps in order; who leaves the world in one of them is not met in the next."""
    for sub_step in range(1, SUB_STEPS + 1):
        for k in range(world.num_egos):
            vehicle = world.vehicles[k]
            if vehicle.status != DRIVING:
                continue
            for j in range(world.num_vehicles):
                other = world.vehicles[j]
                if j == k or other.status != DRIVING or not is_near(map, vehicle, other, any_portal):
                    continue
                if meeting(map, world, k, j) == sub_step:
                    collide(
                        world,
                        k,
                        j,
                        entered(vehicle.speed, sub_step) > entered(vehicle.speed, sub_step - 1),
                        entered(other.speed, sub_step) > entered(other.speed, sub_step - 1),
                    )
        for k in range(world.num_egos):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING:
                n = entered(vehicle.speed, sub_step)
                if n > entered(vehicle.speed, sub_step - 1):
                    note_junctions(map, world, k, n, n)
                    enter_cell(map, world, k, cell_ahead(map, world, k, n))
        for k in range(world.num_vehicles):
            if world.vehicles[k].status == DRIVING and world.vehicles[k].next_status != 0:
                leave_on_the_way(map, world, k, sub_step)


@kernel
def note_junctions(map, world, k, first, last):
    """Note what it means for ego k to enter its first … last cell of this tick, beside what `enter_cell` notes."""
    heading = world.vehicles[k].heading
    before = cell_ahead(map, world, k, first - 1)
    for n in range(first, last + 1):
        cell = cell_ahead(map, world, k, n)
        if kind(map, cell) == EDGE:
            return
        enter_junction(map, world, k, before, cell, heading, True)
        before = cell


@kernel
def note_reversing(world):
    """Remember who has backed onto the cell where it is now."""
    for k in range(world.num_egos):
        if world.vehicles[k].speed < 0:
            world.egos[k].reversed_at = world.tick
        elif world.vehicles[k].speed > 0:
            world.egos[k].reversed_at = NEVER


@kernel
def advance(map, world):
    """Take over the new speeds and move everybody.

    Reads   the map, vehicles[k].next_speed
    Writes  vehicles, occupants, and the events of the egos
    """
    any_portal = False
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING:
            acceleration = vehicle.next_speed - vehicle.speed
            if k < world.num_egos:
                world.egos[k].jerk = abs(acceleration - vehicle.acceleration)
            vehicle.acceleration = acceleration
            vehicle.speed = vehicle.next_speed
            vehicle.let_in -= (vehicle.let_in > 0) & (vehicle.speed > 0)
            vehicle.next_cell = end_of_way(map, world, k)
            any_portal = any_portal or passes_portal(map, vehicle)
    if is_eventful(map, world, any_portal):
        sweep(map, world, any_portal)
    elif map.num_junctions > 0 or world.num_people > 0:
        for k in range(world.num_egos):
            if world.vehicles[k].status == DRIVING:
                note_junctions(map, world, k, 1, abs(world.vehicles[k].speed))
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            leave(world, k)
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING:
            if vehicle.may_enter != 0 and k >= world.num_egos:
                release_passed(map, world, k)
            is_on_trip = vehicle.destination >= 0 and k >= world.num_egos
            if is_on_trip and open_cells(map, vehicle.cell, vehicle.heading) <= vehicle.speed:
                note_arrival(map, vehicle)
            count_cells(map, world, k, vehicle.speed)
            enter(world, k, vehicle.next_cell)
    if map.num_junctions > 0:
        hold_ways(map, world)
    if map.has_reverse != 0:
        note_reversing(world)
