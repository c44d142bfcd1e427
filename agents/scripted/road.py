"""LaneKeep and Obstacles: plan the fastest way through the window, and take its first step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import AHEAD, View, ahead, own_speed
from drivesim import Action
from drivesim.observations.encoder import Window

__all__ = ["RoadDriver"]

UNSEEN = 2.0  # ticks, for every row by which a way ends before the last one seen
_PREFERENCE = (Action.FASTER, Action.IDLE, Action.LEFT, Action.RIGHT, Action.SLOWER)  # of equally fast ways


class RoadDriver:
    """Searches all ways through the cells seen ahead for the fastest that stays legal.

    1. Only cells count that allow the ego's heading and from which the route leads on to the goal.
    2. A way must end at speed 1 in the last row seen, since nobody knows what comes behind it, or in the goal.
    3. A tick costs 1, more away from the lane's centre and on the shoulder; a step sideways costs a little.

    As the last way stays possible, rule 2 makes sure that there always is one.
    """

    observation = "grid"

    def __init__(
        self, window: Window, top_speed: int, *, offset_cost: float, side_cost: float, shoulder_cost: float
    ) -> None:
        """Sets the prices, all in ticks.

        Args:
            window: the one that it is shown.
            top_speed: fastest speed, cells per tick.
            offset_cost: of a tick, per cell off the lane's centre.
            side_cost: of a step sideways.
            shoulder_cost: of a tick that ends on the shoulder.
        """
        self.window = window
        self.top_speed = top_speed
        self.offset_cost = offset_cost
        self.side_cost = side_cost
        self.shoulder_cost = shoulder_cost

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the first action of every env's best way."""
        view = View(obs, self.window)
        road = ahead(view, "road")
        is_open = (road > 0) & (ahead(view, "route") > 0)
        cost = 1.0 + self.offset_cost / 36 * ahead(view, "lane_offset") + self.shoulder_cost * (road == 128)
        is_end = _rows_behind_goal(is_open)
        # to_go[n][v]: ticks from row n at speed v, per column
        unknown = np.full(road[:, 0].shape, np.inf)
        to_go = [[unknown] * (self.top_speed + 1) for _ in range(AHEAD + 1)]
        for n in range(AHEAD + 1):
            to_go[n][1] = np.where(is_open[:, n], UNSEEN * (AHEAD - n), np.inf)
        values: dict[Action, NDArray[Any]] = {}
        for n in range(AHEAD - 1, -1, -1):
            drive = [unknown] * (self.top_speed + 2)  # drive[v]: ticks when going on at v, per column
            is_free = is_open[:, n]
            for v in range(1, min(self.top_speed, AHEAD - n) + 1):
                arrives = is_end[:, n + v, None]
                is_free = is_free & (is_open[:, n + v] | arrives)
                rest = np.where(arrives, 1.0, cost[:, n + v] + to_go[n + v][v])
                drive[v] = np.where(is_free, rest, np.inf)
            for v in range(self.top_speed + 1):
                values = {
                    Action.FASTER: drive[v + 1] if v < self.top_speed else unknown,
                    Action.IDLE: drive[v],
                    Action.LEFT: _from_left(drive[max(v, 1)]) + self.side_cost,
                    Action.RIGHT: _from_left(drive[max(v, 1)][:, ::-1])[:, ::-1] + self.side_cost,
                    Action.SLOWER: drive[max(v - 1, 0)],
                }
                if n == 0:
                    to_go[0][v] = np.stack([values[action][:, road.shape[2] // 2] for action in _PREFERENCE], axis=1)
                else:
                    to_go[n][v] = np.minimum.reduce([to_go[n][v], *values.values()])
        speed = np.minimum(own_speed(view), self.top_speed)
        best = np.stack(to_go[0], axis=1)[np.arange(len(obs)), speed]
        choice = np.asarray(_PREFERENCE, np.int64)[best.argmin(axis=1)]
        return np.where(np.isinf(best).all(axis=1), Action.SLOWER, choice).astype(np.int64)


def _from_left(values: NDArray[Any]) -> NDArray[Any]:
    """The value of the column to the left of each column."""
    shifted = np.full_like(values, np.inf)
    shifted[:, 1:] = values[:, :-1]
    return shifted


def _rows_behind_goal(is_open: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows of the window lie behind the goal, (B, rows): where the road ends and did not leave sideways."""
    is_end = np.zeros(is_open.shape[:2], np.bool_)
    for n in range(1, is_open.shape[1]):
        is_inside = is_open[:, n - 1, 1:-1].any(axis=1)  # a road that leaves the window does so cell by cell
        is_end[:, n] = ~is_open[:, n].any(axis=1) & (is_end[:, n - 1] | is_inside)
    return is_end
