"""What lies next to an ego, for `"features"`: what its moves save, and how soon others may be there."""

from drivesim.core.jit import kernel
from drivesim.core.map import (
    LEFT_SIDE,
    RIGHT_SIDE,
    UNREACHABLE,
    allows,
    cell_behind,
    cell_towards,
    distance_from,
    heading_on,
    headings,
    is_ring,
    junction_of,
    turned,
)
from drivesim.core.reservations import destination_of
from drivesim.core.world import occupant_of

HALF_WAY = 10.0  # cells that are coded 0.5
NUM_SOON = 6  # cells near the ego of which is told how soon somebody may be there
SIGHT = 8  # cells from which somebody comes there


@kernel
def clipped(value):
    """The value, at least -1 and at most 1."""
    return max(-1.0, min(1.0, value))


@kernel
def coded(distance):
    """A distance in (-1, 1): one of 10 cells is 0.5."""
    return distance / (abs(distance) + HALF_WAY)


@kernel
def saved_moves(map, world, k, cell, heading):
    """Moves to the goal saved by being on `cell` in `heading` instead of here; far negative without a way."""
    if is_ring(map):
        return 0
    distance = distance_from(map, world.egos[k].goal, cell, heading)
    if distance == UNREACHABLE:
        return -1000
    return world.egos[k].remaining - distance


@kernel
def saved_by_step(map, world, k, cell, heading):
    """The same of a cell next to the ego, as a share of 2; -1 where there is no road."""
    if cell < 0 or headings(map, cell) == 0:
        return -1.0
    return clipped(saved_moves(map, world, k, cell, heading) / 2.0)


@kernel
def describe_around(map, world, k, out, base):
    """What the moves to the cells next to ego k save, at `out[base:]`: ahead, right, behind and left.

    In the heading that it has then: turned where its cell allows that. Then what the moves backwards save that turn it
    to the left and to the right, -1 where there are none.
    """
    ego = world.vehicles[k]
    for quarter in range(4):
        side = turned(ego.heading, quarter)
        heading = side if quarter & 1 == 1 and allows(map, ego.cell, side) else ego.heading
        cell = cell_towards(map, ego.cell, side, 1, 0)
        out[base + quarter] = saved_by_step(map, world, k, cell, heading)
    for n in range(2):
        heading = turned(ego.heading, LEFT_SIDE if n == 0 else RIGHT_SIDE)
        out[base + 4 + n] = -1.0
        if map.has_reverse != 0 and allows(map, ego.cell, heading):
            out[base + 4 + n] = saved_by_step(map, world, k, cell_towards(map, ego.cell, heading, -1, 0), heading)


@kernel
def ticks_to(distance, speed, top_speed):
    """Ticks in which a vehicle covers a distance > 0 at the earliest; its top speed is at least 1."""
    ticks = 0
    while distance > 0:
        speed = min(speed + 1, top_speed)
        distance -= speed
        ticks += 1
    return ticks


@kernel
def soonest(map, world, k, cell):
    """The ticks in which somebody but ego k may be on a cell, at the earliest: 1 if it is taken, 0 if nobody comes.

    On cells of junctions, and on all where there is a reverse gear, it looks back along all headings of the cell, at
    most SIGHT cells and through portals too: at the first vehicle there, if it goes on towards the cell from where it
    is.
    """
    if world.occupants[cell] != 0:
        return 1
    if map.has_reverse == 0 and junction_of(map, cell) < 0:
        return 0
    soon = 0
    for heading in range(4):
        if allows(map, cell, heading):
            origin = cell
            for distance in range(1, SIGHT + 1):
                origin = cell_behind(map, origin, heading)
                if headings(map, origin) == 0:
                    break
                if world.occupants[origin] != 0:
                    j = occupant_of(world, origin)
                    other = world.vehicles[j]
                    onward = heading_on(map, destination_of(world, j), origin, other.heading)
                    if j != k and onward == heading and other.top_speed > 0:
                        ticks = ticks_to(distance, other.speed, other.top_speed)
                        soon = ticks if soon == 0 else min(soon, ticks)
                    break
    return soon


@kernel
def describe_soon(map, world, k, out, base):
    """How soon somebody else may be where ego k can drive, 1 / ticks, at `out[base:]`; 0 where nobody comes.

    On the three cells ahead, and on those to the right, behind and to the left. Only on maps with junctions or a
    reverse gear: elsewhere nobody crosses.
    """
    if map.has_reverse == 0 and map.num_junctions == 0:
        return
    ego = world.vehicles[k]
    for n in range(NUM_SOON):
        quarter = max(n - 2, 0)
        cell = cell_towards(map, ego.cell, turned(ego.heading, quarter), n + 1 if quarter == 0 else 1, 0)
        if cell >= 0 and headings(map, cell) != 0:
            ticks = soonest(map, world, k, cell)
            if ticks > 0:
                out[base + n] = 1.0 / ticks
