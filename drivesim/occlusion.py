"""What a driver would see if it did not see one thing: the basis of saliency.

    cells, observations = occlusions(env)   # of the world as it is

A thing is hidden in the world and the world is observed anew, so this works alike for every observation: what a
cell holds leaves every plane, distance or code that it enters.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.core import batch, laying
from drivesim.core.map import CROSSWALK, LANE, OBSTACLE, PORTAL, STOP_LINE
from drivesim.core.memory import Frame
from drivesim.core.world import ABSENT, DRIVING, NOBODY, NOT_STARTED
from drivesim.env import DriveEnv
from drivesim.registry import ids
from drivesim.render.state import Record, State, distances_of, is_goal, is_ring, place_of
from drivesim.rendering import state_of

__all__ = ["occlusions"]

Array = np.ndarray[Any, Any]

ALONG = (5, 10, 5, 10)  # the masks of a heading and its reverse
MARKED = (CROSSWALK, STOP_LINE)  # what is painted on a cell does not go on under the obstacle beside it


def occlusions(env: gym.Env[Any, Any], state: State | None = None) -> tuple[Array, Array]:
    """What the ego would observe if what is on one cell were hidden, for every cell whose hiding it would notice.

    - Where something moves, it is taken away: the vehicle, the pedestrian. The ego stays, and so does its cell.
    - An obstacle becomes road, as the nearest one in whose direction it lies; its moves to the goal are those of the
      level without it. If there is nothing but obstacles or verge around it, it stays.
    - Road becomes verge, and whatever was painted on it goes as well, the goal included. On a ring it stays: all cells
      of a lane are alike there.

    Everything else, the ego's knowledge of its own route included, stays as it is.

    Args:
        env: an environment of the suite, made by `gym.make`.
        state: of an environment with the same options; None = the environment's own.

    Returns:
        Rows and columns of the cells, int64 (M, 2), and the observations, (M, *obs_shape).

    Raises:
        TypeError: if it is no environment of the suite.
        gymnasium.error.ResetNeeded: if there is no episode.
    """
    base = env.unwrapped
    if not isinstance(base, DriveEnv):
        raise TypeError(f"env must be one of {list(ids())}, made by gym.make, got {env}")
    state = state_of(env) if state is None else state
    if state.world["stage"] == NOT_STARTED:
        raise gym.error.ResetNeeded("call reset() before occlusions(): there is no world to hide anything of")
    cells, maps, worlds = hidden(state)
    obs = base._engine.observe_others(maps, worlds)
    is_noticed = (obs[1:] != obs[0]).reshape(len(cells), -1).any(axis=1)
    return np.stack(place_of(state.map, cells[is_noticed]), axis=1), obs[1:][is_noticed]


def hidden(state: State) -> tuple[Array, Array, Array]:
    """A copy of a state for every cell on which something can be hidden, without it.

    Args:
        state: unchanged.

    Returns:
        The cells, int64 (M,), the maps and the worlds, both (M + 1,): in the first nothing is hidden.
    """
    map, world = state
    ground = map["ground"]
    vehicles = world["vehicles"][: int(world["num_vehicles"])]
    people = world["people"][: int(world["num_people"])]
    is_driving, is_walking = vehicles["status"] == DRIVING, people["status"] != NOBODY
    is_moving = np.zeros(len(ground), np.bool_)
    is_moving[vehicles["cell"][is_driving]] = True
    is_moving[people["cell"][is_walking]] = True
    roads = roads_under_obstacles(map)
    is_hidden = is_moving.copy() if is_ring(map) else is_moving | (ground & 15 != 0)
    is_hidden[list(roads)] = True
    is_hidden[vehicles["cell"][0]] = False
    cells = np.flatnonzero(is_hidden)
    maps, worlds = (np.repeat(np.array([record], record.dtype), 1 + len(cells)) for record in state)
    copy_of = {cell: i for i, cell in enumerate(cells.tolist(), start=1)}
    for k in np.flatnonzero(is_driving).tolist():
        if vehicles["cell"][k] in copy_of:
            take_away(worlds[copy_of[vehicles["cell"][k]]], k)
    for p in np.flatnonzero(is_walking).tolist():
        if people["cell"][p] in copy_of:
            worlds[copy_of[people["cell"][p]]]["people"]["status"][p] = NOBODY
    for cell in cells[~is_moving[cells]].tolist():
        changed = State(maps[copy_of[cell]], worlds[copy_of[cell]])
        if cell in roads:
            open_up(changed, cell, roads[cell])
        else:
            make_verge(changed, cell)
    return cells, maps, worlds


def take_away(world: Record, k: int) -> None:
    """Remove vehicle k with all that it has reserved."""
    vehicle = world["vehicles"][k]
    occupants = world["occupants"]
    if occupants[vehicle["cell"]] == k + 1:
        occupants[vehicle["cell"]] = 0
    vehicle["status"] = ABSENT
    world["held"][world["held"] == k + 1] = 0
    vehicle["may_enter"] = 0


def make_verge(state: State, cell: int) -> None:
    """Make verge of a road's cell. The ego knows its route as before, but for a goal that is not to be seen."""
    state.map["ground"][cell] &= PORTAL  # which leads on whoever never looks
    if not is_ring(state.map):
        distances = distances_of(state)
        distances[:, cell] = np.maximum(1, distances[:, cell])


def open_up(state: State, cell: int, road: int) -> None:
    """Make road of an obstacle's cell, like that on cell `road`."""
    map = state.map
    bits = int(map["ground"][road]) & ~PORTAL
    map["ground"][cell] = bits & 15 | LANE << 4 if bits >> 4 in MARKED else bits
    map["lanes"][cell] = map["lanes"][road]
    if is_ring(map):
        return
    opened = np.array([map])
    measure_distances(opened, int(state.world["egos"]["goal"][0]), np.flatnonzero(is_goal(state)))
    # Ways through it are not told: the ego does not know that it is open.
    distances_of(state)[:, cell] = distances_of(State(opened[0], state.world))[:, cell]


def roads_under_obstacles(map: Record) -> dict[int, int]:
    """For every obstacle's cell the nearest cell of road in whose direction it lies, if there is one."""
    found: dict[int, int] = {}
    ground, steps = map["ground"].tolist(), map["steps"].tolist()
    for cell in np.flatnonzero(map["ground"] >> 4 & 7 == OBSTACLE).tolist():
        ways = dict.fromkeys(range(4), cell)
        while ways and cell not in found:
            for heading, at in list(ways.items()):
                ways[heading] = at = at + steps[heading]
                if ground[at] >> 4 & 7 != OBSTACLE:
                    del ways[heading]
                    if ground[at] & ALONG[heading]:
                        found.setdefault(cell, at)
    return found


def measure_distances(maps: Array, destination: int, goals: Array) -> None:
    """Measure a map's (1,) distances to a destination anew, from the cells of its goals."""
    scratch = np.zeros((1, 4 * maps["ground"].shape[1]), np.int32)
    scratch[0, : len(goals)] = goals
    frame = Frame(batch.FRAME)
    frame.set(maps=maps, scratch=scratch)
    laying.measure_map(frame.argument, destination, len(goals))
