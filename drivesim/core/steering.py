"""Steering of the egos: what an action does to heading, lane and speed."""

from drivesim.core.events import collide, enter_cell, enter_junction, note_cut_in, note_lane_change
from drivesim.core.jit import entry, kernel
from drivesim.core.map import EDGE, LEFT_SIDE, RIGHT_SIDE, allows, cell_beside, kind, turned
from drivesim.core.memory import BlockType, opener
from drivesim.core.world import (
    ACTION_FASTER,
    ACTION_LEFT,
    ACTION_RIGHT,
    ACTION_SLOWER,
    DRIVING,
    NO_IDLE,
    enter,
    leave,
    leave_world,
    occupant_of,
)

open_actions = opener(BlockType("i8"))


@kernel
def can_turn(map, vehicle, side):
    """Whether the cell under a vehicle allows the heading to that side, so that steering there means a turn."""
    return allows(map, vehicle.cell, turned(vehicle.heading, side))


@kernel
def slowest(map):
    """The slowest speed of an ego: backwards where there is a reverse gear."""
    return -1 if map.has_reverse != 0 else 0


@kernel
def decide(map, vehicle, action, top_speed):
    """Write what an ego's vehicle does in this tick: its `lane_shift`, `turn_now` and `next_speed`.

    Backwards it may turn where the cell allows that, but nobody changes lane.
    """
    speed = vehicle.speed
    vehicle.lane_shift = 0
    vehicle.turn_now = 0
    vehicle.next_speed = speed
    if action == ACTION_FASTER:
        vehicle.next_speed = min(speed + 1, top_speed)
    elif action == ACTION_SLOWER:
        vehicle.next_speed = max(speed - 1, slowest(map))
    elif action == ACTION_LEFT or action == ACTION_RIGHT:
        side = LEFT_SIDE if action == ACTION_LEFT else RIGHT_SIDE
        if can_turn(map, vehicle, side):
            if speed <= 1:  # faster cars are too fast to turn: they go straight on
                vehicle.turn_now = side
                vehicle.next_speed = 1 if speed >= 0 else -1
        elif speed >= 0:
            vehicle.lane_shift = side
            vehicle.next_speed = max(speed, 1)


@kernel
def has_effect(map, vehicle, action, top_speed):
    """Whether `action` does anything to an ego's vehicle that IDLE does not. No safety filter."""
    if action == ACTION_FASTER:
        return vehicle.speed < top_speed
    if action == ACTION_SLOWER:
        return vehicle.speed > slowest(map)
    if action == ACTION_LEFT or action == ACTION_RIGHT:
        if can_turn(map, vehicle, LEFT_SIDE if action == ACTION_LEFT else RIGHT_SIDE):
            return vehicle.speed <= 1
        return vehicle.speed >= 0
    return True


@kernel
def side_cell(map, vehicle):
    """The cell to which a vehicle's change of lane leads."""
    return cell_beside(map, vehicle.cell, vehicle.heading, vehicle.lane_shift)


@kernel
def judge_side_step(map, world, k):
    """Note what becomes of ego k's change of lane, on the state before anybody has moved.

    An occupied cell is a collision even if its occupant is about to leave: the move is never silently void.
    """
    target = side_cell(map, world.vehicles[k])
    if kind(map, target) != EDGE:
        occupant = occupant_of(world, target)
        if occupant >= 0:
            collide(world, k, occupant, True, False)
        for other in range(world.num_egos):
            rival = world.vehicles[other]
            if other != k and rival.status == DRIVING and rival.lane_shift != 0:
                if side_cell(map, rival) == target:
                    collide(world, k, other, True, True)
    if kind(map, target) != EDGE:
        enter_junction(map, world, k, world.vehicles[k].cell, target, world.vehicles[k].heading, False)
    enter_cell(map, world, k, target)


@kernel
def steer_egos(map, world, options, actions, action_0):
    """Turn and change lanes, all egos at once: decide all, then apply all.

    Args:
        map: the map.
        world: changed.
        options: the options.
        actions: (num_worlds * num_egos,) actions, numbered as ACTION_LEFT … ACTION_SLOWER.
        action_0: index in `actions` of this world's ego 0.
    """
    any_shift = False
    for k in range(world.num_egos):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING:
            action = actions[action_0 + k]
            if options.has_idle == NO_IDLE and action > 0:
                action += 1
            decide(map, vehicle, action, options.top_speed)
            any_shift = any_shift or vehicle.lane_shift != 0
    if any_shift:
        for k in range(world.num_egos):
            if world.vehicles[k].status == DRIVING and world.vehicles[k].lane_shift != 0:
                judge_side_step(map, world, k)
        for k in range(world.num_egos):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING and vehicle.lane_shift != 0:
                before = vehicle.cell
                target = side_cell(map, vehicle)
                leave(world, k)
                if kind(map, target) != EDGE:
                    vehicle.cell = target
                    note_lane_change(map, world, k, before, target)
                    if vehicle.next_status == 0:
                        enter(world, k, target)
        if world.num_egos > 1:
            for k in range(world.num_egos):
                vehicle = world.vehicles[k]
                if vehicle.status == DRIVING and vehicle.next_status == 0 and vehicle.lane_shift != 0:
                    note_cut_in(map, world, k)
        for k in range(world.num_vehicles):
            if world.vehicles[k].status == DRIVING and world.vehicles[k].next_status != 0:
                leave_world(map, world, k)
    for k in range(world.num_egos):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and vehicle.turn_now != 0:
            vehicle.heading = turned(vehicle.heading, vehicle.turn_now)
            world.egos[k].next_turn = 0


@entry
def first_out_of_range(argument, num, num_actions):
    """Index of the first of `num` actions, int64, outside [0, num_actions), -1 = none."""
    actions = open_actions(argument)
    for i in range(num):
        if actions[i] < 0 or actions[i] >= num_actions:
            return i
    return -1
