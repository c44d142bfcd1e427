"""Every generated level can be solved in two thirds of its time, and follows from its level seed alone."""

from dataclasses import fields

import numpy as np
import pytest
from checker import FAULTS, check_safety, found
from effort import effort
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from levels import generator_frame, lay_and_populate, levels
from parking_search import ticks_to_park
from records import ROOMY_MAP, ROOMY_WORLD, rows_and_cols
from scenario_facts import FACTS
from search import fewest_ticks

from drivesim.core.batch import BY_POOL
from drivesim.core.map import OBSTACLE, OFF_ROAD
from drivesim.registry import ENTRIES, entry_of, scenario_of

SCENARIOS = [entry.name for entry in ENTRIES if scenario_of(entry.name).generates_levels() and entry.name in FACTS]
CROSSINGS = ("FourWayStop", "Roundabout", "Crosswalk")
DIFFICULTIES = ("easy", "medium", "hard")
NUM_LEVELS = effort(100, 200)
SEEDS = range(10**9, 10**9 + NUM_LEVELS)
ENV_SEED_FIELDS = ("key_0", "key_1", "episode")  # everything else of a fresh world belongs to the level


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
class TestEveryLevel:
    def test_has_a_legal_way_that_takes_at_most_two_thirds_of_the_time(self, scenario, difficulty) -> None:
        maps, worlds, options = levels(scenario, SEEDS, difficulty=difficulty)
        limit = entry_of(scenario).max_episode_steps
        top_speed = min(scenario_of(scenario).speed_limit, int(options["top_speed"][0]))
        has_idle = bool(options["has_idle"][0])
        for map, world in zip(maps, worlds, strict=True):
            if scenario == "Highway":  # a ring has no goal cell: the distance, once the car is up to speed
                ticks, speed, left = 0, int(world.vehicles[0].speed), int(world.egos[0].remaining)
                while left > 0:
                    speed = min(speed + 1, top_speed)
                    ticks, left = ticks + 1, left - speed
            elif map.has_reverse:
                ticks = ticks_to_park(map, world)
            else:
                ticks = fewest_ticks(map, world, top_speed, limit, has_idle, scenario == "Autodrive")
            assert 0 < ticks <= 2 * limit / 3, world.level_seed

    def test_begins_with_everybody_on_the_road_and_able_to_stop(self, scenario, difficulty) -> None:
        maps, worlds, _ = levels(scenario, SEEDS, difficulty=difficulty)
        is_aware = scenario != "Autodrive"
        for map, world in zip(maps, worlds, strict=True):
            vehicles = world.vehicles[: world.num_vehicles]
            cells = vehicles["cell"]
            assert len(set(cells.tolist())) == world.num_vehicles
            masks = map.ground[cells] & 15
            assert (masks >> vehicles["heading"] & 1 == 1).all()
            assert (vehicles["speed"] >= 0).all()
            assert (vehicles["speed"] <= vehicles["top_speed"]).all()
            faults = np.zeros(len(FAULTS), np.int64)
            owner = np.zeros(len(world.occupants), np.int64)
            owner[cells] = np.arange(1, len(cells) + 1)
            assert (world.occupants == owner).all()
            for k in range(world.num_vehicles if is_aware else 0):
                check_safety(map, world, k, owner, faults)
            assert not found(faults)

    def test_follows_from_its_level_seed_alone(self, scenario, difficulty) -> None:
        maps, worlds, _ = levels(scenario, list(SEEDS)[:10], difficulty=difficulty)
        maps_again, again, _ = levels(scenario, list(SEEDS)[9::-1], difficulty=difficulty)  # other envs, other keys
        maps_again, again = maps_again[::-1], again[::-1]
        assert (worlds["key_0"] != again["key_0"]).any()
        for name in ENV_SEED_FIELDS:
            again[name] = worlds[name]
        assert (worlds == again).all()
        assert (maps == maps_again).all()


@st.composite
def options_of(draw, scenario):
    """Level options of a scenario, anywhere in their ranges."""
    return {
        option.name: draw(st.integers(option.metadata["low"], option.metadata["high"]))
        for option in fields(scenario_of(scenario).config)
    }


@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep", "Autodrive", "Intersection", *CROSSINGS, "Parking"])
@given(data=st.data(), seed=st.integers(0, 2**62))
@settings(max_examples=effort(25, 50))
def test_any_options_give_levels_that_can_be_solved_in_time_or_none(scenario, data, seed) -> None:
    try:
        maps, worlds, options = levels(scenario, [seed], **data.draw(options_of(scenario)))
    except (ValueError, RuntimeError):  # options refused, or no level certified
        assume(False)
    top_speed, limit = scenario_of(scenario).speed_limit, entry_of(scenario).max_episode_steps
    has_idle = bool(options["has_idle"][0])
    if maps["has_reverse"][0]:
        ticks = ticks_to_park(maps[0], worlds[0])
    else:
        ticks = fewest_ticks(maps[0], worlds[0], top_speed, limit, has_idle, scenario == "Autodrive")
    assert 0 < ticks <= 2 * limit / 3


def amount(what, maps, worlds) -> float:
    """How much of something there is in a level, on average: vehicles, obstacles, people, or bends per row."""
    if what == "vehicles":
        return worlds["num_vehicles"].mean()
    if what == "people":  # and of those who may hesitate
        return worlds["num_people"].mean() + worlds["people"]["hesitates"].sum(axis=1).mean()
    if what == "obstacles":
        return (maps["ground"] >> 4 & 7 == OBSTACLE).sum(axis=1).mean()
    assert what == "bends"
    rows, width = int(maps["rows"][0]) + 2, int(maps["width"][0])
    kinds = (maps["ground"][:, : rows * width] >> 4 & 7).reshape(-1, rows, width)[:, 1:-1, 1:-1]
    left_edge = (kinds != OFF_ROAD).argmax(axis=2)
    return (np.diff(left_edge, axis=1) != 0).mean()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_harder_levels_hold_more_of_what_makes_them_hard(scenario) -> None:
    drawn = [levels(scenario, list(SEEDS)[:50], difficulty=difficulty)[:2] for difficulty in DIFFICULTIES]
    for what in FACTS[scenario].harder:
        easy, medium, hard = (amount(what, maps, worlds) for maps, worlds in drawn)
        assert easy < medium < hard, what


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_record_has_room_for_whatever_its_levels_hold(scenario, difficulty) -> None:
    maps, worlds, _ = levels(scenario, list(SEEDS)[:20], difficulty=difficulty)
    road = scenario_of(scenario)
    is_alike = road.maps_by != BY_POOL  # else their maps differ
    assert (maps["num_slots"] <= road.num_slots).all()
    assert (maps["num_junctions"] <= road.num_junctions).all()
    assert not is_alike or (maps["num_slots"] == road.num_slots).all()
    assert not is_alike or (maps["num_junctions"] == road.num_junctions).all()
    assert (maps["num_destinations"] <= road.num_destinations).all()
    assert (worlds["num_people"] == road.num_people(road.presets[difficulty])).all()


def test_the_search_finds_no_way_where_there_is_none() -> None:
    maps, worlds, _ = levels("Obstacles", [1])
    map, world = maps[0], worlds[0]
    assert fewest_ticks(map, world, 3, 100, True, False) > 0
    map.ground[20 * map.width : 21 * map.width] = OBSTACLE << 4
    assert fewest_ticks(map, world, 3, 100, True, False) == -1


def test_a_level_that_cannot_be_certified_is_refused() -> None:
    maps, _, options = levels("Obstacles", [1])
    shortest = int(maps["rows"][0]) - 1  # moves
    options["certified_within"] = (3 * shortest + 1) // 2 - 1  # ticks, one too few for the shortest way there is

    def certified(seed):
        maps, worlds = np.zeros(1, ROOMY_MAP), np.zeros(1, ROOMY_WORLD)
        worlds["level_seed"] = seed
        frame = generator_frame("Obstacles", maps, worlds, options)
        return lay_and_populate(frame.argument, 0)

    assert not any(certified(seed) for seed in range(20))
    options["certified_within"] += 1
    assert any(certified(seed) for seed in range(20))


def test_the_goal_is_where_the_drawing_says() -> None:
    for scenario in ("Obstacles", "LaneKeep", "Autodrive"):
        maps, _, _ = levels(scenario, range(5))
        for map in maps:
            cells = (int(map.rows) + 2) * int(map.width)
            rows, _ = rows_and_cols(map, np.flatnonzero(map.distances[:cells] == 0))
            assert set(rows.tolist()) == {0}
