"""`action_masks` tells the truth: what is masked out does exactly what IDLE does, what is open does not."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from env_tools import AUTODRIVE, HIGHWAY, IDLE, IDS, at, draw_actions, world_bytes

from drivesim.core.world import RUNNING


def successors(envs, state: np.ndarray, num_actions: int) -> np.ndarray:
    """Bytes (num_actions, N, size) of the worlds after each action."""
    after = []
    for action in range(num_actions):
        envs.set_state(state)
        envs.step(np.full(len(state), action))
        after.append(world_bytes(envs.get_state()))
    envs.set_state(state)
    return np.stack(after)


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if env_id != AUTODRIVE])
def test_an_action_is_masked_out_exactly_if_it_leads_where_idle_leads(env_id) -> None:
    envs = gym.make_vec(env_id, num_envs=96, num_threads=1, **at("easy", env_id)).unwrapped
    rng = np.random.default_rng(2)
    envs.reset(seed=2)
    num_masked = 0
    for step in range(60):
        if step % 3 == 0:
            state = envs.get_state()
            masks = envs.action_masks().T  # (num_actions, N)
            runs = state["world"]["stage"] == RUNNING
            after = successors(envs, state, 5)
            is_like_idle = (after == after[IDLE]).all(axis=2)
            assert masks[IDLE].all()
            masks[IDLE] = False
            assert (masks == ~is_like_idle)[:, runs].all()
            num_masked += int((~masks[:, runs]).sum())
        envs.step(draw_actions(rng, 5, 96))
    assert num_masked > 1000


@pytest.mark.parametrize("env_id", IDS)
def test_whatever_can_be_done_can_be_done_by_exactly_one_open_action(env_id) -> None:
    envs = gym.make_vec(env_id, num_envs=96, num_threads=1, **at("easy", env_id)).unwrapped
    num_actions = int(envs.single_action_space.n)
    rng = np.random.default_rng(3)
    envs.reset(seed=3)
    for step in range(40):
        if step % 4 == 0:
            state = envs.get_state()
            masks = envs.action_masks().T
            after = successors(envs, state, num_actions)
            for i in np.flatnonzero(state["world"]["stage"] == RUNNING):
                outcomes = [bytes(world) for world in after[:, i]]
                open_outcomes = [outcomes[action] for action in np.flatnonzero(masks[:, i])]
                assert sorted(open_outcomes) == sorted(set(outcomes))
        envs.step(draw_actions(rng, num_actions, 96))


@pytest.mark.parametrize("env_id", IDS)
def test_the_single_environments_masks_are_those_of_its_env(env_id) -> None:
    envs = gym.make_vec(env_id, num_envs=1).unwrapped
    env = gym.make(env_id)
    envs.reset(seed=3)
    _, info = env.reset(seed=3)
    rng = np.random.default_rng(3)
    for _ in range(40):
        masks = envs.action_masks()
        assert masks.shape == (1, env.action_space.n)
        assert masks[0].tolist() == env.unwrapped.action_masks().tolist() == info["action_mask"].tolist()
        action = int(draw_actions(rng, env.action_space.n, None))
        _, _, terminated, truncated, info = env.step(action)
        envs.step(np.array([action]))
        if terminated or truncated:
            _, info = env.reset()
            envs.step(np.array([0]))


def test_masks_are_a_fresh_array_that_callers_may_write_to() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=2, copy=False).unwrapped
    envs.reset(seed=0)
    masks = envs.action_masks()
    masks[:] = False
    assert envs.action_masks()[:, 1].all()
