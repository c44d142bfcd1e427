"""Duties: who must change lane because his own does not lead where he goes, or ends.

A duty begins `DUTY` cells before the last one from which a change still leads there. Where a lane ends, who has not
been able to change waits, and the next follower on the other lane who can brakes by 1 in every tick until he is in. As
in a zipper, nobody has to let in a second one before he has passed.
"""

from drivesim.core.following import braking_distance, room_before_people
from drivesim.core.jit import kernel
from drivesim.core.map import (
    CHANGE_LEFT,
    CHANGE_RIGHT,
    LEFT_SIDE,
    RIGHT_SIDE,
    allows,
    are_parallel,
    cell_behind,
    cell_beside,
    is_with_junction,
    next_cell,
    way_from,
)
from drivesim.core.world import DRIVING, UNAWARE, occupant_of

DUTY = 20  # cells
LOOK_BACK = 22  # cells: an ego at 5 that speeds up behind a standing newcomer needs 21
LET_IN = (
    10  # ticks of driving for which somebody need not let in another one: in a jam for longer, or all go before him
)
NEAR = 4  # cells behind a newcomer within which a follower is held up by him


@kernel
def stay_from(map, destination, cell):
    """Cells that may still be driven in a cell's lane before a change of lane is needed; 0 without a way."""
    return int(map.stays[destination * (map.rows + 2) * map.width + cell])


@kernel
def has_way(map, vehicle):
    """Whether a vehicle follows a way."""
    return way_from(map, vehicle.destination, vehicle.cell) >= 0


@kernel
def has_duty(map, vehicle):
    """Whether a vehicle that follows a way has to change lane by now."""
    return has_way(map, vehicle) and stay_from(map, vehicle.destination, vehicle.cell) < DUTY


@kernel
def sees_lane_end(map, vehicle):
    """Whether what a vehicle must stop for, within its reach and with nobody before it, is the end of its lane."""
    if vehicle.leader != -1:
        return False
    cell = vehicle.cell
    for _ in range(vehicle.stopping_room):
        cell = next_cell(map, cell, vehicle.heading)
    return allows(map, cell, vehicle.heading) and not allows(
        map, next_cell(map, cell, vehicle.heading), vehicle.heading
    )


@kernel
def must_change(map, vehicle, side):
    """Whether a vehicle must change lane to `side`, as soon as that is safe.

    Where it follows no way, it must if it is held up by the end of its lane.
    """
    if has_way(map, vehicle):
        change = CHANGE_LEFT if side == LEFT_SIDE else CHANGE_RIGHT
        way = map.ways[vehicle.destination * (map.rows + 2) * map.width + vehicle.cell]
        return way & change != 0 and has_duty(map, vehicle)
    return sees_lane_end(map, vehicle)


@kernel
def who_is_close_behind(map, world, cell, heading):
    """The vehicle that drives up to a cell in its lane and is near to it, -1 = none; an ego counts as none.

    Who is in a junction, or before one, may have to wait there until those ahead have gone.
    """
    for _ in range(NEAR):
        cell = cell_behind(map, cell, heading)
        if not allows(map, cell, heading) or is_with_junction(map, cell):
            return -1
        if world.occupants[cell] != 0:
            k = occupant_of(world, cell)
            return k if k >= world.num_egos else -1
    return -1


@kernel
def is_others_turn(map, world, cell, heading):
    """Whether whoever is close behind a cell has just let somebody in."""
    k = who_is_close_behind(map, world, cell, heading)
    return k >= 0 and world.vehicles[k].let_in > 0


@kernel
def note_zipper(map, world, side):
    """Note, before the changes of lane to `side` are made, who lets in somebody who must change.

    Those who change have let in nobody on their new lane. So not all who pass the end of a lane have done so before, be
    they all from that lane, and who waits there gets in; who has, and stands, need not let in another one.
    """
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and vehicle.lane_shift == side and must_change(map, vehicle, side):
            cell = cell_beside(map, vehicle.cell, vehicle.heading, side)
            other = who_is_close_behind(map, world, cell, vehicle.heading)
            if other >= 0:
                world.vehicles[other].let_in = LET_IN


@kernel
def waits_at_end(map, vehicle):
    """Whether a vehicle stands in the last cell of its lane."""
    return vehicle.speed == 0 and not allows(map, next_cell(map, vehicle.cell, vehicle.heading), vehicle.heading)


@kernel
def let_in_beside(map, world, k, side):
    """Slow down whoever can let vehicle k, which waits at the end of its lane, change to `side`."""
    vehicle = world.vehicles[k]
    heading = vehicle.heading
    cell = cell_beside(map, vehicle.cell, heading, side)
    if not are_parallel(map, vehicle.cell, cell) or is_others_turn(map, world, cell, heading):
        return
    for gap in range(LOOK_BACK):
        cell = cell_behind(map, cell, heading)
        if not allows(map, cell, heading):
            return
        other = occupant_of(world, cell)
        if other >= world.num_egos:
            follower = world.vehicles[other]
            if world.num_people > 0:
                gap = room_before_people(map, world, follower, follower.cell, gap)
            if follower.heading == heading and braking_distance(follower.speed) <= gap:
                while follower.next_speed * (follower.next_speed + 1) // 2 > gap:
                    follower.next_speed -= 1
                return


@kernel
def let_in(map, world, options):
    """Let everybody in who waits at the end of a lane, one by one: brake by 1 at most, as behind a standing leader.

    Reads   the map, positions, old speeds
    Writes  vehicles[…].next_speed of traffic
    """
    if options.driver_model == UNAWARE:
        return
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and waits_at_end(map, vehicle):
            for side in (LEFT_SIDE, RIGHT_SIDE):
                if must_change(map, vehicle, side):
                    let_in_beside(map, world, k, side)
