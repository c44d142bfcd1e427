"""`make install` tells what it does, and a cache that cannot be filled does not stop it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Stands in for Python: makes an environment whose Python notes how it was called, and cannot compile if told so.
PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
if [ "$2" = drivesim ]; then echo "a bar" >&2; exit {status}; fi
"""


# As from a shell, not as from the `make test` that these tests may run in: an inner make would tell of its folder.
SHELL = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def test_the_installation_finds_both_packages_from_every_folder(tmp_path) -> None:
    """Scripts import both, and run with their own folder before them: pytest alone would find `agents` here anyway."""
    code = "import agents, drivesim; print(agents.__path__[0], drivesim.__path__[0], sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [str(ROOT / "agents"), str(ROOT / "drivesim")]


@needs_make
def test_who_only_drives_gets_no_tools_and_who_tests_gets_them(tmp_path) -> None:
    def asked(target: str) -> str:
        command = ["make", "-n", "-f", str(ROOT / "Makefile"), target]
        return subprocess.run(command, cwd=tmp_path, env=SHELL, check=True, capture_output=True, text=True).stdout

    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    for target in ("install", "train", "play", "bench"):
        assert "'.[agents,export,tune,build]'" in asked(target), target
        assert "test" not in asked(target), target
    for target in ("test", "test-fast", "lint", "format", "docs"):
        assert "'.[agents,export,tune,build,docs,test]'" in asked(target), target


def test_every_integration_is_tested_with_the_torch_of_the_constraints() -> None:
    (torch,) = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    environments = sorted(ROOT.glob("tests/integrations/*/requirements.txt"))
    assert len(environments) > 10
    for path in environments:
        asked = re.findall(r"^torch\b.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert asked in ([], [torch]), path
    rule = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\n.venv-integrations/%/installed:")[2]
    assert "grep '^torch==' constraints.txt >$(@D)/torch.txt" in rule  # for those that others bring along
    assert "-c $(@D)/torch.txt" in rule


@needs_make
def test_flags_of_the_check_of_wheels_are_not_handed_to_what_makes_the_wheels(tmp_path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "-n", "test-wheels", "ARGS=--python python3.13"]
    asked = subprocess.run(command, cwd=tmp_path, env=SHELL, check=True, capture_output=True, text=True).stdout
    scripts = [line.partition("scripts/")[2].split() for line in asked.splitlines() if "scripts/" in line]
    assert scripts == [["make_wheels.py"], ["check_wheels.py", "--python", "python3.13"]]


@needs_make
@pytest.mark.parametrize("status", [0, 1])
def test_installing_tells_each_stage_and_ends_well_even_if_nothing_can_be_compiled(tmp_path, status) -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text(PYTHON.format(status=status))
    python.chmod(0o755)
    command = ["make", "-f", str(ROOT / "Makefile"), "install", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tmp_path, env=SHELL, check=True, capture_output=True, text=True)
    stages = ["[1/3] creating .venv", "[2/3] installing packages", "[3/3] compiling the kernels", "installed"]
    lines = iter(done.stdout.splitlines())
    assert all(any(line.startswith(stage) for line in lines) for stage in stages), done.stdout
    assert ("each will be when it is first needed" in done.stdout) == bool(status)
    assert "a bar" in done.stderr
    assert (tmp_path / ".venv" / "installed").exists()
