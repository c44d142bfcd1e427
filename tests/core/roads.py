"""Roads made for the tests of traffic: periodic, straight, of any length, with any mix of drivers."""

from typing import Any

import numpy as np
from ascii_map import options_of
from checker import FAULTS, MOVED, check_tick, notes_of, remember
from records import frame_of, open_frame

from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import EAST, LANE, NORTH, SOUTH, cell_at, map_dtype
from drivesim.core.painting import open_portal, paint, set_size
from drivesim.core.tick import tick
from drivesim.core.world import MAX_VEHICLES, place, world_dtype

MOST = 250  # vehicles of a road; a world has room for little more
assert MOST <= MAX_VEHICLES


@kernel
def lane_cell(map, heading, lane, along):
    """Cell `along` of a lane, 0 = the leftmost, of a road that leads across the map in `heading`."""
    if heading == NORTH:
        return cell_at(map, map.rows - 1 - along, lane)
    if heading == EAST:
        return cell_at(map, lane, along)
    if heading == SOUTH:
        return cell_at(map, along, map.cols - 1 - lane)
    return cell_at(map, map.rows - 1 - lane, map.cols - 1 - along)


@kernel
def fill(argument, i, lanes, length, heading, places, top_speeds):
    """Lanes of a one-way road with resting vehicles on `places` (lane * length + cells along it)."""
    frame = open_frame(argument)
    map = frame.maps[i]
    world = frame.worlds[i]
    if heading & 1 == 1:
        set_size(map, lanes, length)
    else:
        set_size(map, length, lanes)
    map.speed_limit = 5
    for lane in range(lanes):
        for along in range(length):
            paint(map, lane_cell(map, heading, lane, along), LANE, 1 << heading, lane & 7, 0)
        open_portal(map, lane_cell(map, heading, lane, length - 1), heading, lane_cell(map, heading, lane, 0))
    world.num_vehicles = places.shape[0]
    for k in range(places.shape[0]):
        cell = lane_cell(map, heading, places[k] // length, places[k] % length)
        place(world, k, cell, heading, 0, top_speeds[k])


@kernel
def set_speeds(argument, i):
    """Everybody as fast as its own limit and a standing leader allow."""
    frame = open_frame(argument)
    world = frame.worlds[i]
    for k in range(world.num_vehicles):
        world.vehicles[k].speed = fastest_start(frame.maps[i], world, k, world.vehicles[k].top_speed)


def roads(
    num_roads: int,
    lanes: int,
    length: int,
    num_vehicles: int,
    seed: int,
    slowest: int = 5,
    fastest: int = 5,
    is_moving: bool = False,
    heading: int = EAST,
) -> tuple[np.ndarray, np.ndarray]:
    """Maps and worlds of periodic roads with vehicles on random cells."""
    random = np.random.default_rng(seed)
    shape = (lanes, length) if heading & 1 else (length, lanes)
    maps = np.zeros(num_roads, map_dtype(*shape, has_portals=True))
    worlds = np.zeros(num_roads, world_dtype(*shape, num_vehicles))
    frame = frame_of(maps, worlds, options_of(num_egos=0))
    for i in range(num_roads):
        worlds["key_0"][i], worlds["key_1"][i] = random.integers(0, 2**32, 2)
        places = random.permutation(lanes * length)[:num_vehicles]
        top_speeds = random.integers(slowest, fastest + 1, num_vehicles)
        fill(frame.argument, i, lanes, length, heading, places, top_speeds)
        if is_moving:
            set_speeds(frame.argument, i)
    return maps, worlds


@kernel
def drive(argument, num_worlds, ticks, patience, notes, owners, faults):
    """Tick each world `ticks` times, checking each tick; the cells driven by all vehicles together.

    Each world has its own `patience` and its own row of `faults`.
    """
    frame = open_frame(argument)
    cells = 0
    for i in range(num_worlds):
        map = frame.maps[i]
        world = frame.worlds[i]
        driver_model = frame.options[0].driver_model
        notes[MOVED, :] = world.tick
        for _ in range(ticks):
            remember(world, notes, owners)
            tick(map, world, frame.options[0], frame.actions, 0)
            check_tick(map, world, notes, owners, patience[i], driver_model, faults[i])
            for k in range(world.num_vehicles):
                cells += world.vehicles[k].speed
    return cells


def driven(
    maps: np.ndarray, worlds: np.ndarray, options: Any, ticks: int, patience: int = 1 << 30
) -> tuple[int, np.ndarray]:
    """(cells driven, faults) of `ticks` checked ticks."""
    cells, faults = driven_by_world(maps, worlds, options, ticks, np.full(len(worlds), patience))
    return cells, faults.sum(axis=0)


def driven_by_world(
    maps: np.ndarray, worlds: np.ndarray, options: Any, ticks: int, patience: np.ndarray
) -> tuple[int, np.ndarray]:
    """The same with the patience (N,) of each world, and its faults (N, kinds)."""
    notes, owners = notes_of(worlds)
    faults = np.zeros((len(worlds), len(FAULTS)), np.int64)
    frame = frame_of(maps, worlds, options)
    cells = drive(frame.argument, len(worlds), ticks, patience, notes, owners, faults)
    return cells, faults
