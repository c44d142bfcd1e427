"""The best drive by the default reward is a good one to sit in: brisk, and without changes of lane of no use."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from exhaustive import ALONE

from drivesim.core.event_table import (
    EVENT_ARRIVED,
    EVENT_CUT_IN,
    EVENT_FAILED_TO_YIELD,
    EVENT_LANE_CHANGE,
    EVENT_SPEEDING,
    EVENT_WRONG_WAY,
    EVENTS_FAILING,
)
from drivesim.planning import solve
from drivesim.planning.alone import ENDED, drive_all
from drivesim.planning.forks import Forks
from drivesim.planning.loops import AS_THEY_ARE
from drivesim.planning.numbering import Numbering
from drivesim.planning.plan import Level
from drivesim.planning.words import template_of, words_of

ILLEGAL = EVENTS_FAILING | EVENT_WRONG_WAY | EVENT_FAILED_TO_YIELD | EVENT_CUT_IN | EVENT_SPEEDING
SEEDS = range(1_000_000, 1_000_010)


class Edges:
    """All that can be done in a level in which nothing depends on the tick: S states, A actions."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        level = Level(env)
        template = template_of(level.world)
        words = words_of(template, level.map, level.options, False)
        forks = Forks(template, level.map, level.options, words, level.engine.num_actions)
        numbering, begin = Numbering(forks.root()), 0
        outcomes, targets = [], []
        while begin < len(numbering):
            outcomes.append(drive_all(forks, numbering.nodes[begin:], 0, AS_THEY_ARE))
            begin = len(numbering)
            targets.append(numbering.number(outcomes[-1].nodes, ~outcomes[-1].has_ended))
        shape = len(numbering), forks.num_actions
        self.next_states = np.concatenate(targets).reshape(shape)
        self.rewards = np.concatenate([outcome.rewards for outcome in outcomes]).reshape(shape)
        self.events = np.concatenate([outcome.events for outcome in outcomes]).reshape(shape)
        self.has_arrived = self.events & EVENT_ARRIVED != 0

    def fastest_legal(self) -> int:
        """The fewest ticks in which the goal is reached without breaking a rule."""
        is_legal = self.events & ILLEGAL == 0
        reached = np.zeros(len(self.rewards), np.bool_)
        reached[0] = True
        for ticks in range(1, 200):
            edges = reached[:, None] & is_legal
            if (edges & self.has_arrived).any():
                return ticks
            reached[self.next_states[edges & (self.next_states != ENDED)]] = True
        raise AssertionError("the goal cannot be reached")

    def best_with(self, num_changes: int, max_ticks: int) -> float:
        """What the best drive earns that changes lane so many times at most."""
        is_change = self.events & EVENT_LANE_CHANGE != 0
        values = np.zeros((num_changes + 1, len(self.rewards)))
        for _ in range(max_ticks):
            later = np.where(self.next_states == ENDED, 0.0, values[:, self.next_states])  # (K, S, A)
            fewer = np.concatenate([np.full((1, *self.rewards.shape), -np.inf), later[:-1]])
            improved = (self.rewards + np.where(is_change, fewer, later)).max(axis=2)
            if np.array_equal(improved, values):
                break
            values = improved
        return float(values[num_changes, 0])


@pytest.mark.parametrize(("env_id", "options"), ALONE.items())
def test_the_optimum_is_brisk_and_changes_lane_only_where_every_drive_with_fewer_changes_is_worse(
    env_id, options
) -> None:
    env = gym.make(env_id, split="test", **options)
    num_changes = 0
    for seed in SEEDS:
        env.reset(seed=seed)
        plan, edges = solve(env), Edges(env)
        for action in plan.actions:
            info = env.step(action)[-1]
        assert plan.is_exact
        assert plan.success
        assert plan.ticks <= 1.25 * edges.fastest_legal(), seed
        changes = int(info["num_lane_changes"])
        assert edges.best_with(changes, env.spec.max_episode_steps) == pytest.approx(plan.total_reward, abs=1e-9)
        if changes:
            fewer = edges.best_with(changes - 1, env.spec.max_episode_steps)
            assert fewer < plan.total_reward - 1e-9, (seed, changes)
        num_changes += changes
    assert (num_changes > 0) == (env_id == "drivesim/Obstacles-v1")
