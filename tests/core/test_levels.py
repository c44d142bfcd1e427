"""Every generated level can be solved in two thirds of its time, and follows from its level seed alone."""

from dataclasses import fields

import numpy as np
import pytest
from checker import FAULTS, check_safety, found
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from levels import levels
from search import fewest_ticks

from drivesim.core.world import GOAL, OBSTACLE, OFF_ROAD
from drivesim.registry import ENTRIES, scenario_of

SCENARIOS = [entry.name for entry in ENTRIES]
DIFFICULTIES = ("easy", "medium", "hard")
NUM_LEVELS = 200
SEEDS = range(10**9, 10**9 + NUM_LEVELS)
LANE_SEED_FIELDS = ("key", "episode")  # everything else of a fresh world belongs to the level


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
class TestEveryLevel:
    def test_has_a_legal_way_that_takes_at_most_two_thirds_of_the_time(self, scenario, difficulty) -> None:
        worlds, rules = levels(scenario, SEEDS, difficulty=difficulty)
        limit = scenario_of(scenario).max_episode_steps
        top_speed = min(scenario_of(scenario).limit, int(rules["top_speed"][0]))
        for world in worlds:
            if scenario == "Highway":  # a ring has no goal cell: the distance, once the car is up to speed
                ticks, speed, left = 0, int(world.vehicles[0].speed), int(world.drivers[0].remaining)
                while left > 0:
                    speed = min(speed + 1, top_speed)
                    ticks, left = ticks + 1, left - speed
            else:
                ticks = fewest_ticks(world, top_speed, limit, bool(rules["has_idle"][0]), scenario == "Autodrive")
            assert 0 < ticks <= 2 * limit / 3, world.level_seed

    def test_begins_with_everybody_on_the_road_and_able_to_stop(self, scenario, difficulty) -> None:
        worlds, _ = levels(scenario, SEEDS, difficulty=difficulty)
        is_aware = scenario != "Autodrive"
        for world in worlds:
            vehicles = world.vehicles[: world.num_vehicles]
            cells = vehicles["row"].astype(int) * world.cols + vehicles["col"]
            assert len(set(cells.tolist())) == world.num_vehicles
            masks = world.cells[cells] & 15
            assert (masks >> vehicles["heading"] & 1 == 1).all()
            assert (vehicles["speed"] >= 0).all()
            assert (vehicles["speed"] <= vehicles["limit"]).all()
            faults = np.zeros(len(FAULTS), np.int64)
            owner = np.zeros(len(world.cells), np.int64)
            owner[cells] = np.arange(1, len(cells) + 1)
            for k in range(world.num_vehicles if is_aware else 0):
                check_safety(world, k, owner, faults)
            assert not found(faults)

    def test_follows_from_its_level_seed_alone(self, scenario, difficulty) -> None:
        worlds, _ = levels(scenario, list(SEEDS)[:10], difficulty=difficulty)
        again, _ = levels(scenario, list(SEEDS)[9::-1], difficulty=difficulty)  # other lanes, other keys
        again = again[::-1].copy()
        assert (worlds["key"] != again["key"]).any()
        for name in LANE_SEED_FIELDS:
            again[name] = worlds[name]
        assert worlds.tobytes() == again.tobytes()

    def test_differs_from_that_of_any_other_seed(self, scenario, difficulty) -> None:
        worlds, _ = levels(scenario, SEEDS, difficulty=difficulty)
        for name in (*LANE_SEED_FIELDS, "level_seed", "attempt"):
            worlds[name] = 0
        distinct = len({world.tobytes() for world in worlds})
        assert distinct >= NUM_LEVELS * 0.98  # the smallest worlds may agree by chance


@st.composite
def options_of(draw, scenario):
    """Level options of a scenario, anywhere in their ranges."""
    return {
        option.name: draw(st.integers(option.metadata["low"], option.metadata["high"]))
        for option in fields(scenario_of(scenario).config)
    }


@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep", "Autodrive", "Intersection"])
@given(data=st.data(), seed=st.integers(0, 2**62))
@settings(max_examples=50)
def test_any_options_give_levels_that_can_be_solved_in_time_or_none(scenario, data, seed) -> None:
    try:
        worlds, rules = levels(scenario, [seed], **data.draw(options_of(scenario)))
    except (ValueError, RuntimeError):  # options refused, or no level certified
        assume(False)
    top_speed, limit = scenario_of(scenario).limit, scenario_of(scenario).max_episode_steps
    has_idle = bool(rules["has_idle"][0])
    assert 0 < fewest_ticks(worlds[0], top_speed, limit, has_idle, scenario == "Autodrive") <= 2 * limit / 3


def hardness(scenario, worlds) -> float:
    """What should grow with the difficulty: vehicles, obstacles, bends."""
    if scenario in ("Highway", "Intersection"):
        return worlds["num_vehicles"].mean()
    if scenario == "LaneKeep":
        rows, cols = int(worlds["rows"][0]), int(worlds["cols"][0])
        is_road = (worlds["cells"][:, : rows * cols] >> 4 != OFF_ROAD).reshape(-1, rows, cols)
        left_edge = is_road.argmax(axis=2)
        return (np.diff(left_edge, axis=1) != 0).mean()
    return (worlds["cells"] >> 4 == OBSTACLE).sum(axis=1).mean() + worlds["num_vehicles"].mean()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_harder_levels_hold_more_of_what_makes_them_hard(scenario) -> None:
    easy, medium, hard = (
        hardness(scenario, levels(scenario, list(SEEDS)[:50], difficulty=difficulty)[0]) for difficulty in DIFFICULTIES
    )
    assert easy < medium < hard


def test_the_search_finds_no_way_where_there_is_none() -> None:
    worlds, _ = levels("Obstacles", [1])
    world = worlds[0]
    assert fewest_ticks(world, 3, 100, True, False) > 0
    world.cells[20 * world.cols : 21 * world.cols] = OBSTACLE << 4
    assert fewest_ticks(world, 3, 100, True, False) == -1


def test_a_level_that_cannot_be_certified_is_refused() -> None:
    worlds, rules = levels("Obstacles", [1])
    shortest = int(worlds["rows"][0]) - 1  # moves
    rules["level_limit"] = (3 * shortest + 1) // 2 - 1  # ticks, one too few for the shortest way there is
    queue = np.empty(2 * worlds["cells"].shape[1], np.int16)
    generate = scenario_of("Obstacles").generate
    blank = np.zeros(1, worlds.dtype)

    def certified(seed):
        blank[:] = np.zeros(1, worlds.dtype)
        blank["level_seed"] = seed
        return generate(blank[0], rules[0], queue)

    assert not any(certified(seed) for seed in range(20))
    rules["level_limit"] += 1
    assert any(certified(seed) for seed in range(20))


def test_the_goal_is_where_the_drawing_says() -> None:
    for scenario in ("Obstacles", "LaneKeep", "Autodrive"):
        worlds, _ = levels(scenario, range(5))
        for world in worlds:
            rows = {int(cell) // int(world.cols) for cell in np.flatnonzero(world.cells >> 4 == GOAL)}
            assert rows == {0}
