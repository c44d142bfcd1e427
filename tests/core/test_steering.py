"""What an action does to heading, lane and speed, one drawn situation at a time."""

import numpy as np
import pytest
from ascii_map import FASTER, IDLE, LEFT, RIGHT, SLOWER, Car, from_ascii

from drivesim.core.episode import describe_actions
from drivesim.core.map import EAST, LANE, NORTH, SOUTH, WEST

STRAIGHT = """
    . ^ ^ ^ .
    . ^ ^ ^ .
    . ^ ^ ^ .
    . ^ ^ ^ .
    . ^ ^ ^ .
    . ^ ^ ^ .
    . ^ E ^ .
"""
FIELD = """
    + + + + +
    + + + + +
    + + E + +
    + + + + +
    + + + + +
"""
CORNER = {"r": (LANE, 1 << NORTH | 1 << EAST)}


class TestSpeed:
    @pytest.mark.parametrize(
        ("speed", "action", "then"), [(0, FASTER, 1), (2, FASTER, 3), (3, IDLE, 3), (2, SLOWER, 1)]
    )
    def test_the_new_speed_counts_in_the_same_tick(self, speed, action, then) -> None:
        situation = from_ascii(STRAIGHT, E=Car(NORTH, speed))
        assert situation.play(action) == set()
        assert situation.motion("E") == (NORTH, then)
        assert situation.at("E") == (6 - then, 2)

    def test_never_exceeds_the_top_speed_of_the_scenario(self) -> None:
        situation = from_ascii(STRAIGHT, E=Car(NORTH, 2), options={"top_speed": 2})
        situation.play(FASTER)
        assert situation.motion("E") == (NORTH, 2)

    def test_never_falls_below_zero(self) -> None:
        situation = from_ascii(STRAIGHT, E=Car(NORTH, 0))
        situation.play(SLOWER)
        assert situation.motion("E") == (NORTH, 0)
        assert situation.at("E") == (6, 2)


class TestChangeOfLane:
    @pytest.mark.parametrize(("action", "col"), [(LEFT, 1), (RIGHT, 3)])
    @pytest.mark.parametrize("speed", [1, 3, 5])
    def test_goes_one_cell_sideways_then_ahead_at_the_same_speed(self, action, col, speed) -> None:
        situation = from_ascii(STRAIGHT, E=Car(NORTH, speed))
        assert situation.play(action) == {"lane_change"}
        assert situation.at("E") == (6 - speed, col)
        assert situation.motion("E") == (NORTH, speed)

    @pytest.mark.parametrize(("action", "col"), [(LEFT, 1), (RIGHT, 3)])
    def test_pulls_away_from_rest(self, action, col) -> None:
        situation = from_ascii(STRAIGHT, E=Car(NORTH, 0))
        assert situation.play(action) == {"lane_change"}
        assert situation.at("E") == (5, col)
        assert situation.motion("E") == (NORTH, 1)

    @pytest.mark.parametrize(
        ("heading", "action", "to"),
        [
            (EAST, LEFT, (1, 3)),
            (EAST, RIGHT, (3, 3)),
            (SOUTH, LEFT, (3, 3)),
            (SOUTH, RIGHT, (3, 1)),
            (WEST, LEFT, (3, 1)),
            (WEST, RIGHT, (1, 1)),
        ],
    )
    def test_knows_left_from_right_in_every_heading(self, heading, action, to) -> None:
        word = {EAST: ">", SOUTH: "v", WEST: "<"}[heading]
        row = f"{word} " * 5
        drawing = "\n".join([row, row, f"{word} {word} E {word} {word}", row, row])
        situation = from_ascii(drawing, E=Car(heading, 1))
        situation.play(action)
        assert situation.at("E") == to

    def test_into_an_occupied_cell_is_a_collision_even_if_its_occupant_is_about_to_leave(self) -> None:
        situation = from_ascii(
            """
            . ^ ^ .
            . ^ ^ .
            . ^ ^ .
            . ^ ^ .
            . a E .
            """,
            E=Car(NORTH, 1),
            a=Car(NORTH, 3),
        )
        assert situation.play(LEFT) == {"collision", "at_fault", "lane_change"}
        assert not situation.is_driving("E")
        assert not situation.is_driving("a")

    @pytest.mark.parametrize(("side", "event"), [("#", {"collision", "at_fault"}), (".", {"off_road"})])
    def test_off_the_lanes_ends_the_drive(self, side, event) -> None:
        situation = from_ascii(f"^ .\n^ .\nE {side}", E=Car(NORTH, 1))
        assert event <= situation.play(RIGHT)
        assert not situation.is_driving("E")

    def test_over_the_edge_of_the_map_is_off_road(self) -> None:
        situation = from_ascii("^ ^\n^ ^\nE ^", E=Car(NORTH, 1))
        assert situation.play(LEFT) == {"off_road"}

    def test_within_one_wide_lane_is_no_lane_change(self) -> None:
        situation = from_ascii(STRAIGHT, E=Car(NORTH, 1))
        situation.map.lanes[:] = 8
        assert situation.play(LEFT) == set()
        assert situation.at("E") == (5, 1)


class TestTurn:
    @pytest.mark.parametrize("speed", [0, 1])
    @pytest.mark.parametrize(("action", "heading", "to"), [(LEFT, WEST, (2, 1)), (RIGHT, EAST, (2, 3))])
    def test_where_the_cell_allows_it_turns_then_advances_one_cell(self, speed, action, heading, to) -> None:
        situation = from_ascii(FIELD, E=Car(NORTH, speed, on="+"))
        assert situation.play(action) == set()
        assert situation.motion("E") == (heading, 1)
        assert situation.at("E") == to

    @pytest.mark.parametrize("speed", [2, 3])
    @pytest.mark.parametrize("action", [LEFT, RIGHT])
    def test_faster_than_1_the_car_goes_straight_on(self, speed, action) -> None:
        turning, idle = (from_ascii(FIELD + "+ + + + +", E=Car(SOUTH, speed, on="+")) for _ in range(2))
        assert turning.play(action) == idle.play(IDLE)
        assert turning.worlds == idle.worlds

    def test_is_decided_by_the_cell_under_the_car_alone(self) -> None:
        """On the corner RIGHT turns; LEFT, for which the corner has no heading, changes lane."""
        drawing = "^ ^ >\n^ ^ >\n^ E >\n^ ^ >"
        right = from_ascii(drawing, CORNER, E=Car(NORTH, 1, on="r"))
        assert right.play(RIGHT) == set()
        assert right.at("E") == (2, 2)
        assert right.motion("E") == (EAST, 1)
        left = from_ascii(drawing, CORNER, E=Car(NORTH, 1, on="r"))
        left.play(LEFT)
        assert left.at("E") == (1, 0)
        assert left.motion("E") == (NORTH, 1)

    def test_four_left_turns_close_a_circle(self) -> None:
        situation = from_ascii(FIELD, E=Car(NORTH, 0, on="+"))
        for _ in range(4):
            situation.play(LEFT)
        assert situation.at("E") == (2, 2)
        assert situation.motion("E") == (NORTH, 1)

    def test_lets_a_car_come_away_from_a_dead_end(self) -> None:
        situation = from_ascii("# # #\n+ E +\n+ + +", E=Car(NORTH, 0, on="+"))
        assert situation.play(LEFT) == set()
        assert situation.at("E") == (1, 0)


class TestActionMask:
    def mask(self, situation) -> list[bool]:
        mask = np.zeros(5, np.bool_)
        describe_actions(situation.map, situation.world, 0, situation.options[0], mask)
        return mask.tolist()

    @pytest.mark.parametrize("drawing", [STRAIGHT, FIELD])
    @pytest.mark.parametrize("speed", [0, 1, 2, 4, 5])
    @pytest.mark.parametrize("top_speed", [2, 5])
    def test_names_the_actions_whose_outcome_differs_from_that_of_idle(self, drawing, speed, top_speed) -> None:
        if speed > top_speed:
            return
        car = Car(NORTH, speed, on="+" if drawing == FIELD else "")
        base = from_ascii(drawing, E=car, options={"top_speed": top_speed})
        outcomes = []
        for action in range(5):
            situation = base.copy()
            situation.play(action)
            outcomes.append(situation.worlds)
        differs = [action == IDLE or outcomes[action] != outcomes[IDLE] for action in range(5)]
        assert self.mask(base) == differs

    def test_lets_faster_stand_for_idle_where_there_is_none(self) -> None:
        situation = from_ascii(FIELD, E=Car(NORTH, 2, on="+"), options={"top_speed": 2, "has_idle": 0})
        assert self.mask(situation)[:4] == [False, False, True, True]


class TestActionSetWithoutIdle:
    @pytest.mark.parametrize(("action", "motion"), [(0, (WEST, 1)), (1, (EAST, 1)), (2, (NORTH, 2)), (3, (NORTH, 0))])
    def test_is_left_right_faster_slower(self, action, motion) -> None:
        situation = from_ascii(FIELD, E=Car(NORTH, 1, on="+"), options={"has_idle": 0})
        situation.play(action)
        assert situation.motion("E") == motion


class TestTwoCars:
    def test_steering_into_one_cell_collide_and_are_both_at_fault(self) -> None:
        situation = from_ascii("^ ^ ^\n^ ^ ^\nE ^ F", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert {"collision", "at_fault"} <= situation.play(RIGHT, LEFT)
        assert {"collision", "at_fault"} <= situation.events("F")
        assert not situation.is_driving("E")
        assert not situation.is_driving("F")
        assert not situation.world.occupants.any()

    def test_steering_into_each_others_cells_collide(self) -> None:
        situation = from_ascii("^ ^\n^ ^\nE F", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert {"collision", "at_fault"} <= situation.play(RIGHT, LEFT)
        assert {"collision", "at_fault"} <= situation.events("F")

    def test_one_steering_into_the_cell_that_the_other_leaves_sideways_collides(self) -> None:
        situation = from_ascii("^ ^ ^\n^ ^ ^\nE F ^", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert {"collision", "at_fault"} <= situation.play(RIGHT, RIGHT)
        assert "collision" in situation.events("F")
        assert "at_fault" not in situation.events("F")

    def test_each_follow_their_own_action(self) -> None:
        situation = from_ascii("^ ^ ^ ^\n^ ^ ^ ^\n^ ^ ^ ^\nE ^ ^ F", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert situation.play(FASTER, LEFT) == set()
        assert situation.events("F") == {"lane_change"}
        assert situation.at("E") == (1, 0)
        assert situation.at("F") == (2, 2)

    def test_drive_on_when_the_other_has_crashed(self) -> None:
        situation = from_ascii("^ ^ ^ .\n^ ^ ^ .\nE ^ F .", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert situation.play(IDLE, RIGHT) == set()
        assert "off_road" in situation.events("F")
        assert situation.play(IDLE, LEFT) == set()
        assert situation.events("F") == set()
        assert situation.at("E") == (0, 0)
