"""What happened to the controlled cars in this tick: facts, one bit each, detected here and nowhere else.

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
from drivesim.core.occupancy import leave
from drivesim.core.signals import claim_conflicts, colour_for, path_through, signal_at
from drivesim.core.world import (
    ARRIVED,
    CRASHED,
    CROSSING,
    DRIVING,
    GOAL,
    OBSTACLE,
    OFF_ROAD,
    RED,
    SHOULDER,
    STOP_LINE,
    UNREACHABLE,
    allows,
    cell_under,
    headings,
    kind,
    lane_index,
    lane_offset,
)

BLAME_TICKS = 5  # for this long after cutting in, a collision is the fault of who cut in


@kernel
def collide(world, a, b, a_entered, b_entered):
    """Vehicles a and b hit each other; who entered the other's cell, or had cut in on it, is at fault."""
    world.vehicles[a].leaves = CRASHED
    world.vehicles[b].leaves = CRASHED
    if a < world.num_controlled:
        driver = world.drivers[a]
        driver.events = (driver.events | EVENT_COLLISION) & ~EVENT_ARRIVED
        if a_entered or world.tick - driver.cut_in < BLAME_TICKS:
            driver.events |= EVENT_AT_FAULT
    if b < world.num_controlled:
        driver = world.drivers[b]
        driver.events = (driver.events | EVENT_COLLISION) & ~EVENT_ARRIVED
        if b_entered or world.tick - driver.cut_in < BLAME_TICKS:
            driver.events |= EVENT_AT_FAULT


@kernel
def meets_pedestrian(world, cell):
    """Whether a crossing pedestrian is on this cell."""
    for p in range(world.num_pedestrians):
        pedestrian = world.pedestrians[p]
        if pedestrian.status == CROSSING and int(pedestrian.row) * int(world.cols) + int(pedestrian.col) == cell:
            return True
    return False


@kernel
def ends_drive(world, cell):
    """Whether a controlled car's drive is over once it enters `cell` (-1: outside the map)."""
    if cell < 0:
        return True
    bits = int(world.cells[cell])
    where = kind(bits)
    if where == OFF_ROAD or where == OBSTACLE or where == GOAL:
        return True
    return world.num_pedestrians > 0 and meets_pedestrian(world, cell)


@kernel
def enter_cell(world, k, cell):
    """Note what it means for controlled car k to enter `cell` (-1: outside the map)."""
    driver = world.drivers[k]
    vehicle = world.vehicles[k]
    where = OFF_ROAD
    if cell >= 0:
        where = kind(world.cells[cell])
    if where == OFF_ROAD:
        driver.events |= EVENT_OFF_ROAD
        vehicle.leaves = CRASHED
    elif where == OBSTACLE:
        driver.events |= EVENT_COLLISION | EVENT_AT_FAULT
        vehicle.leaves = CRASHED
    elif world.num_pedestrians > 0 and meets_pedestrian(world, cell):
        driver.events |= EVENT_PEDESTRIAN_HIT | EVENT_AT_FAULT
        vehicle.leaves = CRASHED
    elif where == GOAL and vehicle.leaves == 0:
        driver.events |= EVENT_ARRIVED
        vehicle.leaves = ARRIVED


@kernel
def note_lane_change(world, k, before, after):
    """Controlled car k has moved sideways from cell `before` to cell `after`."""
    if lane_index(world.lanes[before]) != lane_index(world.lanes[after]):
        world.drivers[k].events |= EVENT_LANE_CHANGE


@kernel
def leave_line(world, k, before, row, col):
    """Controlled car k drives straight from cell `before` to (row, col): a red light, a right of way?"""
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    bits = int(world.cells[before])
    if kind(bits) != STOP_LINE or not allows(bits, heading):
        return
    s = signal_at(world, row, col)
    if s < 0:
        return
    if colour_for(world, s, heading) == RED:
        world.drivers[k].events |= EVENT_RED_LIGHT
    # The car's own way, seen from the line: its position may lie further back, so look from the cell itself.
    at_row, at_col = int(vehicle.row), int(vehicle.col)
    vehicle.row = before // int(world.cols)
    vehicle.col = before % int(world.cols)
    _, claim, exit_cell = path_through(world, k, 0)
    vehicle.row, vehicle.col = at_row, at_col
    if claim_conflicts(world, k, claim, exit_cell):
        world.drivers[k].events |= EVENT_FAILED_TO_YIELD


@kernel
def measure_drive(world, k):
    """After the advance: route, speed, comfort and lane keeping of controlled car k in this tick."""
    vehicle = world.vehicles[k]
    driver = world.drivers[k]
    driver.ticks += 1
    driver.speed_sum += vehicle.speed
    driver.jerk_sum += driver.jerk
    if driver.jerk >= 2:
        driver.events |= EVENT_HARSH
    if vehicle.speed > world.limit:
        driver.events |= EVENT_SPEEDING
    driver.on_shoulder = 0
    driver.offset = world.half_lane
    if driver.events & EVENT_OFF_ROAD == 0:
        cell = cell_under(world, k)
        bits = int(world.cells[cell])
        if kind(bits) == SHOULDER:
            driver.on_shoulder = 1
        if headings(bits) != 0:
            driver.offset = abs(lane_offset(world.lanes[cell]))
            if not allows(bits, int(vehicle.heading)):
                driver.events |= EVENT_WRONG_WAY
        if world.is_ring == 0 and world.route[cell] != UNREACHABLE:
            driver.remaining = world.route[cell]
    driver.offset_sum += driver.offset
    if world.is_ring != 0 and driver.remaining <= 0 and vehicle.status == DRIVING:
        driver.events |= EVENT_ARRIVED
        driver.remaining = 0
    if driver.events & EVENTS_ENDING != 0 and vehicle.status == DRIVING:
        leave(world, k)
        vehicle.status = ARRIVED if driver.events & EVENTS_FAILING == 0 else CRASHED
    driver.events_seen |= driver.events
    if vehicle.status != DRIVING:
        driver.ended = 1
