"""Environment steps per second through Stable-Baselines3's vector environments, measured in one run.

    pip install -e '.[sb3]'
    python scripts/examples/stable_baselines3_speed.py [ROUNDS]

Of random actions, and of the rollouts that PPO collects: one thread for the native batch and the network, and a process
for each env of `SubprocVecEnv`. The best of all rounds counts, each of which measures all in turn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from drivesim.integrations.stable_baselines3 import make_vec_env

MAKE = partial(gym.make, "drivesim:drivesim/Obstacles-v1", observation="features")
NATIVE = partial(make_vec_env, "drivesim/Obstacles-v1", observation="features", num_threads=1)
CASES: list[tuple[str, int, Callable[[int], VecEnv]]] = [
    *(("make_vec_env", n, NATIVE) for n in (16, 256, 1024)),
    ("DummyVecEnv", 16, lambda n: DummyVecEnv([MAKE] * n)),
    ("SubprocVecEnv", 16, lambda n: SubprocVecEnv([MAKE] * n)),
]


def measure(make: Callable[[int], VecEnv], num_envs: int) -> list[float]:
    """Steps per second: with random actions, and of PPO's rollouts."""
    model = PPO("MlpPolicy", make(num_envs), n_steps=8192 // num_envs, device="cpu")
    model.learn(0)  # resets the envs and trains nothing
    callback = CallbackList([])
    callback.init_callback(model)
    actions = np.random.default_rng(0).integers(5, size=(model.n_steps, num_envs))
    rates = []
    for _ in range(2):  # of which the first warms up
        start = time.perf_counter()
        for row in actions:
            model.env.step(row)
        middle = time.perf_counter()
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        rates = [8192 / (middle - start), 8192 / (time.perf_counter() - middle)]
    model.env.close()
    return rates


if __name__ == "__main__":
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    best = np.max([[measure(make, num_envs) for _, num_envs, make in CASES] for _ in range(rounds)], axis=0)
    print("| | envs | random actions | PPO's rollouts |\n|---|---|---|---|")
    for (name, num_envs, _), (random, rollout) in zip(CASES, best.tolist(), strict=True):
        print(f"| `{name}` | {num_envs:,} | {random:,.0f} | {rollout:,.0f} |")
