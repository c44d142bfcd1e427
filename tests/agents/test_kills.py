"""A run that is killed at any instant, also while it saves, ends as if it never had been."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from effort import effort
from killed_runs import CASES, require_equal

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run(folder: Path, num_kills: int, cases: list[str]) -> None:
    program = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, str(program), str(folder), str(num_kills), "0", *cases]
    ended = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_kills_leave_no_trace(tmp_path: Path) -> None:
    run(tmp_path, effort(4, 20), list(CASES))
    for case in CASES:
        require_equal(tmp_path, case)
