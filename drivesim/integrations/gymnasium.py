"""Additions to Gymnasium's own vector environments of our single ones."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

__all__ = ["close_workers"]


def close_workers(envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
    """End all worker processes of an `AsyncVectorEnv` at once, also if some of them have died or hang.

    `AsyncVectorEnv.close(terminate=True)` first waits for the answers to a pending call; if one of the workers has
    died, that raises `EOFError` and leaves the others running. This neither asks nor waits for an answer. Afterwards
    the environment counts as closed, and its own `close()` does nothing.

    Args:
        envs: an `AsyncVectorEnv` or wrappers around one, in any state.

    Raises:
        TypeError: for any other environment.
    """
    base = envs.unwrapped
    if not isinstance(base, gym.vector.AsyncVectorEnv):
        raise TypeError(f"envs must be an AsyncVectorEnv, got {type(base).__name__}")
    for process in base.processes:
        process.kill()
    for process in base.processes:
        process.join()
    for pipe in base.parent_pipes:
        if pipe is not None:  # of a worker whose environment has raised
            pipe.close()
    base.closed = True
