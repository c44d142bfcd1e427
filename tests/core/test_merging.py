"""Where lanes end or do not lead where somebody goes: nobody collides, everybody gets in, one each."""

import numpy as np
import pytest
from ascii_map import Car, from_ascii
from checker import found
from hypothesis import given
from hypothesis import strategies as st
from mirror import mirrored_maps, mirrored_worlds
from records import tick_all
from roads import driven

from drivesim.core.duties import LET_IN
from drivesim.core.map import NORTH, SIGNALS
from drivesim.core.ways import measure_ways
from drivesim.core.world import KRAUSS, NASCH, RED


def road(lanes, length, ends, places, top_speeds, has_ways, options=None, speed=0):
    """A ring of northbound lanes with obstacles on `ends` (lane, row), and cars on free ones of the `places`."""
    words = [["."] + ["^"] * lanes + ["."] for _ in range(length)]
    for lane, row in ends:
        words[row][1 + lane] = "#"
    cars = {}
    for place, top_speed in zip(places, top_speeds, strict=False):
        row, lane = divmod(place, lanes)
        if words[row][1 + lane] == "^":
            name = f"car{len(cars)}"
            words[row][1 + lane] = name
            cars[name] = Car(NORTH, speed, top_speed)
    drawing = "\n".join(" ".join(line) for line in words)
    situation = from_ascii(drawing, is_periodic=True, options=options, **cars)
    if has_ways:
        scratch = np.zeros(2 * len(situation.map.ground), np.int32)
        is_open = [lane for lane in range(lanes) if lane not in {lane for lane, _ in ends}]
        scratch[0] = situation.cell(0, 1 + is_open[0])
        measure_ways(situation.map, 0, 1, scratch)
        situation.map.goals[0].next = 1
    return situation


@given(
    lanes=st.integers(2, 4),
    length=st.integers(12, 40),
    data=st.data(),
    has_ways=st.booleans(),
    dawdle=st.sampled_from([0, 0, 0.2]),
    driver_model=st.sampled_from([KRAUSS, KRAUSS, NASCH]),
)
def test_on_any_merge_nobody_collides_and_everybody_moves_on(
    lanes, length, data, has_ways, dawdle, driver_model
) -> None:
    """One lane at least goes round; there are fewer vehicles than it has cells."""
    is_open = data.draw(st.integers(0, lanes - 1))
    ends = [(lane, data.draw(st.integers(0, length - 1))) for lane in range(lanes) if lane != is_open]
    ends = ends[: data.draw(st.integers(1, len(ends)))]
    places = data.draw(st.permutations(range(lanes * length)))[: data.draw(st.integers(1, length - 4))]
    top_speeds = data.draw(st.lists(st.integers(1, 5), min_size=len(places), max_size=len(places)))
    situation = road(lanes, length, ends, places, top_speeds, has_ways)
    situation.options["dawdle"], situation.options["driver_model"] = round(dawdle * 65536), driver_model
    patience = 20 * (len(places) + 1)
    cells, faults = driven(situation.maps, situation.worlds, situation.options, 3 * patience + 100, patience)
    assert not found(faults)
    assert cells > 0 or not situation.names


@pytest.mark.parametrize("has_ways", [False, True])
def test_a_zipper_lets_in_one_each(has_ways) -> None:
    """Two full lanes become one: those of either lane come past the end in turn, more or less."""
    length = 60
    places = [2 * row + lane for row in range(32, 60) for lane in (0, 1)]
    situation = road(2, length, [(0, 30)], places, [5] * len(places), has_ways)
    lanes = [0 if place % 2 == 0 else 1 for place in places]
    passed = []
    for _ in range(80):
        before = [situation.at(name)[0] for name in situation.names]
        situation.play()
        now = [situation.at(name)[0] for name in situation.names]
        passed += [lanes[k] for k in range(len(now)) if before[k] >= 30 > now[k]]
    assert len(passed) >= 24
    for n in range(4, len(passed) + 1, 4):
        assert abs(2 * sum(passed[:n]) - n) <= max(6, n // 3), passed


def test_who_lets_somebody_in_need_not_let_in_another_one_however_long_they_stand() -> None:
    """b let a in and stands in a jam; m waits beside a. When h drives on at last, it is b's turn."""
    situation = from_ascii(
        """
        ^ .
        ^ .
        ^ .
        ^ .
        ^ .
        h .
        a m
        b ^
        ^ ^
        """,
        **{name: Car(NORTH, top_speed=0 if name == "h" else 5) for name in "habm"},
    )
    situation.vehicle("b").let_in = LET_IN
    for _ in range(2 * LET_IN):
        situation.play()
    assert situation.at("a") == (6, 0)
    situation.vehicle("h").top_speed = 5
    while situation.at("b") == (7, 0):
        situation.play()
        assert situation.at("m") == (6, 1)
    situation.play()
    situation.play()
    assert situation.at("m")[1] == 0


def test_nobody_waits_for_the_turn_of_somebody_who_waits_before_a_junction_himself() -> None:
    """b has let somebody in and stands at a red light; nobody else would ever make room for m."""
    box = {"row": 5, "col": 0, "height": 1, "width": 2, "control": SIGNALS}
    red = {"green_0": 1, "green_1": 1000, "yellow": 2, "all_red": 1, "cycle_start": 10}
    situation = from_ascii(
        """
        ^ .
        ^ .
        ^ m
        ^ ^
        ^ ^
        ^ ^
        b ^
        """,
        signals=[{**box, **red}],
        **{name: Car(NORTH, top_speed=5) for name in "bm"},
    )
    situation.vehicle("b").let_in = LET_IN
    situation.world.lamps[0].colour_0 = RED
    for _ in range(4):
        situation.play()
    assert situation.at("b") == (6, 0)
    assert situation.at("m")[1] == 0


@pytest.mark.parametrize("seed", range(4))
def test_merges_are_mirrored_in_a_mirror_and_do_not_depend_on_the_order_of_vehicles(seed) -> None:
    random = np.random.default_rng(seed)
    places = random.permutation(90)[:20].tolist()
    tops = random.integers(1, 6, 20).tolist()
    ends = [(0, 12), (2, 20)]
    situation = road(3, 30, ends, places, tops, has_ways=seed % 2 == 1)
    order = random.permutation(len(situation.names))
    shuffled = road(3, 30, ends, [places[n] for n in order], [tops[n] for n in order], has_ways=seed % 2 == 1)
    is_free = len(order) == 20  # nobody was left out for standing in the way
    maps, worlds = situation.maps, situation.worlds
    image_maps = mirrored_maps(maps)
    image = mirrored_worlds(maps, worlds)
    for _ in range(150):
        tick_all(maps, worlds, situation.options, [0])
        tick_all(image_maps, image, situation.options, [0])
        situation_cells = sorted(worlds["vehicles"]["cell"][0, : len(order)].tolist())
        back = mirrored_worlds(maps, image)
        for name in ("cell", "speed", "heading", "let_in"):
            assert (back["vehicles"][name] == worlds["vehicles"][name]).all()
        if is_free:
            shuffled.play()
            assert situation_cells == sorted(shuffled.worlds["vehicles"]["cell"][0, : len(order)].tolist())


def exit_road(length, places, speeds):
    """Three northbound lanes with an exit to the right from the third, 30 cells on; cars in `places` (lane, row)."""
    words = [["."] + ["^"] * 3 + ["."] * 3 for _ in range(length)]
    words[length - 36][3:] = ["^>", ">", ">", ">"]
    cars = {}
    for n, (lane, row) in enumerate(places):
        words[row][1 + lane] = f"car{n}"
        cars[f"car{n}"] = Car(NORTH, min(speeds[n], 1), speeds[n])
    situation = from_ascii("\n".join(" ".join(line) for line in words), is_periodic=True, **cars)
    scratch = np.zeros(2 * len(situation.map.ground), np.int32)
    for destination, place in enumerate([(length - 36, 6), (0, 1)]):
        scratch[0] = situation.cell(*place)
        measure_ways(situation.map, destination, 1, scratch)
        situation.map.goals[destination].next = 1 << destination
    for n in range(len(places)):
        situation.vehicle(f"car{n}").destination = 0
    return situation


@pytest.mark.parametrize("speed", range(1, 6))
@pytest.mark.parametrize("lane", range(3))
def test_who_has_to_leave_the_road_changes_lane_in_time(lane, speed) -> None:
    situation = exit_road(40, [(lane, 39)], [speed])
    before = situation.at("car0")
    assert before == (39, 1 + lane)
    for _ in range(60):
        situation.play()
    assert situation.at("car0") == (4, 6)
    assert situation.motion("car0")[1] == 0


@pytest.mark.parametrize("lane", range(2))
def test_a_duty_begins_twenty_cells_before_the_last_one_from_which_a_change_still_leads_there(lane) -> None:
    """Alone on the road: nobody wishes for anything."""
    situation = exit_road(40, [(lane, 39)], [1])
    rows = []
    for _ in range(36):
        row, col = situation.at("car0")
        situation.play()
        if situation.at("car0")[1] != col and situation.motion("car0")[0] == NORTH:
            rows.append(row)
    assert rows == [5 + 19, 5 + 18][: 2 - lane]


def test_who_cannot_change_in_time_drives_on_where_his_lane_leads() -> None:
    """The third lane is full of cars that never move."""
    places = [(2, row) for row in range(5, 40)]
    situation = exit_road(40, [*places, (1, 39)], [*[0] * len(places), 2])
    rows = []
    for _ in range(35):
        situation.play()
        rows.append(situation.at("car35")[0])
        assert situation.motion("car35")[1] > 0
        assert situation.at("car35")[1] == 2
    assert (np.diff(rows) > 0).any()  # past the exit and through the portal
