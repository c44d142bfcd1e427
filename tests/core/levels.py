"""Levels of the scenarios' own generators, without an environment around them."""

from typing import Any

import numpy as np
from records import ROOMY_MAP, ROOMY_WORLD

from drivesim.config import EnvConfig
from drivesim.core import batch, laying
from drivesim.core.jit import kernel
from drivesim.core.memory import Frame
from drivesim.core.world import ABSENT, leave
from drivesim.pools import pool_of
from drivesim.registry import entry_of, scenario_of


@kernel
def start_worlds(argument, num_worlds):
    """Draw a level for every world until one is certified; the first world without one, -1 = none."""
    frame = batch.open_frame(argument)
    for i in range(num_worlds):
        if not batch.start_episode(frame, i, frame.level_seeds[i], frame.scratch[0]):
            return i
    return -1


@kernel
def lay_and_populate(argument, i):
    """One attempt, no more: whether the generator certifies world i, which is blank."""
    frame = batch.open_frame(argument)
    return batch.call_lay(
        frame.lay, frame.maps[i], frame.worlds[i], frame.options[0], frame.scratch[0]
    ) and batch.call_populate(frame.populate, frame.maps[i], frame.worlds[i], frame.options[0], frame.scratch[0])


def generator_frame(scenario: str, maps: np.ndarray, worlds: np.ndarray, options: np.ndarray) -> Frame:
    """What the loops above take: its `argument`, as long as the frame itself is kept."""
    road = scenario_of(scenario)
    frame = Frame(batch.FRAME)
    frame.set(
        worlds=worlds,
        maps=maps,
        maps_by=road.maps_by,
        options=options,
        lay=batch.LAY.address_of(road.lay),
        populate=batch.POPULATE.address_of(road.populate),
        scratch=np.zeros((1, 2 * maps["ground"].shape[1]), np.int32),
    )
    return frame


def levels(
    scenario: str, level_seeds: Any, num_egos: int = 1, **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps and worlds at the start of an episode, one for each level seed, and options.

    Named options are those of the environment. Where worlds share maps, each has a copy of its own.
    """
    names = ("observation", "difficulty", "split", "traffic", "dawdle")
    chosen = {name: options.pop(name) for name in names if name in options}
    config = EnvConfig(scenario=scenario, level=options, **chosen)
    record = config.to_options(0, num_egos)
    level_seeds = np.array(list(level_seeds), np.int64)
    pool = pool_of(scenario, config.level_config, record) if scenario_of(scenario).maps_by == batch.BY_POOL else None
    map_type, world_type = (ROOMY_MAP, ROOMY_WORLD) if pool is None else config.dtypes(num_egos)
    maps = np.zeros(len(level_seeds), map_type)
    worlds = np.zeros(len(level_seeds), world_type)
    worlds["key_0"], worlds["key_1"] = np.random.default_rng(1).integers(0, 2**32, (len(level_seeds), 2)).T
    worlds["episode"] = -1
    worlds["scenario"] = entry_of(scenario).number
    frame = generator_frame(scenario, maps, worlds, record)
    frame.set(level_seeds=level_seeds)
    if scenario_of(scenario).maps_by == batch.BY_OPTIONS:
        laying.lay_map(frame.argument)
        maps[1:] = maps[0]
    if pool is not None:
        pool.lay(pool.numbers(level_seeds))
        maps[:] = pool.maps[pool.numbers(level_seeds)]
        frame.set(maps=pool.maps, num_maps=pool.num_maps)
    failed = start_worlds(frame.argument, len(worlds))
    if failed >= 0:
        raise RuntimeError(f"no level of {scenario} with seed {level_seeds[failed]} and {config.level_config}")
    return maps, worlds, record


def without_ego(maps: np.ndarray, worlds: np.ndarray) -> np.ndarray:
    """The worlds with traffic alone: the ego is taken away in every other one and joins the traffic in the rest."""
    worlds = worlds.copy()
    worlds["num_egos"] = 0
    worlds["vehicles"]["top_speed"][:, 0] = maps["speed_limit"]
    worlds["vehicles"]["destination"][:, 0] = np.where(maps["has_ways"], worlds["egos"]["goal"][:, 0], -1)
    for i in range(0, len(worlds), 2):
        leave(worlds[i], 0)
        worlds[i].vehicles[0].status = ABSENT
    return worlds
