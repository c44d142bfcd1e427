"""Whatever egos do, no two traffic vehicles ever share a cell, and every cell knows who is on it."""

import gymnasium as gym
import pytest
from ascii_map import IDLE, Car, from_ascii
from effort import effort
from levels import levels
from wild import driven_wildly

from drivesim.core.map import EAST, NORTH
from drivesim.core.world import CROSSING, DRIVING


def wild(scenario, num_egos, vehicle_ticks, **options):
    """(meetings, vehicle-ticks) of about so many vehicle-ticks among egos of all tempers."""
    num_worlds = 24
    maps, worlds, record = levels(scenario, range(num_worlds), num_egos=num_egos, **options)
    ticks = vehicle_ticks // max(1, num_worlds * int(worlds["num_vehicles"][0] - num_egos)) + 1
    meetings, vehicle_ticks = driven_wildly(maps, worlds, record, min(ticks, 20_000))
    return int(meetings.sum()), vehicle_ticks


ROADS = {
    "Highway": {"difficulty": "medium"},
    "fast Highway": {"difficulty": "hard", "fastest": 5},
    "narrow Highway": {"num_lanes": 2, "length": 60, "distance": 30, "num_vehicles": 30, "fastest": 5, "dawdle": 0.0},
    "nasch Highway": {"difficulty": "hard", "fastest": 5, "traffic": "nasch"},
    "Intersection": {"difficulty": "medium"},
    "hard Intersection": {"difficulty": "hard"},
    "hard FourWayStop": {"difficulty": "hard"},
    "hard Roundabout": {"difficulty": "hard"},
    "City": {"difficulty": "medium"},
    "hard City": {"difficulty": "hard"},
}


VEHICLE_TICKS = effort(1_000_000, 10_000_000)
CROWDS = effort([1, 4], [1, 2, 4, 8])  # numbers of egos


@pytest.mark.parametrize("num_egos", CROWDS)
@pytest.mark.parametrize("road", ROADS)
def test_no_two_traffic_vehicles_share_a_cell_whatever_egos_do(road, num_egos) -> None:
    share = VEHICLE_TICKS // (len(CROWDS) * len(ROADS))
    meetings, vehicle_ticks = wild(road.split()[-1], num_egos, share, **ROADS[road])
    assert vehicle_ticks >= share
    assert meetings == 0


@pytest.mark.parametrize("scenario", ["Autodrive", "LaneKeep", "Obstacles", "Crosswalk"])
def test_cells_know_who_is_on_them_where_there_is_one_ego(scenario) -> None:
    meetings, _ = wild(scenario, 1, 20_000, difficulty="hard")
    assert meetings == 0


def test_a_column_brakes_as_hard_as_the_one_in_front_of_whom_an_ego_hops_from_lane_to_lane() -> None:
    """A drive in which two cars once shared a cell."""
    env = gym.make("drivesim/Highway-v1", difficulty="hard", fastest=5).unwrapped
    env.reset(seed=100816)
    for _ in range(3):
        env.reset()
    for action in (3, 3, 3, 3, 3, 3, 0, 0, 2, 0, 2, 4, 4, 3, 4, 0, 4, 1):
        has_ended = env.step(action)[2]
        vehicles = env.get_state()["world"]["vehicles"][0]
        cells = vehicles["cell"][vehicles["status"] == DRIVING].tolist()
        assert len(set(cells)) == len(cells) >= 29
        if has_ended:
            break


@pytest.mark.parametrize("heading", ["^", ">"])
def test_who_was_cut_in_on_stops_behind_and_so_does_whoever_follows(heading) -> None:
    """E stands where it came to rest all at once; a would need ten cells to stop, b relies on a, and c on b."""
    cars = {name: Car(EAST if heading == ">" else NORTH, 5) for name in "abc"}
    cars["E"] = Car(cars["a"].heading, 0)
    lane = ["c", "b", heading, heading, "a", heading, "E", *[heading] * 9]
    drawing = " ".join(lane) if heading == ">" else "\n".join(lane[::-1])
    situation = from_ascii(drawing, **cars)
    situation.play(IDLE)
    assert [situation.motion(name)[1] for name in "abc"] == [1, 3, 3]
    situation.play(IDLE)
    assert [situation.motion(name)[1] for name in "abc"] == [0, 0, 0]
    for _ in range(6):
        situation.play(IDLE)
    ends = [situation.at(name) for name in "Eabc"]
    along = [max(row, col) if heading == ">" else len(lane) - 1 - row for row, col in ends]
    assert along == [6, 5, 4, 3]
    assert situation.ego("E").cut_in_at == 0


def test_nobody_runs_into_whom_only_an_ego_had_hidden() -> None:
    """E leads a at speed 5 and is gone before it comes to b, who stands: a must not count on E alone."""
    road = "^\n" * 10 + "b\n^\n^\nE\na"
    situation = from_ascii(road, pedestrians=[(12, 0, EAST, CROSSING)], E=Car(NORTH, 5), a=Car(NORTH, 4), b=Car(NORTH))
    situation.vehicle("b").top_speed = 0
    situation.play(IDLE)
    assert not situation.is_driving("E")
    assert situation.at("b") == (10, 0)
    assert situation.at("a") == (11, 0)
