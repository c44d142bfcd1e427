"""Roads with junctions and crosswalks: follow the route, enter when it is my turn, stop for pedestrians, turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import (
    AHEAD,
    LINE,
    SAME_HEADING,
    View,
    ahead,
    at,
    behind,
    follow_speed,
    leader,
    own_speed,
    room_to,
    speed_action,
)
from drivesim import Action
from drivesim.observations.encoder import Window

__all__ = ["RouteDriver"]

FAR = 99  # cells: further than anything that is seen
CROSSWALK = 32  # on a crosswalk
CROSSING = 255  # value of the plane `pedestrian`
ROUTE_STEP = 8  # by which the plane `route` grows with every move saved


class RouteDriver:
    """Drives to the turn as if a standing car were in its way, and to the stop line of a junction too.

    1. It passes the line in a tick before which it is its turn, and else could still stop there.
    2. A turn, or a change of lane, is due in the cell where the route leads on to the side; in a junction it waits for
       its turn there as well.
    3. A crosswalk with somebody on it is closed. Whoever waits beside it steps out only while this driver can still
       stop, so that there is no need to slow down for them; and who stood right before them would keep them waiting.
    4. Where the route leads on behind it alone, it backs out; while somebody stands there, it waits.
    """

    observation = "grid"

    def __init__(self, window: Window, top_speed: int = 2) -> None:
        """Sets the window that it is shown and the fastest speed, cells per tick."""
        self.window = window
        self.top_speed = top_speed

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns an action for every env of the batch."""
        view = View(obs, self.window)
        speed = own_speed(view)
        vehicles = ahead(view, "vehicle")
        is_my_turn = view.plane("my_turn")[:, 0, 0] > 0
        route = ahead(view, "route").astype(np.int64)
        turn_at, side = _next_turn(route)

        gap, leader_speed = leader(vehicles[:, :, obs.shape[3] // 2], FAR)
        leader_speed = np.where(at(ahead(view, "vehicle_heading"), gap + 1, 0) == SAME_HEADING, leader_speed, 0)
        room = room_to(gap, leader_speed)
        room = np.minimum(room, _crosswalk(ahead(view, "signal"), ahead(view, "pedestrian")))
        room = np.minimum(room, np.where(side != 0, turn_at, FAR))
        wish = follow_speed(speed, room, self.top_speed)
        wish = _up_to_line(speed, wish, _stop_line(ahead(view, "signal")), is_my_turn)
        action = speed_action(speed, wish)

        here = np.zeros_like(turn_at)
        must_wait = ~is_my_turn | (np.where(side > 0, at(vehicles, here, 1), at(vehicles, here, -1)) > 0)
        turn = np.where(side > 0, Action.RIGHT, Action.LEFT)
        turn = np.where(must_wait | (speed > 1), Action.SLOWER, turn)
        turn = np.where(speed < 0, Action.FASTER, turn)  # it stands first: one who rolls backwards turns backwards
        action = np.where((side != 0) & (turn_at == 0), turn, action)

        leads_back = at(behind(view, "route").astype(np.int64), here + 1, 0) == at(route, here, 0) + ROUTE_STEP
        is_free = at(behind(view, "vehicle"), here + 1, 0) == 0
        back_out = speed_action(speed, np.where(is_free, -1, 0))
        return np.where((side == 0) & (turn_at == 0) & leads_back, back_out, action).astype(np.int64)


def _next_turn(route: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the route stops getting shorter straight ahead, and to which side it goes on: (cells, -1, 0 or 1)."""
    middle = route.shape[2] // 2
    is_shorter = route[:, 1:, middle] == route[:, :-1, middle] + ROUTE_STEP
    turn_at = np.where(is_shorter.all(axis=1), AHEAD, (~is_shorter).argmax(axis=1))
    goes_on = at(route, turn_at, 0) + ROUTE_STEP
    turns = [at(route, turn_at, side) == goes_on for side in (1, -1)]
    changes = [at(route, turn_at + 1, side) == goes_on for side in (1, -1)]
    return turn_at, np.select([*turns, *changes], [1, -1, 1, -1], 0)


def _crosswalk(signal: NDArray[Any], pedestrians: NDArray[Any]) -> NDArray[np.int64]:
    """Free cells before the nearest crosswalk with somebody on it: (B,)."""
    is_crossed = (signal[:, :, signal.shape[2] // 2] == CROSSWALK) & (pedestrians == CROSSING).any(axis=2)
    is_crossed[:, 0] = False  # too late to stop
    return np.where(is_crossed.any(axis=1), is_crossed.argmax(axis=1) - 1, FAR)


def _stop_line(signal: NDArray[Any]) -> NDArray[np.int64]:
    """Cells to the stop line for me, 0 when standing on it: (B,)."""
    is_line = signal[:, :, signal.shape[2] // 2] >= LINE
    return np.where(is_line.any(axis=1), is_line.argmax(axis=1), FAR)


def _up_to_line(
    speed: NDArray[np.int64], wish: NDArray[np.int64], line: NDArray[np.int64], is_my_turn: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The fastest speed up to `wish` that passes the line in this tick, in its turn, or can still stop on it."""
    chosen: NDArray[np.int64] = np.maximum(speed - 1, 0)
    for faster in (speed, speed + 1):
        is_open = np.where(faster > line, is_my_turn, faster * (faster + 1) // 2 <= line)
        chosen = np.where((faster <= wish) & is_open, faster, chosen)
    return chosen
