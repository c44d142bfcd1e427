"""Self-play: many egos in every world, all driven by one network.

    .venv/bin/python scripts/examples/self_play.py --driver runs/latest
    .venv/bin/python scripts/examples/self_play.py --roads drivesim/Highway-v1 --num-agents 4 --total-steps 8000000

Trains a network for each road, every ego a row of PPO's batch, and measures it on levels it has never seen. With
``--driver`` it begins with that of a run of PPO, which has learnt to drive alone, else with one that knows nothing.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import tyro
from tqdm import trange  # type: ignore[import-untyped]

import drivesim
from agents.command_line import status_of
from agents.policy import NetworkPolicy
from agents.ppo import PPO, PPOConfig
from agents.presets import preset_for
from agents.run_config import read_configs
from agents.stepping import Stepper
from agents.warm_start import begin_with

ROADS = {
    "drivesim/Highway-v1": (8, 5_000_000),
    "drivesim/Intersection-v1": (8, 3_000_000),
    "drivesim/Merge-v1": (8, 3_000_000),
    "drivesim/FourWayStop-v1": (8, 3_000_000),
    "drivesim/Roundabout-v1": (8, 3_000_000),
    "drivesim/City-v1": (16, 4_000_000),
}
"""Egos in each world, and steps of all of them together."""
ENDS = ("success", "collision", "off_road", "timeout")
NUM_WORLDS = 256  # held-out levels
FIRST_SEED = 1_000_000


def make(road: str, num_worlds: int, num_agents: int, **options: Any) -> Stepper:
    """Worlds of a road with so many egos in each."""
    return Stepper(drivesim.parallel_vec_env(road, num_worlds, num_agents, observation="features", **options))


def learnt(road: str, driver: Path | None, rows: int, num_agents: int, total_steps: int, seed: int) -> NetworkPolicy:
    """Trains one network that drives all egos."""
    preset = preset_for(road, "ppo")
    stepper = make(road, rows // num_agents, num_agents, reward_weights=preset.train.reward_weights)
    envs = stepper.envs
    own = cast(PPOConfig, read_configs(driver)[1] if driver else preset.agent)
    config = replace(own, num_envs=envs.num_envs, learning_rate=own.learning_rate / 2 if driver else own.learning_rate)
    agent = PPO(envs.single_observation_space, envs.single_action_space, config, seed=seed, total_steps=total_steps)
    if driver:
        begin_with(agent, driver)
    obs = stepper.begin(list(range(seed * rows, seed * rows + rows // num_agents)))
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
    driver: Path | None = None,  # a run of PPO on features, runs/latest for the newest; None = from nothing
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
        policy = learnt(road, driver, num_egos, egos, steps, seed)
        seconds = time.perf_counter() - start
        ends = shares(policy, road, egos)
        told = " | ".join(f"{ends[end]:.1%}" for end in ENDS)
        print(f"| `{road}` | {egos} | {steps:,} | {seconds:.0f} | {told} |", flush=True)
        arrived[road] = ends["success"]
    return arrived


if __name__ == "__main__":
    sys.exit(status_of(lambda: 0 if tyro.cli(main, description=__doc__) else 1, "interrupted"))
