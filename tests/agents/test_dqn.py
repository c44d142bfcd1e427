"""DQN: targets at the ends of episodes, exploration, schedules."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from agents.dqn import DQN, DQNConfig
from agents.networks import NetworkConfig

SPACE = gym.spaces.Box(0.0, 100.0, (1,), np.float32)
CONFIG = DQNConfig(
    num_envs=2,
    n_step=1,
    gamma=0.5,
    batch_size=64,
    buffer_size=20,
    learning_starts=0,
    train_frequency=2,
    network=NetworkConfig(hidden_sizes=(8,)),
)


def make_agent(config: DQNConfig, total_steps: int = 1000) -> DQN:
    return DQN(SPACE, gym.spaces.Discrete(2), config, seed=0, total_steps=total_steps)


def online(obs: Tensor) -> Tensor:
    """Prefers action 1 below 50 and action 0 above; the numbers themselves must not be used."""
    return torch.where(obs < 50.0, torch.tensor([0.0, 1e3]), torch.tensor([1e3, 0.0]))


def target(obs: Tensor) -> Tensor:
    """Action 0 is worth the observation, action 1 ten less."""
    return torch.cat([obs, obs - 10.0], dim=1)


def agent_with_one_lane_of_every_kind(config: DQNConfig) -> DQN:
    """Lane 0 sees 1, 2 (terminated in 92), 3 (both, in 93); lane 1 sees 11, 12 (truncated in 94).

    The observation after an end is the next episode's and must never be a successor.
    """
    agent = make_agent(config)
    agent.q_network = online  # type: ignore[assignment]
    agent.target_network = target  # type: ignore[assignment]
    steps = [
        # rewards, terminated, truncated, next_obs, final_obs
        ((1.0, 10.0), (0, 0), (0, 0), (2.0, 12.0), None),
        ((2.0, 20.0), (1, 0), (0, 1), (3.0, 13.0), (92.0, 94.0)),
        ((3.0, 30.0), (1, 0), (1, 0), (4.0, 14.0), (93.0, np.nan)),
        ((4.0, 40.0), (0, 0), (0, 0), (5.0, 15.0), None),
    ]
    agent.begin(np.array([[1.0], [11.0]], np.float32))
    for rewards, terminated, truncated, next_obs, final_obs in steps:
        agent.observe(
            np.zeros(2, np.int64),
            np.array(rewards),
            np.array(terminated, np.bool_),
            np.array(truncated, np.bool_),
            np.array(next_obs, np.float32)[:, None],
            None if final_obs is None else np.array(final_obs, np.float32)[:, None],
        )
    return agent


def targets_by_obs(agent: DQN) -> dict[float, float]:
    batch = agent.replay.sample(200, agent.config.gamma, np.random.default_rng(0))
    return dict(zip(batch.obs[:, 0].tolist(), agent.td_target(batch).tolist(), strict=True))


def test_one_step_targets_at_every_kind_of_end() -> None:
    # Double: below 50 the online network picks action 1, worth obs - 10; above it action 0, obs.
    #  1 -> 2:  1 + 0.5 * (2 - 10) = -3          11 -> 12: 10 + 0.5 * (12 - 10) = 11
    #  2 -> terminated: 2                        12 -> truncated in 94: 20 + 0.5 * 94 = 67
    #  3 -> terminated and truncated: 3          13 -> 14: 30 + 0.5 * (14 - 10) = 32
    #  4 -> 5:  4 + 0.5 * (5 - 10) = 1.5         14 -> 15: 40 + 0.5 * (15 - 10) = 42.5
    agent = agent_with_one_lane_of_every_kind(CONFIG)
    assert targets_by_obs(agent) == {
        1: -3.0, 2: 2.0, 3: 3.0, 4: 1.5, 11: 11.0, 12: 67.0, 13: 32.0, 14: 42.5,
    }  # fmt: skip


def test_two_step_targets_at_every_kind_of_end() -> None:
    # gamma**2 = 0.25.
    #  1, 2 terminated: 1 + 0.5 * 2 = 2          11, 12 truncated: 10 + 10 + 0.25 * 94 = 43.5
    #  2 terminated: 2                           12 truncated: 20 + 0.5 * 94 = 67
    #  3 terminated and truncated: 3             13, 14: 30 + 20 + 0.25 * (15 - 10) = 51.25
    agent = agent_with_one_lane_of_every_kind(replace(CONFIG, n_step=2))
    assert targets_by_obs(agent) == {1: 2.0, 2: 2.0, 3: 3.0, 11: 43.5, 12: 67.0, 13: 51.25}


def test_without_double_the_target_network_chooses() -> None:
    # Action 0 is always the dearer one: 1 -> 2 gives 1 + 0.5 * 2.
    agent = agent_with_one_lane_of_every_kind(replace(CONFIG, double=False))
    assert targets_by_obs(agent)[1] == 2.0


def test_every_lane_tosses_its_own_coin() -> None:
    config = replace(CONFIG, num_envs=1000, buffer_size=1000, epsilon_start=0.5, epsilon_end=0.5)
    agent = make_agent(config)
    agent.q_network = online  # type: ignore[assignment]
    actions = agent.act(np.zeros((1000, 1), np.float32))  # greedy: action 1
    assert 0.2 < (actions == 0).mean() < 0.3  # half explore, half of those draw action 0


def test_the_ladder_spreads_epsilon_over_the_lanes() -> None:
    config = replace(
        CONFIG, num_envs=2000, buffer_size=2000, epsilon_end=0.5, exploration_fraction=0.0,
        epsilon_ladder=7.0,
    )  # fmt: skip
    agent = make_agent(config)
    agent.q_network = online  # type: ignore[assignment]
    draws = [agent.act(np.zeros((2000, 1), np.float32)) == 0 for _ in range(20)]
    shares = np.mean(draws, axis=0)
    assert shares[:100].mean() == pytest.approx(0.25, abs=0.05)
    assert shares[-100:].mean() == pytest.approx(0.5**8 / 2, abs=0.01)


def test_epsilon_falls_linearly_and_then_stays() -> None:
    agent = make_agent(replace(CONFIG, epsilon_end=0.1, exploration_fraction=0.5), 1000)
    epsilons = []
    for agent.global_step in (0, 250, 500, 900):
        epsilons.append(agent.epsilon())
    assert epsilons == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_the_number_of_updates_follows_the_steps() -> None:
    agent = make_agent(replace(CONFIG, learning_starts=6, train_frequency=4))
    obs = np.zeros((2, 1), np.float32)
    nothing = np.zeros(2, np.bool_)
    agent.begin(obs)
    counts = []
    for _ in range(9):  # 2, 4, ..., 18 steps
        agent.observe(agent.act(obs), np.zeros(2), nothing, nothing, obs, None)
        agent.update()
        counts.append(agent.num_updates)
    assert counts == [0, 0, 0, 0, 1, 1, 2, 2, 3]


def test_a_wrong_hyper_parameter_is_named() -> None:
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\], got 1.5"):
        DQNConfig(gamma=1.5)
    with pytest.raises(ValueError, match="buffer_size must be at least"):
        DQNConfig(buffer_size=100)
    with pytest.raises(ValueError, match="action_space must be a Discrete from 0"):
        DQN(SPACE, gym.spaces.Discrete(2, start=1), CONFIG, seed=0, total_steps=1)
