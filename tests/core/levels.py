"""Levels of the scenarios' own generators, without an environment around them."""

from functools import cache
from typing import Any

import numpy as np

from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.jit import specialize
from drivesim.core.occupancy import leave
from drivesim.core.world import ABSENT, MAX_CELLS, WORLD
from drivesim.registry import scenario_of


@cache
def start_episode_of(scenario: str) -> Any:
    """The loop that draws levels until one is certified, bound to a scenario's generator."""
    return specialize(batch.start_episode, f"start_episode_{scenario}", generate=scenario_of(scenario).generate)


def levels(scenario: str, level_seeds: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """(worlds at the start of an episode, one for each level seed, rules); options as of the environment."""
    names = ("observation", "difficulty", "split", "traffic", "dawdle")
    chosen = {name: options.pop(name) for name in names if name in options}
    config = EnvConfig(scenario=scenario, level=options, **chosen)
    rules = config.to_rules(0)
    level_seeds = list(level_seeds)
    worlds = np.zeros(len(level_seeds), WORLD)
    worlds["key"] = np.random.default_rng(1).integers(0, 2**32, (len(level_seeds), 2))
    worlds["episode"] = -1
    blank = np.zeros(1, WORLD)
    blank["scenario"] = scenario_of(scenario).number
    blank["num_controlled"] = 1
    queue = np.empty(2 * MAX_CELLS, np.int16)
    for i, level_seed in enumerate(level_seeds):
        if not start_episode_of(scenario)(worlds, i, blank, rules[0], level_seed, queue):
            raise RuntimeError(f"no level of {scenario} with seed {level_seed} and {config.level_config}")
    return worlds, rules


def without_ego(worlds: np.ndarray) -> np.ndarray:
    """The worlds with traffic alone: the ego is taken away in every other one and joins the traffic in the rest."""
    worlds = worlds.copy()
    worlds["num_controlled"] = 0
    worlds["vehicles"]["limit"][:, 0] = worlds["limit"]
    for i in range(0, len(worlds), 2):
        leave(worlds[i], 0)
        worlds[i].vehicles[0].status = ABSENT
    return worlds
