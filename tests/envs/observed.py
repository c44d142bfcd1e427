"""The observations once more, cell by cell and in plain Python, as docs/observations.md describes them.

Slow and obvious, and without a line of the encoders: what both say alike is what the page says. A comment states the
rule wherever the page says too little to compute a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np

from drivesim.core.jit import entry
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EDGE,
    LANE,
    MAP,
    NO_CONTROL,
    OBSTACLE,
    OFF_ROAD,
    PARKING_BAY,
    PORTAL,
    SHOULDER,
    SIGNALS,
    STOP_LINE,
    UNREACHABLE,
    YIELD,
)
from drivesim.core.memory import BatchType, Frame, FrameType, opener
from drivesim.core.outlook import has_turn
from drivesim.core.world import CROSSING, DRIVING, GREEN, NOBODY, RED, WAITING, WORLD, YELLOW
from drivesim.observations.entities import EGO_FACTS, ENTITY
from drivesim.observations.grid import PLANES
from drivesim.observations.rgb import DRAWN, LETTERS
from drivesim.render.palette import SPEEDS

TURN = FrameType("turn", maps=BatchType(MAP), worlds=BatchType(WORLD), ego=int, place=int)
open_turn = opener(TURN)


@entry
def whose_turn(argument):
    """The rule for maps and worlds of all sizes; called as it is, it would be compiled anew for each."""
    frame = open_turn(argument)
    return has_turn(frame.maps[0], frame.worlds[0], frame.ego, frame.place)


AHEAD, BEHIND = 40, 10  # cells that `features` looks at
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
    routes: tuple[int, ...]
    is_goal: bool
    car: Car | None
    walker: int
    place: int
    """In the records."""

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
        self.walkers: dict[int, int] = {}  # by their places, as the cars are
        for place, _, status, *_ in world["people"][: int(world["num_people"])].tolist():
            self.walkers[place] = max(status, self.walkers.get(place, NOBODY))
        self.cars: dict[int, Car] = {}
        for number, who in enumerate(world["vehicles"][: int(world["num_vehicles"])]):
            car = Car(number, int(who["heading"]), int(who["speed"]))
            if number == k:
                self.ego, self.place = car, self.position(int(who["cell"]))
            if who["status"] == DRIVING:
                self.cars[int(who["cell"])] = car
        ego = world["egos"][k]
        headings = 4 if road["has_goal_headings"] else 1  # for each the moves to the goal from every cell
        size = (self.rows + 2) * (self.cols + 2)
        begin = int(ego["goal"]) * headings * size
        self.layers = road["distances"][begin : begin + headings * size].reshape(headings, size)
        self.road, self.world, self.k = road, world, k
        self.goal, self.has_ways = int(ego["goal"]), bool(road["has_ways"])
        self.terms = road["goals"][self.goal] if len(road["goals"]) else None
        self.has_reverse = bool(road["has_reverse"])
        self.remaining, self.route_length = int(ego["remaining"]), int(ego["route_length"])
        self.lamps = [(int(lamp["colour_0"]), int(lamp["colour_1"])) for lamp in world["lamps"]]
        self.controls = road["junctions"][: int(road["num_junctions"])]
        self.known: dict[int, Cell] = {}

    def position(self, place: int) -> tuple[int, int]:
        """(row, column) of a place in the records, which have a border around the map."""
        row, col = divmod(place, self.cols + 2)
        return row - 1, col - 1

    def cell(self, place: int) -> Cell:
        """The cell at a place in the records."""
        if place not in self.known:
            bits, lane = int(self.road["ground"][place]), int(self.road["lanes"][place])
            self.known[place] = Cell(
                *self.position(place),
                bits >> 4 & 7,
                bits & 15,
                (lane & 15) - 8,
                tuple(int(self.layers[heading % len(self.layers), place]) for heading in range(4)),
                bool((self.layers[:, place] == 0).any()),
                self.cars.get(place),
                self.walkers.get(place, NOBODY),
                place,
            )
        return self.known[place]

    def at(self, row: int, col: int) -> Cell | None:
        """The cell (row, col); None outside the map, which only a ring continues on its other side."""
        if self.is_ring and self.wraps[0]:
            row %= self.rows
        if self.is_ring and self.wraps[1]:
            col %= self.cols
        is_inside = 0 <= row < self.rows and 0 <= col < self.cols
        return self.cell((row + 1) * (self.cols + 2) + col + 1) if is_inside else None

    def seen(self, ahead: int, right: int) -> Cell | None:
        """The cell so far ahead of the ego and to its right."""
        (up, along), (down, across) = STEPS[self.ego.heading], STEPS[(self.ego.heading + 1) % 4]
        return self.at(self.place[0] + ahead * up + right * down, self.place[1] + ahead * along + right * across)

    def ahead_of(self, cell: Cell) -> int:
        """How far ahead of the ego a cell of the map lies, in whatever column."""
        up, along = STEPS[self.ego.heading]
        return (cell.row - self.place[0]) * up + (cell.col - self.place[1]) * along

    def junction(self, cell: Cell | None) -> int:
        """1 + the junction in which a cell lies, 0 = none."""
        return int(self.road["junction"][cell.place]) if cell and len(self.controls) else 0

    def passed(self, cell: Cell | None) -> bool:
        """Whether a cell belongs to a junction, or to a crosswalk directly at one."""
        if cell is None or not len(self.controls) or not self.road["slots"][cell.place]:
            return False
        return self.junction(cell) > 0 or cell.kind == CROSSWALK

    def next(self, cell: Cell | None, heading: int) -> Cell | None:
        """The cell ahead of another one; a ring leads on where it has portals."""
        if cell is None:
            return None
        row, col = cell.row + STEPS[heading][0], cell.col + STEPS[heading][1]
        is_inside = 0 <= row < self.rows and 0 <= col < self.cols
        return self.at(row, col) if is_inside or self.road["ground"][cell.place] & PORTAL else None

    def way(self, destination: int, place: int) -> int | None:
        """The heading of the way to a destination, None where there is no way."""
        if not self.has_ways or destination < 0:
            return None
        way = int(self.road["ways"][destination * (self.rows + 2) * (self.cols + 2) + place]) & 7
        return way - 1 if way else None

    def turn_of(self, number: int, distance: int) -> tuple[int | None, int]:
        """Cells to the next turn of a vehicle and its side; (None, 0) if there is none within `distance`."""
        who = self.world["vehicles"][number]
        is_ego = number < int(self.world["num_egos"])
        goal = int(self.world["egos"][number]["goal"] if is_ego else who["destination"])
        heading, place = int(who["heading"]), int(who["cell"])
        for n in range(distance + 1 if self.has_ways else 0):
            if self.road["ground"][place] >> 4 & 7 == EDGE:
                break
            way = self.way(goal, place)
            if way is not None and way != heading:
                return n, {1: 1, 3: -1}.get((way - heading) % 4, 0)
            leads_to = int(self.road["leads_to"][place]) if self.road["ground"][place] & PORTAL else 4 * place + 9
            is_portal = leads_to % 4 == heading and self.road["ground"][place] & PORTAL
            place = leads_to >> 2 if is_portal else place + int(self.road["steps"][heading])
        return None, 0

    def entered_from(self, cell: Cell | None, heading: int) -> int:
        """1 + the junction into which a cell leads, over its crosswalks; 0 if it is no entry."""
        if cell is None or self.junction(cell) or cell.kind == CROSSWALK or not cell.allows(heading):
            return 0
        cell = self.next(cell, heading)
        while cell is not None and cell.kind == CROSSWALK and cell.allows(heading) and not self.junction(cell):
            cell = self.next(cell, heading)
        return self.junction(cell)

    def entry(self, who: int, distance: int) -> tuple[int, Cell] | None:
        """Cells straight ahead of a vehicle to its next entry, and that cell."""
        is_ego = who < int(self.world["num_egos"])
        vehicle = self.world["vehicles"][who]
        goal = int(self.world["egos"][who]["goal"] if is_ego else vehicle["destination"])
        heading = int(vehicle["heading"])
        cell = self.at(*self.position(int(vehicle["cell"])))
        for n in range(distance + 1):
            if cell is None or not cell.allows(heading) or self.way(goal, cell.place) not in (None, heading):
                return None
            if self.entered_from(cell, heading):
                return n, cell
            row, col = cell.row + STEPS[heading][0], cell.col + STEPS[heading][1]
            is_through = self.road["ground"][cell.place] & PORTAL and (who != self.k or self.is_ring)
            cell = self.at(row % self.rows, col % self.cols) if is_through else self.at(row, col)
        return None

    def is_mine(self) -> bool:
        """Whether the junction is the ego's to enter now: a rule of the road, taken at its word."""
        entry = None if self.passed(self.seen(0, 0)) else self.entry(self.k, AHEAD)
        frame = Frame(TURN)
        frame.set(
            maps=np.array([self.road], self.road.dtype),
            worlds=np.array([self.world], self.world.dtype),
            ego=self.k,
            place=entry[1].place if entry else -1,
        )
        return bool(whose_turn(frame.argument))

    def sign(self, line: Cell) -> tuple[int, int | None] | None:
        """The control and the light of a stop line, for the heading in which one drives over it; None without one."""
        s = self.entered_from(line, ONE_WAY[line.mask])
        return self.control(s, ONE_WAY[line.mask]) if s else None

    def control(self, s: int, heading: int) -> tuple[int, int | None]:
        """The control of junction s and the light that it shows to a heading, None if it has none."""
        control = int(self.controls[s - 1]["control"])
        return control, self.lamps[s - 1][heading % 2] if control == SIGNALS else None

    def saved(self, cell: Cell, heading: int | None = None) -> int | None:
        """Moves to the goal that the ego saves by being on a cell, in its heading or another; None without a way."""
        if self.is_ring:
            return 0
        route = cell.routes[self.ego.heading if heading is None else heading]
        return None if route == UNREACHABLE else self.remaining - route


def grid(scene: Scene, ahead: int, behind: int, beside: int) -> dict[str, np.ndarray]:
    """Every plane of the window by its name, (ahead + 1 + behind, 2 · beside + 1)."""
    shape = (ahead + 1 + behind, 2 * beside + 1)
    planes = {name: np.zeros(shape, np.uint8) for name in PLANES}
    for row in range(shape[0]):
        for col in range(shape[1]):
            cell = scene.seen(ahead - row, col - beside)
            if cell is not None:
                for name, value in seen_in(scene, cell).items():
                    planes[name][row, col] = value
    planes["my_turn"][:] = 255 if scene.is_mine() else 0
    wanted = 0 if scene.is_ring else int(scene.terms["heading"])
    planes["goal_heading"][:] = (64, 128, 192, 255)[(wanted - 1 - scene.ego.heading) % 4] if wanted else 0
    planes["own_speed"][:] = 36 * (scene.ego.speed + 1) + 18 * scene.has_reverse
    return planes


def seen_in(scene: Scene, cell: Cell) -> dict[str, int]:
    """What the planes of the window that differ from cell to cell say of one."""
    heading = scene.ego.heading
    mine = cell.allows(heading)
    signal = 0
    if cell.kind == STOP_LINE:
        sign = scene.sign(cell) if mine else None  # a line before no junction is for nobody
        signal = (
            64
            if sign is None
            else {GREEN: 128, YELLOW: 192, RED: 255, None: 96 if sign[0] == ALL_WAY_STOP else 80}[sign[1]]
        )
    elif cell.kind == CROSSWALK:
        signal = 32
    saved = scene.saved(cell) if cell.is_road else None
    return {
        "road": (128 if cell.kind in (SHOULDER, PARKING_BAY) else 255) if mine else 0,
        "other_road": 255 if cell.is_road and not mine else 0,
        "lane_offset": 36 * abs(cell.offset) if cell.is_road else 0,
        "obstacle": 255 if cell.kind == OBSTACLE else 0,
        "vehicle": 55 + 40 * cell.car.speed if cell.car else 0,
        "vehicle_heading": (64, 128, 192, 255)[(cell.car.heading - heading) % 4] if cell.car else 0,
        "vehicle_turn": (0, 255, 128)[scene.turn_of(cell.car.number, 10)[1]] if cell.car else 0,
        "pedestrian": {NOBODY: 0, WAITING: 128, CROSSING: 255}[cell.walker],
        "signal": signal,
        "route": 0 if saved is None else min(max(128 + 8 * saved, 1), 255),
    }


def rgb(scene: Scene, ahead: int, behind: int, beside: int) -> np.ndarray:
    """The window as a picture, (3, 4 · rows, 4 · columns)."""
    rows, cols = ahead + 1 + behind, 2 * beside + 1
    picture = np.zeros((4 * rows, 4 * cols, 3), np.uint8)
    way = {cell.place for cell, _ in way_of(scene)} if scene.has_ways and not scene.is_ring else set()
    walkers = scene.world["people"][: int(scene.world["num_people"])]
    waiting = {int(walker["cell"]) for walker in walkers if walker["status"] == WAITING}
    for row in range(rows):
        for col in range(cols):
            cell = scene.seen(ahead - row, col - beside)
            part = picture[4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
            if cell is None:
                continue
            for name, heading in drawn_on(scene, cell, cell.place in way, cell.place in waiting):
                pixels, is_drawn = tile(name, (heading - scene.ego.heading) % 4)
                part[is_drawn] = pixels[is_drawn]
            if cell.car:
                part[1:3, 1:3] = SPEEDS[cell.car.speed + 1]
    return picture.transpose(2, 0, 1)


@cache
def tile(name: str, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """A tile's pixels (4, 4, 3), turned to the right by so many quarters, and which of them are drawn (4, 4)."""
    letters = np.rot90(np.array([list(line) for line in DRAWN[name].split()]), -turn)
    return np.array([[LETTERS.get(letter, (0, 0, 0)) for letter in line] for line in letters]), letters != "."


def drawn_on(scene: Scene, cell: Cell, on_way: bool, has_waiting: bool) -> Iterator[tuple[str, int]]:
    """The tiles on a cell, from the ground up, and in which heading each faces."""
    mine, only = scene.ego.heading, ONE_WAY.get(cell.mask)
    along = 0 if only is None else only
    if cell.kind == STOP_LINE:
        sign = scene.sign(cell) if cell.allows(mine) else None
        lights = {GREEN: "_GREEN", YELLOW: "_YELLOW", RED: "_RED"}
        control = "" if sign is None else lights.get(sign[1], "_STOP" if sign[0] == ALL_WAY_STOP else "_GIVE_WAY")
        yield f"LINE{control}", along
    elif cell.kind in (CROSSWALK, PARKING_BAY):
        yield "STRIPES" if cell.kind == CROSSWALK else "IN_BAY", along
    elif cell.kind in (OBSTACLE, SHOULDER):
        yield "BLOCKED" if cell.kind == OBSTACLE else "ON_SHOULDER", mine
    elif cell.kind != LANE or not cell.is_road:
        yield "VERGE", mine
    elif only is None:
        yield "OPEN", mine
    elif scene.half_lane:
        yield "WIDE" if cell.offset else "CENTRE", only
    else:
        yield "ONE_WAY", only
    if cell.is_goal and not scene.is_ring:
        yield "FINISH", mine
        if scene.terms["heading"]:
            yield "FINISH_HEADING", int(scene.terms["heading"]) - 1
    if on_way:
        yield "WAY_DOT", mine
    if has_waiting:
        yield "WAITING_WALKER", mine
    if cell.walker == CROSSING:
        yield "WALKER", mine
    if cell.car:
        is_mine = cell.car.number == scene.k
        yield ("MY_TURN" if scene.is_mine() else "NOT_MY_TURN") if is_mine else "OTHER", cell.car.heading
        if is_mine and scene.has_reverse:
            yield "REVERSE_GEAR", cell.car.heading
        side = scene.turn_of(cell.car.number, 10)[1]
        if side:
            yield "SIGNAL_LEFT" if side < 0 else "SIGNAL_RIGHT", cell.car.heading


def full_grid(scene: Scene) -> np.ndarray:
    """The map (rows, cols)."""
    codes = [[code_of(scene, scene.at(row, col)) for col in range(scene.cols)] for row in range(scene.rows)]
    return np.array(codes, np.uint8)


def code_of(scene: Scene, cell: Cell) -> int:
    """The code of a cell: the ego, another vehicle, a pedestrian, or else what lies there.

    The ego is shown even when its drive has ended, other vehicles while they drive, pedestrians while they cross.
    """
    if (cell.row, cell.col) == scene.place:
        return (43 if scene.is_mine() else 71) + 7 * scene.ego.heading + 1 + scene.ego.speed
    if cell.car is not None:
        first = (15, 127, 99)[scene.turn_of(cell.car.number, 10)[1]]
        return first + 7 * cell.car.heading + 1 + cell.car.speed
    if cell.walker == CROSSING:
        return 14
    if cell.is_goal and not scene.is_ring:
        return 154 + int(scene.terms["heading"]) if scene.terms["heading"] else 7
    if cell.kind == STOP_LINE:  # one without a light is open
        sign = scene.sign(cell)
        return {None: 5, GREEN: 5, YELLOW: 8, RED: 9}[sign[1] if sign else None]
    if cell.kind == LANE:
        return 10 + ONE_WAY[cell.mask] if cell.mask in ONE_WAY else 1
    return {OFF_ROAD: 0, SHOULDER: 2, OBSTACLE: 3, CROSSWALK: 4, PARKING_BAY: 6}[cell.kind]


def features(scene: Scene) -> dict[str, float]:
    """Every feature by its name, in the order of the table."""
    told: dict[str, float] = {}
    way = list(way_of(scene))
    for right, group in zip(range(-2, 3), ("left_2", "left_1", "own", "right_1", "right_2"), strict=True):
        told |= {f"{group}/{name}": value for name, value in column(scene, way, right)}
    for part in (own, route, around, bend, control, crosswalk, arms, soon):
        told |= dict(part(scene))
    return {name: min(max(value, -1.0), 1.0) for name, value in told.items()}


def entities(scene: Scene, num_rows: int) -> list[dict[str, float]]:
    """Every row by the names of its columns, the empty ones too: the ego, then the others in order."""
    way: dict[int, int] = {}
    for n, (cell, _) in enumerate(way_of(scene), start=1):
        way.setdefault(cell.place, n)
    told: list[tuple[tuple[int, ...], dict[str, float]]] = []
    for number, car in enumerate(scene.world["vehicles"][: int(scene.world["num_vehicles"])]):
        if number == scene.k or car["status"] == DRIVING:
            order, row = placed(scene, way, int(car["cell"]), int(car["heading"]), 0)
            row |= {"is_ego": number == scene.k, "is_vehicle": number != scene.k}
            row |= {"speed": int(car["speed"]) / 5, "turn": scene.turn_of(number, 10)[1]}
            told.append(((-1,), row) if number == scene.k else (order, row))
    for walker in scene.world["people"][: int(scene.world["num_people"])]:
        if walker["status"] != NOBODY:
            crosses = int(walker["status"]) == CROSSING
            order, row = placed(scene, way, int(walker["cell"]), int(walker["heading"]), 1 if crosses else 2)
            told.append((order, row | {"is_person": 1, "crosses": crosses}))
    rows = [{**dict.fromkeys(ENTITY, 0.0), **row} for _, row in sorted(told, key=lambda pair: pair[0])]
    rows[0] |= {name: value for name, value in features(scene).items() if name in EGO_FACTS}
    return [*rows, *(dict.fromkeys(ENTITY, 0.0) for _ in range(num_rows))][:num_rows]


def placed(
    scene: Scene, way: dict[int, int], place: int, heading: int, kind: int
) -> tuple[tuple[int, ...], dict[str, float]]:
    """In which order somebody on a cell is told of, and where that is."""
    (up, along), (down, across) = STEPS[scene.ego.heading], STEPS[(scene.ego.heading + 1) % 4]
    row, col = place // (scene.cols + 2) - 1 - scene.place[0], place % (scene.cols + 2) - 1 - scene.place[1]
    rows = (row, row - scene.rows, row + scene.rows) if scene.wraps[0] else (row,)
    cols = (col, col - scene.cols, col + scene.cols) if scene.wraps[1] else (col,)
    side = -1 if scene.world["is_mirrored"] else 1  # of two who are alike, left comes before right, or after it
    seen = [(r * up + c * along, r * down + c * across) for r in rows for c in cols]
    ahead, right = min(seen, key=lambda at: (abs(at[0]), -at[0], abs(at[1]), side * at[1]))
    relative = (heading - scene.ego.heading) % 4
    order = (abs(ahead) + abs(right), -ahead, int(side * right > 0), kind, side * relative % 4)
    return order, {
        "valid": 1,
        "ahead": coded(ahead),
        "right": coded(right),
        "on_way": 0 if ahead == right == 0 else coded(way.get(place)),
        "heading_ahead": (1, 0, -1, 0)[relative],
        "heading_right": (0, 1, 0, -1)[relative],
    }


def coded(distance: float | None) -> float:
    """A distance d as d / (d + 10), 1 where there is nothing."""
    return 1.0 if distance is None else distance / (abs(distance) + 10)


def way_of(scene: Scene) -> Iterator[tuple[Cell, int]]:
    """The cells on the ego's way and its heading there: round corners with the way, else straight on."""
    cell, heading = scene.seen(0, 0), scene.ego.heading
    for _ in range(AHEAD):
        assert cell is not None
        onward = None if scene.is_ring else scene.way(scene.goal, cell.place)
        if onward not in (None, (heading + 2) % 4):
            heading = onward
        cell = scene.next(cell, heading)
        if cell is None:
            return
        yield cell, heading


def gain(scene: Scene, cell: Cell | None, heading: int | None = None) -> float:
    """Moves saved by being on a cell as a share of 2; -1 without a road or a way."""
    saved = scene.saved(cell, heading) if cell is not None and cell.is_road else None
    return -1.0 if saved is None else min(max(saved / 2, -1.0), 1.0)


def column(scene: Scene, way: list[tuple[Cell, int]], right: int) -> Iterator[tuple[str, float]]:
    """The ten numbers of a column of cells."""
    beside = scene.seen(0, right)
    # The road of a side column begins beside the ego: where there is none, nothing is clear and nobody is seen ahead;
    # a vehicle there is 0 cells ahead. Cells of other headings are road too; where the road ends, the view ends.
    ahead = road_along(scene, way, right)
    behind = road_from(scene, right, range(-1, -BEHIND - 1, -1))
    yield "here", 0 if beside is None or not beside.is_road else 1 if beside.allows(scene.ego.heading) else -1
    yield "clear", coded(max(ahead, default=0))
    for name, road in (("ahead", ahead), ("behind", behind)):
        distance = next((n for n, cell in road.items() if cell.car is not None), None)
        car = None if distance is None else road[distance].car
        heading = way[distance - 1][1] if distance is not None and distance > 0 else scene.ego.heading
        yield name, coded(None if distance is None else abs(distance))
        yield f"{name}_speed", 0 if car is None else speed_more(scene, car, heading) / 10
        yield f"{name}_turn", 0 if car is None else scene.turn_of(car.number, 10)[1]
    end = list(ahead.values())[-1] if ahead else beside
    # Off the map's edge nothing is saved and nothing lost, whereas a cell of the map without a way counts as -1.
    saved = None if end is None or not end.is_road else scene.saved(end)
    yield "reach", 0 if end is None or scene.is_ring else -1 if saved is None else coded(saved)
    yield "step", gain(scene, scene.seen(1, right))


def road_along(scene: Scene, way: list[tuple[Cell, int]], right: int) -> dict[int, Cell]:
    """The road of a column beside the ego's way, by the cells ahead, up to where it ends."""
    beside, heading = scene.seen(0, right), scene.ego.heading
    if right and (beside is None or not beside.is_road):
        return {}
    road = {0: beside} if right and beside is not None else {}
    for n, (cell, onward) in enumerate(way, start=1):
        if onward == heading:
            beside = scene.next(beside, heading)
        else:
            heading = onward
            down, across = STEPS[(heading + 1) % 4]
            beside = scene.at(cell.row + right * down, cell.col + right * across)
        if beside is None or not beside.is_road:
            break
        road[n] = beside
    return road


def road_from(scene: Scene, right: int, distances: range) -> dict[int, Cell]:
    """The cells of a column at these distances ahead, up to the first that is no road."""
    road = {}
    for ahead in distances:
        cell = scene.seen(ahead, right)
        if cell is None or not cell.is_road:
            break
        road[ahead] = cell
    return road


def speed_more(scene: Scene, car: Car, heading: int) -> int:
    """How much faster than the ego a vehicle moves in the way's direction: not at all if it crosses."""
    return (car.speed, 0, -car.speed, 0)[(car.heading - heading) % 4] - scene.ego.speed


def own(scene: Scene) -> Iterator[tuple[str, float]]:
    """The ego's own numbers."""
    cell = scene.seen(0, 0)
    assert cell is not None
    yield "own/speed", scene.ego.speed / 5
    yield "own/limit", scene.limit / 5
    yield "own/offset", cell.offset / scene.half_lane if scene.half_lane and cell.is_road else 0
    yield "own/can_turn_left", cell.allows(scene.ego.heading - 1)
    yield "own/can_turn_right", cell.allows(scene.ego.heading + 1)
    yield "own/can_reverse", scene.has_reverse


def route(scene: Scene) -> Iterator[tuple[str, float]]:
    """The next turn and the goal."""
    distance, side = scene.turn_of(scene.k, AHEAD)
    yield "route/turn", side
    yield "route/turn_distance", coded(distance)
    yield "route/goal_distance", coded(max(scene.remaining, 0))
    heading, top_speed = (0, 0) if scene.is_ring else (int(scene.terms["heading"]), int(scene.terms["top_speed"]))
    relative = (heading - 1 - scene.ego.heading) % 4
    yield "route/goal_ahead", (1, 0, -1, 0)[relative] if heading else 0
    yield "route/goal_right", (0, 1, 0, -1)[relative] if heading else 0
    yield "route/goal_speed", (top_speed - 1 - abs(scene.ego.speed)) / 5 if top_speed else 1
    yield "route/remaining", max(scene.remaining, 0) / scene.route_length


def around(scene: Scene) -> Iterator[tuple[str, float]]:
    """The moves to the four cells next to the ego, then those backwards that turn it."""
    here, mine = scene.seen(0, 0), scene.ego.heading
    assert here is not None
    for name, ahead, right in (("ahead", 1, 0), ("right", 0, 1), ("behind", -1, 0), ("left", 0, -1)):
        is_turn = right != 0 and here.allows(mine + right)
        yield f"around/{name}", gain(scene, scene.seen(ahead, right), (mine + right) % 4 if is_turn else mine)
    for name, side in (("back_left", -1), ("back_right", 1)):
        can = scene.has_reverse and here.allows(mine + side)
        yield f"around/{name}", gain(scene, scene.seen(0, -side), (mine + side) % 4) if can else -1


def bend(scene: Scene) -> Iterator[tuple[str, float]]:
    """The lane's centre ahead, for roads of one lane; straight on where no road is within 7 cells to either side."""
    for ahead in range(1, 9):
        cells = [scene.seen(ahead, right) for right in range(-15, 16)]
        road = {n - 15: cell for n, cell in enumerate(cells) if cell is not None and cell.is_road}
        in_sight = scene.half_lane > 0 and any(abs(right) <= 7 for right in road)
        yield f"bend_{ahead}", next(right for right, cell in road.items() if cell.offset == 0) / 8 if in_sight else 0


def junction_of(scene: Scene) -> int:
    """1 + the junction that is told of: the ego's own, else the next straight ahead on its way."""
    if scene.passed(scene.seen(0, 0)):
        return scene.junction(scene.seen(0, 0))
    entry = scene.entry(scene.k, AHEAD)
    return scene.entered_from(entry[1], scene.ego.heading) if entry else scene.junction(scene.seen(0, 0))


def control(scene: Scene) -> Iterator[tuple[str, float]]:
    """The junction's control."""
    inside = scene.passed(scene.seen(0, 0))
    entry = None if inside else scene.entry(scene.k, AHEAD)
    s = junction_of(scene)
    kind, light = scene.control(s, scene.ego.heading) if entry else (None, None)
    yield "control/distance", coded(entry[0] if entry else None)
    for name, number in (("signals", SIGNALS), ("all_way", ALL_WAY_STOP), ("give_way", YIELD), ("none", NO_CONTROL)):
        yield f"control/{name}", kind == number
    for name, colour in (("green", GREEN), ("yellow", YELLOW), ("red", RED)):
        yield f"control/{name}", light == colour
    yield "control/my_turn", scene.is_mine()
    yield "control/inside", inside
    others = [scene.cell(place) for place, car in scene.cars.items() if car.number != scene.ego.number]
    yield "control/vehicles", sum(scene.junction(cell) == s for cell in others) / 4 if s else 0


def arms(scene: Scene) -> Iterator[tuple[str, float]]:
    """Who comes to the junction, the nearest from each side: by distance, then speed, then who turns left."""
    s = junction_of(scene)
    for turns, arm in enumerate(("from_left", "oncoming", "from_right"), start=1):
        coming = []
        for place, car in scene.cars.items() if s else ():
            if (car.heading - scene.ego.heading) % 4 != turns or scene.passed(scene.cell(place)):
                continue
            entry = scene.entry(car.number, 20)
            if car.number != scene.ego.number and entry and scene.entered_from(entry[1], car.heading) == s:
                coming.append((entry[0], -car.speed, scene.turn_of(car.number, 10)[1]))
        distance, speed, turn = min(coming, default=(None, 0, 0))
        yield f"{arm}/distance", coded(distance)
        yield f"{arm}/speed", -speed / 5
        ranks = scene.controls[s - 1]["ranks"] if coming and scene.controls[s - 1]["control"] == YIELD else [0] * 4
        mine, its = ranks[scene.ego.heading], ranks[(scene.ego.heading + turns) % 4]
        yield f"{arm}/rank", int(mine) - int(its)
        yield f"{arm}/turn", turn


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
            yield "crosswalk/distance", coded(ahead)
            yield "crosswalk/occupied", any(cell.walker == CROSSING for cell in stripe)
            return
    yield "crosswalk/distance", 1
    yield "crosswalk/occupied", 0


def soon(scene: Scene) -> Iterator[tuple[str, float]]:
    """How soon somebody may be on the cells near the ego, where there are junctions or a reverse gear."""
    near = (
        ("ahead_1", 1, 0),
        ("ahead_2", 2, 0),
        ("ahead_3", 3, 0),
        ("right", 0, 1),
        ("behind", -1, 0),
        ("left", 0, -1),
    )
    for name, ahead, right in near:
        cell = scene.seen(ahead, right) if scene.has_reverse or len(scene.controls) else None
        if cell is None or not cell.is_road:
            yield f"soon/{name}", 0
        elif cell.car is not None:
            yield f"soon/{name}", 1
        elif not scene.has_reverse and not scene.junction(cell):
            yield f"soon/{name}", 0
        else:
            ticks = [arrival(scene, cell, heading) for heading in range(4) if cell.allows(heading)]
            yield f"soon/{name}", max((1 / each for each in ticks if each is not None), default=0)


def arrival(scene: Scene, cell: Cell, heading: int) -> int | None:
    """Ticks until whoever comes in a heading may be on a cell: the first within 8 cells of road, through portals."""
    place, steps = cell.place, scene.road["steps"]
    for distance in range(1, 9):
        portal = int(scene.road["comes_from"][place]) if scene.road["num_portals"] else 0
        is_portal = portal and int(scene.road["leads_to"][portal]) == 4 * place + heading
        place = portal if is_portal else place - int(steps[heading])
        row, col = scene.position(place)
        seen = scene.cell(place) if 0 <= row < scene.rows and 0 <= col < scene.cols else None
        if seen is None or not seen.is_road:
            return None
        if seen.car is not None:
            who = scene.world["vehicles"][seen.car.number]
            top_speed, is_ego = int(who["top_speed"]), seen.car.number < int(scene.world["num_egos"])
            goal = int(scene.world["egos"][seen.car.number]["goal"] if is_ego else who["destination"])
            way = scene.way(goal, place)
            onward = seen.car.heading if way is None else way
            if seen.car.number == scene.k or onward != heading or top_speed == 0:
                return None
            moved = accumulate(min(seen.car.speed + n, top_speed) for n in range(1, 99))
            return next(n for n, cells in enumerate(moved, start=1) if cells >= distance)
    return None
