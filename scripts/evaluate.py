"""Evaluates the driver of a run on levels it has never seen.

    python scripts/evaluate.py runs/first --episodes 1000 --split test --seed 1000000 --json
    python scripts/evaluate.py runs/first --difficulty hard --level-options num_vehicles 20

Counts the first episode of each of --episodes distinct envs; where the run has levels of its own, it drives those
again. Prints one JSON object with --json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym
import tyro

from agents.checkpoint import CheckpointError
from agents.command_line import refuse
from agents.environments import LevelChoice, with_level_options
from agents.evaluation import evaluate
from agents.training import load_policy
from drivesim.files import printable


@dataclass(frozen=True)
class Arguments(LevelChoice):
    """Arguments of the command line; without a choice of levels, they are as in the run."""

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run folder."""
    episodes: int = 1000
    """Number of envs, and hence of episodes."""
    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    seed: int = 1_000_000
    """Seed of the first env; the others follow one by one."""
    checkpoint: Literal["best", "last"] = "best"
    """Which driver of the run."""
    json: bool = False
    """Print one JSON object and nothing else."""


def text_of(record: dict[str, Any]) -> str:
    """A record of one environment, or that of all, a line for each value."""
    return "\n".join(f"{name:26s} {readable(name, value)}" for name, value in record.items())


def readable(name: str, value: Any) -> str:
    """A value of the record in a few characters; --json has all of it."""
    if name == "levels":
        return f"{len(value)} of your own"
    if isinstance(value, list):
        return " to ".join(readable(name, each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given))
    try:
        policy, config = load_policy(parsed.run_dir, parsed.checkpoint)
        record = evaluate(
            policy,
            parsed.chosen_in(config),
            episodes=parsed.episodes,
            seed=parsed.seed,
            split=parsed.split,
            agent=config.agent,
        )
    except (ValueError, OSError, CheckpointError, gym.error.Error) as error:
        return refuse(error)
    if parsed.json:
        print(json.dumps(record, allow_nan=False))
    else:
        each = record.pop("each", [])
        print("\n\n".join(text_of(part) for part in (record, *each)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
