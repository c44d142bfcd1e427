"""Pedestrians: they step onto a crosswalk only if every approaching car can still stop."""

from drivesim.core.jit import kernel
from drivesim.core.map import CROSSWALK, EDGE, LEFT_SIDE, RIGHT_SIDE, cell_behind_for_ego, cell_beside, kind, next_cell
from drivesim.core.rng import DRAW_PEDESTRIAN, tick_words
from drivesim.core.world import CROSSING, DRIVING, NOBODY, WAITING

STEP_PROBABILITY = 16384  # of a waiting pedestrian wanting to cross in a tick, in 1 / 65,536


@kernel
def meets_pedestrian(world, cell):
    """Whether a crossing pedestrian is on this cell."""
    for p in range(world.num_people):
        if world.people[p].status == CROSSING and world.people[p].cell == cell:
            return True
    return False


@kernel
def is_crossed(map, world, cell, heading):
    """Whether somebody is on the crosswalk that a cell belongs to: the cells beside it, seen in `heading`."""
    if meets_pedestrian(world, cell):
        return True
    for side in (LEFT_SIDE, RIGHT_SIDE):
        beside = cell_beside(map, cell, heading, side)
        while kind(map, beside) == CROSSWALK:
            if meets_pedestrian(world, beside):
                return True
            beside = cell_beside(map, beside, heading, side)
    return False


@kernel
def car_is_too_near(map, world, cell):
    """Whether some car could not stop before a cell, its next action included.

    A car of speed v that speeds up once more and then brakes travels (v+1)(v+2)/2 cells; one that stands or moves
    backwards may back up by one.
    """
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if map.has_reverse != 0 and k < world.num_egos and vehicle.speed <= 0:
            if cell_behind_for_ego(map, vehicle.cell, vehicle.heading) == cell:
                return True
        reached = vehicle.cell
        for _ in range((vehicle.speed + 1) * (vehicle.speed + 2) // 2 + 1):
            if reached == cell:
                return True
            if kind(map, reached) == EDGE:
                break
            reached = next_cell(map, reached, vehicle.heading)
    return False


@kernel
def may_step_out(map, world, p):
    """Whether every car can still stop before each cell that pedestrian p is going to cross."""
    pedestrian = world.people[p]
    cell = pedestrian.cell + map.steps[pedestrian.heading]
    while kind(map, cell) == CROSSWALK:
        if car_is_too_near(map, world, cell):
            return False
        cell += map.steps[pedestrian.heading]
    return True


@kernel
def move_pedestrians(map, world):
    """Advance every pedestrian by one cell, after the vehicles have moved.

    Reads   the map, vehicles after their advance
    Writes  world.people
    """
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.status == NOBODY:
            continue
        cell = pedestrian.cell + map.steps[pedestrian.heading]
        if pedestrian.status == WAITING:
            if tick_words(world, DRAW_PEDESTRIAN, p)[0] & 0xFFFF >= STEP_PROBABILITY:
                continue
            if not may_step_out(map, world, p):
                continue
            pedestrian.status = CROSSING
        pedestrian.cell = cell
        if kind(map, cell) != CROSSWALK:  # across: wait there and come back
            pedestrian.status = WAITING
            pedestrian.heading = (pedestrian.heading + 2) & 3
