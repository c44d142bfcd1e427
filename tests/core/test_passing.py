"""Cells on which overtaking is allowed: legal for an ego in their headings, and nothing to traffic."""

import pytest
from ascii_map import IDLE, LEFT, RIGHT, Car, from_ascii

from drivesim.core.map import EAST, LANE, NORTH, UNREACHABLE, WEST, distance_from, way_from
from drivesim.core.painting import paint_passing

WORDS = {"<o": (LANE, 1 << WEST, 1 << EAST), "G>": (LANE, 1 << EAST)}
ROAD = "< <o <o <o <o <\n> E > > > G>"


def test_overtaking_there_is_not_the_wrong_way() -> None:
    situation = from_ascii(ROAD, WORDS, E=Car(EAST, 1))
    assert situation.play(LEFT) == {"lane_change"}
    assert situation.play(IDLE) == set()
    assert situation.play(RIGHT) == {"lane_change"}
    assert situation.at("E") == (1, 4)


def test_beside_them_it_is() -> None:
    situation = from_ascii("< < < <o <o <\n> E > > > G>", WORDS, E=Car(EAST, 1))
    assert "wrong_way" in situation.play(LEFT)
    assert situation.play(IDLE) == set()


@pytest.mark.parametrize("goal", [None, (None, None)])
def test_the_goal_is_as_far_as_along_the_own_lane(goal) -> None:
    situation = from_ascii(ROAD, WORDS, goal=goal, E=Car(EAST, 1))
    assert situation.ego().remaining == 4
    for col in range(1, 5):
        assert distance_from(situation.map, 0, situation.cell(0, col), EAST) == max(5 - col, 1)
    assert distance_from(situation.map, 0, situation.cell(0, 0), EAST) == UNREACHABLE


def test_only_in_their_headings() -> None:
    situation = from_ascii(ROAD, WORDS, goal=(None, None), E=Car(EAST, 1))
    for heading in (WEST, NORTH):
        assert distance_from(situation.map, 0, situation.cell(0, 2), heading) == UNREACHABLE


def test_traffic_neither_finds_a_way_there_nor_changes_lane_to_them() -> None:
    situation = from_ascii("< <o <o <o <o <o <o <\n> a b > > > > G>", WORDS, a=Car(EAST, 1), b=Car(EAST, 0, 0))
    assert way_from(situation.map, EAST, situation.cell(0, 2)) in (-1, WEST)
    for _ in range(4):
        situation.play()
        assert situation.at("a") == (1, 1)


def test_cells_are_counted_once() -> None:
    situation = from_ascii(ROAD, WORDS, E=Car(EAST, 1))
    assert situation.map.num_passing == 4
    paint_passing(situation.map, situation.cell(0, 1), 1 << EAST | 1 << WEST)
    assert situation.map.num_passing == 4
