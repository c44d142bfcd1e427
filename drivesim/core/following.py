"""Car following: how fast traffic drives behind what it sees.

Car following is Krauss's safe speed (Krauss, Wagner, Gawron, Phys. Rev. E 55 (1997) 5597) in integers with a braking
of 1 cell per tick². A vehicle of speed v that starts to brake in the next tick still travels v(v-1)/2 cells, so
with `gap` free cells and a leader of speed u the state is safe when

    (I)    v(v-1)/2  <=  gap + u(u-1)/2.

Taking the largest v' in {v-1, v, v+1} with v'(v'+1)/2 <= gap + u(u-1)/2 keeps (I) from tick to tick, whatever the
leader does within the same limits. Lane changes keep it too: they are only made where (I) holds for both new pairs.

Only egos can break (I): one cuts in, or is gone all at once from between two others. Who then has no safe speed left
brakes as hard as it takes, to at most `gap`, and so does whoever follows. So no two traffic vehicles ever meet.
"""

from drivesim.core.bits import word_at, zero_bytes_below
from drivesim.core.crosswalks import beyond_crosswalks, is_crossed, is_waited_for
from drivesim.core.jit import inlined_kernel, kernel, seldom_kernel
from drivesim.core.map import (
    CROSSWALK,
    EAST,
    EDGE,
    LANE,
    allows,
    has_several_headings,
    is_with_junction,
    junction_ahead,
    junction_of,
    kind,
    next_cell,
    way_from,
)
from drivesim.core.memory import WORD
from drivesim.core.open_road import open_cells
from drivesim.core.rng import DRAW_DAWDLE, tick_words
from drivesim.core.world import DRIVING, NASCH, UNAWARE, occupant_of

PLAIN_EAST = int.from_bytes(
    bytes([1 << EAST | LANE << 4] * WORD), "little"
)  # eight ordinary cells of an eastbound lane
STALE = -2  # instead of a leader: somebody has come or gone since


@kernel
def braking_distance(speed):
    """Cells still travelled by a vehicle that brakes by 1 in every tick from the next one on."""
    return speed * (speed - 1) // 2


@kernel
def is_safe(speed, gap, leader_speed):
    """Invariant (I): the follower can stop behind wherever the leader can stop."""
    return braking_distance(speed) <= gap + braking_distance(leader_speed)


@kernel
def reach_of(vehicle):
    """Cells within which a vehicle that speeds up now could have to stop: it need not look further."""
    wish = min(vehicle.speed + 1, vehicle.top_speed)
    return wish * (wish + 1) // 2


@inlined_kernel
def look(map, world, k, cell, distance):
    """What vehicle k would follow if it stood on `cell`: (gap, stopping room, vehicle).

    Looks at most `distance` cells along k's own path. The gap is the number of free cells, the stopping room the cells
    within which k has to be able to stop: the gap and the leader's braking distance, none for whatever does not drive
    in k's heading, and a cell less behind an ego with a reverse gear; a line, a crosswalk or a turn behind the leader,
    who need not stop there, may leave less. Without a vehicle in the way the third value is -1. A path that is free for
    all of `distance` gives (distance, distance, -1), or a cell more, which is enough to decide any speed that
    `distance` was taken for.

    Whoever crashes leaves the world at once and brakes for nobody; so does an ego that arrives. While the drive of
    others goes on, nobody can count on a leader's braking alone: among several egos, the room is that of everybody
    ahead, which is also enough if whoever leads leaves the world in this tick.
    """
    is_simple = world.num_egos <= 1 and map.num_junctions == 0 and map.has_reverse == 0
    if world.vehicles[k].heading == EAST and distance <= WORD and is_simple:
        # What follows, for eight ordinary cells in one look: without a loop, and without a branch on who is ahead,
        # which cannot be predicted (with the two loops of `steer_traffic`, 383 ns a tick of Highway instead of 698).
        if map.ground[cell] == PLAIN_EAST & 255:
            if zero_bytes_below(word_at(map.ground, cell + 1) ^ PLAIN_EAST) >= distance:
                gap = min(zero_bytes_below(word_at(world.occupants, cell + 1)), distance)
                found = gap < distance
                leader = found * occupant_of(world, cell + 1 + gap) - (1 - found)
                other = world.vehicles[max(leader, 0)]
                return gap, gap + (found & (other.heading == EAST)) * braking_distance(other.speed), leader
    if world.num_egos <= 1 and map.has_reverse == 0:
        num_open = open_cells(map, cell, world.vehicles[k].heading)
        if num_open > distance:
            gap, room, leader = look_along(map, world, k, cell, distance)
            if num_open > room:
                return gap, room, leader
    if map.has_reverse != 0:
        distance += 1  # a cell before an ego stays free
    if world.num_people == 0:
        return walk(map, world, k, cell, distance)
    vehicle = world.vehicles[k]
    distance = beyond_crosswalks(map, cell, vehicle.heading, distance)
    gap, room, leader = walk(map, world, k, cell, distance)
    kept_gap = room_before_people(map, world, vehicle, cell, gap)
    kept_room = room_before_people(map, world, vehicle, cell, room)
    return gap if kept_gap < 0 else kept_gap, room if kept_room < 0 else kept_room, leader


@kernel
def look_along(map, world, k, cell, distance):
    """`look`, on open road for all of `distance`: only who is there matters."""
    heading = world.vehicles[k].heading
    for gap in range(distance):
        cell += map.steps[heading]
        leader = occupant_of(world, cell)
        if leader >= 0:
            other = world.vehicles[leader]
            return gap, gap + (other.heading == heading) * braking_distance(other.speed), leader
    return distance, distance, -1


@seldom_kernel
def walk(map, world, k, cell, distance):
    """`look`, cell by cell, on whatever lies ahead."""
    vehicle = world.vehicles[k]
    heading = vehicle.heading
    plain = 1 << heading | LANE << 4  # the ground of an ordinary cell of my lane
    gap = -1
    room = distance
    leader = -1
    sees = True
    is_let_in = vehicle.may_enter != 0
    before = cell
    for n in range(1, distance + 1):
        cell = next_cell(map, before, heading)
        if is_let_in and is_with_junction(map, before) and not is_with_junction(map, cell):
            is_let_in = False  # for the junction behind it only
        is_plain = map.ground[cell] == plain and map.ground[before] == plain and junction_of(map, cell) < 0
        if is_plain and world.occupants[cell] == 0:
            if room <= n:
                break
            before = cell
            continue
        if is_closed(map, world, k, before, cell, sees, is_let_in):
            room = min(room, n - 1)
            break
        occupant = occupant_of(world, cell)
        if occupant >= 0 and sees:
            seen = n - 1
            if occupant == k or world.vehicles[occupant].heading == heading:
                seen += braking_distance(max(world.vehicles[occupant].speed, 0))
                if map.has_reverse != 0 and occupant < world.num_egos:
                    # It may back into a cell. Also while it drives: the room must not shrink when it stands.
                    seen = max(seen - 1, 0)
            if gap < 0:
                gap = n - 1
                room = seen
                if occupant != k:
                    leader = occupant
            room = min(room, seen)
            if occupant == k and map.num_junctions == 0:  # all around a ring, which has no entry to come to again
                break
            sees = world.num_egos > 1
        way = way_from(map, vehicle.destination, cell)
        if way >= 0 and way != heading:
            room = min(room, n)  # here I turn: to be reached exactly
        if room <= n:
            break
        before = cell
    if gap < 0:
        gap = room
    return gap, room, leader


@seldom_kernel
def room_before_people(map, world, vehicle, cell, room):
    """The cells of the `room` ahead within which a vehicle that stands on `cell` stops on no crosswalk; -1 = none.

    And before the first for which somebody has run out of patience, if braking by 1 is enough for that. Who has been
    let into a junction passes its crosswalks with it.
    """
    is_let_in = vehicle.may_enter != 0
    kept = -1 if kind(map, cell) == CROSSWALK else 0
    for n in range(1, room + 1):
        before = cell
        cell = next_cell(map, before, vehicle.heading)
        if is_let_in and is_with_junction(map, before) and not is_with_junction(map, cell):
            is_let_in = False
        if kind(map, cell) != CROSSWALK or (is_let_in and is_with_junction(map, cell)):
            kept = n
        elif 0 <= braking_distance(vehicle.speed) <= kept and is_waited_for(map, world, cell, 0):
            return kept
    return kept


@seldom_kernel
def is_closed(map, world, k, before, cell, sees, is_let_in):
    """Whether the way of vehicle k may not be driven, from one cell to the next; `sees`: nobody hides it."""
    vehicle = world.vehicles[k]
    if kind(map, cell) == EDGE:
        return True
    if not is_let_in and junction_ahead(map, before, vehicle.heading) >= 0:
        return True  # a junction not granted
    if world.num_people > 0 and kind(map, cell) == CROSSWALK and is_crossed(map, world, cell):
        return True
    return sees and world.occupants[cell] == 0 and not allows(map, cell, vehicle.heading)


@kernel
def look_ahead(map, world, k):
    """Note what vehicle k sees of its own lane: its `stopping_room` and `leader`."""
    vehicle = world.vehicles[k]
    _, room, leader = look(map, world, k, vehicle.cell, reach_of(vehicle))
    vehicle.stopping_room = room
    vehicle.leader = leader


@kernel
def fastest_start(map, world, k, wish):
    """The greatest speed up to `wish` from which vehicle k could stop behind a standing leader."""
    gap, _, _ = look(map, world, k, world.vehicles[k].cell, braking_distance(wish + 1))
    speed = wish
    while braking_distance(speed) > gap:
        speed -= 1
    return speed


@inlined_kernel
def follow(map, world, k):
    """The speed that car following allows vehicle k in this tick, before dawdling.

    If none is allowed somebody cut in: drive no further than to him, and remember who left no safe speed.
    """
    vehicle = world.vehicles[k]
    speed = vehicle.speed
    top_speed = vehicle.top_speed
    room = vehicle.stopping_room
    if braking_distance(speed) > room:
        if 0 <= vehicle.leader < world.num_egos:
            world.egos[vehicle.leader].cut_in_at = world.tick
        gap, _, _ = look(map, world, k, vehicle.cell, speed - 1)
        return min(speed - 1, gap)
    # Sums of truth values rather than branches: nothing here can be predicted (a quarter faster in dense traffic).
    may_keep = (speed <= top_speed) & (speed * (speed + 1) // 2 <= room)
    may_speed_up = (speed + 1 <= top_speed) & ((speed + 1) * (speed + 2) // 2 <= room)
    return max(speed - 1 + may_keep + may_speed_up, 0)


@kernel
def bound_by_traffic(map, world, k):
    """The greatest speed, up to the chosen one, at which vehicle k stays behind the traffic ahead at its chosen one.

    Egos are overlooked: they may be gone before k comes to where they are.
    """
    vehicle = world.vehicles[k]
    cell = vehicle.cell
    for gap in range(vehicle.next_speed):
        cell = next_cell(map, cell, vehicle.heading)
        other = occupant_of(world, cell)
        if other == k:
            break
        if other >= world.num_egos:
            ahead = world.vehicles[other]
            return min(vehicle.next_speed, gap + (ahead.heading == vehicle.heading) * ahead.next_speed)
    return vehicle.next_speed


@seldom_kernel
def pass_braking_on(map, world):
    """Let nobody run into who brakes harder than (I) expects: slow down whoever follows, and so on up the lane.

    Speeds only fall, to the greatest ones that fit together, whatever the order in which vehicles are looked at.
    """
    any_slower = True
    while any_slower:
        any_slower = False
        for k in range(world.num_egos, world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING:
                bound = bound_by_traffic(map, world, k)
                any_slower = any_slower or bound < vehicle.next_speed
                vehicle.next_speed = bound


@kernel
def choose_speeds(map, world, options, is_fresh):
    """Decide the next speed of all traffic from positions after steering and the old speeds.

    Returns whether anybody stands with nothing but the road before it, and may have to be let in.

    With `is_fresh`, what steering saw ahead still holds, but for those that it left STALE, and is not looked up again.

    Reads   the map, world.vehicles (positions, old speeds), world.occupants
    Writes  vehicles[k].next_speed of traffic, egos[…].cut_in_at
    """
    word_0 = word_1 = word_2 = word_3 = 0
    group = -1
    is_exposed = False
    any_stands = False
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if options.driver_model == UNAWARE:
            vehicle.next_speed = vehicle.top_speed
            continue
        speed = vehicle.speed
        may_dawdle = True
        if options.driver_model == NASCH:
            chosen = min(speed + 1, vehicle.top_speed)
            gap, _, _ = look(map, world, k, vehicle.cell, chosen)
            chosen = min(chosen, gap)
        else:
            if not is_fresh or vehicle.leader == STALE:
                look_ahead(map, world, k)
            chosen = follow(map, world, k)
            is_exposed |= (chosen < speed - 1) | ((vehicle.leader >= 0) & (vehicle.leader < world.num_egos))
            may_dawdle = chosen >= speed and not has_several_headings(map, vehicle.cell)
        if world.num_people > 0 and kind(map, vehicle.cell) == CROSSWALK:
            may_dawdle = False
        if vehicle.turn_now != 0:
            chosen = min(chosen, 1)
        dawdle = options.dawdle + options.more_dawdle[vehicle.style]
        if dawdle > 0:
            if k >> 3 != group:
                group = k >> 3
                word_0, word_1, word_2, word_3 = tick_words(world, DRAW_DAWDLE, group)
            word = word_0
            if (k >> 1) & 3 == 1:
                word = word_1
            elif (k >> 1) & 3 == 2:
                word = word_2
            elif (k >> 1) & 3 == 3:
                word = word_3
            dawdles = (word >> 16 * (k & 1)) & 0xFFFF < dawdle
            chosen -= dawdles & may_dawdle & (chosen > 0)
        vehicle.next_speed = chosen
        any_stands |= (speed == 0) & (chosen == 0) & (vehicle.leader < 0)
    if is_exposed:
        pass_braking_on(map, world)
    return any_stands
