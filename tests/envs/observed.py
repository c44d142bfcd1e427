"""The observations once more, cell by cell and in plain Python, as docs/observations.md describes them.

Slow and obvious, and without a line of the encoders: what both say alike is what the page says. A comment states the
rule wherever the page says too little to compute a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivesim.core.map import (
    CROSSWALK,
    LANE,
    OBSTACLE,
    OFF_ROAD,
    PARKING_BAY,
    SHOULDER,
    STOP_LINE,
    UNREACHABLE,
)
from drivesim.core.world import CROSSING, DRIVING, GREEN, NOBODY, RED, WAITING, YELLOW

AHEAD, BEHIND = 12, 10  # cells that `features` looks at
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # (row, column) of one cell north, east, south, west
ONE_WAY = {1: 0, 2: 1, 4: 2, 8: 3}  # the heading of a mask that allows only one


@dataclass(frozen=True)
class Car:
    """A vehicle that is on the road."""

    number: int
    heading: int
    speed: int


@dataclass(frozen=True)
class Cell:
    """A cell of the map: what lies there and who is on it."""

    row: int
    col: int
    kind: int
    mask: int
    offset: int
    route: int
    is_goal: bool
    car: Car | None
    walker: int

    @property
    def is_road(self) -> bool:
        """Whether it may be driven in some heading."""
        return self.mask != 0

    def allows(self, heading: int) -> bool:
        """Whether it may be driven in `heading`."""
        return bool(self.mask >> heading % 4 & 1)


class Scene:
    """A world on its map as plain numbers, seen by ego `k`, who faces up."""

    def __init__(self, road: Any, world: Any, k: int = 0) -> None:
        """Read the records."""
        self.rows, self.cols, self.limit = int(road["rows"]), int(road["cols"]), int(road["speed_limit"])
        self.half_lane, self.wraps = int(road["half_lane"]), (bool(road["ring_rows"]), bool(road["ring_cols"]))
        self.is_ring = any(self.wraps)
        width = self.cols + 2
        places = [(row + 1) * width + col + 1 for row in range(self.rows) for col in range(self.cols)]  # in the records
        numbers = {place: n for n, place in enumerate(places)}
        walkers = dict.fromkeys(range(len(places)), NOBODY)
        for place, _, status, *_ in world["people"][: int(world["num_people"])].tolist():
            walkers[numbers[place]] = max(status, walkers[numbers[place]])
        cars = {}
        for number, who in enumerate(world["vehicles"][: int(world["num_vehicles"])]):
            car = Car(number, int(who["heading"]), int(who["speed"]))
            if number == k:
                self.ego, self.place = car, divmod(numbers[int(who["cell"])], self.cols)
            if who["status"] == DRIVING:
                cars[numbers[int(who["cell"])]] = car
        ego = world["egos"][k]
        headings = range(4 if road["has_goal_headings"] else 1)  # for each the moves to the goal from every cell
        first = [(int(ego["goal"]) * len(headings) + heading) * (self.rows + 2) * width for heading in headings]
        bits, lanes = road["ground"][places].tolist(), road["lanes"][places].tolist()
        layers = np.array([road["distances"][[begin + place for place in places]] for begin in first])
        routes = layers[self.ego.heading % len(headings)].tolist()
        self.cells = [
            Cell(*divmod(n, self.cols), b >> 4 & 7, b & 15, (lane & 15) - 8, route, is_goal, cars.get(n), walkers[n])
            for n, (b, lane, route, is_goal) in enumerate(
                zip(bits, lanes, routes, (layers == 0).any(axis=0), strict=True)
            )
        ]
        self.turn = int(ego["next_turn"])
        self.remaining, self.route_length = int(ego["remaining"]), int(ego["route_length"])
        self.lamps = [
            {name: int(lamp[name]) for name in ("colour_0", "colour_1")}
            for lamp in world["lamps"][: int(road["num_junctions"])]
        ]
        self.junctions = road["junction"][places].tolist() if self.lamps else [0] * len(places)

    def at(self, row: int, col: int) -> Cell | None:
        """The cell (row, col); None outside the map, which only a ring continues on its other side."""
        if self.is_ring and self.wraps[0]:
            row %= self.rows
        if self.is_ring and self.wraps[1]:
            col %= self.cols
        return self.cells[row * self.cols + col] if 0 <= row < self.rows and 0 <= col < self.cols else None

    def seen(self, ahead: int, right: int) -> Cell | None:
        """The cell so far ahead of the ego and to its right."""
        (up, along), (down, across) = STEPS[self.ego.heading], STEPS[(self.ego.heading + 1) % 4]
        return self.at(self.place[0] + ahead * up + right * down, self.place[1] + ahead * along + right * across)

    def ahead_of(self, cell: Cell) -> int:
        """How far ahead of the ego a cell of the map lies, in whatever column."""
        up, along = STEPS[self.ego.heading]
        return (cell.row - self.place[0]) * up + (cell.col - self.place[1]) * along

    def junction(self, cell: Cell | None) -> dict[str, int] | None:
        """The signal in whose junction a cell lies."""
        number = self.junctions[cell.row * self.cols + cell.col] if cell else 0
        return self.lamps[number - 1] if number else None

    def colour(self, line: Cell) -> int | None:
        """The light of a stop line, for the heading in which one drives over it; None if no junction follows.

        Crosswalks in between belong to the junction. In a junction, and where it may not be reached, there is no line.
        """
        heading = ONE_WAY[line.mask]
        cell = self.at(line.row + STEPS[heading][0], line.col + STEPS[heading][1])
        while cell is not None and cell.kind == CROSSWALK and cell.allows(heading) and self.junction(cell) is None:
            cell = self.at(cell.row + STEPS[heading][0], cell.col + STEPS[heading][1])
        signal = self.junction(cell)
        if signal is None or self.junction(line) is not None:
            return None
        return signal[f"colour_{heading % 2}"]

    def saved(self, cell: Cell) -> int | None:
        """Moves to the goal that the ego saves by being on a cell; None without a way from there."""
        if self.is_ring:
            return 0
        return None if cell.route == UNREACHABLE else self.remaining - cell.route


def grid(scene: Scene, ahead: int, behind: int, beside: int) -> np.ndarray:
    """The window (10, ahead + 1 + behind, 2 · beside + 1)."""
    planes = np.zeros((10, ahead + 1 + behind, 2 * beside + 1), np.uint8)
    for row in range(planes.shape[1]):
        for col in range(planes.shape[2]):
            cell = scene.seen(ahead - row, col - beside)
            if cell is not None:
                planes[:9, row, col] = planes_of(scene, cell)
    planes[9] = 42 * (scene.ego.speed + 1)
    return planes


def planes_of(scene: Scene, cell: Cell) -> list[int]:
    """What the planes of the window but the last say of a cell of the map."""
    heading = scene.ego.heading
    mine = cell.allows(heading)
    signal = 0
    if cell.kind == STOP_LINE:
        colour = scene.colour(cell) if mine else None  # a line without a light is for nobody
        signal = {None: 64, GREEN: 128, YELLOW: 192, RED: 255}[colour]
    elif cell.kind == CROSSWALK:
        signal = 32
    saved = scene.saved(cell) if cell.is_road else None
    return [
        (128 if cell.kind in (SHOULDER, PARKING_BAY) else 255) if mine else 0,
        255 if cell.is_road and not mine else 0,
        36 * abs(cell.offset) if cell.is_road else 0,
        255 if cell.kind == OBSTACLE else 0,
        55 + 40 * cell.car.speed if cell.car else 0,
        (64, 128, 192, 255)[(cell.car.heading - heading) % 4] if cell.car else 0,
        {NOBODY: 0, WAITING: 128, CROSSING: 255}[cell.walker],
        signal,
        0 if saved is None else min(max(128 + 8 * saved, 1), 255),
    ]


def full_grid(scene: Scene) -> np.ndarray:
    """The map (rows, cols)."""
    codes = [code_of(scene, cell) for cell in scene.cells]
    return np.array(codes, np.uint8).reshape(scene.rows, scene.cols)


def code_of(scene: Scene, cell: Cell) -> int:
    """The code of a cell: the ego, another vehicle, a pedestrian, or else what lies there.

    The ego is shown even when its drive has ended, other vehicles while they drive, pedestrians while they cross.
    """
    if (cell.row, cell.col) == scene.place:
        return 43 + 7 * scene.ego.heading + 1 + scene.ego.speed
    if cell.car is not None:
        return 15 + 7 * cell.car.heading + 1 + cell.car.speed
    if cell.walker == CROSSING:
        return 14
    if cell.is_goal and not scene.is_ring:
        return 7
    if cell.kind == STOP_LINE:  # one without a light is open
        return {None: 5, GREEN: 5, YELLOW: 8, RED: 9}[scene.colour(cell)]
    if cell.kind == LANE:
        return 10 + ONE_WAY[cell.mask] if cell.mask in ONE_WAY else 1
    return {OFF_ROAD: 0, SHOULDER: 2, OBSTACLE: 3, CROSSWALK: 4, PARKING_BAY: 6}[cell.kind]


def features(scene: Scene) -> dict[str, float]:
    """Every feature by its name, in the order of the table."""
    told: dict[str, float] = {}
    for right, group in zip(range(-2, 3), ("left_2", "left_1", "own", "right_1", "right_2"), strict=True):
        told |= {f"{group}/{name}": value for name, value in column(scene, right)}
    for part in (own, bend, junction_ahead):
        told |= dict(part(scene))
    return {name: min(max(value, -1.0), 1.0) for name, value in told.items()}


def gain(scene: Scene, cell: Cell | None, share: int) -> float:
    """Moves saved by being on a cell as a share; -1 without a road or a way."""
    saved = scene.saved(cell) if cell is not None and cell.is_road else None
    return -1.0 if saved is None else min(max(saved / share, -1.0), 1.0)


def column(scene: Scene, right: int) -> Iterator[tuple[str, float]]:
    """The eight numbers of a column of cells."""
    beside = scene.seen(0, right)
    # The road of a side column begins beside the ego: where there is none, nothing is clear and nobody is seen ahead;
    # a vehicle there is 0 cells ahead. Cells of other headings are road too; where the road ends, the view ends.
    ahead = road_from(scene, right, range(0 if right else 1, AHEAD + 1))
    behind = road_from(scene, right, range(-1, -BEHIND - 1, -1))
    yield "here", 0 if beside is None or not beside.is_road else 1 if beside.allows(scene.ego.heading) else -1
    yield "clear", max(ahead, default=0) / AHEAD
    for name, road, far in (("ahead", ahead, AHEAD), ("behind", behind, BEHIND)):
        distance = next((n for n, cell in road.items() if cell.car is not None), None)
        yield name, 1 if distance is None else abs(distance) / far
        yield f"{name}_speed", 0 if distance is None else speed_more(scene, road[distance].car) / 10
    end = list(ahead.values())[-1] if ahead else beside
    # Off the map's edge nothing is saved and nothing lost, whereas a cell of the map without a way counts as -1.
    yield "reach", 0 if end is None or scene.is_ring else gain(scene, end, 12)
    yield "step", gain(scene, scene.seen(1, right), 2)


def road_from(scene: Scene, right: int, distances: range) -> dict[int, Cell]:
    """The cells of a column at these distances ahead, up to the first that is no road."""
    road = {}
    for ahead in distances:
        cell = scene.seen(ahead, right)
        if cell is None or not cell.is_road:
            break
        road[ahead] = cell
    return road


def speed_more(scene: Scene, car: Car) -> int:
    """How much faster than the ego a vehicle moves in the ego's direction: not at all if it crosses."""
    return (car.speed, 0, -car.speed, 0)[(car.heading - scene.ego.heading) % 4] - scene.ego.speed


def own(scene: Scene) -> Iterator[tuple[str, float]]:
    """The ego's own numbers and the four cells next to it."""
    cell = scene.seen(0, 0)
    assert cell is not None
    yield "own/speed", scene.ego.speed / 5
    yield "own/limit", scene.limit / 5
    yield "own/offset", cell.offset / scene.half_lane if scene.half_lane and cell.is_road else 0
    yield "own/can_turn_left", cell.allows(scene.ego.heading - 1)
    yield "own/can_turn_right", cell.allows(scene.ego.heading + 1)
    yield "own/route_turn", scene.turn
    for name, ahead, right in (("ahead", 1, 0), ("right", 0, 1), ("behind", -1, 0), ("left", 0, -1)):
        yield f"around/{name}", gain(scene, scene.seen(ahead, right), 2)
    yield "own/remaining", scene.remaining / scene.route_length


def bend(scene: Scene) -> Iterator[tuple[str, float]]:
    """The lane's centre ahead, for roads of one lane; straight on where no road is within 7 cells to either side."""
    for ahead in range(1, 9):
        cells = [scene.seen(ahead, right) for right in range(-15, 16)]
        road = {n - 15: cell for n, cell in enumerate(cells) if cell is not None and cell.is_road}
        in_sight = scene.half_lane > 0 and any(abs(right) <= 7 for right in road)
        yield f"bend_{ahead}", next(right for right, cell in road.items() if cell.offset == 0) / 8 if in_sight else 0


def junction_ahead(scene: Scene) -> Iterator[tuple[str, float]]:
    """Stop line, junction, oncoming traffic and crosswalk."""
    inside = scene.junction(scene.seen(0, 0))
    line, junction = None, inside
    for ahead in range(AHEAD + 1) if inside is None else ():  # who is in a junction is told of no line behind it
        cell = scene.seen(ahead, 0)
        if cell is None or not cell.allows(scene.ego.heading):
            break
        if cell.kind == STOP_LINE:
            line, junction = ahead, scene.junction(scene.seen(ahead + 1, 0))
            break
    shown = scene.colour(cell) if line is not None else None
    yield "line/distance", 1 if line is None else line / AHEAD
    for name, colour in (("red", RED), ("yellow", YELLOW), ("green", GREEN)):
        yield f"line/{name}", shown == colour
    others = [cell for cell in scene.cells if cell.car is not None and cell.car.number != scene.ego.number]
    there = [cell for cell in others if junction is not None and scene.junction(cell) is junction]
    yield "junction/vehicles", len(there) / 4  # the ego not counted
    yield "junction/inside", inside is not None
    # Whoever comes the other way matters at a junction only, there on all lanes and up to three times as far as seen.
    coming = {}
    for cell in others if junction is not None else ():
        if (cell.car.heading - scene.ego.heading) % 4 == 2 and 0 < scene.ahead_of(cell) < 3 * AHEAD:
            coming.setdefault(scene.ahead_of(cell), []).append(cell.car)
    yield "oncoming/distance", min(coming, default=AHEAD) / AHEAD
    yield "oncoming/speed", min(coming[min(coming)], key=lambda car: car.number).speed / 5 if coming else 0
    yield from crosswalk(scene)


def crosswalk(scene: Scene) -> Iterator[tuple[str, float]]:
    """The next crosswalk straight ahead, whatever lies before it; who waits beside it is not on it."""
    for ahead in range(1, AHEAD + 1):
        cell = scene.seen(ahead, 0)
        if cell is None:
            break
        if cell.kind == CROSSWALK:
            stripe = [cell]
            for forward, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):  # a line, whichever way it lies
                n = 1
                while (beside := scene.seen(ahead + n * forward, n * right)) and beside.kind == CROSSWALK:
                    stripe.append(beside)
                    n += 1
            yield "crosswalk/distance", ahead / AHEAD
            yield "crosswalk/occupied", any(cell.walker == CROSSING for cell in stripe)
            return
    yield "crosswalk/distance", 1
    yield "crosswalk/occupied", 0
