"""The rule of car following against brute force, and what a driver sees ahead, one drawn situation at a time."""

import itertools
from dataclasses import replace

import pytest
from ascii_map import Car, from_ascii
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.core.following import braking_distance, follow, is_safe, look
from drivesim.core.lane_changes import followers_are_safe
from drivesim.core.map import CROSSWALK, EAST, NORTH, SOUTH, WEST, turned
from drivesim.core.pedestrians import place_pedestrian
from drivesim.core.world import CROSSING, TOP_SPEED

SPEEDS = range(TOP_SPEED + 1)
FAR = 15  # cells


def stops_behind(speed, gap, leader_speed) -> bool:
    """Whether a follower stays behind its leader if both brake by 1 in every tick from the next one on."""
    follower, leader = 0, gap + 1
    while speed > 0 or leader_speed > 0:
        speed, leader_speed = max(speed - 1, 0), max(leader_speed - 1, 0)
        follower, leader = follower + speed, leader + leader_speed
        if follower >= leader:
            return False
    return True


def test_a_state_is_safe_exactly_if_the_follower_stops_behind_its_leader() -> None:
    for speed, leader_speed, gap in itertools.product(SPEEDS, SPEEDS, range(FAR)):
        assert is_safe(speed, gap, leader_speed) == stops_behind(speed, gap, leader_speed)


def test_the_braking_distance_is_what_is_travelled_from_the_next_tick_on() -> None:
    for speed in SPEEDS:
        assert braking_distance(speed) == sum(range(speed))


@pytest.mark.parametrize("top_speed", range(1, TOP_SPEED + 1))
def test_the_speed_is_the_greatest_that_leaves_a_safe_state_whatever_the_leader_does(top_speed) -> None:
    """From a safe state: the fastest of one slower, as fast and one faster after which braking by 1 is enough."""
    situation = from_ascii("^\na", a=Car(NORTH, 0, top_speed))
    vehicle = situation.vehicle("a")
    for speed, room in itertools.product(range(top_speed + 1), range(2 * FAR)):
        if braking_distance(speed) > room:
            continue  # not safe: the next test
        vehicle.speed, vehicle.stopping_room = speed, room
        wishes = [wish for wish in (speed - 1, speed, speed + 1) if 0 <= wish <= top_speed]
        # After a tick at `wish`, `room - wish` is left; the leader has used up its part of it already.
        assert follow(situation.map, situation.world, 0) == max(wish for wish in wishes if sum(range(wish + 1)) <= room)


@pytest.mark.parametrize("gap", range(TOP_SPEED))
def test_whoever_was_cut_in_on_brakes_by_1_or_as_hard_as_it_takes_to_stay_behind(gap) -> None:
    for speed in range(2, TOP_SPEED + 1):
        situation = from_ascii("^\nb\n" + "^\n" * gap + "a", a=Car(NORTH, speed), b=Car(NORTH, 0))
        if sum(range(speed)) > gap:
            situation.vehicle("a").stopping_room = gap
            assert follow(situation.map, situation.world, situation.names.index("a")) == min(speed - 1, gap)


def seen(drawing, distance=FAR, legend=None, pedestrians=None, entered=None, **cars):
    """(gap, room, whom) that car a sees ahead; `entered` is the place of a junction with a signal."""
    signals = None
    if entered:
        signals = [{"row": entered[0], "col": entered[1], "height": 1, "width": 1, "green_0": 9, "green_1": 9}]
    situation = from_ascii(drawing, legend, pedestrians=pedestrians, signals=signals, **cars)
    k = situation.names.index("a")
    gap, room, leader = look(situation.map, situation.world, k, situation.vehicle("a").cell, distance)
    return gap, room, situation.names[leader] if leader >= 0 else None


class TestWhatADriverSees:
    A = Car(NORTH, 1)

    def test_on_a_free_road_is_as_far_as_it_looks(self) -> None:
        assert seen("^\n" * 8 + "a", distance=6, a=self.A) == (6, 6, None)

    @pytest.mark.parametrize("speed", SPEEDS)
    def test_is_its_leader_and_how_far_that_one_still_travels(self, speed) -> None:
        road = "^\n" * 10 + "b\n^\n^\na"
        assert seen(road, a=self.A, b=Car(NORTH, speed)) == (2, 2 + sum(range(speed)), "b")

    @pytest.mark.parametrize(("heading", "on"), [(SOUTH, "^v"), (EAST, "^>")])
    def test_is_no_braking_distance_of_who_drives_another_way(self, heading, on) -> None:
        assert seen("^\nb\n^\n^\na", a=self.A, b=Car(heading, 4, on=on)) == (2, 2, "b")

    @pytest.mark.parametrize("end", ["#", ".", "v"])
    def test_is_the_end_of_its_lane(self, end) -> None:
        assert seen(f"^\n{end}\n^\n^\na", a=self.A) == (2, 2, None)

    @pytest.mark.parametrize("end", ["#", ".", "v"])
    def test_is_the_end_of_its_lane_beyond_its_leader_among_several_egos(self, end) -> None:
        """Who leads may crash there, and is gone, while the drive of the other goes on."""
        road = f"^ .\n{end} .\n^ .\nB .\n^ .\na C"
        assert seen(road, a=self.A, B=Car(NORTH, 5), C=Car(NORTH)) == (1, 3, "B")

    def test_is_every_vehicle_beyond_among_several_egos(self) -> None:
        road = "^ .\nb .\n^ .\nB .\n^ .\na C"
        assert seen(road, a=self.A, b=Car(NORTH, 1), B=Car(NORTH, 5), C=Car(NORTH)) == (1, 3, "B")
        assert seen(road, a=self.A, b=Car(NORTH, 2), B=Car(NORTH, 5), C=Car(NORTH)) == (1, 4, "B")
        assert seen(road, a=self.A, b=Car(NORTH, 1), B=Car(NORTH, 1), C=Car(NORTH)) == (1, 1, "B")

    def test_is_only_the_leader_where_there_is_no_other_ego(self) -> None:
        """The episode ends with the drive of the only one."""
        assert seen("^\nb\n^\nB\n^\na", a=self.A, b=Car(NORTH, 1), B=Car(NORTH, 3)) == (1, 4, "B")

    def test_is_the_edge_of_the_map(self) -> None:
        assert seen("^\n^\n^\na", a=self.A) == (3, 3, None)

    @pytest.mark.parametrize("line", ["|^", "^"])
    def test_is_a_junction_up_to_its_entry_painted_or_not(self, line) -> None:
        assert seen(f"^\n^\n{line}\n^\na", entered=(1, 0), a=self.A) == (2, 2, None)

    def test_is_a_junction_up_to_the_crosswalk_before_it(self) -> None:
        assert seen("^\n^\n=\n=\n|^\n^\na", entered=(1, 0), a=self.A) == (2, 2, None)

    def test_is_a_junction_although_its_leader_has_passed_the_line(self) -> None:
        assert seen("^\n^\nb\n|^\n^\na", entered=(2, 0), a=self.A, b=Car(NORTH, 5)) == (2, 2, None)

    def test_is_a_junction_beyond_its_leader_too(self) -> None:
        assert seen("^\n^\n|^\n^\nb\na", entered=(1, 0), a=self.A, b=Car(NORTH, 5)) == (0, 3, "b")

    def test_is_the_cell_where_it_turns(self) -> None:
        turning = Car(NORTH, 1, next_turn=1)
        drawing = "^ .\n^ .\n^> >\n^ .\n^ .\na ."
        assert seen(drawing, a=turning) == (3, 3, None)
        assert seen(drawing, a=self.A) == (5, 5, None)
        assert seen(drawing, a=Car(NORTH, 1, next_turn=-1)) == (5, 5, None)

    @pytest.mark.parametrize(("speed", "room"), [(0, 2), (1, 2), (2, 3), (5, 3)])
    def test_is_at_most_the_cell_where_it_turns_even_behind_a_fast_leader(self, speed, room) -> None:
        turning = Car(NORTH, 1, next_turn=1)
        drawing = "^ .\n^ .\nb >\n^ .\n^ .\na ."
        assert seen(drawing, a=turning, b=Car(NORTH, speed, on="^>")) == (2, room, "b")

    def test_is_a_crosswalk_that_somebody_is_on(self) -> None:
        drawing = ". ^ .\n= = =\n. ^ .\n. ^ .\n. a ."
        assert seen(drawing, a=self.A, pedestrians=[(1, 2, EAST, CROSSING)]) == (2, 2, None)
        assert seen(drawing, a=self.A) == (4, 4, None)

    def test_is_itself_alone_on_a_ring(self) -> None:
        alone = from_ascii(" ".join(["a"] + [">"] * 39), is_periodic=True, a=Car(EAST, 3))
        assert look(alone.map, alone.world, 0, alone.cell(0, 0), 50) == (39, 39 + 3, -1)

    def test_may_be_a_lane_that_it_is_not_in(self) -> None:
        situation = from_ascii("^ ^\n^ ^\n^ ^\n^ b\n^ ^\na ^", a=self.A, b=Car(NORTH, 3))
        a, b = situation.names.index("a"), situation.names.index("b")
        assert look(situation.map, situation.world, a, situation.cell(5, 1), FAR) == (1, 1 + 3, b)


LANES = {NORTH: "^", EAST: ">", SOUTH: "v", WEST: "<"}
CORNERS = {NORTH: "^>", EAST: "v>", SOUTH: "v<", WEST: "^<"}  # straight on or to the right


def way(heading, words, cars):
    """A one-way lane in `heading` that begins with car a, and what leads away from its corners, as a drawing.

    Args:
        heading: of the lane.
        words: the cells ahead: `lane`, `line`, `corner`, `oncoming`, letters of cars, and other words.
        cars: by letter, (quarter turns from the heading, speed).
    """
    kinds = {
        "lane": LANES[heading],
        "line": "|" + LANES[heading],
        "corner": CORNERS[heading],
        "oncoming": LANES[(heading + 2) % 4],
    }
    drawn = [kinds.get(word, word) for word in ("a", *words)]
    aside = [LANES[(heading + 1) % 4] if word == "corner" else "." for word in ("a", *words)]  # where corners lead
    if heading in (NORTH, WEST):
        drawn, aside = drawn[::-1], aside[::-1]
    lanes = [drawn, aside] if heading in (NORTH, EAST) else [aside, drawn]  # to the right of the lane
    rows = lanes if heading in (EAST, WEST) else list(zip(*lanes, strict=True))
    drawing = "\n".join(" ".join(row) for row in rows)
    return drawing, {name: Car((heading + turn) % 4, speed, on=LANES[heading]) for name, (turn, speed) in cars.items()}


@given(
    words=st.lists(
        st.sampled_from([*["lane"] * 12, *"bbccEEFF", "line", "corner", "oncoming", "#", ".", "zebra"]),
        min_size=1, max_size=20,
    ),
    speeds=st.lists(st.integers(0, 5), min_size=5, max_size=5),
    turn=st.sampled_from([0, 0, 1, 2]),
    is_on_line=st.sampled_from([False, False, True]),
    free=st.integers(0, 9),
    next_turn=st.integers(-1, 1),
    may_enter=st.booleans(),
    has_walker=st.booleans(),
    distance=st.integers(0, 15),
    is_periodic=st.booleans(),
)  # fmt: skip
@settings(max_examples=1000)
def test_a_driver_sees_the_same_in_every_heading(
    words, free, speeds, turn, is_on_line, next_turn, may_enter, has_walker, distance, is_periodic
) -> None:
    """However rows are read faster than columns."""
    words = [word if word not in "bcEF" or word not in words[:n] else "lane" for n, word in enumerate(words)]
    names = ["a", *(name for name in "bcEF" if name in words)]
    cars = {name: (turn if name == "b" else 0, speed) for name, speed in zip(names, speeds, strict=False)}
    words += ["lane"] * free
    if words[-1] == "corner":  # which at the end would lead on in two headings
        words.append("lane")
    answers = []
    for heading in (NORTH, EAST, SOUTH, WEST):
        drawing, drawn = way(heading, words, cars)
        if is_on_line:
            drawn["a"] = replace(drawn["a"], on="|" + LANES[heading])
        situation = from_ascii(drawing, {"zebra": (CROSSWALK, 1 << heading)}, is_periodic=is_periodic, **drawn)
        k, vehicle = situation.names.index("a"), situation.vehicle("a")
        vehicle.destination, vehicle.may_enter = turned(heading, next_turn), int(may_enter)
        if has_walker and "zebra" in words:
            step = int(situation.map.steps[heading])
            place = int(vehicle.cell) + step * (1 + words.index("zebra"))
            place_pedestrian(situation.world, place, EAST, CROSSING, 20, 0)
        for n, word in enumerate(words[:-1]):
            cell = int(vehicle.cell) + int(situation.map.steps[heading]) * (n + 2)
            if word == "line" and 0 <= cell < len(situation.map.junction):
                situation.map.num_junctions = situation.map.junction[cell] = 1
        gap, room, leader = look(situation.map, situation.world, k, vehicle.cell, distance)
        answers.append((gap, room, situation.names[leader] if leader >= 0 else None))
    assert answers == [answers[0]] * 4


@pytest.mark.parametrize(("beside", "allowed"), [("D", False), ("^", True)])
def test_nobody_changes_lane_before_a_follower_who_may_be_gone_and_leave_it_to_the_next(beside, allowed) -> None:
    """C has cut in on b. Where another drive goes on, C may crash, and b would run into the newcomer."""
    cars = {"a": Car(NORTH, 1), "b": Car(NORTH, 5), "C": Car(NORTH, 0)}
    if beside == "D":
        cars["D"] = Car(NORTH, 0)
    situation = from_ascii(f"^ a\n^ ^\n^ ^\n^ ^\nC ^\nb {beside}", **cars)
    assert (
        followers_are_safe(situation.map, situation.world, situation.names.index("a"), situation.cell(0, 0)) == allowed
    )
