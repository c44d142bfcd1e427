"""Measures how hard levels are: what drivers that learn nothing make of every scenario and difficulty.

    .venv/bin/python scripts/difficulty.py --summary docs/difficulty.json
    .venv/bin/python scripts/difficulty.py --envs drivesim/Merge-v1 --episodes 200

A random driver, one that never steers, one that follows the route at the limit and sees nobody else, and the rule-based
one drive the first episodes of the same held-out levels. The table is printed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tables import table

from agents.baselines import make_baseline
from agents.environments import EnvChoice, generates_levels, require_registered
from agents.evaluation import evaluate
from agents.results import BASELINES, FINAL_SEED, read_summary, write_summary
from agents.validation import check_at_least
from drivesim.config import DIFFICULTIES
from drivesim.registry import IDS

DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    envs: tuple[str, ...] = tuple(filter(generates_levels, IDS))
    """Environment ids; by default those with held-out levels."""
    episodes: int = 1000
    """Held-out levels of each."""
    summary: Path | None = None
    """Write the records to this file too; ids that are not measured now keep theirs."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "episodes")
        for env_id in self.envs:
            require_registered(env_id)


def measured(env_id: str, difficulty: str, episodes: int) -> list[dict[str, Any]]:
    """A record of every driver."""
    drivers = {name: make_baseline(name, EnvChoice(env_id, difficulty=difficulty)) for name in BASELINES}
    return [
        evaluate(policy, choice, episodes=episodes, seed=FINAL_SEED, agent=name)
        for name, (policy, choice) in drivers.items()
    ]


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table: shares that arrive, and how long the rule-based driver takes."""
    rows = [("id", "difficulty", *BASELINES, "its ticks to the goal")]
    for env_id in dict.fromkeys(record["env"] for record in records):
        for difficulty in DIFFICULTIES:
            found = {
                record["agent"]: record
                for record in records
                if (record["env"], record["difficulty"]) == (env_id, difficulty)
            }
            if found:
                shares = [f"{100 * found[name]['success_rate']:.1f} %" for name in BASELINES]
                ticks = found["rule-based"]["mean_length_of_successes"]
                rows.append((f"`{env_id}`", difficulty, *shares, DASH if ticks is None else f"{ticks:.1f}"))
    return table(rows)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    records = []
    for env_id in parsed.envs:
        for difficulty in DIFFICULTIES:
            records += measured(env_id, difficulty, parsed.episodes)
            print(markdown(records[-len(BASELINES) :]).splitlines()[-1], flush=True)
    if parsed.summary is not None:
        if parsed.summary.exists():
            records += [each for each in read_summary(parsed.summary)["records"] if each["env"] not in parsed.envs]
        places = {env_id: n for n, env_id in enumerate(IDS)}
        records.sort(key=lambda record: places.get(record["env"], len(IDS)))
        write_summary(parsed.summary, {"records": records})
    return 0


if __name__ == "__main__":
    sys.exit(main())
