"""A level as a table is the level: dynamic programming on it finds what `solve` finds, and a walk in it is a drive."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from exhaustive import ALONE

from drivesim.planning import Regrets, Table, solve, to_table


def values_of(table: Table, gamma: float, sweeps: int) -> np.ndarray:
    """Value iteration."""
    values = np.zeros(len(table.rewards))
    for _ in range(sweeps):
        later = np.where(table.next_states < 0, 0.0, values[table.next_states])
        values = (table.rewards + gamma * later).max(axis=1)
    return values


@pytest.mark.parametrize(
    ("env_id", "options", "has_clock"),
    [
        ("drivesim/LaneKeep-v1", {"length": 16}, False),
        ("drivesim/Autodrive-v1", {}, False),
        ("drivesim/Parking-v1", {"num_vehicles": 0, "num_aisles": 1, "length": 10}, False),
        ("drivesim/Intersection-v1", {"max_episode_steps": 9}, True),
        ("drivesim/Crosswalk-v1", {"max_episode_steps": 7}, True),
    ],
)
def test_value_iteration_on_the_table_finds_what_solve_finds(env_id, options, has_clock) -> None:
    env = gym.make(env_id, **options)
    for seed in range(2):
        env.reset(seed=seed)
        table = to_table(env)
        assert table.has_clock == has_clock
        for gamma in (1.0, 0.9):
            plan = solve(env, gamma)
            assert plan.is_exact
            assert values_of(table, gamma, env.spec.max_episode_steps)[0] == pytest.approx(plan.lower, abs=1e-9)


def test_a_walk_in_the_table_is_a_drive_and_the_matrices_say_the_same() -> None:
    env = gym.make("drivesim/Parking-v1", num_vehicles=0, num_aisles=1, length=10)
    env.reset(seed=0)
    table = to_table(env)
    transitions, rewards = table.matrices()
    assert np.array_equal(transitions.sum(axis=2), table.next_states >= 0)
    assert np.array_equal(table.terminations, table.next_states < 0)
    rng = np.random.default_rng(0)
    num_ticks = 0
    for seed in (0, 0, 0):
        env.reset(seed=seed)
        state = 0
        for _ in range(40):
            action = int(rng.integers(5))
            _, reward, terminated, _, _ = env.step(action)
            assert reward == rewards[state, action]
            assert terminated == table.terminations[state, action]
            if terminated:
                break
            after = table.next_states[state, action]
            assert transitions[state, action, after] == 1.0
            vehicle = env.unwrapped.get_state()["world"]["vehicles"][0, 0]
            here = table.cells[after], table.headings[after], table.speeds[after]
            assert here == (vehicle["cell"], vehicle["heading"], vehicle["speed"])
            state = after
            num_ticks += 1
    assert num_ticks > 5


def test_a_level_with_too_many_states_is_refused() -> None:
    env = gym.make("drivesim/Highway-v1")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"max_states .* of drivesim/Highway-v1, .* 5,000; .*solve needs no table"):
        to_table(env, max_states=5_000)


@pytest.mark.parametrize(("env_id", "options"), ALONE.items())
def test_what_an_action_costs_is_what_the_optimum_after_it_is_worth_less(env_id, options) -> None:
    env = gym.make(env_id, split="test", max_episode_steps=200, **options)
    twin = gym.make(env_id, split="test", max_episode_steps=200, **options)
    rng = np.random.default_rng(0)
    num_lost = 0
    for seed in range(2):
        env.reset(seed=seed)
        twin.reset(seed=seed)
        regrets = Regrets(env)
        for tick in range(12):
            state = env.unwrapped.get_state()
            optimum = solve(env).lower
            lost = regrets(state)
            for action in range(env.action_space.n if tick % 3 == 0 else 0):
                twin.unwrapped.set_state(state)
                _, reward, terminated, _, _ = twin.unwrapped.step(action)
                worth = reward + (0.0 if terminated else solve(env, state=twin.unwrapped.get_state()).lower)
                assert lost[action] == pytest.approx(optimum - worth, abs=1e-9)
                num_lost += lost[action] > 0
            wild = int(rng.integers(env.action_space.n))
            twin.unwrapped.set_state(state)
            ends = twin.unwrapped.step(wild)[2]
            if env.step(int(lost.argmin()) if ends else wild)[2]:
                break
        assert np.array_equal(Regrets(env, state=state)(state), lost)
    assert num_lost > 10


def test_what_actions_cost_is_told_only_where_nothing_depends_on_the_tick() -> None:
    traffic = "traffic that answers to the ego"
    for env_id, why in {
        "drivesim/Highway-v1": traffic,
        "drivesim/Intersection-v1": f"{traffic} and signals",
        "drivesim/Crosswalk-v1": f"{traffic} and people",
    }.items():
        env = gym.make(env_id)
        env.reset(seed=0)
        with pytest.raises(ValueError, match=rf"^{env_id} has {why}: .* depends on the tick, .*planning\.solve finds"):
            Regrets(env)
    env = gym.make("drivesim/LaneKeep-v1")
    env.reset(seed=0)
    regrets, state = Regrets(env), env.unwrapped.get_state()
    state["world"]["vehicles"]["speed"][0, 0] = 5
    with pytest.raises(ValueError, match="can be reached"):
        regrets(state)
