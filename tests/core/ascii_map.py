"""Worlds drawn in a test: one word per cell, cars named by letters, so that a test shows its situation.

    from_ascii('''
        . ^ ^ .
        . ^ a .
        . E ^ .
    ''', E=Car(NORTH, speed=2), a=Car(NORTH, speed=1))

A capital letter is an ego, a small one traffic; under a car lies a lane in its heading unless its `on` says
otherwise. `.` off-road, `#` obstacle, `^ > v <` lanes, `^>` a corner with both headings and so on, `+` with all four,
`:` a northbound shoulder, `G` goal, `|^ |> |v |<` stop lines in that heading, `=` a crosswalk with all headings.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from records import ROOMY_MAP, ROOMY_WORLD, frame_of, rows_and_cols, tick_worlds

from drivesim.core import event_table
from drivesim.core import world as w
from drivesim.core.batch import begin_drives
from drivesim.core.map import (
    ALL_HEADINGS,
    CROSSWALK,
    EAST,
    LANE,
    NORTH,
    OBSTACLE,
    OFF_ROAD,
    PORTAL,
    SHOULDER,
    SOUTH,
    STOP_LINE,
    WEST,
    open_portal,
    paint,
    set_size,
    turned,
)
from drivesim.core.options import OPTIONS
from drivesim.core.reservations import number_slots
from drivesim.core.ways import measure_distances, measure_ways
from drivesim.core.world import place, withdraw

GROUND = {
    ".": (OFF_ROAD, 0),
    "#": (OBSTACLE, 0),
    "^": (LANE, 1 << NORTH),
    ">": (LANE, 1 << EAST),
    "v": (LANE, 1 << SOUTH),
    "<": (LANE, 1 << WEST),
    "|^": (STOP_LINE, 1 << NORTH),
    "|>": (STOP_LINE, 1 << EAST),
    "|v": (STOP_LINE, 1 << SOUTH),
    "|<": (STOP_LINE, 1 << WEST),
    "+": (LANE, ALL_HEADINGS),
    ":": (SHOULDER, 1 << NORTH),
    "=": (CROSSWALK, ALL_HEADINGS),
    "G": (LANE, ALL_HEADINGS),
}
for one, other in ("^>", "^<", "v>", "v<", "^v", "<>"):
    GROUND[one + other] = (LANE, GROUND[one][1] | GROUND[other][1])
LANE_OF = {NORTH: "^", EAST: ">", SOUTH: "v", WEST: "<"}
EVENTS = {event.name: bit for event, bit in zip(event_table.EVENTS, event_table.BITS, strict=True)}
LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
RING_DISTANCE = 1000  # cells that an ego has to cover on a ring


@dataclass(frozen=True)
class Car:
    """A car of a drawing."""

    heading: int
    speed: int = 0
    top_speed: int = 5
    next_turn: int = 0
    """At the next junction or corner; traffic goes to where a way leaves one in the heading after this turn."""
    on: str = ""
    """What it stands on; nothing = a lane in its heading."""


class Situation:
    """A drawn map and its world with their options, played tick by tick."""

    def __init__(self, maps: np.ndarray, worlds: np.ndarray, options: np.ndarray, names: list[str]) -> None:
        self.maps = maps
        self.worlds = worlds
        self.options = options
        self.names = names

    @property
    def map(self) -> Any:
        """The record."""
        return self.maps[0]

    @property
    def world(self) -> Any:
        """The record."""
        return self.worlds[0]

    def vehicle(self, name: str) -> Any:
        """The record of a car."""
        return self.world.vehicles[self.names.index(name)]

    def ego(self, name: str = "E") -> Any:
        """What is remembered of an ego."""
        return self.world.egos[self.names.index(name)]

    def cell(self, row: int, col: int) -> int:
        """The cell that is drawn there."""
        return cell_of(self.map, row, col)

    def at(self, name: str) -> tuple[int, int]:
        """(row, col) of a car."""
        row, col = rows_and_cols(self.map, self.vehicle(name).cell)
        return int(row), int(col)

    def motion(self, name: str) -> tuple[int, int]:
        """(heading, speed) of a car."""
        return int(self.vehicle(name).heading), int(self.vehicle(name).speed)

    def hold(self, name: str, *places: tuple[int, int]) -> None:
        """Let a car have reserved the cells (row, col), and no others."""
        k = self.names.index(name)
        withdraw(self.map, self.world, k)
        self.world.vehicles[k].may_enter = int(len(places) > 0)
        for row, col in places:
            slot = int(self.map.slots[self.cell(row, col)])
            assert slot > 0, f"({row}, {col}) cannot be reserved"
            self.world.held[slot - 1] = k + 1

    def held_by(self, name: str) -> set[tuple[int, int]]:
        """The cells (row, col) that a car has reserved."""
        slots = np.flatnonzero(self.world.held == self.names.index(name) + 1) + 1
        rows, cols = rows_and_cols(self.map, np.flatnonzero(np.isin(self.map.slots, slots)))
        return set(zip(rows.tolist(), cols.tolist(), strict=True))

    def is_driving(self, name: str) -> bool:
        """Whether a car is still in the world."""
        return bool(self.vehicle(name).status == w.DRIVING)

    def events(self, name: str = "E") -> set[str]:
        """Names of an ego's events in the last tick."""
        bits = int(self.ego(name).events)
        return {event for event, bit in EVENTS.items() if bits & bit}

    def play(self, *actions: int) -> set[str]:
        """One tick, one action per ego; the events of the first."""
        if len(actions) != self.world.num_egos:
            raise ValueError(f"{self.world.num_egos} egos need as many actions, got {actions}")
        frame = frame_of(self.maps, self.worlds, self.options, [*actions, IDLE])
        tick_worlds(frame.argument, 1, 0)
        return self.events(self.names[0]) if actions else set()

    def copy(self) -> "Situation":
        """An independent copy, to try another action."""
        return Situation(self.maps.copy(), self.worlds.copy(), self.options.copy(), self.names)


def options_of(**fields: Any) -> np.ndarray:
    """OPTIONS of one environment, shape (1,): one ego, all five actions, no dawdling, unless told."""
    options = np.zeros(1, OPTIONS)
    for name, value in {"has_idle": 1, "top_speed": 5, "num_egos": 1, **fields}.items():
        options[name] = value
    return options


def cell_of(map: Any, row: int, col: int) -> int:
    """The number of a cell."""
    return (row + 1) * int(map.width) + col + 1


def lane_number(mask: int, row: int, col: int) -> int:
    """Lanes run along their headings: a column of a north-south road, a row of an east-west one."""
    if mask in (1 << NORTH, 1 << SOUTH):
        return col & 15
    return row & 15 if mask in (1 << EAST, 1 << WEST) else 0


def draw(map: Any, words: list[list[str]], ground: dict[str, tuple[int, int]]) -> list[int]:
    """Paint a map from words, whose (kind, mask) `ground` tells; the cells of the goal."""
    set_size(map, len(words), len(words[0]))
    goals = []
    for row, line in enumerate(words):
        for col, word in enumerate(line):
            kind, mask = ground[word]
            paint(map, cell_of(map, row, col), kind, mask, lane_number(mask, row, col), 0)
            if word == "G":
                goals.append(cell_of(map, row, col))
    return goals


def join_sides(map: Any) -> None:
    """Let every lane that ends at the edge of the map lead on from the opposite edge."""
    rows, cols = int(map.rows), int(map.cols)
    for heading, ends in (
        (NORTH, [((0, col), (rows - 1, col)) for col in range(cols)]),
        (EAST, [((row, cols - 1), (row, 0)) for row in range(rows)]),
        (SOUTH, [((rows - 1, col), (0, col)) for col in range(cols)]),
        (WEST, [((row, 0), (row, cols - 1)) for row in range(rows)]),
    ):
        for end, target in ends:
            if int(map.ground[cell_of(map, *end)]) >> heading & 1:
                open_portal(map, cell_of(map, *end), heading, cell_of(map, *target))


def exits_of(map: Any) -> list[list[int]]:
    """For each heading the cells of one-way lanes in it that begin behind a junction, a corner or a crossing.

    They are the destinations of the traffic, numbered by heading.
    """
    exits: list[list[int]] = [[], [], [], []]
    ground, junction, steps = map.ground.tolist(), map.junction.tolist(), map.steps.tolist()
    for cell in [cell_of(map, row, col) for row in range(map.rows) for col in range(map.cols)]:
        mask = ground[cell] & ALL_HEADINGS
        if junction[cell] == 0 and mask & (mask - 1) == 0:
            continue
        for heading in range(4):
            target = cell + steps[heading]
            if ground[cell] & PORTAL and map.leads_to[cell] % 4 == heading:
                target = int(map.leads_to[cell]) // 4
            if mask >> heading & 1 and junction[target] == 0 and ground[target] & ALL_HEADINGS == 1 << heading:
                exits[heading].append(target)
    return exits


def from_ascii(
    drawing: str,
    legend: dict[str, tuple[int, int]] | None = None,
    options: dict[str, Any] | None = None,
    signals: list[dict[str, int]] | None = None,
    pedestrians: list[tuple[int, int, int, int]] | None = None,
    is_periodic: bool = False,
    is_ring: bool = False,
    fields: dict[str, int] | None = None,
    **cars: Car,
) -> Situation:
    """Make a drawn map and its world.

    Args:
        drawing: rows of words, see the module.
        legend: further words: (kind, mask).
        options: fields of OPTIONS that differ from `options_of()`.
        signals: of each junction the box (row, col, height, width) of its cells, and its timing:
            fields of JUNCTION, and `cycle_start`.
        pedestrians: (row, col, heading, status) of each.
        is_periodic: traffic that leaves the map comes back on the other side; egos do not.
        is_ring: egos do so too, eastward, and cover a distance, as on Highway.
        fields: fields of the map or of the world, such as `half_lane=2`.
        **cars: by their letters; capital letters are egos.
    """
    maps, worlds = np.zeros(1, ROOMY_MAP), np.zeros(1, ROOMY_WORLD)
    map, world = maps[0], worlds[0]
    words = [line.split() for line in drawing.strip().splitlines()]
    places = {}
    for row, line in enumerate(words):
        assert len(line) == len(words[0]), f"row {row} has {len(line)} cells, not {len(words[0])}"
        for col, word in enumerate(line):
            if word in cars:
                places[word] = row, col
                line[col] = cars[word].on or LANE_OF[cars[word].heading]
    goals = draw(map, words, {**GROUND, **(legend or {})})
    map.speed_limit = 5
    if is_periodic or is_ring:
        join_sides(map)
    if is_ring:
        map.ring_cols = map.cols
    for name, value in (fields or {}).items():
        (maps if name in ROOMY_MAP.names else worlds)[name] = value
    names = sorted(cars, key=lambda name: name.islower())
    world.num_egos = sum(name.isupper() for name in names)
    world.num_vehicles = len(names)
    for k, name in enumerate(names):
        car = cars[name]
        place(world, k, cell_of(map, *places[name]), car.heading, car.speed, car.top_speed)
        if name.isupper():
            world.egos[k].next_turn = car.next_turn
            world.egos[k].goal = turned(car.heading, car.next_turn)
    for s, signal in enumerate(signals or []):
        add_junction(maps, worlds, s, **signal)
    scratch = np.zeros(2 * len(map.ground), np.int32)
    for heading, exits in enumerate(exits_of(map)):
        scratch[: len(exits)] = exits
        measure_ways(map, heading, len(exits), scratch)
        map.goals[heading].next = 1 << heading  # so that a car's first destination is its only one
    for k, name in enumerate(names):
        if name.islower():
            world.vehicles[k].destination = turned(cars[name].heading, cars[name].next_turn)
    for p, (row, col, heading, status) in enumerate(pedestrians or []):
        world.num_people = p + 1
        worlds["people"][0, p] = cell_of(map, row, col), heading, status
    map.num_destinations = 0 if is_ring else 4
    for destination in range(map.num_destinations):  # whatever an ego's way through a junction, `G` is its goal
        scratch[: len(goals)] = goals
        measure_distances(map, destination, len(goals), scratch)
    for k in range(world.num_egos):
        world.egos[k].remaining = RING_DISTANCE
    begin_drives(map, world)
    return Situation(maps, worlds, options_of(num_egos=int(world.num_egos), **(options or {})), names)


def add_junction(
    maps: np.ndarray,
    worlds: np.ndarray,
    s: int,
    row: int,
    col: int,
    height: int,
    width: int,
    cycle_start: int = 0,
    **timing: int,
) -> None:
    """Make a box of cells junction number s."""
    maps["num_junctions"] = s + 1
    for n in range(height * width):
        maps[0].junction[cell_of(maps[0], row + n // width, col + n % width)] = s + 1
    number_slots(maps[0])
    for name, value in timing.items():
        maps["junctions"][name][0, s] = value
    worlds["lamps"]["cycle_start"][0, s] = cycle_start
