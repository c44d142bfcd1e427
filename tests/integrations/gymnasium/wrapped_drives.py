"""What the tests of wrappers of single environments share: an environment, actions, and a drive over many episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

import drivesim  # noqa: F401 (registers the environments)

ID, LIMIT, SEED, NUM_STEPS = "drivesim/LaneKeep-v1", 9, 5, 200
FRAMES = {"render_mode": "rgb_array"}


class Row(NamedTuple):
    """What an environment answered: to a reset (`age` 0, no reward) or to step number `age` of an episode."""

    age: int
    obs: Any
    reward: Any = None
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] | None = None
    frame: Any = None


def make(**options: Any) -> gym.Env:
    """A road on which episodes end in both ways within a few steps."""
    defaults = {"observation": "features", "max_episode_steps": LIMIT, "render_size": 96}
    return gym.make(ID, **(defaults | options))


def draw_actions(num_steps: int = NUM_STEPS) -> list[int]:
    """Actions that keep most cars on the road for some time."""
    return np.random.default_rng(1).choice(5, num_steps, p=[0.04, 0.2, 0.04, 0.6, 0.12]).tolist()


def frame_of(env: gym.Env) -> Any:
    return env.unwrapped.render() if env.unwrapped.render_mode == "rgb_array" else None


def in_numpy(obs: Any) -> Any:
    """An observation as a NumPy array, if it is a tensor."""
    return obs.numpy() if hasattr(obs, "numpy") else obs


def drive(env: gym.Env, actions: Sequence[int]) -> list[Row]:
    """Drives on over ends of episodes; every observation must lie in the space that the environment claims."""
    rows = []
    ended = True
    for action in actions:
        if ended:
            obs, info = env.reset(seed=None if rows else SEED)
            assert in_numpy(obs) in env.observation_space
            rows.append(Row(0, obs, info=info, frame=frame_of(env)))
        obs, reward, terminated, truncated, info = env.step(action)
        assert in_numpy(obs) in env.observation_space
        rows.append(Row(rows[-1].age + 1, obs, reward, terminated, truncated, info, frame_of(env)))
        ended = terminated or truncated
    assert sum(row.terminated for row in rows) > 3
    assert sum(row.truncated for row in rows) > 3
    return rows
