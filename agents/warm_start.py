"""Drivers of runs that have ended: to be loaded, or to begin another run with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agents.algorithms import MAX_NETWORK_BYTES
from agents.checkpoint import Checkpoint, find_checkpoints, foreign, load_latest_checkpoint
from agents.run_folder import run_at

if TYPE_CHECKING:
    from agents.algorithms import Agent

__all__ = ["begin_with", "driver_of"]


def driver_of(folder: Path, kind: str = "best") -> Checkpoint:
    """Returns the weights of a run's driver, from a checkpoint.

    Args:
        folder: of the run.
        kind: "best" or "last"; a run without a best checkpoint gives its last one.

    Raises:
        CheckpointError: it has none that is whole.
    """
    checkpoints = run_at(folder) / "checkpoints"
    kind = kind if find_checkpoints(checkpoints, kind) else "last"
    return load_latest_checkpoint(checkpoints, kind, only="network", max_bytes=2 * MAX_NETWORK_BYTES)


def begin_with(agent: Agent, folder: Path) -> None:
    """Gives a new agent the weights of a run's best driver; everything else of it stays as it was.

    Raises:
        CheckpointError: there are none, or the network is another one.
    """
    driver, state = driver_of(folder), agent.state()
    with foreign(driver):
        weights = driver.tensors["network"]
        state.tensors |= {
            name: weights for name in ("network", "target_network", "average_network") if name in state.tensors
        }
        agent.load_state(state)
