"""Under the default reward the best driver is a good one to sit in: brisk, calm, and it keeps its lane."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from best_drives import Drive, Road, best_drive, fastest, fewest_lane_changes, rewards_of, road_of
from levels import levels

from drivesim.config import RewardWeights
from drivesim.planning import solve
from drivesim.registry import entry_of, scenario_of

SEEDS = range(8)
WEIGHTS = RewardWeights()


def roads_of(scenario: str, difficulty: str) -> list[Road]:
    maps, worlds, _ = levels(scenario, SEEDS, difficulty=difficulty)
    return [road_of(map, world) for map, world in zip(maps, worlds, strict=True)]


def best(scenario: str, road: Road, weights: RewardWeights = WEIGHTS) -> Drive:
    limit = scenario_of(scenario).speed_limit
    horizon = entry_of(scenario).max_episode_steps
    return best_drive(road, rewards_of(road, weights, limit, horizon), limit, horizon)


@pytest.mark.parametrize("difficulty", ["medium", "hard"])
@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep"])
def test_the_best_drive_is_brisk_and_legal(scenario, difficulty) -> None:
    shares = []
    for road in roads_of(scenario, difficulty):
        drive = best(scenario, road)
        shares.append(len(drive.actions) / fastest(road, scenario_of(scenario).speed_limit, 100))
        assert drive.num_speeding == 0
        assert drive.mean_offset <= 0.4, "far from the 0.5 that fail"
        assert 1.6 <= drive.total <= 2.0
    assert np.mean(shares) <= 1.25
    assert max(shares) <= 1.35


@pytest.mark.parametrize("difficulty", ["medium", "hard"])
def test_the_best_drive_changes_lane_hardly_more_often_than_it_must(difficulty) -> None:
    roads = roads_of("Obstacles", difficulty)
    needless = [best("Obstacles", road).num_lane_changes - fewest_lane_changes(road, 3) for road in roads]
    assert np.mean(needless) <= 1.0
    assert max(needless) <= 4


@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep"])
def test_the_environment_pays_what_the_search_says(scenario) -> None:
    env = gym.make(entry_of(scenario).id)
    for seed, road in zip(SEEDS, roads_of(scenario, "medium"), strict=True):
        drive = best(scenario, road)
        env.reset(seed=0, options={"level_seed": seed})
        for action in drive.actions:
            _, _, terminated, _, info = env.step(action)
        assert terminated
        assert info["success"]
        assert info["episode_return"] == pytest.approx(drive.total, abs=1e-9)
        assert info["num_lane_changes"] == drive.num_lane_changes
        assert info["mean_lane_offset"] == pytest.approx(drive.mean_offset)


@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep"])
def test_the_oracle_finds_what_the_search_finds(scenario) -> None:
    env = gym.make(entry_of(scenario).id)
    for seed, road in zip(SEEDS, roads_of(scenario, "medium"), strict=True):
        env.reset(seed=0, options={"level_seed": seed})
        assert solve(env).lower == pytest.approx(best(scenario, road).total, abs=1e-9)


def test_without_a_price_on_time_the_best_drive_creeps() -> None:
    free = RewardWeights(time=-1e-6)
    for road in roads_of("LaneKeep", "medium"):
        assert len(best("LaneKeep", road, free).actions) > 1.4 * fastest(road, 3, 100)
