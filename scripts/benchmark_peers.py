"""Measures a peer's highway for `benchmark.py`, in a Python of its own: needs numpy and the peer, not drivesim.

    python scripts/benchmark_peers.py envpool NUM_ENVS NUM_THREADS SECONDS
    python scripts/benchmark_peers.py highway-env 1 1 SECONDS

Prints one JSON object. Both peers get random actions drawn beforehand; resets are part of the time.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from importlib import metadata

import numpy as np

WARM_UP_STEPS = 32


def measure_envpool(num_envs: int, num_threads: int, seconds: float) -> float:
    """Steps per second over all envs; the dummy step after an episode's end, which only resets, is not counted."""
    envpool = importlib.import_module("envpool")
    envs = envpool.make_gymnasium("HighwayFast-v0", num_envs=num_envs, num_threads=num_threads, seed=0)
    actions = np.random.default_rng(0).integers(5, size=(256, num_envs)).astype(np.int32)
    envs.reset()
    has_ended = np.zeros(num_envs, np.bool_)
    steps, dummy_steps = 0, 0
    for step in range(WARM_UP_STEPS):
        _, _, terminated, truncated, _ = envs.step(actions[step])
        has_ended = terminated | truncated
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        dummy_steps += int(has_ended.sum())
        _, _, terminated, truncated, _ = envs.step(actions[steps % 256])
        has_ended = terminated | truncated
        steps += 1
    return (steps * num_envs - dummy_steps) / elapsed


def measure_highway_env(seconds: float) -> float:
    """Steps per second of the environment without wrappers."""
    gym = importlib.import_module("gymnasium")
    importlib.import_module("highway_env")
    env = gym.make("highway-fast-v0").unwrapped
    actions = np.random.default_rng(0).integers(5, size=1024).tolist()
    env.reset(seed=0)
    steps = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        _, _, terminated, truncated, _ = env.step(actions[steps % 1024])
        steps += 1
        if terminated or truncated:
            env.reset()
    return steps / elapsed


def main() -> int:
    """Measures the peer named on the command line."""
    peer = sys.argv[1]
    num_envs, num_threads, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    if peer == "envpool":
        env, rate = "HighwayFast-v0", measure_envpool(num_envs, num_threads, seconds)
    else:
        env, rate = "highway-fast-v0", measure_highway_env(seconds)
    print(json.dumps({"env": env, "version": metadata.version(peer), "steps_per_second": rate}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
