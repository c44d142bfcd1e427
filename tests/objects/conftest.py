"""Object code of these sources, for all targets."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drivesim.core import prebuilt
from drivesim.core.sources import kernel_digest
from drivesim.linking import LinkError, linker_of

ROOT = Path(__file__).resolve().parents[2]


def fits(path: Path) -> bool:
    """Whether a file was made of these sources."""
    with contextlib.suppress(OSError, prebuilt.SealError):
        data = path.read_bytes()
        return prebuilt.unsealed(data).sources == kernel_digest() and path.with_suffix("").name in prebuilt.TARGETS
    return False


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of all targets: those of the checkout, and what is missing made once for all workers."""
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
        for path in prebuilt.FOLDER.glob("*"):
            if fits(path) and not (folder / path.name).exists() and not path.name.startswith("wasm"):
                shutil.copy(path, folder)
        missing = [target for target in prebuilt.TARGETS if not fits(prebuilt.path_of(target, folder))]
        if missing:
            command = [sys.executable, "-m", "drivesim", "build", "--out", str(folder), "--target", *missing]
            subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return folder
