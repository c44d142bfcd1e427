"""Compiled kernels are kept and loaded; what stands in the way costs time and one line, and stops nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import drivesim

PACKAGE = Path(drivesim.__file__).parent

# A kernel of two functions; the compiler says when it works.
KERNELS = """
import sys
import numba
from drivesim.core.jit import kernel

def watched(number):
    raise NotImplementedError

@numba.extending.overload(watched)
def compile_watched(number):
    print("the compiler works", file=sys.stderr)
    return lambda number: number

@kernel
def double(number):
    return 2 * watched(number)

@kernel
def quadruple(number):
    return double(double(number))
"""
PROGRAM = """
from kernels import quadruple
assert quadruple(21) == 84
print("loaded" if sum(quadruple.stats.cache_hits.values()) else "compiled")
"""
NOTICE = "drivesim: compiling kernels, which takes up to twenty seconds"
COMPILER = "the compiler works"


class Outcome(NamedTuple):
    """Of a program that ran to its end."""

    stdout: list[str]
    stderr: list[str]


class Workshop:
    """A folder with kernels, a cache and a temporary folder of its own, in which programs run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        (folder / "kernels.py").write_text(KERNELS)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "DRIVESIM"))},
            "DRIVESIM_CACHE_DIR": str(self.cache),
            "PYTHONDONTWRITEBYTECODE": "1",  # on a full disk, Python itself leaves half a file of byte code
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": f"{PACKAGE.parent}{os.pathsep}{folder}",
        }

    def run(self, program: str = PROGRAM, before: str = "") -> Outcome:
        """Run a program, warnings as errors; nothing may stay in the temporary folder."""
        (self.folder / "program.py").write_text(before + program)
        command = [sys.executable, "-W", "error", "program.py"]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        assert os.listdir(self.temporary) == []
        return Outcome(done.stdout.splitlines(), done.stderr.splitlines())

    def kept(self) -> list[Path]:
        """The compiled functions in the cache."""
        return sorted(path for path in self.cache.glob("*/*") if path.name != "announced")


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """A cache in which the kernels are kept."""
    workshop = Workshop(tmp_path_factory.mktemp("filled"))
    assert workshop.run().stdout == ["compiled"]
    return workshop.cache


@pytest.fixture
def filled_workshop(workshop, filled) -> Workshop:
    """One whose programs have run before."""
    shutil.copytree(filled, workshop.cache)
    return workshop


def test_one_line_comes_before_the_compiler_works_and_none_if_kernels_are_loaded(workshop) -> None:
    first = workshop.run()
    assert first.stdout == ["compiled"]
    assert first.stderr[0].startswith(NOTICE)
    assert str(workshop.cache) in first.stderr[0]
    assert set(first.stderr[1:]) == {COMPILER}
    assert workshop.run() == Outcome(["loaded"], [])


def test_the_workers_of_a_pool_share_one_line(workshop) -> None:
    program = """
import multiprocessing
def work(_):
    from kernels import quadruple
    return quadruple(21)

if __name__ == "__main__":
    with multiprocessing.get_context(METHOD).Pool(3) as pool:
        assert pool.map(work, range(3), chunksize=1) == [84] * 3
"""
    for method in ("spawn", "fork"):
        for path in workshop.kept():
            path.unlink()
        lines = workshop.run(program, before=f"METHOD = {method!r}\n").stderr
        assert sum(line.startswith(NOTICE) for line in lines) == 1, lines
    assert workshop.run().stdout == ["loaded"]  # what they compiled at the same time is sound


# --- the five ways in which a cache used to stop a program ---------------------------------------------------------

NAMELESS = """
import pwd
def getpwuid(uid):
    raise KeyError(uid)
pwd.getpwuid = getpwuid
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="on Windows everybody has a name")
def test_a_user_without_home_and_name_compiles_without_keeping(workshop) -> None:
    for name in ("DRIVESIM_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        workshop.environment.pop(name, None)
    for _ in range(2):
        stdout, stderr = workshop.run(before=NAMELESS)
        assert stdout == ["compiled"]
        assert "this user has no home" in stderr[0]
        assert stderr[1] == f"{NOTICE}, for this program only"
        assert set(stderr[2:]) == {COMPILER}


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # no file may grow beyond, as on a full disk
"""


def test_a_full_disk_costs_a_line_and_leaves_no_half_files(workshop) -> None:
    pytest.importorskip("resource")
    stdout, stderr = workshop.run(before=FULL)
    assert stdout == ["compiled"]
    (line,) = [line for line in stderr if line != COMPILER and not line.startswith(NOTICE)]
    assert str(workshop.cache) in line
    assert "File too large" in line
    assert workshop.kept() == []
    assert workshop.run().stdout == ["compiled"]
    assert workshop.run() == Outcome(["loaded"], [])


@pytest.mark.parametrize("damage", ["cut off", "a folder"])
def test_a_damaged_file_is_compiled_anew_and_replaced(filled_workshop, damage) -> None:
    workshop = filled_workshop
    assert workshop.kept()
    for path in workshop.kept():
        sound = path.read_bytes()
        path.unlink()
        if damage == "a folder":
            path.mkdir()
        else:
            path.write_bytes(sound[: len(sound) // 2])
    assert workshop.run().stdout == ["compiled"]
    if damage != "a folder":
        assert workshop.run() == Outcome(["loaded"], [])


FOREIGN = """
import pathlib, pickle
from drivesim import cache
for path in pathlib.Path(FOLDER).glob("*/*-*"):
    cache.keep(path.parent.name, path.name, CONTENT)
"""


@pytest.mark.parametrize("content", ["b'no pickle'", "pickle.dumps((1, 2))"])
def test_what_numba_cannot_load_is_compiled_anew_and_replaced(filled_workshop, content) -> None:
    """As after a change of some library that the folder's name does not tell."""
    workshop = filled_workshop
    foreign = FOREIGN.replace("FOLDER", repr(str(workshop.cache))).replace("CONTENT", content)
    assert workshop.run(before=foreign).stdout == ["compiled"]
    assert workshop.run() == Outcome(["loaded"], [])


READ_ONLY = """
import errno, os, pathlib
def refuse(*_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
os.access = lambda *_, **__: False
os.mkdir = os.replace = refuse
"""


def test_on_a_read_only_system_a_filled_cache_is_read(workshop, filled) -> None:
    """The system's calls are replaced, since permissions do not bind root."""
    stdout, stderr = workshop.run(before=READ_ONLY)
    assert stdout == ["compiled"]
    assert "Read-only file system" in stderr[0]
    assert stderr[1] == f"{NOTICE}, for this program only"
    shutil.copytree(filled, workshop.cache)
    assert workshop.run(before=READ_ONLY) == Outcome(["loaded"], [])


def test_kernels_are_kept_if_the_package_lies_in_an_archive(workshop) -> None:
    archive = workshop.folder / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(PACKAGE.rglob("*.py")):
            file.write(path, path.relative_to(PACKAGE.parent))
    workshop.environment["PYTHONPATH"] = str(archive)
    program = """
import drivesim
from drivesim.core.following import is_safe
assert "archive.zip" in drivesim.__file__
assert is_safe(5, 10, 1) and not is_safe(5, 9, 1)
print("loaded" if sum(is_safe.stats.cache_hits.values()) else "compiled")
"""
    first = workshop.run(program)
    assert first.stdout == ["compiled"]
    assert str(workshop.cache) in first.stderr[0]
    assert workshop.run(program) == Outcome(["loaded"], [])
    workshop.environment["PYTHONPATH"] = str(PACKAGE.parent)
    assert workshop.run(program.replace('assert "archive', 'assert not "archive')).stdout == ["loaded"]


# --- what a compiled function is named after -----------------------------------------------------------------------


def test_an_edit_of_a_file_outside_the_package_reaches_its_kernels(filled_workshop) -> None:
    workshop = filled_workshop
    (workshop.folder / "kernels.py").write_text(KERNELS.replace("2 * watched", "0 * watched"))
    assert workshop.run(PROGRAM.replace("== 84", "== 0")).stdout == ["compiled"]


@pytest.mark.parametrize("how", ["from helpers import FACTOR, doubled", "import helpers"])
def test_so_does_an_edit_of_another_file_from_which_they_call_kernels_or_take_constants(workshop, how) -> None:
    helpers = "from drivesim.core.jit import kernel\nFACTOR = 2\n@kernel\ndef doubled(x):\n    return 2 * x\n"
    kernels = (
        f"from drivesim.core.jit import kernel\n{how}\n@kernel\ndef quadruple(x):\n    return FACTOR * doubled(x)\n"
    )
    if how == "import helpers":
        kernels = kernels.replace("FACTOR *", "helpers.FACTOR *").replace("doubled(x)", "helpers.doubled(x)")
    (workshop.folder / "kernels.py").write_text(kernels)
    (workshop.folder / "helpers.py").write_text(helpers)
    assert workshop.run().stdout == ["compiled"]
    assert workshop.run().stdout == ["loaded"]
    for old, new, result in (("return 2", "return 3", 126), ("FACTOR = 2", "FACTOR = 3", 189)):
        helpers = helpers.replace(old, new)
        (workshop.folder / "helpers.py").write_text(helpers)
        assert workshop.run(PROGRAM.replace("84", str(result))).stdout == ["compiled"]


def test_checks_of_bounds_are_not_lost_to_a_kernel_kept_without(workshop) -> None:
    program = """
import numpy as np
from kernels import third
try:
    print(third(np.zeros(3)[:2]))
except IndexError:
    print("checked")
"""
    kernels = KERNELS + "\n@kernel\ndef third(numbers):\n    return numbers[2]\n"
    (workshop.folder / "kernels.py").write_text(kernels)
    assert workshop.run(program).stdout == ["0.0"]
    workshop.environment["NUMBA_BOUNDSCHECK"] = "1"
    assert workshop.run(program).stdout == ["checked"]


def test_each_type_of_argument_has_a_file_of_its_own(workshop) -> None:
    program = """
from kernels import quadruple
print(quadruple(2), quadruple(2.5), sum(quadruple.stats.cache_hits.values()))
"""
    assert workshop.run(program).stdout == ["8 10.0 0"]
    assert workshop.run(program).stdout == ["8 10.0 2"]


def test_a_kernel_without_a_source_is_compiled_without_keeping(workshop) -> None:
    program = """
from drivesim.core.jit import kernel
namespace = {}
exec("def half(number):\\n    return number // 2\\n", namespace)
half = kernel(namespace["half"])
assert half(84) == 42
"""
    workshop.run(program)
    assert workshop.kept() == []


def test_what_was_compiled_anew_on_demand_is_neither_loaded_nor_kept(workshop) -> None:
    """Numba compiles anew for globals that have changed."""
    kernels = KERNELS + "\nFACTOR = 2\n\n@kernel\ndef scaled(number):\n    return FACTOR * number\n"
    (workshop.folder / "kernels.py").write_text(kernels)
    program = """
import kernels
print(kernels.scaled(1))
kernels.FACTOR = 3
kernels.scaled.recompile()
print(kernels.scaled(1))
"""
    for _ in range(2):
        assert workshop.run(program).stdout == ["2", "3"]
