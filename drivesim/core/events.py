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
    EVENT_RAN_STOP,
    EVENT_RED_LIGHT,
    EVENT_SPEEDING,
    EVENT_WRONG_WAY,
    EVENTS_ENDING,
    EVENTS_FAILING,
)
from drivesim.core.following import braking_distance
from drivesim.core.jit import kernel
from drivesim.core.junctions import colour_for
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EDGE,
    OBSTACLE,
    OFF_ROAD,
    SHOULDER,
    UNREACHABLE,
    YIELD,
    allows,
    distance_from,
    headings,
    is_destination,
    is_ring,
    junction_ahead,
    junction_of,
    kind,
    lane_index,
    lane_offset,
    next_cell_for_ego,
)
from drivesim.core.pedestrians import is_crossed, meets_pedestrian
from drivesim.core.reservations import cells_to_entry
from drivesim.core.world import (
    ARRIVED,
    CRASHED,
    DRIVING,
    HAS_ENDED,
    RED,
    leave,
)

LEADER_SIGHT = 12  # cells within which who drives straight ahead of an ego is its leader
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
def enter_junction(map, world, k, before, cell, heading):
    """Ego k moves in `heading` from one cell into another: past a control, into somebody's right of way?

    Whatever cell it comes from, the approach in its heading is what counts, so that no control can be driven around.
    """
    ego = world.egos[k]
    s = junction_of(map, cell)
    if s >= 0 and s != junction_of(map, before):
        if colour_for(map, world, s, heading) == RED:
            ego.events |= EVENT_RED_LIGHT
        if map.junctions[s].control == ALL_WAY_STOP and ego.stood_at != before:
            ego.events |= EVENT_RAN_STOP
        if comes_too_late(map, world, k, s, heading):
            ego.events |= EVENT_FAILED_TO_YIELD
        ego.stood_at = 0
    if map.num_slots > 0 and is_reserved(map, world, k, cell):
        ego.events |= EVENT_FAILED_TO_YIELD
    if world.num_people > 0 and kind(map, cell) == CROSSWALK and is_crossed(map, world, cell, heading):
        ego.events |= EVENT_FAILED_TO_YIELD


@kernel
def is_reserved(map, world, k, cell):
    """Whether a cell is reserved for somebody whom ego k does not just follow."""
    holder = int(world.held[map.slots[cell] - 1]) - 1 if map.slots[cell] != 0 else -1
    if holder < 0 or holder == k:
        return False
    other = world.vehicles[holder]
    vehicle = world.vehicles[k]
    ahead = vehicle.cell
    for _ in range(LEADER_SIGHT):
        ahead = next_cell_for_ego(map, ahead, vehicle.heading)
        if ahead == other.cell:
            return other.heading != vehicle.heading
        if kind(map, ahead) == EDGE:
            break
    return True


@kernel
def comes_too_late(map, world, k, s, heading):
    """Whether somebody who goes first at junction s can no longer stop before it."""
    if map.junctions[s].control != YIELD:
        return False
    for j in range(world.num_egos):
        other = world.vehicles[j]
        if (
            j == k
            or other.status != DRIVING
            or map.junctions[s].ranks[other.heading] >= map.junctions[s].ranks[heading]
        ):
            continue
        needed = braking_distance(other.speed)
        distance, entry = cells_to_entry(map, other.cell, other.heading, -1, needed)
        if entry >= 0 and distance < needed and junction_ahead(map, entry, other.heading) == s:
            return True
    return False


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
    if vehicle.speed == 0:
        ego.stood_at = vehicle.cell
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
