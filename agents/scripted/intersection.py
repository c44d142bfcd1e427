"""Intersection and Custom: follow the route, stop at red and for pedestrians, enter a clear junction, turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import (
    AHEAD,
    RED,
    SAME_HEADING,
    TOWARDS_ME,
    YELLOW,
    ahead,
    at,
    follow_speed,
    leader,
    own_speed,
    room_to,
    speed_action,
    vehicle_speed,
)
from drivesim import Action

__all__ = ["IntersectionDriver"]

FAR = 99  # cells: further than anything that is seen
GREEN = 128  # value of the plane `signal` on a stop line for me that shows green
CROSSWALK = 32  # on a crosswalk
CROSSING = 255  # value of the plane `pedestrian`
ROUTE_STEP = 8  # by which the plane `route` grows with every move saved


class IntersectionDriver:
    """Drives to the turn as if a standing car were in its way, and to a closed stop line too.

    1. The line is closed at red; at yellow, if the ego can still stop; while somebody stands on the way or comes to
       cross it; and while the exit is not free.
    2. Who turns left enters only from the line, not while an oncoming car leaves its own, and then waits in the
       junction until none comes: no other is let in as long as the ego is there.
    3. A turn, or a change of lane, is due in the cell where the route leads on to the side.
    4. A crosswalk with somebody on it is closed; whoever waits beside it waits until cars can stop.
    """

    observation = "grid"

    def __init__(self, top_speed: int = 2) -> None:
        """Sets the fastest speed, cells per tick."""
        self.top_speed = top_speed

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns an action for every env of the batch."""
        speed = own_speed(obs)
        vehicles = ahead(obs, "vehicle")
        headings = ahead(obs, "vehicle_heading")
        turn_at, side = _next_turn(ahead(obs, "route").astype(np.int64))
        line, is_closed = _stop_line(ahead(obs, "signal"), speed)
        is_closed |= _is_blocked(vehicles, headings, line, side)

        gap, leader_speed = leader(vehicles[:, :, obs.shape[3] // 2], FAR)
        leader_speed = np.where(at(headings, gap + 1, 0) == SAME_HEADING, leader_speed, 0)
        room = room_to(gap, leader_speed)
        room = np.minimum(room, np.where(is_closed, line, FAR))
        room = np.minimum(room, _crosswalk(ahead(obs, "signal"), ahead(obs, "pedestrian")))
        room = np.minimum(room, np.where(side != 0, turn_at, FAR))
        action = speed_action(speed, follow_speed(speed, room, self.top_speed))

        here = np.zeros_like(turn_at)
        must_wait = np.where(side > 0, at(vehicles, here, 1), at(vehicles, here, -1)) > 0
        for n in (1, 2):
            must_wait |= (side < 0) & _is_coming(vehicles, headings, here + n)
        turn = np.where(side > 0, Action.RIGHT, Action.LEFT)
        turn = np.where(must_wait | (speed > 1), Action.SLOWER, turn)
        return np.where((side != 0) & (turn_at == 0), turn, action).astype(np.int64)


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


def _stop_line(signal: NDArray[Any], speed: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cells to the stop line, 0 when standing on it, and whether its light is to be obeyed."""
    is_line = signal[:, :, signal.shape[2] // 2] >= GREEN
    line = np.where(is_line.any(axis=1), is_line.argmax(axis=1), FAR)
    colour = at(signal, line, 0)
    can_stop = speed * (speed - 1) // 2 <= line
    return line, (colour == RED) | ((colour == YELLOW) & can_stop)


def _is_blocked(
    vehicles: NDArray[Any], headings: NDArray[Any], line: NDArray[np.int64], side: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether the junction behind the line has to be left to somebody else."""
    is_blocked: NDArray[np.bool_] = (line > 1) & (side < 0)  # to the left only from the line
    for n, across in ((1, 0), (2, 0), (1, -1)):  # the two cells ahead, and the one from which others turn into them
        is_taken = at(vehicles, line + n, across) > 0
        is_blocked |= is_taken & (at(headings, line + n, across) != SAME_HEADING)
    is_blocked |= (line > 0) & (at(headings, line + 2, -1) == TOWARDS_ME)  # it will be there when I am
    for n in (3, 4):  # the oncoming stop line and the cell before it
        is_blocked |= (side < 0) & _is_coming(vehicles, headings, line + n)
    for turn, n, across in ((1, 1, 1), (-1, 2, -2), (0, 3, 0)):
        exit_cell = at(vehicles, line + n, across)
        is_blocked |= (side == turn) & (exit_cell > 0) & (vehicle_speed(exit_cell) == 0)
    return is_blocked


def _is_coming(vehicles: NDArray[Any], headings: NDArray[Any], n: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a car drives towards the ego in the oncoming lane, n cells ahead."""
    is_oncoming: NDArray[np.bool_] = at(headings, n, -1) == TOWARDS_ME
    return is_oncoming & (vehicle_speed(at(vehicles, n, -1)) > 0)
