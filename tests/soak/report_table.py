"""The table of reports, to which each file of trials adds its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

REPORTS: list[tuple[str, str, Callable[[Path], None]]] = []


def report(where: str, trouble: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Adds a trial to the table."""

    def add(trial: Callable[[Path], None]) -> Callable[[Path], None]:
        REPORTS.append((where, trouble, trial))
        return trial

    return add
