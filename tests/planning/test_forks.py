"""Forked worlds go on as the environment's do, and what the ego could have alone bounds what it has among others."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from drivesim.planning.alone import ENDED, Bounds, explore, with_lamps
from drivesim.planning.forks import Forks
from drivesim.planning.plan import Level
from drivesim.planning.words import OF_DRIVE, movers, template_of, without_others, words_of
from drivesim.registry import IDS


def forks_of(level: Level, template: Any, is_alone: bool) -> Forks:
    words = words_of(template, level.map, level.options, is_alone)
    return Forks(template, level.map, level.options, words, level.engine.num_actions)


def careful(forks: Forks, node: Any, tick: int, rng: np.random.Generator) -> int:
    """Any action that does not end the drive at once, rather one that gains something."""
    actions = np.arange(forks.num_actions)
    outcome = forks.drive(node, np.zeros(1), np.zeros_like(actions), actions, tick)
    if outcome.has_ended.all():
        return 0
    return int((rng.random(len(actions)) + 3.0 * outcome.rewards - 9.0 * outcome.has_ended).argmax())


@pytest.mark.parametrize("reward", ["route", "sparse"])
@pytest.mark.parametrize("env_id", IDS)
def test_a_saved_world_goes_on_as_the_real_one_does(env_id, reward) -> None:
    env = gym.make(env_id, reward=reward)
    num_ticks = 0
    for seed in range(3):
        env.reset(seed=seed)
        level = Level(env)
        forks = forks_of(level, template_of(level.world), is_alone=False)
        rng = np.random.default_rng(seed)
        node, total = forks.root(), np.zeros(1)
        for tick in range(60):
            action = careful(forks, node, tick, rng)
            fork = forks.drive(node, total, np.zeros(1, np.int64), np.array([action]), tick)
            _, pay, terminated, truncated, info = env.step(action)
            num_ticks += 1
            assert fork.rewards[0] == pay
            assert fork.totals[0] == info["episode_return"]
            assert fork.has_ended[0] == terminated
            if terminated or truncated:
                break
            real = forks_of(level, template_of(env.unwrapped.get_state()["world"]), is_alone=False)
            assert np.array_equal(real.root(), fork.nodes)
            node, total = fork.nodes, fork.totals
    assert num_ticks > 20


@pytest.mark.parametrize("env_id", IDS)
def test_alone_the_ego_moves_as_among_others_and_earns_no_less(env_id) -> None:
    env = gym.make(env_id)
    for seed in range(3):
        env.reset(seed=seed)
        level = Level(env)
        world, map, options = level.world, level.map, level.options
        forks = forks_of(level, template_of(world), is_alone=False)
        alone = forks_of(level, without_others(world, map, options), is_alone=True)
        graph = with_lamps(explore(alone, 0, 40), alone, map, 0)
        red = alone.red_lamps(range(40))
        has_others = bool(movers(world, map, options).any()) or world["num_people"][0] > 0
        route_length = int(world["egos"]["route_length"][0, 0])
        bounds = Bounds(graph, red, False, 1.0, options, route_length, has_others)
        rng = np.random.default_rng(seed)
        node, number, totals, limits = forks.root(), 0, [0.0], []
        for tick in range(39):
            action = careful(forks, node, tick, rng)
            fork = forks.drive(node, np.zeros(1), np.zeros(1, np.int64), np.array([action]), tick)
            _, pay, terminated, _, info = env.step(action)
            limits.append(totals[-1] + bounds.of_edges(tick, np.array([number]))[0, action])
            totals.append(info["episode_return"])
            is_red = graph.lamps[number, action] & red[tick] != 0
            rewards = graph.rewards_on_red if is_red else graph.rewards
            if not info["collision"] and not info["pedestrian_hit"]:
                assert pay <= rewards[number, action] + 1e-12
                assert terminated == (graph.next_nodes[number, action] == ENDED)
            if terminated:
                break
            number = graph.next_nodes[number, action]
            node = fork.nodes
            there, here = env.unwrapped.get_state()["world"], alone.worlds_of(graph.nodes[number : number + 1])
            for name in OF_DRIVE:
                assert there["vehicles"][name][0, 0] == here["vehicles"][name][0, 0]
            assert there["egos"]["remaining"][0, 0] == here["egos"]["remaining"][0, 0] == graph.remaining[number]
        assert max(totals[-1] - np.array(limits)) <= 1e-9
