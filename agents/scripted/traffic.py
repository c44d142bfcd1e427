"""Merge, Exit and Overtake: search the ways through lanes and ticks, among others who keep their speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import TOWARDS_ME, View, own_speed, vehicle_speed
from drivesim import Action
from drivesim.observations.encoder import Window

__all__ = ["TrafficDriver"]

HORIZON = 10  # ticks that are searched
SPEEDS = range(6)  # of others, cells per tick
PACE = 2  # cells per tick at which what lies beyond the search is taken to be driven
SIDE_COST = 0.5  # ticks that a change of lane must gain
RUDE_COST = 8.0  # ticks that it must gain if it leaves a follower no safe speed: 0.05, where 60 ticks cost 0.4
ASTRAY_COST = 0.25  # of a tick in a lane of those who come towards me
LATE = 4  # ticks in which somebody may fall back by one more cell, since he dawdles
MARGIN = 1  # free cells that are left to whoever comes towards me
FAR = 1000  # cells: nobody is there
_PREFERENCE = (Action.FASTER, Action.IDLE, Action.LEFT, Action.RIGHT, Action.SLOWER)  # of equally good ways

Cells = NDArray[np.bool_]  # (B, rows, width); of others and of the ground, the row furthest behind or my own first
Numbers = NDArray[np.int16]  # the same
Ticks = NDArray[np.float32]  # still to go, from the row of the ego on; infinite where no way is safe


class TrafficDriver:
    """Searches all ways over (tick, cell, lane, speed) for the one that leads furthest on the route.

    1. Others keep to their lane and speed, but may fall back a little, and who stands may go on. Who comes towards me
       drives at `oncoming` at least, and somebody may be about to come from where nothing is seen any more.
    2. In every tick the ego can still stop behind wherever the vehicle ahead can, and before the end of its lane.
    3. A change of lane needs a free cell; it costs more if whoever follows there has no safe speed left.
    4. A lane of those who come towards me is left before they are there.

    As the last way stays possible, rule 2 makes sure that there always is one.
    """

    observation = "grid"

    def __init__(self, window: Window, top_speed: int, *, to_the_right: float = 0.0, oncoming: int = 0) -> None:
        """Sets what it is shown and how it drives.

        Args:
            window: the one that it is shown.
            top_speed: fastest speed, cells per tick.
            to_the_right: ticks that it is worth to be one lane further to the right in the end.
            oncoming: cells per tick that whoever comes towards the ego drives at least.
        """
        self.window = window
        self.top_speed = top_speed
        self.to_the_right = to_the_right
        self.oncoming = oncoming

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the first action of every env's best way."""
        view = View(obs, self.window)
        road = _Road(view)
        others = _Others(view, self.oncoming)
        speeds = range(self.top_speed + 1)
        beyond = [self._beyond(road, v) for v in speeds]
        to_go = [ticks[:, : road.rows] for ticks in beyond]
        choices: list[dict[Action, Ticks]] = []
        for tick in range(HORIZON - 1, -1, -1):
            moment = others.after(tick, road)
            drive = [self._drive(road, moment, v, to_go[v], beyond[v]) for v in speeds]
            choices = [self._choices(moment, drive, v) for v in speeds]
            to_go = [np.minimum.reduce(list(values.values())) for values in choices]
        here = np.stack([[values[action][:, 0, self.window.beside] for action in _PREFERENCE] for values in choices])
        speed = own_speed(view)
        best = here[np.minimum(speed, self.top_speed), :, np.arange(len(obs))]
        choice = np.asarray(_PREFERENCE, np.int64)[best.argmin(axis=1)]
        must_brake = np.isinf(best).all(axis=1) | (speed > self.top_speed)
        return np.where(must_brake, Action.SLOWER, choice).astype(np.int64)

    def _beyond(self, road: _Road, v: int) -> Ticks:
        """Ticks to go where the search ends at speed v: (B, rows + top_speed, width).

        The road is taken to lead on beyond the window, for as far as the ego could come in the time that is searched.
        """
        rows = np.arange(road.rows + self.top_speed)
        furthest = road.rows + self.top_speed * HORIZON
        lost = (self.top_speed - v) * (self.top_speed - v + 1) / 2  # cells, while speeding up
        ticks = (furthest - rows + lost)[:, None] / PACE - self.to_the_right * np.arange(self.window.width)
        is_mine = np.concatenate([road.is_mine] + [road.is_mine[:, -1:]] * self.top_speed, axis=1)
        return np.where(is_mine, ticks, np.inf).astype(np.float32)

    def _drive(self, road: _Road, moment: _Moment, v: int, to_go: Ticks, beyond: Ticks) -> Ticks:
        """Ticks to go from every cell when v cells are driven in this tick."""
        rows = np.arange(road.rows, dtype=np.int16)[:, None]
        is_safe = (rows + v * (v + 1) // 2 < moment.room_ends) & (rows + v < moment.oncoming_ends)
        rest = np.concatenate([to_go[:, v:], beyond[:, road.rows : road.rows + v]], axis=1)
        cost = np.where(road.is_mine, np.float32(1), np.float32(1 + ASTRAY_COST))
        ticks: Ticks = cost + np.where(road.arrives(v), np.float32(0), rest)
        return np.where(is_safe & road.is_open, ticks, np.float32(np.inf))

    def _choices(self, moment: _Moment, drive: list[Ticks], v: int) -> dict[Action, Ticks]:
        """Ticks to go from every cell at speed v, by action."""
        is_rude = moment.reach_behind >= np.arange(drive[0].shape[1])[:, None] + v * (v - 1) // 2
        side_cost = np.where(is_rude, np.float32(SIDE_COST + RUDE_COST), np.float32(SIDE_COST))
        side = np.where(moment.is_taken, np.float32(np.inf), drive[max(v, 1)] + side_cost)
        return {
            Action.LEFT: _from_left(side),
            Action.IDLE: drive[v],
            Action.RIGHT: _from_left(side[:, :, ::-1])[:, :, ::-1],
            Action.FASTER: drive[v + 1] if v < self.top_speed else np.full_like(side, np.inf),
            Action.SLOWER: drive[max(v - 1, 0)],
        }


class _Road:
    """What the ground of the window allows, from the ego's row ahead: (B, rows, width)."""

    def __init__(self, view: View) -> None:
        """Reads it off the planes `road`, `other_road` and `route`."""
        ahead = slice(view.window.ahead, None, -1)
        self.rows = view.window.ahead + 1
        is_open = view.plane("route")[:, ahead] > 0
        leads_on = is_open.copy()  # straight on, or a lane to the side
        leads_on[:, :, 1:] |= is_open[:, :, :-1]
        leads_on[:, :, :-1] |= is_open[:, :, 1:]
        self.is_goal = is_open.copy()
        self.is_goal[:, :-1] &= ~leads_on[:, 1:]
        self.is_goal[:, -1] = False
        self.is_open = is_open | np.logical_or.accumulate(self.is_goal, axis=1)
        is_mine = view.plane("road")[:, ahead] > 0
        self.is_mine = self.is_open & is_mine
        is_ground = is_mine | (view.plane("other_road")[:, ahead] > 0)
        self.unseen = np.where(is_ground.all(axis=1), self.rows, (~is_ground).argmax(axis=1))[:, None]
        """The row in which no more of a column is seen: (B, 1, width)."""

    def arrives(self, v: int) -> Cells:
        """Whether the goal is entered within the next v cells of a lane."""
        found = np.zeros_like(self.is_goal)
        for n in range(1, v + 1):
            found[:, :-n] |= self.is_goal[:, n:]
        return found


@dataclass(frozen=True)
class _Moment:
    """Where the others are at the beginning of a tick, from the ego's row ahead: (B, rows, width)."""

    is_taken: Cells
    """Where somebody may be."""
    room_ends: Numbers
    """The row that somebody on a cell must not reach when he brakes by 1 in every tick."""
    oncoming_ends: Numbers
    """The row that he must not reach in this tick, since somebody comes towards him."""
    reach_behind: Numbers
    """The row that those behind could not help reaching when they brake by 1 in every tick."""


class _Others:
    """Those who are seen: masks by speed, (B, rows, width), the row furthest behind first."""

    def __init__(self, view: View, oncoming: int) -> None:
        """Reads them off the planes `vehicle` and `vehicle_heading`."""
        self._own_row = view.window.behind
        self._oncoming = oncoming
        vehicles = view.plane("vehicle")[:, ::-1].copy()
        vehicles[:, self._own_row, view.window.beside] = 0
        is_towards = view.plane("vehicle_heading")[:, ::-1] == TOWARDS_ME
        speed = vehicle_speed(vehicles)
        self._along = [(vehicles > 0) & ~is_towards & (speed == v) for v in SPEEDS]
        self._towards = [(vehicles > 0) & is_towards & (np.maximum(speed, oncoming) == v) for v in SPEEDS]
        self._rows = np.arange(vehicles.shape[1], dtype=np.int16)[:, None] - np.int16(self._own_row)

    def after(self, tick: int, road: _Road) -> _Moment:
        """Where they are when so many ticks have passed."""
        shape = self._along[0].shape
        taken = np.zeros(shape, np.bool_)
        stops = np.full(shape, FAR, np.int16)
        reach = np.full(shape, -FAR, np.int16)
        meets = np.full(shape, FAR, np.int16)
        for v, cells in enumerate(self._along):
            if cells.any():
                ends = self._rows + v * (v - 1) // 2  # where who brakes by 1 in every tick comes to a stop
                least = v * tick - min(v, 1) * -(-tick // LATE)
                for distance in range(least, max(v, 1) * tick + 1):
                    there = _moved(cells, distance)
                    taken |= there
                    reach = np.where(there, np.maximum(reach, ends), reach)
                there = _moved(cells, least)
                there[:, : self._own_row + least] = False  # they follow me
                stops = np.where(there, np.minimum(stops, ends), stops)
        for v, cells in enumerate(self._towards):
            if cells.any():
                there = _moved(cells, -v * tick)
                taken |= there
                meets = np.where(there, np.minimum(meets, self._rows - v - MARGIN), meets)
        own = self._own_row
        stops = np.where(road.is_open, stops[:, own:], self._rows[own:])
        unseen = road.unseen - self._oncoming * (tick + 1) - MARGIN
        meets = np.minimum(_least_ahead(meets[:, own:]), unseen)
        return _Moment(
            is_taken=taken[:, own:],
            room_ends=_least_ahead(stops),
            oncoming_ends=np.where(road.is_mine, FAR, meets).astype(np.int16),
            reach_behind=-_least_ahead(-reach[:, ::-1])[:, ::-1][:, own:],
        )


def _moved(cells: Cells, distance: int) -> Cells:
    """Cells moved ahead, or back by less than 0; those that leave the window are lost."""
    moved = np.zeros_like(cells)
    rows = cells.shape[1]
    if abs(distance) < rows:
        source = slice(max(-distance, 0), rows - max(distance, 0))
        moved[:, max(distance, 0) : rows + min(distance, 0)] = cells[:, source]
    return moved


def _least_ahead(ends: Numbers) -> Numbers:
    """The least of what all later rows hold, by row; FAR for the last."""
    least = np.full_like(ends, FAR)
    least[:, :-1] = np.minimum.accumulate(ends[:, :0:-1], axis=1)[:, ::-1]
    return least


def _from_left(values: Ticks) -> Ticks:
    """The value of the column to the left of each column."""
    shifted = np.full_like(values, np.inf)
    shifted[:, :, 1:] = values[:, :, :-1]
    return shifted
