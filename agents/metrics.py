"""Metrics of a run: one CSV row per log point, the same numbers to TensorBoard and W&B, and intervals."""

from __future__ import annotations

import csv
import importlib
import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = [
    "EpisodeSums",
    "MetricsWriter",
    "explained_variance",
    "import_wandb",
    "read_metrics",
    "sign_test",
    "wilson_interval",
]


class MetricsWriter:
    """Writes metrics.csv into a run folder and, if wanted, TensorBoard events and a run of Weights & Biases.

    Rows hold whatever metrics exist at that moment; a metric that appears for the first time adds a
    column to the file. Empty cells mean "not measured at this step".
    """

    def __init__(
        self,
        folder: Path,
        *,
        tensorboard: bool,
        wandb_project: str | None = None,
        config: dict[str, Any] | None = None,
        resume_step: int | None = None,
    ) -> None:
        """Opens the files.

        Args:
            folder: of the run; must exist.
            tensorboard: whether to write events as well.
            wandb_project: project of Weights & Biases to write to as well; None writes to none.
            config: what Weights & Biases shows as the run's settings.
            resume_step: continue after this step and drop the rows that a killed run wrote behind
                it; None starts anew.

        Raises:
            ModuleNotFoundError: Weights & Biases is asked for and not installed.
        """
        self.path = folder / "metrics.csv"
        self._rows: list[dict[str, str]] = []
        if resume_step is not None and self.path.exists():
            lines = self.path.read_text().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # a killed run may cut the last
            rows = list(csv.DictReader(whole))
            self._rows = [row for row in rows if int(row["global_step"]) <= resume_step]
        self._columns = list(dict.fromkeys(key for row in self._rows for key in row))
        self._rewrite()
        self._writer: SummaryWriter | None = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import

            purge_step = None if resume_step is None else resume_step + 1
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=purge_step)
        self._wandb_run = None if wandb_project is None else _open_wandb_run(folder, wandb_project, config)

    def write(self, global_step: int, metrics: dict[str, float]) -> None:
        """Appends one row; values are written so that they read back exactly."""
        row = {"global_step": str(global_step)}
        row.update((name, repr(float(value))) for name, value in metrics.items())
        self._rows.append(row)
        new_columns = [name for name in row if name not in self._columns]
        self._columns += new_columns
        if new_columns:
            self._rewrite()
        else:
            with self.path.open("a", newline="") as file:
                self._open(file).writerow(row)
        if self._writer is not None:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, global_step)
        if self._wandb_run is not None:
            self._wandb_run.log(metrics, step=global_step)

    def close(self) -> None:
        """Flushes what else is written; the CSV is flushed after every row."""
        if self._writer is not None:
            self._writer.close()
        if self._wandb_run is not None:
            self._wandb_run.finish()

    def _rewrite(self) -> None:
        if not self._columns:
            self.path.write_text("")
            return
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = self._open(file)
            writer.writeheader()
            writer.writerows(self._rows)
        partial.replace(self.path)

    def _open(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, lineterminator="\n")


def import_wandb() -> Any:
    """Returns the module of Weights & Biases, which is imported only where it is asked for.

    Raises:
        ModuleNotFoundError: it is not installed; says how to.
    """
    try:
        return importlib.import_module("wandb")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("wandb=True needs the package wandb: pip install 'drivesim[wandb]'") from error


def _open_wandb_run(folder: Path, project: str, config: dict[str, Any] | None) -> Any:
    """Begins a run named after the folder; a folder that has one already goes on with it."""
    path = folder / "wandb_run_id.txt"
    if not path.exists():
        path.write_text(uuid.uuid4().hex[:8] + "\n")
    return import_wandb().init(
        project=project,
        name=folder.resolve().name,
        id=path.read_text().strip(),
        resume="allow",
        dir=str(folder),
        config=config,
        allow_val_change=True,  # a resumed run may have been given more steps
    )


def read_metrics(path: Path, name: str) -> tuple[list[int], list[float]]:
    """Reads one metric of a metrics.csv: the steps at which it was measured, and its values."""
    steps, values = [], []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row.get(name):
                steps.append(int(row["global_step"]))
                values.append(float(row[name]))
    return steps, values


class EpisodeSums:
    """Means over the episodes that ended since the last log point, from vector infos."""

    _ROLLOUT = ("success", "episode_return", "episode_length", "route_completion", "mean_speed")

    def __init__(self) -> None:
        """Starts with no episodes."""
        self.num_episodes = 0
        self._sums: dict[str, float] = {}

    def add(self, episodes: dict[str, NDArray[Any]]) -> None:
        """Adds the metrics of the episodes that ended in a step, each of shape (ended,)."""
        if not episodes:
            return
        self.num_episodes += len(next(iter(episodes.values())))
        for name, values in episodes.items():
            key = self._metric_name(name, values.dtype == np.bool_)
            if key is not None:
                self._sums[key] = self._sums.get(key, 0.0) + float(values.sum())

    def take(self) -> dict[str, float]:
        """Returns the means and starts again; empty if no episode ended."""
        num_episodes = self.num_episodes
        means = {name: total / num_episodes for name, total in self._sums.items() if num_episodes}
        if means:
            means["rollout/episodes"] = float(num_episodes)
        self.num_episodes = 0
        self._sums = {}
        return means

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint must hold."""
        return {"num_episodes": self.num_episodes, "sums": dict(self._sums)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes over what :meth:`state` returned."""
        self.num_episodes = int(state["num_episodes"])
        self._sums = {str(name): float(total) for name, total in state["sums"].items()}

    def _metric_name(self, name: str, is_flag: bool) -> str | None:
        if name in self._ROLLOUT:
            return f"rollout/{name}"
        return f"event/{name}" if is_flag else None


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion (Wilson 1927), 95 % by default.

    Unlike the normal approximation it stays inside [0, 1] and has a width at 0 and 100 %.

    Args:
        successes: between 0 and ``trials``.
        trials: at least 1.
        z: normal quantile of the two-sided confidence.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"need 0 <= successes <= trials and trials >= 1: {successes}, {trials}")
    share = successes / trials
    weight = 1.0 + z * z / trials
    centre = (share + z * z / (2 * trials)) / weight
    spread = z / weight * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(centre - spread, 0.0), min(centre + spread, 1.0)


def sign_test(won: int, lost: int) -> float:
    """Returns how probable it is that a fair coin would fall at least as unevenly (McNemar 1947, exact and two-sided).

    Args:
        won: levels on which one driver succeeded and the other did not.
        lost: the other way round. Levels on which both did the same tell nothing.
    """
    trials = won + lost
    tail = sum(math.comb(trials, count) for count in range(min(won, lost) + 1))
    return min(1.0, float(2 * tail / 2**trials))


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """Returns 1 - Var(returns - values) / Var(returns): 1 is perfect, 0 no better than a constant."""
    variance = returns.var(correction=0)
    return float(1.0 - (returns - values).var(correction=0) / variance) if variance > 0 else 0.0
