"""DQN, driven by the real loop, reaches the known values of the probe environments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from probes import ACTION_VALUES

from agents.checkpoint import load_latest_checkpoint
from agents.dqn import DQNConfig
from agents.networks import NetworkConfig, make_q_network
from agents.training import TrainConfig, load_policy, train

GAMMA = 0.8
CONFIG = DQNConfig(
    num_envs=16,
    gamma=GAMMA,
    n_step=1,
    batch_size=128,
    buffer_size=4096,
    learning_rate=1e-2,
    learning_starts=256,
    train_frequency=16,
    tau=0.05,
    epsilon_end=0.5,
    network=NetworkConfig(hidden_sizes=(32,)),
)


def train_config(env_id: str, num_vector_steps: int = 900) -> TrainConfig:
    return TrainConfig(
        env=env_id,
        total_steps=16 * num_vector_steps,
        eval_interval=10**9,
        log_interval=1000,
        eval_episodes=16,
        num_threads=1,
        tensorboard=False,
        progress=False,
    )


def learnt_values(folder: Path, cues: list[float]) -> np.ndarray:
    space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    network = make_q_network(space, 2, CONFIG.network)
    checkpoint = load_latest_checkpoint(folder / "checkpoints", "last")
    network.load_state_dict(checkpoint.tensors["q_network"])
    with torch.no_grad():
        return network(torch.tensor(cues)[:, None]).numpy()


@pytest.mark.parametrize(
    ("env_id", "n_step"),
    [(env_id, 1) for env_id in ACTION_VALUES] + [("probes/TwoStep-v0", 3), ("probes/Truncation-v0", 3)],
)
def test_dqn_learns_the_closed_form_values(env_id: str, n_step: int, tmp_path: Path) -> None:
    """Constant reward, backpropagation, discount, choice of action, bootstrap at truncation."""
    train(train_config(env_id), replace(CONFIG, n_step=n_step), tmp_path)
    known = ACTION_VALUES[env_id]
    expected = np.array([known[cue](GAMMA) for cue in known])
    actual = learnt_values(tmp_path, list(known))
    if env_id == "probes/Truncation-v0":
        # 4 and 5. Cutting the bootstrap at truncations would give 1.5 and 2.5, bootstrapping from
        # the next episode's first observation 3 and 4 (n = 1).
        np.testing.assert_allclose(actual, expected, atol=0.02)
    else:
        np.testing.assert_allclose(actual, expected, atol=0.01)


def test_the_saved_driver_acts_on_what_was_learnt(tmp_path: Path) -> None:
    train(train_config("probes/Action-v0", 200), CONFIG, tmp_path)
    policy, config = load_policy(tmp_path)
    assert config.env == "probes/Action-v0"
    assert policy(np.zeros((3, 1), np.float32)).tolist() == [1, 1, 1]
