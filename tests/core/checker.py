"""What traffic may never do, checked by brute force: compiled, but sharing no rule with `drivesim.core`.

A tick's path is read off the states before and after it: a vehicle of speed v has driven v cells straight on, from
where it stood or from the cell beside that.
"""

import numpy as np

from drivesim.core.jit import kernel

FAULTS = (
    "shares a cell",
    "swaps cells",
    "steers where it may not",
    "is outside its limits of speed",
    "accelerates by more than 1",
    "brakes by more than 1",
    "drives where its heading is not allowed",
    "runs a red light",
    "is in a junction without having reserved the cell",
    "has reserved a cell and may not enter",
    "could not stop behind its leader",
    "could not stop at its line",
    "is not the occupant of its cell, or of another one",
    "stands still for too long",
    "hits somebody who crosses",
)
(
    SHARES,
    SWAPS,
    STEERS,
    SPEED,
    ACCELERATES,
    BRAKES,
    ASTRAY,
    RED_LIGHT,
    UNRESERVED,
    CLAIMS,
    UNSAFE,
    UNSAFE_LINE,
    OCCUPANT,
    STUCK,
    HITS,
) = range(len(FAULTS))

SIGHT = 16  # cells; 15 are needed to stop from speed 6
NASCH, UNAWARE = 1, 2
SIGNALS = 0
DRIVING, OFF_ROAD, OBSTACLE, CROSSWALK, EDGE = 1, 0, 3, 4, 7
PORTAL = 128
CHANGE_LANE = 48  # of a way: to either side
CROSSING = 2

# Beside the record: where every vehicle was before the tick, when it moved last, and scratch.
NOTES = ("cell", "heading", "speed", "moved", "start", "at")
CELL, HEADING, SPEED_BEFORE, MOVED, START, AT = range(len(NOTES))


def notes_of(worlds):
    """Scratch for the checker: (notes (6, vehicles), owners (4, cells)), all zero; the last are those who cross."""
    num_vehicles = worlds["vehicles"].shape[1]
    return np.zeros((len(NOTES), num_vehicles), np.int64), np.zeros((4, worlds["occupants"].shape[1]), np.int64)


@kernel
def remember(world, notes, owners):
    """Note the state before a tick."""
    if world.num_people > 0:
        note_people(world, owners[3])
    for k in range(world.num_vehicles):
        notes[CELL, k] = world.vehicles[k].cell
        notes[HEADING, k] = world.vehicles[k].heading
        notes[SPEED_BEFORE, k] = world.vehicles[k].speed


@kernel
def note_people(world, crossed):
    """Note on which cells somebody crosses."""
    crossed[:] = 0
    for p in range(world.num_people):
        if world.people[p].status == CROSSING:
            crossed[world.people[p].cell] = 1


@kernel
def kind_at(map, cell):
    """What a cell is."""
    return int(map.ground[cell]) >> 4 & 7


@kernel
def mask_of(map, cell):
    """The allowed headings of a cell, none where nobody may drive."""
    what = kind_at(map, cell)
    if what == OFF_ROAD or what == OBSTACLE or what == EDGE:
        return 0
    return int(map.ground[cell]) & 15


@kernel
def walked(map, cell, heading, distance):
    """The cell `distance` cells on, through portals; nobody walks on from the border."""
    for _ in range(distance):
        if kind_at(map, cell) == EDGE:
            return cell
        if int(map.ground[cell]) & PORTAL != 0 and map.leads_to[cell] % 4 == heading:
            cell = map.leads_to[cell] // 4
        else:
            cell = cell + map.steps[heading]
    return cell


@kernel
def junction_at(map, cell):
    """The junction that a cell is in, -1 = none."""
    if map.num_junctions == 0:
        return -1
    return int(map.junction[cell]) - 1


@kernel
def is_red(junction, lamp, heading, tick):
    """Whether the signal is red for a heading: the cycle is green, yellow, all red of axis 0, then those of axis 1."""
    half_0 = junction.green_0 + junction.yellow + junction.all_red
    half_1 = junction.green_1 + junction.yellow + junction.all_red
    time = (tick + lamp.cycle_start) % (half_0 + half_1)
    if heading == 0 or heading == 2:
        return not time < half_0 - junction.all_red
    return not half_0 <= time < half_0 + half_1 - junction.all_red


@kernel
def must_leave_lane(map, vehicle, cell):
    """Whether a vehicle at rest in a cell sees its lane end, or its way asks there for a change of lane."""
    for distance in (1, 2):
        if mask_of(map, walked(map, cell, vehicle.heading, distance)) >> vehicle.heading & 1 == 0:
            return True
    first = vehicle.destination * (map.rows + 2) * map.width
    return vehicle.destination >= 0 and map.has_ways != 0 and map.ways[first + cell] & CHANGE_LANE != 0


@kernel
def check_steering(map, world, k, notes, owner_before, driver_model):
    """Where k began its advance, noted; whether it may have come there from where it was before the tick.

    Forward from the three cells where it may have begun: a vehicle of speed v has driven v cells straight on.
    """
    vehicle = world.vehicles[k]
    heading = vehicle.heading
    before = notes[CELL, k]
    notes[START, k] = before
    if heading != notes[HEADING, k]:
        is_slow = notes[SPEED_BEFORE, k] <= 1 or driver_model == NASCH
        is_turn = (heading - notes[HEADING, k]) % 4 != 2 and is_slow and vehicle.speed <= 1
        return is_turn and walked(map, before, heading, vehicle.speed) == vehicle.cell
    if walked(map, before, heading, vehicle.speed) == vehicle.cell:
        return True
    for side in (1, 3):
        beside = before + map.steps[(heading + side) % 4]
        if walked(map, beside, heading, vehicle.speed) == vehicle.cell:
            notes[START, k] = beside
            was_free = owner_before[beside] == 0 or world.vehicles[owner_before[beside] - 1].lane_shift != 0
            return was_free and (notes[SPEED_BEFORE, k] > 0 or must_leave_lane(map, vehicle, before))
    return False


@kernel
def check_sub_steps(map, world, notes, owners, faults):
    """Nobody shares a cell with anybody after any fifth of the tick, nor has swapped cells."""
    before = owners[1]
    after = owners[2]
    before[:] = 0
    for sub_step in range(6):
        after[:] = 0
        for k in range(world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING:
                cell = walked(map, notes[START, k], vehicle.heading, vehicle.speed * sub_step // 5)
                if after[cell] != 0:
                    faults[SHARES] += 1
                after[cell] = k + 1
                if sub_step > 0 and notes[AT, k] != cell and before[cell] != 0:
                    other = before[cell] - 1
                    if other < k and after[notes[AT, k]] == other + 1:
                        faults[SWAPS] += 1
                    elif other > k:
                        rival = world.vehicles[other]
                        reached = walked(map, notes[START, other], rival.heading, rival.speed * sub_step // 5)
                        if notes[AT, k] == reached:
                            faults[SWAPS] += 1
                notes[AT, k] = cell
        before, after = after, before


@kernel
def entered_from(map, cell, heading):
    """The junction that is entered from a cell outside it, perhaps over a crosswalk directly before it; -1 = none."""
    if junction_at(map, cell) >= 0 or kind_at(map, cell) == CROSSWALK:
        return -1
    cell = walked(map, cell, heading, 1)
    while junction_at(map, cell) < 0 and kind_at(map, cell) == CROSSWALK:
        cell = walked(map, cell, heading, 1)
    return junction_at(map, cell)


@kernel
def check_path(map, world, k, notes, faults):
    """Every cell of the way allows the heading; the line of no junction is passed on red."""
    vehicle = world.vehicles[k]
    for n in range(vehicle.speed + 1):
        cell = walked(map, notes[START, k], vehicle.heading, n)
        if mask_of(map, cell) >> vehicle.heading & 1 == 0:
            faults[ASTRAY] += 1
        s = entered_from(map, cell, vehicle.heading) if n < vehicle.speed else -1
        if s >= 0 and map.junctions[s].control == SIGNALS:
            if is_red(map.junctions[s], world.lamps[s], vehicle.heading, world.tick - 1):
                faults[RED_LIGHT] += 1


@kernel
def check_people(map, world, k, notes, crossed, faults):
    """Nobody is on the way that was driven, as people stood before the tick."""
    vehicle = world.vehicles[k]
    for n in range(1, vehicle.speed + 1):
        faults[HITS] += crossed[walked(map, notes[START, k], vehicle.heading, n)]


@kernel
def check_claims(map, world, k, faults):
    """A vehicle in a junction holds its cell; nobody is on what another one holds; who holds anything may enter."""
    if map.num_junctions == 0:
        return
    vehicle = world.vehicles[k]
    slot = int(map.slots[vehicle.cell]) - 1
    if junction_at(map, vehicle.cell) >= 0 and world.held[slot] != k + 1:
        faults[UNRESERVED] += 1
    for n in range(map.num_slots):
        if world.held[n] == k + 1 and vehicle.may_enter == 0:
            faults[CLAIMS] += 1


@kernel
def turns_at(map, vehicle, cell):
    """Whether a vehicle's way to its destination leads to another heading from a cell."""
    if vehicle.destination < 0:
        return False
    way = int(map.ways[vehicle.destination * (map.rows + 2) * map.width + cell]) & 7
    return way != 0 and way - 1 != vehicle.heading


@kernel
def check_safety(map, world, k, owner, faults):
    """Whoever brakes by 1 in every tick from now on stops behind wherever its leader does, and at its line."""
    vehicle = world.vehicles[k]
    heading = vehicle.heading
    needed = vehicle.speed * (vehicle.speed - 1) // 2
    is_before_line = vehicle.may_enter == 0
    cell = vehicle.cell
    for n in range(1, SIGHT):
        here = cell
        cell = walked(map, here, heading, 1)
        is_line = is_before_line and junction_at(map, here) < 0 and junction_at(map, cell) >= 0
        if is_line and needed > n - 1:
            faults[UNSAFE_LINE] += 1
        if owner[cell] != 0:
            if owner[cell] - 1 == k:
                return
            other = world.vehicles[owner[cell] - 1]
            leader_speed = other.speed if other.heading == heading else 0
            if needed > n - 1 + leader_speed * (leader_speed - 1) // 2:
                faults[UNSAFE] += 1
            return
        if mask_of(map, cell) >> heading & 1 == 0:
            if needed > n - 1:
                faults[UNSAFE] += 1
            return
        if is_line:
            return
        if turns_at(map, vehicle, cell):
            if needed > n:
                faults[UNSAFE] += 1
            return


@kernel
def check_occupants(map, world, owner, faults):
    """Every cell knows who is on it, and nobody else."""
    for cell in range((map.rows + 2) * map.width):
        if world.occupants[cell] != owner[cell]:
            faults[OCCUPANT] += 1


@kernel
def check_tick(map, world, notes, owners, patience, driver_model, faults):
    """Count the faults of the tick just made, by their kind.

    Args:
        map: its map.
        world: without egos, after the tick.
        notes: of `remember` before it.
        owners: int64 (4, cells), scratch, of `remember` too.
        patience: ticks within which everybody has to move.
        driver_model: NASCH may brake at will, UNAWARE never looks; all else holds for them too.
        faults: int64 (len(FAULTS),), counted up.
    """
    owner = owners[0]
    owner[:] = 0
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            owner[notes[CELL, k]] = k + 1
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING and not check_steering(map, world, k, notes, owner, driver_model):
            faults[STEERS] += 1
    check_sub_steps(map, world, notes, owners, faults)
    owner[:] = 0
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            owner[world.vehicles[k].cell] = k + 1
    check_occupants(map, world, owner, faults)
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if not 0 <= vehicle.speed <= vehicle.top_speed:
            faults[SPEED] += 1
        if vehicle.speed > notes[SPEED_BEFORE, k] + 1:
            faults[ACCELERATES] += 1
        if driver_model != NASCH and vehicle.speed < notes[SPEED_BEFORE, k] - 1:
            faults[BRAKES] += 1
        check_path(map, world, k, notes, faults)
        if world.num_people > 0:
            check_people(map, world, k, notes, owners[3], faults)
        if driver_model != UNAWARE:
            check_claims(map, world, k, faults)
        if driver_model != NASCH and driver_model != UNAWARE:
            check_safety(map, world, k, owner, faults)
        if vehicle.speed > 0:
            notes[MOVED, k] = world.tick
        elif world.tick - notes[MOVED, k] > patience:
            faults[STUCK] += 1
            notes[MOVED, k] = world.tick
    for p in range(world.num_people):  # nor does anybody walk into a vehicle
        if world.people[p].status == CROSSING and owner[world.people[p].cell] != 0:
            faults[HITS] += 1


def found(faults):
    """The faults that occurred, in words."""
    return {FAULTS[kind]: int(count) for kind, count in enumerate(faults) if count}
