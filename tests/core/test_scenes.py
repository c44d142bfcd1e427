"""Scenes in which traffic once failed: on a ring, what stands in the way stops it; where a lane ends, it changes."""

import pytest
from ascii_map import Car, from_ascii
from checker import found
from roads import driven

from drivesim.core.map import EAST, NORTH

ALWAYS_RED = {"row": 0, "col": 20, "height": 1, "width": 1, "green_0": 1000, "green_1": 1, "yellow": 2, "all_red": 1}


@pytest.mark.parametrize("speed", range(1, 6))
@pytest.mark.parametrize("length", [30, 31, 45])
def test_traffic_on_a_ring_stops_before_an_obstacle(speed, length) -> None:
    lane = ["a", *[">"] * 10, "b", *[">"] * (length - 13), "#"]
    situation = from_ascii(" ".join(lane), is_ring=True, a=Car(EAST, 0, top_speed=speed), b=Car(EAST, 0, top_speed=5))
    for _ in range(80):
        situation.play()
    assert (situation.at("b"), situation.at("a")) == ((0, length - 2), (0, length - 3))
    assert situation.motion("a") == situation.motion("b") == (EAST, 0)


@pytest.mark.parametrize("speed", range(1, 6))
def test_traffic_on_a_ring_stops_at_a_red_line(speed) -> None:
    lane = ["a", *[">"] * 18, "|>", *[">"] * 20]
    situation = from_ascii(" ".join(lane), is_ring=True, signals=[ALWAYS_RED], a=Car(EAST, 0, top_speed=speed))
    for _ in range(80):
        situation.play()
    assert situation.at("a") == (0, 19)
    assert situation.motion("a") == (EAST, 0)


@pytest.mark.parametrize("is_occupied", [False, True])
def test_traffic_changes_lane_where_its_own_ends(is_occupied) -> None:
    """With the other lane free, and with one slow car on it."""
    cars = {"b": Car(NORTH, 1, top_speed=1)} if is_occupied else {}
    road = """
        . ^ ^ .
        . ^ ^ .
        . ^ ^ .
        . ^ ^ .
        . # ^ .
        . ^ ^ .
        . ^ ^ .
        . ^ ^ .
        . a b .
    """
    road = road if is_occupied else road.replace("b", "^")
    situation = from_ascii(road, is_periodic=True, a=Car(NORTH, 2, top_speed=3), **cars)
    columns = set()
    for _ in range(12):
        situation.play()
        columns.add(situation.at("a")[1])
    assert columns - {1} == {2}
    assert situation.motion("a")[1] > 0


@pytest.mark.parametrize("speed", range(1, 6))
def test_who_stands_where_his_lane_ends_gets_in_while_a_slow_platoon_passes(speed) -> None:
    """Everybody is on his way again, and nobody had to brake by more than 1."""
    road = ["^ ^"] * 30 + ["# ^"] + ["a b"] + ["^ ^", "^ c", "^ ^", "^ d", "^ ^", "^ e"] + ["^ ^"] * 4
    cars = {name: Car(NORTH, min(speed, 1), top_speed=speed) for name in "bcde"}
    situation = from_ascii("\n".join(f". {line} ." for line in road), is_periodic=True, a=Car(NORTH, 0), **cars)
    _, faults = driven(situation.maps, situation.worlds, situation.options, 1, patience=100)
    for _ in range(8):
        _, more_faults = driven(situation.maps, situation.worlds, situation.options, 1, patience=100)
        assert not found(faults + more_faults)
    assert situation.at("a")[1] == 2
    for _ in range(8):
        situation.play()
    assert all(situation.motion(name)[1] > 0 for name in "abcde")
