"""Trains a driver and compares it with simpler ones on levels it has never seen.

    .venv/bin/python scripts/train.py --env drivesim/Obstacles-v1 --seed 0 --max-seconds 60 --out runs/first
    .venv/bin/python scripts/train.py --env drivesim/Highway-v1 --level-options num_vehicles 20 --out runs/second
    .venv/bin/python scripts/train.py --levels gallery/chicane roads/*.txt --out runs/third
    .venv/bin/python scripts/train.py --agent dqn --env drivesim/Highway-v1,drivesim/Intersection-v1 --out runs/both
    .venv/bin/python scripts/train.py --env all --out runs/roads
    .venv/bin/python scripts/train.py --out runs/first --resume

Of several environments, separated by commas, or of all that make their own levels, one driver learns all at once.
Every field of the run's and the algorithm's configuration is a flag; --help lists them with
their values for the chosen environment and algorithm.
"""

from __future__ import annotations

from drivesim.stages import begin_script, ctrl_c_ends, run_script, stage

if __name__ == "__main__":
    begin_script()

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast

import gymnasium as gym
import tyro

from agents.baselines import baselines_of, make_baseline
from agents.checkpoint import CheckpointError
from agents.command_line import PAIRS, refuse
from agents.environments import (
    EnvChoice,
    env_for,
    ids_of,
    require_registered,
    with_level_options,
)
from agents.evaluation import Policy, evaluate
from agents.plots import plot_learning_curve
from agents.presets import preset_for
from agents.results import FINAL_SEED
from agents.run_config import AGENT_CONFIGS, AgentConfig, AgentName, TrainConfig, read_configs, require_resumable
from agents.run_folder import default_folder, run_at
from agents.training import NotFiniteError, TrainResult, load_policy, resume, train
from agents.validation import check_at_least
from agents.videos import record_episode
from agents.warm_start import driver_of
from drivesim.decimals import DASH
from drivesim.files import write_whole

_AgentConfig = TypeVar("_AgentConfig", bound=AgentConfig)


@dataclass(frozen=True)
class Arguments(Generic[_AgentConfig]):
    """Arguments of the command line."""

    train: Annotated[TrainConfig, tyro.conf.arg(name="")]
    """The run."""
    agent_config: Annotated[_AgentConfig, tyro.conf.arg(name="")]
    """The algorithm."""
    out: Path | None = None
    """Run folder; by default one in runs named after environment, agent, seed and time. With --resume, runs/latest is
    the newest in runs."""
    resume: bool = False
    """Continue the run in --out, with its own settings."""
    final_episodes: int = 1000
    """Held-out episodes of the final comparison."""

    def __post_init__(self) -> None:
        """Checks what the configurations do not."""
        check_at_least(self, 1, "final_episodes")


def parse(arguments: list[str]) -> Arguments[AgentConfig]:
    """Reads the command line over the preset of its environment and algorithm, or over the run to be resumed."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--env", nargs="*")
    finder.add_argument("--levels", nargs="*")
    finder.add_argument("--agent", default=TrainConfig.agent)
    finder.add_argument("--out", type=Path)
    finder.add_argument("--resume", action="store_true")
    found, _ = finder.parse_known_args(arguments)
    if found.resume and found.out is None:
        raise ValueError("--resume needs --out, the run folder")
    if found.env is not None and len(found.env) != 1:
        together = ",".join(found.env) or "ID"
        raise ValueError(f"--env takes one word, an id or several separated by commas: --env {together}")
    if found.resume:
        if found.env:
            ids_of(found.env[0])  # whose module a run does not import by itself
        train_config, agent_config = read_configs(run_at(found.out))
    else:
        ids = ids_of(env_for(found.env and found.env[0], found.levels, TrainConfig.env))
        for each in ids:
            require_registered(each)
        if found.agent not in AGENT_CONFIGS:
            raise ValueError(f"agent must be one of {list(AGENT_CONFIGS)}, got {found.agent!r}")
        preset = preset_for(",".join(ids), cast(AgentName, found.agent))
        train_config, agent_config = preset.train, preset.agent
    kind: Any = Arguments  # with the flags of one algorithm
    parsed: Arguments[AgentConfig] = tyro.cli(
        kind[type(agent_config)],
        args=arguments,
        default=Arguments(train=train_config, agent_config=agent_config),
        description=with_level_options(__doc__ or "", arguments, train_config.env),
        registry=PAIRS,
    )
    return parsed


def run(arguments: Arguments[AgentConfig]) -> TrainResult:
    """Trains, or continues, and says how it went."""
    config = arguments.train
    folder = arguments.out or default_folder(config.env, config.agent, config.seed)
    if arguments.resume:
        folder = run_at(folder)
        saved, saved_agent = read_configs(folder)
        require_resumable(saved, config)
        require_resumable(saved_agent, arguments.agent_config, changeable=())
        result = resume(folder, config)
    else:
        if config.begin_with:  # before this run is the newest
            config = replace(config, begin_with=str(run_at(Path(config.begin_with))))
        result = train(config, arguments.agent_config, folder)
    rate = f"{result.best_success:.1%}" if result.best_success is not None else "not evaluated"
    ending = "Interrupted" if result.reason == "interrupted" else f"Stopped by {result.reason}"
    print(
        f"\n{ending} after {result.global_step:,} steps and "
        f"{result.seconds:.1f} s; best success in evaluations while training: {rate}."
    )
    return result


def compare(folder: Path, episodes: int) -> list[dict[str, Any]]:
    """Drives the same held-out levels with the trained and the simple drivers, in every environment of the run."""
    trained, config = load_policy(folder)
    drivers: list[tuple[str, Policy, EnvChoice]] = []
    for choice in replace(config, env_shares={}).each():  # shares are of several ids, and simple drivers see but one
        alone = replace(choice, among="")
        simple = ((name, *make_baseline(name, alone)) for name in baselines_of(choice.env))
        drivers += [(config.agent, trained, choice), *simple]
    return [
        evaluate(policy, env_config, episodes=episodes, seed=FINAL_SEED, agent=name)
        for name, policy, env_config in drivers
    ]


def comparison(records: list[dict[str, Any]]) -> str:
    """Lays out the drivers of one environment, one row each."""
    header = ("driver", "success (95 %)", "collision", "off-road", "timeout", "ticks to goal")
    return laid_out([header, *((record["agent"], *cells(record)) for record in records)])


def comparison_of_roads(records: list[dict[str, Any]]) -> str:
    """Lays out several environments, one row each: the trained driver, the first of each, and the success of others."""
    others = list(dict.fromkeys(record["agent"] for record in records))[1:]
    rows = [("environment", "success (95 %)", "collision", "off-road", "timeout", "ticks to goal", *others)]
    for env_id in dict.fromkeys(record["env"] for record in records):
        trained, *beside = (record for record in records if record["env"] == env_id)
        successes = {record["agent"]: f"{record['success_rate']:.1%}" for record in beside}
        rows.append((env_id, *cells(trained), *(successes.get(name, DASH) for name in others)))
    return laid_out(rows)


def cells(record: dict[str, Any]) -> tuple[str, ...]:
    """What a record tells, from the success on."""
    low, high = record["success_ci95"]
    rates = [record[f"{event}_rate"] for event in ("collision", "off_road", "timeout")]
    ticks = record["mean_length_of_successes"]
    return (
        f"{record['success_rate']:.1%} ({low:.1%}{DASH}{high:.1%})",
        *(DASH if rate is None else f"{rate:.1%}" for rate in rates),
        DASH if ticks is None else f"{ticks:.1f}",
    )


def laid_out(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status, as shells have it where a signal stopped the run."""
    with ctrl_c_ends():
        try:
            parsed = parse(sys.argv[1:] if arguments is None else arguments)
            result = run(parsed)
            if result.signal is not None:
                print(f"Continue with --resume --out {result.folder}", flush=True)
                return 128 + result.signal
            finish(result.folder, parsed.final_episodes)
        except (ValueError, OSError, ModuleNotFoundError, CheckpointError, NotFiniteError, gym.error.Error) as error:
            return refuse(error)
    return 0


def finish(folder: Path, episodes: int) -> None:
    """Draws, films and compares the driver of a run."""
    policy, config = load_policy(folder)
    with stage("drawing the learning curve"):
        plot_learning_curve([folder])
    driver = f"{config.agent}, seed {config.seed}"
    for choice in config.each():
        films = folder / choice.env.rpartition("/")[2] if choice.among else folder
        films.mkdir(exist_ok=True)
        with stage(f"filming a drive of {choice.env}"):
            record_episode(policy, choice, films, seed=FINAL_SEED, driver=driver)
    with stage(f"driving {episodes:,} held-out levels, with this driver and with simple ones"):
        records = compare(folder, episodes)
    for record in records:
        if record["agent"] == config.agent:  # which driver of the run was measured: it may be resumed and have another
            record["global_step"] = driver_of(folder).values["global_step"]
    write_whole(folder / "evaluation.json", json.dumps(records, indent=2) + "\n")
    is_one = len(config.each()) == 1
    shown, road = (comparison(records), config.env) if is_one else (comparison_of_roads(records), "each environment")
    driven = "drives of the levels given to" if is_one and config.levels else "held-out levels of"
    print(f"{episodes:,} {driven} {road}:\n\n{shown}\n")
    print(f"Everything is in {folder}/")


if __name__ == "__main__":
    sys.exit(run_script(main))
