"""Measures what the planner finds: the best drives of every scenario, and how far the rule-based driver is from them.

    .venv/bin/python scripts/optimum.py --summary docs/optimum.json
    .venv/bin/python scripts/optimum.py --envs drivesim/Highway-v1 --levels 10 --budget 200000

On the first held-out levels at medium difficulty; the rule-based driver's drive is where the planner begins. Where
nobody but the ego moves there are five times as many levels, City has half the budget. A row that the summary
already holds, of as many levels and the same budget, is not measured again: the same command goes on after an
interruption. The table is printed.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import os
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from tables import table

from agents.baselines import make_baseline
from agents.command_line import status_of
from agents.environments import EnvChoice, generates_levels
from agents.regret import BUDGET, TOLERANCE, Compared, compare, condensed
from agents.results import FINAL_SEED, read_summary, write_summary
from agents.validation import check_at_least, require
from drivesim.decimals import decimal
from drivesim.files import require_place
from drivesim.registry import IDS

MANY = 5
"""Times as many levels where nobody answers to the ego."""
UNANSWERED = ("Autodrive", "LaneKeep", "Obstacles")
"""Scenarios in which nobody does."""
BUDGETS = {"City": 0.5}
"""Shares of the budget that are not 1, by scenario: its worlds are large."""
WITHIN = 0.1
"""An interval is narrow if it is at most this share of what lies between its upper end and the driver."""


@dataclass(frozen=True)
class Row:
    """A row of the table: an environment, its options, and how many levels and how large a budget it gets."""

    env_id: str
    options: dict[str, int] = field(default_factory=dict)
    levels: int = 1
    budget: float = 1.0

    def key(self, levels: int, budget: int) -> dict[str, Any]:
        """The fields of a record that say what was measured.

        Args:
            levels: of a row with one share of them.
            budget: of a row with one share of it.
        """
        return {
            "env": self.env_id,
            "level_options": self.options,
            "seed": FINAL_SEED,
            "levels": self.levels * levels,
            "budget": int(self.budget * budget),
        }


def row_of(env_id: str) -> Row:
    """The row of an environment as its scenario makes levels."""
    name = scenario_name(env_id)
    return Row(env_id, levels=MANY if name in UNANSWERED else 1, budget=BUDGETS.get(name, 1.0))


def scenario_name(env_id: str) -> str:
    """The name of an id's scenario."""
    return env_id.rpartition("/")[2].rpartition("-v")[0]


ROWS = (
    *map(row_of, filter(generates_levels, IDS)),
    *(Row(env_id, {"num_vehicles": 0}, MANY) for env_id in IDS if scenario_name(env_id) == "Parking"),
)
"""All rows, in their order."""


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    envs: tuple[str, ...] = tuple(dict.fromkeys(row.env_id for row in ROWS))
    """Environment ids; by default those with held-out levels."""
    levels: int = 40
    """Held-out levels of each."""
    budget: int = BUDGET
    """Ticks of forked worlds that may be driven for a level."""
    num_threads: int = min(2, os.cpu_count() or 1)
    """Of the planner; only the time that one waits depends on it."""
    summary: Path | None = None
    """Write the records to this file after every row, and leave out the rows that it holds already."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 2, "levels")
        check_at_least(self, 1, "num_threads")
        check_at_least(self, 0, "budget")
        known = {row.env_id for row in ROWS}
        for env_id in self.envs:
            require("envs", env_id, env_id in known, f"among {sorted(known)}")


def measured(row: Row, levels: int, budget: int, num_threads: int) -> dict[str, Any]:
    """A row's record; arguments as on the command line."""
    key = row.key(levels, budget)
    policy, choice = make_baseline("rule-based", EnvChoice(row.env_id, level_options=row.options))
    seeds = range(FINAL_SEED, FINAL_SEED + key["levels"])
    compared = compare(policy, choice, seeds, "test", key["budget"], num_threads)
    seconds = [each.seconds for each in compared]
    return {
        **key,
        "exact": sum(each.is_exact for each in compared),
        "narrow": sum(map(is_narrow, compared)),
        **condensed(compared),
        "mean_seconds": sum(seconds) / len(seconds),
        "max_seconds": max(seconds),
    }


def is_narrow(level: Compared) -> bool:
    """Whether the interval is small beside what the driver may still gain."""
    gap = level.upper - level.plan.total_reward
    return gap <= WITHIN * (level.upper - level.driver.total_reward) + TOLERANCE


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table; below it the ids of which there are none."""
    took = "its ticks", "its changes of lane"
    rows: list[tuple[str, ...]] = [
        (
            "id",
            "levels",
            "budget",
            "exact",
            "within 10 %",
            "optimum",
            *took,
            "rule-based",
            *took,
            "seconds: mean, longest",
        )
    ]
    for record in records:
        options = ", ".join(f"`{name}={value}`" for name, value in record["level_options"].items())
        low, high = (decimal(record[f"mean_{end}"], 3) for end in ("lower", "upper"))
        rows.append(
            (
                ", ".join(filter(None, [f"`{record['env']}`", options])),
                str(record["levels"]),
                f"{record['budget']:,}",
                str(record["exact"]),
                str(record["narrow"]),
                low if low == high else f"{low} to {high}",
                f"{record['plan_mean_length']:.1f}",
                f"{record['plan_mean_lane_changes']:.1f}",
                decimal(record["mean_return"], 3),
                f"{record['mean_length']:.1f}",
                f"{record['mean_lane_changes']:.1f}",
                f"{record['mean_seconds']:.2f}, {record['max_seconds']:.2f}",
            )
        )
    there = [place(record) for record in records]
    missing = [f"`{row.env_id}`" for n, row in enumerate(ROWS) if n not in there]
    note = f"Not measured by this command yet: {', '.join(dict.fromkeys(missing))}."
    return table(rows) + (f"\n\n{textwrap.fill(note, 120)}" if missing else "")


def place(record: dict[str, Any]) -> int:
    """The place of a record's row in the table; behind all others if it is none of this version's."""
    keys = [(row.env_id, row.options) for row in ROWS]
    key = record["env"], record["level_options"]
    return keys.index(key) if key in keys else len(keys)


def measure(arguments: Arguments) -> None:
    """Measures the rows that the summary does not hold yet."""
    path = arguments.summary
    require_place(path)
    records = read_summary(path)["records"] if path is not None and path.exists() else []
    for n, row in enumerate(ROWS):
        if row.env_id not in arguments.envs:
            continue
        key = row.key(arguments.levels, arguments.budget)
        if any(key.items() <= record.items() for record in records):
            continue
        with stage(f"looking for the best drives on {row.levels * arguments.levels} levels of {row.env_id}"):
            fresh = measured(row, arguments.levels, arguments.budget, arguments.num_threads)
        records = sorted([*(each for each in records if place(each) != n), fresh], key=place)
        print(markdown([fresh]).splitlines()[2], flush=True)
        if path is not None:
            write_summary(path, {"records": records})


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(lambda: measure(tyro.cli(Arguments, args=arguments, description=__doc__)))


if __name__ == "__main__":
    sys.exit(run_script(main))
