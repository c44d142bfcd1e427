"""Specs, copies and pickles: an environment can be described, sent elsewhere and made again."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from env_tools import HIGHWAY, IDS, LANE_KEEP, OBSERVATIONS, OBSTACLES, assert_same, assert_same_future, draw_actions
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from drivesim.config import RewardWeights

ODD_OPTIONS = {
    "difficulty": np.str_("easy"),
    "num_levels": np.int32(7),
    "num_vehicles": np.uint8(9),
    "dawdle": np.float32(0.25),
    "reward": "cost",
    "reward_weights": RewardWeights(progress=2, off_road=np.float32(-3.5), collision=np.int64(-2)),
    "observation": "features",
}
ODD_VECTOR_OPTIONS = {
    **ODD_OPTIONS,
    "num_envs": np.int64(3),
    "autoreset_mode": AutoresetMode.SAME_STEP,
    "num_threads": np.int16(1),
    "max_episode_steps": np.int64(11),
    "copy": False,
}
COPIERS = {
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "cloudpickle": lambda env: cloudpickle.loads(cloudpickle.dumps(env)),
    "deepcopy": copy.deepcopy,
}


def plain(value: Any) -> bool:
    """Whether a value consists of nothing but JSON's own types."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or type(value) in (bool, int, float, str)


def test_a_spec_goes_to_json_and_back_whatever_was_passed_to_make() -> None:
    env = gym.make(HIGHWAY, max_episode_steps=33, **ODD_OPTIONS)
    whole = env.spec
    for spec in (whole, env.unwrapped.spec):
        assert plain(spec.kwargs)
        again = EnvSpec.from_json(spec.to_json())
        assert again.kwargs == spec.kwargs
        twin = gym.make(again)
        assert twin.unwrapped.config == env.unwrapped.config
        if spec is whole:  # the limit is a wrapper's, so the bare environment's spec knows none
            assert twin.spec.max_episode_steps == 33
        env.reset(seed=1)
        twin.reset(seed=1)
        assert_same_future(env, twin, 20)


def test_a_spec_keeps_how_much_is_seen() -> None:
    options = {"window": (np.int64(6), 2, 1), "all_planes": True, "all_actions": True}
    for make in (gym.make, gym.make_vec):
        env = make(LANE_KEEP, **options)
        assert json.loads(env.spec.to_json())["kwargs"]["window"] == [6, 2, 1]
        twin = make(EnvSpec.from_json(env.spec.to_json()))
        assert twin.unwrapped.config == env.unwrapped.config
        assert_same(env.reset(seed=1)[0], twin.reset(seed=1)[0])


def test_a_spec_goes_to_json_and_back_whatever_was_passed_to_make_vec() -> None:
    envs = gym.make_vec(HIGHWAY, **ODD_VECTOR_OPTIONS)
    assert plain(envs.spec.kwargs)
    assert json.loads(envs.spec.to_json())["kwargs"]["autoreset_mode"] == "SameStep"
    for spec in (envs.spec, EnvSpec.from_json(envs.spec.to_json())):
        twin = gym.make_vec(spec)
        assert twin.num_envs == 3
        assert twin.unwrapped.autoreset_mode is AutoresetMode.SAME_STEP
        assert twin.unwrapped.config == envs.unwrapped.config
        assert twin.spec == envs.spec
        envs.reset(seed=1)
        twin.reset(seed=1)
        assert_same_future(envs, twin, 40)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_mode_survives_its_spec(mode) -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=2, autoreset_mode=mode)
    twin = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert twin.unwrapped.autoreset_mode is mode
    assert twin.metadata["autoreset_mode"] is mode


def test_passing_options_does_not_change_the_registered_spec_or_the_callers_objects() -> None:
    before = copy.deepcopy(gym.spec(HIGHWAY))
    weights = {"progress": np.float64(2.0)}
    gym.make(HIGHWAY, reward_weights=weights).reset(seed=0)
    gym.make_vec(HIGHWAY, num_envs=2, reward_weights=weights).reset(seed=0)
    assert gym.spec(HIGHWAY) == before
    assert weights == {"progress": 2.0}
    assert type(weights["progress"]) is np.float64


@pytest.mark.parametrize("copier", COPIERS.values(), ids=COPIERS)
@pytest.mark.parametrize("env_id", IDS)
def test_a_copy_made_in_the_middle_of_an_episode_continues_identically(env_id, copier) -> None:
    env = gym.make(env_id)
    env.reset(seed=5)
    env.step(int(env.action_space.n) - 1)
    twin = copier(env)
    assert_same(twin.unwrapped.observe(), env.unwrapped.observe())
    assert_same_future(env, twin, 40)
    for mode in AutoresetMode:
        envs = gym.make_vec(env_id, num_envs=4, autoreset_mode=mode, max_episode_steps=9)
        envs.reset(seed=5)
        rng = np.random.default_rng(0)
        for _ in range(9):  # the last step leaves resets pending
            answers = envs.step(draw_actions(rng, envs.single_action_space.n, 4))
            ended = answers[2] | answers[3]
            if mode is AutoresetMode.DISABLED and ended.any():
                envs.reset(options={"reset_mask": ended})
        twin = copier(envs)
        assert_same_future(envs, twin, 25)
        assert twin.spec == envs.spec


def test_a_copy_and_its_original_do_not_share_a_world() -> None:
    for env, action in ((gym.make(HIGHWAY).unwrapped, 4), (gym.make_vec(HIGHWAY, copy=False).unwrapped, np.array([4]))):
        env.reset(seed=0)
        twin = copy.deepcopy(env)
        state = env.get_state()
        for _ in range(3):
            twin.step(action)
        assert (env.get_state() == state).all()


def test_a_copy_of_an_environment_with_threads_gets_its_own() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=512, num_threads=2)
    envs.reset(seed=0)
    envs.step(np.full(512, 1))
    for copier in COPIERS.values():
        twin = copier(envs)
        assert twin.unwrapped._engine._ranges._threads is None
        envs_state = envs.unwrapped.get_state()
        assert_same_future(envs, twin, 2)
        assert twin.unwrapped._engine._ranges._threads is not envs.unwrapped._engine._ranges._threads
        envs.unwrapped.set_state(envs_state)
        twin.close()
    envs.step(np.full(512, 1))


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_gymnasiums_subprocess_batch_runs_the_single_environment(observation) -> None:
    def make() -> gym.Env:
        return gym.make(f"drivesim:{OBSTACLES}", observation=observation)

    there = gym.vector.AsyncVectorEnv([make, make])
    here = gym.vector.SyncVectorEnv([make, make])
    try:
        assert_same(there.reset(seed=3)[0], here.reset(seed=3)[0])
        rng = np.random.default_rng(0)
        for _ in range(30):
            actions = draw_actions(rng, 5, 2)
            for one, other in zip(there.step(actions)[:4], here.step(actions)[:4], strict=True):
                np.testing.assert_array_equal(one, other)
    finally:
        there.close()


def test_a_spawned_worker_finds_the_environment_by_its_module() -> None:
    make = cloudpickle.loads(cloudpickle.dumps(lambda: gym.make(f"drivesim:{LANE_KEEP}")))
    envs = gym.vector.AsyncVectorEnv([make], context="spawn", shared_memory=False)
    try:
        obs, _ = envs.reset(seed=1)
        np.testing.assert_array_equal(obs[0], gym.make(LANE_KEEP).reset(seed=1)[0])
    finally:
        envs.close()


def test_gymnasiums_wrappers_run_on_top() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3, observation="features")
    envs = gym.wrappers.vector.NormalizeObservation(gym.wrappers.vector.NormalizeReward(envs))
    envs.reset(seed=0)
    for _ in range(60):
        obs, rewards, *_ = envs.step(envs.action_space.sample())
        assert np.isfinite(obs).all()
        assert np.isfinite(rewards).all()
    env = gym.wrappers.FrameStackObservation(gym.wrappers.RecordEpisodeStatistics(gym.make(HIGHWAY)), 4)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (4, *gym.make(HIGHWAY).observation_space.shape)
    infos = [env.step(4) for _ in range(50)][-1][4]
    assert infos["episode"]["l"] == infos["episode_length"] == 50
    assert infos["episode"]["r"] == pytest.approx(infos["episode_return"])
