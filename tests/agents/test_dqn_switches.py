"""Every switch of DQN, and all together: they learn known values, in any combination, and resume bit for bit."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from effort import effort
from gymnasium.vector import AutoresetMode
from noise import NoiseVectorEnv
from probes import ACTION_VALUES

from agents.checkpoint import load_checkpoint, save_checkpoint
from agents.dqn import DQN, DQNConfig
from agents.networks import NetworkConfig
from agents.stepping import Stepper
from agents.training import TrainConfig, load_policy, train

GAMMA = 0.8
CONFIG = DQNConfig(
    num_envs=16,
    gamma=GAMMA,
    n_step=1,
    batch_size=128,
    buffer_size=16_384,
    learning_rate=0.01,
    learning_starts=256,
    train_frequency=32,
    tau=0.2,
    epsilon_end=0.5,
    max_grad_norm=100.0,
    num_quantiles=8,
    v_min=-3.0,
    v_max=7.0,
    network=NetworkConfig(hidden_sizes=(16, 16), layer_norm=False, activation="tanh"),
)
ALL: dict[str, Any] = {"n_step": 3, "dueling": True, "noisy": True, "prioritised": True, "munchausen": True}
SWITCHES: dict[str, dict[str, Any]] = {
    "none": {"double": False},
    "double": {},
    "n-step": {"n_step": 3},
    "dueling": {"dueling": True},
    "noisy": {"noisy": True},
    "prioritised": {"prioritised": True},
    "quantile": {"returns": "quantile"},
    "categorical": {"returns": "categorical"},
    "munchausen": {"munchausen": True},
    "all, mean": ALL,
    "all, quantile": {**ALL, "returns": "quantile"},
    "all, categorical": {**ALL, "returns": "categorical"},
}


def soft_values(env_id: str) -> np.ndarray:
    """Munchausen's values where they differ from the plain ones, (cues, actions).

    Action: the worse action loses alpha * clip = 0.9 more, since the gap is beyond the clip; the better one nothing.
    Truncation: both actions are alike, so that h = tau * ln 2 is the scaled entropy, and what is paid for ever is
    1 - alpha * h + gamma * h: q = 5 + (gamma - alpha) h / (1 - gamma), and gamma * (q + h) - alpha * h at first.
    """
    if env_id == "probes/Action-v0":
        return np.array([[-1.9, 1.0]])
    scaled_entropy = CONFIG.munchausen_tau * math.log(2.0)
    later = (1.0 + (GAMMA - CONFIG.munchausen_alpha) * scaled_entropy) / (1.0 - GAMMA)
    first = GAMMA * (later + scaled_entropy) - CONFIG.munchausen_alpha * scaled_entropy
    return np.array([[first] * 2, [later] * 2])


# What a switch does to the choice among actions shows alone as well as with all others.
PROBES = [("probes/Truncation-v0", name) for name in SWITCHES]
PROBES += [("probes/Action-v0", name) for name in SWITCHES if effort("all" not in name, True)]


@pytest.mark.parametrize(("env_id", "name"), PROBES)
def test_every_switch_learns_the_closed_form_values(name: str, env_id: str, tmp_path: Path) -> None:
    """Choice of action; bootstrap at truncations and across steps."""
    config = replace(CONFIG, **SWITCHES[name])
    if config.noisy:  # else all but the first steps take what seems best, and other actions are hardly ever seen
        config = replace(config, learning_starts=5600, train_frequency=8 if config.munchausen else 16)
    run = TrainConfig(
        env=env_id, agent="dqn", total_steps=16 * 700, eval_interval=10**9, log_interval=10**4, eval_episodes=16,
        num_threads=1, tensorboard=False, progress=False,
    )  # fmt: skip
    train(run, config, tmp_path)
    policy, _ = load_policy(tmp_path, "last")
    cues = ACTION_VALUES[env_id]
    plain = np.array([cues[cue](GAMMA) for cue in cues])
    expected = soft_values(env_id) if config.munchausen else plain
    with torch.no_grad():
        q_values, _ = policy.network.scores(torch.tensor(list(cues))[:, None], None)
    np.testing.assert_allclose(q_values, expected, atol=0.08)


def make_noise_agent(switches: dict[str, Any]) -> tuple[DQN, NoiseVectorEnv, Any]:
    """An agent, envs of next-step autoreset and their first observations."""
    config = replace(
        CONFIG, num_envs=4, batch_size=8, buffer_size=40, learning_starts=8, train_frequency=4, **switches,
        network=NetworkConfig(hidden_sizes=(4, 4)),
    )  # fmt: skip
    envs = NoiseVectorEnv(4, AutoresetMode.NEXT_STEP)
    agent = DQN(envs.single_observation_space, envs.single_action_space, config, seed=0, total_steps=400)
    obs = Stepper(envs).begin([0, 1, 2, 3])
    agent.begin(obs)
    return agent, envs, obs


def drive(agent: DQN, envs: NoiseVectorEnv, obs: Any, num_steps: int) -> tuple[Any, list[list[int]]]:
    """Acts and learns; returns the last observations and all actions."""
    stepper, actions = Stepper(envs), []
    stepper._waits[:] = envs.waits
    for _ in range(num_steps):
        actions.append(agent.act(obs).tolist())
        step = stepper.step(np.array(actions[-1]))
        agent.record(step)
        agent.update()
        obs = step.next_obs
    return obs, actions


@pytest.mark.parametrize("returns", ["mean", "quantile", "categorical"])
def test_any_combination_makes_finite_updates(returns: str) -> None:
    names = ("double", "dueling", "noisy", "prioritised", "munchausen")
    for values in product([False, True], repeat=len(names)):
        switches = dict(zip(names, values, strict=True))
        agent, envs, obs = make_noise_agent({"returns": returns, "n_step": 2, **switches})
        before = copy.deepcopy(agent.network.state_dict())
        drive(agent, envs, obs, 6)
        after = agent.network.state_dict()
        assert agent.num_updates == 4, switches
        assert all(tensor.isfinite().all() for tensor in after.values()), switches
        assert all(not torch.equal(after[key], before[key]) for key in after), switches
        assert all(math.isfinite(value) for value in agent.metrics().values()), switches


@pytest.mark.parametrize("name", SWITCHES)
def test_an_agent_restored_from_a_file_continues_bit_for_bit(name: str, tmp_path: Path) -> None:
    agent, envs, obs = make_noise_agent(SWITCHES[name])
    obs, _ = drive(agent, envs, obs, 25)
    saved = load_checkpoint(save_checkpoint(agent.state(), tmp_path, "last", 0))
    twin = make_noise_agent(SWITCHES[name])[0]
    twin.load_state(saved)
    fork = copy.deepcopy(envs)
    assert drive(twin, fork, obs, 25)[1] == drive(agent, envs, obs, 25)[1]
    ours, theirs = agent.state(), twin.state()
    assert ours.values == theirs.values
    for group in ours.tensors:
        for key, tensor in ours.tensors[group].items():
            assert torch.equal(tensor, theirs.tensors[group][key]), (group, key)
    assert ours.arrays.keys() == theirs.arrays.keys()
    assert ("replay.priorities" in ours.arrays) == agent.config.prioritised
    for key, array in ours.arrays.items():
        np.testing.assert_array_equal(array, theirs.arrays[key], err_msg=key)
