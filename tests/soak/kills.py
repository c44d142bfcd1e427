"""Training that is killed at any instant, also while it saves, ends as if it never had been: each algorithm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import killed_runs
import work

NUM_KILLS = 20


def piece(number: int, folder: Path) -> Iterator[int]:
    """Some kills of one algorithm's run."""
    case = list(killed_runs.CASES)[number % len(killed_runs.CASES)]
    work.doing(f"piece {number}: {case}")
    command = [sys.executable, killed_runs.__file__, str(folder), str(NUM_KILLS), str(number), case]
    shutil.rmtree(folder / case, ignore_errors=True)
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ended = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr[-600:])
    killed_runs.require_equal(folder, case)
    shutil.rmtree(folder / case)
    yield NUM_KILLS


if __name__ == "__main__":
    work.run(piece)
