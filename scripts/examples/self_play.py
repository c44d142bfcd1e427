"""Self-play: eight cars on every road, all driven by one network, which learns from all of them.

python scripts/examples/self_play.py --env drivesim/Highway-v0 --total-steps 6000000
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import tyro
from tqdm import trange  # type: ignore[import-untyped]

import drivesim
from agents.policy import NetworkPolicy
from agents.ppo import PPO, PPOConfig
from agents.presets import preset_for
from agents.stepping import Lanes


@dataclass(frozen=True)
class Arguments:
    """What the command line holds."""

    env: str = "drivesim/Highway-v0"
    num_agents: int = 8
    num_worlds: int = 128
    total_steps: int = 6_000_000
    """Steps of all cars together."""
    seed: int = 0


def share_that_arrives(policy: NetworkPolicy, arguments: Arguments) -> float:
    """The share of cars that arrive, each world's first episode on 256 held-out levels."""
    envs = drivesim.parallel_vec_env(arguments.env, 256, arguments.num_agents, observation="features", split="test")
    lanes, arrived, is_open = Lanes(envs), 0, np.ones(envs.num_envs, np.bool_)
    obs = lanes.begin(list(range(1_000_000, 1_000_256)))
    while is_open.any():
        step = lanes.step(policy(obs))
        if step.ended.any():
            arrived += int(lanes.episodes["success"][is_open[step.ended]].sum())
        is_open &= ~step.ended
        obs = step.next_obs
    return arrived / envs.num_envs


def main(arguments: Arguments) -> float:
    """Trains, measures, and returns the share of cars that arrive."""
    preset = preset_for(arguments.env, "ppo")
    weights = preset.train.reward_weights
    worlds, cars = arguments.num_worlds, arguments.num_agents
    envs = drivesim.parallel_vec_env(arguments.env, worlds, cars, observation="features", reward_weights=weights)
    config = replace(cast(PPOConfig, preset.agent), num_envs=envs.num_envs)
    spaces = envs.single_observation_space, envs.single_action_space
    agent = PPO(*spaces, config, seed=arguments.seed, total_steps=arguments.total_steps)
    lanes = Lanes(envs)
    obs = lanes.begin(list(range(worlds)))
    agent.begin(obs)
    for _ in trange(arguments.total_steps // envs.num_envs):
        step = lanes.step(agent.act(obs))
        agent.observe(step)
        agent.update()
        obs = step.next_obs
    share = share_that_arrives(agent.policy(), arguments)
    print(f"{share:.1%} of the cars arrive on levels they have never seen")
    return share


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
