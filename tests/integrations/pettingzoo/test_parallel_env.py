"""PettingZoo's own tests of its parallel interface, and what they do not test."""

import hashlib
import warnings

import gymnasium as gym
import numpy as np
import pytest

import drivesim

pettingzoo = pytest.importorskip("pettingzoo")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the library's tests import environments in an old way
    from pettingzoo.test import api_test, parallel_api_test, render_test
from pettingzoo.utils import parallel_to_aec

IDS = ("drivesim/Highway-v1", "drivesim/Intersection-v1", "drivesim/FourWayStop-v1", "drivesim/Roundabout-v1")


def hasty(env, rng):
    """Random actions of drivers in a hurry."""
    return {agent: 3 if rng.random() < 0.5 else int(rng.integers(5)) for agent in env.agents}


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("num_agents", [1, 3, 8])
def test_interface_is_that_of_the_library(env_id, num_agents):
    parallel_api_test(drivesim.parallel_env(env_id, num_agents), num_cycles=500)


@pytest.mark.parametrize("env_id", IDS)
def test_interface_holds_one_agent_after_the_other_too(env_id):
    api_test(parallel_to_aec(drivesim.parallel_env(env_id, 3)), num_cycles=300)


def test_pictures_are_as_the_library_wants_them():
    def env(render_mode=None):
        return parallel_to_aec(drivesim.parallel_env("drivesim/Highway-v1", 2, render_mode=render_mode))

    render_test(env, custom_tests={"ansi": lambda text: isinstance(text, str), "human": lambda _: True})


def trace(env_id, seed, cycles):
    """A digest of every observation, reward and end over many episodes."""
    env = drivesim.parallel_env(env_id, 4)
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    observations, _ = env.reset(seed=seed)
    ends = 0
    for _ in range(cycles):
        if not env.agents:
            observations, _ = env.reset()
            ends += 1
        observations, rewards, terminations, truncations, _ = env.step(hasty(env, rng))
        for agent in sorted(observations):
            digest.update(observations[agent].tobytes())
            digest.update(repr((agent, rewards[agent], terminations[agent], truncations[agent])).encode())
    assert ends > cycles / 200
    return digest.hexdigest()


@pytest.mark.parametrize("env_id", IDS)
def test_seed_and_actions_say_everything_over_ten_thousand_cycles(env_id):
    first = trace(env_id, 0, 10_000)
    assert trace(env_id, 0, 10_000) == first
    assert trace(env_id, 1, 200) != trace(env_id, 0, 200)


@pytest.mark.parametrize("env_id", IDS)
def test_one_agent_is_the_single_environment(env_id):
    env, single = drivesim.parallel_env(env_id, 1), gym.make(env_id)
    rng = np.random.default_rng(0)
    ends = 0
    answers, expected = env.reset(seed=5), single.reset(seed=5)
    for _ in range(400):
        assert (answers[0]["car_0"] == expected[0]).all()
        assert answers[-1]["car_0"].pop("timeout") in (True, False)  # the single one does not know of its time limit
        expected[-1].pop("timeout")
        terms = expected[-1].pop("reward_terms")
        assert {name: answers[-1]["car_0"].pop(f"reward_terms/{name}") for name in terms} == terms
        assert (answers[-1]["car_0"].pop("action_mask") == expected[-1].pop("action_mask")).all()
        assert answers[-1]["car_0"] == expected[-1]
        if not env.agents:
            ends += 1
            answers, expected = env.reset(), single.reset()
            continue
        action = hasty(env, rng)
        answers, expected = env.step(action), single.step(action["car_0"])
        assert [part["car_0"] for part in answers[1:4]] == list(expected[1:4])
    assert ends > 5


@pytest.mark.parametrize("env_id", IDS)
def test_egos_are_the_envs_of_the_vector_form(env_id):
    env, envs = drivesim.parallel_env(env_id, 5), drivesim.parallel_vec_env(env_id, 1, 5)
    rng = np.random.default_rng(1)
    observations, _ = env.reset(seed=9)
    rows = envs.reset(seed=9)[0]
    for _ in range(300):
        if not env.agents:
            observations, _ = env.reset()
        for n, agent in enumerate(env.possible_agents):
            if agent in observations and agent in env.agents:
                assert (observations[agent] == rows[n]).all()
        actions = hasty(env, rng)
        observations, rewards, terminations, truncations, _ = env.step(actions)
        rows, *others, infos = envs.step(np.array([actions.get(agent, 1) for agent in env.possible_agents]))
        assert infos["is_real"].tolist() == [agent in actions for agent in env.possible_agents]
        for n, agent in enumerate(env.possible_agents):
            if agent in actions:
                assert [part[n] for part in others] == [part[agent] for part in (rewards, terminations, truncations)]
                if agent not in env.agents:
                    assert (infos["final_obs"][n] == observations[agent]).all()


def test_an_ego_that_has_ended_never_comes_back():
    env = drivesim.parallel_env("drivesim/Intersection-v1", 6)
    rng = np.random.default_rng(2)
    for seed in range(10):
        env.reset(seed=seed)
        alive = list(env.possible_agents)
        while env.agents:
            answers = env.step(hasty(env, rng))
            assert all(list(part) == alive for part in answers)
            alive = [agent for agent in alive if not (answers[2][agent] or answers[3][agent])]
            assert env.agents == alive
        assert alive == []


def test_a_level_can_be_played_again_and_a_state_continued():
    env = drivesim.parallel_env("drivesim/Highway-v1", 3)
    first, infos = env.reset(seed=0)
    again, _ = env.reset(options={"level_seed": infos["car_0"]["level_seed"]})
    assert all((first[agent] == again[agent]).all() for agent in first)
    rng = np.random.default_rng(3)
    while len(env.agents) == 3:
        env.step(hasty(env, rng))
    state, agents = env.get_state(), list(env.agents)
    actions = {agent: 1 for agent in agents}
    expected = env.step(actions)
    env.set_state(state)
    assert env.agents == agents
    answers = env.step(actions)
    assert answers[1:4] == expected[1:4]
    assert all((answers[0][agent] == expected[0][agent]).all() for agent in agents)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"car_0": 1}, "an action for each of"),
        ({"car_0": 1, "car_1": 1, "car_2": 1}, "an action for each of"),
        ({"car_1": 1}, "an action for each of"),
        ({"car_0": 1, "car_1": 5}, r"action of car_1 must be in \[0, 4\], got 5"),
        ({"car_0": 1, "car_1": 0.5}, "action of car_1 must be an integer"),
        ([1, 1], "actions must be a dict"),
    ],
)
def test_bad_actions_move_nobody(actions, message):
    env = drivesim.parallel_env("drivesim/Highway-v1", 2)
    with pytest.raises(gym.error.ResetNeeded):
        env.step({})
    env.reset(seed=0)
    state = env.get_state()
    with pytest.raises((TypeError, ValueError), match=message):
        env.step(actions)
    assert (env.get_state() == state).all()
    env.step({"car_0": 1, "car_1": 1})


def test_bad_seeds_and_levels_change_nothing():
    env = drivesim.parallel_env("drivesim/Highway-v1", 2)
    env.reset(seed=0)
    state = env.get_state()
    for arguments in ({"seed": -1}, {"seed": 1.5}, {"options": {"level_seed": -1}}):
        with pytest.raises((TypeError, ValueError)):
            env.reset(**arguments)
    assert (env.get_state() == state).all()
    assert env.agents == ["car_0", "car_1"]


def test_actions_of_cars_that_have_left_are_ignored_whatever_they_are():
    env, other = (
        drivesim.parallel_env("drivesim/Intersection-v1", 4),
        drivesim.parallel_env("drivesim/Intersection-v1", 4),
    )
    rng = np.random.default_rng(2)
    env.reset(seed=0), other.reset(seed=0)
    num_left = 0
    while env.agents:
        actions = hasty(env, rng)
        left = {agent: None for agent in env.possible_agents if agent not in env.agents}
        num_left += len(left)
        answers, expected = env.step(actions | left), other.step(actions)
        assert answers[1:4] == expected[1:4]
        assert answers[0].keys() == expected[0].keys() == actions.keys()
    assert num_left > 0
    state = env.get_state()
    assert env.step(dict.fromkeys(env.possible_agents, 1)) == ({}, {}, {}, {}, {}) == env.step({})
    assert (env.get_state() == state).all()


def test_infos_hold_nothing_nested():
    env = drivesim.parallel_env("drivesim/Highway-v1", 2, reward="cost")
    _, infos = env.reset(seed=0)
    for _ in range(20):
        for info in infos.values():
            assert all(isinstance(value, (bool, int, float, np.ndarray)) for value in info.values())
        *_, infos = env.step({agent: 3 for agent in env.agents})


def test_wrappers_draw_from_a_generator_that_the_seed_begins_anew():
    env = drivesim.parallel_env("drivesim/Highway-v1", 2)
    assert isinstance(env.np_random, np.random.Generator)
    env.reset(seed=3)
    assert env.np_random_seed == 3
    drawn = env.np_random.integers(1000, size=4).tolist()
    assert env.np_random.integers(1000, size=4).tolist() != drawn
    env.reset()
    assert env.np_random_seed == 3
    env.reset(seed=3)
    assert env.np_random.integers(1000, size=4).tolist() == drawn
