"""The table of reports, to which each file of trials adds its own, and how a trial asks another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPORTS: list[tuple[str, str, Callable[[Path], None]]] = []


def report(where: str, trouble: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Adds a trial to the table."""

    def add(trial: Callable[[Path], None]) -> Callable[[Path], None]:
        REPORTS.append((where, trouble, trial))
        return trial

    return add


def fresh(code: str, **environment: str | None) -> str:
    """What a program writes in a process of its own, which must end well; a variable that is None is left out."""
    return ended_well("-c", code, **environment)


def ended_well(*words: str, **environment: str | None) -> str:
    """What Python writes with these words behind it, as in :func:`fresh`."""
    there = {name: value for name, value in (os.environ | environment).items() if value is not None}
    done = subprocess.run([sys.executable, *words], env=there, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-600:]
    return done.stdout
