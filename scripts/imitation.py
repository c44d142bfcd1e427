"""Measures how many drives of an expert behaviour cloning and DAgger need to learn to drive.

    .venv/bin/python scripts/imitation.py --out runs/imitation
    .venv/bin/python scripts/imitation.py --out runs/imitation --agents dagger --max-seconds 300

One run for each environment in which the best drive is known exactly, and for each algorithm, with the first training
seed and the algorithms' default settings. Counted are the drives until an evaluation on held-out levels first reached
95 % and 99 %: of behaviour cloning those that the expert drove, of DAgger those, by whomever, that it commented on.
Prints a table. A run that is there already is not made again.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import csv
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from tables import table

from agents.checkpoint import CheckpointError
from agents.command_line import status_of
from agents.evaluation import evaluate
from agents.presets import preset_for
from agents.race import finish_training
from agents.results import FINAL_SEED, THRESHOLDS
from agents.training import NotFiniteError, load_policy
from agents.validation import check_at_least
from drivesim.decimals import DASH

ROADS: tuple[tuple[str, dict[str, int]], ...] = (
    ("drivesim/LaneKeep-v1", {}),
    ("drivesim/Obstacles-v1", {}),
    ("drivesim/Autodrive-v1", {}),
    ("drivesim/Parking-v1", {"num_vehicles": 0}),
)
"""Where nobody answers to the ego: ids, with the options of levels that see to that."""


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    out: Path
    """Folder of the runs."""
    agents: tuple[Literal["bc", "dagger"], ...] = ("bc", "dagger")
    """Algorithms."""
    envs: tuple[str, ...] = tuple(env_id for env_id, _ in ROADS)
    """Environment ids, among those four."""
    total_steps: int = 20_480
    """Steps of each run, at most: it ends when an evaluation reaches 99 %."""
    max_seconds: float | None = None
    """Wall-clock time of each run, at most; None = whatever it takes."""
    eval_interval: int = 2048
    """Steps between two evaluations, on 500 levels."""
    episodes: int = 1000
    """Levels of the final evaluation."""

    def __post_init__(self) -> None:
        """Checks the numbers."""
        check_at_least(self, 1, "total_steps", "eval_interval", "episodes")


def drives_until(path: Path, threshold: float) -> int | None:
    """The drives that had ended when an evaluation first reached a share of held-out episodes; None if none did.

    Args:
        path: of a metrics.csv.
        threshold: the share.
    """
    drives = 0.0
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            drives += float(row.get("rollout/episodes") or 0.0)
            if row.get("eval/success_rate") and float(row["eval/success_rate"]) >= threshold:
                return int(drives)
    return None


def measured(
    env_id: str, options: dict[str, int], agent: Literal["bc", "dagger"], arguments: Arguments
) -> dict[str, Any]:
    """Trains, if need be, and tells what came of it."""
    folder = arguments.out / f"{env_id.rpartition('/')[2]}__{agent}"
    preset = preset_for(env_id, agent)
    config = dataclasses.replace(
        preset.train,
        level_options=options,
        total_steps=arguments.total_steps,
        max_seconds=arguments.max_seconds,
        stop_at_success=THRESHOLDS[-1],
        stop_at_return=None,
        log_interval=arguments.eval_interval,
        eval_interval=arguments.eval_interval,
        eval_episodes=500,
        num_threads=1,
        tensorboard=False,
        progress=False,
    )
    with stage(f"{agent} learns to drive {env_id}"):
        finish_training(folder, config, preset.agent)
    policy, choice = load_policy(folder)
    with stage(f"driving {arguments.episodes:,} levels of {env_id}"):
        result = evaluate(policy, choice, episodes=arguments.episodes, seed=FINAL_SEED)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "env": env_id,
        "options": options,
        "agent": agent,
        "drives": [drives_until(folder / "metrics.csv", threshold) for threshold in THRESHOLDS],
        "steps": int(rows[-1]["global_step"]),
        "seconds": float(rows[-1]["time/seconds"]),
        "success_rate": result["success_rate"],
    }


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table."""
    goals = [f"drives to {100 * threshold:.0f} %" for threshold in THRESHOLDS]
    lines: list[tuple[str, ...]] = [("id", "algorithm", *goals, "best driver", "steps", "seconds")]
    for record in records:
        options = ", ".join(f"`{name}={value}`" for name, value in record["options"].items())
        lines.append(
            (
                ", ".join(filter(None, [f"`{record['env']}`", options])),
                f"`{record['agent']}`",
                *(DASH if drives is None else f"{drives:,}" for drives in record["drives"]),
                f"{record['success_rate']:.1%}",
                f"{record['steps']:,}",
                f"{record['seconds']:.0f}",
            )
        )
    return table(lines)


def measure(arguments: Arguments) -> None:
    """Makes the runs that are missing, and prints the table."""
    roads = [(env_id, options) for env_id, options in ROADS if env_id in arguments.envs]
    print(markdown([measured(*road, agent, arguments) for road in roads for agent in arguments.agents]))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(
        lambda: measure(tyro.cli(Arguments, args=arguments, description=__doc__)),
        refusals=(CheckpointError, NotFiniteError),
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
