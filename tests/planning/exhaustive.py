"""Every drive of a few ticks, one by one, through the public interface: no bounds, nothing merged, nothing forked."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

Array = np.ndarray[Any, Any]

ALONE: dict[str, dict[str, int]] = {
    "drivesim/LaneKeep-v1": {},
    "drivesim/Obstacles-v1": {},
    "drivesim/Autodrive-v1": {},
    "drivesim/Parking-v1": {"num_vehicles": 0},
}
"""Where nobody answers to the ego, with options that see to that."""


def every_drive(num_actions: int, ticks: int) -> Array:
    """All sequences of so many actions, (num_actions ** ticks, ticks)."""
    numbers = np.arange(num_actions**ticks)
    return np.stack([numbers // num_actions**n % num_actions for n in range(ticks)], axis=1)


def best_of_all(envs: Any, state: Array, ticks: int, gamma: float) -> float:
    """The greatest sum of discounted rewards of `ticks` ticks, up to the end of the episode.

    Args:
        envs: a vector environment with an env for every drive, which has been reset.
        state: (1,) with which all of them begin.
        ticks: how long a drive is at most.
        gamma: discount.
    """
    drives = every_drive(envs.single_action_space.n, ticks)
    envs.unwrapped.set_state(np.repeat(state, len(drives)))
    totals, goes_on = np.zeros(len(drives)), np.ones(len(drives), np.bool_)
    for n in range(ticks):
        _, rewards, terminations, _, _ = envs.step(drives[:, n])
        totals += np.where(goes_on, gamma**n * rewards, 0.0)
        goes_on &= ~terminations
    return float(totals.max())


def states_on_the_way(env: gym.Env[Any, Any], seed: int, actions: tuple[int, ...], ticks: list[int]) -> list[Array]:
    """The states (1,) of an episode after so many of the actions, as far as it goes."""
    env.reset(seed=seed)
    states = [env.unwrapped.get_state()]  # type: ignore[attr-defined]
    for action in actions:
        if env.step(action)[2]:
            break
        states.append(env.unwrapped.get_state())  # type: ignore[attr-defined]
    return [states[max(0, tick)] for tick in ticks if tick < len(states)]
