"""Signals show what their timing says; traffic obeys them and shares the junction by reservations."""

import numpy as np
import pytest
from ascii_map import FASTER, IDLE, SLOWER, Car, from_ascii
from hypothesis import given
from hypothesis import strategies as st

from drivesim.core.map import EAST, JUNCTION, LEFT_SIDE, NORTH, RIGHT_SIDE, SOUTH, WEST, turned
from drivesim.core.signals import colour_at
from drivesim.core.world import GREEN, LAMP, RED, YELLOW
from drivesim.scenarios.intersection import Intersection, IntersectionConfig

# Traffic keeps to the right; a to d stand for a car on each approach, three cells before its line.
CROSSROADS = """
    . . . . v  ^  . . . .
    . . . . b  ^  . . . .
    . . . . v  ^  . . . .
    . . . . |v ^  . . . .
    < < < < v< ^< |< < d <
    > c > |> v> ^> > > > >
    . . . . v  |^ . . . .
    . . . . v  ^  . . . .
    . . . . v  a  . . . .
    . . . . v  ^  . . . .
"""
BOX = {"row": 4, "col": 4, "height": 2, "width": 2, "green_0": 20, "green_1": 20, "yellow": 3, "all_red": 2}
GREEN_NORTH_SOUTH, YELLOW_NORTH_SOUTH, GREEN_EAST_WEST = 0, 20, 25  # ticks into the cycle
APPROACHES = {"a": (NORTH, "^"), "b": (SOUTH, "v"), "c": (EAST, ">"), "d": (WEST, "<")}


def crossroads(cycle_start=GREEN_NORTH_SOUTH, edits=None, **cars):
    """The crossroads with some of the cars a to d, of capital letters where they are egos, and edits of the drawing."""
    drawing = CROSSROADS
    for new in edits or {}:
        assert new in drawing
        drawing = drawing.replace(new, edits[new])
    for letter, (_, lane) in APPROACHES.items():
        if letter not in cars:
            drawing = drawing.replace(f" {letter} ", f" {letter.upper() if letter.upper() in cars else lane} ")
    return from_ascii(drawing, signals=[{**BOX, "cycle_start": cycle_start}], is_periodic=True, **cars)


def car(letter, speed=1, top_speed=2, next_turn=0):
    return Car(APPROACHES[letter.lower()][0], speed, top_speed, next_turn)


@st.composite
def signals(draw):
    """A junction's timing and its lamp."""
    junctions, lamps = np.zeros(1, JUNCTION), np.zeros(1, LAMP)
    for name, low, high in (("green_0", 1, 30), ("green_1", 1, 30), ("yellow", 1, 8), ("all_red", 0, 8)):
        junctions[name] = draw(st.integers(low, high))
    lamps["cycle_start"] = draw(st.integers(0, 100))
    return junctions[0], lamps[0]


class TestTiming:
    @given(signals())
    def test_is_green_yellow_all_red_for_one_axis_then_for_the_other(self, signal) -> None:
        junction, lamp = signal
        tail = [YELLOW] * junction.yellow + [RED] * junction.all_red
        first, second = [GREEN] * junction.green_0 + tail, [GREEN] * junction.green_1 + tail
        expected_0 = first + [RED] * len(second)
        expected_1 = [RED] * len(first) + second
        for tick in range(2 * len(expected_0)):
            at = (tick + lamp.cycle_start) % len(expected_0)
            assert colour_at(junction, lamp, 0, tick) == expected_0[at]
            assert colour_at(junction, lamp, 1, tick) == expected_1[at]

    @given(signals())
    def test_never_lets_both_axes_go(self, signal) -> None:
        for tick in range(200):
            assert RED in (colour_at(*signal, 0, tick), colour_at(*signal, 1, tick))

    def test_yellow_lasts_as_long_as_the_limit_takes_to_stop_from(self) -> None:
        low = IntersectionConfig.__dataclass_fields__["yellow"].metadata["low"]
        assert low >= Intersection.speed_limit
        assert all(level.yellow >= Intersection.speed_limit for level in Intersection.presets.values())

    def test_the_colours_shown_are_those_that_hold_when_the_next_action_acts(self) -> None:
        situation = crossroads(cycle_start=YELLOW_NORTH_SOUTH - 1)
        assert situation.world.lamps[0].colour_0 == GREEN
        situation.play()
        assert (situation.world.lamps[0].colour_0, situation.world.lamps[0].colour_1) == (YELLOW, RED)


class TestTrafficAtALine:
    @pytest.mark.parametrize(("speed", "top_speed"), [(1, 1), (2, 2), (1, 5)])
    def test_stops_on_it_at_red(self, speed, top_speed) -> None:
        situation = crossroads(cycle_start=GREEN_EAST_WEST, a=car("a", speed, top_speed))
        for _ in range(8):
            situation.play()
        assert situation.at("a") == (6, 5)
        assert situation.motion("a") == (NORTH, 0)

    def test_does_not_stop_at_green(self) -> None:
        situation = crossroads(a=car("a", 2))
        places = []
        for _ in range(4):
            situation.play()
            places.append(situation.at("a")[0])
        assert places == [6, 4, 2, 0]

    @pytest.mark.parametrize(("speed", "stops"), [(1, True), (2, False)])
    def test_goes_on_at_yellow_only_if_it_cannot_stop(self, speed, stops) -> None:
        """On the line at speed 2 one cell is still travelled, at speed 1 none."""
        situation = crossroads(YELLOW_NORTH_SOUTH, {" a ": " ^ ", "|^": "a "}, a=Car(NORTH, speed, 2, on="|^"))
        situation.hold("a", (5, 5), (4, 5), (3, 5))
        situation.play()
        assert (situation.at("a") == (6, 5)) == stops
        assert (situation.vehicle("a").may_enter == 0) == stops
        assert (situation.held_by("a") == set()) == stops

    @pytest.mark.parametrize("speed", [2, 3, 4, 5])
    @pytest.mark.parametrize("gap", [1, 3, 5])
    def test_does_not_follow_a_leader_over_a_line_that_binds(self, speed, gap) -> None:
        """The light has turned; the leader is too near to stop and drives on, its follower is not."""
        to_line = speed * (speed - 1) // 2 - 1  # cells, one too few
        road = ["^"] * 40
        road[12], road[12 + to_line] = "|^", "x"
        road[12 + to_line + gap + 1] = "a"
        box = {"row": 10, "col": 0, "height": 2, "width": 1, "green_0": 1, "green_1": 90, "yellow": 5, "cycle_start": 1}
        leader = Car(NORTH, speed, 5, on="" if to_line else "|^")
        situation = from_ascii("\n".join(road), signals=[box], x=leader, a=Car(NORTH, speed, 5))
        situation.hold("x", (11, 0), (10, 0), (9, 0))
        for _ in range(20):
            situation.play()
        assert situation.at("x")[0] < 10
        assert situation.at("a") == (12, 0)


class TestTurns:
    @pytest.mark.parametrize("letter", "abcd")
    @pytest.mark.parametrize("turn", [LEFT_SIDE, 0, RIGHT_SIDE])
    @pytest.mark.parametrize("driver_model", [0, 1])
    def test_traffic_leaves_the_junction_where_its_turn_leads(self, letter, turn, driver_model) -> None:
        heading = APPROACHES[letter][0]
        cycle_start = GREEN_NORTH_SOUTH if heading in (NORTH, SOUTH) else GREEN_EAST_WEST
        situation = crossroads(cycle_start, **{letter: car(letter, 2, next_turn=turn)})
        situation.options["driver_model"] = driver_model
        exits = {NORTH: (3, 5), SOUTH: (6, 4), EAST: (5, 6), WEST: (4, 3)}
        wanted = turned(heading, turn)
        for _ in range(8):
            before = situation.held_by(letter)
            situation.play()
            if before and not situation.held_by(letter):
                break
        row, col = situation.at(letter)
        assert situation.motion(letter)[0] == wanted
        step = {NORTH: (-1, 0), EAST: (0, 1), SOUTH: (1, 0), WEST: (0, -1)}[wanted]
        assert (row, col) in {exits[wanted], (exits[wanted][0] + step[0], exits[wanted][1] + step[1])}


class TestReservations:
    def test_oncoming_cars_pass_each_other_straight_on(self) -> None:
        situation = crossroads(a=car("a", 2), b=car("b", 2))
        for _ in range(2):
            situation.play()
        assert situation.held_by("a") == {(4, 5), (3, 5)}  # but not what has been passed
        assert situation.held_by("b") == {(5, 4), (6, 4)}
        for _ in range(2):
            situation.play()
        assert situation.at("a") == (0, 5)
        assert situation.at("b")[0] >= 8

    def test_a_left_turn_waits_for_who_has_reserved_its_way(self) -> None:
        """Both ask in the same tick; northbound goes first, southbound turning left crosses its way."""
        situation = crossroads(a=car("a", 2), b=car("b", 1, next_turn=LEFT_SIDE))
        for _ in range(2):
            situation.play()
        assert situation.at("a")[0] <= 5
        assert situation.at("b")[0] <= 3
        assert situation.held_by("b") == set()
        for _ in range(7):
            situation.play()
        assert situation.motion("b")[0] == EAST

    def test_nobody_enters_without_a_free_cell_behind_the_junction(self) -> None:
        situation = crossroads(edits={"|v ^ ": "|v x "}, a=car("a", 2), x=Car(NORTH, 0, top_speed=0))
        for _ in range(6):
            situation.play()
        assert situation.at("a") == (6, 5)
        assert situation.motion("a") == (NORTH, 0)

    def test_a_reservation_ends_at_the_exit_cell(self) -> None:
        situation = crossroads(a=car("a", 2))
        held = []
        for _ in range(4):
            situation.play()
            held.append((situation.at("a")[0], bool(situation.held_by("a"))))
        assert held == [(6, True), (4, True), (2, False), (0, False)]


class TestEgos:
    def test_nobody_enters_what_an_ego_in_the_junction_has_before_it(self) -> None:
        """Westbound in its first cell, it holds both upper ones; whoever is to pass them waits at the line."""
        situation = crossroads(edits={"v< ^<": "v< E"}, a=car("a", 2), E=Car(WEST, 0, on="^<"))
        for _ in range(6):
            situation.play(IDLE)
            assert situation.at("a")[0] >= 6
        assert situation.held_by("E") == {(4, 5), (4, 4), (4, 3)}
        situation.play(FASTER)
        for _ in range(3):
            situation.play(IDLE)
        assert situation.at("a")[0] < 6

    def test_others_pass_beside_an_ego_in_the_junction(self) -> None:
        situation = crossroads(edits={"v< ^<": "E  ^<"}, a=car("a", 2), E=Car(WEST, 0, on="v<"))
        for _ in range(4):
            situation.play(IDLE)
        assert situation.at("a")[0] < 4

    def test_a_left_turn_gives_way_to_an_oncoming_ego_that_does_not_turn_left(self) -> None:
        situation = crossroads(A=car("A", 2), b=car("b", 2, next_turn=LEFT_SIDE))
        for _ in range(3):
            assert situation.play(IDLE) <= {"harsh"}
        assert situation.at("A") == (2, 5)
        assert situation.at("b")[0] == 3

    def test_a_left_turn_does_not_wait_for_one_that_stands(self) -> None:
        situation = crossroads(A=car("A", 0), b=car("b", 2, next_turn=LEFT_SIDE))
        for _ in range(6):
            situation.play(SLOWER)
        assert situation.motion("b")[0] == EAST

    def test_who_goes_straight_on_does_not_wait_for_an_oncoming_one(self) -> None:
        situation = crossroads(A=car("A", 2), b=car("b", 2))
        for _ in range(2):
            situation.play(SLOWER)
        assert situation.at("b")[0] >= 4

    def test_a_reservation_lapses_for_an_oncoming_ego_while_there_is_time_to_stop(self) -> None:
        situation = crossroads(A=car("A", 0), b=car("b", 1, top_speed=1, next_turn=LEFT_SIDE))
        situation.play(IDLE)
        situation.play(FASTER)
        assert situation.held_by("b")  # granted while the other stood
        situation.play(FASTER)
        assert situation.held_by("b") == set()
        assert situation.motion("b") == (SOUTH, 0)
        for _ in range(6):
            assert "collision" not in situation.play(IDLE)
            assert "failed_to_yield" not in situation.events("A")
        assert situation.at("A")[0] < 4
