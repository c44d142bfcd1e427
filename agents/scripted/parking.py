"""Parking: a search in space and time over the whole car park, reverse gear and headings included."""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.scripted.field import STEPS
from drivesim import Action
from drivesim.observations.encoder import Window
from drivesim.observations.full_grid import EGO, GOAL_IN_HEADING, NUM_SPEEDS, ONE_WAY, VEHICLE

__all__ = ["ParkingDriver"]

AISLE, BAY = 1, 6  # codes
NORTH, EAST, SOUTH, WEST = range(4)
ACROSS = 1 << NORTH | 1 << SOUTH
BACKING_UP = 3  # ticks that a cell of a lane, entered backwards, counts more: whoever follows stands behind the ego
HORIZON = 10  # ticks for which cars are expected to go on as they do
FASTEST_CAR = 2  # cells per tick
NUM_ACTIONS = len(Action)
MOST_STATES = 4000  # looked at in one search
FAR = 10_000  # ticks: there is no way
PREFERENCE = (Action.FASTER, Action.IDLE, Action.LEFT, Action.RIGHT, Action.SLOWER)  # of equally fast ways
STOP = {-1: Action.FASTER, 0: Action.IDLE}  # by speed; else SLOWER


class ParkingDriver:
    """Searches the fastest way into the bay, past the cars where they will be, and takes its first step.

    1. Where nobody moves, the ticks to the goal are known from every cell, heading and speed, backwards too; backing up
       along a lane counts more, since somebody may stand behind the ego.
    2. No cell is entered that a car may reach in this tick, whatever it does, or is expected to in a later one. Cars
       keep their speed; who comes up behind the ego stops before the cell that it leaves free for the reverse gear.
    3. Where there is no way the ego stops: everybody brakes for who stands.

    The ground under cars is told by its row and column: a lane is alike all along an aisle.
    """

    observation = "full_grid"

    def __init__(self, window: Window | None = None, top_speed: int = 2) -> None:
        """Sets the fastest speed, cells per tick; it is shown all, and needs no window."""
        self.top_speed = top_speed

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns an action for every env of the batch."""
        return np.array([self._action(field) for field in obs], np.int64)

    def _action(self, field: NDArray[Any]) -> int:
        """The action for one car park, codes (rows, cols)."""
        ego, cars = _ego_and_cars(field)
        goals = np.flatnonzero(field >= GOAL_IN_HEADING)
        stop = STOP.get(ego.speed, Action.SLOWER)
        if len(goals) == 0:  # under the ego
            return stop
        heading = int(field.flat[goals[0]]) - GOAL_IN_HEADING
        masks = _masks(field, ego)
        ways = ways_to(masks.tobytes(), masks.shape[1], int(goals[0]), heading, self.top_speed)
        start = ways.number_of(ego.cell, ego.heading, min(ego.speed, self.top_speed))
        moving = [car for car in cars if masks.flat[car.cell] != 0]
        action = _first_action(ways, start, _taken(moving, ego, masks.shape[1]))
        return stop if action is None else action


class Car(NamedTuple):
    """A vehicle as it is seen."""

    cell: int
    """row * cols + col."""
    heading: int
    speed: int


class Ways(NamedTuple):
    """Where all actions lead from all states while nobody moves; a state is (cell, heading, speed from -1), numbered.

    Blocks of memory, since their elements are Python's own integers, and there is one of these for every level.
    """

    after: memoryview
    """For every state and action the state after it, -1 where that leaves the road or hits somebody parked."""
    to_go: memoryview
    """What the way to the goal costs from every state, FAR where there is none."""
    is_lane: memoryview
    """For every cell whether it is no bay."""
    cols: int
    num_speeds: int

    def number_of(self, cell: int, heading: int, speed: int) -> int:
        """The number of a state."""
        return (cell * 4 + heading) * self.num_speeds + speed + 1

    def cost(self, after: int) -> int:
        """What a tick costs that leads to a state."""
        is_backing = after % self.num_speeds == 0 and self.is_lane[after // (4 * self.num_speeds)]
        return 1 + BACKING_UP * is_backing

    def enters(self, after: int, cars: Container[int]) -> bool:
        """Whether a tick that leads to a state enters a cell of cars."""
        speed = after % self.num_speeds - 1
        cell = after // (4 * self.num_speeds)
        row, col = STEPS[after // self.num_speeds % 4]
        back = row * self.cols + col
        return any(cell - n * back in cars for n in range(abs(speed)))


def _ego_and_cars(field: NDArray[Any]) -> tuple[Car, list[Car]]:
    """The ego and everybody else."""
    ego = Car(0, 0, 0)
    cars = []
    codes = field.reshape(-1).astype(np.int64)
    for cell in np.flatnonzero((codes >= VEHICLE) & (codes < GOAL_IN_HEADING)).tolist():
        heading, speed = divmod((int(codes[cell]) - VEHICLE) % (4 * NUM_SPEEDS), NUM_SPEEDS)
        if codes[cell] >= EGO:
            ego = Car(cell, heading, speed - 1)
        else:
            cars.append(Car(cell, heading, speed - 1))
    return ego, cars


def _masks(field: NDArray[Any], ego: Car) -> NDArray[np.uint8]:
    """The headings in which every cell may be driven, a bit each: (rows, cols); 0 where somebody is parked."""
    masks = np.zeros(field.shape, np.uint8)
    masks[(field == BAY) | (field >= GOAL_IN_HEADING)] = ACROSS
    aisles = np.flatnonzero((field == AISLE).any(axis=1))
    for n, row in enumerate(aisles.tolist()):  # traffic keeps right
        masks[row] = 1 << (WEST if n % 2 == 0 else EAST)
        masks[row, 1:-1] |= ACROSS
    access = dict.fromkeys((NORTH, SOUTH), 0)
    for heading in (NORTH, SOUTH):
        is_access = field == ONE_WAY + heading
        masks[is_access] = 1 << heading
        access[heading] = int(is_access.any(axis=0).argmax())
    row, col = divmod(ego.cell, field.shape[1])
    if masks[row, col] == 0:  # it hides a bay, or the access road, which ends at the first aisle
        is_there = [1 << heading for heading in (NORTH, SOUTH) if col == access[heading] and row > aisles[0]]
        masks[row, col] = is_there[0] if is_there else ACROSS
    return masks


@lru_cache(maxsize=2048)
def ways_to(masks: bytes, cols: int, goal: int, goal_heading: int, top_speed: int) -> Ways:
    """The ways to a goal, at most at `top_speed`; `masks` are bytes (rows * cols) as `_masks` gives them."""
    mask = np.frombuffer(masks, np.uint8).reshape(-1, cols).astype(np.int64)
    rows, num_speeds = len(mask), top_speed + 2
    open_to = np.zeros((4, rows + 2 * (top_speed + 1), cols + 2 * (top_speed + 1)), np.bool_)  # and a border
    inner = slice(top_speed + 1, -top_speed - 1)
    for heading in range(4):
        open_to[heading, inner, inner] = mask >> heading & 1 == 1
    cell, heading, speed = (axis.ravel() for axis in np.indices((rows * cols, 4, num_speeds)))
    speed = speed - 1
    after = np.full((len(cell), NUM_ACTIONS), -1, np.int16)
    for action in Action:
        side = {Action.LEFT: -1, Action.RIGHT: 1}.get(action, 0)
        to = (heading + side) % 4
        v = np.clip(speed + {Action.FASTER: 1, Action.SLOWER: -1}.get(action, 0), -1, top_speed)
        can = (speed < top_speed) | (action != Action.FASTER)
        if side != 0:
            can = (mask.ravel()[cell] >> to & 1 == 1) & (speed <= 1)
            v = np.where(speed < 0, -1, 1)
        step_row, step_col = (np.asarray(STEPS).T[axis][to] * np.sign(v) for axis in (0, 1))
        row, col = cell // cols, cell % cols
        for n in range(top_speed):
            moves = np.abs(v) > n
            row, col = row + step_row * moves, col + step_col * moves
            can &= ~moves | open_to[to, row + top_speed + 1, col + top_speed + 1]
        after[:, action] = np.where(can, ((row * cols + col) * 4 + to) * num_speeds + v + 1, -1)
    is_lane = ~np.isin(mask.ravel(), (0, ACROSS))
    cost = 1 + BACKING_UP * (is_lane[after // (4 * num_speeds)] & (after % num_speeds == 0))
    to_go = np.full(len(cell) + 1, FAR, np.int16)  # the last for where an action leads nowhere
    to_go[(goal * 4 + goal_heading) * num_speeds + 1] = 0
    while True:
        nearer = np.minimum(to_go[:-1], (to_go[after] + cost).min(axis=1))
        if (nearer == to_go[:-1]).all():
            break
        to_go[:-1] = nearer
    return Ways(after.reshape(-1).data, to_go.data, is_lane.data, cols, num_speeds)


def braking_distance(speed: int) -> int:
    """Cells that a car still travels when it brakes by 1 in every tick from the next one on."""
    return speed * (speed - 1) // 2


def _taken(cars: Sequence[Car], ego: Car, cols: int) -> list[set[int]]:
    """For the ticks from now on, the cells that cars are expected to reach in them; in the first, all that they may.

    HORIZON sets, and behind them that of all cells that they may reach in the second tick. In front of a car the cells
    count too that it needs to brake, but none where it stops for the ego.
    """
    taken: list[set[int]] = [set() for _ in range(HORIZON + 1)]
    own_row, own_col = divmod(ego.cell, cols)
    for car in cars:
        row, col = divmod(car.cell, cols)
        step = STEPS[car.heading][1]
        ahead = (own_col - col) * step % cols if row == own_row else FAR  # cells to the ego, if it is in this lane
        slowest = max(car.speed - 1, 0)
        room = max(ahead - 1 - (car.heading == ego.heading), 0)
        fastest = max(min(car.speed + 1, FASTEST_CAR, room), min(car.speed - 1, ahead - 1))
        is_leader = row == own_row and (own_col - col) * step < 0
        for n in range(slowest if is_leader else 0, fastest + braking_distance(car.speed) + 1):
            taken[0].add(row * cols + (col + n * step) % cols)
        for n in range(2 * slowest if is_leader else 0, min(2 * FASTEST_CAR, car.speed * 2 + 3, room) + 1):
            taken[-1].add(row * cols + (col + n * step) % cols)
        for tick in range(1, HORIZON):
            for n in range(car.speed * tick, car.speed * (tick + 1) + braking_distance(car.speed) + 1):
                if n <= room:
                    taken[tick].add(row * cols + (col + n * step) % cols)
    return taken


def _first_action(ways: Ways, start: int, taken: Sequence[set[int]]) -> int | None:
    """The action with which the fastest way begins, None if there is none: a best-first search."""
    queue = [(ways.to_go[start], 0, start, 0, -1)]  # cost in all, - ticks driven, state, cost so far, first action
    known = {(start, 0): 0}
    while queue and len(known) < MOST_STATES:
        _, driven, state, cost, first = heappop(queue)
        if ways.to_go[state] == 0:
            return first
        cars = taken[-driven] if -driven < HORIZON else ()
        tick = min(1 - driven, HORIZON)
        for action in PREFERENCE:
            after = ways.after[NUM_ACTIONS * state + action]
            if after < 0 or ways.to_go[after] >= FAR:
                continue
            spent = cost + ways.cost(after)
            if spent >= known.get((after, tick), FAR) or ways.enters(after, cars):
                continue
            if first < 0 and after % ways.num_speeds > 2:  # it cannot stop at once
                slower = ways.after[NUM_ACTIONS * after + Action.SLOWER]
                if slower < 0 or ways.enters(slower, taken[-1]):
                    continue
            known[after, tick] = spent
            heappush(queue, (spent + ways.to_go[after], driven - 1, after, spent, action if first < 0 else first))
    return None
