"""Rewards price events: terms, signs, sums, heads."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import (
    AUTODRIVE,
    CITY,
    FOUR_WAY_STOP,
    HIGHWAY,
    INTERSECTION,
    LANE_KEEP,
    OBSTACLES,
    draw_actions,
    stay,
)
from scenario_facts import IDS, facts_of

from drivesim.actions import Action
from drivesim.config import REWARDS, RewardWeights
from drivesim.core.prices import TERMS

LEFT, IDLE, RIGHT, FASTER, SLOWER = Action
SOFTLESS = {weight.name: 1.0 for weight in fields(RewardWeights) if weight.name.endswith("_factor")}
NO_COSTS = {"time": 0.0, "lane_change": 0.0}


def play(env: gym.Env, seed: int, action: Any = None) -> list[tuple[float, bool, dict[str, Any]]]:
    """An episode: random, or with a fixed action."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    steps = []
    ended = False
    while not ended:
        chosen = int(draw_actions(rng, env.action_space.n, None)) if action is None else action
        _, reward, terminated, truncated, info = env.step(chosen)
        steps.append((reward, terminated, info))
        ended = terminated or truncated
    return steps


SLOW = {HIGHWAY: 3}  # cells per tick at which there is time to arrive, else 1


def time_limit(env_id: str) -> int:
    """The level's own or the registered one."""
    env = gym.make(env_id)
    return env.unwrapped.config.level_max_steps or env.spec.max_episode_steps


def drive_home(env: gym.Env, seed: int) -> list[tuple[float, bool, dict[str, Any]]]:
    """An episode that arrives: slowly, always taking the action that gains most, on roads free of anything."""
    bare = env.unwrapped
    env.reset(seed=seed)
    steps = []
    while True:
        state = bare.get_state()
        gains = []
        for action in range(int(env.action_space.n)):
            bare.set_state(state)
            _, _, _, _, info = bare.step(action)
            speed = bare.get_state()["world"]["vehicles"]["speed"].flat[0]
            gain = info["route_completion"] - max(speed - SLOW.get(env.spec.id, 1), 0)
            is_legal = not info["off_road"] and not info["wrong_way"]
            gains.append((is_legal, gain, -info["mean_lane_offset"], -abs(action - 1), action))
        bare.set_state(state)
        _, reward, terminated, truncated, info = env.step(max(gains)[-1])
        steps.append((reward, terminated, info))
        if terminated or truncated:
            assert info["route_completion"] == 1.0  # it may have run a red light
            return steps


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("env_id", IDS)
def test_the_terms_sum_to_the_reward_and_the_rewards_to_the_return(env_id, reward) -> None:
    env = gym.make(env_id, reward=reward)
    assert set(env.reset(seed=0)[1]["reward_terms"].values()) == {0.0}
    for seed in range(15):
        total = 0.0
        for value, _, info in play(env, seed):
            assert tuple(info["reward_terms"]) == TERMS
            assert value == pytest.approx(sum(info["reward_terms"].values()), abs=1e-12)
            total += value
            assert info["episode_return"] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("env_id", IDS)
def test_penalties_are_never_positive_and_prizes_never_negative(env_id) -> None:
    seen = set()
    for reward in REWARDS:
        env = gym.make(env_id, reward=reward)
        for seed in range(25):
            for _, _, info in play(env, seed):
                terms = info["reward_terms"]
                assert terms.pop("arrived") >= 0.0
                terms.pop("progress")
                assert max(terms.values()) <= 0.0
                seen |= {name for name, value in terms.items() if value < 0.0}
    assert "off_road" in seen or env_id == HIGHWAY


@pytest.mark.parametrize("env_id", IDS)
def test_progress_sums_to_one_on_arrival_where_nothing_is_discounted(env_id) -> None:
    env = gym.make(env_id, reward_weights=SOFTLESS | NO_COSTS, **facts_of(env_id).empty)
    for seed in range(4):
        steps = drive_home(env, seed)
        terms = [info["reward_terms"] for _, _, info in steps]
        assert sum(term["progress"] for term in terms) == pytest.approx(1.0, abs=1e-9)
        assert [term["arrived"] for term in terms] == [0.0] * (len(terms) - 1) + [1.0]
        assert steps[-1][2]["route_completion"] == 1.0
        if env_id not in (INTERSECTION, FOUR_WAY_STOP, CITY):  # this driver looks at no signal and stops at no line
            assert steps[-1][2]["episode_return"] == pytest.approx(2.0, abs=1e-9)


@pytest.mark.parametrize("env_id", [LANE_KEEP, OBSTACLES, HIGHWAY, AUTODRIVE])
def test_soft_factors_make_gains_smaller_but_losses_count_in_full(env_id) -> None:
    # "shaped" prices harshness, so its terms tell when a factor was in force
    soft = gym.make(env_id, reward="shaped", **facts_of(env_id).empty)
    plain = gym.make(env_id, reward="shaped", reward_weights=SOFTLESS, **facts_of(env_id).empty)
    num_smaller = num_harsh_losses = 0
    for seed in range(60):
        for (_, _, info), (_, _, plain_info) in zip(play(soft, seed), play(plain, seed), strict=True):
            gain, full = info["reward_terms"]["progress"], plain_info["reward_terms"]["progress"]
            if full > 0.0:
                assert 0.0 < gain <= full
                num_smaller += gain < full
            else:
                assert gain == full
                num_harsh_losses += full < 0.0 and info["reward_terms"]["harsh"] < 0.0
    assert num_smaller > 10
    assert num_harsh_losses > 0 or env_id != AUTODRIVE  # the others are one-way


def test_every_weight_scales_its_own_term_and_no_other() -> None:
    for env_id, action in ((OBSTACLES, 3), (LANE_KEEP, 0)):
        base = play(gym.make(env_id, reward="shaped"), 1, action)
        for name in TERMS:
            default = getattr(RewardWeights(), name)
            scaled = gym.make(env_id, reward="shaped", reward_weights={name: 4.0 * default})
            for (_, _, info), (_, _, other) in zip(base, play(scaled, 1, action), strict=True):
                for term, value in info["reward_terms"].items():
                    factor = 4.0 if term == name else 1.0
                    assert other["reward_terms"][term] == pytest.approx(factor * value, abs=1e-12)


def test_the_default_weights_price_a_crash_at_minus_one_and_an_arrival_at_plus_one() -> None:
    _, terminated, info = play(gym.make(LANE_KEEP), 0, 0)[-1]
    assert terminated
    assert info["off_road"]
    assert info["reward_terms"]["off_road"] == -1.0
    _, _, info = play(gym.make(AUTODRIVE), 0, 2)[-1]  # an obstacle always stands straight ahead
    assert info["collision"]
    assert info["reward_terms"]["collision"] == -1.0
    _, _, info = drive_home(gym.make(OBSTACLES, **facts_of(OBSTACLES).empty), 0)[-1]
    assert info["reward_terms"]["arrived"] == 1.0


def test_sparse_rewards_come_at_the_end_only() -> None:
    for env_id in IDS:
        for seed in range(5):
            rewards = [value for value, _, _ in play(gym.make(env_id, reward="sparse"), seed)]
            assert not any(rewards[:-1])
    rewards = [
        value for value, _, _ in drive_home(gym.make(OBSTACLES, reward="sparse", **facts_of(OBSTACLES).empty), 0)
    ]
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]


def test_survival_earns_nothing_and_time_is_paid_for() -> None:
    standing = 0
    for env_id in IDS:
        env = gym.make(env_id)
        env.reset(seed=0)
        if env.unwrapped.get_state()["world"]["vehicles"]["speed"].flat[0] > 0:
            continue  # its ego starts at speed
        rewards = [value for value, _, _ in play(env, 0, stay(env_id))]
        limit = time_limit(env_id)
        assert rewards == [RewardWeights().time / limit] * limit, env_id
        standing += 1
    assert standing >= 8


@pytest.mark.parametrize("env_id", IDS)
def test_the_time_limit_costs_the_same_in_all_of_it_less_than_a_crash(env_id) -> None:
    rewards = [info["reward_terms"]["time"] for _, _, info in play(gym.make(env_id), 0)]
    assert set(rewards) == {-0.4 / time_limit(env_id)}
    for crash in ("collision", "off_road", "pedestrian_hit"):
        assert getattr(RewardWeights(), crash) < RewardWeights().time


def test_a_lane_change_costs_a_constant_whatever_was_gained() -> None:
    env = gym.make(OBSTACLES, **facts_of(OBSTACLES).empty)
    paid = set()
    for speed in range(1, 5):
        env.reset(seed=3)
        for action in [FASTER] * speed:
            env.step(action)
        for action in (LEFT, RIGHT, LEFT):
            _, _, terminated, _, info = env.step(action)
            if not terminated:
                paid.add(info["reward_terms"]["lane_change"])
    assert paid == {-0.01}
    assert info["num_lane_changes"] == 3


def test_info_counts_lane_changes_and_ticks_without_movement() -> None:
    env = gym.make(OBSTACLES, **facts_of(OBSTACLES).empty)
    env.reset(seed=3)
    for action in (IDLE, IDLE, LEFT, IDLE, RIGHT, SLOWER, IDLE):
        info = env.step(action)[4]
    assert (info["num_lane_changes"], info["ticks_standing"]) == (2, 4)


@pytest.mark.parametrize("env_id", IDS)
def test_the_safe_rl_head_puts_what_went_wrong_into_cost_and_not_into_the_reward(env_id) -> None:
    env = gym.make(env_id, reward="cost")
    assert env.reset(seed=0)[1]["cost"] == 0.0
    total = 0.0
    for seed in range(15):
        for _, terminated, info in play(env, seed):
            terms = info["reward_terms"]
            assert info["cost"] >= 0.0
            assert type(info["cost"]) is float
            assert {name for name, value in terms.items() if value != 0.0} <= {"progress", "arrived"}
            if terminated and not info["success"] and (info["collision"] or info["off_road"]):
                assert info["cost"] >= 1.0
            total += info["cost"]
    assert total > 0.0
    assert "cost" not in gym.make(env_id).reset(seed=0)[1]


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_a_batch_tells_the_cost_of_every_step(mode) -> None:
    envs = gym.make_vec(LANE_KEEP, num_envs=4, reward="cost", autoreset_mode=mode, max_episode_steps=12)
    singles = [gym.make(LANE_KEEP, reward="cost", max_episode_steps=12) for _ in range(4)]
    envs.reset(seed=0)
    for i, env in enumerate(singles):
        env.reset(seed=i)
    rng = np.random.default_rng(0)
    pending = np.zeros(4, np.bool_)
    num_costs = 0
    for _ in range(150):
        actions = draw_actions(rng, 5, 4)
        _, _, terminations, truncations, infos = envs.step(actions)
        assert infos["_cost"].all()
        ended = terminations | truncations
        for i, env in enumerate(singles):
            if mode == "NextStep" and pending[i]:
                env.reset()
                assert infos["cost"][i] == 0.0
                continue
            cost = env.step(int(actions[i]))[4]["cost"]
            assert infos["cost"][i] == cost
            num_costs += cost > 0
            if ended[i]:
                if mode == "SameStep":
                    assert infos["final_info"]["cost"][i] == cost
                if mode != "NextStep":
                    env.reset()
        if mode == "Disabled" and ended.any():
            envs.reset(options={"reset_mask": ended})
        pending = ended
    assert num_costs > 10
