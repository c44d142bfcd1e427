"""AgileRL gets every transition of the environments, and into our replay buffer nothing else."""

from __future__ import annotations

import random
import warnings

import gymnasium as gym
import numpy as np
import pytest
from docs_blocks import run_library_page
from loading import load_script

pytest.importorskip("agilerl")

import torch

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "MakeEvolvable", DeprecationWarning)  # by AgileRL, of what it imports itself
    from agilerl.algorithms import DQN
from agilerl.components.data import Transition
from agilerl.components.replay_buffer import ReplayBuffer
from agilerl.training.train_off_policy import train_off_policy

import drivesim  # noqa: F401 (registers the environments)
from drivesim.integrations.agilerl import RealReplayBuffer, RealRows

AUTODRIVE, LANE_KEEP = "drivesim/Autodrive-v1", "drivesim/LaneKeep-v1"
NUM_ENVS, NUM_STEPS, NUM_AGENTS, LIMIT, SEED = 5, 40, 4, 6, 3
OPTIONS = {"observation": "features", "max_episode_steps": LIMIT}


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 (AgileRL draws from it)
    torch.manual_seed(SEED)


@pytest.fixture
def envs() -> RealRows:
    envs = RealRows(gym.make_vec(AUTODRIVE, NUM_ENVS, **OPTIONS))
    envs.reset(seed=SEED)
    return envs


def fill(envs: RealRows, memory: ReplayBuffer) -> dict[str, np.ndarray]:
    """What AgileRL's own loop stores while agents that never learn drive one after the other."""
    spaces = envs.single_observation_space, envs.single_action_space
    agents = DQN.population(NUM_AGENTS, *spaces, batch_size=100_000)
    num_steps = NUM_ENVS * NUM_STEPS
    train_off_policy(envs, AUTODRIVE, "DQN", agents, memory, max_steps=num_steps, evo_steps=num_steps, verbose=False)
    return {name: rows.numpy()[: len(memory)] for name, rows in memory.storage.items()}


def reference() -> gym.vector.VectorEnv:
    makers = [lambda: gym.make(AUTODRIVE, **OPTIONS)] * NUM_ENVS
    reference = gym.vector.SyncVectorEnv(makers, autoreset_mode="NextStep")
    reference.reset(seed=SEED)
    return reference


def test_what_is_stored_is_every_transition_of_gymnasiums_own_vector_environment_and_nothing_else(envs) -> None:
    stored = fill(envs, RealReplayBuffer(envs, 1000))
    same = reference()
    row, num_ends = 0, np.zeros(2, int)
    num_waiting = []  # envs that were to begin anew by themselves when the next agent's reset came
    for _ in range(NUM_AGENTS):
        obs = same.reset()[0]
        waits = np.zeros(NUM_ENVS, bool)
        for _ in range(NUM_STEPS):
            rows = slice(row, row + np.count_nonzero(~waits))
            actions = np.zeros(NUM_ENVS, int)
            actions[~waits] = stored["action"][rows, 0]
            next_obs, rewards, terminated, truncated, _ = same.step(actions)
            np.testing.assert_array_equal(stored["obs"][rows], obs[~waits])
            np.testing.assert_array_equal(stored["next_obs"][rows], next_obs[~waits])
            np.testing.assert_array_equal(stored["reward"][rows, 0], rewards[~waits].astype(np.float32))
            np.testing.assert_array_equal(stored["done"][rows, 0], terminated[~waits])
            obs, waits, row = next_obs, terminated | truncated, rows.stop
            num_ends += [terminated.sum(), truncated.sum()]
        num_waiting.append(np.count_nonzero(waits))
    assert max(num_waiting[:-1]) > 0
    assert row == len(stored["obs"])
    assert num_ends.min() >= 3


def test_a_plain_buffer_holds_a_row_per_episode_that_is_no_transition(envs) -> None:
    stored = fill(envs, ReplayBuffer(1000))
    same = reference()
    obs = {"obs": [], "next_obs": []}
    is_real = []
    for agent in range(NUM_AGENTS):
        obs_before = same.reset()[0]
        waits = np.zeros(NUM_ENVS, bool)
        for step in range(NUM_STEPS):
            first = (agent * NUM_STEPS + step) * NUM_ENVS
            next_obs, _, terminated, truncated, _ = same.step(stored["action"][first : first + NUM_ENVS, 0].astype(int))
            obs["obs"].append(obs_before)
            obs["next_obs"].append(next_obs)
            is_real.append(~waits)
            obs_before, waits = next_obs, terminated | truncated
    for name, arrays in obs.items():
        np.testing.assert_array_equal(stored[name], np.concatenate(arrays))
    begins = ~np.concatenate(is_real)
    assert begins.sum() > NUM_STEPS * NUM_ENVS * NUM_AGENTS / (LIMIT + 2)
    assert (stored["reward"][begins] == 0).all()
    assert (stored["done"][begins] == 0).all()  # so that a new episode would count as the future of the old one


def test_a_step_that_only_begins_episodes_stores_nothing() -> None:
    envs = RealRows(gym.make_vec(LANE_KEEP, 1, observation="features", max_episode_steps=1))
    memory = RealReplayBuffer(envs, 10)
    obs = envs.reset(seed=0)[0]
    sizes = []
    for _ in range(4):
        next_obs, rewards, terminated, _, _ = envs.step(np.array([1]))
        row = Transition(obs=obs, action=np.array([1]), reward=rewards, next_obs=next_obs, done=terminated)
        data = row.to_tensordict()
        data.batch_size = [1]
        memory.add(data)
        obs = next_obs
        sizes.append(len(memory))
    assert sizes == [1, 1, 2, 2]


def test_an_env_that_was_reset_by_hand_does_not_wait() -> None:
    envs = RealRows(gym.make_vec(LANE_KEEP, 2, max_episode_steps=1))
    assert not envs.is_real.any()
    envs.reset(seed=0)
    envs.step(np.array([1, 1]))
    envs.reset(options={"reset_mask": np.array([True, False])})
    envs.step(np.array([1, 1]))
    assert envs.is_real.tolist() == [True, False]


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_another_autoreset_mode_is_refused(mode) -> None:
    with pytest.raises(ValueError, match=r"autoreset_mode.*NEXT_STEP.*got"):
        RealRows(gym.make_vec(LANE_KEEP, 2, autoreset_mode=mode))


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_example_learns_to_drive(capsys) -> None:
    example = load_script("examples/agilerl_dqn")
    before, after = example.train(max_steps=10_000)
    assert before < -0.5
    assert after > before + 0.8
    assert "held-out levels" in capsys.readouterr().out


def test_the_code_of_the_page_runs_and_shows_what_it_says(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    run_library_page("agilerl")
