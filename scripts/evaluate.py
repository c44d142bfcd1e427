"""Evaluates a driver on levels it has never seen: that of a run, or one that learns nothing.

    .venv/bin/python scripts/evaluate.py runs/first --episodes 1000 --split test --seed 1000000 --json
    .venv/bin/python scripts/evaluate.py runs/first --difficulty hard --level-options num_vehicles 20
    .venv/bin/python scripts/evaluate.py --baseline rule-based --env drivesim/Highway-v1 --regret
    .venv/bin/python scripts/evaluate.py runs/first --futures 16 --episodes 100

Counts the first episode of each of --episodes distinct envs; where the run has levels of its own, it drives those
again. With --futures the driver looks ahead, see agents/planner.py. Prints one JSON object with --json. With --regret
the first of these episodes are also compared with the best drives: what the driver earns less, and how many more
ticks and changes of lane it takes. Rewards are the environment's own default ones, whatever weights the driver was
trained with.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym
import tyro

from agents.baselines import make_baseline, spoken
from agents.checkpoint import CheckpointError
from agents.command_line import refuse
from agents.environments import EnvChoice, LevelChoice, asked_for, env_for, with_level_options
from agents.evaluation import evaluate
from agents.planner import Planner
from agents.policy import Policy
from agents.regret import BUDGET, in_words, regret
from agents.run_folder import run_at
from agents.training import load_policy
from agents.validation import check_at_least, require
from drivesim.decimals import DASH, significant
from drivesim.files import printable


@dataclass(frozen=True)
class Arguments(LevelChoice):
    """Arguments of the command line; without a choice of levels, they are as in the run."""

    run_dir: Annotated[Path | None, tyro.conf.Positional] = None
    """Run folder, runs/latest for the newest; none for a baseline."""
    baseline: str | None = None
    """Instead of a run, a driver that learns nothing: random, never-steers, ignores-others, rule-based or
    planner, which looks ahead with the rule-based one."""
    env: str | None = None
    """Environment id of a baseline; by default drivesim/Obstacles-v1, with --levels drivesim/Custom-v1. Of a run, one
    that it was trained on: one of several, or MODULE:ID, where a module of yours registers it."""
    episodes: int = 1000
    """Number of envs, and hence of episodes."""
    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    seed: int = 1_000_000
    """Seed of the first env; the others follow one by one."""
    checkpoint: Literal["best", "last"] = "best"
    """Which driver of the run."""
    futures: int = 0
    """In how many futures every action is tried, with the driver at the wheel afterwards; 0 does not look ahead."""
    regret: bool = False
    """Also compare the first drives with the best ones."""
    regret_levels: int = 40
    """On how many levels, of each environment."""
    regret_budget: int = BUDGET
    """Ticks of forked worlds that the search for the best drive may take on a level."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def __post_init__(self) -> None:
        """Checks that there is one driver, and the numbers."""
        if (self.run_dir is None) == (self.baseline is None):
            raise ValueError("give either a run folder or --baseline")
        require("regret_levels", self.regret_levels, self.regret_levels >= 2, "at least 2")
        check_at_least(self, 0, "regret_budget", "futures")

    def driver(self) -> tuple[Policy, EnvChoice, str]:
        """The driver, where it drives, and its name.

        Raises:
            ValueError, OSError, CheckpointError: there is no such driver, or it cannot be read.
        """
        policy: Policy
        choice: EnvChoice
        if self.baseline is not None:
            env_id = env_for(self.env, self.levels, EnvChoice.env)
            policy, choice = make_baseline(self.baseline, self.chosen_in(EnvChoice(env_id)))
            name = spoken(self.baseline)
        else:
            assert self.run_dir is not None
            part = asked_for(self.env)
            policy, config = load_policy(run_at(self.run_dir), self.checkpoint)
            name, choice = config.agent, self.chosen_in(config.part(part))
        if self.futures:
            return Planner(policy, num_futures=self.futures), choice, f"{name}, {self.futures} futures"
        return policy, choice, name


def text_of(record: dict[str, Any]) -> str:
    """A record of one environment, or that of all, a line for each value."""
    return "\n".join(f"{name:26s} {readable(name, value)}" for name, value in record.items())


def readable(name: str, value: Any) -> str:
    """A value of the record in a few characters; --json has all of it."""
    if name == "levels":
        return f"{len(value)} of your own"
    if isinstance(value, list):
        return " to ".join(readable(name, each) for each in value)
    if value is None:
        return DASH
    return significant(value, 4) if isinstance(value, float) else printable(str(value))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given))
    try:
        policy, config, agent = parsed.driver()
        same: dict[str, Any] = {"seed": parsed.seed, "split": parsed.split, "agent": agent}
        with stage(f"driving {parsed.episodes:,} episodes"):
            record = evaluate(policy, config, episodes=parsed.episodes, **same)
        if parsed.regret:
            with stage(f"looking for the best drives on {parsed.regret_levels} levels"):
                record["regret"] = regret(
                    policy, config, levels=parsed.regret_levels, budget=parsed.regret_budget, **same
                )
    except (ValueError, OSError, CheckpointError, gym.error.Error) as error:
        return refuse(error)
    if parsed.json:
        print(json.dumps(record, allow_nan=False))
    else:
        regrets, each = record.pop("regret", []), record.pop("each", [])
        print("\n\n".join([*(text_of(part) for part in (record, *each)), *map(in_words, regrets)]))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
