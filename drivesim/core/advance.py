"""The swept advance: five sub-steps to a tick, so that nothing tunnels through anything.

A car of speed v enters its k-th cell at sub-step ceil(5k/v). Sharing a cell after any sub-step, or swapping cells,
is a collision. Traffic among itself cannot collide (see `traffic`), so only controlled cars are swept.
"""

from drivesim.core.events import collide, ends_drive, enter_cell, leave_line
from drivesim.core.jit import kernel
from drivesim.core.occupancy import enter, leave
from drivesim.core.signals import release_claim
from drivesim.core.steering import leave_world, move_to
from drivesim.core.world import DRIVING, cell_ahead, cell_under, col_step, row_step, wrapped

SUB_STEPS = 5


@kernel
def entered(speed, sub_step):
    """How many cells a car of `speed` has entered after a sub-step."""
    return int(speed) * sub_step // SUB_STEPS


@kernel
def is_near(world, a, b):
    """Whether two vehicles could meet in this tick at all."""
    first = world.vehicles[a]
    second = world.vehicles[b]
    reach = int(first.speed) + int(second.speed)
    rows = abs(int(first.row) - int(second.row))
    if (int(first.heading) ^ int(second.heading)) & 1 == 0:  # on parallel ways: only in one and the same lane
        if first.heading & 1 == 1:
            if rows != 0:
                return False
        elif first.col != second.col:
            return False
    if world.wraps_rows:
        rows = min(rows, int(world.rows) - rows)
    if rows > reach:
        return False
    cols = abs(int(first.col) - int(second.col))
    if world.wraps_cols:
        cols = min(cols, int(world.cols) - cols)
    return cols <= reach - rows


@kernel
def meeting(world, a, b):
    """The first sub-step after which two vehicles share a cell or have swapped cells, 0 = they do not meet."""
    cell_a = cell_under(world, a)
    cell_b = cell_under(world, b)
    for sub_step in range(1, SUB_STEPS + 1):
        next_a = cell_ahead(world, a, entered(world.vehicles[a].speed, sub_step))
        next_b = cell_ahead(world, b, entered(world.vehicles[b].speed, sub_step))
        if next_a >= 0:
            if next_a == next_b:
                return sub_step
            if next_a == cell_b and next_b == cell_a and next_a != cell_a:
                return sub_step
        cell_a = next_a
        cell_b = next_b
    return 0


@kernel
def is_eventful(world):
    """Whether any controlled car meets anything in this tick; most ticks, none does."""
    for k in range(world.num_controlled):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        for n in range(1, int(vehicle.speed) + 1):
            if ends_drive(world, cell_ahead(world, k, n)):
                return True
        for other in range(world.num_vehicles):
            if other != k and world.vehicles[other].status == DRIVING and is_near(world, k, other):
                if meeting(world, k, other) != 0:
                    return True
    return False


@kernel
def count_cells(world, k, cells):
    """On a ring there is no goal cell: the odometer of a controlled car counts down instead."""
    if k < world.num_controlled and world.is_ring != 0:
        world.drivers[k].remaining -= cells


@kernel
def leave_on_the_way(world, k, sub_step):
    """Vehicle k leaves the world in the cell that it has reached after a sub-step, or at the map's edge."""
    leave(world, k)
    n = entered(world.vehicles[k].speed, sub_step)
    while n > 0 and cell_ahead(world, k, n) < 0:
        n -= 1
    if n > 0:
        move_to(world, k, cell_ahead(world, k, n))
        count_cells(world, k, n)
    leave_world(world, k)


@kernel
def sweep(world):
    """Go through the sub-steps in order; who leaves the world in one of them is not met in the next."""
    for sub_step in range(1, SUB_STEPS + 1):
        for k in range(world.num_controlled):
            if world.vehicles[k].status != DRIVING:
                continue
            for other in range(world.num_vehicles):
                if other == k or world.vehicles[other].status != DRIVING or not is_near(world, k, other):
                    continue
                if meeting(world, k, other) == sub_step:
                    speed = world.vehicles[k].speed
                    speed_other = world.vehicles[other].speed
                    collide(
                        world,
                        k,
                        other,
                        entered(speed, sub_step) > entered(speed, sub_step - 1),
                        entered(speed_other, sub_step) > entered(speed_other, sub_step - 1),
                    )
        for k in range(world.num_controlled):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING:
                n = entered(vehicle.speed, sub_step)
                if n > entered(vehicle.speed, sub_step - 1):
                    enter_cell(world, k, cell_ahead(world, k, n))
        for k in range(world.num_vehicles):
            if world.vehicles[k].status == DRIVING and world.vehicles[k].leaves != 0:
                leave_on_the_way(world, k, sub_step)


@kernel
def note_lines(world, k):
    """Note the stop lines that controlled car k leaves on its way through this tick."""
    before = cell_under(world, k)
    for n in range(1, int(world.vehicles[k].speed) + 1):
        after = cell_ahead(world, k, n)
        if after < 0:
            return
        leave_line(world, k, before, after // int(world.cols), after % int(world.cols))
        before = after


@kernel
def advance(world):
    """Take over the new speeds and move everybody.

    Reads   vehicles[k].next_speed
    Writes  vehicles, occupants, and the events of the controlled cars
    """
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING:
            acceleration = vehicle.next_speed - vehicle.speed
            if k < world.num_controlled:
                world.drivers[k].jerk = abs(acceleration - vehicle.acceleration)
            vehicle.acceleration = acceleration
            vehicle.speed = vehicle.next_speed
    if world.num_signals > 0:
        for k in range(world.num_controlled):
            if world.vehicles[k].status == DRIVING:
                note_lines(world, k)
    if is_eventful(world):
        sweep(world)
    if world.is_eastbound != 0:  # who is next ahead stays so
        for k in range(world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING:
                vehicle.col = wrapped(int(vehicle.col) + int(vehicle.speed), int(world.cols))
                count_cells(world, k, int(vehicle.speed))
        return
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            leave(world, k)
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            finish_move(world, k)


@kernel
def finish_move(world, k):
    """Put vehicle k at the end of its way; a traffic vehicle that reaches its exit cell frees the junction."""
    vehicle = world.vehicles[k]
    speed = int(vehicle.speed)
    if k >= world.num_controlled and vehicle.claim != 0:
        for n in range(1, int(vehicle.speed) + 1):
            if cell_ahead(world, k, n) == vehicle.exit_cell:
                release_claim(world, k)
                break
    row = wrapped(int(vehicle.row) + row_step(vehicle.heading) * speed, int(world.rows))
    col = wrapped(int(vehicle.col) + col_step(vehicle.heading) * speed, int(world.cols))
    if world.occupants[row * int(world.cols) + col] != 0:
        world.traffic_collisions += 1
    enter(world, k, row, col)
    count_cells(world, k, speed)
