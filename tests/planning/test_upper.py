"""Nobody drives better than the bound says: simple drivers on many held-out levels."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from agents.environments import EnvChoice
from agents.evaluation import first_drives
from agents.random_agent import make_random
from agents.scripted import BASELINES, SCENARIOS
from drivesim.planning import solve
from drivesim.registry import entry_of

SEEDS = range(1_000_000, 1_000_050)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "Custom"])
def test_no_driver_scores_above_the_bound(scenario) -> None:
    env_id = entry_of(scenario).id
    env = gym.make(env_id, split="test")
    bounds = []
    for seed in SEEDS:
        env.reset(seed=seed)
        bounds.append(solve(env, budget=0).upper)
    drivers = [make(env_id) for make in BASELINES.values()]
    for driver in (*drivers, make_random(env.action_space.n, seed=0)):
        choice = EnvChoice(env=env_id, observation=getattr(driver, "observation", None))
        returns = first_drives(driver, choice, SEEDS, "test").results["episode_return"]
        assert (returns <= np.array(bounds) + 1e-9).all(), driver
