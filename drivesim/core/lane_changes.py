"""Lane changes and turns of the traffic."""

from drivesim.core.bits import lowest_bit
from drivesim.core.duties import (
    DUTY,
    LOOK_BACK,
    has_duty,
    has_way,
    is_others_turn,
    must_change,
    note_zipper,
    stay_from,
)
from drivesim.core.following import STALE, braking_distance, is_safe, look, look_ahead, reach_of, room_before_people
from drivesim.core.jit import kernel
from drivesim.core.map import (
    LEFT_SIDE,
    RIGHT_SIDE,
    allows,
    are_parallel,
    cell_behind,
    cell_beside,
    turned,
    way_from,
)
from drivesim.core.open_road import open_cells
from drivesim.core.styles import LEAST_GAIN
from drivesim.core.trips import plan_trip
from drivesim.core.world import DRIVING, KRAUSS, NASCH, UNAWARE, enter, leave, occupant_of

GROUP = 62  # vehicles to a word of bits


@kernel
def speed_behind(world, k):
    """The speed with which (I) must hold for a follower k: an ego may speed up in this very tick.

    Its action is not known yet; (I) with v + 2 reads (v+1)(v+2)/2 <= gap, its next action included.
    """
    speed = world.vehicles[k].speed
    return speed + 2 if k < world.num_egos else speed


@kernel
def followers_are_safe(map, world, k, cell):
    """Whether (I) holds for whoever would follow vehicle k if k stood on `cell`.

    Among several egos that is everybody behind: whoever follows may crash and be gone, so that the next one follows.
    """
    vehicle = world.vehicles[k]
    heading = vehicle.heading
    for n in range(1, LOOK_BACK + 1):
        cell = cell_behind(map, cell, heading)
        if not allows(map, cell, heading):
            return True
        occupant = occupant_of(world, cell)
        if occupant >= 0:
            if occupant == k:
                return True
            follower = world.vehicles[occupant]
            if follower.heading == heading and not is_safe(speed_behind(world, occupant), n - 1, vehicle.speed):
                return False
            if world.num_people > 0 and follower.heading == heading and occupant >= world.num_egos:
                room = n - 1 + braking_distance(vehicle.speed)
                if braking_distance(follower.speed) > room_before_people(map, world, follower, follower.cell, room):
                    return False
            if world.num_egos <= 1:
                return True
    return True


@kernel
def is_held_up(vehicle):
    """Whether a vehicle that drives, or stands with no vehicle in its way, would drive faster if nothing were ahead."""
    return ((vehicle.speed > 0) | (vehicle.leader == -1)) & (vehicle.stopping_room < reach_of(vehicle))


@kernel
def turn_here(map, options, vehicle):
    """The side to which a vehicle's way turns in the cell where it is, 0 if it goes straight on or is too fast."""
    is_slow = vehicle.speed <= 1 or options.driver_model == NASCH  # which brakes to 1 in the same tick
    way = way_from(map, vehicle.destination, vehicle.cell)
    if way < 0 or way == vehicle.heading or not is_slow:
        return 0
    return LEFT_SIDE if way == turned(vehicle.heading, LEFT_SIDE) else RIGHT_SIDE


@kernel
def may_change(map, world, k, cell):
    """Whether a lane for vehicle k is on the cell beside it, free, and neither it nor k has to do with a junction."""
    vehicle = world.vehicles[k]
    if not are_parallel(map, vehicle.cell, cell) or world.occupants[cell] != 0:
        return False
    return map.num_junctions == 0 or (map.slots[cell] == 0 and vehicle.may_enter == 0)


@kernel
def has_lane_beside(map, vehicle):
    """Whether there is a lane to either side to which a vehicle could change."""
    left = cell_beside(map, vehicle.cell, vehicle.heading, LEFT_SIDE)
    right = cell_beside(map, vehicle.cell, vehicle.heading, RIGHT_SIDE)
    return are_parallel(map, vehicle.cell, left) or are_parallel(map, vehicle.cell, right)


@kernel
def wants_lane(map, world, k, side):
    """Whether traffic vehicle k, which is held up, changes one lane to `side` now.

    Incentive after Rickert, Nagel, Schreckenberg, Latour, Physica A 231 (1996) 534: my lane holds me up and the
    other one would less. Safety: (I) for both pairs that the change makes. Nobody takes on a duty by a wish.
    """
    vehicle = world.vehicles[k]
    cell = cell_beside(map, vehicle.cell, vehicle.heading, side)
    if vehicle.speed == 0 or not may_change(map, world, k, cell):
        return False
    if has_way(map, vehicle) and stay_from(map, vehicle.destination, cell) < DUTY:
        return False
    _, room, _ = look(map, world, k, cell, reach_of(vehicle))
    if room < vehicle.stopping_room + LEAST_GAIN[vehicle.style] or braking_distance(vehicle.speed) > room:
        return False
    return followers_are_safe(map, world, k, cell)


@kernel
def does_duty(map, world, k, side):
    """Whether vehicle k, which must change lane to `side`, can do so now: in its turn, and (I) for both new pairs."""
    vehicle = world.vehicles[k]
    cell = cell_beside(map, vehicle.cell, vehicle.heading, side)
    if not may_change(map, world, k, cell) or is_others_turn(map, world, cell, vehicle.heading):
        return False
    _, room, _ = look(map, world, k, cell, reach_of(vehicle))
    return braking_distance(vehicle.speed) <= room and followers_are_safe(map, world, k, cell)


@kernel
def decide(map, world, k, side):
    """Note vehicle k's change of lane to `side`, if it makes one; whether it must change, to whichever side."""
    vehicle = world.vehicles[k]
    if must_change(map, vehicle, side):
        if does_duty(map, world, k, side):
            vehicle.lane_shift = side
        return True
    must_otherwise = must_change(map, vehicle, -side)
    if not must_otherwise and not has_duty(map, vehicle) and wants_lane(map, world, k, side):
        vehicle.lane_shift = side
    return must_otherwise


@kernel
def steer_traffic(map, world, options):
    """Turn and change lanes, all traffic at once: decide all, then apply all.

    Lanes are changed to the left on even ticks and to the right on odd ones, so no two cars can choose one cell. Those
    who have a duty to the other side decide and change after all others.

    Returns whether what each vehicle has seen ahead (`stopping_room`, `leader`) still holds, but for those whose leader
    is now STALE: no junction that is granted after this can open the way.
    """
    if options.driver_model == UNAWARE:
        return False
    side = LEFT_SIDE
    if (world.tick + world.is_mirrored) & 1 == 1:
        side = RIGHT_SIDE
    any_shift = False
    any_turn = False
    any_duty = False
    # Where what is seen now does not last, as the end says, only those look who could change lane.
    sees_later = (map.num_junctions > 0 or world.num_people > 0) and options.driver_model == KRAUSS
    # First everybody looks, then those who are held up decide: who is held up cannot be predicted by a processor.
    for begin in range(world.num_egos, world.num_vehicles, GROUP):
        held_up = 0
        for k in range(begin, min(begin + GROUP, world.num_vehicles)):
            vehicle = world.vehicles[k]
            vehicle.lane_shift = 0
            vehicle.turn_now = 0
            if vehicle.status != DRIVING:
                continue
            if sees_later and vehicle.has_arrived == 0 and open_cells(map, vehicle.cell, vehicle.heading) > 0:
                continue  # no way turns, no lane is beside
            if vehicle.destination >= 0:
                plan_trip(map, world, k)
            vehicle.turn_now = turn_here(map, options, vehicle)
            if vehicle.turn_now != 0:
                any_turn = True
                continue
            if sees_later and not has_lane_beside(map, vehicle):
                continue
            look_ahead(map, world, k)
            held_up |= int(is_held_up(vehicle) or (vehicle.destination >= 0 and has_duty(map, vehicle))) << (k - begin)
        while held_up != 0:
            k = begin + lowest_bit(held_up)
            held_up &= held_up - 1
            any_duty |= decide(map, world, k, side)
            any_shift |= world.vehicles[k].lane_shift != 0
    if any_turn:
        turn_round(map, world)
    if any_duty:
        note_zipper(map, world, side)
    if any_shift:
        move_aside(map, world, side)
    if any_duty:
        any_shift |= decide_late(map, world, -side)
        note_zipper(map, world, -side)
        move_aside(map, world, -side)
    if any_shift and world.num_egos <= 1:
        mark_stale(map, world)
    is_fresh = map.num_junctions == 0 and world.num_people == 0 and not any_turn
    return is_fresh and (not any_shift or world.num_egos <= 1)


@kernel
def decide_late(map, world, side):
    """Note the changes of lane to `side` of those who must and have neither turned nor changed; whether any is made."""
    any_shift = False
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and vehicle.lane_shift == 0 and vehicle.turn_now == 0:
            if must_change(map, vehicle, side) and does_duty(map, world, k, side):
                vehicle.lane_shift = side
                any_shift = True
    return any_shift


@kernel
def turn_round(map, world):
    """Apply the turns that the traffic has decided."""
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and vehicle.turn_now != 0:
            vehicle.heading = turned(vehicle.heading, vehicle.turn_now)


@kernel
def move_aside(map, world, side):
    """Apply the changes of lane to `side` that the traffic has decided."""
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and vehicle.lane_shift == side:
            cell = cell_beside(map, vehicle.cell, vehicle.heading, side)
            leave(world, k)
            enter(world, k, cell)
            vehicle.let_in = 0


@kernel
def follower_of(map, world, cell, heading):
    """The first vehicle straight behind a cell within `LOOK_BACK` cells of the same lane; -1 = none."""
    for _ in range(LOOK_BACK):
        cell = cell_behind(map, cell, heading)
        if not allows(map, cell, heading):
            return -1
        if world.occupants[cell] != 0:
            return occupant_of(world, cell)
    return -1


@kernel
def mark_stale(map, world):
    """After changes of lane, mark all whose leader has come or gone, and who has changed himself."""
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if vehicle.lane_shift != 0:
            vehicle.leader = STALE
            follower = follower_of(map, world, vehicle.cell, vehicle.heading)
            if follower >= 0:
                world.vehicles[follower].leader = STALE
        elif vehicle.leader >= world.num_egos and world.vehicles[vehicle.leader].lane_shift != 0:
            vehicle.leader = STALE
