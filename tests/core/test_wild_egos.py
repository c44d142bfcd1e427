"""Whatever egos do, no two traffic vehicles ever share a cell, and every cell knows who is on it."""

import gymnasium as gym
import numpy as np
import pytest
from ascii_map import Car, from_ascii
from levels import levels
from records import frame_of, open_frame

from drivesim.core.jit import kernel
from drivesim.core.map import EAST, LANE, NORTH, has_several_headings, headings, kind
from drivesim.core.rng import below, philox
from drivesim.core.tick import tick
from drivesim.core.world import CROSSING, DRIVING, GOING, enter

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
WEIGHTS = {  # of 16 each: how often an ego of this temper takes each action
    "at random": (LEFT, LEFT, LEFT, IDLE, IDLE, IDLE, RIGHT, RIGHT, RIGHT, FASTER, FASTER, FASTER, FASTER, 4, 4, 4),
    "hops lanes": (LEFT, LEFT, LEFT, LEFT, LEFT, IDLE, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, 3, 3, 3, 3, SLOWER),
    "stops": (LEFT, RIGHT, IDLE, FASTER, FASTER, FASTER, *[SLOWER] * 10),
    "races": (LEFT, RIGHT, SLOWER, *[FASTER] * 13),
}


@kernel
def put_down(map, world, k, word_0, word_1):
    """Vehicle k, which is gone, on a random free cell of a lane, at any speed if it is an ego; or not in this tick."""
    cell = below(word_0, (map.rows + 2) * map.width)
    mask = headings(map, cell)
    if mask == 0 or world.occupants[cell] != 0 or kind(map, cell) != LANE or has_several_headings(map, cell):
        return
    vehicle = world.vehicles[k]
    vehicle.status = DRIVING
    vehicle.next_status = 0
    while mask >> vehicle.heading & 1 == 0:
        vehicle.heading = (vehicle.heading + 1) & 3
    vehicle.speed = below(word_1, 6) if k < world.num_egos else 0
    vehicle.acceleration = 0
    if k < world.num_egos:
        world.egos[k].drive = GOING
    enter(world, k, cell)


@kernel
def count_meetings(map, world, owners):
    """How many cells hold two traffic vehicles, or do not know who is on them."""
    owners[:] = 0
    faults = 0
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING:
            faults += owners[vehicle.cell] != 0
            owners[vehicle.cell] = k + 1
    for cell in range((map.rows + 2) * map.width):
        faults += owners[cell] != world.occupants[cell]
    return faults


@kernel
def play_wildly(argument, num_worlds, ticks, weights, owners, result):
    """Drive egos as their weights say, put down anew whoever has crashed or arrived; count meetings, vehicle-ticks."""
    frame = open_frame(argument)
    for i in range(num_worlds):
        map = frame.maps[i]
        world = frame.worlds[i]
        options = frame.options[0]
        has_traffic = world.num_vehicles > world.num_egos
        for n in range(ticks):
            for k in range(world.num_vehicles):
                word_0, word_1, _, word_3 = philox(i, 17, 0, n, 0, k)
                if k < world.num_egos:
                    action = weights[(i + k) % weights.shape[0], below(word_3, 16)]
                    frame.actions[k] = max(action - 1, 0) if options.has_idle == 0 else action
                if world.vehicles[k].status != DRIVING:
                    put_down(map, world, k, word_0, word_1)
            tick(map, world, options, frame.actions, 0)
            result[0] += count_meetings(map, world, owners)
            if has_traffic:
                result[1] += world.num_vehicles - world.num_egos


def wild(scenario, num_egos, vehicle_ticks, **options):
    """(meetings, vehicle-ticks) of about so many vehicle-ticks among egos of all tempers."""
    num_worlds = 24
    maps, worlds, record = levels(scenario, range(num_worlds), num_egos=num_egos, **options)
    ticks = vehicle_ticks // max(1, num_worlds * int(worlds["num_vehicles"][0] - num_egos)) + 1
    frame = frame_of(maps, worlds, record, np.zeros(num_egos))
    result = np.zeros(2, np.int64)
    weights = np.array(list(WEIGHTS.values()))
    owners = np.zeros(worlds["occupants"].shape[1], np.int64)
    play_wildly(frame.argument, num_worlds, min(ticks, 20_000), weights, owners, result)
    return int(result[0]), int(result[1])


ROADS = {
    "Highway": {"difficulty": "medium"},
    "fast Highway": {"difficulty": "hard", "fastest": 5},
    "narrow Highway": {"num_lanes": 2, "length": 60, "num_vehicles": 30, "fastest": 5, "dawdle": 0.0},
    "nasch Highway": {"difficulty": "hard", "fastest": 5, "traffic": "nasch"},
    "Intersection": {"difficulty": "medium"},
    "hard Intersection": {"difficulty": "hard"},
}


@pytest.mark.parametrize("num_egos", [1, 4])
@pytest.mark.parametrize("road", ROADS)
def test_no_two_traffic_vehicles_share_a_cell_whatever_egos_do(road, num_egos) -> None:
    """A million vehicle-ticks."""
    meetings, vehicle_ticks = wild(road.split()[-1], num_egos, 1_000_000 // (2 * len(ROADS)), **ROADS[road])
    assert vehicle_ticks > 80_000
    assert meetings == 0


@pytest.mark.slow
@pytest.mark.parametrize("num_egos", [1, 2, 8])
@pytest.mark.parametrize("road", ROADS)
def test_no_two_traffic_vehicles_share_a_cell_in_ten_million_vehicle_ticks(road, num_egos) -> None:
    meetings, vehicle_ticks = wild(road.split()[-1], num_egos, 10_000_000 // (3 * len(ROADS)), **ROADS[road])
    assert vehicle_ticks > 500_000
    assert meetings == 0


@pytest.mark.parametrize("scenario", ["Autodrive", "LaneKeep", "Obstacles"])
def test_cells_know_who_is_on_them_where_traffic_looks_at_nobody_or_there_is_none(scenario) -> None:
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
