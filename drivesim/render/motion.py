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

from drivesim.core.map import PORTAL
from drivesim.core.world import DRIVING
from drivesim.render.state import Record, State, grid_of, place_of

Array = np.ndarray[Any, Any]

MIDDLE = 0.4  # of a tick: by then everybody has reached his lane and his heading
SPACE = 0.97  # cells between the middles of two cars in a row, at least: a little more than a car's length
BESIDE = 0.7  # cells between the middles of two cars that pass each other, at least: a little more than its width
ROW_STEPS, COL_STEPS = np.array((-1, 0, 1, 0)), np.array((0, 1, 0, -1))  # of the headings north, east, south, west


def is_next(before: State, after: State) -> bool:
    """Whether `after` is one tick later than `before` in the same episode."""
    same_world = ("key_0", "key_1", "episode", "level_seed", "num_vehicles")
    return (
        int(after.world["tick"]) == int(before.world["tick"]) + 1
        and all(before.world[name] == after.world[name] for name in same_world)
        and all(before.map[name] == after.map[name] for name in ("rows", "cols"))
    )


def periods_of(map: Record) -> tuple[int, int]:
    """Rows and columns after which a map goes on with its other side, 0 = it does not, as its portals lead."""
    if map["num_portals"] == 0:
        return 0, 0
    is_portal = grid_of(map, map["ground"]) & PORTAL != 0
    is_across = grid_of(map, map["leads_to"])[is_portal] & 1 == 1  # of a heading: it leads east or west
    return int(map["rows"]) * (not is_across.all()), int(map["cols"]) * bool(is_across.any())


def displacement(map: Record, before: Array, after: Array) -> Array:
    """Cells moved down and to the right, int64 (V, 2), by inhabitants with the field `cell`.

    Where a map goes on with its other side, the shorter way counts.
    """
    old, new = place_of(map, before["cell"].astype(np.int64)), place_of(map, after["cell"].astype(np.int64))
    moves = []
    for first, last, period in zip(old, new, periods_of(map), strict=True):
        move = last - first
        moves.append((move + period // 2) % period - period // 2 if period else move)
    return np.stack(moves, axis=1)


def ways(before: State, after: State) -> tuple[Array, Array]:
    """Rows and columns of all vehicles at the beginning, at `MIDDLE` and at the end of a tick, float64 (V, 3) each.

    They start at their cell in `before` and may lead beyond the map's edge, where it goes on with its other side.
    """
    num_vehicles = int(after.world["num_vehicles"])
    old, new = before.world["vehicles"][:num_vehicles], after.world["vehicles"][:num_vehicles]
    moved = displacement(after.map, old, new).astype(np.float64)
    start = np.stack(place_of(after.map, old["cell"]), axis=1).astype(np.float64)
    ahead = np.stack((ROW_STEPS[new["heading"]], COL_STEPS[new["heading"]]), axis=1).astype(np.float64)
    along = (moved * ahead).sum(axis=1)
    aside = moved - along[:, None] * ahead
    by_middle = MIDDLE * along
    if aside.any():
        drives = (old["status"] == DRIVING) & (old["heading"] == new["heading"])
        by_middle = _held_back(start, ahead, aside, by_middle, np.array(periods_of(after.map)), drives)
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
        held = np.minimum(by_middle, np.maximum((allowance + by_middle[None]).min(axis=1), 0.0))
        if (held == by_middle).all():
            break
        by_middle = held
    return by_middle
