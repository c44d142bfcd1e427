"""Train a driver with RLlib's PPO, on this machine or on a cluster: python scripts/examples/rllib_ppo.py --help."""

import argparse
import math
import os
import time
from collections.abc import Sequence

import ray
from ray.rllib.algorithms.ppo import PPOConfig

from drivesim.integrations.rllib import log_episode, register


def train(arguments: Sequence[str] | None = None) -> list[float]:
    """The share of the latest 100 episodes that succeeded, after each iteration; NaN before the first has ended."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--env", default="drivesim/LaneKeep-v1", help="id of the environment")
    parser.add_argument("--num-env-runners", type=int, default=2, help="processes that drive, one processor each")
    parser.add_argument("--num-envs", type=int, default=16, help="envs of each of them")
    parser.add_argument("--iterations", type=int, default=20, help="updates, each from 2,048 steps")
    parser.add_argument("--address", default="local", help="'local', 'auto' or the address of a Ray cluster")
    parser.add_argument("--seed", type=int, default=0, help="of levels, network and exploration")
    args = parser.parse_args(arguments)
    # On one machine, runners may share processors; a cluster has as many as it has.
    local = {"num_cpus": max(args.num_env_runners, os.cpu_count() or 1), "include_dashboard": False}
    ray.init(address=args.address, **(local if args.address == "local" else {}))
    register()
    config = (
        PPOConfig()
        .environment(args.env, env_config={"observation": "features"})
        .env_runners(
            num_env_runners=args.num_env_runners,
            num_envs_per_env_runner=args.num_envs,
            gym_env_vectorize_mode="vector_entry_point",  # the compiled batch; the default, "sync", is a Python loop
        )
        .training(lr=1e-3, train_batch_size_per_learner=2048, minibatch_size=256, num_epochs=8, entropy_coeff=0.01)
        .rl_module(model_config={"fcnet_hiddens": [64, 64], "vf_share_layers": False})
        .callbacks(on_episode_end=log_episode)
        .debugging(seed=args.seed)
    )
    algorithm = config.build_algo()
    successes, steps, start = [], 0.0, time.perf_counter()
    for _ in range(args.iterations):
        result = algorithm.train()
        drives, seconds = result["env_runners"], result["timers"]
        successes.append(drives.get("success", math.nan))
        speed = (drives["num_env_steps_sampled_lifetime"] - steps) / (time.perf_counter() - start)
        steps, start = drives["num_env_steps_sampled_lifetime"], time.perf_counter()
        shares = (
            f"driving {seconds['env_runner_sampling_timer']:.2f} s, learning {seconds['learner_update_timer']:.2f} s"
        )
        print(f"{steps:7.0f} steps, {speed:5.0f}/s ({shares}): success {successes[-1]:6.1%}", flush=True)
    algorithm.stop()
    ray.shutdown()
    return successes


if __name__ == "__main__":
    train()
