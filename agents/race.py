"""One run of the race between the algorithms: trained, continued where it was killed, measured, recorded.

A run is a folder and, once it has been measured, a record beside it: ``NAME/`` and ``NAME.json``. A record is written
whole or not at all, after everything it depends on, so that a process killed at any moment leaves a run that is either
finished or continues.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from agents.baselines import baselines_of, make_baseline
from agents.checkpoint import find_checkpoints, load_latest_checkpoint
from agents.environments import EnvChoice
from agents.evaluation import evaluate
from agents.policy import Policy
from agents.presets import preset_for
from agents.regret import compare, compare_with, condensed, read_compared
from agents.results import FINAL_SEED, THRESHOLDS, seconds_to, summarise
from agents.run_config import RESUMABLE, AgentConfig, AgentName, TrainConfig, read_configs
from agents.run_folder import locked
from agents.training import load_policy, resume, train
from agents.validation import check_at_least, require
from drivesim.files import write_whole
from drivesim.stages import stage

__all__ = [
    "RaceConfig",
    "Run",
    "finish_training",
    "is_changed",
    "make_baselines",
    "make_run",
    "read_record",
    "summary_of",
]

_BUDGET, _QUICK_BUDGET = 500_000, 10_000  # of the planner, a level: the budget decides how often it proves its plan
_REGRET = (
    "mean_optimum",
    "mean_return",
    "mean_regret",
    "regret_ci95",
    "share_of_optimum",
    "exact_rate",
    "mean_length",
    "plan_mean_length",
    "mean_lane_changes",
    "plan_mean_lane_changes",
)


@dataclass(frozen=True)
class RaceConfig:
    """Settings that all runs of a race have in common."""

    out: Path = Path("runs/results")
    """Folder of the runs and their records."""
    max_seconds: float = 300.0
    """Longest training of a run, in seconds, evaluations included."""
    stop_at_success: float | None = None
    """End a run when a periodic evaluation reaches this share of held-out episodes; None takes the preset's."""
    episodes: int = 1000
    """Held-out levels on which every driver is measured in the end."""
    regret_levels: int = 40
    """The first of these levels, in which every driver is also measured against the best drive; 0 = none."""
    num_threads: int = 1
    """Threads of torch in every run."""
    workers: int = 1
    """Runs made at once, each in a process of its own if there are several."""
    quick: bool = False
    """Train for a moment and measure on few levels, to see that everything works; runs/results-quick by default."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "episodes", "num_threads", "workers")
        regret_levels = self.regret_levels
        require("regret_levels", regret_levels, regret_levels == 0 or regret_levels >= 2, "at least 2, or 0")
        require("max_seconds", self.max_seconds, self.max_seconds > 0, "positive")
        is_alone = self.workers == 1 or self.num_threads == 1
        require("num_threads", self.num_threads, is_alone, "1 where several workers share the machine")

    @property
    def folder(self) -> Path:
        """Where the runs lie."""
        is_default = self.out == RaceConfig.out
        return self.out.with_name(f"{self.out.name}-quick") if self.quick and is_default else self.out

    @property
    def num_episodes(self) -> int:
        """Held-out levels of the final measurement."""
        return min(self.episodes, 100) if self.quick else self.episodes

    @property
    def num_regret_levels(self) -> int:
        """Levels of which the best drives are looked for."""
        return min(self.regret_levels, 4) if self.quick else self.regret_levels


@dataclass(frozen=True)
class Run:
    """One training run of the race."""

    env: str
    """Environment id."""
    agent: AgentName
    """Algorithm."""
    seed: int
    """Of the training."""

    @property
    def name(self) -> str:
        """Of its folder and, with .json, of its record."""
        return f"{_short(self.env)}__{self.agent}__{self.seed}"


@dataclass(frozen=True)
class _Progress:
    """Progress of a run's training, according to its last checkpoint."""

    reason: str | None
    """Why it ended; None if it has not."""
    global_step: int
    """Environment steps."""
    seconds: float
    """Wall-clock time of training, over all parts of the run."""


# --- one run ----------------------------------------------------------------------------------------------------------


def make_run(race: RaceConfig, run: Run, *, progress: bool = False) -> dict[str, Any] | None:
    """Trains and measures what of a run is still missing.

    Args:
        race: what all runs have in common.
        run: to be made.
        progress: show a bar.

    Returns:
        Its record; None if another process is making this run.

    Raises:
        KeyboardInterrupt: training was asked to stop, and has saved its state.
    """
    race.folder.mkdir(parents=True, exist_ok=True)
    folder = race.folder / run.name
    with locked(folder.with_name(f"{run.name}.lock")) as is_ours:
        if not is_ours:
            return None
        record = read_record(folder)
        if record is None:
            config, agent_config = _configs(race, run)
            torch.set_num_threads(config.num_threads)
            ended = finish_training(folder, replace(config, progress=progress), agent_config)
            with stage(f"measuring the driver of {run.name}") if progress else contextlib.nullcontext():
                record = _measure(race, run, ended)
            _write_record(folder, record)
        for checkpoint in find_checkpoints(folder / "checkpoints", "last"):  # a replay memory fills 200 MB
            shutil.rmtree(checkpoint)
        return record


def finish_training(folder: Path, config: TrainConfig, agent_config: AgentConfig) -> _Progress:
    """Begins the training in a folder, continues it, or leaves it as it is if it has ended.

    Args:
        folder: of the run.
        config: of the run; ``max_seconds`` bounds all its parts together.
        agent_config: of the algorithm.

    Raises:
        KeyboardInterrupt: training was asked to stop, and has saved its state.
    """
    progress = _progress_of(folder, config)
    if progress is None:
        shutil.rmtree(folder, ignore_errors=True)  # of a run killed before its first checkpoint
        train(config, agent_config, folder)
    elif progress.reason is None:
        left = None if config.max_seconds is None else config.max_seconds - progress.seconds
        resume(folder, replace(config, max_seconds=left))
    progress = _progress_of(folder, config)
    if progress is None or progress.reason is None:
        raise KeyboardInterrupt
    return progress


def is_changed(race: RaceConfig, run: Run) -> bool:
    """Whether what is there of a run was made with other settings than those of now."""
    wanted = _settings(*_configs(race, run))
    folder = race.folder / run.name
    record = read_record(folder)
    if record is not None:
        return bool(record["settings"] != wanted or not _measured_as(race, record))
    try:
        return _settings(*read_configs(folder)) != wanted
    except FileNotFoundError:
        return False
    except ValueError:  # a configuration of another version
        return True


def make_baselines(race: RaceConfig, env_id: str) -> None:
    """Measures the drivers that learn nothing, once; this also loads the kernels before a clock runs.

    Before that the best drives are looked for with which everybody is compared.
    """
    config: EnvChoice = preset_for(env_id).train
    race.folder.mkdir(parents=True, exist_ok=True)
    _make_best_drives(race, env_id)
    for name in baselines_of(env_id):
        path = race.folder / f"{_short(env_id)}__{name.replace(' ', '-')}"
        found = read_record(path)
        policy, choice = make_baseline(name, config)
        if found is None or not _measured_as(race, found):
            result = evaluate(policy, choice, episodes=race.num_episodes, seed=FINAL_SEED, agent=name)
            _write_record(path, {**_shortened(result), **_against_the_best(race, policy, choice)})


def _configs(race: RaceConfig, run: Run) -> tuple[TrainConfig, AgentConfig]:
    preset = preset_for(run.env, run.agent)
    config = replace(
        preset.train,
        seed=run.seed,
        max_seconds=race.max_seconds,
        num_threads=race.num_threads,
        tensorboard=False,
        progress=False,
    )
    if race.stop_at_success is not None:
        config = replace(config, stop_at_success=race.stop_at_success)
    if race.quick:
        total_steps = min(config.total_steps, 50_000)
        config = replace(config, total_steps=total_steps, eval_interval=20_000, log_interval=20_000, eval_episodes=64)
    return config, preset.agent


def _settings(config: TrainConfig, agent_config: AgentConfig) -> dict[str, Any]:
    """What decides a run's result, as JSON gives it back."""
    train_config = asdict(config)
    for name in RESUMABLE - {"max_seconds", "stop_at_return", "stop_at_success", "total_steps"}:
        del train_config[name]
    settings: dict[str, Any] = json.loads(json.dumps({"train": train_config, "agent": asdict(agent_config)}))
    return settings


def _progress_of(folder: Path, config: TrainConfig) -> _Progress | None:
    """Reads how far training has come; None without a checkpoint."""
    if not find_checkpoints(folder / "checkpoints", "last"):
        return None
    values = load_latest_checkpoint(folder / "checkpoints", "last", only="network").values
    global_step, best, seconds = values["global_step"], values["training"]["best"], values["training"]["seconds"]
    reason = None
    if best is not None and config.is_reached(*best):
        reason = "success"
    elif global_step >= config.total_steps:
        reason = "total_steps"
    elif config.max_seconds is not None and seconds >= config.max_seconds:
        reason = "max_seconds"
    return _Progress(reason, global_step, seconds)


def _measure(race: RaceConfig, run: Run, progress: _Progress) -> dict[str, Any]:
    """Measures a run's best driver on levels that chose nothing."""
    folder = race.folder / run.name
    policy, config = load_policy(folder)
    result = evaluate(policy, config, episodes=race.num_episodes, seed=FINAL_SEED, agent=run.agent)
    metrics = folder / "metrics.csv"
    return {
        **_shortened(result),
        **_against_the_best(race, policy, config),
        "seed": run.seed,
        "steps": progress.global_step,
        "seconds": progress.seconds,
        "steps_per_second": progress.global_step / progress.seconds,
        **{f"seconds_to_{100 * threshold:.0f}": seconds_to(metrics, threshold) for threshold in THRESHOLDS},
        "stop_reason": progress.reason,
        **_machine(),
        "num_threads": race.num_threads,
        "workers": race.workers,
        "max_seconds": race.max_seconds,
        "settings": _settings(*_configs(race, run)),
    }


def _shortened(result: dict[str, Any]) -> dict[str, Any]:
    """The part of an evaluation's record that a table needs."""
    rates = ("success_rate", "success_ci95", "collision_rate", "off_road_rate", "timeout_rate")
    return {name: result[name] for name in ("env", "agent", "episodes", *rates, "mean_length_of_successes")}


def _measured_as(race: RaceConfig, record: dict[str, Any]) -> bool:
    """Whether a record tells of as many levels as this race."""
    return (record["episodes"], record["regret_levels"]) == (race.num_episodes, race.num_regret_levels)


def _make_best_drives(race: RaceConfig, env_id: str) -> None:
    """Looks for the best drive of each of the levels that regret is measured in, once for all drivers."""
    path = _best_drives_of(race, env_id)
    if race.num_regret_levels == 0 or "rule-based" not in baselines_of(env_id) or path.exists():
        return
    config: EnvChoice = preset_for(env_id).train
    policy, choice = make_baseline("rule-based", config)
    seeds = range(FINAL_SEED, FINAL_SEED + race.num_regret_levels)
    levels = compare(policy, choice, seeds, "test", _QUICK_BUDGET if race.quick else _BUDGET, race.workers)
    write_whole(path, json.dumps([asdict(level) for level in levels], indent=1) + "\n")


def _best_drives_of(race: RaceConfig, env_id: str) -> Path:
    """The file of an environment's best drives, which is no record and has another kind of name."""
    return race.folder / f"{_short(env_id)}.{race.num_regret_levels}-best-drives.json"


def _against_the_best(race: RaceConfig, policy: Policy, config: EnvChoice) -> dict[str, Any]:
    """What a record tells of a driver's regret: the fields of :func:`agents.regret.condensed` that a table needs."""
    path = _best_drives_of(race, config.env)
    found: dict[str, Any] = {"regret_levels": race.num_regret_levels}
    if path.exists():
        levels = [read_compared(level) for level in json.loads(path.read_text())]
        record = condensed(compare_with(levels, policy, config, "test"))
        found |= {name: record[name] for name in _REGRET}
    return found


def _machine() -> dict[str, Any]:
    """What the seconds depend on."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    return {"processor": name, "num_processors": os.cpu_count()}


# --- the records ------------------------------------------------------------------------------------------------------


def read_record(path: Path) -> dict[str, Any] | None:
    """Reads the record beside a run folder of this path; None if there is none."""
    try:
        record: dict[str, Any] = json.loads(path.with_name(f"{path.name}.json").read_text())
    except FileNotFoundError:
        return None
    return record


def summary_of(folder: Path) -> dict[str, Any]:
    """Gathers all records of a folder.

    Raises:
        ValueError: there is no run among them, or they were made under different conditions.
    """
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*__*.json"))]
    runs = [record for record in records if "seed" in record]
    if not runs:
        raise ValueError(f"{folder} holds no finished run")
    conditions: dict[str, Any] = {"first_seed": FINAL_SEED, "workers": max(run["workers"] for run in runs)}
    for name in ("episodes", "regret_levels", "max_seconds", "num_threads", "processor", "num_processors"):
        values = {run[name] for run in runs}
        if len(values) > 1:
            raise ValueError(f"the runs in {folder} cannot be compared: their {name} are {sorted(values)}")
        conditions[name] = values.pop()
    hidden = {"settings", *conditions} - {"episodes"}
    return {
        "conditions": conditions,
        "baselines": [record for record in records if "seed" not in record],
        "runs": [{name: value for name, value in run.items() if name not in hidden} for run in runs],
        "summary": summarise(runs),
    }


def _write_record(path: Path, record: dict[str, Any]) -> None:
    write_whole(path.with_name(f"{path.name}.json"), json.dumps(record, indent=1) + "\n")


def _short(env_id: str) -> str:
    return env_id.rsplit("/", 1)[-1]
