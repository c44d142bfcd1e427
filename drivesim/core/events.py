"""What happened to the egos in this tick: facts, one bit each, detected here and nowhere else.

What each is and what follows from it stands in `event_table.py`. Reward, ends, `info` and metrics read these bits;
nobody re-derives one.
"""

from drivesim.core.event_table import (
    EVENT_ARRIVED,
    EVENT_AT_FAULT,
    EVENT_COLLISION,
    EVENT_FAILED_TO_YIELD,
    EVENT_HARSH,
    EVENT_LANE_CHANGE,
    EVENT_OFF_ROAD,
    EVENT_PEDESTRIAN_HIT,
    EVENT_RED_LIGHT,
    EVENT_SPEEDING,
    EVENT_WRONG_WAY,
    EVENTS_ENDING,
    EVENTS_FAILING,
)
from drivesim.core.jit import kernel
from drivesim.core.junctions import colour_for, is_held_by_others, line_junction
from drivesim.core.map import (
    EDGE,
    OBSTACLE,
    OFF_ROAD,
    SHOULDER,
    UNREACHABLE,
    allows,
    distance_from,
    headings,
    is_destination,
    is_ring,
    kind,
    lane_index,
    lane_offset,
)
from drivesim.core.pedestrians import meets_pedestrian
from drivesim.core.world import (
    ARRIVED,
    CRASHED,
    DRIVING,
    HAS_ENDED,
    RED,
    leave,
)

BLAME_TICKS = 5  # for this long after cutting in, a collision is the fault of who cut in


@kernel
def collide(world, a, b, a_entered, b_entered):
    """Vehicles a and b hit each other; who entered the other's cell, or had cut in on it, is at fault."""
    world.vehicles[a].next_status = CRASHED
    world.vehicles[b].next_status = CRASHED
    if a < world.num_egos:
        ego = world.egos[a]
        ego.events = (ego.events | EVENT_COLLISION) & ~EVENT_ARRIVED
        if a_entered or world.tick - ego.cut_in_at < BLAME_TICKS:
            ego.events |= EVENT_AT_FAULT
    if b < world.num_egos:
        ego = world.egos[b]
        ego.events = (ego.events | EVENT_COLLISION) & ~EVENT_ARRIVED
        if b_entered or world.tick - ego.cut_in_at < BLAME_TICKS:
            ego.events |= EVENT_AT_FAULT


@kernel
def ends_drive(map, world, k, cell):
    """Whether ego k's drive is over once it enters a cell."""
    where = kind(map, cell)
    if where == OFF_ROAD or where == OBSTACLE or where == EDGE or is_goal(map, world, k, cell):
        return True
    return world.num_people > 0 and meets_pedestrian(world, cell)


@kernel
def is_goal(map, world, k, cell):
    """Whether a cell is ego k's goal; on a ring, the goal is no cell."""
    return not is_ring(map) and is_destination(map, world.egos[k].goal, cell)


@kernel
def enter_cell(map, world, k, cell):
    """Note what it means for ego k to enter a cell."""
    ego = world.egos[k]
    vehicle = world.vehicles[k]
    where = kind(map, cell)
    if where == OFF_ROAD or where == EDGE:
        ego.events |= EVENT_OFF_ROAD
        vehicle.next_status = CRASHED
    elif where == OBSTACLE:
        ego.events |= EVENT_COLLISION | EVENT_AT_FAULT
        vehicle.next_status = CRASHED
    elif world.num_people > 0 and meets_pedestrian(world, cell):
        ego.events |= EVENT_PEDESTRIAN_HIT | EVENT_AT_FAULT
        vehicle.next_status = CRASHED
    elif vehicle.next_status == 0 and is_goal(map, world, k, cell):
        ego.events |= EVENT_ARRIVED
        vehicle.next_status = ARRIVED


@kernel
def note_lane_change(map, world, k, before, after):
    """Ego k has moved sideways from cell `before` to cell `after`."""
    if lane_index(map, before) != lane_index(map, after):
        world.egos[k].events |= EVENT_LANE_CHANGE


@kernel
def leave_line(map, world, k, line):
    """Ego k drives straight on from a cell: over a line, past a red light, into somebody's right of way?"""
    vehicle = world.vehicles[k]
    s = line_junction(map, line, vehicle.heading)
    if s < 0:
        return
    if colour_for(world, s, vehicle.heading) == RED:
        world.egos[k].events |= EVENT_RED_LIGHT
    if is_held_by_others(map, world, k, line, vehicle.heading, world.egos[k].goal):
        world.egos[k].events |= EVENT_FAILED_TO_YIELD


@kernel
def measure_drive(map, world, k):
    """After the advance: route, speed, comfort and lane keeping of ego k in this tick."""
    vehicle = world.vehicles[k]
    ego = world.egos[k]
    ego.ticks += 1
    ego.speed_sum += vehicle.speed
    ego.jerk_sum += ego.jerk
    if ego.jerk >= 2:
        ego.events |= EVENT_HARSH
    if vehicle.speed > map.speed_limit:
        ego.events |= EVENT_SPEEDING
    ego.on_shoulder = 0
    ego.offset = map.half_lane
    if ego.events & EVENT_OFF_ROAD == 0:
        cell = vehicle.cell
        if kind(map, cell) == SHOULDER:
            ego.on_shoulder = 1
        if headings(map, cell) != 0:
            ego.offset = abs(lane_offset(map, cell))
            if not allows(map, cell, vehicle.heading):
                ego.events |= EVENT_WRONG_WAY
        if not is_ring(map) and distance_from(map, ego.goal, cell) != UNREACHABLE:
            ego.remaining = distance_from(map, ego.goal, cell)
    ego.offset_sum += ego.offset
    if is_ring(map) and ego.remaining <= 0 and vehicle.status == DRIVING:
        ego.events |= EVENT_ARRIVED
        ego.remaining = 0
    if ego.events & EVENTS_ENDING != 0 and vehicle.status == DRIVING:
        leave(world, k)
        vehicle.status = ARRIVED if ego.events & EVENTS_FAILING == 0 else CRASHED
    ego.events_seen |= ego.events
    if vehicle.status != DRIVING:
        ego.drive = HAS_ENDED
