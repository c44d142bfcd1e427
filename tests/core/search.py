"""The fewest ticks to the goal, searched tick by tick: the rules of driving written once more, and nothing shared.

States are (row, col, heading, speed); the set of those that can be reached without breaking a rule is carried from
tick to tick, beside whatever moves by itself: a signal and cars that never look.
"""

import numpy as np

from drivesim.core.jit import kernel

DOWN = np.array([-1, 0, 1, 0])  # rows per cell in headings N E S W
RIGHT = np.array([0, 1, 0, -1])
OFF_ROAD, OBSTACLE, STOP_LINE, GOAL = 0, 3, 5, 7
BLOCKED, PASSED, ARRIVED = 0, 1, 2


@kernel
def open_to(world, row, col, heading):
    """Whether a car may be on a cell in a heading."""
    if not (0 <= row < world.rows and 0 <= col < world.cols):
        return False
    bits = int(world.cells[row * world.cols + col])
    return bits >> 4 != OFF_ROAD and bits >> 4 != OBSTACLE and bits >> heading & 1 == 1


@kernel
def is_red(world, row, col, heading, tick):
    """Whether (row, col) is in a signal's junction and closed to a heading."""
    for s in range(world.num_signals):
        signal = world.signals[s]
        if 0 <= row - signal.row < signal.height and 0 <= col - signal.col < signal.width:
            half = int(signal.green_0 + signal.yellow + signal.all_red)
            whole = half + int(signal.green_1 + signal.yellow + signal.all_red)
            time = (tick + int(signal.offset)) % whole
            if heading & 1 == 0:
                return not time < half - signal.all_red
            return not half <= time < whole - signal.all_red
    return False


@kernel
def car_at(world, c, tick, sub_step):
    """The cell of a car that never looks, after a fifth of a tick."""
    car = world.vehicles[c]
    cells = int(car.speed) * tick + int(car.speed) * sub_step // 5
    row = (int(car.row) + DOWN[car.heading] * cells) % int(world.rows)
    col = (int(car.col) + RIGHT[car.heading] * cells) % int(world.cols)
    return row, col


@kernel
def is_hit(world, row, col, before_row, before_col, tick, sub_step):
    """Whether a car is on (row, col) after a sub-step, or has come from there to where the ego was."""
    for c in range(1, world.num_vehicles):
        if car_at(world, c, tick, sub_step) == (row, col):
            return True
        if (row, col) != (before_row, before_col) and car_at(world, c, tick, sub_step) == (before_row, before_col):
            if car_at(world, c, tick, sub_step - 1) == (row, col):
                return True
    return False


@kernel
def drive_on(world, row, col, heading, speed, tick, has_cars):
    """What comes of driving `speed` cells straight on: BLOCKED, PASSED or ARRIVED."""
    before_row, before_col = row, col
    for sub_step in range(1, 6):
        n = speed * sub_step // 5
        at_row = row + DOWN[heading] * n
        at_col = col + RIGHT[heading] * n
        if has_cars and is_hit(world, at_row, at_col, before_row, before_col, tick, sub_step):
            return BLOCKED
        if (at_row, at_col) != (before_row, before_col):
            if not open_to(world, at_row, at_col, heading):
                return BLOCKED
            if int(world.cells[before_row * world.cols + before_col]) >> 4 == STOP_LINE:
                if is_red(world, at_row, at_col, heading, tick):
                    return BLOCKED
            if int(world.cells[at_row * world.cols + at_col]) >> 4 == GOAL:
                return ARRIVED
        before_row, before_col = at_row, at_col
    return PASSED


@kernel
def fewest_ticks(world, top_speed, horizon, has_idle, has_cars):
    """Ticks in which the ego can arrive without breaking a rule; -1 if not within `horizon`.

    Without `has_idle`, a car can hold its speed only at its greatest and at rest. With `has_cars`, vehicles beside the
    ego keep their speed; without, there are none.
    """
    size = int(world.rows) * int(world.cols)
    now = np.zeros((size, 4, top_speed + 1), np.bool_)
    ego = world.vehicles[0]
    now[ego.row * world.cols + ego.col, ego.heading, ego.speed] = True
    for tick in range(horizon):
        after = np.zeros((size, 4, top_speed + 1), np.bool_)
        for cell in range(size):
            bits = int(world.cells[cell])
            for heading in range(4):
                for speed in range(top_speed + 1):
                    if not now[cell, heading, speed]:
                        continue
                    for action in range(5):  # LEFT, IDLE, RIGHT, FASTER, SLOWER
                        row = cell // int(world.cols)
                        col = cell % int(world.cols)
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
                                if not open_to(world, row, col, heading):
                                    continue
                                if has_cars and is_hit(world, row, col, row, col, tick, 0):
                                    continue
                            elif speed <= 1:
                                to = across
                                v = 1
                        outcome = drive_on(world, row, col, to, v, tick, has_cars)
                        if outcome == ARRIVED:
                            return tick + 1
                        if outcome == PASSED:
                            end = (row + DOWN[to] * v) * int(world.cols) + col + RIGHT[to] * v
                            after[end, to, v] = True
        now = after
    return -1
