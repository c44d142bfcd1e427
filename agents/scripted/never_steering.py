"""Drivers that never steer: how far one gets in a scenario without doing what it is about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.field import FASTER, OBSTACLE, SLOWER, STEPS
from agents.scripted.window import (
    SAME_HEADING,
    YELLOW,
    View,
    ahead,
    at,
    follow_speed,
    leader,
    own_speed,
    room_to,
    speed_action,
)
from drivesim.observations.encoder import Window
from drivesim.observations.full_grid import EGO, NUM_SPEEDS, VEHICLE

__all__ = ["StraightDriver", "StraightFieldDriver"]

FREE = 15  # cells ahead that are free enough for any speed
CLEAR_CELLS = 3  # ahead, for Autodrive's straight driver to go on


class StraightDriver:
    """Speeds up to the limit and brakes for what is ahead: a vehicle, the end of the road, a red or yellow light."""

    observation = "grid"

    def __init__(self, window: Window, top_speed: int, *, reckless: bool) -> None:
        """Sets the window that it is shown, the fastest speed, cells per tick, and whether to brake for nothing."""
        self.window = window
        self.top_speed = top_speed
        self.reckless = reckless

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns FASTER, IDLE or SLOWER for every env of the batch."""
        middle = obs.shape[3] // 2
        view = View(obs, self.window)
        speed = own_speed(view)
        if self.reckless:
            return speed_action(speed, np.full_like(speed, self.top_speed))
        gap, leader_speed = leader(ahead(view, "vehicle")[:, :, middle], FREE)
        is_leader = at(ahead(view, "vehicle_heading"), gap + 1, 0) == SAME_HEADING
        room = room_to(gap, np.where(is_leader, leader_speed, 0))
        is_closed = (ahead(view, "road")[:, 1:, middle] == 0) & (ahead(view, "other_road")[:, 1:, middle] == 0)
        is_closed |= ahead(view, "signal")[:, :-1, middle] >= YELLOW
        room = np.minimum(room, np.where(is_closed.any(axis=1), is_closed.argmax(axis=1), FREE))
        return speed_action(speed, follow_speed(speed, room, self.top_speed))


class StraightFieldDriver:
    """The same for Autodrive: FASTER while the three cells ahead hold neither an obstacle nor a car, else SLOWER."""

    observation = "full_grid"

    def __init__(self, *, reckless: bool) -> None:
        """Sets whether to brake for nothing."""
        self.reckless = reckless

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns FASTER or SLOWER for every env of the batch."""
        envs, rows, cols = np.nonzero(obs >= EGO)
        steps = np.asarray(STEPS)[(obs[envs, rows, cols] - EGO) // NUM_SPEEDS]
        is_clear = np.ones(len(obs), np.bool_)
        for n in range(1, CLEAR_CELLS + 1):
            row = np.clip(rows + n * steps[:, 0], 0, obs.shape[1] - 1)
            col = np.clip(cols + n * steps[:, 1], 0, obs.shape[2] - 1)
            code = obs[envs, row, col]
            is_clear &= (code != OBSTACLE) & ((code < VEHICLE) | (code >= EGO))
        return np.where(is_clear | self.reckless, FASTER, SLOWER).astype(np.int64)
