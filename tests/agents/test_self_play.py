"""Egos that share a world, as the agents see them: rows of egos that wait are never learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loading import load_script

import drivesim
from agents.networks import NetworkConfig
from agents.ppo import PPO, PPOConfig
from agents.run_config import TrainConfig
from agents.stepping import Stepper
from agents.training import train
from agents.warm_start import driver_of


def test_rows_of_egos_that_wait_are_not_real_and_drives_begin_together() -> None:
    stepper = Stepper(drivesim.parallel_vec_env("drivesim/Highway-v1", 8, 4, observation="features"))
    stepper.begin(list(range(8)))
    rng = np.random.default_rng(0)
    waits = np.zeros(32, np.bool_)
    seen = 0
    for _ in range(200):
        step = stepper.step(rng.integers(0, 5, 32))
        assert (step.is_real == ~waits).all()
        assert not (step.ended & ~step.is_real).any()
        assert (step.starts.reshape(8, 4).all(axis=1) == step.starts.reshape(8, 4).any(axis=1)).all()
        waits = (waits | step.ended) & ~step.starts
        seen += int(waits.sum())
    assert seen > 100


def test_what_an_ego_that_waits_sees_and_earns_does_not_change_the_weights() -> None:
    """The same rollout twice, the second time with nonsense in the rows that are not real."""
    weights = []
    for nonsense in (False, True):
        stepper = Stepper(drivesim.parallel_vec_env("drivesim/Highway-v1", 4, 4, observation="features"))
        space = stepper.envs.single_observation_space
        config = PPOConfig(num_envs=16, num_steps=64, minibatches=2)
        agent = PPO(space, stepper.envs.single_action_space, config, seed=0, total_steps=10_000)
        obs = stepper.begin(list(range(4)))
        agent.begin(obs)
        ignored = 0
        for n in range(64):
            step = stepper.step(agent.act(obs))
            obs = step.next_obs
            if nonsense:
                step = step._replace(rewards=np.where(step.is_real, step.rewards, 1e6))
            agent.record(step)
            ignored += int((~step.is_real).sum())
            if n == 63:
                agent.update()
        assert ignored > 20
        weights.append([parameter.detach().numpy().copy() for parameter in agent.parameters])
    assert all((one == other).all() for one, other in zip(*weights, strict=True))


def test_the_example_begins_with_the_driver_of_a_run(tmp_path: Path) -> None:
    road = "drivesim/Highway-v1"
    run = TrainConfig(env=road, observation="features", agent="ppo", total_steps=64, eval_episodes=1, num_threads=1)
    small = PPOConfig(num_envs=8, num_steps=8, minibatches=1, network=NetworkConfig(hidden_sizes=(8,)))
    train(replace(run, tensorboard=False, progress=False), small, tmp_path)
    learnt = driver_of(tmp_path).tensors["network"]
    policy = load_script("examples/self_play").learnt(road, tmp_path, 16, 8, total_steps=1, seed=0)
    begun = policy.network.state_dict()
    assert begun.keys() == learnt.keys()
    assert all((begun[key] == learnt[key]).all() for key in learnt)


@pytest.mark.slow
def test_the_example_teaches_one_network_to_drive_all_cars() -> None:
    example = load_script("examples/self_play")
    road = "drivesim/Highway-v1"
    assert example.main((road,), num_egos=256, total_steps=1)[road] < 0.1
    assert example.main((road,), num_egos=256, total_steps=1_000_000)[road] > 0.6  # 0.82 with either of two seeds
