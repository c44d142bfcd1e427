"""Maps and worlds such as no scenario has, for comparing observations with their reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from observed import STEPS

from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EAST,
    LANE,
    NO_CONTROL,
    NORTH,
    OBSTACLE,
    OFF_ROAD,
    PARKING_BAY,
    SHOULDER,
    SIGNALS,
    SOUTH,
    STOP_LINE,
    UNREACHABLE,
    WEST,
    YIELD,
    map_dtype,
)
from drivesim.core.painting import open_portal, set_size
from drivesim.core.reservations import number_slots
from drivesim.core.world import (
    ABSENT,
    ARRIVED,
    CRASHED,
    CROSSING,
    DRIVING,
    NOBODY,
    RUNNING,
    WAITING,
    world_dtype,
)
from drivesim.states import occupants_of

Worlds = tuple[np.ndarray, np.ndarray]
"""Maps and worlds, (M,) each."""

SIZE = 30  # rows and columns of a scrambled map
MAX_VEHICLES = 47


def cells_of(road: Any) -> np.ndarray:
    """The cells of a map without its border, row by row."""
    rows, cols = np.arange(1, road["rows"] + 1), np.arange(1, road["cols"] + 1)
    return (rows[:, None] * road["width"] + cols).reshape(-1)


def cell_of(row: int, col: int) -> int:
    """A cell of a scrambled map."""
    return (row + 1) * (SIZE + 2) + col + 1


def blank() -> Worlds:
    """A map and a world (1,) of SIZE x SIZE cells."""
    dtype = map_dtype(SIZE, SIZE, junctions=2, destinations=1, has_portals=True, has_goal_headings=True)
    maps = np.zeros(1, dtype)
    set_size(maps[0], SIZE, SIZE)
    return maps, np.zeros(1, world_dtype(SIZE, SIZE, MAX_VEHICLES, people=8, junctions=2, slots=200))


def close_ring(road: Any, along_rows: bool) -> None:
    """Let the map's last cells lead to its first ones and the other way round, all along one direction."""
    road["ring_cols" if along_rows else "ring_rows"] = SIZE
    for n in range(SIZE):
        first, last = (cell_of(n, 0), cell_of(n, SIZE - 1)) if along_rows else (cell_of(0, n), cell_of(SIZE - 1, n))
        open_portal(road, last, EAST if along_rows else SOUTH, first)
        open_portal(road, first, WEST if along_rows else NORTH, last)


def scrambled(rng: np.random.Generator, is_ring: bool, half_lane: int = 0) -> Worlds:
    """A map and a world (1,) such as no scenario has: any kind of cell, vehicles everywhere, junctions and pedestrians.

    On a ring without the last two, which no ring has. Where lanes are one cell wide, all cells are at their centre.
    """
    maps, worlds = blank()
    road, world = maps[0], worlds[0]
    world["stage"], road["speed_limit"] = RUNNING, rng.integers(1, 6)
    share = rng.choice((0.4, 0.8, 0.95))
    kinds = np.array([LANE, SHOULDER, PARKING_BAY, STOP_LINE, OFF_ROAD, OBSTACLE])
    odds = np.array([*(share * np.array((0.84, 0.1, 0.06))), 0, 0.4 * (1 - share), 0.6 * (1 - share)])
    if not is_ring:
        odds[[0, 3]] += (-0.02, 0.02)
    kind = rng.choice(kinds, (SIZE, SIZE), p=odds)
    mask = 1 << rng.integers(0, 4, (SIZE, SIZE))
    several = (rng.random((SIZE, SIZE)) < 0.3) & (kind != STOP_LINE)
    mask[several] = rng.integers(1, 16, several.sum())
    if rng.random() < 0.5:
        mask |= np.where(kind == LANE, 1 << rng.integers(4), 0)  # a heading in which one gets far
    ego, (row, col) = world["vehicles"][0], rng.integers(0, SIZE, 2).tolist()
    ego["cell"] = cell_of(row, col)
    ego["heading"], ego["speed"] = rng.integers(4), rng.integers(-1, 6)
    world["egos"]["next_turn"][0] = rng.integers(-1, 2)
    ego["status"] = rng.choice((DRIVING, CRASHED, ARRIVED), p=(0.9, 0.05, 0.05))
    if not is_ring:
        add_junctions(road, world, rng, kind, mask)
        add_crosswalk(world, rng, kind, mask)
    mask[(kind == OFF_ROAD) | (kind == OBSTACLE)] = 0
    cells = cells_of(road)
    road["ground"][cells] = (mask | kind << 4).ravel()
    number_slots(road)
    road["half_lane"] = half_lane
    road["lanes"][cells] = 8 + rng.integers(-half_lane, half_lane + 1, SIZE * SIZE)
    if is_ring:
        close_ring(road, bool(rng.random() < 0.5))
    rows, cols = np.indices((SIZE, SIZE))
    road["has_goal_headings"] = rng.integers(2)
    for layer in range(4 if road["has_goal_headings"] else 1):
        route = abs(rows - rng.integers(SIZE)) + abs(cols - rng.integers(SIZE))
        route[rng.random((SIZE, SIZE)) < 0.04] = 0  # goals
        route[(rng.random((SIZE, SIZE)) < 0.1) | (mask == 0)] = UNREACHABLE
        road["distances"][layer * (SIZE + 2) ** 2 + cells] = route.ravel()
    world["egos"]["route_length"][0] = rng.integers(1, 60)
    world["egos"]["remaining"][0] = min(int(road["distances"][ego["cell"]]), 40)
    add_vehicles(road, world, rng)
    road["has_reverse"] = rng.integers(2)
    goal = road["goals"][0]
    goal["heading"], goal["top_speed"] = rng.integers(0, 5), rng.integers(0, 7)
    worlds["occupants"] = occupants_of(worlds)
    return maps, worlds


def add_junctions(road: Any, world: Any, rng: np.random.Generator, kind: np.ndarray, mask: np.ndarray) -> None:
    """Two junctions with stop lines around them; mostly the ego is before one or in it."""
    road["num_junctions"] = 2
    ego = world["vehicles"][0]
    for n, lamp in enumerate(world["lamps"]):
        height, width = rng.integers(1, 4, 2)
        row, col = rng.integers(7, 10) + 10 * n, rng.integers(8, 20)
        lamp["colour_0"], lamp["colour_1"] = rng.integers(0, 3, 2)
        road["junctions"][n]["control"] = rng.choice((SIGNALS, ALL_WAY_STOP, YIELD, NO_CONTROL), p=(0.7, 0.1, 0.1, 0.1))
        road["junctions"][n]["ranks"] = rng.integers(0, 3, 4)
        for cell in np.ndindex(height, width):
            road["junction"][cell_of(row + cell[0], col + cell[1])] = 1 + n
        kind[row : row + height, col : col + width] = LANE
        mask[row : row + height, col : col + width] |= rng.integers(1, 16)
        heading = int(rng.integers(4))
        along, across = STEPS[heading], STEPS[(heading + 1) % 4]
        line = {0: (row + height, col), 1: (row, col - 1), 2: (row - 1, col), 3: (row, col + width)}[heading]
        for back in range(6):
            at = line[0] - along[0] * back, line[1] - along[1] * back
            kind[at], mask[at] = (STOP_LINE if back == 0 else LANE), 1 << heading
        beyond = line[0] + abs(across[0]), line[1] + abs(across[1])
        kind[beyond], mask[beyond] = STOP_LINE, 1 << int(rng.integers(4))
        if rng.random() < 0.45:
            back = int(rng.integers(-2, 6))
            ego["cell"] = cell_of(line[0] - along[0] * back, line[1] - along[1] * back)
            ego["heading"] = heading


def add_crosswalk(world: Any, rng: np.random.Generator, kind: np.ndarray, mask: np.ndarray) -> None:
    """One crosswalk, mostly before the ego; pedestrians on it, at its ends, and records of nobody anywhere."""
    ego = world["vehicles"][0]
    (up, along), (down, across) = STEPS[int(ego["heading"])], STEPS[(int(ego["heading"]) + 1) % 4]
    here, there = (n - 1 for n in divmod(int(ego["cell"]), SIZE + 2))
    ahead, left, right = int(rng.integers(1, 14)), int(rng.integers(-1, 4)), int(rng.integers(0, 4))
    stripe = [(here + ahead * up + n * down, there + ahead * along + n * across) for n in range(-left - 1, right + 2)]
    if not all(0 <= row < SIZE and 0 <= col < SIZE for row, col in stripe):
        stripe = [(SIZE - 3, col) for col in range(2, 8)]  # elsewhere
    for row, col in stripe[1:-1]:
        kind[row, col], mask[row, col] = CROSSWALK, 5 if stripe[0][0] == stripe[1][0] else 10
    crossing = rng.permutation(len(stripe) - 2)[: rng.integers(3)] + 1
    waiting = (0, len(stripe) - 1)[: rng.integers(3)]
    people = [(*stripe[n], CROSSING) for n in crossing] + [(*stripe[n], WAITING) for n in waiting]
    free = [n for n in range(SIZE * SIZE) if divmod(n, SIZE) not in [person[:2] for person in people]]
    people += [(*divmod(int(rng.choice(free)), SIZE), NOBODY) for _ in range(2)]
    world["num_people"] = len(people)
    for p, (row, col, status) in enumerate(people):
        heading = int(rng.integers(2)) * 2 + (stripe[0][0] == stripe[1][0])
        world["people"][p] = (cell_of(row, col), heading, status, *rng.integers(0, [30, 2, 30, 4]))


def add_vehicles(road: Any, world: Any, rng: np.random.Generator) -> None:
    """Traffic on cells of its own, some of it gone; half of it near the ego."""
    count = int(rng.integers(0, MAX_VEHICLES))
    world["num_vehicles"] = 1 + count
    ego = world["vehicles"][0]
    free = np.setdiff1d(cells_of(road), ego["cell"] if ego["status"] == DRIVING else [])
    rows, cols = np.divmod(free, SIZE + 2)
    row, col = divmod(int(ego["cell"]), SIZE + 2)
    near = (abs(rows - row) <= 8) & (abs(cols - col) <= 8)
    cells = rng.choice(free, count, replace=False, p=np.where(near, 0.5 / near.sum(), 0.5 / (~near).sum()))
    for vehicle, cell in zip(world["vehicles"][1 : 1 + count], cells.tolist(), strict=True):
        vehicle["cell"] = cell
        vehicle["heading"], vehicle["speed"] = rng.integers(4), rng.integers(-1, 6)
        vehicle["status"] = rng.choice((DRIVING, ABSENT, ARRIVED, CRASHED), p=(0.85, 0.05, 0.05, 0.05))


def many_scrambled(num_worlds: int, is_ring: bool, seed: int, half_lane: int = 0) -> Worlds:
    """Scrambled maps and worlds (M,)."""
    rng = np.random.default_rng(seed)
    maps, worlds = zip(*(scrambled(rng, is_ring, half_lane) for _ in range(num_worlds)), strict=True)
    return np.concatenate(maps).astype(maps[0].dtype), np.concatenate(worlds).astype(worlds[0].dtype)
