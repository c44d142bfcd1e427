"""Measures how hard levels are: what drivers that learn nothing make of every scenario and difficulty.

    .venv/bin/python scripts/difficulty.py --summary docs/difficulty.json
    .venv/bin/python scripts/difficulty.py --envs drivesim/Merge-v1 --episodes 200
    .venv/bin/python scripts/difficulty.py --runs runs/results --summary docs/difficulty.json

A random driver, one that never steers, one that follows the route at the limit and sees nobody else, and the rule-based
one drive the first episodes of the same held-out levels; with --runs, those that PPO trained in a race too, which have
seen nothing but levels of medium difficulty. The table is printed.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tables import table

from agents.baselines import baselines_of, make_baseline
from agents.command_line import status_of
from agents.environments import EnvChoice, generates_levels, require_registered
from agents.evaluation import evaluate
from agents.policy import Policy
from agents.race import Run
from agents.results import BASELINES, FINAL_SEED, read_summary, write_summary
from agents.run_config import AgentName
from agents.training import load_policy
from agents.validation import check_at_least, require
from drivesim.config import DIFFICULTIES
from drivesim.decimals import DASH
from drivesim.files import require_place
from drivesim.registry import IDS

TRAINED: AgentName = "ppo"


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    envs: tuple[str, ...] = tuple(filter(generates_levels, IDS))
    """Environment ids; by default those with held-out levels."""
    episodes: int = 1000
    """Held-out levels of each."""
    runs: Path | None = None
    """Folder of a race, see scripts/results.py, whose drivers of training seed 0 are measured too."""
    summary: Path | None = None
    """Write the records to this file too; ids that are not measured now keep theirs."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "episodes")
        object.__setattr__(self, "envs", tuple(map(require_registered, self.envs)))
        for env_id in self.envs:
            if self.runs is not None:
                folder = self.folder_of(env_id)
                require("runs", str(self.runs), folder.is_dir(), f"the folder of a race that holds {folder.name}")

    def folder_of(self, env_id: str) -> Path:
        """The run of an environment, in a race's folder."""
        assert self.runs is not None
        return self.runs / Run(env_id, TRAINED, 0).name


def measured(env_id: str, difficulty: str, episodes: int, run: Path | None = None) -> list[dict[str, Any]]:
    """A record of every driver, also of a run's if there is one."""
    drivers: dict[str, tuple[Policy, EnvChoice]] = {
        name: make_baseline(name, EnvChoice(env_id, difficulty=difficulty)) for name in baselines_of(env_id)
    }
    if run is not None:
        policy, choice = load_policy(run)
        drivers[TRAINED] = policy, dataclasses.replace(choice, difficulty=difficulty)
    return [
        evaluate(policy, choice, episodes=episodes, seed=FINAL_SEED, agent=name)
        for name, (policy, choice) in drivers.items()
    ]


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table: shares that arrive, and how long the rule-based driver takes."""
    has_trained = any(record["agent"] == TRAINED for record in records)
    trained = [f"{TRAINED.upper()}, trained on medium"] if has_trained else []
    rows = [("id", "difficulty", *BASELINES, "its ticks to the goal", *trained)]
    for env_id in dict.fromkeys(record["env"] for record in records):
        for difficulty in DIFFICULTIES:
            found = {
                record["agent"]: record
                for record in records
                if (record["env"], record["difficulty"]) == (env_id, difficulty)
            }
            if found:
                shares = [_percent(found.get(name)) for name in BASELINES]
                ticks = found.get("rule-based", {}).get("mean_length_of_successes")
                learnt = [_percent(found.get(TRAINED)) for _ in trained]
                rows.append((f"`{env_id}`", difficulty, *shares, DASH if ticks is None else f"{ticks:.1f}", *learnt))
    return table(rows)


def _percent(record: dict[str, Any] | None) -> str:
    return DASH if record is None else f"{100 * record['success_rate']:.1f} %"


def run(parsed: Arguments) -> None:
    """Measures, prints the table row by row, and writes the records."""
    require_place(parsed.summary)
    records: list[dict[str, Any]] = []
    for env_id in parsed.envs:
        for difficulty in DIFFICULTIES:
            folder = None if parsed.runs is None else parsed.folder_of(env_id)
            with stage(f"driving {parsed.episodes:,} {difficulty} levels of {env_id}"):
                found = measured(env_id, difficulty, parsed.episodes, folder)
            lines = markdown(found).splitlines()
            print("\n".join(lines[-1:] if records else lines), flush=True)
            records += found
    if parsed.summary is not None:
        if parsed.summary.exists():
            records += [each for each in read_summary(parsed.summary)["records"] if each["env"] not in parsed.envs]
        places = {env_id: n for n, env_id in enumerate(IDS)}
        records.sort(key=lambda record: places.get(record["env"], len(IDS)))
        write_summary(parsed.summary, {"records": records})


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(lambda: run(tyro.cli(Arguments, args=arguments, description=__doc__)), "interrupted")


if __name__ == "__main__":
    sys.exit(run_script(main))
