"""The batch is, transition by transition, what Stable-Baselines3's own loop over single environments is."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize

from drivesim.infos import INFO_KEYS
from drivesim.integrations.stable_baselines3 import make_vec_env

NUM_ENVS = 5
NUM_STEPS = 2000
CASES = {  # id, options, time limit: short enough that all three ways of ending occur
    "obstacles": ("drivesim/Obstacles-v1", {"observation": "features"}, 12),
    "highway": ("drivesim/Highway-v1", {"observation": "grid", "difficulty": "hard"}, 9),
    "intersection": ("drivesim/Intersection-v1", {"observation": "full_grid", "reward": "shaped"}, 15),
    "autodrive": ("drivesim/Autodrive-v1", {"observation": "grid", "split": "test", "num_levels": 9}, 8),
}


def single_envs(env_id: str, num_envs: int = NUM_ENVS, **options: object) -> DummyVecEnv:
    """The reference: a Python loop over environments of `gym.make`."""
    return DummyVecEnv([lambda: gym.make(env_id, **options)] * num_envs)


def draw_actions(rng: np.random.Generator, num_actions: int, num_envs: int = NUM_ENVS) -> np.ndarray:
    """Random actions that keep some cars on the road for a while."""
    odds = (0.05, 0.35, 0.05, 0.35, 0.2) if num_actions == 5 else (0.1, 0.1, 0.5, 0.3)
    return rng.choice(num_actions, num_envs, p=odds)


def assert_same_info(info: dict, reference: dict, has_ended: bool) -> None:
    """Every key of an episode, of the same type and value; nothing in the info of an env that goes on."""
    if not has_ended:
        assert info == {}
        assert reference["TimeLimit.truncated"] is False
        return
    for key in (*INFO_KEYS, "TimeLimit.truncated"):
        assert type(info[key]) is type(reference[key]), key
        assert info[key] == reference[key], key
    assert info["terminal_observation"].dtype == reference["terminal_observation"].dtype
    assert np.array_equal(info["terminal_observation"], reference["terminal_observation"])
    assert info["is_success"] is reference["success"]
    assert info["episode"] == {"r": reference["episode_return"], "l": reference["episode_length"]}


@pytest.mark.parametrize("case", CASES)
def test_ten_thousand_transitions_equal_those_of_the_loop_over_single_environments(case) -> None:
    env_id, options, limit = CASES[case]
    batch = make_vec_env(env_id, NUM_ENVS, seed=7, max_episode_steps=limit, **options)
    loop = single_envs(env_id, max_episode_steps=limit, **options)
    loop.seed(7)
    assert batch.observation_space == loop.observation_space
    assert batch.action_space == loop.action_space
    obs, reference_obs = batch.reset(), loop.reset()
    rng = np.random.default_rng(0)
    ends = {"terminated": 0, "truncated": 0, "both": 0}
    for _ in range(NUM_STEPS):
        assert obs.dtype == reference_obs.dtype
        assert np.array_equal(obs, reference_obs)
        actions = draw_actions(rng, batch.action_space.n)
        obs, rewards, dones, infos = batch.step(actions)
        reference_obs, reference_rewards, reference_dones, references = loop.step(actions)
        assert rewards.dtype == reference_rewards.dtype
        assert np.array_equal(rewards, reference_rewards)
        assert dones.dtype == reference_dones.dtype
        assert np.array_equal(dones, reference_dones)
        for info, reference, has_ended in zip(infos, references, dones.tolist(), strict=True):
            assert_same_info(info, reference, has_ended)
            if has_ended:
                is_at_limit = reference["episode_length"] == limit
                is_cut = reference["TimeLimit.truncated"]
                ends["truncated" if is_cut else "both" if is_at_limit else "terminated"] += 1
    assert min(ends.values()) > 0, ends


def test_the_cost_of_every_step_equals_that_of_the_loop() -> None:
    env_id, options = "drivesim/Intersection-v1", {"observation": "features", "reward": "cost"}
    batch, loop = make_vec_env(env_id, NUM_ENVS, seed=1, **options), single_envs(env_id, **options)
    loop.seed(1)
    batch.reset()
    loop.reset()
    rng = np.random.default_rng(1)
    total = 0.0
    for _ in range(200):
        actions = draw_actions(rng, 5)
        infos, references = batch.step(actions)[3], loop.step(actions)[3]
        for info, reference in zip(infos, references, strict=True):
            assert type(info["cost"]) is float
            assert info["cost"] == reference["cost"]
            total += info["cost"]
    assert total > 0


@pytest.mark.parametrize("options", [{"level_seed": 42}, [{"level_seed": 3}, {}, {}, {"level_seed": 5}, {}]], ids=repr)
def test_options_reach_the_next_reset_only_and_equal_those_of_the_loop(options) -> None:
    env_id = "drivesim/Obstacles-v1"
    batch, loop = make_vec_env(env_id, NUM_ENVS), single_envs(env_id)
    for seed in (5, None, 6):
        for venv in (batch, loop):
            if seed is not None:
                venv.seed(seed)
                venv.set_options(options)
        for _ in range(2):
            assert np.array_equal(batch.reset(), loop.reset())
    batch.set_options(options)  # without a seed these envs' episodes count on
    loop.set_options(options)
    for _ in range(3):
        assert np.array_equal(batch.reset(), loop.reset())
    assert batch.reset_infos == [{}] * NUM_ENVS
    assert len({id(info) for info in batch.reset_infos}) == NUM_ENVS


def test_seeding_equals_that_of_the_loop_and_holds_for_one_reset() -> None:
    batch, loop = make_vec_env("drivesim/Highway-v1", 3, seed=11), single_envs("drivesim/Highway-v1", 3)
    loop.seed(11)
    first = batch.reset()
    assert np.array_equal(first, loop.reset())
    second = batch.reset()
    assert np.array_equal(second, loop.reset())
    assert not np.array_equal(first, second)
    assert batch.seed(11) == [11, 12, 13]
    assert np.array_equal(batch.reset(), first)
    assert len(set(batch.seed())) == 3


WRAPPERS = {
    "monitor": lambda venv: VecMonitor(venv, info_keywords=("success", "route_completion")),
    "normalise": lambda venv: VecNormalize(venv, gamma=0.99),
    "stack": lambda venv: VecFrameStack(venv, 3),
    "all": lambda venv: VecFrameStack(VecNormalize(VecMonitor(venv)), 2),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_of_the_library_see_the_same_around_either(wrapper) -> None:
    env_id, options = "drivesim/Obstacles-v1", {"observation": "features", "max_episode_steps": 10}
    batch = WRAPPERS[wrapper](make_vec_env(env_id, NUM_ENVS, seed=2, **options))
    loop = WRAPPERS[wrapper](single_envs(env_id, **options))
    loop.seed(2)
    obs, reference_obs = batch.reset(), loop.reset()
    rng = np.random.default_rng(2)
    num_ends = 0
    for _ in range(200):
        assert np.array_equal(obs, reference_obs)
        actions = draw_actions(rng, 5)
        obs, rewards, dones, infos = batch.step(actions)
        reference_obs, reference_rewards, reference_dones, references = loop.step(actions)
        assert np.array_equal(rewards, reference_rewards)
        assert np.array_equal(dones, reference_dones)
        for i in np.flatnonzero(dones):
            num_ends += 1
            info, reference = infos[i], references[i]
            assert np.array_equal(info["terminal_observation"], reference["terminal_observation"])
            if "episode" in reference:
                timeless = {key: value for key, value in reference["episode"].items() if key != "t"}
                assert {key: value for key, value in info["episode"].items() if key != "t"} == timeless
    assert num_ends > 0
