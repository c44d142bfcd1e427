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

NUM_KILLS, NUM_RUNS = 20, 5
"""Kills of a run, and runs of a piece, but for the first round's: they share the imports and the run in peace."""


def piece(number: int, folder: Path) -> Iterator[int]:
    """Some kills of one algorithm's runs."""
    round_, place = divmod(number, len(killed_runs.CASES))
    case = list(killed_runs.CASES)[place]
    seeds = [1000 * number + run for run in range(NUM_RUNS if round_ else 1)]
    work.doing(f"piece {number}: {case}, seeds {seeds}")
    told = ",".join(map(str, seeds))
    command = [sys.executable, killed_runs.__file__, str(folder), str(NUM_KILLS), told, case]
    shutil.rmtree(folder / case, ignore_errors=True)
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ended = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr[-600:])
    shutil.rmtree(folder / case)
    yield NUM_KILLS * len(seeds)


if __name__ == "__main__":
    work.run(piece)
