"""Merge, Exit and Overtake: search the ways through lanes and ticks, among others who keep their speed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import TOWARDS_ME, View, own_speed, vehicle_speed
from drivesim import Action
from drivesim.observations.encoder import Window

__all__ = ["LanesDriver"]

HORIZON = 10  # ticks that are searched
SPEEDS = range(6)  # of others, cells per tick
FAR = 1000  # cells: nobody is there
SIDE_COST = 0.5  # ticks that a change of lane must gain
RUDE_COST = 8.0  # ticks that it must gain where it leaves a follower no safe speed: 0.05, at 0.4 for 60 ticks
DOUBT = 4
ASTRAY_COST = 0.25
PACE = 2
MARGIN = 1  # free cells that are left to whoever comes towards me
_PREFERENCE = (Action.FASTER, Action.IDLE, Action.LEFT, Action.RIGHT, Action.SLOWER)  # of equally good ways

Cells = NDArray[np.bool_]  # (B, rows, width), the row furthest behind first
Numbers = NDArray[np.int16]  # the same, or without the rows behind


class LanesDriver:
    """Searches all ways over (tick, cell, lane, speed) for the one that leads furthest on the route.

    1. Others keep their lane and their speed; who comes towards me drives at `oncoming` at least, and where the window
       ends somebody may be about to come.
    2. In every tick the ego can still stop behind wherever the vehicle ahead can, and before the end of its lane.
    3. A change of lane needs a free cell, and a follower who has a safe speed left: else it costs more.
    4. A lane of those who come towards me is left before they are there.
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
        ends = self._beyond(road)
        to_go = [ends[v][:, : road.rows] for v in speeds]
        for tick in range(HORIZON - 1, -1, -1):
            others.predict(tick, road)
            drive = [self._drive(road, others, v, to_go[v], ends[v]) for v in speeds]
            if tick > 0:
                to_go = [np.minimum.reduce(list(self._choices(others, drive, v).values())) for v in speeds]
        speed = np.minimum(own_speed(view), self.top_speed)
        values = np.full((len(speeds), len(_PREFERENCE), len(obs)), np.inf, np.float32)
        for v in speeds:
            choices = self._choices(others, drive, v)
            for n, action in enumerate(_PREFERENCE):
                if action in choices:
                    values[v, n] = choices[action][:, 0, self.window.beside]
        best = values[speed, :, np.arange(len(obs))]
        choice = np.asarray(_PREFERENCE, np.int64)[best.argmin(axis=1)]
        return np.where(np.isinf(best).all(axis=1), Action.SLOWER, choice).astype(np.int64)

    def _beyond(self, road: _Road) -> list[NDArray[np.float32]]:
        """Ticks still to go where the search ends, by speed: (B, rows + top_speed, width), infinite where it must not.

        The road is taken to lead on beyond the window, for as far as the ego could come in the time that is searched.
        """
        rows = np.arange(road.rows + self.top_speed)
        columns = np.arange(self.window.width)
        furthest = road.rows + self.top_speed * HORIZON
        is_open = np.concatenate([road.may_end] + [road.may_end[:, -1:]] * self.top_speed, axis=1)
        ends = []
        for v in range(self.top_speed + 1):
            lost = (self.top_speed - v) * (self.top_speed - v + 1) / 2  # cells, while speeding up
            ticks = (furthest - rows + lost) / PACE
            costs = ticks[:, None] - self.to_the_right * columns
            ends.append(np.where(is_open, costs, np.inf).astype(np.float32))
        return ends

    def _drive(
        self, road: _Road, others: _Others, v: int, to_go: NDArray[np.float32], ends: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Ticks to go from every cell when v cells are driven in this tick, infinite where that is not safe."""
        rows = np.arange(road.rows, dtype=np.int16)[:, None]
        is_safe = road.is_open & (rows + v * (v + 1) // 2 < others.room_ends) & (rows + v < others.oncoming_ends)
        rest = to_go
        if v > 0:
            rest = np.concatenate([to_go[:, v:], ends[:, road.rows : road.rows + v]], axis=1)
        cost = np.where(road.may_end, np.float32(1), np.float32(1 + ASTRAY_COST))
        return np.where(is_safe, cost + np.where(road.arrives(v), np.float32(0), rest), np.float32(np.inf))

    def _choices(
        self, others: _Others, drive: list[NDArray[np.float32]], v: int
    ) -> dict[Action, NDArray[np.float32]]:
        """Ticks to go from every cell at speed v, by action."""
        side = np.where(others.is_taken, np.inf, drive[max(v, 1)] + SIDE_COST).astype(np.float32)
        side += np.where(others.is_hurt(v), np.float32(RUDE_COST), np.float32(0))
        choices = {
            Action.IDLE: drive[v],
            Action.LEFT: _moved(side, 1),
            Action.RIGHT: _moved(side, -1),
            Action.SLOWER: drive[max(v - 1, 0)],
        }
        if v < self.top_speed:
            choices[Action.FASTER] = drive[v + 1]
        return choices


class _Road:
    """What the ground of the window allows, from the ego's row ahead: (B, rows, width)."""

    def __init__(self, view: View) -> None:
        """Reads it off the planes `road` and `route`."""
        self.rows = view.window.ahead + 1
        is_open = (view.plane("route") > 0)[:, view.window.ahead :: -1]
        leads_on = np.zeros_like(is_open)
        for side in (-1, 0, 1):
            leads_on[:, :-1] |= _moved(is_open, side)[:, 1:] != 0
        leads_on[:, -1] = True
        self.is_goal = is_open & ~leads_on
        is_behind = np.logical_or.accumulate(self.is_goal, axis=1)
        self.is_open = is_open | is_behind
        is_mine = (view.plane("road") > 0)[:, view.window.ahead :: -1]
        self.may_end = self.is_open & is_mine
        is_ground = is_mine | (view.plane("other_road") > 0)[:, view.window.ahead :: -1]
        self.ends = np.where(is_ground.all(axis=1), self.rows, (~is_ground).argmax(axis=1))[:, None, :]

    def arrives(self, v: int) -> Cells:
        """Whether the goal is entered within the next v cells of a lane."""
        found = np.zeros_like(self.is_goal)
        for n in range(1, v + 1):
            found[:, :-n] |= self.is_goal[:, n:]
        return found


class _Others:
    """Where the others are in a tick, as far as they are seen."""

    is_taken: Cells
    """Where somebody is: (B, rows, width), from the ego's row ahead."""
    room_ends: Numbers
    """The row that must not be reached braking by 1 in every tick, on from each cell."""
    oncoming_ends: Numbers
    """The row that must not be reached in this tick, for somebody comes towards me."""

    def __init__(self, view: View, oncoming: int) -> None:
        """Reads them off the planes `vehicle` and `vehicle_heading`."""
        self._view = view
        self._oncoming = oncoming
        vehicles = view.plane("vehicle")[:, ::-1].copy()
        own_row = view.window.behind
        vehicles[:, own_row, view.window.beside] = 0
        is_towards = view.plane("vehicle_heading")[:, ::-1] == TOWARDS_ME
        speed = vehicle_speed(vehicles)
        is_there = vehicles > 0
        self._along = {v: is_there & ~is_towards & (speed == v) for v in SPEEDS}
        self._along = {v: cells for v, cells in self._along.items() if cells.any()}
        self._towards = {}
        for v in range(oncoming, 6):
            cells = is_there & is_towards & (np.maximum(speed, oncoming) == v)
            if cells.any():
                self._towards[v] = cells
        self._shape = is_there.shape
        self._own_row = own_row
        self._behind: Numbers

    def predict(self, tick: int, road: _Road) -> None:
        """Goes to a tick, 0 = now."""
        own_row = self._own_row
        rows = np.arange(self._shape[1], dtype=np.int16)[:, None] - np.int16(own_row)
        late = (tick + DOUBT - 1) // DOUBT
        taken = np.zeros(self._shape, np.bool_)
        stops = np.full(self._shape, FAR, np.int16)
        behind = np.full(self._shape, -FAR, np.int16)
        for v, cells in self._along.items():
            braking = v * (v - 1) // 2
            latest = v * tick - min(v, 1) * late
            for distance in range(latest, max(v, 1) * tick + 1):
                there = _ahead(cells, distance)
                taken |= there
                behind = np.where(there, np.maximum(behind, rows + braking), behind)
            there = _ahead(cells, latest)
            there[:, : own_row + latest] = False  # they follow me
            stops = np.where(there, np.minimum(stops, rows + braking), stops)
        meets = np.full(self._shape, FAR, np.int16)
        for v, cells in self._towards.items():
            there = _ahead(cells, -v * tick)
            taken |= there
            meets = np.where(there, np.minimum(meets, rows - v - MARGIN), meets)
        self.is_taken = taken[:, own_row:]
        stops = stops[:, own_row:]
        stops[~road.is_open] = np.broadcast_to(rows[own_row:], stops.shape)[~road.is_open]
        self.room_ends = _nearest(stops, FAR)
        unseen = road.ends - self._oncoming * (tick + 1) - MARGIN
        meets = np.minimum(_nearest(meets[:, own_row:], FAR), unseen)
        self.oncoming_ends = np.where(road.may_end, FAR, meets).astype(np.int16)
        reach = np.maximum.accumulate(behind, axis=1)
        self._behind = np.concatenate([np.full_like(reach[:, :1], -FAR), reach[:, :-1]], axis=1)[:, own_row:]
        self._rows = rows[own_row:]

    def is_hurt(self, v: int) -> Cells:
        """Where an ego at speed v leaves whoever would follow it no safe speed."""
        is_hurt: Cells = self._behind >= self._rows + v * (v - 1) // 2
        return is_hurt


def _ahead(cells: Cells, distance: int) -> Cells:
    """Cells moved ahead, those that leave the window lost."""
    moved = np.zeros_like(cells)
    rows = cells.shape[1]
    if abs(distance) < rows:
        moved[:, max(distance, 0) : rows + min(distance, 0)] = cells[
            :, max(-distance, 0) : rows - max(distance, 0)
        ]
    return moved


def _nearest(ends: Numbers, beyond: int) -> Numbers:
    """The least of what all the rows ahead of each cell hold."""
    nearest = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(np.concatenate([nearest[:, 1:], np.full_like(nearest[:, :1], beyond)], axis=1), np.int16(beyond))


def _moved(values: NDArray[Any], columns: int) -> NDArray[Any]:
    """Values moved to the right, from the left infinite ones (or none) following."""
    moved = np.full_like(values, np.inf if values.dtype != np.bool_ else False)
    if columns > 0:
        moved[:, :, columns:] = values[:, :, :-columns]
    elif columns < 0:
        moved[:, :, :columns] = values[:, :, -columns:]
    else:
        moved[:] = values
    return moved
