"""Object code of these sources, for all targets."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivesim.core import prebuilt
from drivesim.core.sources import kernel_digest
from drivesim.linking import LinkError, linker_of

ROOT = Path(__file__).resolve().parents[1]
AGAIN = "x86_64_v3"
"""The target that is built twice, and compared."""


def fits(path: Path) -> bool:
    """Whether a file was made of these sources."""
    with contextlib.suppress(OSError, prebuilt.SealError):
        return prebuilt.unsealed(path.read_bytes()).sources == kernel_digest()
    return False


def copy_of(target: str, source: Path, folder: Path) -> None:
    """Copy what there is of a target: of WebAssembly the description too."""
    for path in source.glob(f"{target}.*"):
        shutil.copy(path, folder)


def build_again(folder: Path, targets: Sequence[str]) -> None:
    """Build targets in a process whose sets and dictionaries are in another order than in most."""
    command = [sys.executable, "-m", "drivesim", "build", "--out", str(folder), "--target", *targets]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "1"}, capture_output=True)


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of all targets: those of the checkout, and what is missing made once for all workers.

    With what is missing `AGAIN` is made too, into a folder of that name, for the test that compares two builds: most of
    a build's time is the same for any number of targets.
    """
    try:
        linker_of("native"), linker_of("wasm32")
    except LinkError as error:
        pytest.skip(str(error))
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "objects"
    folder.mkdir(exist_ok=True)
    fcntl = pytest.importorskip("fcntl")
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for target in prebuilt.TARGETS:
            if fits(prebuilt.path_of(target)) and not fits(prebuilt.path_of(target, folder)):
                copy_of(target, prebuilt.FOLDER, folder)
        missing = [target for target in prebuilt.TARGETS if not fits(prebuilt.path_of(target, folder))]
        if missing:
            made = folder / AGAIN
            build_again(made, sorted({*missing, AGAIN}))
            for target in missing:
                copy_of(target, made, folder)
            if AGAIN in missing:  # that was the first time
                prebuilt.path_of(AGAIN, made).unlink()
    return folder
