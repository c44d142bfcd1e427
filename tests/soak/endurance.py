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
from env_tools import IDS, OBSERVATIONS, draw_actions

NUM_ENVS, NUM_STEPS = 1024, 200
MAX_SLOPE = 1.0  # MiB per hour, once there is an hour to tell it from
HOUR = 3600.0
sizes: list[tuple[float, int]] = []  # (s, bytes) since everything has been used once


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held() -> tuple[int, int]:
    """Descriptors and threads."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def slope() -> tuple[float, float]:
    """MiB per hour by least squares, and the hours that it is of."""
    times, bytes_ = np.array(sizes, np.float64).T
    hours = (times - times[0]) / HOUR
    return float(np.polyfit(hours, bytes_ / 2**20, 1)[0]), float(hours[-1])


at_first: tuple[int, int] | None = None


def piece(number: int, folder: Path) -> Iterator[int]:
    """Every id once: a batch for some steps, a single environment for an episode, pictures of both."""
    global at_first
    count = 0
    for place, env_id in enumerate(IDS):
        work.doing(f"piece {number}: {env_id}")
        rng = np.random.default_rng((number, place))
        observation = OBSERVATIONS[place % 4]
        envs = gym.make_vec(env_id, num_envs=NUM_ENVS, num_threads=2, observation=observation, render_mode="rgb_array")
        envs.reset(seed=number)
        num_actions = int(envs.single_action_space.n)
        for _ in range(NUM_STEPS):
            envs.step(draw_actions(rng, num_actions, NUM_ENVS))
        envs.unwrapped.render_grid()
        envs.reset()
        envs.close()
        env = gym.make(env_id, observation=observation, render_mode="rgb_array", render_size=96)
        env.reset(seed=number)
        ended, ticks = False, 0
        while not ended:
            _, _, terminated, truncated, _ = env.step(int(draw_actions(rng, num_actions, None)))
            env.render()
            ended, ticks = terminated or truncated, ticks + 1
        env.close()
        count = NUM_ENVS * NUM_STEPS + ticks
        yield count
    sizes.append((time.monotonic(), resident()))
    if at_first is None:
        at_first = held()
        sizes.clear()  # the first round compiles and fills the caches
    if held() != at_first:
        raise AssertionError(f"descriptors and threads: {at_first} after the first round, now {held()}")
    if len(sizes) >= 3:
        rise, hours = slope()
        figures = {"MiB per hour": round(rise, 2), "told from hours": round(hours, 3)}
        work.tell(figures=figures | {"descriptors and threads": f"{held()[0]} and {held()[1]}, constant"})
        if hours >= 1.0 and rise > MAX_SLOPE:
            raise AssertionError(f"memory grows by {rise:.2f} MiB per hour")


if __name__ == "__main__":
    work.run(piece)
