"""Who is where: the occupant of every cell, or on eastbound roads a ring of vehicles per lane.

Most maps keep `world.occupants`, one entry per cell. On a road of nothing but eastbound lanes the order of the
vehicles in a lane never changes but by a change of lane, so each vehicle is linked to the next one ahead: the leader
is one read away instead of a search through cells, and an advance has nothing to keep up to date. Measured in dense
traffic, this halves the time of a tick.
"""

from drivesim.core.jit import kernel
from drivesim.core.world import DRIVING, wrapped

FAR = 1_000  # cells, when a lane is empty


@kernel
def occupant_at(world, row, col):
    """The vehicle on the cell (row, col), which must be on the map; -1 = none."""
    if world.is_eastbound == 0:
        return int(world.occupants[row * int(world.cols) + col]) - 1
    k = int(world.first[row])
    if k < 0:
        return -1
    for _ in range(world.num_vehicles):
        if world.vehicles[k].col == col:
            return k
        k = int(world.vehicles[k].ahead)
        if k == world.first[row]:
            return -1
    return -1


@kernel
def cells_east(world, col, other):
    """Free cells from column `col` eastward to vehicle `other`; one less than the ring's length if it is there."""
    return wrapped(int(world.vehicles[other].col) - col - 1, int(world.cols))


@kernel
def neighbours(world, row, col):
    """On an eastbound road, who would be next to a newcomer at (row, col).

    Returns (free cells ahead, vehicle ahead, free cells behind, vehicle behind); (FAR, -1, FAR, -1) in an empty
    lane, and -1 free cells behind if the cell itself is taken.
    """
    k = int(world.first[row])
    if k < 0:
        return FAR, -1, FAR, -1
    size = int(world.cols)
    gap = size
    leader = k
    gap_behind = size
    follower = k
    for _ in range(world.num_vehicles):
        cells = cells_east(world, col, k)
        if cells < gap:
            gap = cells
            leader = k
        if size - 2 - cells < gap_behind:
            gap_behind = size - 2 - cells
            follower = k
        k = int(world.vehicles[k].ahead)
        if k == world.first[row]:
            break
    return gap, leader, gap_behind, follower


@kernel
def enter(world, k, row, col):
    """Put vehicle k, which is nowhere, on the empty cell (row, col)."""
    vehicle = world.vehicles[k]
    vehicle.row = row
    vehicle.col = col
    if world.is_eastbound == 0:
        world.occupants[row * int(world.cols) + col] = k + 1
        return
    _, _, _, follower = neighbours(world, row, col)
    if follower < 0:
        vehicle.ahead = k
        world.first[row] = k
    else:
        vehicle.ahead = world.vehicles[follower].ahead
        world.vehicles[follower].ahead = k


@kernel
def leave(world, k):
    """Take vehicle k off its cell, if it is the one that the cell knows of."""
    vehicle = world.vehicles[k]
    if world.is_eastbound == 0:
        cell = int(vehicle.row) * int(world.cols) + int(vehicle.col)
        if world.occupants[cell] == k + 1:
            world.occupants[cell] = 0
        return
    ahead = int(vehicle.ahead)
    if ahead < 0:
        return
    row = int(vehicle.row)
    vehicle.ahead = -1
    if ahead == k:
        world.first[row] = -1
        return
    before = ahead
    for _ in range(world.num_vehicles):
        if world.vehicles[before].ahead == k:
            break
        before = int(world.vehicles[before].ahead)
    world.vehicles[before].ahead = ahead
    world.first[row] = ahead


@kernel
def place(world, k, row, col, heading, speed, limit):
    """Put vehicle k on the map at the start of an episode."""
    vehicle = world.vehicles[k]
    vehicle.heading = heading
    vehicle.speed = speed
    vehicle.limit = limit
    vehicle.status = DRIVING
    vehicle.asked = -1
    vehicle.exit_cell = -1
    enter(world, k, row, col)


@kernel
def empty_lanes(world):
    """Make this an eastbound road without vehicles."""
    world.is_eastbound = 1
    for row in range(world.first.shape[0]):
        world.first[row] = -1
