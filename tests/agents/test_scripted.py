"""The rule-based drivers, and what is measured beside them: a random driver and one that never steers."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from effort import effort
from scenario_facts import DRIVEN, facts_of

import agents.scripted
from agents.environments import EnvChoice, generates_levels
from agents.evaluation import Policy, evaluate, first_episodes
from agents.random_agent import make_random
from agents.scripted import ScriptedDriver, make_ignoring, make_never_steering, make_scripted
from agents.scripted.traffic import TrafficDriver
from agents.scripted.window import TOWARDS_ME
from drivesim import Action
from drivesim.observations.grid import shown_planes
from drivesim.registry import scenario_of

GENERATED = list(filter(generates_levels, DRIVEN))
BUSY = [env_id for env_id in GENERATED if "vehicles" in facts_of(env_id).harder and env_id != "drivesim/Autodrive-v1"]
"""Where there is more traffic than the few cars that cross a field."""
OVERTAKE = "drivesim/Overtake-v1"
MOTORWAYS = ["drivesim/Merge-v1", "drivesim/Exit-v1", OVERTAKE]
EPISODES = effort(300, 600)
TOLERANCE = effort(0.05, 0.04)  # two standard errors of a rate of 0.15 are 0.04 or 0.03


def drive(env_id: str, policy: Policy, observation: str, episodes: int = EPISODES) -> dict[str, Any]:
    return evaluate(policy, EnvChoice(env_id, observation=observation), episodes=episodes, seed=0)


@cache
def rule_based(env_id: str) -> dict[str, Any]:
    driver = make_scripted(env_id)
    return drive(env_id, driver, driver.observation)


@cache
def never_steering(env_id: str) -> float:
    drivers = [make_never_steering(env_id, reckless=reckless) for reckless in (False, True)]
    return max(drive(env_id, driver, driver.observation)["success_rate"] for driver in drivers)


def first_obs(driver: Any, env_id: str, num_envs: int, steps: int) -> np.ndarray:
    envs = gym.make_vec(env_id, num_envs=num_envs, observation=driver.observation, **EnvChoice(env_id).options("test"))
    obs, _ = envs.reset(seed=7)
    for _ in range(steps):
        obs = envs.step(driver(obs))[0]
    return obs


@pytest.mark.parametrize("env_id", DRIVEN)
def test_a_random_driver_hardly_ever_succeeds(env_id: str) -> None:
    num_actions = gym.spec(env_id).make().action_space.n
    driver = make_scripted(env_id)
    rate = drive(env_id, make_random(num_actions, 0), driver.observation, episodes=600)["success_rate"]
    assert rate <= 0.05
    assert rate == pytest.approx(facts_of(env_id).success[0], abs=TOLERANCE)


@pytest.mark.parametrize("env_id", DRIVEN)
def test_who_never_steers_mostly_fails(env_id: str) -> None:
    rate = never_steering(env_id)
    assert rate <= 0.20 or not facts_of(env_id).steers
    assert rate == pytest.approx(facts_of(env_id).success[1], abs=TOLERANCE)


@pytest.mark.parametrize("env_id", DRIVEN)
def test_the_rule_based_driver_succeeds(env_id: str) -> None:
    record = rule_based(env_id)
    assert record["success_rate"] >= 0.90
    assert record["success_rate"] >= facts_of(env_id).success[2] - TOLERANCE
    assert record["off_road_rate"] == 0.0


@pytest.mark.parametrize("env_id", BUSY)
def test_who_ignores_others_mostly_fails(env_id: str) -> None:
    driver = make_ignoring(env_id)
    assert drive(env_id, driver, driver.observation)["success_rate"] <= 0.60


def test_who_ignores_others_drives_as_if_alone_and_stops_at_red() -> None:
    driver = make_ignoring("drivesim/Intersection-v1")
    empty = EnvChoice("drivesim/Intersection-v1", observation=driver.observation)
    ends = first_episodes(driver, empty, EPISODES, 0, "test")
    assert ends["red_light"].sum() == 0
    assert ends["collision"].mean() >= 0.30
    alone = gym.make_vec("drivesim/Intersection-v1", num_envs=50, num_vehicles=0, observation=driver.observation)
    obs, _ = alone.reset(seed=0)
    for _ in range(40):
        actions = driver(obs)
        np.testing.assert_array_equal(actions, make_scripted("drivesim/Intersection-v1")(obs))
        obs = alone.step(actions)[0]


def test_the_rule_based_driver_stops_at_red_and_takes_nobody_s_turn() -> None:
    driver = make_scripted("drivesim/Intersection-v1")
    config = EnvChoice("drivesim/Intersection-v1", observation=driver.observation)
    ends = first_episodes(driver, config, EPISODES, 0, "test")
    assert ends["red_light"].sum() == 0
    assert ends["failed_to_yield"].mean() <= 0.01
    assert ends["success"].mean() >= 0.99
    assert ends["wrong_way"].mean() <= 0.01


def blind_to_oncoming(driver: ScriptedDriver, planes: tuple[str, ...]) -> Policy:
    """Drives as if nobody ever came towards it."""

    def policy(obs: np.ndarray) -> np.ndarray:
        obs = obs.copy()
        vehicle, heading = (obs[:, planes.index(name)] for name in ("vehicle", "vehicle_heading"))
        vehicle[heading == TOWARDS_ME] = 0
        return driver(obs)

    return policy


def test_who_looks_out_overtakes_unhurt_and_who_does_not_look_out_meets_somebody() -> None:
    driver = make_scripted(OVERTAKE)
    config = EnvChoice(OVERTAKE, observation=driver.observation)
    ends = first_episodes(driver, config, EPISODES, 0, "test")
    assert ends["collision"].sum() == 0
    assert ends["wrong_way"].sum() == 0
    assert ends["num_lane_changes"].mean() >= 2
    blind = TrafficDriver(scenario_of("Overtake").window, scenario_of("Overtake").speed_limit)
    policy = blind_to_oncoming(blind, shown_planes(blind.window))
    assert drive(OVERTAKE, policy, driver.observation)["collision_rate"] >= 0.40


@pytest.mark.parametrize("env_id", MOTORWAYS)
def test_harder_traffic_costs_the_rule_based_driver_success_or_time(env_id: str) -> None:
    driver = make_scripted(env_id)
    hard = evaluate(
        driver, EnvChoice(env_id, observation=driver.observation, difficulty="hard"), episodes=EPISODES // 2, seed=0
    )
    medium = rule_based(env_id)
    takes_longer = hard["mean_length_of_successes"] >= 1.1 * medium["mean_length_of_successes"]
    assert takes_longer or hard["success_rate"] <= medium["success_rate"] - TOLERANCE


def test_in_a_car_park_the_rule_based_driver_hits_nobody() -> None:
    assert rule_based("drivesim/Parking-v1")["collision_rate"] <= 0.002


def test_on_the_highway_steering_is_what_makes_the_difference() -> None:
    assert rule_based("drivesim/Highway-v1")["success_rate"] >= never_steering("drivesim/Highway-v1") + 0.30


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
@pytest.mark.parametrize("env_id", GENERATED)
def test_the_other_difficulties_can_be_driven_too(env_id: str, difficulty: str) -> None:
    driver = make_scripted(env_id)
    config = EnvChoice(env_id, observation=driver.observation, difficulty=difficulty)
    assert evaluate(driver, config, episodes=EPISODES // 2, seed=0)["success_rate"] >= 0.80


@pytest.mark.parametrize("env_id", DRIVEN)
def test_a_driver_judges_every_env_alone_and_remembers_nothing(env_id: str) -> None:
    driver = make_scripted(env_id)
    obs = first_obs(driver, env_id, num_envs=40, steps=5)
    obs.setflags(write=False)
    actions = driver(obs)
    assert actions.dtype == np.int64
    np.testing.assert_array_equal(driver(obs), actions)
    np.testing.assert_array_equal(np.concatenate([driver(obs[i : i + 1]) for i in range(40)]), actions)
    np.testing.assert_array_equal(driver(obs[::-1])[::-1], actions)


@pytest.mark.parametrize("env_id", DRIVEN)
def test_who_never_steers_never_steers(env_id: str) -> None:
    steering = {Action.LEFT, Action.RIGHT} if gym.spec(env_id).make().action_space.n == 5 else {0, 1}
    for reckless in (False, True):
        driver = make_never_steering(env_id, reckless=reckless)
        obs = first_obs(driver, env_id, num_envs=200, steps=5)
        assert not steering & set(driver(obs).tolist())


@pytest.mark.parametrize("env_id", DRIVEN)
def test_a_driver_keeps_to_its_greatest_speed(env_id: str) -> None:
    driver = make_scripted(env_id, max_speed=1)
    envs = gym.make_vec(env_id, num_envs=50, observation=driver.observation, **EnvChoice(env_id).options("test"))
    obs, _ = envs.reset(seed=0)
    for _ in range(12):  # nobody arrives so early
        obs = envs.step(driver(obs))[0]
    speeds = envs.unwrapped.get_state()["world"]["vehicles"]["speed"][:, 0]
    assert speeds.max() == 1


def test_wrong_arguments_say_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"Obstacles-v1.*'drivesim/Obstakles-v0'"):
        make_scripted("drivesim/Obstakles-v0")
    with pytest.raises(ValueError, match=r"Obstacles-v1.*'Marking'"):
        make_never_steering("Marking")
    with pytest.raises(ValueError, match="max_speed must be at least 1, got 0"):
        make_scripted("drivesim/Obstacles-v1", max_speed=0)


def test_the_rules_know_observations_only_and_who_chooses_them_the_speed_limit() -> None:
    for path in Path(agents.scripted.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                allowed = name == "drivesim" or (name == "drivesim.registry" and path.name == "__init__.py")
                allowed |= name.startswith(("drivesim.observations", "agents.scripted"))
                assert allowed or not name.startswith(("drivesim", "agents", "torch")), (path.name, name)
