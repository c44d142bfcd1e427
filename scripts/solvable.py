"""Proves that held-out levels can be driven to their goals, and that nobody earns more than the planner's bound.

    .venv/bin/python scripts/solvable.py --runs runs/results --summary docs/solvable.json
    .venv/bin/python scripts/solvable.py --envs drivesim/Merge-v1 --difficulties hard --episodes 100

A drive that arrives without a failure is the proof for its level: the rule-based driver's; where it fails, another
one's that learns nothing or that of a finished run; and where all of them fail, the planner's. Where bounds are
measured, all of these drivers drive all levels, and what they earn is compared with what the planner says that no drive
is worth more than, which it finds without knowing any of them. A row that the summary already holds, of as many levels
and with at least these drivers, is not measured again: the same command goes on after an interruption. The table is
printed.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import contextlib
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from tables import table

from agents.baselines import make_baseline
from agents.command_line import status_of
from agents.environments import EnvChoice, generates_levels
from agents.evaluation import first_drives
from agents.policy import Policy
from agents.race import read_record
from agents.regret import BUDGET, TOLERANCE
from agents.results import BASELINES, FINAL_SEED, read_summary, write_summary
from agents.training import load_policy
from agents.validation import check_at_least, require
from drivesim.config import DIFFICULTIES
from drivesim.decimals import DASH
from drivesim.files import require_place
from drivesim.planning import solve
from drivesim.registry import IDS

RULES = "rule-based"
PLANNER = "planner"
BUDGETS = (0, BUDGET)
"""Of the planner, until it arrives."""


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    envs: tuple[str, ...] = tuple(filter(generates_levels, IDS))
    """Environment ids; by default those with held-out levels."""
    difficulties: tuple[str, ...] = DIFFICULTIES
    """Of the levels, in the order in which they are measured."""
    bounds: tuple[str, ...] = ("medium",)
    """Difficulties at which drives are compared with the planner's bounds."""
    episodes: int = 1000
    """Held-out levels of each."""
    runs: Path | None = None
    """Folder of a race, whose finished runs' drivers drive as well."""
    summary: Path | None = None
    """Write the records to this file after every row, and leave out the rows that it holds already."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "episodes")
        known = list(filter(generates_levels, IDS))
        for env_id in self.envs:
            require("envs", env_id, env_id in known, f"among {known}")
        for name in ("difficulties", "bounds"):
            for difficulty in getattr(self, name):
                require(name, difficulty, difficulty in DIFFICULTIES, f"among {list(DIFFICULTIES)}")


def drivers_of(env_id: str, difficulty: str, runs: list[Path]) -> Iterator[tuple[str, Policy, EnvChoice]]:
    """Names of drivers, these, and where they drive; the rule-based one is the first."""
    levels = EnvChoice(env_id, difficulty=difficulty)
    for name in sorted(BASELINES, key=lambda name: name != RULES):
        yield name, *make_baseline(name, levels)
    for run in runs:
        policy, config = load_policy(run)
        yield run.name, policy, replace(config, difficulty=difficulty)


def runs_of(env_id: str, folder: Path | None) -> list[Path]:
    """The folders of an environment's finished runs in that of a race."""
    if folder is None:
        return []
    found = sorted(folder.glob(f"{env_id.rpartition('/')[2]}__*__*/"))
    return [run for run in found if read_record(run) is not None]


def measured(env_id: str, difficulty: str, arguments: Arguments, runs: list[Path]) -> dict[str, Any]:
    """A row's record: which levels have been solved by whom, and how many drives were worth more than the bound."""
    seeds = range(FINAL_SEED, FINAL_SEED + arguments.episodes)
    is_bounded = difficulty in arguments.bounds
    left = set(seeds)
    first_by: dict[str, int] = {}
    returns = []
    for name, policy, choice in drivers_of(env_id, difficulty, runs):
        wanted = seeds if is_bounded else sorted(left)
        results = first_drives(policy, choice, wanted, "test").results if wanted else {"success": np.zeros(0)}
        solved = left & {seed for seed, success in zip(wanted, results["success"], strict=True) if success}
        first_by[name] = len(solved)
        left -= solved
        if is_bounded:
            returns.append(results["episode_return"])
    with contextlib.closing(gym.make(env_id, disable_env_checker=True, split="test", difficulty=difficulty)) as env:
        unsolved = [seed for seed in sorted(left) if not is_solvable(env, seed)]
        bound = bounded(env, seeds, np.stack(returns)) if is_bounded else None
    first_by[PLANNER] = len(left) - len(unsolved)
    return {
        "env": env_id,
        "difficulty": difficulty,
        "seed": FINAL_SEED,
        "episodes": arguments.episodes,
        "first_by": first_by,
        "unsolved": unsolved,
        "bound": bound,
    }


def is_solvable(env: gym.Env[Any, Any], seed: int) -> bool:
    """Whether the planner arrives."""
    for budget in BUDGETS:
        env.reset(seed=seed)
        if solve(env, budget=budget).success:
            return True
    return False


def bounded(env: gym.Env[Any, Any], seeds: range, returns: np.ndarray[Any, Any]) -> dict[str, Any]:
    """How many drives there are, how many of them are worth more than the bound, and the least that lies between.

    Args:
        env: of the levels.
        seeds: (N,) of the levels.
        returns: (D, N) what D drivers earn.
    """
    uppers = []
    for seed in seeds:
        env.reset(seed=seed)
        uppers.append(solve(env, budget=0).upper)
    gaps = np.array(uppers) - returns
    return {
        "drives": int(gaps.size),
        "above": int((gaps < -TOLERANCE).sum()),
        "at_bound": int((np.abs(gaps) <= TOLERANCE).sum()),
        "least_gap": float(gaps.min()),
    }


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table, and below it the levels that nobody could solve."""
    rows: list[tuple[str, ...]] = [("id", *DIFFICULTIES, "drives at the bound", "above it")]
    found = {(record["env"], record["difficulty"]): record for record in records}
    for env_id in dict.fromkeys(record["env"] for record in records):
        own = [found.get((env_id, difficulty)) for difficulty in DIFFICULTIES]
        bounds = [record["bound"] for record in own if record is not None and record["bound"] is not None]
        drives, at_bound, above = (sum(bound[name] for bound in bounds) for name in ("drives", "at_bound", "above"))
        told = (f"{at_bound:,} of {drives:,}", str(above)) if bounds else (DASH, DASH)
        rows.append((f"`{env_id}`", *map(share, own), *told))
    levels = sum(record["episodes"] for record in records)
    unsolved = [(record, seed) for record in records for seed in record["unsolved"]]
    note = f"Solved in all: {levels - len(unsolved):,} of {levels:,}."
    if unsolved:
        names = (f"`{record['env']}`, {record['difficulty']}, seed {seed:,}" for record, seed in unsolved)
        note += f" Nobody arrived in {'; '.join(names)}."
    ids = {env_id for env_id, _ in found}
    missing = [f"`{env_id}`" for env_id in filter(generates_levels, IDS) if env_id not in ids]
    missing += [f"what is {DASH} in the table"] * any(DASH in row[1 : 1 + len(DIFFICULTIES)] for row in rows)
    if missing:
        note += f" Not measured by this command yet: {', '.join(missing)}."
    return f"{table(rows)}\n\n{textwrap.fill(note, 120, break_on_hyphens=False)}"


def share(record: dict[str, Any] | None) -> str:
    """The share of a row's levels that are solved: by the rule-based driver, by others, by the planner."""
    if record is None:
        return DASH
    by = record["first_by"]
    rules, planner = by[RULES], by[PLANNER]
    others = sum(by.values()) - rules - planner
    return f"{100 * sum(by.values()) / record['episodes']:.1f} % ({rules} + {others} + {planner})"


def place(record: dict[str, Any]) -> tuple[int, int]:
    """The place of a record."""
    env_id = record["env"]
    return IDS.index(env_id) if env_id in IDS else len(IDS), DIFFICULTIES.index(record["difficulty"])


def is_there(record: dict[str, Any], arguments: Arguments, names: set[str]) -> bool:
    """Whether a record has what is wanted now, and of as many levels."""
    has_bound = record["bound"] is not None or record["difficulty"] not in arguments.bounds
    return record["episodes"] == arguments.episodes and names <= set(record["first_by"]) and has_bound


def measure(arguments: Arguments) -> None:
    """Measures the rows that the summary does not hold yet."""
    path = arguments.summary
    require_place(path)
    records = read_summary(path)["records"] if path is not None and path.exists() else []
    for difficulty, env_id in product(arguments.difficulties, arguments.envs):
        runs = runs_of(env_id, arguments.runs)
        known = {(record["env"], record["difficulty"]): record for record in records}
        before = known.pop((env_id, difficulty), None)
        if before is not None and is_there(before, arguments, {run.name for run in runs}):
            continue
        with stage(f"driving {arguments.episodes:,} {difficulty} levels of {env_id}"):
            fresh = measured(env_id, difficulty, arguments, runs)
        records = sorted([*known.values(), fresh], key=place)
        print(f"{difficulty}: {markdown([fresh]).splitlines()[2]}", flush=True)
        if path is not None:
            write_summary(path, {"records": records})


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(lambda: measure(tyro.cli(Arguments, args=arguments, description=__doc__)))


if __name__ == "__main__":
    sys.exit(run_script(main))
