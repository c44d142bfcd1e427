"""Options that do not exist, are of a wrong type or out of range are refused by name when the environment is made."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import AUTODRIVE, HIGHWAY, INTERSECTION, LANE_KEEP, OBSTACLES, assert_refused
from gymnasium.vector import AutoresetMode

from drivesim.config import EnvConfig, RewardWeights
from drivesim.core.prices import PRICES
from drivesim.env import DriveEnv
from drivesim.registry import ENTRIES, entry_of, scenario_of
from drivesim.vector_env import DriveVectorEnv

NAN = float("nan")
BAD_OPTIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"difficulty": "extreme"}, ("difficulty", "'extreme'", "'easy', 'medium', 'hard'")),
    ({"difficulty": None}, ("difficulty", "None", "'easy'")),
    ({"difficulty": 1}, ("difficulty", "1", "'easy'")),
    ({"difficulty": "Easy"}, ("difficulty", "'Easy'", "'easy'")),
    ({"split": "valid"}, ("split", "'valid'", "'train', 'test'")),
    ({"split": True}, ("split", "True", "'train', 'test'")),
    ({"observation": "image"}, ("observation", "'image'", "'grid', 'features', 'full_grid', 'entities', 'rgb'")),
    ({"observation": ["grid"]}, ("observation", "['grid']", "'grid'")),
    ({"window": 8}, ("window", "8", "(ahead, behind, beside)")),
    ({"window": (8, 3)}, ("window", "(8, 3)", "(ahead, behind, beside)")),
    ({"window": (8, 3, -1)}, ("window", "beside", "-1", "[0, 64]")),
    ({"window": (65, 3, 1)}, ("window", "ahead", "65", "[0, 64]")),
    ({"window": (8, 3.0, 1)}, ("window", "behind", "3.0", "integer")),
    ({"window": (49, 50, 1)}, ("window", "(49, 50, 1)", "100 cells")),  # of the ring, of which half is 50
    ({"window": (8, 3, 1), "observation": "features"}, ("window", "(8, 3, 1)", "'grid'", "'features'")),
    ({"num_entities": 1, "observation": "entities"}, ("num_entities", "1", "[2, 32]")),
    ({"num_entities": 33, "observation": "entities"}, ("num_entities", "33", "[2, 32]")),
    ({"num_entities": 8}, ("num_entities", "8", "'entities'", "'grid'")),
    ({"all_planes": 1}, ("all_planes", "1", "bool")),
    ({"all_planes": True, "observation": "full_grid"}, ("all_planes", "True", "'grid'", "'full_grid'")),
    ({"all_actions": None}, ("all_actions", "None", "bool")),
    ({"reward": "dense"}, ("reward", "'dense'", "'route', 'shaped', 'sparse', 'cost'")),
    ({"reward": None}, ("reward", "None", "'route'")),
    ({"traffic": "idm"}, ("traffic", "'idm'", "'krauss', 'nasch', 'unaware'")),
    ({"render_mode": "rgb"}, ("render_mode", "'rgb'", "'human', 'rgb_array', 'ansi'")),
    ({"num_levels": 0}, ("num_levels", "0", "[1, 2147483647]")),
    ({"num_levels": -1}, ("num_levels", "-1")),
    ({"num_levels": 2**40}, ("num_levels", str(2**40), "2147483647")),
    ({"num_levels": 2.0}, ("num_levels", "2.0", "integer")),
    ({"num_levels": True}, ("num_levels", "True", "integer")),
    ({"num_levels": "3"}, ("num_levels", "'3'", "integer")),
    ({"dawdle": 1.5}, ("dawdle", "1.5", "[0, 1]")),
    ({"dawdle": -0.1}, ("dawdle", "-0.1", "[0, 1]")),
    ({"dawdle": NAN}, ("dawdle", "nan", "[0, 1]")),
    ({"dawdle": 10**400}, ("dawdle", "[0, 1]")),
    ({"dawdle": True}, ("dawdle", "True", "[0, 1]")),
    ({"dawdle": "0.1"}, ("dawdle", "'0.1'", "[0, 1]")),
    ({"dawdle": 1j}, ("dawdle", "1j", "[0, 1]")),
    ({"diffculty": "easy"}, ("'diffculty'", "'difficulty'", "'num_lanes'", "'reward_weights'")),
    ({"num_obstacles": 3}, ("'num_obstacles'", "'num_vehicles'")),  # another scenario's option
    ({"level": {"length": 80}}, ("'level'", "'length'")),
    ({"num_vehicles": -1}, ("num_vehicles", "-1", "[0, 47]")),
    ({"num_vehicles": 48}, ("num_vehicles", "48", "[0, 47]")),
    ({"num_vehicles": 4.0}, ("num_vehicles", "4.0", "integer")),
    ({"num_vehicles": None}, ("num_vehicles", "None", "integer")),
    ({"num_vehicles": True}, ("num_vehicles", "True", "integer")),
    ({"slowest": 4, "fastest": 2}, ("slowest", "4", "2")),
    ({"distance": 1000}, ("distance", "1000")),
    ({"length": 40, "num_lanes": 1, "num_vehicles": 11}, ("num_vehicles", "11", "40")),
    ({"num_lanes": 1, "num_vehicles": 20}, ("distance", "at most 34", "20 vehicles in 1 lane of 100 cells", "130")),
    ({"num_lanes": 2, "num_vehicles": 47, "fastest": 1}, ("distance", "at most 34", "47 vehicles in 2 lanes", "130")),
    ({"reward_weights": {"colision": -2.0}}, ("'colision'", "'collision'", "'offset_factor'")),
    ({"reward_weights": {"collision": 1.0}}, ("collision", "1.0", "at most 0")),
    ({"reward_weights": {"arrived": -1.0}}, ("arrived", "-1.0", "at least 0")),
    ({"reward_weights": {"progress": NAN}}, ("progress", "nan", "finite")),
    ({"reward_weights": {"progress": float("inf")}}, ("progress", "inf", "finite")),
    ({"reward_weights": {"progress": 10**400}}, ("progress", "finite")),
    ({"reward_weights": {"progress": 1.7e308}}, ("progress", "1.7e+308", "at most 1e+06")),
    ({"reward_weights": {"collision": -1.7e308}}, ("collision", "-1.7e+308", "at least -1e+06")),
    ({"reward_weights": {"progress": "1"}}, ("progress", "'1'", "number")),
    ({"reward_weights": {"progress": True}}, ("progress", "True", "number")),
    ({"reward_weights": {"progress": None}}, ("progress", "None", "number")),
    ({"reward_weights": {"harsh_factor": 0.0}}, ("harsh_factor", "0.0", "(0, 1]")),
    ({"reward_weights": {"harsh_factor": 1.01}}, ("harsh_factor", "1.01", "(0, 1]")),
    ({"reward_weights": {"harsh_factor": -0.5}}, ("harsh_factor", "-0.5", "(0, 1]")),
    ({"reward_weights": [1.0]}, ("reward_weights", "[1.0]", "RewardWeights")),
    ({"reward_weights": 2.0}, ("reward_weights", "2.0", "RewardWeights")),
]
BAD_VECTOR_OPTIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    *(
        ({"num_envs": value}, ("num_envs", str(value)))
        for value in (0, -1, 10**12, 2**70, True, 2.0, NAN, None, "4", [4])
    ),
    *(
        ({"max_episode_steps": value}, ("max_episode_steps", str(value)))
        for value in (0, -2, 10**12, 1.5, True, "50", NAN)
    ),
    *(({"num_threads": value}, ("num_threads", str(value))) for value in (0, -1, 10**6, 1.5, True, "2")),
    *(({"copy": value}, ("copy", str(value), "bool")) for value in (1, 0, None, "yes", np.True_)),
    *(
        ({"autoreset_mode": value}, ("autoreset_mode", str(value), "'NextStep', 'SameStep', 'Disabled'"))
        for value in ("Always", "", None, 1, True, "next_step")
    ),
]


@pytest.mark.filterwarnings("ignore:.*render_mode:UserWarning")  # Gymnasium's own word on an unknown one
@pytest.mark.parametrize(("options", "parts"), BAD_OPTIONS, ids=lambda value: str(value)[:50])
def test_a_wrong_option_is_refused_with_its_name_its_value_and_what_is_allowed(options, parts) -> None:
    for make in (
        lambda: gym.make(HIGHWAY, **options),
        lambda: gym.make_vec(HIGHWAY, num_envs=2, **options),
        lambda: DriveEnv("Highway", **options),
        lambda: DriveVectorEnv("Highway", 2, **options),
    ):
        assert_refused(make, *parts)


@pytest.mark.parametrize(("options", "parts"), BAD_VECTOR_OPTIONS, ids=lambda value: str(value)[:50])
def test_a_wrong_option_of_a_batch_is_refused_with_its_name_and_its_value(options, parts) -> None:
    assert_refused(lambda: gym.make_vec(HIGHWAY, **{"num_envs": 2, **options}), *parts)
    assert_refused(lambda: DriveVectorEnv("Highway", **options), *parts)


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        ("drivesim/Merge-v1", {"num_lanes": 1, "num_vehicles": 20, "slowest": 1, "fastest": 1}),
        ("drivesim/Merge-v1", {"num_lanes": 2, "num_vehicles": 28, "slowest": 1, "fastest": 5}),
        ("drivesim/Exit-v1", {"num_lanes": 2, "num_vehicles": 40, "slowest": 2, "fastest": 2}),
    ],
)
def test_traffic_behind_which_nobody_arrives_in_time_is_refused(env_id, options) -> None:
    assert_refused(lambda: gym.make(env_id, **options), "slowest", str(options["num_vehicles"]), "60 steps")


@pytest.mark.parametrize("scenario", ["Motorway", "highway", None, 4, "drivesim/Highway-v1", ["Highway"]])
def test_an_unknown_scenario_is_refused_with_those_there_are(scenario) -> None:
    for make in (DriveEnv, DriveVectorEnv, EnvConfig, entry_of, scenario_of):
        assert_refused(lambda make=make: make(scenario), "scenario", repr(scenario), "'Highway'", "'LaneKeep'")


def test_a_misspelt_or_wrong_weight_is_an_error_of_the_dataclass_itself() -> None:
    with pytest.raises(TypeError, match="colision"):
        RewardWeights(colision=-1.0)
    assert_refused(lambda: RewardWeights(collision=0.5), "collision", "at most 0")
    assert RewardWeights(collision=-0.0, progress=0) == RewardWeights(collision=0, progress=0.0)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_level_option_states_a_range_and_keeps_to_it(entry) -> None:
    scenario = scenario_of(entry.name)
    for name, option in scenario.config.__dataclass_fields__.items():
        low, high = option.metadata["low"], option.metadata["high"]
        for value in (low - 1, high + 1, -(10**9), 2**70):
            assert_refused(
                lambda name=name, value=value: gym.make(entry.id, **{name: value}), name, str(value), f"[{low}, {high}]"
            )
        for value in (1.0, "1", None, True, [1]):
            assert_refused(lambda name=name, value=value: gym.make(entry.id, **{name: value}), name, f"[{low}, {high}]")


def test_level_options_at_the_ends_of_their_ranges_work_where_they_fit() -> None:
    for env_id, options in (
        (AUTODRIVE, {"num_obstacles": 0, "crossing_cars": 0}),
        (LANE_KEEP, {"length": 64, "half_lane": 3, "wander": 100}),
        (LANE_KEEP, {"length": 16, "half_lane": 1, "wander": 0}),
        (OBSTACLES, {"length": 66, "num_lanes": 6, "num_obstacles": 0, "num_walls": 0, "num_closed": 0}),
        (HIGHWAY, {"num_lanes": 1, "num_vehicles": 0, "slowest": 5, "fastest": 5}),
        (HIGHWAY, {"num_lanes": 5, "length": 140, "num_vehicles": 47}),
        (INTERSECTION, {"num_vehicles": 20, "distance": 13}),
        (INTERSECTION, {"num_vehicles": 0, "distance": 3, "green": 4}),
    ):
        envs = gym.make_vec(env_id, num_envs=8, **options)
        envs.reset(seed=0)
        for _ in range(40):
            obs = envs.step(envs.action_space.sample())[0]
            assert obs in envs.observation_space


def test_numbers_of_every_kind_are_options() -> None:
    plain = gym.make_vec(HIGHWAY, num_envs=2, num_vehicles=9, num_levels=5, dawdle=0.5, max_episode_steps=10).unwrapped
    for integer in (np.int8, np.uint16, np.int64, np.array):
        envs = gym.make_vec(
            HIGHWAY,
            num_envs=integer(2),
            num_vehicles=integer(9),
            num_levels=integer(5),
            dawdle=np.float32(0.5),
            max_episode_steps=integer(10),
        ).unwrapped
        assert envs.config == plain.config
        assert envs.num_envs == 2
        assert (envs._engine.options == plain._engine.options).all()
    for mode in AutoresetMode:
        assert gym.make_vec(HIGHWAY, autoreset_mode=mode.name).unwrapped.autoreset_mode is mode


def test_rewards_and_returns_are_finite_whatever_the_weights() -> None:
    """In 32 bits too, in which learners keep them."""
    most = {price.name: 1e6 if price.default > 0.0 else -1e6 for price in PRICES if price.heads}
    envs = gym.make_vec(HIGHWAY, num_envs=64, reward="shaped", reward_weights=most, max_episode_steps=-1)
    envs.reset(seed=0)
    total = np.zeros(64, np.float32)
    for _ in range(60):
        rewards = envs.step(envs.action_space.sample())[1]
        total += rewards.astype(np.float32)
        assert np.isfinite(rewards).all()
        assert np.isfinite(total).all()
    assert np.isfinite(envs.unwrapped.get_state()["world"]["egos"]["return_sum"]).all()


def test_overtake_refuses_more_oncoming_traffic_than_leaves_a_gap_to_overtake_in() -> None:
    env_id, most = "drivesim/Overtake-v1", {"num_slow": 8, "oncoming_speed": 3, "closed": 0}
    assert_refused(
        lambda: gym.make(env_id, num_oncoming=7, **most), "num_oncoming", "at most 6", "num_slow = 8", "closed = 0", "7"
    )
    for fits in ({"num_oncoming": 6, **most}, {"num_oncoming": 20, "num_slow": 0, "closed": 40}):
        gym.make(env_id, **fits)


def test_overtake_refuses_stretches_without_overtaking_that_are_too_long_for_its_slow_cars() -> None:
    env_id, few = "drivesim/Overtake-v1", {"num_slow": 8, "num_oncoming": 0, "oncoming_speed": 3}
    for allowed, longest in ((8, 6), (12, 10), (40, 10)):
        gym.make(env_id, allowed=allowed, closed=longest, **few)
        assert_refused(
            lambda allowed=allowed, longest=longest: gym.make(env_id, allowed=allowed, closed=longest + 1, **few),
            *("closed", f"at most {longest}", f"allowed = {allowed}", "num_slow = 8", str(longest + 1)),
        )
    assert_refused(
        lambda: gym.make(env_id, allowed=12, closed=10, **(few | {"num_oncoming": 1})), "num_oncoming", "at most 0"
    )
    gym.make(env_id, allowed=68, closed=40, **few)  # the first closed stretch lies behind the goal
