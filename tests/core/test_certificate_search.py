"""The certificate finds what a slow and obvious search finds, on small maps drawn at random."""

import numpy as np
from ascii_map import GROUND, SHORT, Car, from_ascii
from hypothesis import event, given, reject, settings
from hypothesis import strategies as st

from drivesim.core import certificate as laws
from drivesim.core.certificate import REASONS, certify
from drivesim.core.cycles import NUM_PLANES
from drivesim.core.map import CROSSWALK, EAST, LANE, NORTH, PORTAL, SOUTH, WEST
from drivesim.core.refusals import cycle_of
from drivesim.core.world import DRIVING, KRAUSS, UNAWARE
from drivesim.levels.alphabet import read_word
from drivesim.levels.faults import LevelError

WORD_OF = {EAST: ">", WEST: "<", NORTH: "^", SOUTH: "v"}


# --- the slow search -------------------------------------------------------------------------------------------------
class Road:
    """A map in plain numbers."""

    def __init__(self, map) -> None:
        self.ground = map.ground.tolist()
        self.steps = map.steps.tolist()
        self.leads_to = map.leads_to.tolist()
        self.junction = map.junction.tolist()
        self.slots = map.slots.tolist()  # cells of junctions and their exits
        self.num_cells = (int(map.rows) + 2) * int(map.width)
        ways = map.ways.tolist()
        marked = [ways[d * self.num_cells : (d + 1) * self.num_cells] for d in range(int(map.num_destinations))]
        self.ways = [[mark & 7 for mark in way] for way in marked]
        self.ends = [{cell for cell, mark in enumerate(way) if mark & 8} for way in marked]
        self.after = map.goals["next"].tolist()
        self.destinations = [d for d, way in enumerate(self.ways) if any(way)]

    def next(self, cell, heading):
        if self.ground[cell] & PORTAL and self.leads_to[cell] % 4 == heading:
            return self.leads_to[cell] // 4
        return cell + self.steps[heading]

    def kind(self, cell):
        return self.ground[cell] >> 4 & 7

    def stores(self, cell):
        return self.junction[cell] == 0 and self.kind(cell) != CROSSWALK

    def onward(self, cell, aim):
        """The heading, None where no way leads on; an aim is ("to", destination) or ("in", heading)."""
        heading = aim[1] if aim[0] == "in" else self.ways[aim[1]][cell] - 1
        if heading < 0 or not self.ground[self.next(cell, heading)] >> heading & 1:
            return None
        return heading

    def stands_next(self, cell, aim):
        """The next cell on which traffic may stand on its way, None where there is none."""
        for _ in range(self.num_cells):
            heading = self.onward(cell, aim)
            cell = None if heading is None else self.next(cell, heading)
            if cell is None or self.stores(cell):
                return cell
        return None

    def beside(self, cell):
        """Cells of the lanes beside."""
        here = self.ground[cell] & 127
        if self.kind(cell) != LANE or here & 15 not in (1, 2, 4, 8) or self.junction[cell]:
            return []
        heading = [1, 2, 4, 8].index(here & 15)
        sides = [cell + self.steps[(heading + side) % 4] for side in (1, 3)]
        return [side for side in sides if self.ground[side] & 127 == here and not self.slots[side]]


def aims_of(road, world, model):
    """[(cell, heading, aim)] of the traffic at the start."""
    found = []
    for k in range(world.num_egos, world.num_vehicles):
        vehicle = world.vehicles[k]
        own = int(vehicle.destination)
        aims = [("to", d) for d in ([own] if own in road.destinations else road.destinations)]
        if model == UNAWARE or not aims:
            aims = [("in", int(vehicle.heading))]
        found += [(int(vehicle.cell), int(vehicle.heading), aim) for aim in aims]
    return found


def states_of(road, starts, is_unaware):
    """All (cell, aim, whether it is passed) that traffic comes to, and the faults on the way."""
    faults = set()
    states = set()
    new = {(cell, aim, False) for cell, _, aim in starts}
    while new:
        states |= new
        found = set()
        for cell, aim, passed in new:
            if aim[0] == "to" and cell in road.ends[aim[1]] and not passed:
                found.add((cell, aim, True))
            if passed:
                after = road.after[aim[1]] or -1
                found |= {(cell, ("to", d), False) for d in road.destinations if after >> d & 1}
            heading = road.onward(cell, aim)
            sides = [side for side in road.beside(cell) if road.onward(side, aim) is not None]
            if heading is None and not sides:
                faults.add(laws.NO_WAY_ON)
            if heading is not None:
                target = road.next(cell, heading)
                if road.onward(target, aim) == (heading + 2) % 4:
                    faults.add(laws.TURNS_BACK)
                found.add((target, aim, passed))
            if not is_unaware:
                found |= {(side, aim, passed) for side in sides}
        new = found - states
    return states, faults


def smallest_storage(hops):
    """Storage of the smallest cycle: from every cell, relax all hops until nothing changes."""
    smallest = None
    for start in {cell for cell, _ in hops}:
        cost = {start: 1}
        is_new = True
        while is_new:
            is_new = False
            for cell, target in hops:
                if cell in cost and cost[cell] + 1 < cost.get(target, 10**9) and target != start:
                    cost[target], is_new = cost[cell] + 1, True
        smallest = min([*(cost[cell] for cell, target in hops if target == start and cell in cost), smallest or 10**9])
    return smallest


def search(map, world, model):
    """(all reasons against a level, storage of its smallest cycle or None)."""
    road = Road(map)
    portals = [cell for cell in range(road.num_cells) if road.ground[cell] & PORTAL]
    back = [int(map.comes_from[road.leads_to[cell] // 4]) for cell in portals]
    faults = {laws.PORTALS_MEET} if back != portals else set()
    starts = aims_of(road, world, model)
    if not starts:
        return faults, None
    for cell, heading, aim in starts:
        if not road.ground[cell] >> heading & 1:
            faults.add(laws.OFF_ITS_WAY)
        if road.junction[cell] and model != UNAWARE:
            faults.add(laws.IN_JUNCTION)
        if road.onward(cell, aim) == (heading + 2) % 4:
            faults.add(laws.TURNS_BACK)
    states, found = states_of(road, starts, model == UNAWARE)
    faults |= found
    moves = {
        (cell, road.next(cell, road.onward(cell, aim))) for cell, aim, _ in states if road.onward(cell, aim) is not None
    }
    before = {target: {origin for origin, reached in moves if reached == target} for _, target in moves}
    for target, origins in before.items():
        if len(origins) > 1 and (model == UNAWARE or not road.junction[target]):
            faults.add(laws.UNAWARE_CROSSES if model == UNAWARE else laws.WAYS_MEET)
    if model == UNAWARE:
        return faults, None
    for cell, aim, _ in states:
        for _ in range(road.num_cells):
            if road.stores(cell) or road.onward(cell, aim) is None:
                break
            cell = road.next(cell, road.onward(cell, aim))
        else:
            faults.add(laws.NEVER_STANDS)
    ahead = {}  # from one cell on which traffic may stand to the next
    for cell, aim, _ in states:
        if road.stores(cell) and road.stands_next(cell, aim) is not None:
            ahead.setdefault(cell, set()).add(road.stands_next(cell, aim))
    hops = {(cell, target) for cell, targets in ahead.items() for target in targets}
    cells = {cell for cell, _, _ in states}
    hops |= {(cell, target) for cell in cells for side in road.beside(cell) for target in ahead.get(side, ())}
    storage = smallest_storage(hops)
    if storage is not None and storage <= int((world.vehicles["status"] == DRIVING).sum()):
        faults.add(laws.CYCLE_IS_FULL)
    return faults, storage


# --- small maps ------------------------------------------------------------------------------------------------------
@st.composite
def small_levels(draw):
    """One-way rows and columns around the map, junctions where they may cross, some cells as chance has it."""
    rows, cols = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    ways = [draw(st.sampled_from([None, None, EAST, EAST, WEST])) for _ in range(rows)]
    ups = [draw(st.sampled_from([None, None, NORTH, SOUTH, SOUTH])) for _ in range(cols)]
    ups[0] = ups[-1] = None  # no corner of the map leads on in two headings
    words = []
    for along in ways:
        line = []
        for across in ups:
            signs = {WORD_OF[heading] for heading in (along, across) if heading is not None}
            line.append(next((word for word in GROUND if set(word) == signs and len(word) == len(signs)), "."))
        words.append(line)
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        word = draw(st.sampled_from([*GROUND, ".", ">", "v"]))
        words[draw(st.integers(0, rows - 1))][draw(st.integers(0, cols - 1))] = word
    boxes = []
    if draw(st.sampled_from([True, True, False])):
        crossings = [(r, c) for r in range(rows) for c in range(cols) if ways[r] is not None and ups[c] is not None]
        crossings = [(row, col) for row, col in crossings if words[row][col] not in (".", "#")]
        for row, col in crossings[:9]:
            boxes.append({"row": row, "col": col, "height": 1, "width": 1, "green_0": 5, "green_1": 5})
    roads = [(row, col) for row in range(rows) for col in range(cols) if words[row][col] not in (".", "#")]
    cars = {}
    for n, (row, col) in enumerate(draw(st.permutations(roads))[: draw(st.integers(1, 6))]):
        mask = read_word(SHORT.get(words[row][col], words[row][col])).headings
        heading = draw(st.sampled_from([h for h in range(4) if mask >> h & 1] * 30 + [0, 1, 2, 3]))
        cars[f"car{n}"] = Car(heading, next_turn=draw(st.sampled_from([0, 0, 1, -1])), on=words[row][col])
        words[row][col] = f"car{n}"
    model = draw(st.sampled_from([KRAUSS, KRAUSS, UNAWARE]))
    drawing = "\n".join(" ".join(line) for line in words)
    after = draw(st.lists(st.sampled_from([0, 0, 7, 13, 15]), min_size=4, max_size=4))
    facts = {"signals": boxes, "is_periodic": True, "options": {"driver_model": model}, **cars}
    return drawing, facts, after


@given(level=small_levels())
@settings(max_examples=250)
def test_the_certificate_finds_what_a_slow_search_finds(level) -> None:
    drawing, facts, after = level
    try:
        situation = from_ascii(drawing, **facts)
    except LevelError:  # no level at all: portals of a cell of several headings meet
        reject()
    map, world = situation.map, situation.world
    map.goals["next"][:4] = after  # destinations that may follow each of the four
    scratch = np.zeros(NUM_PLANES * len(map.ground), np.int64)
    reason, cell = certify(map, world, situation.options[0], scratch)
    faults, storage = search(map, world, facts["options"]["driver_model"])
    faults.discard(laws.UNAWARE_SPEEDS)
    assert (reason in faults) if faults else reason == laws.FINE
    if faults == {laws.CYCLE_IS_FULL}:
        cycle = cycle_of(map, cell, scratch)
        assert len(cycle) == storage
        assert all(Road(map).stores(cell) for cell in cycle)
    event(REASONS[reason])
