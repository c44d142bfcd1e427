"""Metrics of a run: one CSV row per log point, the same numbers to TensorBoard and W&B, and intervals."""

from __future__ import annotations

import csv
import importlib
import io
import math
import re
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from drivesim.files import cannot_write, read_bounded, write_whole

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


MAX_BYTES = 1 << 23  # of a metrics.csv that is read: some 25,000 rows
MAX_COLUMNS = 1000
_NAME = re.compile(r"\w[\w/.:+-]*", re.ASCII)  # of a metric: nothing that means something to a shell or a spreadsheet
_NOT_IN_NAMES = re.compile(r"[^\w/.:+-]", re.ASCII)


class MetricsWriter:
    """Writes metrics.csv into a run folder and, if wanted, TensorBoard events and a run of Weights & Biases.

    There is one row per step. It holds whatever metrics exist at that moment; a metric that appears for the first time
    adds a column to the file. Empty cells mean "not measured at this step". TensorBoard gets a row when it is
    complete, with the next one or at the end, so that every point of the file is there once.
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
            resume_step: continue after this step and drop what a killed run wrote behind it; None starts anew.

        Raises:
            ModuleNotFoundError: Weights & Biases is asked for and not installed.
            OSError: a file cannot be read or written.
            ValueError: what is to be continued is not the metrics of a run.
        """
        self.path = folder / "metrics.csv"
        self._rows: list[dict[str, str]] = []
        if resume_step is not None and self.path.exists():
            self._rows = [row for row in _read_rows(self.path) if int(row["global_step"]) <= resume_step]
        self._columns = list(dict.fromkeys(key for row in self._rows for key in row))
        self._rewrite()
        self._writer: SummaryWriter | None = None
        if tensorboard:
            self._writer = self._open_tensorboard(folder / "tensorboard", is_resumed=resume_step is not None)
        self._wandb_run = None if wandb_project is None else _open_wandb_run(folder, wandb_project, config)

    def write(self, global_step: int, metrics: dict[str, float]) -> None:
        """Adds to the row of a step, which is the newest or a new one; values read back exactly."""
        is_new = not self._rows or self._rows[-1]["global_step"] != str(global_step)
        if is_new:
            self._show_newest()
            self._rows.append({"global_step": str(global_step)})
        row = self._rows[-1]
        row.update((_NOT_IN_NAMES.sub("_", name), repr(float(value))) for name, value in metrics.items())
        new_columns = [name for name in row if name not in self._columns]
        self._columns += new_columns
        if new_columns or not is_new:
            self._rewrite()
        else:
            try:
                with self.path.open("a", newline="") as file:
                    self._open(file).writerow(row)
            except OSError as error:
                raise cannot_write(self.path, error) from error
        if self._wandb_run is not None:
            self._wandb_run.log(metrics, step=global_step)

    def close(self) -> None:
        """Flushes what else is written; the CSV is flushed after every row."""
        if self._writer is not None:
            self._show_newest()
            self._writer.close()
        if self._wandb_run is not None:
            self._wandb_run.finish()

    def _rewrite(self) -> None:
        text = io.StringIO(newline="")
        if self._columns:
            writer = self._open(text)
            writer.writeheader()
            writer.writerows(self._rows)
        write_whole(self.path, text.getvalue())

    def _open(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, lineterminator="\n")

    def _open_tensorboard(self, folder: Path, is_resumed: bool) -> SummaryWriter:
        """Begins a file of events; the events of a run that is continued are written anew from its rows.

        Its own way to continue, a step from which on readers have to forget, is heeded by some of them only.
        """
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        for path in folder.glob("events.out.tfevents.*") if is_resumed else ():
            path.unlink()
        writer = SummaryWriter(str(folder))
        seconds = [float(row.get("time/seconds", "0")) for row in self._rows]
        for row, passed in zip(self._rows[:-1], seconds[:-1], strict=True):
            _show(writer, row, time.time() - seconds[-1] + passed)
        return writer

    def _show_newest(self) -> None:
        """Hands the newest row, which is complete, to TensorBoard."""
        if self._writer is not None and self._rows:
            _show(self._writer, self._rows[-1], time.time())


def _show(writer: SummaryWriter, row: dict[str, str], seconds: float) -> None:
    """Writes a row as events of a time, in seconds since 1970."""
    for name, value in row.items():
        if name != "global_step":
            writer.add_scalar(name, float(value), int(row["global_step"]), walltime=seconds)


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the whole rows of a metrics.csv, without their empty cells; names and values are those of metrics.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, or something else.
    """
    content = read_bounded(path, MAX_BYTES)
    try:
        lines = content.decode().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # a killed run may cut the last
        header, *rows = csv.reader(whole) if whole else [["global_step"]]
        if len(set(header)) < len(header) or len(header) > MAX_COLUMNS or not all(map(_NAME.fullmatch, header)):
            raise ValueError("its first line must hold different names")
        return [_checked(dict(zip(header, row, strict=True))) for row in rows]
    except (ValueError, KeyError, csv.Error) as error:
        raise ValueError(f"{path} is not the metrics of a run: {error}") from error


def _checked(row: dict[str, str]) -> dict[str, str]:
    """A row of nothing but numbers.

    Raises:
        ValueError, KeyError: it is none.
    """
    numbers = {name: repr(float(value)) for name, value in row.items() if value}
    return numbers | {"global_step": str(int(row["global_step"]))}


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
        write_whole(path, uuid.uuid4().hex[:8] + "\n")
    run_id = read_bounded(path, 64).decode().strip()
    if not re.fullmatch("[0-9a-f]{8}", run_id):
        raise ValueError(f"{path} must hold 8 hexadecimal digits, got {run_id!r}")
    return import_wandb().init(
        project=project,
        name=folder.resolve().name,
        id=run_id,
        resume="allow",
        dir=str(folder),
        config=config,
        allow_val_change=True,  # a resumed run may have been given more steps
    )


def read_metrics(path: Path, name: str) -> tuple[list[int], list[float]]:
    """Reads one metric of a metrics.csv: the steps at which it was measured, and its values.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not the metrics of a run.
    """
    rows = [row for row in _read_rows(path) if name in row]
    return [int(row["global_step"]) for row in rows], [float(row[name]) for row in rows]


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
    low, high = centre - spread, centre + spread
    return (low if successes else 0.0), (high if successes < trials else 1.0)  # without what rounding leaves of 0 and 1


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
