"""Worlds drawn in a test: one word per cell, cars named by letters, so that a test shows its situation.

    from_ascii('''
        . ^ ^ .
        . ^ a .
        . E ^ .
    ''', E=Car(NORTH, speed=2), a=Car(NORTH, speed=1))

A capital letter is a controlled car, a small one traffic; under a car lies a lane in its heading unless its `on` says
otherwise. `.` off-road, `#` obstacle, `^ > v <` lanes, `^>` a corner with both headings and so on, `+` with all four,
`:` a northbound shoulder, `G` goal, `|^ |> |v |<` stop lines in that heading, `=` a crosswalk with all headings.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drivesim.core import event_table
from drivesim.core import world as w
from drivesim.core.batch import begin_drives
from drivesim.core.occupancy import empty_lanes, place
from drivesim.core.route import measure_route
from drivesim.core.rules import RULES
from drivesim.core.tick import tick
from drivesim.core.world import ALL_HEADINGS, EAST, NORTH, SOUTH, WEST

GROUND = {
    ".": (w.OFF_ROAD, 0),
    "#": (w.OBSTACLE, 0),
    "^": (w.LANE, 1 << NORTH),
    ">": (w.LANE, 1 << EAST),
    "v": (w.LANE, 1 << SOUTH),
    "<": (w.LANE, 1 << WEST),
    "|^": (w.STOP_LINE, 1 << NORTH),
    "|>": (w.STOP_LINE, 1 << EAST),
    "|v": (w.STOP_LINE, 1 << SOUTH),
    "|<": (w.STOP_LINE, 1 << WEST),
    "+": (w.LANE, ALL_HEADINGS),
    ":": (w.SHOULDER, 1 << NORTH),
    "=": (w.CROSSWALK, ALL_HEADINGS),
    "G": (w.GOAL, ALL_HEADINGS),
}
for one, other in ("^>", "^<", "v>", "v<", "^v", "<>"):
    GROUND[one + other] = (w.LANE, GROUND[one][1] | GROUND[other][1])
LANE_OF = {NORTH: "^", EAST: ">", SOUTH: "v", WEST: "<"}
EVENTS = {event.name: bit for event, bit in zip(event_table.EVENTS, event_table.BITS, strict=True)}
LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)


@dataclass(frozen=True)
class Car:
    """A car of a drawing."""

    heading: int
    speed: int = 0
    limit: int = 5
    turn: int = 0
    on: str = ""
    """What it stands on; nothing = a lane in its heading."""


class Situation:
    """A drawn world with its rules, played tick by tick."""

    def __init__(self, worlds: np.ndarray, rules: np.ndarray, names: list[str]) -> None:
        self.worlds = worlds
        self.rules = rules
        self.names = names

    @property
    def world(self) -> Any:
        """The record."""
        return self.worlds[0]

    def vehicle(self, name: str) -> Any:
        """The record of a car."""
        return self.world.vehicles[self.names.index(name)]

    def driver(self, name: str = "E") -> Any:
        """What is remembered of a controlled car."""
        return self.world.drivers[self.names.index(name)]

    def at(self, name: str) -> tuple[int, int]:
        """(row, col) of a car."""
        return int(self.vehicle(name).row), int(self.vehicle(name).col)

    def motion(self, name: str) -> tuple[int, int]:
        """(heading, speed) of a car."""
        return int(self.vehicle(name).heading), int(self.vehicle(name).speed)

    def is_driving(self, name: str) -> bool:
        """Whether a car is still in the world."""
        return bool(self.vehicle(name).status == w.DRIVING)

    def events(self, name: str = "E") -> set[str]:
        """Names of a controlled car's events in the last tick."""
        bits = int(self.driver(name).events)
        return {event for event, bit in EVENTS.items() if bits & bit}

    def play(self, *actions: int) -> set[str]:
        """One tick, one action per controlled car; the events of the first."""
        if len(actions) != self.world.num_controlled:
            raise ValueError(f"{self.world.num_controlled} controlled cars need as many actions, got {actions}")
        tick(self.world, np.array([*actions, IDLE], np.int64), 0, self.rules[0])
        return self.events(self.names[0]) if actions else set()

    def copy(self) -> "Situation":
        """An independent copy, to try another action."""
        return Situation(self.worlds.copy(), self.rules.copy(), self.names)


def rules_of(**options: Any) -> np.ndarray:
    """RULES of one environment, shape (1,): one controlled car, all five actions, no dawdling, unless told."""
    rules = np.zeros(1, RULES)
    for name, value in {"has_idle": 1, "num_actions": 5, "top_speed": 5, "num_controlled": 1, **options}.items():
        rules[name] = value
    return rules


def lane_number(mask: int, row: int, col: int) -> int:
    """Lanes run along their headings: a column of a north-south road, a row of an east-west one."""
    if mask in (1 << NORTH, 1 << SOUTH):
        return col
    return row if mask in (1 << EAST, 1 << WEST) else 0


def from_ascii(
    drawing: str,
    legend: dict[str, tuple[int, int]] | None = None,
    rules: dict[str, Any] | None = None,
    signals: list[dict[str, int]] | None = None,
    pedestrians: list[tuple[int, int, int, int]] | None = None,
    is_eastbound: bool = False,
    fields: dict[str, int] | None = None,
    **cars: Car,
) -> Situation:
    """Make a drawn world.

    Args:
        drawing: rows of words, see the module.
        legend: further words: (kind, mask).
        rules: fields of RULES that differ from `rules_of()`.
        signals: fields of each signal.
        pedestrians: (row, col, heading, status) of each.
        is_eastbound: keep lanes as rings; a periodic road with an odometer, as Highway.
        fields: fields of the world, such as `wraps_cols=1`.
        **cars: by their letters; capital letters are controlled.
    """
    words = [line.split() for line in drawing.strip().splitlines()]
    ground = {**GROUND, **(legend or {})}
    worlds = np.zeros(1, w.WORLD)
    world = worlds[0]
    world.rows, world.cols = len(words), len(words[0])
    world.limit = 5
    if is_eastbound:
        empty_lanes(world)
        world.is_ring = world.wraps_cols = 1
    for name, value in (fields or {}).items():
        worlds[name] = value
    names = sorted(cars, key=lambda name: name.islower())
    world.num_controlled = sum(name.isupper() for name in names)
    places = {}
    for row, line in enumerate(words):
        assert len(line) == world.cols, f"row {row} has {len(line)} cells, not {world.cols}"
        for col, word in enumerate(line):
            under = word
            if word in cars:
                places[word] = row, col
                under = cars[word].on or LANE_OF[cars[word].heading]
            cell_kind, mask = ground[under]
            w.paint(world, row, col, cell_kind, mask, lane_number(mask, row, col), 0)
    for k, name in enumerate(names):
        car = cars[name]
        world.num_vehicles = k + 1
        place(world, k, *places[name], car.heading, car.speed, car.limit)
        world.vehicles[k].turn = car.turn
    for s, signal in enumerate(signals or []):
        world.num_signals = s + 1
        for name, value in signal.items():
            worlds["signals"][name][0, s] = value
    for p, pedestrian in enumerate(pedestrians or []):
        world.num_pedestrians = p + 1
        worlds["pedestrians"][0, p] = pedestrian
    if not is_eastbound:
        measure_route(world, np.empty(w.MAX_CELLS, np.int16))
    begin_drives(world)
    if is_eastbound:
        for k in range(world.num_controlled):
            world.drivers[k].remaining = world.drivers[k].route_length = 1000
    return Situation(worlds, rules_of(**(rules or {})), names)
