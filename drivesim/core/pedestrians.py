"""Pedestrians: when they step onto a crosswalk, and how they walk over it.

Somebody beside a crosswalk begins to want to cross, and steps out as soon as everybody who approaches can still stop:
an ego with its next action included, traffic by (I). Nobody steps onto cells that traffic has reserved to pass them
with a junction, nor into a taken cell.

Neither side waits for ever. Who has wanted to cross a free crosswalk for longer than its patience is waited for by
whoever can stop by braking by 1, and at a junction by whoever has asked later. While somebody crosses and traffic waits
for that, nobody else steps out; and who has waited at a junction for its own patience is let pass by who came later.
"""

from drivesim.core.crosswalks import is_crossed, leads_over
from drivesim.core.following import braking_distance
from drivesim.core.jit import kernel
from drivesim.core.junctions import has_waited
from drivesim.core.map import (
    CROSSWALK,
    EDGE,
    LEFT_SIDE,
    RIGHT_SIDE,
    allows,
    cell_behind_for_ego,
    cell_beside,
    is_with_junction,
    kind,
    next_cell,
    next_cell_for_ego,
    onward,
    turned,
)
from drivesim.core.open_road import open_cells
from drivesim.core.reservations import entry_ahead
from drivesim.core.rng import DRAW_PEDESTRIAN, below, tick_words
from drivesim.core.world import CROSSING, DRIVING, WAITING

STEP_PROBABILITY = 16384  # of beginning to want to cross, per tick, in 1 / 65,536
STEPS_OUT = -1  # instead of a time waited: steps out in this tick
LONGEST_REST = 3  # ticks for which who hesitates stands on a cell


@kernel
def place_pedestrian(world, cell, heading, status, patience, hesitates):
    """Put one more pedestrian on the map at the start of an episode."""
    pedestrian = world.people[world.num_people]
    pedestrian.cell = cell
    pedestrian.heading = heading
    pedestrian.status = status
    pedestrian.patience = patience
    pedestrian.hesitates = hesitates
    world.num_people += 1


@kernel
def ego_may_reach(map, pedestrian, cell, heading, distance):
    """Whether an ego that drives up to so many cells straight on comes to where a pedestrian is going to walk."""
    step = map.steps[pedestrian.heading]
    for n in range(distance + 1):
        if leads_over(map, pedestrian.cell, step, cell):
            return True
        if n == distance or kind(map, cell) == EDGE:
            break
        cell = next_cell_for_ego(map, cell, heading)
    return False


@kernel
def ego_is_too_near(map, vehicle, pedestrian):
    """Whether an ego could come to where a pedestrian is going to walk by its next action and braking after that.

    At speed v it travels (v + 1)(v + 2) / 2 cells if it speeds up and then brakes; but it may turn, change lane or,
    with a reverse gear, back up too.
    """
    speed = vehicle.speed
    cell = vehicle.cell
    heading = vehicle.heading
    if ego_may_reach(map, pedestrian, cell, heading, (speed + 1) * (speed + 2) // 2):
        return True
    step = map.steps[pedestrian.heading]
    if map.has_reverse != 0 and speed <= 0:
        if leads_over(map, pedestrian.cell, step, cell_behind_for_ego(map, cell, heading)):
            return True
    for side in (LEFT_SIDE, RIGHT_SIDE):
        across = turned(heading, side)
        if allows(map, cell, across):
            if speed <= 1:
                if speed >= 0:
                    target = next_cell_for_ego(map, cell, across)
                else:
                    target = cell_behind_for_ego(map, cell, across)
                if leads_over(map, pedestrian.cell, step, target):
                    return True
        elif speed >= 0:
            slowest = max(speed, 1)
            beside = cell_beside(map, cell, heading, side)
            if ego_may_reach(map, pedestrian, beside, heading, slowest * (slowest + 1) // 2):
                return True
    return False


@kernel
def traffic_is_too_near(map, vehicle, pedestrian):
    """Whether traffic that brakes by 1, and stops on no crosswalk, comes to where a pedestrian is going to walk."""
    step = map.steps[pedestrian.heading]
    cell = vehicle.cell
    room = braking_distance(vehicle.speed)
    if open_cells(map, cell, vehicle.heading) > room:
        return False
    while not leads_over(map, pedestrian.cell, step, cell):
        if kind(map, cell) == EDGE or (room <= 0 and kind(map, cell) != CROSSWALK):
            return False
        cell = next_cell(map, cell, vehicle.heading)
        room -= 1
    return True


@kernel
def waits_for_crosswalk(map, world, k, pedestrian):
    """Whether traffic vehicle k waits to get over where a pedestrian is going to walk.

    It stands right before it; or asks for a junction, and would pass the crosswalk with it.
    """
    vehicle = world.vehicles[k]
    step = map.steps[pedestrian.heading]
    cell, heading = onward(map, vehicle.destination, vehicle.cell, vehicle.heading)
    if vehicle.speed == 0 and leads_over(map, pedestrian.cell, step, cell):
        return True
    if vehicle.asked_at < 0 or vehicle.may_enter != 0:
        return False
    _, entry = entry_ahead(map, world, k)
    if entry < 0:
        return False
    heading = vehicle.heading
    cell = next_cell(map, entry, heading)
    for _ in range(map.num_slots):
        if not is_with_junction(map, cell):
            break
        if leads_over(map, pedestrian.cell, step, cell):
            return True
        cell, heading = onward(map, vehicle.destination, cell, heading)
    return False


@kernel
def is_reserved_ahead(map, world, pedestrian):
    """Whether a cell that a pedestrian is going to cross is taken, or reserved for traffic."""
    step = map.steps[pedestrian.heading]
    cell = pedestrian.cell + step
    while kind(map, cell) == CROSSWALK:
        if world.occupants[cell] != 0:
            return True
        if map.num_slots > 0 and map.slots[cell] != 0 and world.held[map.slots[cell] - 1] > world.num_egos:
            return True
        cell += step
    return False


@kernel
def may_step_out(map, world, p):
    """Whether pedestrian p may step onto the crosswalk before it now."""
    pedestrian = world.people[p]
    if is_reserved_ahead(map, world, pedestrian):
        return False
    others_cross = is_crossed(map, world, pedestrian.cell + map.steps[pedestrian.heading])
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if k < world.num_egos:
            if ego_is_too_near(map, vehicle, pedestrian):
                return False
            continue
        if traffic_is_too_near(map, vehicle, pedestrian):
            return False
        goes_first = has_waited(world, k) and world.tick - vehicle.asked_at >= pedestrian.waited
        if (others_cross or goes_first) and waits_for_crosswalk(map, world, k, pedestrian):
            return False
    return True


@kernel
def decide_to_cross(map, world, p):
    """Note whether pedestrian p, which waits, wants to cross, for how long it has wanted to, and whether it steps out.

    Time does not count while somebody else crosses: then it is not traffic that it waits for.
    """
    pedestrian = world.people[p]
    cell = pedestrian.cell + map.steps[pedestrian.heading]
    if kind(map, cell) != CROSSWALK:
        return
    if pedestrian.waited == 0:
        if tick_words(world, DRAW_PEDESTRIAN, p)[0] & 0xFFFF >= STEP_PROBABILITY:
            return
        pedestrian.waited = 1
    elif not is_crossed(map, world, cell):
        pedestrian.waited += 1
    if may_step_out(map, world, p):
        pedestrian.waited = STEPS_OUT


@kernel
def walk(map, world, p):
    """Advance pedestrian p, which crosses, by a cell, unless it hesitates or the cell is taken."""
    pedestrian = world.people[p]
    cell = pedestrian.cell + map.steps[pedestrian.heading]
    if pedestrian.rest > 0:
        pedestrian.rest -= 1
        return
    if world.occupants[cell] != 0:
        return
    if kind(map, cell) != EDGE:
        pedestrian.cell = cell
    if kind(map, cell) != CROSSWALK:  # across: wait there and come back
        pedestrian.status = WAITING
        pedestrian.heading = turned(turned(pedestrian.heading, RIGHT_SIDE), RIGHT_SIDE)
    elif pedestrian.hesitates != 0:
        pedestrian.rest = below(tick_words(world, DRAW_PEDESTRIAN, p)[1], LONGEST_REST + 1)


@kernel
def move_pedestrians(map, world):
    """Let all decide, then all walk, after the vehicles have moved.

    Reads   the map, vehicles after their advance, world.held
    Writes  world.people
    """
    for p in range(world.num_people):
        if world.people[p].status == WAITING:
            decide_to_cross(map, world, p)
    for p in range(world.num_people):
        pedestrian = world.people[p]
        if pedestrian.waited == STEPS_OUT:
            pedestrian.waited = pedestrian.rest = 0
            pedestrian.status = CROSSING
        if pedestrian.status == CROSSING:
            walk(map, world, p)
