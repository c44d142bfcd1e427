"""Goals: what it takes to arrive, and how far they are for an ego of each heading."""

from collections import deque

import pytest
from ascii_map import FASTER, IDLE, LEFT, RIGHT, SLOWER, Car, from_ascii
from hypothesis import given
from hypothesis import strategies as st

from drivesim.core.map import (
    ALL_HEADINGS,
    EAST,
    LANE,
    NO_CONTROL,
    NORTH,
    SOUTH,
    UNREACHABLE,
    WEST,
    distance_from,
    is_destination,
)

LANES = {NORTH: "^", EAST: ">", SOUTH: "v", WEST: "<"}
EASTBOUND = {"G>": (LANE, 1 << EAST)}
OPEN = "\n".join(["+ + + + +"] * 2 + ["+ + E + +"] + ["+ + G + +"] + ["+ + + + +"])


def road(length, at, speed, **terms):
    """An ego at the western end of an eastbound road with its goal in column `at`."""
    words = [">"] * length
    words[0], words[at] = "E", "G>"
    return from_ascii(" ".join(words), EASTBOUND, E=Car(EAST, speed), **terms)


class TestArrival:
    def test_a_goal_without_terms_is_reached_on_the_way(self) -> None:
        situation = road(9, at=2, speed=5)
        assert "arrived" in situation.play(IDLE)
        assert situation.at("E") == (0, 2)

    @pytest.mark.parametrize("goal", [(EAST, None), (None, 5), (EAST, 5)])
    def test_one_with_terms_is_passed_by_whoever_does_not_end_a_tick_there(self, goal) -> None:
        situation = road(9, at=2, speed=5, goal=goal)
        assert situation.play(IDLE) == set()
        assert situation.at("E") == (0, 5)
        assert situation.is_driving("E")

    @pytest.mark.parametrize("goal", [(EAST, None), (None, 5), (EAST, 5)])
    def test_and_reached_where_a_tick_ends_there_with_them(self, goal) -> None:
        situation = road(9, at=5, speed=5, goal=goal)
        assert situation.play(IDLE) == {"arrived"}
        assert not situation.is_driving("E")
        assert situation.ego().remaining == 0

    def test_a_heading_must_be_the_right_one(self) -> None:
        for heading in range(4):
            situation = from_ascii("+ + +\n+ G +\n+ E +", goal=(heading, None), E=Car(NORTH, 1, on="+"))
            assert ("arrived" in situation.play(IDLE)) == (heading == NORTH)

    @pytest.mark.parametrize("top_speed", [0, 1, 2])
    def test_a_top_speed_is_waited_for(self, top_speed) -> None:
        situation = road(9, at=3, speed=3, goal=(None, top_speed))
        assert situation.play(IDLE) == set()
        situation = road(9, at=2, speed=2, goal=(None, top_speed))
        assert ("arrived" in situation.play(IDLE)) == (top_speed == 2)

    def test_who_must_stand_stops_on_the_goal(self) -> None:
        situation = road(9, at=1, speed=1, goal=(EAST, 0))
        assert situation.play(IDLE) == set()
        assert situation.ego().remaining == 0
        assert situation.play(SLOWER) == {"arrived"}

    def test_a_change_of_lane_onto_a_goal_with_terms_goes_on(self) -> None:
        situation = from_ascii("E > > >\n> G> > >", EASTBOUND, goal=(EAST, None), E=Car(EAST, 1))
        assert "arrived" in situation.play(RIGHT)
        situation = from_ascii("E > > >\nG> > > >", EASTBOUND, goal=(EAST, None), E=Car(EAST, 1))
        assert "arrived" not in situation.play(RIGHT)

    def test_nobody_arrives_the_wrong_way(self) -> None:
        situation = from_ascii(". G> >\n. E .\n. ^ .", EASTBOUND, E=Car(NORTH, 1))
        assert situation.play(IDLE) == {"wrong_way"}
        assert situation.is_driving("E")

    def test_who_arrives_where_a_tick_ends_holds_nothing_any_more(self) -> None:
        box = {"row": 0, "col": 1, "height": 1, "width": 1, "control": NO_CONTROL}
        situation = from_ascii("E G> > >", EASTBOUND, signals=[box], goal=(EAST, 0), E=Car(EAST, 1))
        situation.play(IDLE)
        assert situation.play(SLOWER) == {"arrived"}
        assert situation.held_by("E") == set()

    def test_who_crashes_on_a_goal_has_not_arrived(self) -> None:
        words = "E > G> b"
        situation = from_ascii(words, EASTBOUND, goal=(EAST, None), E=Car(EAST, 3), b=Car(EAST, 0))
        assert "arrived" not in situation.play(IDLE)
        assert not situation.is_driving("E")


class TestDistancesPerHeading:
    def test_a_goal_right_behind_takes_turning_round(self) -> None:
        situation = from_ascii(OPEN, goal=(None, None), E=Car(NORTH, 1, on="+"))
        assert situation.ego().remaining == 3
        for action in (LEFT, LEFT):
            assert "arrived" not in situation.play(action)
        assert situation.ego().remaining == 1
        assert "arrived" in situation.play(LEFT)

    def test_and_one_move_with_a_reverse_gear(self) -> None:
        situation = from_ascii(OPEN, goal=(NORTH, None), reverse=True, E=Car(NORTH, on="+"))
        assert situation.ego().remaining == 1
        assert situation.play(SLOWER) == {"arrived"}

    def test_a_heading_of_the_goal_costs_a_way_round(self) -> None:
        situation = from_ascii(OPEN, goal=(SOUTH, None), E=Car(NORTH, 1, on="+"))
        assert situation.ego().remaining == 5
        assert is_destination(situation.map, 0, situation.cell(3, 2))

    def test_one_backs_into_a_bay_beside_the_road(self) -> None:
        words = {"r": (LANE, 1 << EAST | 1 << NORTH), "Gb": (LANE, 1 << NORTH)}
        situation = from_ascii("> E r > >\n. . Gb . .", words, goal=(NORTH, 0), reverse=True, E=Car(EAST, 1))
        assert situation.ego().remaining == 2
        for action in (IDLE, IDLE, SLOWER, SLOWER):  # past the bay, then back to the cell beside it
            assert situation.play(action) == set()
        assert (situation.at("E"), situation.motion("E")) == ((0, 2), (EAST, -1))
        assert situation.play(LEFT) == set()  # into it, but it moves
        assert (situation.at("E"), situation.motion("E")) == ((1, 2), (NORTH, -1))
        assert "arrived" in situation.play(FASTER)

    @given(data=st.data())
    def test_are_those_of_a_search_from_every_cell_and_heading(self, data) -> None:
        words = [*LANES.values(), "^>", "v<", "+", "+", ".", "<over", "+over"]
        legend = {"<over": (LANE, 1 << WEST, 1 << EAST), "+over": (LANE, 1 << NORTH, 1 << EAST | 1 << SOUTH)}
        rows, cols = data.draw(st.integers(2, 5)), data.draw(st.integers(2, 5))
        drawn = [[data.draw(st.sampled_from(words)) for _ in range(cols)] for _ in range(rows)]
        place = data.draw(st.integers(0, rows * cols - 1))
        drawn[place // cols][place % cols] = data.draw(st.sampled_from(["G", "G>"]))
        goal = data.draw(st.sampled_from([None, NORTH, EAST, SOUTH, WEST]))
        has_reverse = data.draw(st.booleans())
        drawing = "\n".join(" ".join(line) for line in drawn)
        situation = from_ascii(drawing, {**legend, **EASTBOUND}, goal=(goal, None), reverse=has_reverse)
        goal_cell = situation.cell(place // cols, place % cols)
        for cell in [situation.cell(row, col) for row in range(rows) for col in range(cols)]:
            for heading in range(4):
                expected = fewest_moves(situation.map, (cell, heading), goal_cell, goal)
                assert distance_from(situation.map, 0, cell, heading) == expected, (drawing, cell, heading)


def drivable(map, cell, heading):
    """Whether an ego may drive a cell in a heading."""
    return (int(map.ground[cell]) & ALL_HEADINGS | int(map.passing[cell])) >> heading & 1


def moves_from(map, cell, heading):
    """Where one legal move leads from a cell and a heading."""
    steps = [int(step) for step in map.steps]
    for gear in (1, -1) if map.has_reverse else (1,):
        facing = [turn % 4 for turn in (heading + 1, heading - 1) if int(map.ground[cell]) >> turn % 4 & 1]
        facing += [heading] if drivable(map, cell, heading) else []
        for new in facing:
            if drivable(map, cell + gear * steps[new], new):
                yield cell + gear * steps[new], new
    for side in (-1, 1):
        across = (heading + side) % 4
        through = [cell, cell + steps[across], cell + steps[across] + steps[heading]]
        if not int(map.ground[cell]) >> across & 1 and all(drivable(map, part, heading) for part in through):
            yield through[-1], heading


def fewest_moves(map, start, goal_cell, goal_heading):
    """Moves from a (cell, heading) to the goal, place by place, forward."""
    moves, queue = {start: 0}, deque([start])
    while queue:
        place = queue.popleft()
        cell, heading = place
        if cell == goal_cell and drivable(map, cell, heading) and goal_heading in (None, heading):
            return moves[place]
        for target in moves_from(map, cell, heading):
            if target not in moves:
                moves[target] = moves[place] + 1
                queue.append(target)
    return UNREACHABLE


def test_without_goal_headings_all_headings_share_one_distance() -> None:
    situation = from_ascii(OPEN, E=Car(NORTH, 1, on="+"))
    distances = {distance_from(situation.map, 0, situation.cell(2, 2), heading) for heading in range(4)}
    assert distances == {1}
