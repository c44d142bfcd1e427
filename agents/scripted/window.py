"""Reading the `"grid"` observation for scripted drivers: a window of cells, the ego facing up.

Every helper takes a batch of observations as a `View`, whose planes have names. A cell is named by `n`, cells ahead of
the ego, and `across`, cells to its right. A vehicle that drives at v next, and then brakes by 1 in every tick, travels
v(v + 1)/2 cells; a leader of speed u still leaves u(u - 1)/2. Both follow `drivesim`'s own car following.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim import Action
from drivesim.observations.encoder import Window
from drivesim.observations.grid import shown_planes

__all__ = [
    "AHEAD",
    "LINE",
    "RED",
    "SAME_HEADING",
    "STOP",
    "TOWARDS_ME",
    "YELLOW",
    "View",
    "ahead",
    "at",
    "behind",
    "follow_speed",
    "leader",
    "own_speed",
    "room_to",
    "speed_action",
    "vehicle_speed",
]

AHEAD = 12  # cells that the window of every scenario shows ahead at least
SAME_HEADING, TOWARDS_ME = 64, 192  # values of the plane `vehicle_heading`
LINE = 80  # least value of the plane `signal` on a stop line for me
STOP, YELLOW, RED = 96, 192, 255  # values there, at an all-way stop and at lights that are not green


@dataclass(frozen=True)
class View:
    """A batch of observations with the window that they show."""

    obs: NDArray[Any]
    """(B, planes, height, width)."""
    window: Window
    """The scenario's."""

    def plane(self, name: str) -> NDArray[Any]:
        """A plane, (B, height, width); zeros, not to be written, where the scenario has nothing to show in it."""
        planes = shown_planes(self.window)
        if name in planes:
            return self.obs[:, planes.index(name)]
        return np.broadcast_to(np.uint8(0), self.obs[:, 0].shape)


def ahead(view: View, plane: str) -> NDArray[Any]:
    """A plane from the ego's row forward: (B, rows ahead + 1, width), first the ego's own row."""
    return view.plane(plane)[:, view.window.ahead :: -1]


def behind(view: View, plane: str) -> NDArray[Any]:
    """A plane from the ego's row backward: (B, rows behind + 1, width), first the ego's own row."""
    return view.plane(plane)[:, view.window.ahead :]


def at(cells: NDArray[Any], n: NDArray[Any], across: int) -> NDArray[Any]:
    """The value of one cell per env, 0 beyond the window: (B,).

    Args:
        cells: a plane as `ahead` gives it.
        n: cells ahead, (B,).
        across: cells to the right.
    """
    last = cells.shape[1] - 1
    values: NDArray[Any] = cells[np.arange(len(cells)), np.clip(n, 0, last), cells.shape[2] // 2 + across]
    return np.where((n >= 0) & (n <= last), values, 0)


def own_speed(view: View) -> NDArray[np.int64]:
    """Speed of the ego, cells per tick: (B,)."""
    return view.plane("own_speed")[:, 0, 0].astype(np.int64) // 36 - 1


def vehicle_speed(values: NDArray[Any]) -> NDArray[np.int64]:
    """Speeds from values of the plane `vehicle`; 0 also where there is none."""
    speeds: NDArray[np.int64] = np.maximum(values.astype(np.int64) - 55, 0) // 40
    return speeds


def leader(vehicles: NDArray[Any], nobody: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest vehicle along axis 1, the ego's own row left out: (free cells in between, its speed).

    Args:
        vehicles: the plane `vehicle` as `ahead` or `behind` gives it, (B, rows, …).
        nobody: the gap to report where none is seen.
    """
    is_there = vehicles[:, 1:] > 0
    gap = is_there.argmax(axis=1)
    speed = vehicle_speed(np.take_along_axis(vehicles[:, 1:], gap[:, None], axis=1)[:, 0])
    return np.where(is_there.any(axis=1), gap, nobody), speed


def room_to(gap: NDArray[np.int64], leader_speed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cells within which the ego has to be able to stop: those in between, and those that its leader still leaves."""
    room: NDArray[np.int64] = gap + leader_speed * (leader_speed - 1) // 2
    return room


def follow_speed(speed: NDArray[np.int64], room: NDArray[np.int64], top_speed: int) -> NDArray[np.int64]:
    """The fastest speed, at most one off the present one, from which the ego stops within `room`; else brake."""
    chosen: NDArray[np.int64] = np.maximum(speed - 1, 0)
    for wish in (speed, speed + 1):
        chosen = np.where((wish <= top_speed) & (wish * (wish + 1) // 2 <= room), wish, chosen)
    return chosen


def speed_action(speed: NDArray[np.int64], wish: NDArray[np.int64]) -> NDArray[np.int64]:
    """The action that brings `speed` closer to `wish`."""
    return np.select([wish > speed, wish < speed], [Action.FASTER, Action.SLOWER], Action.IDLE).astype(np.int64)
