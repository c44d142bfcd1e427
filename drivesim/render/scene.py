"""The pieces of a picture: all that stands and moves on the ground in one tick, and where it is at any time of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from drivesim.core.map import SIGNALS, WAY
from drivesim.core.world import ABSENT, CRASHED, DRIVING, NOBODY
from drivesim.render import palette
from drivesim.render.ground import COL_STEPS, ROW_STEPS, lane_arrows, level_of, stop_lines
from drivesim.render.motion import MIDDLE, displacement, is_next, ways
from drivesim.render.planned_route import planned_route
from drivesim.render.sprites import (
    BRIGHT_ARROW,
    CAR,
    CHEVRON,
    CHEVRON_OVER_ARROW,
    EGO,
    PEDESTRIAN,
    ROUTE,
    SIGNAL,
    TRUCK,
    WAKE,
    WRECK,
    Look,
)
from drivesim.render.state import Record, State, place_of

Array = np.ndarray[Any, Any]

TRUCK_SPEED = 1  # cells per tick: drivers that never go faster drive a truck, those at 0 have parked their car
HEAD_ACROSS, HEAD_BACK = 1.25, 0.5  # cells from a stop line's cell to its signal head, on the verge
TELLS = 10  # cells before a corner from which on traffic tells that it will turn there
LEAN = 0.12  # quarter turns by which a car that changes lane leans that way, at most
Points = tuple[float, float, float]


class Piece(NamedTuple):
    """One thing in the picture, and how it moves in a tick."""

    look: Look
    rows: Points
    """Row of its middle, in cells, when the tick begins, at `motion.MIDDLE` and when it ends."""
    cols: Points
    turn: float = 0.0
    """Where it heads when the tick begins, in quarter turns to the right of north."""
    turns: float = 0.0
    """Quarter turns that it makes up to `motion.MIDDLE`."""
    leans: float = 0.0
    """Quarter turns by which it leans to the right halfway there."""
    last_look: Look | None = None
    """What it looks like when the tick has ended, if not the same."""

    def place(self, share: float) -> tuple[float, float]:
        """Row and column of its middle after a share of the tick, in [0, 1]."""
        first, last, part = (0, 1, share / MIDDLE) if share < MIDDLE else (1, 2, (share - MIDDLE) / (1 - MIDDLE))
        return (
            self.rows[first] + (self.rows[last] - self.rows[first]) * part,
            self.cols[first] + (self.cols[last] - self.cols[first]) * part,
        )

    def direction(self, share: float) -> float:
        """Where it heads after a share of the tick, in quarter turns to the right of north."""
        if share >= MIDDLE:
            return self.turn + self.turns
        part = share / MIDDLE
        return self.turn + self.turns * part + self.leans * math.sin(math.pi * part)

    def look_at(self, share: float) -> Look:
        """What it looks like after a share of the tick."""
        return self.last_look if self.last_look is not None and share >= 1.0 else self.look


class Scene:
    """All that is on the ground while `before` becomes `after`, or stands in `after` if `before` is no tick earlier.

    Args:
        after: the state at the tick's end.
        before: the state one tick earlier; anything else (another episode, None) is left out of account.
    """

    def __init__(self, after: State, before: State | None = None) -> None:
        moves = before is not None and is_next(before, after)
        self.state = after
        self.before: State = before if moves and before is not None else after
        self.moves = moves
        self.level = level_of(after)
        rows, cols = ways(self.before, after)
        self._rows: list[list[float]] = rows.tolist()
        self._cols: list[list[float]] = cols.tolist()
        self.pieces: tuple[Piece, ...] = (
            *self._route(),
            *self._signals(),
            *self._pedestrians(),
            *self._vehicles(),
        )
        """The lowest first."""

    @property
    def world(self) -> Record:
        """The world at the tick's end."""
        return self.state.world

    def focus(self, share: float = 1.0) -> tuple[float, float]:
        """Row and column of the ego after a share of the tick, around which the picture is shown."""
        return Piece(Look(EGO), *self._points(0)).place(share)

    def _points(self, k: int) -> tuple[Points, Points]:
        """How vehicle k moves."""
        return tuple(self._rows[k]), tuple(self._cols[k])  # type: ignore[return-value]

    def _route(self) -> Iterator[Piece]:
        """The way that the ego has before it."""
        if self.world["vehicles"]["status"][0] == DRIVING:
            arrows = lane_arrows(self.level)
            for row, col, turn in planned_route(self.state):
                arrow = arrows.get((int(row), int(col)))
                level = CHEVRON if arrow is None else BRIGHT_ARROW if arrow == turn % 4 else CHEVRON_OVER_ARROW
                yield Piece(Look(ROUTE, level=level), (row, row, row), (col, col, col), turn)

    def _signals(self) -> Iterator[Piece]:
        """The heads of the signals: what they show while a tick goes on is what the drivers saw before it."""
        controls = self.state.map["junctions"]["control"]
        for row, col, heading, number in stop_lines(self.level):
            if controls[number] != SIGNALS:
                continue
            axis = "colour_1" if heading & 1 else "colour_0"
            across, back = (heading + 1) & 3, (heading + 2) & 3
            at_row = row + HEAD_ACROSS * ROW_STEPS[across] + HEAD_BACK * ROW_STEPS[back]
            at_col = col + HEAD_ACROSS * COL_STEPS[across] + HEAD_BACK * COL_STEPS[back]
            shown, then = (int(state.world["lamps"][axis][number]) for state in (self.before, self.state))
            yield Piece(
                Look(SIGNAL, level=shown),
                (at_row, at_row, at_row),
                (at_col, at_col, at_col),
                last_look=Look(SIGNAL, level=then) if then != shown else None,
            )

    def _pedestrians(self) -> Iterator[Piece]:
        """Everybody on foot."""
        num = int(self.world["num_people"])
        old, new = self.before.world["people"][:num], self.world["people"][:num]
        steps = displacement(self.state.map, old, new).astype(np.float64)
        for n in range(num):
            if new["status"][n] != NOBODY and old["status"][n] != NOBODY:
                row, col = map(float, place_of(self.state.map, int(old["cell"][n])))
                row_steps, col_steps = steps[n].tolist()
                yield Piece(
                    Look(PEDESTRIAN),
                    (row, row + MIDDLE * row_steps, row + row_steps),
                    (col, col + MIDDLE * col_steps, col + col_steps),
                )

    def _vehicles(self) -> Iterator[Piece]:
        """All vehicles, the egos on top, over the wakes of all."""
        num_vehicles = int(self.world["num_vehicles"])
        num_egos = int(self.world["num_egos"])
        old, new = self.before.world["vehicles"][:num_vehicles], self.world["vehicles"][:num_vehicles]
        names = ("status", "heading", "speed", "top_speed", "acceleration", "lane_shift", "turn_now")
        facts = zip(
            old["status"].tolist(),
            old["heading"].tolist(),
            *(new[name].tolist() for name in names),
            next_turns(self.state.map, self.world),
            strict=True,
        )
        vehicles = []
        for k, (was, faced, status, heading, speed, top_speed, acceleration, shift, turn, later) in enumerate(facts):
            if ABSENT in (was, status):
                continue
            body = palette.EGO if k < num_egos else palette.TRAFFIC[k % len(palette.TRAFFIC)]
            kind = EGO if k < num_egos else TRUCK if top_speed <= TRUCK_SPEED else CAR
            if k >= num_egos and top_speed == 0:
                kind, body = CAR, palette.PARKED
            wreck = Look(WRECK, body)
            brakes = abs(speed) < abs(speed - acceleration)
            turns = (heading - faced + 2) % 4 - 2
            piece = Piece(
                Look(kind, body, brakes, shift or turn or later),
                *self._points(k),
                float(faced),
                float(turns),
                LEAN * shift if turns == 0 else 0.0,
            )
            if was == CRASHED or (status == CRASHED and not self.moves):
                piece = piece._replace(look=wreck)
            elif status == CRASHED:
                piece = piece._replace(last_look=wreck)
            elif status == DRIVING and speed > 0:
                yield piece._replace(look=Look(WAKE, level=speed), last_look=None)
            vehicles.append(piece)
        yield from reversed(vehicles)


def next_turns(map: Record, world: Record) -> list[int]:
    """To which side each vehicle turns next: -1 left, 0 straight on as far as it would tell, 1 right.

    Traffic tells where its way leads round a corner within `TELLS` cells.
    """
    num_egos, num_vehicles = int(world["num_egos"]), int(world["num_vehicles"])
    num_cells = (int(map["rows"]) + 2) * int(map["width"])
    turns: list[int] = world["egos"]["next_turn"][:num_egos].tolist()
    vehicles, ways, steps = world["vehicles"][num_egos:num_vehicles], map["ways"], map["steps"].tolist()
    for cell, heading, destination in zip(
        *(vehicles[name].tolist() for name in ("cell", "heading", "destination")), strict=True
    ):
        turn = 0
        for _ in range(TELLS + 1 if destination >= 0 else 0):
            way = int(ways[destination * num_cells + cell] & WAY) - 1
            if way < 0:
                break
            if way != heading:
                turn = (0, 1, 0, -1)[(way - heading) & 3]
                break
            cell += steps[heading]
        turns.append(turn)
    return turns
