"""What a driver would see if it did not see one thing: the basis of saliency.

    cells, observations = occlusions(env)   # of the world as it is

A thing is hidden in the world and the world is observed anew, so this works alike for every observation: what a
cell holds leaves every plane, distance or code that it enters.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.config import EnvConfig
from drivesim.core.occupancy import leave
from drivesim.core.route import measure_route
from drivesim.core.world import (
    ABSENT,
    CROSSWALK,
    DRIVING,
    GOAL,
    LANE,
    MAX_CELLS,
    NOBODY,
    NOT_STARTED,
    OBSTACLE,
    STOP_LINE,
    WORLD,
)
from drivesim.engine import kernels_of
from drivesim.env import DriveEnv
from drivesim.registry import ids
from drivesim.render.view import World

__all__ = ["occlusions"]

Array = np.ndarray[Any, Any]

STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows and columns, of the headings north, east, south, west
ALONG = (5, 10, 5, 10)  # the masks of a heading and its reverse
MARKED = (CROSSWALK, STOP_LINE, GOAL)  # what is painted on a cell does not go on under the obstacle beside it


def occlusions(env: gym.Env[Any, Any], world: World | None = None) -> tuple[Array, Array]:
    """What the ego would observe if what is on one cell were hidden, for every cell whose hiding it would notice.

    - Where something moves, it is taken away: the vehicle, the pedestrian. The ego stays, and so does its cell.
    - An obstacle becomes road, as the nearest one in whose direction it lies; its moves to the goal are those of the
      level without it. If there is nothing but obstacles or verge around it, it stays.
    - Road becomes verge, and whatever was painted on it goes as well. On an eastbound road it stays: all cells of a
      lane are alike there.

    Everything else, the ego's knowledge of its own route included, stays as it is.

    Args:
        env: an environment of the suite, made by `gym.make`.
        world: a world of an environment with the same options; None = the environment's own.

    Returns:
        Rows and columns of the cells, int64 (M, 2), and the observations, (M, *obs_shape).

    Raises:
        TypeError: if it is no environment of the suite.
        gymnasium.error.ResetNeeded: if there is no episode.
    """
    base = env.unwrapped
    if not isinstance(base, DriveEnv):
        raise TypeError(f"env must be one of {list(ids())}, made by gym.make, got {env}")
    whole = base.get_state() if world is None else np.array([world], WORLD)
    if whole["phase"][0] == NOT_STARTED:
        raise gym.error.ResetNeeded("call reset() before occlusions(): there is no world to hide anything of")
    cells, worlds = hidden(whole)
    obs = observations_of(base.config, worlds)
    is_noticed = (obs[1:] != obs[0]).reshape(len(cells), -1).any(axis=1)
    return np.stack(np.divmod(cells[is_noticed], int(whole["cols"][0])), axis=1), obs[1:][is_noticed]


def observations_of(config: EnvConfig, worlds: Array) -> Array:
    """What the egos of worlds (M,) of a configuration observe, (M, *obs_shape)."""
    shape = int(worlds["rows"][0]), int(worlds["cols"][0])
    obs_shape, dtype = config.encoder.shape_and_dtype(config.scenario_class.window, *shape)
    obs = np.empty((len(worlds), *obs_shape), dtype)
    observe = kernels_of(config.scenario, config.encoder.name).observe
    observe(worlds, config.to_rules(max_steps=0), 0, len(worlds), obs.reshape(len(worlds), -1))
    return obs


def hidden(whole: Array) -> tuple[Array, Array]:
    """A copy of a world for every cell on which something can be hidden, without it.

    Args:
        whole: (1,) WORLD, unchanged.

    Returns:
        Flat indices of the cells, int64 (M,), and the worlds, (M + 1,) WORLD: in the first nothing is hidden.
    """
    world = whole[0]
    cols = int(world["cols"])
    bits = world["cells"][: int(world["rows"]) * cols]
    vehicles = cells_of(world["vehicles"][: int(world["num_vehicles"])], cols)
    pedestrians = cells_of(world["pedestrians"][: int(world["num_pedestrians"])], cols)
    is_driving = world["vehicles"]["status"][: len(vehicles)] == DRIVING
    is_moving = np.zeros(len(bits), np.bool_)
    is_moving[vehicles[is_driving]] = True
    is_walking = world["pedestrians"]["status"][: len(pedestrians)] != NOBODY
    is_moving[pedestrians[is_walking]] = True
    roads = roads_under_obstacles(bits, cols)
    is_hidden = is_moving | ((bits & 15 != 0) & (world["is_eastbound"] == 0))
    is_hidden[list(roads)] = True
    is_hidden[vehicles[0]] = False
    cells = np.flatnonzero(is_hidden)
    worlds = np.repeat(whole, 1 + len(cells))
    copy_of = {cell: i for i, cell in enumerate(cells.tolist(), start=1)}
    for k in np.flatnonzero(is_driving).tolist():
        if vehicles[k] in copy_of:
            take_away(worlds[copy_of[vehicles[k]]], k)
    for p in np.flatnonzero(is_walking)[::-1].tolist():
        if pedestrians[p] in copy_of:
            take_pedestrian_away(worlds[copy_of[pedestrians[p]]], p)
    for cell, road in roads.items():
        if cell in copy_of and not is_moving[cell]:
            open_up(worlds[copy_of[cell]], cell, road)
    copies = np.flatnonzero(~is_moving[cells] & (bits[cells] >> 4 != OBSTACLE))
    worlds["cells"][1 + copies, cells[copies]] = 0  # verge: off-road, no heading allowed
    return cells, worlds


def cells_of(movers: Array, cols: int) -> Array:
    """The flat indices, int64, of the cells that vehicles or pedestrians are on."""
    flat: Array = movers["row"].astype(np.int64) * cols + movers["col"]
    return flat


def take_away(world: World, k: int) -> None:
    """Remove vehicle k with all that it has reserved."""
    leave(world, k)
    vehicle = world["vehicles"][k]
    vehicle["status"] = ABSENT
    vehicle["claim"] = 0
    vehicle["exit_cell"] = -1


def take_pedestrian_away(world: World, p: int) -> None:
    """Remove pedestrian p; the last one takes its number."""
    world["num_pedestrians"] -= 1
    world["pedestrians"][p] = world["pedestrians"][world["num_pedestrians"]]


def open_up(world: World, cell: int, road: int) -> None:
    """Make road of an obstacle's cell, like that on cell `road`."""
    bits = int(world["cells"][road])
    world["cells"][cell] = bits & 15 | LANE << 4 if bits >> 4 in MARKED else bits
    world["lanes"][cell] = world["lanes"][road]
    if world["is_ring"] == 0:
        route = world["route"].copy()
        measure_route(world, np.empty(MAX_CELLS, np.int16))
        route[cell] = world["route"][cell]  # ways through it are not told: the ego does not know that it is open
        world["route"] = route


def roads_under_obstacles(bits: Array, cols: int) -> dict[int, int]:
    """For every obstacle's cell the nearest cell of road in whose direction it lies, if there is one."""
    found: dict[int, int] = {}
    cells = bits.tolist()
    rows = len(cells) // cols
    for cell in np.flatnonzero(bits >> 4 == OBSTACLE).tolist():
        ways = {heading: divmod(cell, cols) for heading in range(4)}
        while ways and cell not in found:
            for heading, (row, col) in list(ways.items()):
                row, col = row + STEPS[heading][0], col + STEPS[heading][1]
                ways[heading] = row, col
                there = cells[row * cols + col] if 0 <= row < rows and 0 <= col < cols else 0
                if there >> 4 != OBSTACLE:
                    del ways[heading]
                    if there & ALONG[heading]:
                        found.setdefault(cell, row * cols + col)
    return found
