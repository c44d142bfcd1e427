"""What `solve` says is so: no drive is better, and the environment pays what it promises."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from exhaustive import ALONE, best_of_all, states_on_the_way

from drivesim import Action
from drivesim.planning import solve
from drivesim.registry import IDS

TICKS = 5


@pytest.mark.slow
@pytest.mark.parametrize("env_id", IDS)
def test_no_drive_of_the_last_ticks_is_better_than_the_plan(env_id) -> None:
    env = gym.make(env_id)
    slower = env.unwrapped.action_names.index(Action.SLOWER.name)
    env.reset(seed=3)
    plan = solve(env, budget=20_000)
    half = plan.actions[: plan.ticks // 2]
    states = states_on_the_way(env, 3, plan.actions, [plan.ticks - 5, plan.ticks - 3, 0, plan.ticks // 2])
    states += states_on_the_way(env, 3, (*half, slower, slower, slower), [len(half) + 3])
    num_arrivals = 0
    for reward, gamma, few in (("route", 1.0, states), ("shaped", 0.9, states[:2]), ("sparse", 1.0, states[:1])):
        envs = gym.make_vec(env_id, num_envs=env.action_space.n**TICKS, reward=reward)
        envs.reset(seed=3)
        for state in few:
            limit = int(state["world"]["tick"][0]) + TICKS
            found = solve(gym.make(env_id, reward=reward, max_episode_steps=limit), gamma, state=state)
            assert found.is_exact
            assert found.lower == pytest.approx(best_of_all(envs, state, TICKS, gamma), abs=1e-9)
            num_arrivals += found.success
    assert num_arrivals > 0


@pytest.mark.parametrize(("env_id", "options"), ALONE.items())
def test_where_nobody_answers_the_plan_is_exact_and_paid_to_the_last_bit(env_id, options) -> None:
    for difficulty in ("easy", "medium", "hard"):
        env = gym.make(env_id, difficulty=difficulty, split="test", **options)
        for seed in range(2):
            env.reset(seed=seed)
            plan = solve(env)
            assert plan.is_exact
            assert plan.success
            for action in plan.actions:
                _, _, terminated, _, info = env.step(action)
            assert terminated
            assert info["episode_return"] == plan.total_reward == plan.lower == plan.upper
            assert info["episode_length"] == plan.ticks == len(plan.actions)


def test_a_small_budget_gives_an_interval_in_which_the_optimum_lies() -> None:
    env = gym.make("drivesim/Highway-v1", split="test")
    env.reset(seed=1_000_002)
    exact, quick = solve(env), solve(env, budget=0)
    assert exact.is_exact
    assert not quick.is_exact
    assert quick.lower - 1e-9 <= exact.lower <= quick.upper
    assert quick.num_driven < exact.num_driven


def test_a_larger_budget_narrows_the_interval() -> None:
    env = gym.make("drivesim/Merge-v1", split="test")
    env.reset(seed=1_000_004)
    narrow, wide = solve(env, budget=150_000), solve(env, budget=0)
    assert wide.lower <= narrow.lower <= narrow.upper < wide.upper
    assert not narrow.is_exact
    assert narrow.num_driven <= 300_000


def test_a_drive_that_is_known_already_is_never_worsened() -> None:
    env = gym.make("drivesim/Merge-v1", split="test")
    env.reset(seed=1_000_002)
    known = solve(env, budget=100_000)
    again = solve(env, budget=0, incumbent=(*known.actions, 1, 1, 1))
    assert again.actions == known.actions
    assert again.upper <= solve(env, budget=0).upper


def test_the_plan_depends_neither_on_threads_nor_on_the_run() -> None:
    env = gym.make("drivesim/Highway-v1", split="test")
    env.reset(seed=1_000_001)
    state = env.unwrapped.get_state()
    first, second = solve(env), solve(env, num_threads=2)
    assert first == second
    assert np.array_equal(env.unwrapped.get_state(), state)


def test_a_plan_from_the_start_is_a_replay() -> None:
    env = gym.make("drivesim/Crosswalk-v1", difficulty="hard", split="test")
    env.reset(seed=11)
    env.reset()
    plan = solve(env)
    replay = plan.replay()
    replay.check()
    assert (replay.seed, replay.episode, replay.actions) == (11, 1, plan.actions)
    assert replay.outcome == {"success": plan.success, "return": plan.total_reward, "length": plan.ticks}
    envs = gym.make_vec("drivesim/Crosswalk-v1", num_envs=2, difficulty="hard", split="test")
    envs.reset(seed=20)
    other = solve(env, budget=0, state=envs.unwrapped.get_state()[1:])
    for seed in (None, 20):
        with pytest.raises(ValueError, match="seed must be"):
            other.replay(seed)
    assert other.replay(seed=21).outcome["return"] == other.total_reward


def test_a_plan_from_the_middle_adds_up_to_the_whole() -> None:
    env = gym.make("drivesim/Intersection-v1", split="test")
    env.reset(seed=5)
    whole = solve(env)
    for action in whole.actions[:9]:
        env.step(action)
    rest = solve(env)
    assert rest.actions == whole.actions[9:] or rest.lower == pytest.approx(
        whole.lower - env.unwrapped.get_state()["world"]["egos"]["return_sum"][0, 0], abs=1e-9
    )
    with pytest.raises(ValueError, match="9 ticks into one"):
        rest.replay()


def arrivals(**options: int) -> int:
    """In how many of ten levels of Overtake the planner arrives."""
    env = gym.make("drivesim/Overtake-v1", split="test", **options)
    count = 0
    for seed in range(1_000_000, 1_000_010):
        env.reset(seed=seed)
        count += any(solve(env, budget=budget).success for budget in (0, 100_000))
    return count


def test_levels_that_just_fit_into_overtake_can_be_solved_and_those_that_it_refuses_often_cannot(monkeypatch) -> None:
    for allowed, closed, num_slow, num_oncoming, speed in ((80, 23, 6, 7, 3), (8, 16, 4, 0, 5), (16, 28, 3, 6, 1)):
        fits = {"allowed": allowed, "closed": closed, "num_slow": num_slow, "oncoming_speed": speed}
        assert arrivals(num_oncoming=num_oncoming, **fits) == 10
        with pytest.raises(ValueError, match="num_oncoming"):
            gym.make("drivesim/Overtake-v1", num_oncoming=num_oncoming + 2, **fits)
    monkeypatch.setattr("drivesim.scenarios.overtake.MOST_AHEAD", 100)
    assert arrivals(allowed=8, closed=40, num_slow=8, num_oncoming=0) <= 5
    assert arrivals(allowed=30, closed=8, num_slow=8, num_oncoming=8, oncoming_speed=5) <= 5


def test_wrong_arguments_are_refused_by_name() -> None:
    env = gym.make("drivesim/LaneKeep-v1")
    with pytest.raises(gym.error.ResetNeeded):
        solve(env)
    env.reset(seed=0)
    for arguments, error, name in (
        ({"gamma": 0.0}, ValueError, "gamma"),
        ({"gamma": 1.5}, ValueError, "gamma"),
        ({"budget": -1}, ValueError, "budget"),
        ({"budget": 0.5}, TypeError, "budget"),
        ({"num_threads": 0}, ValueError, "num_threads"),
        ({"incumbent": [0, 7]}, ValueError, "incumbent"),
        ({"state": np.zeros(1)}, TypeError, "state"),
    ):
        with pytest.raises(error, match=name):
            solve(env, **arguments)
    with pytest.raises(TypeError, match="env"):
        solve(gym.make("CartPole-v1"))
