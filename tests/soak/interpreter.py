"""Compiled kernels do what the same lines do in the plain interpreter: any id, any options, any actions."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import quick_records  # noqa: F401 (before the package makes its types)
import work
from env_tools import MODES, OBSERVATIONS, REFUSALS, draw_actions, world_bytes

from drivesim.config import DIFFICULTIES, DRIVER_MODELS, REWARDS
from drivesim.core.batch import BY_POOL
from drivesim.registry import ENTRIES, scenario_of

SLOW = 0.02
"""Seconds per env that levels may take to be drawn, compiled; the interpreter takes a hundred times as long."""


def drawn(number: int) -> tuple[str, dict[str, Any], int]:
    """Id, options and number of steps of a piece."""
    dice = random.Random(number)
    pooled = [scenario_of(entry.name).maps_by == BY_POOL for entry in ENTRIES]
    (entry,) = dice.choices(ENTRIES, [0.1 if is_pooled else 1.0 for is_pooled in pooled])
    scenario = scenario_of(entry.name)
    models = [name for name, model in DRIVER_MODELS.items() if model in scenario.driver_models]
    options: dict[str, Any] = {
        "num_envs": dice.randint(1, 3),
        "autoreset_mode": dice.choice(MODES[:2]),
        "max_episode_steps": dice.randint(4, 50),
        "observation": dice.choices(OBSERVATIONS, (8, 8, 8, 8, 1))[0],  # the interpreter takes long to paint
        "reward": dice.choice(list(REWARDS)),
        "traffic": dice.choice([None, *models]),
        "dawdle": dice.choice((None, 0.0, 0.3, 1.0)),
        "all_actions": dice.random() < 0.2,
    }
    if scenario.generates_levels():
        options |= {"difficulty": dice.choice(DIFFICULTIES), "split": dice.choice(("train", "test"))}
    if scenario.maps_by == BY_POOL:  # a town takes the plain interpreter seconds
        options |= {"num_maps": 1, "num_vehicles": dice.randint(1, 12), "num_people": dice.randint(0, 3)}
    elif dice.random() < 0.6:
        for option in fields(scenario.config):
            if dice.random() < 0.6:
                options[option.name] = dice.randint(option.metadata["low"], option.metadata["high"])
    return entry.id, options, dice.randint(20, 100)


def digest(*arrays: Any) -> str:
    """Of the bytes of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def digests(number: int) -> list[str]:
    """Of everything that a piece's environment answers; empty if its options are refused, or slow to draw."""
    env_id, options, num_steps = drawn(number)
    rng = np.random.default_rng(number)
    try:
        envs = gym.make_vec(env_id, **options)
        start = time.perf_counter()
        obs, _ = envs.reset(seed=number)
    except (*REFUSALS, RuntimeError):
        return []
    if "NUMBA_DISABLE_JIT" not in os.environ and time.perf_counter() - start > SLOW * envs.num_envs:
        envs.reset(seed=number)  # the first one compiles
        start = time.perf_counter()
        obs, _ = envs.reset(seed=number)
        if time.perf_counter() - start > SLOW * envs.num_envs:
            return []
    found = [digest(obs)]
    for _ in range(num_steps):
        actions = draw_actions(rng, envs.single_action_space.n, envs.num_envs)
        obs, rewards, terminations, truncations, infos = envs.step(actions)
        infos |= {f"final_{key}": value for key, value in infos.pop("final_info", {}).items()}
        told = [infos[name] for name in sorted(infos)]
        state = world_bytes(envs.unwrapped.get_state())
        found.append(digest(obs, rewards, terminations, truncations, *told, state))
    envs.close()
    return found


def piece(number: int, folder: Path) -> Iterator[int]:
    """Some steps of some envs, twice."""
    work.doing(f"piece {number}: {drawn(number)}")
    ours = digests(number)
    if not ours:
        yield 0
        return
    global partner
    partner = partner or work.Partner(__file__, NUMBA_DISABLE_JIT="1")
    theirs = partner.ask(number)
    first = next((n for n, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None)
    if first is not None or len(ours) != len(theirs):
        raise AssertionError(f"compiled and plain differ at step {first} of {drawn(number)}")
    yield (len(ours) - 1) * drawn(number)[1]["num_envs"]


partner: work.Partner | None = None

if __name__ == "__main__":
    if sys.argv[1] == "--answer":
        work.answer(digests)
    else:
        work.run(piece)
