"""Drives by which the forms of the kernels are compared: all bytes that come of every step.

As a program it prints the answers to jobs, given as JSON: object_drives.py FOLDER JOBS, with the object code in FOLDER,
or "" for none.
"""

from __future__ import annotations

import base64
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
from drivesim.layouts import size_layout


def job(
    scenario: str,
    observation: str,
    num_worlds: int,
    steps: int,
    max_steps: int = 40,
    difficulty: str = "medium",
    levels: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """A drive, in terms of JSON."""
    found = {
        "scenario": scenario,
        "observation": observation,
        "difficulty": difficulty,
        "levels": levels,
        "num_worlds": num_worlds,
        "steps": steps,
        "max_steps": max_steps,
        "autoreset": SAME_STEP,
        "keys": [key_of(seed).tolist() for seed in range(num_worlds)],
    }
    config = config_of(found)
    found["encode"] = prebuilt.symbol_of(config.encoder.encode_for(config.shown))
    if config.library is not None:  # of whose sizes and levels no description of the kernels tells
        parts = {"maps": config.library.maps, "worlds": config.library.worlds}
        found["sizes"] = size_layout(config)
        found["library"] = {name: base64.b64encode(part.tobytes()).decode() for name, part in parts.items()}
        found["library_size"] = len(config.library.texts)
    return found


def config_of(about: dict[str, Any]) -> EnvConfig:
    """The environment of a drive."""
    kind = {"levels": about["levels"]} if about["levels"] else {"difficulty": about["difficulty"]}
    return EnvConfig(about["scenario"], observation=about["observation"], **kind)


def actions_of(about: dict[str, Any]) -> np.ndarray:
    """uint8 (steps, N), drawn: mostly FASTER, so that episodes get somewhere."""
    config = config_of(about)
    rng = np.random.default_rng(about["steps"])
    shape = about["steps"], about["num_worlds"]
    drawn = rng.integers(0, len(config.actions), shape, np.uint8)
    return np.where(rng.random(shape) < 0.5, np.uint8(config.actions.index("FASTER")), drawn)


def answer(about: dict[str, Any]) -> str:
    """The SHA-256 of worlds, maps, observations, rewards, ends and details after the reset and after every step.

    A pool of maps is there before the reset and does not change: it is in it once.
    """
    num_worlds = about["num_worlds"]
    config = config_of(about)
    engine = Engine(config, num_worlds, about["autoreset"], max_steps=about["max_steps"])
    for world, keys in enumerate(about["keys"]):
        engine.worlds["key_0"][world], engine.worlds["key_1"][world] = keys
    if engine._pool_of_maps is not None:
        engine._pool_of_maps.lay(np.arange(len(engine.maps)))
    obs, final_obs = np.zeros_like(engine.empty_obs()), np.zeros_like(engine.empty_obs())
    rewards, ends, cuts = np.zeros(num_worlds), np.zeros(num_worlds, np.bool_), np.zeros(num_worlds, np.bool_)
    digest = hashlib.sha256()

    parts = [engine.worlds, engine.maps, obs, rewards, ends, cuts, engine.details, final_obs]
    if engine._pool_of_maps is not None:
        digest.update(parts.pop(1))

    def note() -> None:
        for part in parts:
            digest.update(part)

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
