"""Autodrive: an exact search, since the whole field is seen and its cars keep their speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.observations.encoder import Window
from drivesim.observations.full_grid import EGO, NUM_SPEEDS, VEHICLE

__all__ = ["FieldDriver"]

LEFT, RIGHT, FASTER, SLOWER = 0, 1, 2, 3  # Autodrive has no IDLE
OBSTACLE, GOAL = 3, 7  # codes
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # (row, column) of a cell ahead, heading N E S W
HORIZON = 45  # ticks searched at most

Cells = NDArray[np.uint8]  # (B, rows, cols)


class FieldDriver:
    """Searches all (cell, heading, speed) that can be reached, tick by tick, until the first is on the goal.

    Every state carries one bit per action that a way there can begin with; the first tick in which a goal cell is
    reached names the action. Cars are moved along at the speed that they show, and come back on the other side.
    """

    observation = "full_grid"

    def __init__(self, window: Window | None = None, top_speed: int = 2) -> None:
        """Sets the fastest speed, 1 or 2 cells per tick; it is shown the whole field, and no window."""
        self.top_speed = top_speed

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the first action of every env's fastest way."""
        actions = np.full(len(obs), -1)
        todo = np.arange(len(obs))
        cars = _Cars(obs)
        is_free = obs != OBSTACLE
        is_goal = obs == GOAL
        start = _start(obs)
        # what can be left by LEFT, RIGHT, FASTER, SLOWER: at first, each marks its own bit
        reached: Sequence[Cells] = [start * np.uint8(1 << action) for action in (LEFT, RIGHT, FASTER, SLOWER)]
        for _ in range(HORIZON):
            states, arrived = self._advance(reached, is_free, is_goal, cars)
            bits = np.bitwise_or.reduce(arrived.reshape(len(todo), -1), axis=1)
            alive = np.bitwise_or.reduce(states.reshape(len(todo), -1), axis=1)
            is_done = (bits != 0) | (alive == 0)
            for action in (SLOWER, RIGHT, LEFT, FASTER):  # the last that applies wins
                actions[todo[bits >> action & 1 == 1]] = action
            keep = ~is_done
            todo = todo[keep]
            if len(todo) == 0:
                break
            is_free, is_goal, states = is_free[keep], is_goal[keep], states[keep]
            cars.keep(keep)
            cars.advance()
            reached = [states] * 4
        return np.where(actions < 0, SLOWER, actions)

    def _advance(self, reached: Sequence[Cells], is_free: Cells, is_goal: Cells, cars: _Cars) -> tuple[Cells, Cells]:
        """One tick: the states (B, heading, speed, row, col) behind it, and the goal cells entered in it."""
        left, right, faster, slower = reached
        states = np.zeros_like(left)
        arrived = np.zeros_like(left[:, 0, 0])
        for heading in range(4):
            oncoming = (heading + 2) % 4
            # speed 0: nobody may enter my cell
            stay = slower[:, heading, 0] | slower[:, heading, 1]
            states[:, heading, 0] = stay * ~(cars.middle | cars.end)
            # speed 1: I am in the old cell for half of the tick and more
            one = faster[:, heading, 0] | slower[:, heading, 2]
            one |= left[:, (heading + 1) % 4, 0] | left[:, (heading + 1) % 4, 1]
            one |= right[:, heading - 1, 0] | right[:, heading - 1, 1]
            one = one * ~(cars.middle | cars.ends[oncoming])
            one = _shift(one, heading) * (is_free & ~cars.end)
            # speed 2: the first cell in the middle of the tick, the second at its end
            two = faster[:, heading, 1] | faster[:, heading, 2]
            two = two * ~cars.fast_middles[oncoming]
            between = _shift(two, heading) * (is_free & ~cars.middle)
            two = _shift(between * ~cars.ends[oncoming], heading) * (is_free & ~cars.end)
            if self.top_speed < 2:
                between[:], two[:] = 0, 0
            arrived |= (one | two | between) * is_goal
            states[:, heading, 1] = one
            states[:, heading, 2] = two
        return states, arrived


class _Cars:
    """Where the field's cars are in the middle and at the end of a tick, all and by heading: (B, rows, cols)."""

    def __init__(self, obs: NDArray[Any]) -> None:
        """Reads them off the codes of vehicles."""
        self._now = {}
        for heading in range(4):
            for speed in (1, 2):
                is_there = obs == VEHICLE + NUM_SPEEDS * heading + 1 + speed
                if is_there.any():
                    self._now[heading, speed] = is_there
        self._shape = obs.shape
        self._predict()

    def keep(self, envs: NDArray[np.bool_]) -> None:
        """Forgets the other envs."""
        self._now = {key: cells[envs] for key, cells in self._now.items()}
        self._shape = (int(envs.sum()), *self._shape[1:])

    def advance(self) -> None:
        """Goes on by one tick."""
        self._now = {key: _roll(cells, *key) for key, cells in self._now.items()}
        self._predict()

    def _predict(self) -> None:
        none = np.zeros(self._shape, np.bool_)
        self.middle = none.copy()
        self.fast_middles = [none] * 4
        self.ends = [none] * 4
        for (heading, speed), cells in self._now.items():
            half_way = _roll(cells, heading, speed - 1)
            self.middle |= half_way
            if speed == 2:
                self.fast_middles[heading] = self.fast_middles[heading] | half_way
            self.ends[heading] = self.ends[heading] | _roll(cells, heading, speed)
        self.end = self.ends[0] | self.ends[1] | self.ends[2] | self.ends[3]


def _start(obs: NDArray[Any]) -> Cells:
    """The ego as a set of states, (B, heading, speed, row, col)."""
    envs, rows, cols = np.nonzero(obs >= EGO)
    heading, speed = np.divmod(obs[envs, rows, cols].astype(np.int64) - EGO - 1, NUM_SPEEDS)
    start = np.zeros((len(obs), 4, 3, *obs.shape[1:]), np.uint8)
    start[envs, heading, speed, rows, cols] = 1
    return start


def _roll(cells: NDArray[np.bool_], heading: int, distance: int) -> NDArray[np.bool_]:
    """Cells moved ahead, those that leave coming back on the other side."""
    row, col = STEPS[heading]
    return np.roll(cells, (row * distance, col * distance), axis=(1, 2))


def _shift(cells: Cells, heading: int) -> Cells:
    """Cells moved ahead by one, those that leave the field lost."""
    row, col = STEPS[heading]
    rows, cols = cells.shape[1:]
    shifted = np.zeros_like(cells)
    target = (slice(None), slice(max(row, 0), rows + min(row, 0)), slice(max(col, 0), cols + min(col, 0)))
    source = (slice(None), slice(max(-row, 0), rows - max(row, 0)), slice(max(-col, 0), cols - max(col, 0)))
    shifted[target] = cells[source]
    return shifted
