"""Traffic follows the map's ways to its destinations: shortest ones, round bends without a permission, for ever."""

import math
from collections import deque

import numpy as np
import pytest
from ascii_map import GROUND, Car, from_ascii
from checker import found
from hypothesis import given
from hypothesis import strategies as st
from levels import levels
from records import frame_of
from roads import driven, set_speeds

from drivesim.core.map import CHANGE_LEFT, EAST, FOR_EVER, LANE, NORTH, PORTAL, SOUTH, WEST, way_from
from drivesim.core.ways import measure_ways
from drivesim.core.world import KRAUSS, NASCH

STEP = {NORTH: (-1, 0), EAST: (0, 1), SOUTH: (1, 0), WEST: (0, -1)}
LANES = {NORTH: "^", EAST: ">", SOUTH: "v", WEST: "<"}
DAWDLES = {0.0: 0, 0.3: round(0.3 * 65536)}


# --- ways ------------------------------------------------------------------------------------------------------------
def moves_from(map, cell):
    """{heading: next cell} of all legal moves from a cell without a change of lane, through portals too."""
    moves = {}
    for heading in range(4):
        target = cell + int(map.steps[heading])
        if map.ground[cell] & PORTAL and map.leads_to[cell] % 4 == heading:
            target = int(map.leads_to[cell]) // 4
        if int(map.ground[cell]) & int(map.ground[target]) & 15 & 1 << heading:
            moves[heading] = target
    return moves


def fewest_moves(map, start, goals):
    """Moves from a cell to the nearest goal, None if there is no way; cell by cell, forward."""
    moves, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        if cell in goals:
            return moves[cell]
        for target in moves_from(map, cell).values():
            if target not in moves:
                moves[target] = moves[cell] + 1
                queue.append(target)
    return None


def moves_made(map, destination, start, goals):
    """Moves in which a way leads from a cell to its goals, None if it never does; every move must be a legal one."""
    cell = start
    for moves in range(len(map.ground)):
        if cell in goals:
            return moves
        heading = way_from(map, destination, cell)
        if heading < 0:
            return None
        cell = moves_from(map, cell)[heading]
    return None


def beside(map, cell, heading):
    """The cells to the left and right of a cell that traffic may change to, None where it may not."""
    ground = [int(map.ground[cell + int(map.steps[(heading + side) % 4])]) for side in (-1, 1)]
    is_plain = int(map.ground[cell]) & 127 == 1 << heading | LANE << 4
    return [
        cell + int(map.steps[(heading + side) % 4]) if is_plain and other & 127 == 1 << heading | LANE << 4 else None
        for side, other in zip((-1, 1), ground, strict=True)
    ]


def moves_with_changes(map, goals):
    """{cell: moves to the nearest goal}, a change of lane being a move too; by relaxing until nothing changes."""
    rest, is_done = dict.fromkeys(goals, 0), False
    while not is_done:
        is_done = True
        for cell in road_cells(map):
            targets = [*moves_from(map, cell).values()]
            for heading in range(4):
                targets += [other for other in beside(map, cell, heading) if other is not None]
            best = min([rest[target] + 1 for target in targets if target in rest], default=math.inf)
            if best < rest.get(cell, math.inf):
                rest[cell], is_done = best, False
    return rest


def stay_of(map, rest, cell, heading):
    """Cells of its lane that may be driven on from a cell with every one of them nearer to the goal."""
    ahead = moves_from(map, cell).get(heading)
    return 0 if ahead is None or rest.get(ahead, math.inf) >= rest[cell] else 1 + stay_of(map, rest, ahead, heading)


def road_cells(map):
    """Cells that some heading may be driven in."""
    return [cell for cell in range((map.rows + 2) * map.width) if int(map.ground[cell]) & 15]


@pytest.mark.parametrize("distance", [3, 8, 13])
def test_ways_of_the_intersection_lead_from_everywhere_to_every_destination_in_the_fewest_moves(distance) -> None:
    map = levels("Intersection", [0], distance=distance)[0][0]
    cells, size = road_cells(map), (int(map.rows) + 2) * int(map.width)
    assert len(cells) == 4 * 30 - 4
    for destination in range(4):
        goals = {cell for cell in cells if map.distances[destination * size + cell] == 0}
        assert len(goals) == 1
        for start in cells:
            fewest = fewest_moves(map, start, goals)
            assert fewest is not None
            assert moves_made(map, destination, start, goals) == fewest


def test_a_way_never_ends_and_never_leaves_the_road() -> None:
    map = levels("Intersection", [0])[0][0]
    for destination in range(4):
        for start in road_cells(map):
            cell = start
            for _ in range(100):
                cell = moves_from(map, cell)[way_from(map, destination, cell)]


@given(data=st.data(), rows=st.integers(1, 7), cols=st.integers(1, 7))
def test_ways_on_any_road_are_shortest_and_there_are_none_where_no_move_leads_to_the_destination(
    data, rows, cols
) -> None:
    words = st.sampled_from([*GROUND, "^", ">", "v", "<", "+", "+"])
    drawing = data.draw(st.lists(st.lists(words, min_size=cols, max_size=cols), min_size=rows, max_size=rows))
    map = from_ascii("\n".join(" ".join(line) for line in drawing)).map
    cells = road_cells(map)
    goals = set(data.draw(st.lists(st.sampled_from(cells), min_size=1, max_size=3, unique=True))) if cells else set()
    scratch = np.zeros(2 * len(map.ground), np.int32)
    scratch[: len(goals)] = sorted(goals)
    measure_ways(map, 2, len(goals), scratch)
    rest = moves_with_changes(map, goals)
    size = (int(map.rows) + 2) * int(map.width)
    for start in cells:
        fewest, stay = fewest_moves(map, start, goals), int(map.stays[2 * size + start])
        if start not in goals:
            assert (way_from(map, 2, start) >= 0) == (start in rest)
        if fewest is not None:
            assert moves_made(map, 2, start, goals) == fewest
            assert stay == FOR_EVER
        elif start in rest:
            assert stay == stay_of(map, rest, start, way_from(map, 2, start))
            sides = int(map.ways[2 * size + start]) // CHANGE_LEFT
            nearer = [rest.get(cell, math.inf) < rest[start] for cell in beside(map, start, way_from(map, 2, start))]
            assert sides == nearer[0] + 2 * nearer[1]
        else:
            assert stay == 0


# --- bends -----------------------------------------------------------------------------------------------------------
def loop(rows, cols, is_clockwise):
    """The cells (row, col) of a rectangular loop in the order in which they are driven, and their headings."""
    top = [(0, col) for col in range(cols - 1)]
    right = [(row, cols - 1) for row in range(rows - 1)]
    bottom = [(rows - 1, col) for col in range(cols - 1, 0, -1)]
    left = [(row, 0) for row in range(rows - 1, 0, -1)]
    sides = [(EAST, top), (SOUTH, right), (WEST, bottom), (NORTH, left)]
    if is_clockwise:
        return [cell for _, side in sides for cell in side], [heading for heading, side in sides for _ in side]
    mirrored = {EAST: WEST, WEST: EAST, NORTH: NORTH, SOUTH: SOUTH}
    cells = [(row, cols - 1 - col) for _, side in sides for row, col in side]
    return cells, [mirrored[heading] for heading, side in sides for _ in side]


def closed_road(rows, cols, is_clockwise, places, top_speeds, stub=0):
    """A drawn loop whose corners allow two headings, with resting cars on `places` along it; and its cells.

    Straight on behind every corner lie `stub` cells of a lane that leads nowhere: nobody's way.
    """
    cells, headings = loop(rows, cols, is_clockwise)
    cells = [(row + stub, col + stub) for row, col in cells]
    words = [["."] * (cols + 2 * stub) for _ in range(rows + 2 * stub)]
    cars = {}
    for n, (row, col) in enumerate(cells):
        arriving = headings[n - 1]  # at a corner it is another heading
        word = LANES[headings[n]]
        if arriving != headings[n]:
            for n_ahead in range(1, stub + 1):
                words[row + n_ahead * STEP[arriving][0]][col + n_ahead * STEP[arriving][1]] = LANES[arriving]
            word = next(both for both in GROUND if len(both) == 2 and set(both) == {word, LANES[arriving]})
        words[row][col] = word
        if n in places:
            name = f"car{places.index(n)}"
            words[row][col] = name
            cars[name] = Car(headings[n], 0, top_speeds[places.index(n)], on=word)
    situation = from_ascii("\n".join(" ".join(line) for line in words), **cars)
    cells = [situation.cell(*cell) for cell in cells]
    scratch = np.zeros(2 * len(situation.map.ground), np.int32)
    scratch[0] = cells[1]
    measure_ways(situation.map, 0, 1, scratch)
    situation.worlds["vehicles"]["destination"][0] = 0
    return situation, cells


def motions(situation):
    """Cells, headings and speeds of all vehicles."""
    vehicles = situation.world.vehicles[: situation.world.num_vehicles]
    return [(int(who.cell), int(who.heading), int(who.speed)) for who in vehicles]


def drive(situation, ticks, patience, is_moving=True):
    """(cells driven, faults) of so many ticks, in which nobody may stand still for longer than `patience`."""
    if is_moving:  # as fast as the way ahead allows
        set_speeds(frame_of(situation.maps, situation.worlds, situation.options).argument, 0)
    cells, faults = driven(situation.maps, situation.worlds, situation.options, ticks, patience)
    return cells, found(faults)


# Four bends, two to either side, and a portal at the end of the upper lanes.
S_BENDS = """
    . . .  . . . .  . . .
    a > v> . . . ^> b > >
    . . v  . . . ^  . . .
    . . c  . . . d  . . .
    . . v> > e > ^> . . .
    . . .  . . . .  . . .
"""
S_BENDS_CARS = {"a": EAST, "b": EAST, "c": SOUTH, "d": NORTH, "e": EAST}


@pytest.mark.parametrize("is_clockwise", [True, False])
@pytest.mark.parametrize("top_speed", range(1, 6))
@pytest.mark.parametrize("stub", [0, 4])
def test_a_lone_car_turns_in_every_corner_of_a_loop_at_speed_1_and_drives_on_for_ever(
    stub, top_speed, is_clockwise
) -> None:
    """Whether the road ends there or goes straight on as well."""
    situation, cells = closed_road(9, 12, is_clockwise, [3], [top_speed], stub)
    _, headings = loop(9, 12, is_clockwise)
    corners = {cells[n]: headings[n] for n in range(len(cells)) if headings[n] != headings[n - 1]}
    assert len(corners) == 4
    num_turns, fastest = 0, 0
    for _ in range(200):
        (cell, heading, speed), before = motions(situation)[0], situation.vehicle("car0").may_enter
        situation.play()
        new_cell, new_heading, new_speed = motions(situation)[0]
        assert cells.index(new_cell) == (cells.index(cell) + new_speed) % len(cells)
        if cell in corners and new_speed > 0:
            assert (new_heading, new_speed) == (corners[cell], 1)
            assert speed <= 1
            assert before == 0  # nobody permits it
            num_turns += 1
        else:
            assert new_heading == heading
        fastest = max(fastest, new_speed)
    assert num_turns >= 12
    assert fastest == min(top_speed, 3)  # no side is long enough for more


@pytest.mark.parametrize("driver_model", [KRAUSS, NASCH])
@pytest.mark.parametrize("dawdle", DAWDLES)
@pytest.mark.parametrize("top_speed", range(1, 6))
def test_traffic_takes_one_bend_after_the_other_for_ever_and_never_collides(top_speed, dawdle, driver_model) -> None:
    cars = {letter: Car(heading, 0, top_speed) for letter, heading in S_BENDS_CARS.items()}
    options = {"dawdle": DAWDLES[dawdle], "driver_model": driver_model}
    situation = from_ascii(S_BENDS, options=options, is_periodic=True, **cars)
    cells, faults = drive(situation, ticks=500, patience=20)
    assert not faults
    assert cells > 500 * len(cars) * 0.5


@given(
    rows=st.integers(3, 12),
    cols=st.integers(3, 12),
    is_clockwise=st.booleans(),
    dawdle=st.sampled_from(list(DAWDLES.values())),
    driver_model=st.sampled_from([KRAUSS, KRAUSS, NASCH]),
    stub=st.sampled_from([0, 4]),
    data=st.data(),
)
def test_on_any_loop_nobody_shares_a_cell_and_everybody_keeps_moving_unless_it_is_full(
    rows, cols, is_clockwise, dawdle, driver_model, stub, data
) -> None:
    length = 2 * (rows + cols) - 4
    places = data.draw(st.permutations(range(length)))[: data.draw(st.integers(1, length))]
    top_speeds = data.draw(st.lists(st.integers(1, 5), min_size=len(places), max_size=len(places)))
    situation, cells_of_loop = closed_road(rows, cols, is_clockwise, places, top_speeds, stub)
    situation.options["dawdle"], situation.options["driver_model"] = dawdle, driver_model
    is_full = len(places) == length
    # The last hole takes a tick for every cell, and some more where drivers dawdle.
    patience = 1 << 30 if is_full else 2 * length + (3 * length + 40 if dawdle else 0)
    cells, faults = drive(situation, ticks=400, patience=patience, is_moving=data.draw(st.booleans()))
    assert not faults
    assert (cells == 0) == is_full
    assert {cell for cell, _, _ in motions(situation)} <= set(cells_of_loop)


@pytest.mark.parametrize("is_clockwise", [True, False])
@pytest.mark.parametrize("dawdle", DAWDLES)
def test_the_last_hole_of_a_full_loop_goes_round(dawdle, is_clockwise) -> None:
    for hole in range(12):
        places = [n for n in range(12) if n != hole]
        situation, _ = closed_road(4, 4, is_clockwise, places, [1 + n % 5 for n in places])
        situation.options["dawdle"] = DAWDLES[dawdle]
        cells, faults = drive(situation, ticks=300, patience=100, is_moving=False)
        assert not faults
        if dawdle == 0.0:
            assert cells == 300  # by a cell in every tick
        else:
            assert 300 * (1 - dawdle) * 0.8 < cells < 300
