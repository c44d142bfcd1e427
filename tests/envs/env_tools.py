"""Tools that the tests of the environments share: ids, actions, exact comparison, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import drivesim  # noqa: F401 (registers the environments)
from drivesim.registry import ENTRIES, IDS, scenario_of

OBSERVATIONS = ("grid", "features", "full_grid", "entities", "rgb")
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
HIGHWAY = "drivesim/Highway-v1"
LANE_KEEP = "drivesim/LaneKeep-v1"
OBSTACLES = "drivesim/Obstacles-v1"
AUTODRIVE = "drivesim/Autodrive-v1"
INTERSECTION = "drivesim/Intersection-v1"
FOUR_WAY_STOP = "drivesim/FourWayStop-v1"
CITY = "drivesim/City-v1"
PARKING = "drivesim/Parking-v1"
CUSTOM = "drivesim/Custom-v1"
assert set(IDS) >= {HIGHWAY, LANE_KEEP, OBSTACLES, AUTODRIVE, INTERSECTION, CUSTOM}
GENERATED = tuple(entry.id for entry in ENTRIES if scenario_of(entry.name).generates_levels())

IDLE, FASTER, SLOWER = 1, 3, 4
REFUSALS = (ValueError, TypeError, gym.error.Error, gym.error.ClosedEnvironmentError)


def at(difficulty: str, env_id: str) -> dict[str, str]:
    """The option for a difficulty, where there are any."""
    return {"difficulty": difficulty} if env_id in GENERATED else {}


def stay(env_id: str) -> int:
    """The action that stops an ego, or leaves a standing one where it is: not SLOWER where that is the reverse gear."""
    return IDLE if env_id == PARKING else int(gym.make(env_id).action_space.n) - 1


def draw_actions(rng: np.random.Generator, num_actions: int, shape: Any) -> np.ndarray:
    """Random actions that keep many cars on the road for some time."""
    odds = (0.08, 0.3, 0.08, 0.3, 0.24) if num_actions == 5 else (0.1, 0.1, 0.5, 0.3)
    return rng.choice(num_actions, shape, p=odds)


def assert_same(first: Any, second: Any) -> None:
    """Equal in structure, type, dtype, shape and every value."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, (tuple, list)):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        if first.shape != second.shape or first.tobytes() != second.tobytes():  # gaps of records may differ
            np.testing.assert_array_equal(first, second)
    else:
        assert first == second


def assert_same_future(first: Any, second: Any, num_steps: int = 30, seed: int = 0) -> None:
    """Two vector environments, or two single ones, answer alike from here on."""
    rng = np.random.default_rng(seed)
    num_envs = getattr(first, "num_envs", None)
    space = first.action_space if num_envs is None else first.single_action_space
    for _ in range(num_steps):
        actions = draw_actions(rng, space.n, num_envs)
        if num_envs is None:
            actions = int(actions)
        answers = first.step(actions)
        assert_same(answers, second.step(actions))
        if num_envs is None and (answers[2] or answers[3]):
            assert_same(first.reset(), second.reset())
        elif num_envs is not None and first.unwrapped.autoreset_mode is AutoresetMode.DISABLED:
            ended = answers[2] | answers[3]
            if ended.any():
                assert_same(
                    first.reset(options={"reset_mask": ended}), second.reset(options={"reset_mask": ended.copy()})
                )


def assert_refused(call: Callable[[], Any], *parts: str) -> None:
    """`call` raises an error whose message holds all `parts`: the field, the value, what is allowed."""
    with pytest.raises(REFUSALS) as caught:
        call()
    for part in parts:
        assert part in str(caught.value), f"{part!r} is missing in {caught.value!r}"


def keys(envs: Any) -> np.ndarray:
    """The keys (N, 2) of an environment's worlds."""
    worlds = envs.unwrapped.get_state()["world"]
    return np.stack([worlds["key_0"], worlds["key_1"]], axis=1)


def world_bytes(state: np.ndarray) -> np.ndarray:
    """The bytes of worlds or states (N,) as uint8 (N, size)."""
    clean = np.zeros(state.shape, state.dtype)  # between fields, a copy may hold anything
    clean[...] = state
    return clean.view(np.uint8).reshape(len(state), -1)
