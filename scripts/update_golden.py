"""Records what every environment answers to fixed actions, so that no change of behaviour goes unnoticed.

    .venv/bin/python scripts/update_golden.py
    .venv/bin/python scripts/update_golden.py --envs drivesim/SnowPlough-v0

`tests/core/test_golden.py` compares with the record, tests/golden.json. New ids are added; a record that no longer
holds is overwritten only with `--version-bumped`, since such a change raises the id's `-vN` and has its line in
CHANGELOG.md.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import hashlib
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

from agents.command_line import status_of
from agents.validation import require
from drivesim.files import write_whole
from drivesim.registry import ENTRIES, IDS, scenario_of

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden.json"
NUM_ENVS, NUM_STEPS, SEED = 4, 200, 2026
CLEAR_STEPS = 5  # recorded in words, to see at a glance what has changed


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    envs: tuple[str, ...] = IDS
    """Environments to record; the records of the others stay as they are."""
    version_bumped: bool = False
    """Overwrite records that no longer hold: the ids' versions have been raised, and CHANGELOG.md says why."""

    def __post_init__(self) -> None:
        """Checks the ids."""
        for env_id in self.envs:
            require("envs", env_id, env_id in IDS, f"among {list(IDS)}")


def cases() -> list[tuple[str, str]]:
    """(id, observation) of every record: the default observation and the features."""
    return [
        (entry.id, observation)
        for entry in ENTRIES
        for observation in dict.fromkeys((scenario_of(entry.name).observation, "features"))
    ]


def actions_of(env_id: str, num_actions: int) -> list[list[int]]:
    """(NUM_STEPS, NUM_ENVS) actions; the first envs drive at random, the last ones mostly hold or gain speed."""
    dice = Random(env_id)
    ahead = (2, 2) if num_actions == 4 else (1, 3)  # FASTER twice, or IDLE and FASTER
    steps = []
    for _ in range(NUM_STEPS):
        drawn = [int(dice.random() * num_actions) for _ in range(NUM_ENVS)]
        for i in range(NUM_ENVS // 2, NUM_ENVS):
            if dice.random() < 0.8:
                drawn[i] = ahead[int(dice.random() * 2)]
        steps.append(drawn)
    return steps


def record(env_id: str, observation: str) -> dict[str, Any]:
    """The environment's answers: SHA-256 of everything, and the first steps in clear."""
    envs = gym.make_vec(env_id, num_envs=NUM_ENVS, observation=observation)
    space = envs.single_action_space
    assert isinstance(space, gym.spaces.Discrete)
    obs, _ = envs.reset(seed=SEED)
    sha = hashlib.sha256(obs.tobytes())
    clear: list[dict[str, Any]] = [{"obs_sums": [math.fsum(row) for row in obs.reshape(NUM_ENVS, -1).tolist()]}]
    for actions in actions_of(env_id, int(space.n)):
        obs, rewards, terminations, truncations, _ = envs.step(np.array(actions))
        for array in (obs, rewards, terminations, truncations):
            sha.update(array.tobytes())
        if len(clear) <= CLEAR_STEPS:
            clear.append(
                {
                    "actions": actions,
                    "obs_sums": [math.fsum(row) for row in obs.reshape(NUM_ENVS, -1).tolist()],
                    "rewards": rewards.tolist(),
                    "terminations": terminations.tolist(),
                    "truncations": truncations.tolist(),
                }
            )
    envs.close()
    return {"shape": list(obs.shape), "dtype": str(obs.dtype), "first_steps": clear, "sha256": sha.hexdigest()}


def read(path: Path = GOLDEN) -> dict[str, dict[str, Any]]:
    """The records: id → observation → record; none if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def updated(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]], version_bumped: bool
) -> dict[str, dict[str, Any]]:
    """The records to be written; those of ids that are no longer registered go.

    Raises:
        ValueError: if a record no longer holds and no version was raised.
    """
    changed = [env_id for env_id in new if env_id in old and old[env_id] != new[env_id]]
    if changed and not version_bumped:
        raise ValueError(
            f"{', '.join(changed)}: some seed and actions give another result than recorded. If that is intended, "
            "raise the version in drivesim/registry.py, say why in CHANGELOG.md under Behaviour, "
            "and pass --version-bumped"
        )
    return new


def write(records: dict[str, dict[str, Any]], path: Path = GOLDEN) -> None:
    """As JSON with one line for each list of numbers, so that a difference can be read."""
    text = json.dumps(records, indent=1)
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)
    write_whole(path, text + "\n")


def update(arguments: Arguments) -> None:
    """Records anew what was asked for, and says what has changed."""
    old = read(GOLDEN)
    new = {env_id: {} if env_id in arguments.envs else old.get(env_id, {}) for env_id in IDS}
    for env_id, observation in cases():
        if env_id in arguments.envs:
            with stage(f"driving {env_id}, {observation}"):
                new[env_id][observation] = record(env_id, observation)
    write(updated(old, new, arguments.version_bumped), GOLDEN)
    parts = {
        "added": [env_id for env_id in new if env_id not in old],
        "changed": [env_id for env_id in new if env_id in old and old[env_id] != new[env_id]],
        "removed": [env_id for env_id in old if env_id not in new],
    }
    told = [f"{what} {', '.join(ids)}" for what, ids in parts.items() if ids]
    print(f"{GOLDEN.name}: {'; '.join(told) or 'nothing has changed'}")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 2 if the record may not be updated."""
    return status_of(lambda: update(tyro.cli(Arguments, args=arguments, description=__doc__)), "interrupted")


if __name__ == "__main__":
    sys.exit(run_script(main))
