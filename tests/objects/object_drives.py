"""Drives by which the forms of the kernels are compared: all bytes that come of every step.

As a program it prints the answers to jobs, given as JSON: object_drives.py FOLDER JOBS, with the object code in FOLDER,
or "" for none.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.config import EnvConfig
from drivesim.core import prebuilt
from drivesim.core.batch import SAME_STEP
from drivesim.engine import Engine, key_of

MAX_STEPS = 40


def job(scenario: str, observation: str, difficulty: str, num_worlds: int, steps: int) -> dict[str, Any]:
    """A drive, in terms of JSON."""
    return {
        "scenario": scenario,
        "observation": observation,
        "difficulty": difficulty,
        "num_worlds": num_worlds,
        "steps": steps,
        "max_steps": MAX_STEPS,
        "autoreset": SAME_STEP,
        "keys": [key_of(seed).tolist() for seed in range(num_worlds)],
    }


def actions_of(about: dict[str, Any]) -> np.ndarray:
    """uint8 (steps, N), drawn: mostly FASTER, so that episodes get somewhere."""
    config = EnvConfig(about["scenario"])
    rng = np.random.default_rng(about["steps"])
    shape = about["steps"], about["num_worlds"]
    drawn = rng.integers(0, len(config.actions), shape, np.uint8)
    return np.where(rng.random(shape) < 0.5, np.uint8(config.actions.index("FASTER")), drawn)


def answer(about: dict[str, Any]) -> str:
    """The SHA-256 of worlds, maps, observations, rewards, ends and details after the reset and after every step."""
    num_worlds = about["num_worlds"]
    config = EnvConfig(about["scenario"], observation=about["observation"], difficulty=about["difficulty"])
    engine = Engine(config, num_worlds, about["autoreset"], max_steps=about["max_steps"])
    for world, keys in enumerate(about["keys"]):
        engine.worlds["key_0"][world], engine.worlds["key_1"][world] = keys
    if engine._pool_of_maps is not None:
        engine._pool_of_maps.lay(np.arange(len(engine.maps)))
    obs, final_obs = np.zeros_like(engine.empty_obs()), np.zeros_like(engine.empty_obs())
    rewards, ends, cuts = np.zeros(num_worlds), np.zeros(num_worlds, np.bool_), np.zeros(num_worlds, np.bool_)
    digest = hashlib.sha256()

    def note() -> None:
        for part in (engine.worlds, engine.maps, obs, rewards, ends, cuts, engine.details, final_obs):
            digest.update(part.tobytes())

    engine.reset(np.ones(num_worlds, np.bool_), np.full(num_worlds, -1), obs)
    note()
    for actions in actions_of(about):
        engine.step(actions, obs, rewards, ends, cuts, final_obs, is_detailed=True)
        note()
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1]:
        prebuilt.FOLDER = Path(sys.argv[1])
    answers = [answer(about) for about in json.loads(Path(sys.argv[2]).read_text())]
    sys.stdout.write(json.dumps({"answers": answers, "has_numba": "numba" in sys.modules}))
