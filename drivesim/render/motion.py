"""Motion between two ticks.

The simulation ticks once a second; a picture between two ticks shows cars on the way. They drive at the speed of the
tick. A change of lane is made in its first part, up to `MIDDLE`, as in the rules, where it precedes the advance; and
a quarter turn too. A car that closes up into the gap which a change of lane leaves would, at even speed, run into the
car that is still leaving. So at `MIDDLE` nobody has come closer than `SPACE` to anybody who was ahead of him on a lane
that both have touched by then, and between the three points of its way every car drives straight on. Cars that keep
this distance at the ends of a straight piece keep it all along, since distances change linearly in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.world import DRIVING
from drivesim.render.view import World

Array = np.ndarray[Any, Any]

MIDDLE = 0.4  # of a tick: by then everybody has reached his lane and his heading
SPACE = 0.97  # cells between the middles of two cars in a row, at least: a little more than a car's length
BESIDE = 0.7  # cells between the middles of two cars that pass each other, at least: a little more than its width
ROW_STEPS, COL_STEPS = np.array((-1, 0, 1, 0)), np.array((0, 1, 0, -1))  # of the headings north, east, south, west


def is_next(before: World, after: World) -> bool:
    """Whether `after` is one tick later than `before` in the same episode."""
    same = ("key", "episode", "level_seed", "num_vehicles", "rows", "cols")
    return int(after["tick"]) == int(before["tick"]) + 1 and all(np.array_equal(before[n], after[n]) for n in same)


def displacement(world: World, before: Array, after: Array) -> tuple[Array, Array]:
    """Cells moved down and to the right, int64 (V,), by inhabitants with the fields `row` and `col`.

    On a map that continues on its other side the shorter way counts.
    """
    moves = []
    for name, size, wraps in (("row", "rows", "wraps_rows"), ("col", "cols", "wraps_cols")):
        move = after[name].astype(np.int64) - before[name]
        if world[wraps]:
            period = int(world[size])
            move = (move + period // 2) % period - period // 2
        moves.append(move)
    return moves[0], moves[1]


def ways(before: World, after: World) -> tuple[Array, Array]:
    """Rows and columns of all vehicles at the beginning, at `MIDDLE` and at the end of a tick, float64 (V, 3) each.

    They start at their cell in `before` and may lead beyond the map's edge, where it continues on the other side.
    """
    num_vehicles = int(after["num_vehicles"])
    old, new = before["vehicles"][:num_vehicles], after["vehicles"][:num_vehicles]
    moved = np.stack(displacement(after, old, new), axis=1).astype(np.float64)  # (V, 2)
    start = np.stack((old["row"], old["col"]), axis=1).astype(np.float64)
    ahead = np.stack((ROW_STEPS[new["heading"]], COL_STEPS[new["heading"]]), axis=1).astype(np.float64)
    along = (moved * ahead).sum(axis=1)
    aside = moved - along[:, None] * ahead
    by_middle = MIDDLE * along
    if aside.any():
        size = np.where(
            (bool(after["wraps_rows"]), bool(after["wraps_cols"])), (int(after["rows"]), int(after["cols"])), 0
        )
        drives = (old["status"] == DRIVING) & (old["heading"] == new["heading"])
        by_middle = _held_back(start, ahead, aside, by_middle, size, drives)
    middle = start + aside + by_middle[:, None] * ahead
    points = np.stack((start, middle, start + moved), axis=2)  # (V, 2, 3)
    return points[:, 0], points[:, 1]


def _held_back(start: Array, ahead: Array, aside: Array, by_middle: Array, size: Array, drives: Array) -> Array:
    """How far everybody gets by `MIDDLE`, cells (V,), if nobody comes too close to whom he follows.

    Args:
        start: (V, 2) row and column.
        ahead: (V, 2) the way one cell ahead.
        aside: (V, 2) the change of lane.
        by_middle: (V,) cells at even speed.
        size: (2,) the map's period in rows and columns, 0 = none.
        drives: (V,) who drives straight on.
    """
    apart = start[None] - start[:, None]  # (V, V, 2), from the first to the second
    period = np.where(size > 0, size, np.inf)
    apart = np.where(size > 0, apart - np.round(apart / period) * np.where(size > 0, size, 1), apart)
    distance = (apart * ahead[:, None]).sum(axis=2)  # by which the second is ahead of the first
    across = np.stack((-ahead[:, 1], ahead[:, 0]), axis=1)  # to one side of everybody
    beside = (apart * across[:, None]).sum(axis=2)
    beside_then = beside + ((aside[None] - aside[:, None]) * across[:, None]).sum(axis=2)
    touch = (np.minimum(np.abs(beside), np.abs(beside_then)) < BESIDE) | (beside * beside_then < 0)
    parallel = (ahead[None] == ahead[:, None]).all(axis=2) & drives[None] & drives[:, None]
    follows = touch & parallel & (distance > 0.5)
    allowance = np.where(follows, distance - SPACE, np.inf)
    for _ in range(len(start)):
        held = np.minimum(by_middle, (allowance + by_middle[None]).min(axis=1))
        if (held == by_middle).all():
            break
        by_middle = held
    return by_middle
