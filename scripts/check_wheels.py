"""Installs the wheels of dist/ for some Pythons, each into a folder of its own, and drives from there.

    .venv/bin/python scripts/check_wheels.py                          # every Python 3.11 or newer on the path
    .venv/bin/python scripts/check_wheels.py --python python3.13
    .venv/bin/python scripts/check_wheels.py --python "qemu-aarch64-static -L /srv/arm64 /srv/arm64/usr/bin/python3.11"

For every environment a new program begins, with an empty home: how long takes it to import and make the first step?
None may take longer than a second of a processor's time, import numba, write into the home or complain. Then tests run,
by default those that compare with tests/golden.json. A Python is a command, so that it may run under an emulator or in
another root, to which `--folder` must lead by the same name. It needs no pip of its own.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agents.command_line import status_of
from drivesim.registry import IDS

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = [f"python3.{minor}" for minor in range(11, 20)]
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
TESTS = ("tests/core/test_golden.py",)  # those that run by default
TOOLS = ("pytest>=8", "hypothesis>=6.100", "tyro>=1.0")  # what they need
TESTED = ("agents", "scripts", "tests", "pyproject.toml")
MOST_SECONDS = 1.0
ABOUT = "import json, platform, sys; print(json.dumps([platform.python_version(), platform.machine()]))"
FIRST_STEP = """
import sys, time
before = time.perf_counter()
import gymnasium as gym
import drivesim
env = gym.make(sys.argv[1])
env.reset(seed=0)
env.step(1)
print(time.process_time(), time.perf_counter() - before, int("numba" in sys.modules))
"""


class CheckError(Exception):
    """Somebody who installs a wheel would not get what is promised."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", metavar="COMMAND", help="one that counts; may be repeated")
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist", help="where they lie, by default dist/")
    parser.add_argument("--folder", type=Path, help="where to install, and what is there already stays")
    parser.add_argument("--tests", nargs="*", default=[*TESTS], help="what pytest is asked for")
    given = parser.parse_args(arguments)
    commands = [shlex.split(command) for command in given.python or filter(works, PYTHONS)]
    if not commands:
        print("error: there is no Python 3.11 or newer on the path; name one with --python", file=sys.stderr)
        return 2
    return status_of(lambda: check_all(commands, given.wheels, given.folder, given.tests), "interrupted")


def check_all(commands: Sequence[Sequence[str]], wheels: Path, into: Path | None, tests: Sequence[str]) -> int:
    """Check the wheels for some Pythons; returns 1 at the first for which they are not as they should be, else 0."""
    with tempfile.TemporaryDirectory() as temporary:
        for number, command in enumerate(commands):
            folder = (into or Path(temporary)).resolve() / str(number)
            try:
                check(command, wheels, folder, tests)
            except (CheckError, OSError) as error:
                print(f"error: {shlex.join(command)}: {error}", file=sys.stderr)
                return 1
    return 0


def works(name: str) -> bool:
    """Whether a command runs: there may be one that only says that there is none."""
    return shutil.which(name) is not None and not subprocess.run([name, "-c", ""], capture_output=True).returncode


def check(python: Sequence[str], wheels: Path, folder: Path, tests: Sequence[str]) -> None:
    """Check the wheel for one Python, and tell what was found.

    Raises:
        CheckError: naming what is not as it should be.
    """
    version, machine = json.loads(asked(python, folder.parent, "-c", ABOUT))
    found = sorted(wheels.glob(f"*_{machine}.whl"))
    if len(found) != 1:
        raise CheckError(f"{wheels} must have one wheel for {machine}, got {[path.name for path in found]}")
    with stage(f"installing for Python {version}, {machine}"):
        install(version, machine, folder / "site", [str(found[0])])
    is_emulated = machine != os.uname().machine
    home = folder / "home"
    home.mkdir(exist_ok=True)
    seconds = {}
    variables = {"HOME": str(home), "PYTHONPATH": str(folder / "site")}
    asked(python, folder, "-c", FIRST_STEP, IDS[0], **variables)  # leaves bytecode, as pip does for its own Python
    for env_id in IDS:
        answer = asked(python, folder, "-c", FIRST_STEP, env_id, **variables)
        processor, wall, has_numba = answer.split()
        seconds[env_id] = float(processor)
        print(f"Python {version}, {machine}: {env_id}, {float(processor):.2f} s of a processor, {float(wall):.2f} s")
        if int(has_numba) or any(home.iterdir()):
            raise CheckError(f"{env_id} must not import numba or write into the home")
    if max(seconds.values()) > MOST_SECONDS and not is_emulated:
        raise CheckError(f"a first step may take {MOST_SECONDS} s of a processor, got {seconds}")
    if tests:
        run_tests(python, (version, machine), folder, tests)


def install(version: str, machine: str, folder: Path, what: Sequence[str]) -> None:
    """Install packages for a Python, and what they need, into a folder.

    Raises:
        CheckError: if that fails.
    """
    platforms = [option for platform in PLATFORMS for option in ("--platform", f"{platform}_{machine}")]
    of_it = ["--python-version", version, *platforms, "--only-binary", ":all:", "--quiet"]
    loaded = folder.with_name(f"{folder.name}-wheels")
    pip(["download", *of_it, "--dest", str(loaded), *what])  # which asks what that Python needs, not this one
    found = [str(path) for path in sorted(loaded.glob("*.whl"))]
    options = ["--no-deps", "--no-index", "--ignore-requires-python", "--no-compile", "--upgrade"]
    pip(["install", *of_it, *options, "--target", str(folder), *found])


def pip(arguments: Sequence[str]) -> None:
    """Call this Python's pip.

    Raises:
        CheckError: if it fails.
    """
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise CheckError(f"pip {shlex.join(arguments)} fails: {done.stderr}")


def run_tests(python: Sequence[str], kind: tuple[str, str], folder: Path, tests: Sequence[str]) -> None:
    """Run tests of the checkout with what is installed."""
    with stage("installing what tests need"):
        install(*kind, folder / "tools", TOOLS)
    for name in TESTED:  # without the package itself
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "checkout" / name, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, folder / "checkout" / name)
    paths = [str(folder / name) for name in ("site", "tools", "checkout")]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "HOME": str(folder / "home"), "DRIVESIM_PREBUILT": "1"}
    named = [str(folder / "checkout" / test) if test.startswith("tests/") else test for test in tests]
    with stage("testing"):
        answer = asked(python, folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *named, **variables)
    print(f"Python {', '.join(kind)}: {answer.strip().splitlines()[-1]}")


def asked(python: Sequence[str], folder: Path, *arguments: str, **variables: str) -> str:
    """What a program prints, which knows no packages but those of PYTHONPATH.

    Raises:
        CheckError: if it fails or complains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [*python, "-S", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise CheckError(f"{shlex.join(arguments)} ends with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(run_script(main))
