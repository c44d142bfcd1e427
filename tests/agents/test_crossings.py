"""What FourWayStop, Roundabout and Crosswalk are about, measured with drivers that leave it out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

import drivesim
from agents.environments import EnvChoice
from agents.evaluation import first_episodes
from agents.scripted import make_scripted
from agents.scripted.window import View, ahead, own_speed, speed_action
from drivesim.observations.grid import PLANES, shown_planes
from drivesim.registry import entry_of_id, scenario_of

FOUR_WAY_STOP, ROUNDABOUT, CROSSWALK = (f"drivesim/{name}-v1" for name in ("FourWayStop", "Roundabout", "Crosswalk"))
IDS = (FOUR_WAY_STOP, ROUNDABOUT, CROSSWALK)
EPISODES = 600
ON_CROSSWALK = 32  # value of the plane `signal`

Actions = NDArray[np.int64]
Seen = dict[str, int]
"""Values that are shown all over a plane, whatever there is."""


def drive(env_id: str, policy: Callable[[NDArray[Any]], Actions], difficulty: str = "medium") -> dict[str, Any]:
    """The ends of the first episodes on held-out levels."""
    return first_episodes(policy, EnvChoice(env_id, observation="grid", difficulty=difficulty), EPISODES, 0, "test")


@cache
def rule_based(env_id: str, difficulty: str = "medium", max_speed: int | None = None) -> dict[str, Any]:
    """The same of the rule-based driver."""
    return drive(env_id, make_scripted(env_id, max_speed), difficulty)


def misled(env_id: str, seen: Seen) -> Callable[[NDArray[Any]], Actions]:
    """The rule-based driver, to whom some planes show always the same."""
    driver = make_scripted(env_id)
    planes = shown_planes(scenario_of(entry_of_id(env_id).name).window)
    assert set(seen) <= set(planes) <= set(PLANES)

    def policy(obs: NDArray[Any]) -> Actions:
        obs = obs.copy()
        for name, value in seen.items():
            obs[:, planes.index(name)] = value
        return driver(obs)

    return policy


def stopping_everywhere(obs: NDArray[Any]) -> Actions:
    """The rule-based driver of Crosswalk, but that it comes to rest before every crosswalk, whoever is there."""
    view = View(obs, scenario_of("Crosswalk").window)
    speed = own_speed(view)
    wish = np.select([(actions := make_scripted(CROSSWALK)(obs)) == 3, actions == 4], [speed + 1, speed - 1], speed)
    is_crosswalk = ahead(view, "signal")[:, 1:, view.window.beside] == ON_CROSSWALK
    gap = np.where(is_crosswalk.any(axis=1), is_crosswalk.argmax(axis=1), 99)
    chosen = np.maximum(speed - 1, 0)
    for faster in (speed, speed + 1):
        can_stop = (faster * (faster + 1) // 2 <= gap) | ((speed == 0) & (gap == 0))
        chosen = np.where((faster <= wish) & can_stop, faster, chosen)
    return speed_action(speed, chosen)


@pytest.mark.parametrize("env_id", IDS)
def test_hard_levels_take_the_rule_based_driver_longer_and_nobody_is_hit(env_id: str) -> None:
    lengths = []
    for difficulty in ("easy", "medium", "hard"):
        ends = rule_based(env_id, difficulty)
        assert ends["success"].mean() >= 0.99
        for fault in ("collision", "pedestrian_hit", "off_road", "ran_stop", "wrong_way"):
            assert ends[fault].sum() == 0, fault
        assert ends["failed_to_yield"].mean() <= 0.01
        lengths.append(ends["episode_length"].mean())
    easy, medium, hard = lengths
    assert easy < medium
    assert hard >= 1.1 * medium


@pytest.mark.parametrize("env_id", IDS)
def test_the_reward_threshold_lies_between_a_slow_driver_and_the_rule_based_one(env_id: str) -> None:
    slow = rule_based(env_id, max_speed=1)["episode_return"].mean()
    assert slow < entry_of_id(env_id).reward_threshold < rule_based(env_id)["episode_return"].mean()


def test_who_does_not_stand_at_the_line_has_failed_though_it_arrives() -> None:
    ends = drive(FOUR_WAY_STOP, misled(FOUR_WAY_STOP, {"signal": 0, "my_turn": 255}))
    has_arrived = ends["route_completion"] == 1.0
    has_run = ends["ran_stop"] > 0
    assert has_arrived.mean() >= 0.5
    assert has_run[has_arrived].mean() >= 0.8  # the others had to stop there behind somebody
    assert ends["success"][has_run].sum() == 0
    slow = rule_based(FOUR_WAY_STOP, max_speed=1)["episode_return"].mean()
    assert ends["episode_return"][has_run].max() <= slow - 0.3


def test_who_takes_every_turn_at_a_roundabout_for_its_own_is_sooner_there_and_returns_less() -> None:
    ends, polite = drive(ROUNDABOUT, misled(ROUNDABOUT, {"my_turn": 255})), rule_based(ROUNDABOUT)
    assert ends["failed_to_yield"].mean() >= 0.3
    assert ends["episode_length"].mean() <= 0.8 * polite["episode_length"].mean()
    assert ends["episode_return"].mean() <= polite["episode_return"].mean() - 0.1


def test_the_exit_of_a_roundabout_is_seldom_straight_on() -> None:
    envs = gym.make_vec(ROUNDABOUT, num_envs=1000, split="test").unwrapped
    envs.reset(seed=list(range(1000)))
    turns = envs.get_state()["world"]["egos"]["next_turn"][:, 0]
    assert (turns == 0).mean() <= 0.15
    assert min((turns == side).mean() for side in (-1, 1)) >= 0.3


def test_who_heeds_cars_but_no_people_hits_somebody_on_every_second_street() -> None:
    ends = drive(CROSSWALK, misled(CROSSWALK, {"pedestrian": 0}))
    assert ends["success"].mean() <= 0.65
    assert ends["collision"].sum() == 0
    assert ends["pedestrian_hit"].mean() >= 0.35


@pytest.mark.parametrize("env_id", [FOUR_WAY_STOP, ROUNDABOUT])
def test_several_egos_of_the_rule_based_driver_let_each_other_pass(env_id: str) -> None:
    driver, num_worlds, num_agents = make_scripted(env_id), 60, 4
    envs = drivesim.parallel_vec_env(env_id, num_worlds, num_agents, observation="grid", split="test")
    obs, _ = envs.reset(seed=0)
    is_open = np.ones(num_worlds * num_agents, np.bool_)
    ends = {name: np.zeros(len(is_open)) for name in ("success", "collision")}
    while is_open.any():
        obs, _, terminations, truncations, infos = envs.step(driver(obs))
        first = (terminations | truncations) & is_open
        for name, values in ends.items():
            values[first] = infos["final_info"][name][first] if first.any() else 0
        is_open &= ~first
    assert ends["success"].mean() >= 0.95
    assert ends["collision"].sum() == 0


def test_stopping_for_nobody_costs_time() -> None:
    ends, brisk = drive(CROSSWALK, stopping_everywhere), rule_based(CROSSWALK)
    assert ends["success"].mean() >= 0.99
    assert ends["episode_length"].mean() >= 1.25 * brisk["episode_length"].mean()
    assert ends["episode_return"].mean() <= brisk["episode_return"].mean() - 0.03


def test_some_people_hesitate_and_some_do_not() -> None:
    for difficulty, share in (("easy", 0.5), ("medium", 0.8), ("hard", 1.0)):
        envs = gym.make_vec(CROSSWALK, num_envs=500, difficulty=difficulty).unwrapped
        envs.reset(seed=0)
        world = envs.get_state()["world"]
        assert world["people"]["hesitates"].sum() / world["num_people"].sum() == pytest.approx(share, abs=0.05)
