"""Highway: follow safely, and change to the lane that leads further in the next ticks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import View, ahead, behind, follow_speed, leader, own_speed, room_to, speed_action
from drivesim import Action
from drivesim.observations.encoder import Window

__all__ = ["HighwayDriver"]

HORIZON = 6  # ticks that a lane is judged by
FREE = 15  # cells: a lane in which nobody is seen is taken as free enough for any speed
LEAST_GAIN = 1  # cells by which another lane must lead further
SECOND_LANE = 3  # cells that a lane two over must lead further than the one in between
NO_LANE = -99  # cells


class HighwayDriver:
    """Judges every lane by how far its nearest car ahead will be in six ticks, and goes where that is furthest.

    1. Speed: the fastest from which the ego can stop behind its leader, however hard that one brakes.
    2. Lane: the neighbour through which the road leads further, be it there or one lane on, if it is free, the ego
       can follow there at its present speed, and whoever follows can stop behind the ego.
    """

    observation = "grid"

    def __init__(self, window: Window, top_speed: int = 5) -> None:
        """Sets the window that it is shown and the fastest speed, cells per tick."""
        self.window = window
        self.top_speed = top_speed

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns an action for every env of the batch."""
        own = obs.shape[3] // 2
        view = View(obs, self.window)
        speed = own_speed(view)
        vehicles = ahead(view, "vehicle")
        gap, leader_speed = leader(vehicles, FREE)  # (B, width), as all of the following
        room = room_to(gap, leader_speed)
        gap_behind, speed_behind = leader(behind(view, "vehicle"), FREE)
        room_behind = room_to(gap_behind, speed[:, None])
        is_lane = ahead(view, "road")[:, 0] > 0

        can_enter = is_lane & (vehicles[:, 0] == 0) & (speed > 0)[:, None]
        can_enter &= (speed * (speed + 1) // 2)[:, None] <= room
        can_enter &= speed_behind * (speed_behind - 1) // 2 <= room_behind

        furthest = self.top_speed * HORIZON
        leads_to = np.where(gap >= FREE, furthest, np.minimum(gap + leader_speed * HORIZON, furthest))
        leads_to = np.where(is_lane, leads_to, NO_LANE)
        left = np.maximum(leads_to[:, own - 1], leads_to[:, own - 2] - SECOND_LANE)
        right = np.maximum(leads_to[:, own + 1], leads_to[:, own + 2] - SECOND_LANE)
        left = np.where(can_enter[:, own - 1], left, NO_LANE)
        right = np.where(can_enter[:, own + 1], right, NO_LANE)

        ahead_action = speed_action(speed, follow_speed(speed, room[:, own], self.top_speed))
        side_action = np.where(left >= right, Action.LEFT, Action.RIGHT)
        is_better = np.maximum(left, right) > leads_to[:, own] + LEAST_GAIN
        return np.where(is_better, side_action, ahead_action).astype(np.int64)
