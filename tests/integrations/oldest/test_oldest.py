"""The lower bounds of pyproject.toml hold: the environments' own tests pass with the oldest versions it allows."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUNDS = dict(re.match(r"([\w-]+)>=([\d.]+)", each).groups() for each in PROJECT["dependencies"])
IS_OLDEST = all(version(name).startswith(oldest) for name, oldest in BOUNDS.items())


def test_requirements_are_the_lower_bounds() -> None:
    lines = (Path(__file__).parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert BOUNDS.keys() <= pins.keys()
    assert {name: pins[name] for name in BOUNDS} == BOUNDS


@pytest.mark.slow
@pytest.mark.skipif(not IS_OLDEST, reason="newer versions are installed: make test-with-oldest")
@pytest.mark.parametrize("tests", ["tests/envs", "tests/core/test_golden.py", "tests/integrations/pettingzoo"])
def test_the_environments_pass_their_tests(tests) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
