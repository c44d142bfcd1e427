"""Data of run folders for figures: curves over steps or seconds, groups of seeds, means with their interval."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agents.metrics import read_metrics
from agents.results import student_quantile
from agents.run_config import AGENT_CONFIGS, RESUMABLE, AgentName
from agents.run_folder import read_config, run_at

__all__ = ["Band", "Curve", "Group", "RunMetrics", "group_runs", "mean_and_interval", "mean_of_seeds", "read_run"]

METRICS = ("rollout/success", "rollout/episode_return", "eval/success_rate", "eval/mean_return")
"""Metrics that are drawn."""

_SECONDS = "time/seconds"
_ENV = re.compile(r"[\w/:.,-]+", re.ASCII)  # ids: their letters are drawn, and none starts a formula
_FREE = RESUMABLE | {"seed", "num_threads", "log_interval", "eval_interval", "eval_episodes"}
"""Fields of the training configuration in which seeds of one group may differ."""


@dataclass(frozen=True)
class Curve:
    """A measured quantity of one run."""

    x: NDArray[np.float64]
    """Where it was measured, (M,), rising: environment steps or seconds of training."""
    y: NDArray[np.float64]
    """Its values, (M,)."""


@dataclass(frozen=True)
class Band:
    """The mean of several curves, and Student's 95 % interval of that mean; all (M,), M may be 0."""

    x: NDArray[np.float64]
    """Environment steps or seconds of training, rising."""
    mean: NDArray[np.float64]
    """Means over the curves."""
    low: NDArray[np.float64]
    """Lower ends of the interval; NaN for a single curve."""
    high: NDArray[np.float64]
    """Upper ends of the interval; NaN for a single curve."""


@dataclass(frozen=True)
class RunMetrics:
    """A training run as its run folder tells it."""

    folder: Path
    env: str
    """Environment id."""
    agent: AgentName
    """Algorithm."""
    seed: int
    """Of the training."""
    settings: dict[str, Any]
    """Every setting that the seeds of a group must share, by its name."""
    values: dict[str, dict[int, float]]
    """By metric and environment step."""

    def curve(self, metric: str, over: Literal["steps", "seconds"] = "steps") -> Curve:
        """Returns a metric over environment steps or seconds of training; empty if it was not measured."""
        values = self.values[metric]
        if over == "seconds":
            seconds = self.values[_SECONDS]
            values_by_x = {seconds[step]: value for step, value in values.items() if step in seconds}
        else:
            values_by_x = {float(step): value for step, value in values.items()}
        x = sorted(values_by_x)
        return Curve(np.array(x, np.float64), np.array([values_by_x[key] for key in x], np.float64))


@dataclass(frozen=True)
class Group:
    """Runs of one algorithm in one environment that differ in their seeds only."""

    env: str
    """Environment id."""
    agent: AgentName
    """Algorithm."""
    runs: tuple[RunMetrics, ...]
    """At least one, by seed."""

    def curves(self, metric: str, over: Literal["steps", "seconds"] = "steps") -> list[Curve]:
        """Returns a metric of every run, by seed; nothing if no run holds it, or over seconds if not all hold the time.

        Raises:
            ValueError: some runs hold the metric and others do not.
        """
        curves = [run.curve(metric, over) for run in self.runs]
        missing = [run for run, curve in zip(self.runs, curves, strict=True) if len(curve.x) == 0]
        if len(missing) == len(curves) or (missing and over == "seconds"):
            return []
        if missing:
            raise ValueError(f"{missing[0].folder / 'metrics.csv'} holds no {metric}, unlike those of the other seeds")
        return curves


def read_run(folder: Path) -> RunMetrics:
    """Reads the configuration and the metrics of a run.

    Args:
        folder: of the run, which may still be going on.

    Raises:
        FileNotFoundError: it is no run folder, or has no metrics.csv.
        ValueError: its configuration or its metrics cannot be understood, or hold nothing that could be drawn.
    """
    folder = run_at(folder)
    config = read_config(folder)
    train = config["train"]
    env, agent, seed = train.get("env"), train.get("agent"), train.get("seed")
    if not (isinstance(env, str) and _ENV.fullmatch(env) and agent in list(AGENT_CONFIGS) and type(seed) is int):
        raise ValueError(
            f"{folder / 'config.json'} must name env, agent (one of {list(AGENT_CONFIGS)}) and seed, "
            f"got {env!r:.80}, {agent!r:.80} and {seed!r:.80}"
        )
    settings = {name: value for name, value in train.items() if name not in _FREE} | {
        f"agent's {name}": value for name, value in config["agent"].items()
    }
    path = folder / "metrics.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no metrics.csv: nothing was measured in it")
    try:
        values = {name: dict(zip(*read_metrics(path, name), strict=True)) for name in (*METRICS, _SECONDS)}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} is not the metrics of a run: {error!r}") from error
    for name, series in values.items():
        if not np.isfinite(list(series.values())).all():
            raise ValueError(f"{path} must hold finite numbers, got others for {name}")
    if not any(values[name] for name in METRICS):
        raise ValueError(f"{path} holds none of {', '.join(METRICS)}: the run was stopped before its first log point")
    return RunMetrics(folder, env, agent, seed, settings, values)


def group_runs(runs: Sequence[RunMetrics]) -> list[Group]:
    """Groups runs by environment and algorithm, both in the order in which they first come.

    Raises:
        ValueError: there is no run, or two of a group have the same seed or other settings: a mean over seeds with an
            interval would mean nothing.
    """
    if not runs:
        raise ValueError("run_dirs must hold at least one run folder, got none")
    members: dict[tuple[str, AgentName], list[RunMetrics]] = {}
    for run in runs:
        group = members.setdefault((run.env, run.agent), [])
        for other in group:
            if other.seed == run.seed:
                raise ValueError(f"seeds must differ, but {other.folder} and {run.folder} both have seed {run.seed}")
            names = other.settings.keys() | run.settings.keys()
            changed = [name for name in sorted(names) if other.settings.get(name) != run.settings.get(name)]
            if changed:
                raise ValueError(
                    f"runs of {run.agent} on {run.env} must share their settings, but {other.folder} and {run.folder} "
                    f"differ in {', '.join(changed)}"
                )
        group.append(run)
    return [
        Group(env, agent, tuple(sorted(group, key=lambda run: run.seed))) for (env, agent), group in members.items()
    ]


def mean_of_seeds(curves: Sequence[Curve], bounds: tuple[float, float] | None = None) -> Band:
    """Returns the mean of curves where all of them were measured, with Student's 95 % interval of the mean.

    The grid holds every point at which one of them was measured, from the latest beginning to the earliest end, so
    that the mean is that of the straight lines between the measured points, exactly. A run that ends early is never
    continued with values that nobody measured; it ends the mean.

    Args:
        curves: one per seed, at least one.
        bounds: what the quantity cannot leave, to which the interval is clipped.
    """
    points = np.unique(np.concatenate([curve.x for curve in curves]))
    first, last = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    x = points[(points >= first) & (points <= last)]
    values = np.stack([np.interp(x, curve.x, curve.y) for curve in curves])  # (seeds, M)
    mean, low, high = mean_and_interval(values)
    if bounds is not None:
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
    return Band(x, mean, low, high)


def mean_and_interval(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns the means over the first axis, and the ends of Student's 95 % interval of each; NaN for a single value.

    Args:
        values: (S, ...), S draws of each quantity.

    Returns:
        Three arrays of shape (...).
    """
    count = len(values)
    mean = values.mean(axis=0)
    if count == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    spread = student_quantile(count - 1) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return mean, mean - spread, mean + spread
