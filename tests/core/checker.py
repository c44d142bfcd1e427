"""What traffic may never do, checked by brute force: compiled, but sharing no rule with `drivesim.core`.

A tick's path is read off the state after it: a vehicle of speed v has driven v cells straight on, so it began its
advance v cells back; where it stood before the tick tells whether it changed lane or turned.
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
    "has reserved what somebody else has",
    "could not stop behind its leader",
    "could not stop at its line",
    "is not the occupant of its cell",
    "stands still for too long",
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
) = range(len(FAULTS))

DOWN = np.array([-1, 0, 1, 0])  # rows per cell in headings N E S W
RIGHT = np.array([0, 1, 0, -1])
SIGHT = 16  # cells; 15 are needed to stop from speed 6
NASCH, UNAWARE = 1, 2
DRIVING, OFF_ROAD, OBSTACLE, STOP_LINE = 1, 0, 3, 5

# Beside the record: where every vehicle was before the tick, and scratch.
NOTES = ("row", "col", "heading", "speed", "moved", "start_row", "start_col", "cell")


def notes_of(world_array):
    """Scratch for the checker: (notes (8, vehicles), owners (3, cells)), all zero."""
    num_vehicles = world_array["vehicles"].shape[1]
    return np.zeros((len(NOTES), num_vehicles), np.int64), np.zeros((3, world_array["cells"].shape[1]), np.int64)


@kernel
def remember(world, notes):
    """Note the state before a tick."""
    for k in range(world.num_vehicles):
        notes[0, k] = world.vehicles[k].row
        notes[1, k] = world.vehicles[k].col
        notes[2, k] = world.vehicles[k].heading
        notes[3, k] = world.vehicles[k].speed


@kernel
def cell_of(world, row, col):
    """Flat index of a cell of the torus that the map would be."""
    return int((row % world.rows) * world.cols + col % world.cols)


@kernel
def mask_of(world, cell):
    """The allowed headings of a cell, none where nobody may drive."""
    what = int(world.cells[cell]) >> 4
    if what == OFF_ROAD or what == OBSTACLE:
        return 0
    return int(world.cells[cell]) & 15


@kernel
def box_of(world, cell):
    """The signal whose junction a cell is in, -1 = none."""
    row = cell // world.cols
    col = cell % world.cols
    for s in range(world.num_signals):
        signal = world.signals[s]
        if 0 <= row - signal.row < signal.height and 0 <= col - signal.col < signal.width:
            return s
    return -1


@kernel
def is_red(signal, heading, tick):
    """Whether the signal is red for a heading: the cycle is green, yellow, all red of axis 0, then those of axis 1."""
    half_0 = int(signal.green_0) + int(signal.yellow) + int(signal.all_red)
    half_1 = int(signal.green_1) + int(signal.yellow) + int(signal.all_red)
    time = (int(tick) + int(signal.offset)) % (half_0 + half_1)
    if heading == 0 or heading == 2:
        return not time < half_0 - int(signal.all_red)
    return not half_0 <= time < half_0 + half_1 - int(signal.all_red)


@kernel
def check_steering(world, k, notes, owner_before, driver_model):
    """Where k began its advance, noted; whether it may have come there from where it was before the tick."""
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    row = int(vehicle.row) - DOWN[heading] * int(vehicle.speed)
    col = int(vehicle.col) - RIGHT[heading] * int(vehicle.speed)
    notes[5, k] = row
    notes[6, k] = col
    before = cell_of(world, notes[0, k], notes[1, k])
    start = cell_of(world, row, col)
    if heading != notes[2, k]:
        is_slow = notes[3, k] <= 1 or driver_model == NASCH
        return start == before and (heading - notes[2, k]) % 4 != 2 and is_slow and vehicle.speed <= 1
    if start == before:
        return True
    for side in (1, 3):
        across = (heading + side) % 4
        if start == cell_of(world, notes[0, k] + DOWN[across], notes[1, k] + RIGHT[across]):
            return owner_before[start] == 0 and notes[3, k] > 0
    return False


@kernel
def check_sub_steps(world, notes, owners, faults):
    """Nobody shares a cell with anybody after any fifth of the tick, nor has swapped cells."""
    before = owners[1]
    after = owners[2]
    before[:] = 0
    for sub_step in range(6):
        after[:] = 0
        for k in range(world.num_vehicles):
            vehicle = world.vehicles[k]
            if vehicle.status == DRIVING:
                n = int(vehicle.speed) * sub_step // 5
                heading = int(vehicle.heading)
                cell = cell_of(world, notes[5, k] + DOWN[heading] * n, notes[6, k] + RIGHT[heading] * n)
                if after[cell] != 0:
                    faults[SHARES] += 1
                after[cell] = k + 1
                if sub_step > 0 and notes[7, k] != cell and before[cell] != 0:
                    other = before[cell] - 1
                    if other < k and after[notes[7, k]] == other + 1:
                        faults[SWAPS] += 1
                    elif other > k:
                        ahead = int(world.vehicles[other].heading)
                        m = int(world.vehicles[other].speed) * sub_step // 5
                        if notes[7, k] == cell_of(
                            world, notes[5, other] + DOWN[ahead] * m, notes[6, other] + RIGHT[ahead] * m
                        ):
                            faults[SWAPS] += 1
                notes[7, k] = cell
        before, after = after, before


@kernel
def check_path(world, k, notes, faults):
    """Every cell of the way allows the heading; no line is left into a junction on red."""
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    left = -1
    for n in range(int(vehicle.speed) + 1):
        cell = cell_of(world, notes[5, k] + DOWN[heading] * n, notes[6, k] + RIGHT[heading] * n)
        if mask_of(world, cell) >> heading & 1 == 0:
            faults[ASTRAY] += 1
        s = box_of(world, cell)
        if n > 0 and s >= 0 and int(world.cells[left]) >> 4 == STOP_LINE:
            if is_red(world.signals[s], heading, world.tick - 1):
                faults[RED_LIGHT] += 1
        left = cell


@kernel
def check_claims(world, k, faults):
    """A vehicle in a junction holds its cell; what it holds is nobody else's."""
    vehicle = world.vehicles[k]
    cell = int(vehicle.row * world.cols + vehicle.col)
    s = box_of(world, cell)
    if s >= 0:
        signal = world.signals[s]
        bit = (int(vehicle.row) - int(signal.row)) * int(signal.width) + int(vehicle.col) - int(signal.col)
        if int(vehicle.claim) >> bit & 1 == 0:
            faults[UNRESERVED] += 1
    if vehicle.claim != 0:
        for j in range(k):
            other = world.vehicles[j]
            if other.claim != 0 and (other.claim & vehicle.claim != 0 or other.exit_cell == vehicle.exit_cell):
                faults[CLAIMS] += 1


@kernel
def check_safety(world, k, owner, faults):
    """Whoever brakes by 1 in every tick from now on stops behind wherever its leader does, and at its line."""
    vehicle = world.vehicles[k]
    heading = int(vehicle.heading)
    speed = int(vehicle.speed)
    needed = speed * (speed - 1) // 2
    is_before_line = vehicle.claim == 0
    for n in range(1, SIGHT):
        here = cell_of(world, vehicle.row + DOWN[heading] * (n - 1), vehicle.col + RIGHT[heading] * (n - 1))
        cell = cell_of(world, vehicle.row + DOWN[heading] * n, vehicle.col + RIGHT[heading] * n)
        if is_before_line and int(world.cells[here]) >> 4 == STOP_LINE and needed > n - 1:
            faults[UNSAFE_LINE] += 1
        if owner[cell] != 0:
            if owner[cell] - 1 == k:
                return
            other = world.vehicles[owner[cell] - 1]
            leader_speed = int(other.speed) if other.heading == heading else 0
            if needed > n - 1 + leader_speed * (leader_speed - 1) // 2:
                faults[UNSAFE] += 1
            return
        if mask_of(world, cell) >> heading & 1 == 0:
            if needed > n - 1:
                faults[UNSAFE] += 1
            return
        if is_before_line and int(world.cells[here]) >> 4 == STOP_LINE:
            return
        if vehicle.turn != 0 and mask_of(world, cell) >> (heading + vehicle.turn) % 4 & 1 == 1:
            if needed > n:
                faults[UNSAFE] += 1
            return


@kernel
def check_tick(world, notes, owners, patience, driver_model, faults):
    """Count the faults of the tick just made, by their kind.

    Args:
        world: without controlled cars, after the tick.
        notes: of `remember` before it.
        owners: int64 (3, cells), scratch.
        patience: ticks within which everybody has to move.
        driver_model: NASCH may brake at will, UNAWARE never looks; all else holds for them too.
        faults: int64 (len(FAULTS),), counted up.
    """
    owner = owners[0]
    owner[:] = 0
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            owner[cell_of(world, notes[0, k], notes[1, k])] = k + 1
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING and not check_steering(world, k, notes, owner, driver_model):
            faults[STEERS] += 1
    check_sub_steps(world, notes, owners, faults)
    owner[:] = 0
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            owner[cell_of(world, world.vehicles[k].row, world.vehicles[k].col)] = k + 1
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        if not 0 <= vehicle.speed <= vehicle.limit:
            faults[SPEED] += 1
        if vehicle.speed > notes[3, k] + 1:
            faults[ACCELERATES] += 1
        if driver_model != NASCH and vehicle.speed < notes[3, k] - 1:
            faults[BRAKES] += 1
        check_path(world, k, notes, faults)
        if driver_model != UNAWARE:
            check_claims(world, k, faults)
        if driver_model != NASCH and driver_model != UNAWARE:
            check_safety(world, k, owner, faults)
        if world.is_eastbound == 0 and world.occupants[vehicle.row * world.cols + vehicle.col] != k + 1:
            faults[OCCUPANT] += 1
        if vehicle.speed > 0:
            notes[4, k] = world.tick
        elif world.tick - notes[4, k] > patience:
            faults[STUCK] += 1
            notes[4, k] = world.tick


def found(faults):
    """The faults that occurred, in words."""
    return {FAULTS[kind]: int(count) for kind, count in enumerate(faults) if count}
