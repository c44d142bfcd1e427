"""Kernels: never older than their sources, and the same in the interpreter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from effort import effort

import drivesim
from drivesim.core import compiling
from drivesim.core.kernel_cache import source_digest

# `index_of` is in full_grid.py and calls `row_of` in map.py.
PROGRAM = """
import numpy as np
from drivesim.core.map import cell_at, map_dtype
from drivesim.core.painting import set_size
from drivesim.core.options import OPTIONS
from drivesim.observations.full_grid import index_of
map = np.zeros(1, map_dtype(3, 50))[0]
set_size(map, 3, 50)
options = np.zeros(1, OPTIONS)
options["rows"], options["cols"] = 3, 50
hits = lambda: sum(index_of.stats.cache_hits.values())
print(index_of(map, options[0], cell_at(map, 2, 10)), hits())
"""


def run(package_parent: Path, cache: Path, program: str = PROGRAM) -> list[int]:
    """What a program prints with the package below `package_parent` and its own cache."""
    environment = {**os.environ, "DRIVESIM_CACHE_DIR": str(cache), "PYTHONPATH": str(package_parent)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    done = subprocess.run(
        [sys.executable, "-c", program],
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
    assert run(tmp_path, cache) == [110, 0]
    assert run(tmp_path, cache) == [110, 1]  # the cache works at all
    source = (package / "core" / "map.py").read_text()
    edited = source.replace("return (cell * map.row_factor >> ROW_SHIFT) - 1\n", "return 7\n")
    assert edited != source
    (package / "core" / "map.py").write_text(edited)
    assert run(tmp_path, cache) == [7 * 50 + (3 * 52 + 11) - 8 * 52 - 1, 0]


def test_every_file_with_a_kernel_is_part_of_the_digest(tmp_path) -> None:
    package = Path(drivesim.__file__).parent
    with_kernels = [path for path in package.rglob("*.py") if "\n@kernel\n" in path.read_text()]
    assert len(with_kernels) > 15
    for path in with_kernels:
        copy = tmp_path / path.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    before = source_digest(tmp_path)
    for path in sorted(tmp_path.rglob("*.py")):
        text = path.read_text()
        path.write_text(text + "\n")
        assert source_digest(tmp_path) != before, path
        path.write_text(text)
    assert source_digest(tmp_path) == before


def test_the_interpreter_runs_the_kernels_themselves(tmp_path) -> None:
    program = (
        "from types import FunctionType\n"
        "from drivesim.core import jit\n"
        "from drivesim.core.following import is_safe\n"
        "assert isinstance(is_safe, FunctionType)\n"
        "assert is_safe(5, 10, 1) and not is_safe(5, 9, 1)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "DRIVESIM_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert not (tmp_path / "cache").exists()


OTHER_VERSION = """
import numba
numba.version_info = numba.version_info._replace(short=(0, 99))
from drivesim.core import compiling
assert not any(compiling.PIPELINES.values())
"""
DRIVE = """
import gymnasium as gym
import drivesim
envs = gym.make_vec("drivesim/Autodrive-v1", 8)
envs.reset(seed=7)
print(*[int(1000 * sum(envs.step([action] * 8)[1])) for action in (2, 2, 0, 2, 1)])
"""


@pytest.mark.slow
def test_a_numba_of_another_version_compiles_kernels_in_its_own_way_to_the_same_results(tmp_path) -> None:
    assert all(compiling.pipelines(compiling.KNOWN).values())
    program = effort(PROGRAM, DRIVE)  # a whole environment takes a minute to compile twice
    package_parent = Path(drivesim.__file__).parents[1]
    ours = run(package_parent, tmp_path / "ours", program)
    assert run(package_parent, tmp_path / "other", OTHER_VERSION + program) == ours
    assert len(ours) == effort(2, 5)
