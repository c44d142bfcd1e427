"""Roads made for the tests of traffic: periodic, straight, of any length, with any mix of drivers."""

import numpy as np
from checker import FAULTS, check_tick, notes_of, remember

from drivesim.core.jit import kernel
from drivesim.core.occupancy import empty_lanes, place
from drivesim.core.tick import tick
from drivesim.core.traffic import braking_distance, look
from drivesim.core.world import EAST, LANE, WORLD, paint, world_dtype

LONG_ROAD = world_dtype(2000, 2000, "u2")
EAST_ONLY = 1 << EAST


@kernel
def fill(world, lanes, length, cells, limits, is_ring_of_lanes):
    """Lanes of an eastbound road with resting vehicles on `cells` (flat)."""
    world.rows = lanes
    world.cols = length
    world.wraps_cols = 1
    world.limit = 5
    if is_ring_of_lanes:
        empty_lanes(world)
    for row in range(lanes):
        for col in range(length):
            paint(world, row, col, LANE, EAST_ONLY, row & 7, 0)
    world.num_vehicles = cells.shape[0]
    for k in range(cells.shape[0]):
        place(world, k, int(cells[k]) // length, int(cells[k]) % length, EAST, 0, int(limits[k]))


@kernel
def set_speeds(world):
    """Everybody as fast as its limit and a standing leader allow."""
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        speed = int(vehicle.limit)
        gap, _, _ = look(world, k, vehicle.row, vehicle.col, braking_distance(speed + 1))
        while braking_distance(speed) > gap:
            speed -= 1
        vehicle.speed = speed


def road(
    lanes: int,
    length: int,
    num_vehicles: int,
    seed: int,
    slowest: int = 5,
    fastest: int = 5,
    is_ring_of_lanes: bool = True,
    dtype: np.dtype = WORLD,
) -> np.ndarray:
    """A periodic road, one world, with vehicles on random cells."""
    random = np.random.default_rng(seed)
    worlds = np.zeros(1, dtype)
    worlds["key"] = random.integers(0, 2**32, 2)
    cells = random.permutation(lanes * length)[:num_vehicles]
    limits = random.integers(slowest, fastest + 1, num_vehicles)
    fill(worlds[0], lanes, length, cells, limits, is_ring_of_lanes)
    return worlds


@kernel
def drive(worlds, rules_array, actions, ticks, patience, notes, owners, faults):
    """Tick each world `ticks` times, checking each tick; the cells driven by all vehicles together."""
    rules = rules_array[0]
    cells = 0
    for i in range(worlds.shape[0]):
        world = worlds[i]
        notes[4, :] = world.tick
        for _ in range(ticks):
            remember(world, notes)
            tick(world, actions, 0, rules)
            check_tick(world, notes, owners, patience, rules.driver_model, faults)
            for k in range(world.num_vehicles):
                cells += world.vehicles[k].speed
    return cells


def driven(worlds: np.ndarray, rules: np.ndarray, ticks: int, patience: int = 1 << 30) -> tuple[int, np.ndarray]:
    """(cells driven, faults) of `ticks` checked ticks."""
    notes, owners = notes_of(worlds)
    faults = np.zeros(len(FAULTS), np.int64)
    cells = drive(worlds, rules, np.zeros(1, np.int64), ticks, patience, notes, owners, faults)
    return cells, faults
