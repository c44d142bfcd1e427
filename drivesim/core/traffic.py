"""How traffic drives: car following, dawdling and lane changing.

Car following is Krauss's safe speed (Krauss, Wagner, Gawron, Phys. Rev. E 55 (1997) 5597) in integers with a braking
of 1 cell per tick². A vehicle of speed v that starts to brake in the next tick still travels v(v-1)/2 cells, so
with `gap` free cells and a leader of speed u the state is safe when

    (I)    v(v-1)/2  <=  gap + u(u-1)/2.

Taking the largest v' in {v-1, v, v+1} with v'(v'+1)/2 <= gap + u(u-1)/2 keeps (I) from tick to tick, whatever the
leader does within the same limits. Lane changes keep it too: they are only made where (I) holds for both new pairs.
"""

from drivesim.core.jit import kernel
from drivesim.core.occupancy import cells_east, enter, leave, neighbours, occupant_at
from drivesim.core.rng import DRAW_DAWDLE, lane_words
from drivesim.core.world import (
    CROSSING,
    CROSSWALK,
    DRIVING,
    LANE,
    LEFT_SIDE,
    NASCH,
    RIGHT_SIDE,
    STOP_LINE,
    UNAWARE,
    allows,
    cell_at,
    cell_beside,
    cell_under,
    col_step,
    headings,
    is_junction,
    kind,
    row_step,
    turned,
)

LOOK_BACK = 16  # cells


@kernel
def braking_distance(speed):
    """Cells still travelled by a vehicle that brakes by 1 in every tick from the next one on."""
    return speed * (speed - 1) // 2


@kernel
def is_safe(speed, gap, leader_speed):
    """Invariant (I): the follower can stop behind wherever the leader can stop."""
    return braking_distance(speed) <= gap + braking_distance(leader_speed)


@kernel
def has_pedestrian(world, row, col, heading):
    """Whether somebody is on the crosswalk that this cell is part of, seen from a car driving in `heading`."""
    for p in range(world.num_pedestrians):
        pedestrian = world.pedestrians[p]
        if pedestrian.status == CROSSING:
            if row_step(heading) != 0:
                if pedestrian.row == row:
                    return True
            elif pedestrian.col == col:
                return True
    return False


@kernel
def room_beyond(world, k, col, leader, room):
    """On an eastbound road: the least of `room` and what all vehicles beyond the leader leave.

    Whoever crashes leaves the world at once and brakes for nobody; so does a controlled car that arrives. While the
    drive of others goes on, nobody can count on a leader's braking alone: among several controlled cars, (I) holds for
    everybody ahead.

    Args:
        world: the world.
        k: who looks.
        col: from where.
        leader: the next vehicle ahead, which `room` counts on.
        room: cells.
    """
    for _ in range(world.num_vehicles):
        leader = int(world.vehicles[leader].ahead)
        gap = cells_east(world, col, leader)
        if leader == k or gap >= room:
            break
        room = min(room, gap + braking_distance(int(world.vehicles[leader].speed)))
    return room


@kernel
def look_east(world, k, col, distance):
    """`look` for vehicle k of an eastbound road, in its own lane."""
    leader = int(world.vehicles[k].ahead)
    gap = cells_east(world, col, leader)
    found = int(gap < distance)
    # Products with truth values, not branches: whether somebody is ahead cannot be predicted.
    speed = found * int(world.vehicles[leader].speed)
    gap = min(gap, distance)
    room = gap + braking_distance(speed)
    if world.num_controlled > 1:
        room = room_beyond(world, k, col, leader, room)
    return gap, room, found * (leader + 1) - 1


@kernel
def look(world, k, row, col, distance):
    """What vehicle k would follow if it stood at (row, col): (gap, room, vehicle).

    Walks at most `distance` cells along k's own path. `gap` is the number of free cells, `room` the cells within
    which k has to be able to stop: the gap and the leader's braking distance, none for whatever does not drive in
    k's heading; a line, a crosswalk or a turn behind the leader, who need not stop there, may leave less. Without a
    vehicle in the way the third value is -1. Among several controlled cars, `room` is also enough if whoever leads
    leaves the world in this tick (`room_beyond`). A path that is free for all of `distance` gives (distance, distance,
    -1), which is enough to decide any speed that `distance` was taken for.
    """
    vehicle = world.vehicles[k]
    if world.is_eastbound != 0:
        return look_east(world, k, int(col), distance)
    heading = int(vehicle.heading)
    step_row = row_step(heading)
    step_col = col_step(heading)
    before = int(world.cells[int(row) * int(world.cols) + int(col)])
    gap = -1
    room = int(distance)
    leader = -1
    sees = True
    for n in range(1, distance + 1):
        at_row = int(row) + step_row * n
        at_col = int(col) + step_col * n
        cell = cell_at(world, at_row, at_col, True)
        if cell < 0:
            room = min(room, n - 1)
            break
        if kind(before) == STOP_LINE and vehicle.claim == 0 and allows(before, heading):
            room = n - 1  # a red stop line, or a junction not granted
            break
        bits = int(world.cells[cell])
        if world.num_pedestrians > 0 and kind(bits) == CROSSWALK:
            if has_pedestrian(world, cell // int(world.cols), cell % int(world.cols), heading):
                room = n - 1
                break
        occupant = int(world.occupants[cell])
        if occupant != 0 and sees:
            seen = n - 1
            if occupant - 1 == k or world.vehicles[occupant - 1].heading == heading:
                seen += braking_distance(int(world.vehicles[occupant - 1].speed))
            if gap < 0:
                gap = n - 1
                room = seen
                if occupant - 1 != k:
                    leader = occupant - 1
            room = min(room, seen)
            if occupant - 1 == k:  # all around a ring
                break
            sees = world.num_controlled > 1  # past whoever may be gone after this tick, see `room_beyond`
        elif sees and not allows(bits, heading):
            room = min(room, n - 1)
            break
        if vehicle.turn != 0 and is_junction(bits) and allows(bits, turned(heading, vehicle.turn)):
            room = min(room, n)  # here I turn: to be reached exactly
        if room <= n:
            break
        before = bits
    if gap < 0:
        gap = room
    return gap, room, leader


@kernel
def look_ahead(world, k):
    """Note what vehicle k sees of its own lane: vehicles[k].room and .leader."""
    vehicle = world.vehicles[k]
    wish = min(int(vehicle.speed) + 1, int(vehicle.limit))
    _, room, leader = look(world, k, vehicle.row, vehicle.col, wish * (wish + 1) // 2)
    vehicle.room = room
    vehicle.leader = leader


@kernel
def follow(world, k):
    """The speed that car following allows vehicle k in this tick, before dawdling.

    If none is allowed somebody cut in: brake by exactly 1, and remember who left no safe speed.
    """
    vehicle = world.vehicles[k]
    speed = int(vehicle.speed)
    limit = int(vehicle.limit)
    room = int(vehicle.room)
    if braking_distance(speed) > room and 0 <= vehicle.leader < world.num_controlled:
        world.drivers[vehicle.leader].cut_in = world.tick
    # Sums of truth values rather than branches: nothing here can be predicted (a quarter faster in dense traffic).
    may_keep = (speed <= limit) & (speed * (speed + 1) // 2 <= room)
    may_speed_up = (speed + 1 <= limit) & ((speed + 1) * (speed + 2) // 2 <= room)
    return max(speed - 1 + int(may_keep) + int(may_speed_up), 0)


@kernel
def choose_speeds(world, rules, is_fresh):
    """Decide the next speed of all traffic from positions after steering and the old speeds.

    With `is_fresh`, what steering saw ahead still holds and is not looked up again.

    Reads   world.vehicles (positions, old speeds), world.occupants, world.cells
    Writes  vehicles[k].next_speed of traffic, drivers[…].cut_in
    """
    word_0 = word_1 = word_2 = word_3 = 0
    group = -1
    for k in range(world.num_controlled, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if rules.driver_model == UNAWARE:
            vehicle.next_speed = vehicle.limit
            continue
        speed = int(vehicle.speed)
        may_dawdle = True
        if rules.driver_model == NASCH:
            chosen = min(speed + 1, int(vehicle.limit))
            gap, _, _ = look(world, k, vehicle.row, vehicle.col, chosen)
            chosen = min(chosen, gap)
        else:
            if not is_fresh:
                look_ahead(world, k)
            chosen = follow(world, k)
            may_dawdle = chosen >= speed
            if world.is_eastbound == 0:
                may_dawdle = may_dawdle and not is_junction(world.cells[cell_under(world, k)])
        if vehicle.quarter != 0:
            chosen = min(chosen, 1)
        if rules.dawdle > 0:
            if k >> 3 != group:
                group = k >> 3
                word_0, word_1, word_2, word_3 = lane_words(world, DRAW_DAWDLE, group)
            word = word_0
            if (k >> 1) & 3 == 1:
                word = word_1
            elif (k >> 1) & 3 == 2:
                word = word_2
            elif (k >> 1) & 3 == 3:
                word = word_3
            dawdles = (word >> 16 * (k & 1)) & 0xFFFF < rules.dawdle
            chosen -= int(dawdles & may_dawdle & (chosen > 0))
        vehicle.next_speed = chosen


@kernel
def speed_behind(world, k):
    """The speed with which (I) must hold for a follower k: a controlled car may speed up in this very tick.

    Its action is not known yet; (I) with v + 2 reads (v+1)(v+2)/2 <= gap, its next action included.
    """
    speed = int(world.vehicles[k].speed)
    return speed + 2 if k < world.num_controlled else speed


@kernel
def follower_is_safe(world, k, row, col):
    """Whether (I) holds for whoever would follow vehicle k if k stood at (row, col).

    The paper's fixed look-back is not enough: a follower at 5 behind a newcomer at 1 needs 10 cells, a controlled one
    that speeds up at the same time 15.
    """
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    for n in range(1, LOOK_BACK + 1):
        cell = cell_at(world, int(row) - row_step(heading) * n, int(col) - col_step(heading) * n, True)
        if cell < 0 or not allows(world.cells[cell], heading):
            return True
        occupant = int(world.occupants[cell])
        if occupant != 0:
            follower = world.vehicles[occupant - 1]
            if occupant - 1 == k:
                return True
            if follower.heading == heading and not is_safe(
                speed_behind(world, occupant - 1), n - 1, int(vehicle.speed)
            ):
                return False
            if world.num_controlled <= 1:  # else the follower may be gone after this tick
                return True
    return True


@kernel
def all_followers_are_safe(world, k, row):
    """On an eastbound road: whether (I) holds for everybody behind vehicle k in the lane `row`, where it would go.

    Whoever follows may crash and be gone, so that the next one follows.
    """
    speed = int(world.vehicles[k].speed)
    for j in range(world.num_vehicles):
        other = world.vehicles[j]
        if j != k and other.status == DRIVING and other.row == row:
            gap = cells_east(world, int(other.col), k)
            if gap < LOOK_BACK and not is_safe(speed_behind(world, j), gap, speed):
                return False
    return True


@kernel
def lane_is_better(world, k, row, col):
    """On an eastbound road: whether the lane of the empty cell (row, col) is faster for vehicle k, and safe."""
    vehicle = world.vehicles[k]
    speed = int(vehicle.speed)
    gap, leader, gap_behind, follower = neighbours(world, row, col)
    if leader < 0:
        return True
    room = gap + braking_distance(int(world.vehicles[leader].speed))
    if world.num_controlled > 1:
        room = room_beyond(world, k, col, leader, room)
    if room <= vehicle.room or braking_distance(speed) > room:
        return False
    if world.num_controlled > 1:
        return all_followers_are_safe(world, k, row)
    return is_safe(speed_behind(world, follower), gap_behind, speed)


@kernel
def wants_lane(world, k, side):
    """Whether traffic vehicle k changes one lane to `side` now.

    Incentive after Rickert, Nagel, Schreckenberg, Latour, Physica A 231 (1996) 534: my lane holds me up and the
    other one would less. Safety: (I) for both pairs that the change makes.
    """
    vehicle = world.vehicles[k]
    speed = int(vehicle.speed)
    wish = min(speed + 1, int(vehicle.limit))
    reach = wish * (wish + 1) // 2
    if (speed == 0) | (vehicle.room >= reach):
        return False  # nobody holds me up
    here = int(world.cells[cell_under(world, k)])
    if kind(here) != LANE or is_junction(here):
        return False
    cell = cell_beside(world, k, side)
    if cell < 0:
        return False
    bits = int(world.cells[cell])
    if kind(bits) != LANE or headings(bits) != headings(here):
        return False
    row = cell // int(world.cols)
    col = cell % int(world.cols)
    if occupant_at(world, row, col) >= 0:
        return False
    if world.is_eastbound != 0:
        return lane_is_better(world, k, row, col)
    _, room, _ = look(world, k, row, col, reach)
    if room <= vehicle.room or braking_distance(speed) > room:
        return False
    return follower_is_safe(world, k, row, col)


@kernel
def steer_traffic(world, rules):
    """Turn and change lanes, all traffic at once: decide all, then apply all.

    Lanes are changed to the left on even ticks and to the right on odd ones, so no two cars can choose one cell.

    Returns whether what each vehicle has seen ahead (.room, .leader) still holds: nobody has moved, and no claim that
    is granted after this can open the way.
    """
    if rules.driver_model == UNAWARE:
        return False
    is_fresh = world.num_signals == 0 and world.num_pedestrians == 0
    side = LEFT_SIDE
    if (world.tick + world.parity) & 1 == 1:
        side = RIGHT_SIDE
    for k in range(world.num_controlled, world.num_vehicles):
        vehicle = world.vehicles[k]
        vehicle.side = 0
        vehicle.quarter = 0
        if vehicle.status != DRIVING:
            continue
        is_slow = vehicle.speed <= 1 or rules.driver_model == NASCH  # which brakes to 1 in the same tick
        if vehicle.turn != 0 and vehicle.claim != 0 and is_slow:
            here = int(world.cells[cell_under(world, k)])
            if is_junction(here) and allows(here, turned(vehicle.heading, vehicle.turn)):
                vehicle.quarter = vehicle.turn
                continue
        look_ahead(world, k)
        if wants_lane(world, k, side):
            vehicle.side = side
            is_fresh = False
    if is_fresh:
        return True
    for k in range(world.num_controlled, world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if vehicle.quarter != 0:
            vehicle.heading = turned(vehicle.heading, vehicle.quarter)
            vehicle.turn = 0
        elif vehicle.side != 0:
            cell = cell_beside(world, k, vehicle.side)
            leave(world, k)
            enter(world, k, cell // int(world.cols), cell % int(world.cols))
    return False
