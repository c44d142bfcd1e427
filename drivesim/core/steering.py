"""Steering of the controlled cars: what an action does to heading, lane and speed."""

from drivesim.core.events import collide, enter_cell, note_lane_change
from drivesim.core.jit import kernel
from drivesim.core.occupancy import enter, leave, occupant_at
from drivesim.core.world import (
    ACTION_FASTER,
    ACTION_LEFT,
    ACTION_RIGHT,
    ACTION_SLOWER,
    DRIVING,
    LEFT_SIDE,
    RIGHT_SIDE,
    allows,
    cell_beside,
    cell_under,
    turned,
)


@kernel
def can_turn(world, k, side):
    """Whether the cell under vehicle k allows the heading to that side, so that steering there means a turn."""
    return allows(world.cells[cell_under(world, k)], turned(world.vehicles[k].heading, side))


@kernel
def decide(world, k, action, top_speed):
    """Write what controlled car k does in this tick: vehicles[k].side, .quarter and .next_speed."""
    vehicle = world.vehicles[k]
    speed = int(vehicle.speed)
    vehicle.side = 0
    vehicle.quarter = 0
    vehicle.next_speed = speed
    if action == ACTION_FASTER:
        vehicle.next_speed = min(speed + 1, top_speed)
    elif action == ACTION_SLOWER:
        vehicle.next_speed = max(speed - 1, 0)
    elif action == ACTION_LEFT or action == ACTION_RIGHT:
        side = LEFT_SIDE if action == ACTION_LEFT else RIGHT_SIDE
        if not can_turn(world, k, side):
            vehicle.side = side
            vehicle.next_speed = max(speed, 1)
        elif speed <= 1:  # faster cars are too fast to turn: they go straight on
            vehicle.quarter = side
            vehicle.next_speed = 1


@kernel
def has_effect(world, k, action, top_speed):
    """Whether `action` does anything to vehicle k that IDLE does not. No safety filter."""
    speed = int(world.vehicles[k].speed)
    if action == ACTION_FASTER:
        return speed < top_speed
    if action == ACTION_SLOWER:
        return speed > 0
    if action == ACTION_LEFT:
        return speed <= 1 or not can_turn(world, k, LEFT_SIDE)
    if action == ACTION_RIGHT:
        return speed <= 1 or not can_turn(world, k, RIGHT_SIDE)
    return True


@kernel
def leave_world(world, k):
    """Take vehicle k, which has crashed or arrived, out of the traffic."""
    leave(world, k)
    vehicle = world.vehicles[k]
    vehicle.status = vehicle.leaves
    vehicle.leaves = 0


@kernel
def move_to(world, k, cell):
    """Put vehicle k on `cell` without asking who is there."""
    vehicle = world.vehicles[k]
    vehicle.row = cell // int(world.cols)
    vehicle.col = cell % int(world.cols)


@kernel
def judge_side_step(world, k):
    """Note what becomes of controlled car k's change of lane, on the state before anybody has moved.

    An occupied cell is a collision even if its occupant is about to leave: the move is never silently void.
    """
    target = cell_beside(world, k, world.vehicles[k].side)
    if target >= 0:
        occupant = occupant_at(world, target // int(world.cols), target % int(world.cols))
        if occupant >= 0:
            collide(world, k, occupant, True, False)
        for other in range(world.num_controlled):
            rival = world.vehicles[other]
            if other != k and rival.status == DRIVING and rival.side != 0:
                if cell_beside(world, other, rival.side) == target:
                    collide(world, k, other, True, True)
    enter_cell(world, k, target)


@kernel
def steer_controlled(world, actions, first, rules):
    """Turn and change lanes, all controlled cars at once: decide all, then apply all.

    Args:
        world: the world.
        actions: (num_worlds * num_controlled,) actions, numbered as ACTION_LEFT … ACTION_SLOWER.
        first: index in `actions` of this world's car 0.
        rules: the options.
    """
    any_side = False
    for k in range(world.num_controlled):
        if world.vehicles[k].status == DRIVING:
            action = int(actions[first + k])
            if rules.has_idle == 0 and action > 0:
                action += 1
            decide(world, k, action, int(rules.top_speed))
            any_side = any_side or world.vehicles[k].side != 0
    if any_side:
        for k in range(world.num_controlled):
            if world.vehicles[k].status == DRIVING and world.vehicles[k].side != 0:
                judge_side_step(world, k)
        for k in range(world.num_controlled):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING and vehicle.side != 0:
                before = cell_under(world, k)
                target = cell_beside(world, k, vehicle.side)
                leave(world, k)
                if target >= 0:
                    move_to(world, k, target)
                    note_lane_change(world, k, before, target)
                    if vehicle.leaves == 0:
                        enter(world, k, int(vehicle.row), int(vehicle.col))
        for k in range(world.num_vehicles):
            if world.vehicles[k].status == DRIVING and world.vehicles[k].leaves != 0:
                leave_world(world, k)
    for k in range(world.num_controlled):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and vehicle.quarter != 0:
            vehicle.heading = turned(vehicle.heading, vehicle.quarter)
            vehicle.turn = 0
