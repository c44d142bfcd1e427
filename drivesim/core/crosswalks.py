"""Crosswalks: who is on one, and who waits for one long enough to be waited for.

A crosswalk is a line of cells, the one along which somebody walks; several may lie side by side.
"""

from drivesim.core.jit import kernel
from drivesim.core.map import CROSSWALK, kind, next_cell
from drivesim.core.world import CROSSING, WAITING


@kernel
def meets_pedestrian(world, cell):
    """Whether a crossing pedestrian is on this cell."""
    for p in range(world.num_people):
        if world.people[p].status == CROSSING and world.people[p].cell == cell:
            return True
    return False


@kernel
def leads_over(map, begin, step, cell):
    """Whether a cell of a crosswalk lies ahead of somebody on cell `begin` who walks by `step`, on the same one."""
    reached = begin + step
    while kind(map, reached) == CROSSWALK:
        if reached == cell:
            return True
        reached += step
    return False


@kernel
def is_crossed(map, world, cell):
    """Whether somebody is on the crosswalk that a cell belongs to."""
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.status == CROSSING:
            begin = pedestrian.cell
            step = map.steps[pedestrian.heading]
            if begin == cell or leads_over(map, begin, step, cell):
                return True
            if kind(map, begin) == CROSSWALK and leads_over(map, begin, -step, cell):
                return True
    return False


@kernel
def is_waited_for(map, world, cell, longer_than):
    """Whether somebody has run out of patience for the crosswalk that a cell belongs to, and waited so many ticks."""
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.status == WAITING and pedestrian.waited > max(pedestrian.patience, longer_than):
            if leads_over(map, pedestrian.cell, map.steps[pedestrian.heading], cell):
                return True
    return False


@kernel
def beyond_crosswalks(map, cell, heading, distance):
    """The cells straight ahead up to the first one, `distance` cells on or behind that, which is of no crosswalk."""
    for _ in range(distance):
        cell = next_cell(map, cell, heading)
    while kind(map, cell) == CROSSWALK:
        cell = next_cell(map, cell, heading)
        distance += 1
    return distance
