"""SuperSuit's wrappers around several cars in one world."""

import warnings

import numpy as np
import pytest
from docs_blocks import run_library_page

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports in old ways
    supersuit = pytest.importorskip("supersuit")

import drivesim

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_page_works_as_written():
    run_library_page("supersuit")


def test_black_death_ends_an_episode_when_the_last_car_has_left():
    env = drivesim.parallel_env("drivesim/Highway-v1", 3)
    wrapped = supersuit.black_death_v3(drivesim.parallel_env("drivesim/Highway-v1", 3))
    env.reset(seed=1), wrapped.reset(seed=1)
    for _ in range(5):
        while env.agents:
            actions = dict.fromkeys(env.possible_agents, 3)
            rewards = env.step(actions)[1]
            assert wrapped.agents == env.possible_agents
            observations, paid, terminations, _, _ = wrapped.step(actions)
            assert paid == {agent: rewards.get(agent, 0.0) for agent in env.possible_agents}
            assert all((observations[agent] == 0).all() for agent in set(env.possible_agents) - set(rewards))
            assert not any(terminations.values())
        *_, terminations, truncations, _ = wrapped.step(dict.fromkeys(wrapped.agents, 3))
        assert all(terminations.values())
        assert all(truncations.values())
        assert wrapped.agents == []
        env.reset(), wrapped.reset()


def test_frames_are_skipped_by_a_number_that_the_seed_draws():
    def rewards(seed):
        env = supersuit.frame_skip_v0(drivesim.parallel_env("drivesim/Highway-v1", 3), (1, 4))
        env.reset(seed=seed)
        paid = []
        while env.agents:
            paid.append(env.step(dict.fromkeys(env.agents, 1))[1])
        return paid

    assert rewards(3) == rewards(3)
    assert np.ptp([len(rewards(seed)) for seed in range(8)]) > 0
