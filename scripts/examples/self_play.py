"""Self-play: many egos in every world, all driven by one network.

    python scripts/examples/self_play.py
    python scripts/examples/self_play.py --roads drivesim/City-v1 --num-agents 32 --total-steps 4000000

Trains a network for each road, every ego a row of PPO's batch, and measures it on levels it has never seen.
"""

import time
from dataclasses import replace
from typing import Any, cast

import numpy as np
import tyro
from tqdm import trange  # type: ignore[import-untyped]

import drivesim
from agents.policy import NetworkPolicy
from agents.ppo import PPO, PPOConfig
from agents.presets import preset_for
from agents.stepping import Stepper

ROADS = {
    "drivesim/Highway-v1": (8, 14_000_000),
    "drivesim/Intersection-v1": (8, 8_000_000),
    "drivesim/Merge-v1": (8, 8_000_000),
    "drivesim/FourWayStop-v1": (8, 8_000_000),
    "drivesim/Roundabout-v1": (8, 8_000_000),
    "drivesim/City-v1": (16, 12_000_000),
}
"""Egos in each world, and steps of all of them together."""
ENDS = ("success", "collision", "off_road", "timeout")
NUM_WORLDS = 256  # held-out levels
FIRST_SEED = 1_000_000


def make(road: str, num_worlds: int, num_agents: int, **options: Any) -> Stepper:
    """Worlds of a road with so many egos in each."""
    return Stepper(drivesim.parallel_vec_env(road, num_worlds, num_agents, observation="features", **options))


def learnt(road: str, num_worlds: int, num_agents: int, total_steps: int, seed: int) -> NetworkPolicy:
    """Trains one network that drives all egos."""
    preset = preset_for(road, "ppo")
    stepper = make(road, num_worlds, num_agents, reward_weights=preset.train.reward_weights)
    envs = stepper.envs
    config = replace(cast(PPOConfig, preset.agent), num_envs=envs.num_envs)
    agent = PPO(envs.single_observation_space, envs.single_action_space, config, seed=seed, total_steps=total_steps)
    obs = stepper.begin(list(range(seed * num_worlds, (seed + 1) * num_worlds)))
    agent.begin(obs)
    for _ in trange(total_steps // envs.num_envs, desc=road, leave=False):
        step = stepper.step(agent.act(obs))
        agent.record(step)
        agent.update()
        obs = step.next_obs
    return agent.policy()


def shares(policy: NetworkPolicy, road: str, num_agents: int) -> dict[str, float]:
    """How the drives of all egos end: each world's first episode on held-out levels."""
    stepper = make(road, NUM_WORLDS, num_agents, split="test")
    obs = stepper.begin(list(range(FIRST_SEED, FIRST_SEED + NUM_WORLDS)))
    counts = dict.fromkeys(ENDS, 0)
    is_open = np.ones(stepper.num_envs, np.bool_)
    while is_open.any():
        step = stepper.step(policy(obs))
        for end in ENDS if step.ended.any() else ():
            counts[end] += int(stepper.episodes[end][is_open[step.ended]].sum())
        is_open &= ~step.ended
        obs = step.next_obs
    return {end: count / stepper.num_envs for end, count in counts.items()}


def main(
    roads: tuple[str, ...] = tuple(ROADS),
    num_agents: int | None = None,  # egos in each world; as in the table above, if None
    total_steps: int | None = None,  # of all egos together; as in the table above, if None
    num_egos: int = 1024,  # in all worlds together, at least as many as in each
    seed: int = 0,
) -> dict[str, float]:
    """Trains and measures on each road; returns the shares of egos that arrive."""
    arrived = {}
    print("| road | egos | steps | seconds | arrive | collide | leave the road | too late |\n" + "|---" * 8 + "|")
    for road in roads:
        egos, steps = num_agents or ROADS[road][0], total_steps or ROADS[road][1]
        start = time.perf_counter()
        policy = learnt(road, num_egos // egos, egos, steps, seed)
        seconds = time.perf_counter() - start
        ends = shares(policy, road, egos)
        told = " | ".join(f"{ends[end]:.1%}" for end in ENDS)
        print(f"| `{road}` | {egos} | {steps:,} | {seconds:.0f} | {told} |", flush=True)
        arrived[road] = ends["success"]
    return arrived


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
