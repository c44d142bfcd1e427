"""Searches an algorithm's hyper-parameters with Optuna (Akiba et al. 2019), within agents/search_spaces.py.

    .venv/bin/python scripts/tune.py --env drivesim/Highway-v1 --agent ppo --trials 40 --max-seconds 60
    .venv/bin/python scripts/tune.py --env drivesim/Highway-v1 --agent ppo --trials 80 --max-seconds 60 --resume

A trial is a training run; its score is the mean share of held-out episodes over its last evaluations, and of equal
scores the one is better that reached --threshold sooner. The first trial is the preset. Trials that fall behind are
stopped early. The out folder holds study.sqlite, which --resume continues, the trials' metrics, trials.csv, best.json
and a picture.

The suggestions of a trial depend on --seed, on the finished trials before it and their scores, and on nothing else
(but its number, under Hyperband): every trial's sampler is seeded anew with --seed and the number of finished trials.
With a budget of steps alone the same command repeats a search, and a search killed and resumed ends as it would have.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import contextlib
import csv
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import tyro
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from agents.command_line import called, status_of
from agents.environments import require_registered
from agents.metrics import read_metrics
from agents.plots.search import plot_search
from agents.presets import preset_for
from agents.results import seconds_to
from agents.run_config import AgentConfig, AgentName, TrainConfig
from agents.run_folder import locked
from agents.search_spaces import SEARCH_SPACES, Choices, decoded, field_of, flags, with_fields
from agents.training import NotFiniteError, train
from agents.validation import check_at_least, check_choice, check_positive, require
from drivesim.registry import with_module

LAST_EVALUATIONS = 3  # whose mean is a trial's score
STARTUP_TRIALS = 8  # drawn at random, and not stopped early, before there is something to learn from
_SAVED = ("env", "agent", "seed", "total_steps", "max_seconds", "evaluations", "threshold", "pruner", "parameters")
_SHOWN = ("progress", "tensorboard")  # what a run shows of itself, which a search keeps to itself


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    env: str = TrainConfig.env
    """Environment id."""
    agent: AgentName = TrainConfig.agent
    """Algorithm."""
    seed: int = 0
    """Of the suggestions and of every training run."""
    trials: int = 40
    """Finished trials in the end, over all parts of the search."""
    total_steps: int | None = None
    """Environment steps of a trial; None takes the preset's."""
    max_seconds: float | None = None
    """Longest training of a trial, in seconds; scores then depend on the machine."""
    evaluations: int = 10
    """Evaluations over the steps of a trial."""
    threshold: float = 0.95
    """Share of held-out episodes that decides, by the time to reach it, between equal scores."""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """Who stops trials early: those below the median of the others, Hyperband (Li et al. 2018), or nobody."""
    parameters: tuple[str, ...] = ()
    """Search only these names of the search space; none searches all."""
    num_threads: int = 1
    """Threads of torch."""
    out: Path | None = None
    """Folder of the search; by default one below runs/tune/ named after environment, agent and seed."""
    resume: bool = False
    """Continue the search in the folder."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "trials", "evaluations", "num_threads")
        check_at_least(self, 0, "seed")
        check_choice(self, "pruner")
        require("threshold", self.threshold, 0.0 < self.threshold <= 1.0, "in (0, 1]")
        if self.total_steps is not None:
            check_at_least(self, 1, "total_steps")
        if self.max_seconds is not None:
            check_positive(self, "max_seconds")
        object.__setattr__(self, "env", require_registered(self.env))
        known = list(SEARCH_SPACES[self.agent])
        for name in self.parameters:
            require("parameters", name, name in known, f"among {known}")

    @property
    def folder(self) -> Path:
        """Where the search lies."""
        name = f"{self.env.rsplit('/', 1)[-1]}__{self.agent}__{self.seed}"
        return self.out if self.out is not None else Path("runs/tune") / name


# --- a trial ----------------------------------------------------------------------------------------------------------


def configs(arguments: Arguments) -> tuple[TrainConfig, AgentConfig]:
    """The settings of a trial, before anything is suggested."""
    preset = preset_for(arguments.env, arguments.agent)
    total_steps = arguments.total_steps or preset.train.total_steps
    interval = max(total_steps // arguments.evaluations, 1)
    config = replace(
        preset.train,
        seed=arguments.seed,
        total_steps=total_steps,
        max_seconds=arguments.max_seconds,
        stop_at_success=None,  # a run that ends early would be scored with its early evaluations
        eval_interval=interval,
        log_interval=interval,
        num_threads=arguments.num_threads,
        tensorboard=False,
        progress=False,
    )
    return config, preset.agent


def names(arguments: Arguments) -> tuple[str, ...]:
    """What is searched."""
    return arguments.parameters or tuple(SEARCH_SPACES[arguments.agent])


def suggest(trial: optuna.Trial, arguments: Arguments) -> dict[str, Any]:
    """Lets the study choose values; choices are known to it as JSON, which every database can hold."""
    values: dict[str, Any] = {}
    for name in names(arguments):
        space = SEARCH_SPACES[arguments.agent][name]
        if isinstance(space, Choices):
            label = trial.suggest_categorical(name, [json.dumps(value) for value in space.values])
            values[name] = decoded(label)
        elif isinstance(space.low, int) and isinstance(space.high, int):
            values[name] = trial.suggest_int(name, space.low, space.high, log=space.log)
        else:
            values[name] = trial.suggest_float(name, space.low, space.high, log=space.log)
    return values


def encoded(arguments: Arguments, config: AgentConfig) -> dict[str, Any]:
    """A configuration's values as a study holds them."""
    spaces = SEARCH_SPACES[arguments.agent]
    values = {name: field_of(config, name) for name in names(arguments)}
    return {name: json.dumps(value) if isinstance(spaces[name], Choices) else value for name, value in values.items()}


def score(folder: Path, config: TrainConfig, threshold: float) -> float:
    """The score of a finished run: success, and a bonus too small to outweigh a single episode.

    The less of the budget passed before the threshold, a share of held-out episodes, the larger the bonus.
    """
    steps, successes = read_metrics(folder / "metrics.csv", "eval/success_rate")
    if config.max_seconds is None:
        reached = [step for step, success in zip(steps, successes, strict=True) if success >= threshold]
        share_used = reached[0] / config.total_steps if reached else 1.0
    else:
        seconds = seconds_to(folder / "metrics.csv", threshold)
        share_used = 1.0 if seconds is None else seconds / config.max_seconds
    bonus = 0.5 / (LAST_EVALUATIONS * config.eval_episodes) * (1.0 - min(share_used, 1.0))
    return float(np.mean(successes[-LAST_EVALUATIONS:])) + bonus


def run_trial(study: optuna.Study, arguments: Arguments) -> None:
    """Makes one trial.

    Raises:
        KeyboardInterrupt: training was asked to stop.
    """
    trial = study.ask()
    base, agent_base = configs(arguments)
    agent_config = with_fields(agent_base, suggest(trial, arguments))
    folder = arguments.folder / "trials" / f"{trial.number:04d}"
    num_evaluations = 0

    def must_stop(global_step: int, success: float) -> bool:
        nonlocal num_evaluations
        num_evaluations += 1
        trial.report(success, num_evaluations)
        return arguments.pruner != "none" and trial.should_prune()

    started = time.perf_counter()
    try:
        result = train(base, agent_config, folder, on_evaluation=must_stop)
    except NotFiniteError as error:  # such values are bad ones, and the search goes on
        print(f"trial {trial.number}: {error}", file=sys.stderr)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        trial.set_user_attr("steps", 0)
        trial.set_user_attr("seconds", time.perf_counter() - started)
        study.tell(trial, 0.0)
        return
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # the configuration is what is looked for
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    trial.set_user_attr("steps", result.global_step)
    trial.set_user_attr("seconds", result.seconds)
    if result.reason == "callback":
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, score(folder, base, arguments.threshold))


# --- the study --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_study(arguments: Arguments) -> Iterator[optuna.Study]:
    """Begins or continues the study of a folder.

    Raises:
        FileExistsError: another process searches in the folder.
        ValueError: there is a study that is not to be resumed, one with other settings, or a file that holds none.
    """
    folder, path = arguments.folder, arguments.folder / "study.sqlite"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        if not held.enter_context(locked(folder / "search.lock")):  # whose trials would be taken for killed ones
            raise FileExistsError(f"another process is searching in {folder}; wait for it, or choose another folder")
        if path.exists() and not arguments.resume:
            raise ValueError(f"{folder} already holds a study; pass --resume or another --out")
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
            held.callback(storage.engine.dispose)
            pruner = make_pruner(arguments)
            study = optuna.create_study(
                storage=storage, study_name="study", direction="maximize", pruner=pruner, load_if_exists=True
            )
        except SQLAlchemyError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path} holds no study that can be read: {reason}") from error
        wanted = json.loads(json.dumps({name: getattr(arguments, name) for name in _SAVED}))
        saved = study.user_attrs.get("settings")
        if saved is None:
            study.enqueue_trial(encoded(arguments, configs(arguments)[1]), skip_if_exists=True)
            study.set_user_attr("settings", wanted)
        for name, value in (saved or {}).items():
            require(name, wanted[name], wanted[name] == value, f"{value!r} as when the search began")
        requeue_killed(study, arguments.folder)
        yield study


def make_pruner(arguments: Arguments) -> optuna.pruners.BasePruner:
    """Makes the one who stops trials early; a resource is an evaluation."""
    if arguments.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=2, max_resource=max(arguments.evaluations, 2))
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=2)


def requeue_killed(study: optuna.Study, folder: Path) -> None:
    """Marks trials that a killed search left running as failed, and puts their values back into the queue."""
    for killed in study.get_trials(states=(TrialState.RUNNING,)):
        values = {**killed.system_attrs.get("fixed_params", {}), **killed.params}
        if values:
            study.enqueue_trial(values)
        study.tell(killed.number, state=TrialState.FAIL)
        shutil.rmtree(folder / "trials" / f"{killed.number:04d}", ignore_errors=True)


def make_sampler(seed: int, num_finished: int) -> optuna.samplers.TPESampler:
    """Makes the sampler of the next trial, with a seed of its own: it needs no state that a killed search loses."""
    own_seed = int(np.random.SeedSequence([seed, num_finished]).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=own_seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, in their order."""
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def search(arguments: Arguments) -> None:
    """Makes the trials that are missing and writes what was found.

    Raises:
        KeyboardInterrupt: training was asked to stop; --resume continues.
    """
    with open_study(arguments) as study:
        while (num_finished := len(finished_trials(study))) < arguments.trials:
            study.sampler = make_sampler(arguments.seed, num_finished)
            with stage(f"[{num_finished + 1}/{arguments.trials}] a trial learns"):
                run_trial(study, arguments)
            latest = finished_trials(study)[-1]
            print(
                f"[{num_finished + 1}/{arguments.trials}] trial {latest.number}: {latest.state.name.lower()} at "
                f"{latest.value:.2%}; best {study.best_value:.2%} (trial {study.best_trial.number})",
                flush=True,
            )
            write_results(study, arguments)
        plot_search(study, arguments.folder / "search.png")
        print(f"\nEverything is in {arguments.folder}/")
        print(f"The best of {arguments.trials} trials, score {study.best_value:.2%}:\n")
        print(command(arguments, study.best_trial))


# --- the results ------------------------------------------------------------------------------------------------------


def write_results(study: optuna.Study, arguments: Arguments) -> None:
    """Writes trials.csv and best.json."""
    trials = finished_trials(study)
    with (arguments.folder / "trials.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "score", "steps", "seconds", *names(arguments)])
        for trial in trials:
            facts = [trial.number, trial.state.name.lower(), trial.value]
            facts += [trial.user_attrs["steps"], trial.user_attrs["seconds"]]
            writer.writerow([*facts, *(trial.params[name] for name in names(arguments))])
    best = study.best_trial
    config, agent_config = configs(arguments)
    values = {name: decoded(value) for name, value in best.params.items()}
    record = {
        "env": arguments.env,
        "agent": arguments.agent,
        "trial": best.number,
        "score": best.value,
        "values": values,
        "train": asdict(config),
        "agent_config": asdict(with_fields(agent_config, values)),
        "command": command(arguments, best),
    }
    (arguments.folder / "best.json").write_text(json.dumps(record, indent=2) + "\n")


def command(arguments: Arguments, trial: FrozenTrial) -> str:
    """The command that trains as a trial did: with its values, and what else in a trial is not as in the preset."""
    values = {name: decoded(value) for name, value in trial.params.items()}
    config, preset = configs(arguments)[0], preset_for(arguments.env, arguments.agent).train
    others = {
        name: getattr(config, name)
        for name in TrainConfig.__dataclass_fields__
        if name in ("seed", "total_steps") or (getattr(config, name) != getattr(preset, name) and name not in _SHOWN)
    }
    words = ["--env", with_module(arguments.env), "--agent", arguments.agent, *flags(others), *flags(values)]
    return " ".join([called("train"), *words])


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return status_of(
        lambda: search(tyro.cli(Arguments, args=arguments, description=__doc__)), "interrupted; --resume continues"
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
