"""Events are facts about a tick: each is detected in its drawn situation and in no similar one."""

import itertools

import pytest
from ascii_map import EVENTS, FASTER, IDLE, LEFT, RIGHT, SLOWER, Car, from_ascii

from drivesim.core.map import EAST, LANE, NORTH, SHOULDER, SOUTH, WEST
from drivesim.core.world import CROSSING, GREEN, RED, WAITING, YELLOW

# A crossroads of single lanes with its junction of 2 x 2 cells; the ego comes from the south.
AT_THE_LINE = """
    . .  v  ^  .  .
    . .  |v ^  .  .
    < <  a  ^< |< <
    > |> v> ^> >  >
    . .  v  E  .  .
    . .  v  ^  .  .
"""
BEFORE_THE_LINE = """
    . .  v  ^  .  .
    . .  |v ^  .  .
    < <  a  ^< |< <
    > |> v> ^> >  >
    . .  v  |^ .  .
    . .  v  E  .  .
"""
BOX = {"row": 2, "col": 2, "height": 2, "width": 2, "green_0": 8, "green_1": 8, "yellow": 3, "all_red": 2}
# Ticks of the cycle at which the north-south axis shows a colour: green from 0, yellow from 8, red from 11.
COLOUR_AT = {GREEN: 0, YELLOW: 8, RED: 12}


def crossroads(drawing, colour, speed, on):
    """A crossroads with the ego and a westbound car that stands in the upper left of the junction."""
    situation = from_ascii(
        drawing,
        signals=[{**BOX, "cycle_start": COLOUR_AT[colour]}],
        E=Car(NORTH, speed, on=on),
        a=Car(WEST, 0, top_speed=0, on="v<"),
    )
    situation.hold("a", (2, 2), (2, 1))
    return situation


def at_the_line(colour, speed=1):
    """The ego about to leave the stop line."""
    return crossroads(AT_THE_LINE, colour, speed, "|^")


def before_the_line(colour, speed):
    """The ego one cell before the line."""
    return crossroads(BEFORE_THE_LINE, colour, speed, "^")


class TestRedLight:
    @pytest.mark.parametrize(("colour", "runs"), [(GREEN, False), (YELLOW, False), (RED, True)])
    def test_is_run_by_leaving_the_line_into_the_junction_on_red(self, colour, runs) -> None:
        assert at_the_line(colour).play(IDLE) == ({"red_light"} if runs else set())

    def test_is_run_in_the_middle_of_a_tick_too(self) -> None:
        situation = before_the_line(RED, 3)
        assert situation.play(IDLE) == {"red_light"}

    def test_is_not_run_by_stopping_on_the_line(self) -> None:
        situation = before_the_line(RED, 1)
        assert situation.play(IDLE) == set()
        assert situation.play(SLOWER) == set()
        assert situation.at("E") == (4, 3)

    def test_is_what_the_state_before_the_action_shows(self) -> None:
        """Yellow before, red after: the car left on yellow."""
        situation = at_the_line(YELLOW)
        situation.world.lamps[0].cycle_start = 10
        situation.world.lamps[0].colour_0 = YELLOW
        assert situation.play(IDLE) == set()
        assert situation.world.lamps[0].colour_0 == RED

    def test_of_the_other_axis_is_none_of_mine(self) -> None:
        situation = at_the_line(GREEN)
        assert situation.world.lamps[0].colour_1 == RED
        assert situation.play(IDLE) == set()


class TestYielding:
    def test_entering_a_cell_that_somebody_has_reserved_is_a_failure_to_yield(self) -> None:
        situation = at_the_line(GREEN)
        situation.hold("a", (2, 2), (2, 3))  # the upper two cells
        assert situation.play(IDLE) == set()
        assert situation.play(IDLE) == {"failed_to_yield"}

    def test_counts_from_further_back_too(self) -> None:
        situation = before_the_line(GREEN, 3)
        situation.hold("a", (2, 2), (2, 3))
        assert situation.play(IDLE) == {"failed_to_yield"}

    def test_following_whoever_has_reserved_the_cell_is_none(self) -> None:
        situation = from_ascii(
            "^\na\n^\nE\n^",
            signals=[{**BOX, "row": 1, "col": 0, "width": 1}],
            E=Car(NORTH, 1),
            a=Car(NORTH, 0, top_speed=0),
        )
        situation.hold("a", (1, 0), (2, 0), (0, 0))
        assert situation.play(IDLE) == set()

    def test_passing_beside_what_somebody_has_reserved_is_none(self) -> None:
        situation = at_the_line(GREEN)
        situation.hold("a", (2, 2), (3, 2))  # the left two cells
        assert situation.play(IDLE) == set()


class TestWrongWay:
    def test_is_every_tick_in_a_lane_against_its_heading(self) -> None:
        situation = from_ascii("v ^\nv ^\nv ^\nv E", E=Car(NORTH, 1))
        assert situation.play(LEFT) == {"wrong_way", "lane_change"}
        assert situation.play(IDLE) == {"wrong_way"}
        assert situation.play(RIGHT) == {"lane_change"}

    def test_is_not_crossing_a_cell_that_allows_my_heading_too(self) -> None:
        assert from_ascii("^\n+\nE", E=Car(NORTH, 1)).play(IDLE) == set()


class TestSpeeding:
    @pytest.mark.parametrize(("speed", "action", "speeds"), [(2, IDLE, False), (2, FASTER, True), (3, SLOWER, False)])
    def test_is_a_speed_above_the_limit_in_this_tick(self, speed, action, speeds) -> None:
        situation = from_ascii("\n".join(["^"] * 5 + ["E"]), fields={"speed_limit": 2}, E=Car(NORTH, speed))
        assert ("speeding" in situation.play(action)) == speeds


class TestHarsh:
    @pytest.mark.parametrize(
        ("actions", "harsh"),
        [
            ((FASTER, FASTER, FASTER), [False, False, False]),
            ((FASTER, IDLE, SLOWER), [False, False, False]),
            ((FASTER, SLOWER, FASTER), [False, True, True]),
            ((SLOWER, SLOWER, FASTER), [False, False, True]),
        ],
    )
    def test_is_a_change_of_acceleration_by_2(self, actions, harsh) -> None:
        situation = from_ascii("\n".join(["^"] * 12 + ["E"]), E=Car(NORTH, 2))
        assert ["harsh" in situation.play(action) for action in actions] == harsh


class TestOffset:
    def test_is_the_distance_from_the_lanes_centre_after_the_tick(self) -> None:
        situation = from_ascii("^ ^ ^ ^ ^\n" * 4 + "^ ^ E ^ ^", E=Car(NORTH, 1), fields={"half_lane": 2})
        for row, col in itertools.product(range(5), repeat=2):
            situation.map.lanes[situation.cell(row, col)] = 8 + col - 2
        offsets = []
        for action in (IDLE, LEFT, LEFT, RIGHT):
            situation.play(action)
            offsets.append(int(situation.ego().offset))
        assert offsets == [0, 1, 2, 1]
        assert situation.ego().offset_sum == 4

    def test_counts_as_the_whole_half_lane_off_the_road(self) -> None:
        situation = from_ascii(". ^\n. E", E=Car(NORTH, 1), fields={"half_lane": 2})
        situation.play(LEFT)
        assert situation.ego().offset == 2

    def test_on_the_shoulder_is_noted(self) -> None:
        situation = from_ascii("^ :\n^ :\nE :", E=Car(NORTH, 1))
        assert situation.play(RIGHT) == {"lane_change"}
        assert situation.ego().on_shoulder == 1
        assert situation.play(LEFT) == {"lane_change"}
        assert situation.ego().on_shoulder == 0


def two_lanes(ego, other, speed, other_speed):
    """A ring of two lanes: the ego in the upper one at column `ego`, a car in the lower one at `other`.

    In odd ticks traffic changes lane to the right only, and on its right is nothing.
    """
    rows = [[">"] * 40, [">"] * 40]
    rows[0][ego], rows[1][other] = "E", "a"
    return from_ascii(
        "\n".join(" ".join(row) for row in rows),
        is_ring=True,
        fields={"tick": 1},
        E=Car(EAST, speed),
        a=Car(EAST, other_speed),
    )


class TestFault:
    def test_is_who_drives_into_the_others_cell(self) -> None:
        situation = from_ascii("^\na\nE", E=Car(NORTH, 1), a=Car(NORTH, 0, top_speed=0))
        assert situation.play(IDLE) == {"collision", "at_fault"}

    def test_is_not_who_is_hit_from_behind_without_cause(self) -> None:
        """A car that never looks drives into the standing ego."""
        situation = from_ascii("^\nE\na", E=Car(NORTH, 0), a=Car(NORTH, 1, top_speed=1), options={"driver_model": 2})
        assert situation.play(IDLE) == {"collision"}

    def test_is_noted_of_who_cuts_in_though_the_follower_brakes_as_hard_as_it_takes(self) -> None:
        """Two cells in front of a car at speed 5, at speed 1."""
        situation = two_lanes(10, 8, 1, 5)
        assert situation.play(RIGHT) == {"lane_change"}
        assert situation.motion("a") == (EAST, 1)
        assert situation.ego().cut_in_at == 1

    def test_is_not_who_changes_lane_where_the_follower_can_still_stop(self) -> None:
        """At 5 behind 1, ten free cells are enough: 4 + 3 + 2 + 1."""
        situation = two_lanes(20, 9, 1, 5)
        assert situation.play(RIGHT) == {"lane_change"}
        for _ in range(10):
            assert situation.play(SLOWER) <= {"harsh"}
        assert situation.is_driving("E")
        assert situation.ego().cut_in_at < 0

    def test_is_remembered_if_one_cell_was_missing(self) -> None:
        situation = two_lanes(19, 9, 1, 5)
        assert situation.play(RIGHT) == {"lane_change"}
        assert situation.ego().cut_in_at == 1

    @pytest.mark.parametrize(("ticks", "is_blamed"), [(4, True), (5, False)])
    def test_of_cutting_in_is_forgotten_after_five_ticks(self, ticks, is_blamed) -> None:
        situation = from_ascii("^\nE\na", E=Car(NORTH, 0), a=Car(NORTH, 1, top_speed=1), options={"driver_model": 2})
        situation.world.tick = 100
        situation.ego().cut_in_at = 100 - ticks
        assert situation.play(IDLE) == ({"collision", "at_fault"} if is_blamed else {"collision"})

    def test_braking_as_hard_as_possible_is_no_cutting_in(self) -> None:
        """A follower at a safe distance stops behind a leader that brakes by 1 in every tick, at any speed."""
        for speed in range(1, 6):
            situation = from_ascii(
                " ".join(["a"] + ["E"] + [">"] * 38), is_ring=True, E=Car(EAST, speed), a=Car(EAST, speed)
            )
            for _ in range(8):
                assert situation.play(SLOWER) <= {"harsh"}
            assert situation.ego().cut_in_at < 0


class TestPedestrian:
    DRAWING = ". ^ .\n= = =\n. ^ .\n. E ."

    def test_is_hit_by_driving_into_its_cell(self) -> None:
        situation = from_ascii(self.DRAWING, E=Car(NORTH, 2), pedestrians=[(1, 1, EAST, CROSSING)])
        assert situation.play(IDLE) == {"pedestrian_hit", "at_fault", "failed_to_yield"}
        assert not situation.is_driving("E")

    @pytest.mark.parametrize("pedestrian", [(1, 0, EAST, CROSSING), (1, 1, EAST, WAITING)])
    def test_is_not_hit_elsewhere_nor_while_waiting(self, pedestrian) -> None:
        situation = from_ascii(self.DRAWING, E=Car(NORTH, 2), pedestrians=[pedestrian])
        assert "pedestrian_hit" not in situation.play(IDLE)


class TestRoute:
    def test_distance_is_the_last_finite_one_where_no_legal_path_leads_on(self) -> None:
        drawing = """
            . G . .
            . ^ # #
            . ^ # ^
            . ^ ^ ^
            . ^ ^ E
        """
        situation = from_ascii(drawing, E=Car(NORTH, 1))
        assert situation.ego().remaining == 4
        situation.play(IDLE)  # into the dead end
        assert situation.ego().remaining == 4
        situation = from_ascii(drawing, E=Car(NORTH, 1))
        situation.play(LEFT)
        assert situation.ego().remaining == 3

    def test_events_of_the_whole_episode_are_remembered(self) -> None:
        situation = from_ascii("v ^\nv ^\nv ^\nv E", E=Car(NORTH, 1), fields={"speed_limit": 0})
        situation.play(LEFT)
        situation.play(RIGHT)
        seen = situation.ego().events_seen
        assert seen & EVENTS["wrong_way"]
        assert not situation.ego().events & EVENTS["wrong_way"]


def test_no_event_is_carried_into_the_next_tick() -> None:
    situation = at_the_line(RED)
    assert situation.play(IDLE) == {"red_light"}
    assert situation.play(IDLE) == set()


def test_leaving_a_lane_for_the_shoulder_beside_oncoming_traffic_is_told_by_the_cells_alone() -> None:
    legend = {"S": (SHOULDER, 1 << SOUTH), "L": (LANE, 1 << NORTH)}
    situation = from_ascii("L S\nL S\nE S", legend, E=Car(NORTH, 1))
    assert situation.play(RIGHT) == {"lane_change", "wrong_way"}
    assert situation.ego().on_shoulder == 1
