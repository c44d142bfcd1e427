"""The fewest ticks to the goal, searched tick by tick: the rules of driving written once more, and nothing shared.

States are (row, col, heading, speed); the set of those that can be reached without breaking a rule is carried from
tick to tick, beside whatever moves by itself: a signal and cars that never look.
"""

import numpy as np

from drivesim.core.jit import kernel

DOWN = np.array([-1, 0, 1, 0])  # rows per cell in headings N E S W
RIGHT = np.array([0, 1, 0, -1])
OFF_ROAD, OBSTACLE, STOP_LINE, EDGE = 0, 3, 5, 7
BLOCKED, PASSED, ARRIVED = 0, 1, 2
SIGNALS, ALL_WAY_STOP = 0, 1


@kernel
def at(map, row, col):
    """The cell of a row and column."""
    return (row + 1) * map.width + col + 1


@kernel
def kind_at(map, row, col):
    """What is there."""
    return int(map.ground[at(map, row, col)]) >> 4 & 7


@kernel
def open_to(map, row, col, heading):
    """Whether a car may be on a cell in a heading."""
    if not (0 <= row < map.rows and 0 <= col < map.cols):
        return False
    what = kind_at(map, row, col)
    return what != OFF_ROAD and what != OBSTACLE and int(map.ground[at(map, row, col)]) >> heading & 1 == 1


@kernel
def is_goal(map, world, row, col, heading):
    """Whether no move is left from here."""
    layer = world.egos[0].goal if map.has_goal_headings == 0 else 4 * world.egos[0].goal + heading
    return map.distances[layer * (map.rows + 2) * map.width + at(map, row, col)] == 0


@kernel
def is_closed(map, world, row, col, heading, tick, has_stood):
    """Whether (row, col) is in a signal's junction and closed to a heading, or in one for those who stood before it."""
    s = int(map.junction[at(map, row, col)]) - 1 if map.num_junctions > 0 else -1
    if s < 0:
        return False
    junction = map.junctions[s]
    if junction.control != SIGNALS:
        return junction.control == ALL_WAY_STOP and not has_stood
    half = junction.green_0 + junction.yellow + junction.all_red
    whole = half + junction.green_1 + junction.yellow + junction.all_red
    time = (tick + world.lamps[s].cycle_start) % whole
    if heading & 1 == 0:
        return not time < half - junction.all_red
    return not half <= time < whole - junction.all_red


@kernel
def car_at(map, world, c, tick, sub_step):
    """The cell of a car that never looks, after a fifth of a tick."""
    car = world.vehicles[c]
    cells = car.speed * tick + car.speed * sub_step // 5
    row = (car.cell // map.width - 1 + DOWN[car.heading] * cells) % map.rows
    col = (car.cell % map.width - 1 + RIGHT[car.heading] * cells) % map.cols
    return row, col


@kernel
def is_hit(map, world, row, col, before_row, before_col, tick, sub_step):
    """Whether a car is on (row, col) after a sub-step, or has come from there to where the ego was."""
    for c in range(1, world.num_vehicles):
        if car_at(map, world, c, tick, sub_step) == (row, col):
            return True
        if (row, col) != (before_row, before_col) and car_at(map, world, c, tick, sub_step) == (before_row, before_col):
            if car_at(map, world, c, tick, sub_step - 1) == (row, col):
                return True
    return False


@kernel
def drive_on(map, world, row, col, heading, speed, tick, has_cars, has_stood):
    """What comes of driving `speed` cells straight on, from rest or not: BLOCKED, PASSED or ARRIVED."""
    before_row, before_col = row, col
    for sub_step in range(1, 6):
        n = speed * sub_step // 5
        at_row = row + DOWN[heading] * n
        at_col = col + RIGHT[heading] * n
        if has_cars and is_hit(map, world, at_row, at_col, before_row, before_col, tick, sub_step):
            return BLOCKED
        if (at_row, at_col) != (before_row, before_col):
            if not open_to(map, at_row, at_col, heading):
                return BLOCKED
            if kind_at(map, before_row, before_col) == STOP_LINE:
                if is_closed(map, world, at_row, at_col, heading, tick, has_stood and n == 1):
                    return BLOCKED
            if is_goal(map, world, at_row, at_col, heading):
                return ARRIVED
        before_row, before_col = at_row, at_col
    return PASSED


@kernel
def fewest_ticks(map, world, top_speed, horizon, has_idle, has_cars):
    """Ticks in which the ego can arrive without breaking a rule; -1 if not within `horizon`.

    Without `has_idle`, a car can hold its speed only at its greatest and at rest. With `has_cars`, vehicles beside the
    ego keep their speed; without, there are none.
    """
    size = map.rows * map.cols
    now = np.zeros((size, 4, top_speed + 1), np.bool_)
    ego = world.vehicles[0]
    now[(ego.cell // map.width - 1) * map.cols + ego.cell % map.width - 1, ego.heading, ego.speed] = True
    for tick in range(horizon):
        after = np.zeros((size, 4, top_speed + 1), np.bool_)
        for cell in range(size):
            bits = int(map.ground[at(map, cell // map.cols, cell % map.cols)])
            for heading in range(4):
                for speed in range(top_speed + 1):
                    if not now[cell, heading, speed]:
                        continue
                    for action in range(5):  # LEFT, IDLE, RIGHT, FASTER, SLOWER
                        row = cell // map.cols
                        col = cell % map.cols
                        to = heading
                        v = speed
                        if action == 1 and not has_idle:
                            continue
                        if action == 3:
                            v = min(speed + 1, top_speed)
                        elif action == 4:
                            v = max(speed - 1, 0)
                        elif action != 1:
                            across = (heading + (3 if action == 0 else 1)) % 4
                            if bits >> across & 1 == 0:
                                row += DOWN[across]
                                col += RIGHT[across]
                                v = max(speed, 1)
                                if not open_to(map, row, col, heading):
                                    continue
                                if has_cars and is_hit(map, world, row, col, row, col, tick, 0):
                                    continue
                            elif speed <= 1:
                                to = across
                                v = 1
                        outcome = drive_on(map, world, row, col, to, v, tick, has_cars, speed == 0)
                        if outcome == ARRIVED:
                            return tick + 1
                        if outcome == PASSED:
                            end = (row + DOWN[to] * v) * map.cols + col + RIGHT[to] * v
                            after[end, to, v] = True
        now = after
    return -1
