"""Kernels: never older than their sources, the same in the interpreter, one copy for each binding."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import drivesim
from drivesim.core import jit

# `cells_east` is in occupancy.py and calls `wrapped` in world.py.
PROGRAM = """
import numpy as np
from drivesim.core.occupancy import cells_east
from drivesim.core.world import WORLD
worlds = np.zeros(1, WORLD)
worlds[0].cols = 50
hits = lambda: sum(cells_east.stats.cache_hits.values())
print(cells_east(worlds[0], 10, 0), hits())
"""


def run(package_parent: Path, cache: Path) -> list[int]:
    """What the program prints with the package below `package_parent` and its own cache."""
    environment = {**os.environ, "DRIVESIM_CACHE_DIR": str(cache), "PYTHONPATH": str(package_parent)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=package_parent,
    )
    return [int(word) for word in done.stdout.split()]


def test_an_edit_in_another_file_reaches_a_cached_caller(tmp_path) -> None:
    package = tmp_path / "drivesim"
    shutil.copytree(Path(drivesim.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    free_cells = 50 - 10 - 1
    assert run(tmp_path, cache) == [free_cells, 0]
    assert run(tmp_path, cache) == [free_cells, 1]  # the cache works at all
    source = (package / "core" / "world.py").read_text()
    edited = source.replace("return index + size\n", "return index + size + 1000\n")
    assert edited != source
    (package / "core" / "world.py").write_text(edited)
    assert run(tmp_path, cache) == [free_cells + 1000, 0]


def test_every_file_with_a_kernel_is_part_of_the_digest(tmp_path) -> None:
    package = Path(drivesim.__file__).parent
    with_kernels = [path for path in package.rglob("*.py") if "@kernel" in path.read_text()]
    assert len(with_kernels) > 15
    for path in with_kernels:
        copy = tmp_path / path.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    before = jit.source_digest(tmp_path)
    for path in sorted(tmp_path.rglob("*.py")):
        text = path.read_text()
        path.write_text(text + "\n")
        assert jit.source_digest(tmp_path) != before, path
        path.write_text(text)
    assert jit.source_digest(tmp_path) == before


def test_the_interpreter_runs_the_kernels_themselves(tmp_path) -> None:
    program = (
        "from types import FunctionType\n"
        "from drivesim.core import jit\n"
        "from drivesim.core.traffic import is_safe\n"
        "assert isinstance(is_safe, FunctionType)\n"
        "assert is_safe(5, 10, 1) and not is_safe(5, 9, 1)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "DRIVESIM_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert not (tmp_path / "cache").exists()


def add(a, b):
    raise NotImplementedError


def add_to_double(a, b):
    return add(a + a, b)


def test_a_template_is_compiled_once_for_each_binding() -> None:
    plus = jit.kernel(lambda a, b: a + b)
    minus = jit.kernel(lambda a, b: a - b)
    assert jit.specialize(add_to_double, "double_plus", add=plus)(10, 1) == 21
    assert jit.specialize(add_to_double, "double_minus", add=minus)(10, 1) == 19
