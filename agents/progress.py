"""The progress bar of a training run."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, TextIO

from tqdm import tqdm  # type: ignore[import-untyped]

from drivesim.decimals import significant

__all__ = ["ProgressBar", "seconds_left"]


_USUAL_COLUMNS = 80


class ProgressBar(tqdm):  # type: ignore[misc]
    """Shows steps, time taken and left, steps per second, and the newest success and loss."""

    def __init__(
        self,
        total_steps: int,
        global_step: int,
        *,
        deadline: float | None,
        disable: bool = False,
        file: TextIO | None = None,
    ) -> None:
        """Draws the bar.

        Args:
            total_steps: environment steps at its end.
            global_step: environment steps now; they are not counted as this bar's work.
            deadline: time of ``time.perf_counter()`` at which the run stops, in seconds; None has none.
            disable: draw nothing.
            file: to draw to; None takes the standard error.
        """
        self._deadline = deadline
        is_wide = _columns(sys.stderr if file is None else file) != 0
        self._newest: dict[str, str] = {}
        super().__init__(
            total=total_steps,
            initial=global_step,
            unit="step",
            unit_scale=True,
            mininterval=0.5,
            ncols=None if is_wide else _USUAL_COLUMNS,
            dynamic_ncols=is_wide,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {left} left, {rate_fmt}{postfix}]",
            disable=disable,
            file=file,
        )

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar is drawn from."""
        shown: dict[str, Any] = super().format_dict
        done = shown["n"] - shown["initial"]
        rate = shown["rate"] or (done / shown["elapsed"] if shown["elapsed"] else 0.0)
        to_deadline = None if self._deadline is None else self._deadline - time.perf_counter()
        left = seconds_left(shown["total"] - shown["n"], rate, to_deadline)
        shown["left"] = "?" if left is None else self.format_interval(left)
        return shown

    def move_to(self, global_step: int) -> None:
        """Counts environment steps; the last ones of all envs may lie beyond the end."""
        self.update(min(global_step, self.total) - self.n)

    def show(self, metrics: dict[str, float]) -> None:
        """Shows success and loss from now on, if they are among the metrics; an algorithm's first loss is meant."""
        loss = next((name for name in metrics if name.startswith("loss/")), "")
        found = {"success": metrics.get("rollout/success"), "loss": metrics.get(loss)}
        self._newest |= {name: significant(value, 3) for name, value in found.items() if value is not None}
        self.set_postfix(self._newest, refresh=False)


def _columns(file: TextIO) -> int | None:
    """The width of a terminal, 0 of one that does not know its own, for which tqdm draws nothing; None of none."""
    try:
        return os.get_terminal_size(file.fileno()).columns
    except (AttributeError, ValueError, OSError):
        return None


def seconds_left(num_steps: int, steps_per_second: float, to_deadline: float | None) -> float | None:
    """Returns the time until the steps are done or the deadline comes, whichever is first; None if unknown.

    Args:
        num_steps: still to do.
        steps_per_second: as measured; 0 if nothing was.
        to_deadline: seconds; None has no deadline.
    """
    by_steps = num_steps / steps_per_second if steps_per_second > 0 else None
    known = [max(seconds, 0.0) for seconds in (by_steps, to_deadline) if seconds is not None]
    return min(known, default=None)
