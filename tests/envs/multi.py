"""Tools that the tests of several egos share."""

from __future__ import annotations

import numpy as np

from drivesim.core.world import DRIVING

IDS = ("drivesim/Highway-v1", "drivesim/Intersection-v1", "drivesim/FourWayStop-v1", "drivesim/Roundabout-v1")
IDLE, FASTER = 1, 3


def shared_cells(state: np.ndarray) -> int:
    """How many vehicles of the driving traffic stand on a cell with another one, in all worlds (W,) together."""
    first, last = int(state["world"]["num_egos"][0]), int(state["world"]["num_vehicles"][0])
    vehicles = state["world"]["vehicles"][:, first:last]
    apart = -1 - np.arange(last - first)  # who does not drive is on no cell
    cells = np.sort(np.where(vehicles["status"] == DRIVING, vehicles["cell"], apart), axis=1)
    return int((cells[:, 1:] == cells[:, :-1]).sum())


def wishes(rng: np.random.Generator, num: int) -> np.ndarray:
    """Random actions of hasty drivers (num,)."""
    return np.where(rng.random(num) < 0.5, FASTER, rng.integers(0, 5, num))
