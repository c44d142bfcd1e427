"""What may be driven: the rules of a road under which its traffic never collides and never stands for ever.

A level is certified by what its traffic can do from where it stands: along the ways to every destination that it may
have, straight on without one, and into the lanes beside. What must hold, each with a reason of its own in `REASONS`:

- Traffic drives only where lanes are one cell wide (`half_lane` 0), starts on the road, outside junctions, and slow
  enough to stop behind whoever is ahead.
- No two portals lead to one cell.
- From wherever traffic comes, its way leads on to every destination that it may have, if need be by a change of lane,
  and never turns back on the spot. Ways through junctions and crosswalks lead out of them.
- Outside junctions every cell has at most one predecessor over all ways; lane changes apart, for they keep (I).
- Who is unaware never looks, so nobody may walk and nobody's way may cross his, in junctions neither, and all in one
  lane drive at one speed. On open ground no more is asked: Autodrive's stream drives straight on along one row,
  whatever the headings that the ground allows beside it.
- The *cycle rule*: vehicles, egos included, are fewer than the storage of the smallest directed cycle. Its storage are
  its cells on which traffic may stand: all but junctions and crosswalks. From one to the next leads the way to some
  destination, or a change of lane, which leads one cell ahead.
- Who never drives, as its top speed is 0, is no traffic and has no way: it is parked, and stands on nobody's.

Why that is enough. Nobody collides: (I) holds along every way (`core.following`), two ways meet only in junctions, and
there cells are reserved (`core.junctions`). Nobody stands for ever: traffic waits for a red light, which ends, or for
the cell ahead to be left. Follow who waits for whom. Nobody waits in a junction, so all cells of such a chain are
storage; it either ends at somebody who may drive, or it closes, and then a whole cycle is full, which takes as many
vehicles as it has storage.
"""

from drivesim.core.cycles import (
    AIMS,
    BEFORE,
    MARKS,
    NUM_AIMS,
    NUM_PLANES,
    PASSED,
    QUEUE,
    STRAIGHT_ON,
    full_cycle,
    heading_to,
    lane_beside,
    size_of,
)
from drivesim.core.following import braking_distance, look, reach_of
from drivesim.core.jit import kernel
from drivesim.core.map import (
    LEFT_SIDE,
    PORTAL,
    RIGHT_SIDE,
    allows,
    ends_trip,
    is_within,
    junction_of,
    next_cell,
    way_from,
)
from drivesim.core.world import DRIVING, KRAUSS, UNAWARE

REASONS = (
    "",
    "two portals lead to {cell}",
    "traffic at {cell}, but lanes are more than one cell wide",
    "traffic starts at {cell}, where its heading is not allowed",
    "traffic starts in the junction at {cell}",
    "traffic starts at {cell} too fast to stop in time",
    "from {cell} no way leads on to a destination that traffic may have there",
    "traffic turns back on the spot at {cell}",
    "a way never leaves junctions and crosswalks from {cell} on",
    "several ways lead to {cell}, which is outside junctions",
    "the ways of unaware traffic cross at {cell}",
    "unaware traffic of different speeds drives in the lane of {cell}",
    "somebody is parked at {cell}, in the way of traffic",
    "somebody walks at {cell}, and unaware traffic waits for nobody",
    "vehicles, egos included, must be fewer than the {storage} cells of the cycle {cycle}",
)
"""Why a level is refused, by number; 0 = it is not."""
(
    FINE,
    PORTALS_MEET,
    WIDE_LANES,
    OFF_ITS_WAY,
    IN_JUNCTION,
    TOO_FAST,
    NO_WAY_ON,
    TURNS_BACK,
    NEVER_STANDS,
    WAYS_MEET,
    UNAWARE_CROSSES,
    UNAWARE_SPEEDS,
    IS_IN_THE_WAY,
    UNAWARE_OF_WALKERS,
    CYCLE_IS_FULL,
) = range(len(REASONS))


@kernel
def reachable_aims(map):
    """The destinations to which ways lead from anywhere, one bit each; traffic knows nothing of others."""
    num_cells = size_of(map)
    aims = 0
    for destination in range(map.num_destinations):
        for cell in range(num_cells):
            if way_from(map, destination, cell) >= 0:
                aims |= 1 << destination
                break
    return aims


@kernel
def first_aims(world, options, k, drawn):
    """What traffic vehicle k may be heading for at the start: its destination, without ways to it any of `drawn`."""
    vehicle = world.vehicles[k]
    if options.driver_model == UNAWARE or drawn == 0:
        return 1 << STRAIGHT_ON + int(vehicle.heading)
    return drawn & 1 << int(vehicle.destination) or drawn


@kernel
def aims_after(map, destination, drawn):
    """What traffic may be heading for when it has passed a destination, of `drawn`."""
    following = map.goals[destination].next
    return drawn if following == 0 else drawn & int(following)


@kernel
def leads_on(map, aim, cell):
    """Whether traffic can go on from a cell, if need be from the lane beside."""
    if heading_to(map, aim, cell) >= 0:
        return True
    for side in (LEFT_SIDE, RIGHT_SIDE):
        beside = lane_beside(map, cell, side)
        if beside >= 0 and heading_to(map, aim, beside) >= 0:
            return True
    return False


@kernel
def is_traffic(vehicle):
    """Whether a vehicle that is no ego ever drives."""
    return vehicle.status == DRIVING and vehicle.top_speed > 0


@kernel
def check_portals(map):
    """Whether no two portals lead to one cell: (reason, cell)."""
    for cell in range(size_of(map)):
        if map.ground[cell] & PORTAL != 0 and map.comes_from[map.leads_to[cell] >> 2] != cell:
            return PORTALS_MEET, map.leads_to[cell] >> 2
    return FINE, 0


@kernel
def check_start(map, world, options, k, drawn):
    """Whether traffic vehicle k starts where it may, and can stop: (reason, cell)."""
    vehicle = world.vehicles[k]
    if map.half_lane > 0:
        return WIDE_LANES, vehicle.cell
    if not allows(map, vehicle.cell, vehicle.heading):
        return OFF_ITS_WAY, vehicle.cell
    if options.driver_model != UNAWARE and junction_of(map, vehicle.cell) >= 0:
        return IN_JUNCTION, vehicle.cell
    if options.driver_model == KRAUSS:
        _, room, _ = look(map, world, k, vehicle.cell, reach_of(vehicle))
        if braking_distance(vehicle.speed) > room:
            return TOO_FAST, vehicle.cell
    aims = first_aims(world, options, k, drawn)
    for aim in range(NUM_AIMS):
        if aims >> aim & 1 == 1 and heading_to(map, aim, vehicle.cell) == (vehicle.heading + 2) & 3:
            return TURNS_BACK, vehicle.cell
    return FINE, 0


@kernel
def spread(num_cells, scratch, cell, aims, passed, tail):
    """Note what traffic may be heading for on a cell, and queue the cell if that is new; the new tail."""
    if aims & ~scratch[AIMS * num_cells + cell] == 0 and passed & ~scratch[PASSED * num_cells + cell] == 0:
        return tail
    scratch[AIMS * num_cells + cell] |= aims
    scratch[PASSED * num_cells + cell] |= passed
    if scratch[MARKS * num_cells + cell] == 0:
        scratch[MARKS * num_cells + cell] = 1
        scratch[QUEUE * num_cells + tail % num_cells] = cell
        tail += 1
    return tail


@kernel
def follow_ways(map, world, options, drawn, scratch):
    """Note for every cell what traffic may be heading for there: (reason, cell).

    Who has passed a destination takes one of those that may follow it, of `drawn`, there or later.
    """
    num_cells = size_of(map)
    for n in range(NUM_PLANES * num_cells):
        scratch[n] = 0
    tail = 0
    for k in range(world.num_egos, world.num_vehicles):
        if is_traffic(world.vehicles[k]):
            tail = spread(num_cells, scratch, world.vehicles[k].cell, first_aims(world, options, k, drawn), 0, tail)
    head = 0
    while head < tail:
        cell = int(scratch[QUEUE * num_cells + head % num_cells])
        head += 1
        scratch[MARKS * num_cells + cell] = 0
        aims = int(scratch[AIMS * num_cells + cell])
        passed = int(scratch[PASSED * num_cells + cell])
        for aim in range(map.num_destinations):
            if aims >> aim & 1 == 1 and ends_trip(map, aim, cell):
                passed |= 1 << aim
            if passed >> aim & 1 == 1:
                aims |= aims_after(map, aim, drawn)
        scratch[AIMS * num_cells + cell] = aims
        scratch[PASSED * num_cells + cell] = passed
        for aim in range(NUM_AIMS):
            if (aims | passed) >> aim & 1 == 0:
                continue
            if not leads_on(map, aim, cell):
                return NO_WAY_ON, cell
            heading = heading_to(map, aim, cell)
            if heading >= 0:
                target = next_cell(map, cell, heading)
                if heading_to(map, aim, target) == (heading + 2) & 3:
                    return TURNS_BACK, target
                tail = spread(num_cells, scratch, target, aims & 1 << aim, passed & 1 << aim, tail)
            for side in (LEFT_SIDE, RIGHT_SIDE):
                beside = lane_beside(map, cell, side)
                if options.driver_model != UNAWARE and beside >= 0 and heading_to(map, aim, beside) >= 0:
                    tail = spread(num_cells, scratch, beside, aims & 1 << aim, passed & 1 << aim, tail)
    return FINE, 0


@kernel
def check_parked(map, world, scratch):
    """Whether nobody is parked where traffic drives: (reason, cell)."""
    num_cells = size_of(map)
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING and not is_traffic(vehicle):
            if scratch[AIMS * num_cells + vehicle.cell] | scratch[PASSED * num_cells + vehicle.cell] != 0:
                return IS_IN_THE_WAY, vehicle.cell
    return FINE, 0


@kernel
def check_standing(map, scratch):
    """Whether every way leads to a cell on which traffic may stand: (reason, cell)."""
    num_cells = size_of(map)
    mark = 1
    for aim in range(NUM_AIMS):
        first = mark + 1  # of this aim
        for start in range(num_cells):
            mark += 1
            cell = start
            while True:
                known = (scratch[AIMS * num_cells + cell] | scratch[PASSED * num_cells + cell]) >> aim & 1 == 1
                if not known or not is_within(map, cell):
                    break
                if scratch[MARKS * num_cells + cell] == mark:
                    return NEVER_STANDS, cell
                if scratch[MARKS * num_cells + cell] >= first:
                    break
                scratch[MARKS * num_cells + cell] = mark
                heading = heading_to(map, aim, cell)
                if heading < 0:
                    break
                cell = next_cell(map, cell, heading)
    return FINE, 0


@kernel
def note_headings(map, scratch):
    """Let the plane AIMS hold all that traffic may have, and PASSED the headings that it takes, a bit each."""
    num_cells = size_of(map)
    for cell in range(num_cells):
        aims = int(scratch[AIMS * num_cells + cell] | scratch[PASSED * num_cells + cell])
        taken = 0
        for aim in range(NUM_AIMS):
            if aims >> aim & 1 == 1:
                heading = heading_to(map, aim, cell)
                if heading >= 0:
                    taken |= 1 << heading
        scratch[AIMS * num_cells + cell] = aims
        scratch[PASSED * num_cells + cell] = taken


@kernel
def check_meetings(map, options, scratch):
    """Whether ways meet in junctions only, and those of unaware traffic nowhere: (reason, cell)."""
    num_cells = size_of(map)
    is_unaware = options.driver_model == UNAWARE
    for cell in range(num_cells):
        for heading in range(4):
            if scratch[PASSED * num_cells + cell] >> heading & 1 == 1:
                target = next_cell(map, cell, heading)
                if is_unaware or junction_of(map, target) < 0:
                    if scratch[BEFORE * num_cells + target] != 0:
                        return UNAWARE_CROSSES if is_unaware else WAYS_MEET, target
                    scratch[BEFORE * num_cells + target] = cell
    return FINE, 0


@kernel
def check_unaware_speeds(map, world):
    """Whether all unaware traffic of one lane drives at one speed: (reason, cell)."""
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if not is_traffic(vehicle):
            continue
        cell = vehicle.cell
        for _ in range(size_of(map)):
            cell = next_cell(map, cell, vehicle.heading)
            other = int(world.occupants[cell]) - 1
            if other >= world.num_egos and world.vehicles[other].top_speed != vehicle.top_speed:
                return UNAWARE_SPEEDS, cell
    return FINE, 0


@kernel
def certify(map, world, options, scratch):
    """Why a level may not be driven: (reason, cell), (FINE, 0) if it may.

    The work grows with cells × destinations, and for the cycles with the square of the cells on which traffic may
    stand: 64 × 64 cells, all of them lanes side by side, take 0.1 s of CPU time (`tests/core/test_certificate.py`).

    Args:
        map: with its ways.
        world: at tick 0.
        options: its driver model is read.
        scratch: int64, NUM_PLANES times as long as the map has cells. Afterwards, of a cycle that is full, `BEFORE`
            leads backwards around it.
    """
    reason, cell = check_portals(map)
    if reason != FINE:
        return reason, cell
    num_vehicles = 0
    first = -1  # of the traffic
    for k in range(world.num_vehicles):
        if k < world.num_egos:
            num_vehicles += world.vehicles[k].status == DRIVING
        elif is_traffic(world.vehicles[k]):
            num_vehicles += 1
            if first < 0:
                first = k
    if first < 0:
        return FINE, 0
    if options.driver_model == UNAWARE and world.num_people > 0:
        return UNAWARE_OF_WALKERS, world.people[0].cell
    drawn = reachable_aims(map) if world.vehicles[first].destination >= 0 else 0
    for k in range(first, world.num_vehicles):
        if is_traffic(world.vehicles[k]):
            reason, cell = check_start(map, world, options, k, drawn)
            if reason != FINE:
                return reason, cell
    reason, cell = follow_ways(map, world, options, drawn, scratch)
    if reason != FINE:
        return reason, cell
    reason, cell = check_parked(map, world, scratch)
    if reason != FINE:
        return reason, cell
    if options.driver_model != UNAWARE:
        reason, cell = check_standing(map, scratch)
        if reason != FINE:
            return reason, cell
    note_headings(map, scratch)
    reason, cell = check_meetings(map, options, scratch)
    if reason != FINE:
        return reason, cell
    if options.driver_model == UNAWARE:
        return check_unaware_speeds(map, world)
    cell = full_cycle(map, scratch, num_vehicles)
    return FINE if cell == 0 else CYCLE_IS_FULL, cell
