"""Ray for the tests: its files in a folder that is removed afterwards, and no process left behind."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

STARTS = 5


def patient(init: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's `init`, tried again where a busy machine did not start Ray's processes in the half minute it gives them."""

    def begin(*args: Any, **options: Any) -> Any:
        import ray

        for _ in range(STARTS - 1):
            try:
                return init(*args, **options)
            except Exception as error:
                if "timed out during startup" not in str(error):
                    raise
                ray.shutdown()
        return init(*args, **options)

    return begin


@pytest.fixture(scope="session", autouse=True)
def ray_home():
    """Where Ray writes. Paths of its sockets must be short, so this is no `tmp_path`."""
    ray = pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="ray-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray would write one into the home directory
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr(ray, "init", patient(ray.init))
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def two_processors(ray_home):
    """A Ray of two processors, however many there are."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
