"""Steps, resets, pictures, environments made and closed, for hours: memory, descriptors and threads stay the same."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import work
from env_tools import AUTODRIVE, IDS, LANE_KEEP, OBSERVATIONS, OBSTACLES, draw_actions

NUM_ENVS, NUM_STEPS, SMALL_PIECES = 1024, 50, 2
CHEAP = (AUTODRIVE, LANE_KEEP, OBSTACLES, "drivesim/Overtake-v1")
"""Of these, more is driven in every piece but the first ones: thousands of episodes for the price of making a few."""
MANY_STEPS = 8000
MAX_SLOPE = 1.0  # MiB per hour, once there is an hour to tell it from
HOUR = 3600.0
sizes: list[tuple[float, int]] = []  # (s, bytes) since everything has been used once


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held() -> tuple[int, int]:
    """Descriptors and threads."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(timeout=5.0)  # closing does not wait for its threads, which are about to end
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def slope() -> tuple[float, float]:
    """MiB per hour by least squares, and the hours that it is of."""
    times, bytes_ = np.array(sizes, np.float64).T
    hours = (times - times[0]) / HOUR
    return float(np.polyfit(hours, bytes_ / 2**20, 1)[0]), float(hours[-1])


def drive_batch(env_id: str, observation: str, num_steps: int, seed: tuple[int, int]) -> int:
    """A batch for some steps, with a picture of it; returns how many steps that were."""
    rng = np.random.default_rng(seed)
    options = {"observation": observation, "render_mode": "rgb_array", "num_threads": 1 + sum(seed) % 2}
    envs = gym.make_vec(env_id, num_envs=NUM_ENVS, **options)
    envs.reset(seed=seed[0])
    num_actions = int(envs.single_action_space.n)
    for _ in range(0, num_steps, NUM_STEPS):
        for actions in draw_actions(rng, num_actions, (NUM_STEPS, NUM_ENVS)):
            envs.step(actions)
    envs.unwrapped.render_grid()
    envs.reset()
    envs.close()
    return NUM_ENVS * num_steps


def drive_one(env_id: str, observation: str, seed: tuple[int, int]) -> int:
    """A single environment for an episode, with pictures; returns its length."""
    rng = np.random.default_rng(seed)
    env = gym.make(env_id, observation=observation, render_mode="rgb_array", render_size=96)
    env.reset(seed=seed[0])
    ended, ticks = False, 0
    while not ended:
        _, _, terminated, truncated, _ = env.step(int(draw_actions(rng, int(env.action_space.n), None)))
        ended, ticks = terminated or truncated, ticks + 1
        if ended or ticks % 4 == 1:
            env.render()
    env.close()
    return ticks


at_first: tuple[int, int] | None = None


def piece(number: int, folder: Path) -> Iterator[int]:
    """Every id once: a batch for some steps, a single environment for an episode, pictures of both; one for long."""
    global at_first
    for place, env_id in enumerate(IDS):
        work.doing(f"piece {number}: {env_id}")
        yield drive_batch(env_id, OBSERVATIONS[place % 4], NUM_STEPS, (number, place))
        yield drive_one(env_id, OBSERVATIONS[place % 4], (number, place))
    if number >= SMALL_PIECES:
        cheap = CHEAP[number % len(CHEAP)]
        work.doing(f"piece {number}: {cheap}, for long")
        yield drive_batch(cheap, "features", MANY_STEPS, (number, len(IDS)))
    sizes.append((time.monotonic(), resident()))
    if at_first is None:
        at_first = held()
        sizes.clear()  # the first round compiles and fills the caches
    if held() != at_first:
        raise AssertionError(f"descriptors and threads: {at_first} after the first round, now {held()}")
    if len(sizes) >= 3:
        rise, hours = slope()
        memory = f"{sizes[0][1] >> 20} MiB after the first round, {sizes[-1][1] >> 20} after {hours:.2f} h"
        told = {"memory": memory, "descriptors and threads": f"{held()[0]} and {held()[1]}, constant"}
        work.tell(figures=told | ({"MiB per hour": f"{rise:.2f}"} if hours >= 1.0 else {}))
        if hours >= 1.0 and rise > MAX_SLOPE:
            raise AssertionError(f"memory grows by {rise:.2f} MiB per hour")


if __name__ == "__main__":
    work.run(piece)
