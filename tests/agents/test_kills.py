"""A run that is killed at any instant, also while it saves, ends as if it never had been."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from effort import effort
from killed_runs import CASES

from agents.checkpoint import find_checkpoints

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run(folder: Path, num_kills: int, cases: list[str]) -> None:
    program = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, str(program), str(folder), str(num_kills), "0", *cases]
    ended = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def digests(folder: Path, kind: str) -> dict[str, str]:
    """SHA-256 of every tensor and array in the newest checkpoint."""
    newest = find_checkpoints(folder / "checkpoints", kind)[0]
    files = json.loads((newest / "MANIFEST.json").read_text())["files"]
    return {f"{newest.name}/{name}": entry["sha256"] for name, entry in files.items() if name != "values.json"}


def curve(folder: Path) -> list[dict[str, str]]:
    """Every row of metrics.csv without the clock."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not name.startswith("time/s")} for row in rows]


def require_equal(folder: Path, case: str) -> None:
    whole, killed = folder / case / "whole", folder / case / "killed"
    for kind in ("last", "best"):
        assert digests(killed, kind) == digests(whole, kind), case
    assert curve(killed) == curve(whole), case


@pytest.mark.slow
def test_kills_leave_no_trace(tmp_path: Path) -> None:
    run(tmp_path, effort(4, 20), list(CASES))
    for case in CASES:
        require_equal(tmp_path, case)
