"""Self-play: eight egos on every road, all driven by one network: python scripts/examples/self_play.py --help."""

from dataclasses import replace
from typing import cast

import numpy as np
import tyro
from tqdm import trange  # type: ignore[import-untyped]

import drivesim
from agents.policy import NetworkPolicy
from agents.ppo import PPO, PPOConfig
from agents.presets import preset_for
from agents.stepping import Stepper


def share_that_arrives(policy: NetworkPolicy, env_id: str, num_agents: int) -> float:
    """The share of egos that arrive, each world's first episode on 256 held-out levels."""
    envs = drivesim.parallel_vec_env(env_id, 256, num_agents, observation="features", split="test")
    stepper, arrived, is_open = Stepper(envs), 0, np.ones(envs.num_envs, np.bool_)
    obs = stepper.begin(list(range(1_000_000, 1_000_256)))
    while is_open.any():
        step = stepper.step(policy(obs))
        if step.ended.any():
            arrived += int(stepper.episodes["success"][is_open[step.ended]].sum())
        is_open &= ~step.ended
        obs = step.next_obs
    return arrived / envs.num_envs


def main(
    env: str = "drivesim/Highway-v1",
    num_agents: int = 8,  # egos in each world
    num_worlds: int = 128,
    total_steps: int = 14_000_000,  # of all egos together
    seed: int = 0,
) -> float:
    """Trains, measures, and returns the share of egos that arrive."""
    envs = drivesim.parallel_vec_env(env, num_worlds, num_agents, observation="features")
    config = replace(cast(PPOConfig, preset_for(env, "ppo").agent), num_envs=envs.num_envs)
    agent = PPO(envs.single_observation_space, envs.single_action_space, config, seed=seed, total_steps=total_steps)
    stepper = Stepper(envs)
    obs = stepper.begin(list(range(num_worlds)))
    agent.begin(obs)
    for _ in trange(total_steps // envs.num_envs):
        step = stepper.step(agent.act(obs))
        agent.record(step)
        agent.update()
        obs = step.next_obs
    share = share_that_arrives(agent.policy(), env, num_agents)
    print(f"{share:.1%} of the egos arrive on levels they have never seen")
    return share


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
