"""Branches are the environment's worlds, but for their draws, which say nothing about the draws to come."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from drivesim.planning import Branches, originals
from drivesim.registry import IDS

COPIES = np.array([2, 0, 0])
FUTURES = 2


@pytest.mark.parametrize("env_id", IDS)
def test_a_branch_goes_on_as_an_env_with_its_key_does(env_id) -> None:
    envs = gym.make_vec(env_id, num_envs=3, autoreset_mode="SameStep", max_episode_steps=20)
    envs.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(6):
        envs.step(rng.integers(envs.single_action_space.n, size=3))
    state, is_running, masks = originals(envs)
    assert is_running.all()
    assert np.array_equal(masks, envs.unwrapped.action_masks())
    forks = [envs.unwrapped.fork(n, FUTURES, rekey=True) for n in range(3)]
    others = gym.make_vec(env_id, num_envs=6, autoreset_mode="Disabled", max_episode_steps=20)
    others.reset(seed=0)
    others.unwrapped.set_state(np.concatenate([forks[n] for n in COPIES]))
    branches = Branches(envs, 8)
    branches.begin(state, COPIES, FUTURES)
    is_open = np.ones(6, np.bool_)
    while is_open.any():
        assert branches.is_open.tolist() == [*is_open, False, False]
        assert np.array_equal(branches.action_masks()[:6][is_open], others.unwrapped.action_masks()[is_open])
        actions = rng.integers(envs.single_action_space.n, size=8)
        before = is_open.copy()
        obs, rewards = branches.step(actions)
        real_obs, real_rewards, terminations, truncations, _ = others.step(actions[:6])
        assert np.array_equal(obs[:6][before], real_obs[before])
        assert np.array_equal(rewards[:6][before], real_rewards[before])
        ended = terminations | truncations
        is_open &= ~ended
        if ended.any():  # an env that has ended must be begun anew before it is stepped
            others.reset(options={"reset_mask": ended})
    assert np.array_equal(envs.unwrapped.get_state(), state)
    branches.close()


def test_the_copies_of_a_world_have_other_keys_than_it_and_the_same_ones_for_every_action_tried() -> None:
    envs = gym.make_vec("drivesim/Merge-v1", num_envs=2)
    envs.reset(seed=5)
    state, _, _ = originals(envs)
    branches = Branches(envs, 32)
    branches.begin(state, np.array([0, 0, 1, 1]), 8)
    worlds = branches._engine.worlds
    keys = np.stack([worlds["key_0"], worlds["key_1"]], axis=1).reshape(4, 8, 2)
    assert np.array_equal(keys[0], keys[1])
    assert np.array_equal(keys[2], keys[3])
    own = np.stack([state["world"]["key_0"], state["world"]["key_1"]], axis=1)
    assert len(np.unique(np.concatenate([keys[0], keys[2], own]), axis=0)) == 18


def test_a_single_environment_has_branches_too_and_others_have_not() -> None:
    env = gym.make("drivesim/Highway-v1")
    env.reset(seed=1)
    state, is_running, masks = originals(env)
    assert (len(state), is_running.tolist(), masks.shape) == (1, [True], (1, 5))
    branches = Branches(env, 4)
    branches.begin(state, np.array([0]), 4)
    branches.step(np.full(4, 1))
    assert branches.is_open.all()
    with pytest.raises(TypeError, match="one of the suite's ids"):
        Branches(gym.make("CartPole-v1"), 4)
    with pytest.raises(ValueError, match="num_worlds"):
        Branches(env, 0)
