"""What happened to the egos in this tick: facts, one bit each, detected here and nowhere else.

What each is and what follows from it stands in `event_table.py`. Reward, ends, `info` and metrics read these bits;
nobody re-derives one.
"""

from drivesim.core.crosswalks import is_crossed, meets_pedestrian
from drivesim.core.event_table import (
    EVENT_ARRIVED,
    EVENT_AT_FAULT,
    EVENT_COLLISION,
    EVENT_CUT_IN,
    EVENT_FAILED_TO_YIELD,
    EVENT_HARSH,
    EVENT_LANE_CHANGE,
    EVENT_OFF_ROAD,
    EVENT_PEDESTRIAN_HIT,
    EVENT_RAN_STOP,
    EVENT_RED_LIGHT,
    EVENT_SPEEDING,
    EVENT_WRONG_WAY,
    EVENTS_CRASHING,
    EVENTS_ENDING,
)
from drivesim.core.following import braking_distance, is_safe
from drivesim.core.jit import kernel, seldom_kernel
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EDGE,
    OBSTACLE,
    OFF_ROAD,
    SHOULDER,
    UNREACHABLE,
    YIELD,
    cell_behind_for_ego,
    distance_from,
    headings,
    is_destination,
    is_ring,
    junction_ahead,
    junction_of,
    kind,
    lane_index,
    lane_offset,
    may_drive,
    next_cell_for_ego,
)
from drivesim.core.reservations import cells_to_entry
from drivesim.core.signals import colour_for
from drivesim.core.world import (
    ARRIVED,
    CRASHED,
    DRIVING,
    HAS_ENDED,
    RED,
    TOP_SPEED,
    leave_world,
    occupant_of,
)

LEADER_SIGHT = 12  # cells within which who drives straight ahead of an ego is its leader
BLAME_TICKS = 5  # for this long after cutting in, a collision is the fault of who cut in


@seldom_kernel
def collide(world, a, b, a_entered, b_entered):
    """Vehicles a and b hit each other; who entered the other's cell, or had cut in on it, is at fault.

    So is who has just backed into the cell where it is hit.
    """
    world.vehicles[a].next_status = CRASHED
    world.vehicles[b].next_status = CRASHED
    if a < world.num_egos:
        blame(world, a, a_entered)
    if b < world.num_egos:
        blame(world, b, b_entered)


@kernel
def blame(world, k, has_entered):
    """Note that ego k has hit, or was hit by, a vehicle, and whether that is its fault."""
    ego = world.egos[k]
    ego.events = (ego.events | EVENT_COLLISION) & ~EVENT_ARRIVED
    if has_entered or world.tick - max(ego.cut_in_at, ego.reversed_at) < BLAME_TICKS:
        ego.events |= EVENT_AT_FAULT


@kernel
def ends_drive(map, world, k, cell):
    """Whether ego k's drive is over once it enters a cell."""
    where = kind(map, cell)
    if where == OFF_ROAD or where == OBSTACLE or where == EDGE or has_arrived(map, world, k, cell, False):
        return True
    return world.num_people > 0 and meets_pedestrian(world, cell)


@kernel
def has_arrived(map, world, k, cell, ends_tick):
    """Whether ego k arrives on a cell: on entering it or, with `ends_tick`, where its tick ends.

    A goal is reached on entering one of its cells; one with a heading or a top speed when a tick ends there with them.
    No cell is a goal in a heading in which it is driven the wrong way. On a ring, the goal is no cell.
    """
    if is_ring(map) or not is_destination(map, world.egos[k].goal, cell):
        return False
    return meets_terms(map, world, k, cell, ends_tick)


@kernel
def meets_terms(map, world, k, cell, ends_tick):
    """`has_arrived`, on a cell of ego k's goal."""
    vehicle = world.vehicles[k]
    if not may_drive(map, cell, vehicle.heading):
        return False
    goal = map.goals[world.egos[k].goal]
    has_terms = goal.heading != 0 or goal.top_speed != 0
    if not has_terms or not ends_tick:
        return has_terms == ends_tick
    is_slow = goal.top_speed == 0 or abs(vehicle.speed) < goal.top_speed
    return is_slow and (goal.heading == 0 or goal.heading == vehicle.heading + 1)


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
    elif vehicle.next_status == 0 and has_arrived(map, world, k, cell, False):
        ego.events |= EVENT_ARRIVED
        vehicle.next_status = ARRIVED


@kernel
def note_lane_change(map, world, k, before, after):
    """Ego k has moved sideways from cell `before` to cell `after`."""
    if lane_index(map, before) != lane_index(map, after):
        world.egos[k].events |= EVENT_LANE_CHANGE
        world.egos[k].num_lane_changes += 1


@kernel
def note_cut_in(map, world, k):
    """Ego k has moved sideways: has it left another ego behind it no safe speed? Traffic tells itself, in `follow`."""
    vehicle = world.vehicles[k]
    cell = vehicle.cell
    for gap in range(braking_distance(TOP_SPEED)):
        cell = cell_behind_for_ego(map, cell, vehicle.heading)
        other = occupant_of(world, cell)
        if other < 0 and kind(map, cell) != EDGE:
            continue
        if 0 <= other < world.num_egos and other != k:
            follower = world.vehicles[other]
            if follower.heading == vehicle.heading and not is_safe(follower.speed, gap, vehicle.speed):
                world.egos[k].cut_in_at = world.tick
        break


@kernel
def enter_junction(map, world, k, before, cell, heading, has_speeds):
    """Ego k moves in `heading` from one cell into another: past a control, into somebody's right of way?

    Whatever cell it comes from, the approach in its heading is what counts, so that no control can be driven around.
    `has_speeds`: whether everybody has taken over the speed of this tick.
    """
    ego = world.egos[k]
    s = junction_of(map, cell)
    if s >= 0 and s != junction_of(map, before):
        if colour_for(map, world, s, heading) == RED:
            ego.events |= EVENT_RED_LIGHT
        if map.junctions[s].control == ALL_WAY_STOP and ego.stood_at != before:
            ego.events |= EVENT_RAN_STOP
        if comes_too_late(map, world, k, s, heading, has_speeds):
            ego.events |= EVENT_FAILED_TO_YIELD
        ego.stood_at = 0
    if map.num_slots > 0 and is_reserved(map, world, k, cell):
        ego.events |= EVENT_FAILED_TO_YIELD
    if world.num_people > 0 and kind(map, cell) == CROSSWALK and is_crossed(map, world, cell):
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
def comes_too_late(map, world, k, s, heading, has_speeds):
    """Whether somebody who goes first at junction s could no longer stop before it when this tick began."""
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
        needed = braking_distance(max(other.speed - other.acceleration if has_speeds else other.speed, 0))
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
    ego.speed_sum += abs(vehicle.speed)
    ego.jerk_sum += ego.jerk
    if ego.jerk >= 2:
        ego.events |= EVENT_HARSH
    if vehicle.speed > map.speed_limit:
        ego.events |= EVENT_SPEEDING
    if ego.cut_in_at == world.tick:
        ego.events |= EVENT_CUT_IN
    if vehicle.speed == 0:
        ego.stood_at = vehicle.cell
        ego.ticks_standing += 1
    ego.on_shoulder = 0
    ego.offset = map.half_lane
    if ego.events & EVENT_OFF_ROAD == 0:
        cell = vehicle.cell
        if kind(map, cell) == SHOULDER:
            ego.on_shoulder = 1
        if headings(map, cell) != 0:
            ego.offset = abs(lane_offset(map, cell))
            if not may_drive(map, cell, vehicle.heading):
                ego.events |= EVENT_WRONG_WAY
        if not is_ring(map):
            distance = distance_from(map, ego.goal, cell, vehicle.heading)
            if distance != UNREACHABLE:
                ego.remaining = distance
            if distance == 0 and vehicle.status == DRIVING and has_arrived(map, world, k, cell, True):
                ego.events |= EVENT_ARRIVED
    ego.offset_sum += ego.offset
    if is_ring(map) and ego.remaining <= 0 and vehicle.status == DRIVING:
        ego.events |= EVENT_ARRIVED
        ego.remaining = 0
    if ego.events & EVENTS_ENDING != 0 and vehicle.status == DRIVING:
        vehicle.next_status = ARRIVED if ego.events & EVENTS_CRASHING == 0 else CRASHED
        leave_world(map, world, k)
    ego.events_seen |= ego.events
    if vehicle.status != DRIVING:
        ego.drive = HAS_ENDED
