"""Worlds drawn in a test: one word per cell, cars named by letters, so that a test shows its situation.

    from_ascii('''
        . ^ ^ .
        . ^ a .
        . E ^ .
    ''', E=Car(NORTH, speed=2), a=Car(NORTH, speed=1))

A capital letter is an ego, a small one traffic; under a car lies a lane in its heading unless its `on` says
otherwise. All else is the alphabet of levels, `drivesim.levels.alphabet`, built by its kernel; `:` alone is a
northbound shoulder, `=` a crosswalk and `G` a goal in all headings.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from records import ROOMY_MAP, ROOMY_WORLD, frame_of, rows_and_cols, tick_worlds

from drivesim.core import event_table
from drivesim.core import world as w
from drivesim.core.batch import begin_drives
from drivesim.core.map import ALL_HEADINGS, JUNCTION, PORTAL, SIGNALS, STOP_LINE, turned
from drivesim.core.options import OPTIONS
from drivesim.core.painting import paint_passing
from drivesim.core.pedestrians import place_pedestrian
from drivesim.core.texts import A_VEHICLE, AN_EGO, UNSAID, WALKER_PATIENCE
from drivesim.core.ways import measure_distances, measure_ways
from drivesim.core.world import withdraw
from drivesim.levels.alphabet import ARROWS, Word, class_name, read_word, word_text
from drivesim.levels.building import build_into
from drivesim.levels.head import line_text
from drivesim.levels.reading import Facts, split

GROUND = (*".#^>v<+:=G", "|^", "|>", "|v", "|<", "^>", "^<", "v>", "v<", "^v", "<>")
"""Words of the ground, of every kind that drawings have."""
SHORT = {":": ":^", "=": "=+", "G": "+G"}
"""Words of drawings that leave the headings out."""
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


def portal_at_edge(words: list[list[Word]], row: int, col: int) -> bool:
    """Whether a lane ends there at the edge of the map and begins at the opposite edge."""
    last_row, last_col = len(words) - 1, len(words[0]) - 1
    ends = ((row == 0, last_row, col), (col == last_col, row, 0), (row == last_row, 0, col), (col == 0, row, last_col))
    for heading, (is_end, other_row, other_col) in enumerate(ends):
        if is_end and words[row][col].headings >> heading & 1:
            return bool(words[other_row][other_col].headings >> heading & 1)
    return False


def exits_of(map: Any) -> list[list[int]]:
    """For each heading the cells of one-way lanes in it that begin behind a junction, a corner or a crossing.

    They are the destinations of the traffic, numbered as `next_destination` draws them: by heading.
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
    legend: dict[str, tuple[int, ...]] | None = None,
    options: dict[str, Any] | None = None,
    signals: list[dict[str, int]] | None = None,
    pedestrians: list[tuple[int, ...]] | None = None,
    is_periodic: bool = False,
    is_ring: bool = False,
    fields: dict[str, int] | None = None,
    goal: tuple[int | None, int | None] | None = None,
    reverse: bool = False,
    **cars: Car,
) -> Situation:
    """Make a drawn map and its world.

    Args:
        drawing: rows of words, see the module.
        legend: further words: (kind, mask), or (kind, mask, headings in which it may be used to overtake).
        options: fields of OPTIONS that differ from `options_of()`.
        signals: of each junction the box (row, col, height, width) of its cells, and its timing:
            fields of JUNCTION, and `cycle_start`.
        pedestrians: (row, col, heading, status) of each, and if need be its patience and whether it hesitates.
        is_periodic: traffic that leaves the map comes back on the other side; egos do not.
        is_ring: egos do so too, eastward, and cover a distance, as on Highway.
        fields: fields of the map or of the world, such as `half_lane=2`.
        goal: the heading and the top speed that the goal asks for, None = any; distances are then those per heading.
        reverse: egos have a reverse gear.
        **cars: by their letters; capital letters are egos.
    """
    rows = [line.split() for line in drawing.strip().splitlines()]
    places = {word: (row, col) for row, line in enumerate(rows) for col, word in enumerate(line) if word in cars}
    names = [name for name in cars if name.isupper()]
    names += sorted((name for name in cars if name.islower()), key=places.__getitem__)
    shown = {
        name: Word(kind, mask, SIGNALS if kind == STOP_LINE else UNSAID)
        for name, (kind, mask, *_) in (legend or {}).items()
    }
    for k, name in enumerate(names):
        car = cars[name]
        on = car.on or ARROWS[car.heading]
        ground = shown.get(on) or read_word(SHORT.get(on, on))
        if name.isupper():
            shown[name] = replace(ground, who=AN_EGO, number=k)
        else:
            shown[name] = replace(ground, who=A_VEHICLE, name=class_name(k), pace=car.speed)
    words = [[shown[word] if word in shown else read_word(SHORT.get(word, word)) for word in line] for line in rows]
    for s, signal in enumerate(signals or []):
        for n in range(signal["height"] * signal["width"]):
            row, col = signal["row"] + n // signal["width"], signal["col"] + n % signal["width"]
            words[row][col] = replace(words[row][col], junction=s + 1)
    if is_periodic or is_ring:
        at_edge = [[portal_at_edge(words, row, col) for col in range(len(words[0]))] for row in range(len(words))]
        words = [
            [replace(word, is_portal=is_portal) for word, is_portal in zip(*line, strict=True)]
            for line in zip(words, at_edge, strict=True)
        ]
    egos = [cars[name] for name in names if name.isupper()]
    head = {"egos.heading": [car.heading for car in egos], "egos.speed": [max(0, car.speed) for car in egos]}
    head |= {"egos.top_speed": [car.top_speed for car in egos], "has_ways": 0}
    head |= {"ring_cols": len(words[0]), "egos.remaining": [RING_DISTANCE] * len(egos)} if is_ring else {}
    head["num_destinations"] = 0 if is_ring else 4
    for k, name in enumerate(names[len(egos) :], len(egos)):
        head[f"{class_name(k)}.heading"] = cars[name].heading
        head[f"{class_name(k)}.top_speed"] = cars[name].top_speed
    table = "\n".join(" ".join(word_text(word) for word in line) for line in words)
    text = split("\n".join(line_text(name, value) for name, value in head.items()) + "\n\n" + table)
    maps, worlds = np.zeros(1, ROOMY_MAP), np.zeros(1, ROOMY_WORLD)
    build_into(text, Facts(text).record(), maps, worlds)
    for name, value in (fields or {}).items():
        (maps if name in ROOMY_MAP.names else worlds)[name] = value
    for s, signal in enumerate(signals or []):
        worlds["lamps"]["cycle_start"][0, s] = signal.get("cycle_start", 0)
        for name in signal.keys() & set(JUNCTION.names):
            maps["junctions"][name][0, s] = signal[name]
    map, world = maps[0], worlds[0]
    allow_passing(map, rows, legend or {})
    map.has_reverse = int(reverse)
    if goal is not None:
        map.has_goal_headings = 1
        maps["goals"]["heading"], maps["goals"]["top_speed"] = (0 if term is None else 1 + term for term in goal)
    goals = [
        cell_of(map, r, c)
        for r, line in enumerate(words)
        for c, word in enumerate(line)
        if word.goals or rows[r][c].startswith("G")
    ]
    measure(map, goals)
    for k, name in enumerate(names):
        world.vehicles[k].speed = cars[name].speed  # of an ego that moves backwards too
        destination = turned(cars[name].heading, cars[name].next_turn)
        if name.isupper():
            world.egos[k].next_turn, world.egos[k].goal = cars[name].next_turn, destination
        else:
            world.vehicles[k].destination = destination
    for row, col, heading, status, *character in pedestrians or []:
        place_pedestrian(world, cell_of(map, row, col), heading, status, *(character or (WALKER_PATIENCE, 0)))
    begin_drives(map, world)
    return Situation(maps, worlds, options_of(num_egos=int(world.num_egos), **(options or {})), names)


def allow_passing(map: Any, rows: list[list[str]], legend: dict[str, tuple[int, ...]]) -> None:
    """Let egos overtake on the cells whose word in the legend says in which headings."""
    for r, line in enumerate(rows):
        for c, word in enumerate(line):
            if len(legend.get(word, ())) > 2:
                paint_passing(map, cell_of(map, r, c), legend[word][2])


def measure(map: Any, goals: list[int]) -> None:
    """Whatever an ego's way through a junction, `G` is its goal; traffic goes to the exits, by their headings."""
    scratch = np.zeros(4 * len(map.ground), np.int32)
    for heading, exits in enumerate(exits_of(map)):
        scratch[: len(exits)] = exits
        measure_ways(map, heading, len(exits), scratch)
        map.goals[heading].next = 1 << heading  # so that a car's first destination is its only one
    for destination in range(map.num_destinations):
        scratch[: len(goals)] = goals
        measure_distances(map, destination, len(goals), scratch)
