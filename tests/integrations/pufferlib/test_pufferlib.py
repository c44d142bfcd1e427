"""The environment keeps the contract of PufferLib's native environments, and writes Gymnasium's steps in place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from docs_blocks import run_library_page

import drivesim  # noqa: F401 (registers the environments)
from drivesim.infos import INFO_KEYS

HIGHWAY, LANE_KEEP, OBSTACLES = "drivesim/Highway-v1", "drivesim/LaneKeep-v1", "drivesim/Obstacles-v1"
NUM_ENVS, LIMIT, SEED = 6, 12, 2**40
ODDS = (0.05, 0.4, 0.05, 0.3, 0.2)  # keep many cars on the road until their time is up


@pytest.fixture(scope="module")
def stand_in():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield importlib.import_module("stand_in")


@pytest.fixture(scope="module")
def puffer(stand_in, tmp_path_factory) -> Iterator[type]:
    """The class under test, on PufferLib itself where there is one and else on what stands in for it."""
    name = "drivesim.integrations.pufferlib"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("puffer"))  # PufferLib leaves a link where it is imported
        if importlib.util.find_spec("pufferlib") is None:
            patch.setitem(sys.modules, "pufferlib", stand_in)
        patch.delitem(sys.modules, name, raising=False)
        yield importlib.import_module(name).DrivePufferEnv
        sys.modules.pop(name, None)


def seeds_of(seed: int, num_envs: int) -> list[int]:
    return np.random.SeedSequence(seed).generate_state(num_envs, np.uint64).tolist()


def reference(env_id: str, **options) -> gym.vector.SyncVectorEnv:
    return gym.vector.SyncVectorEnv([lambda: gym.make(env_id, **options)] * NUM_ENVS, autoreset_mode="SameStep")


@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize(("env_id", "observation"), [(HIGHWAY, "grid"), (OBSTACLES, "features")])
def test_every_step_is_that_of_gymnasiums_own_vector_environment(puffer, stand_in, env_id, observation, merges) -> None:
    options = {"observation": observation, "max_episode_steps": LIMIT}
    same = reference(env_id, **options)
    buf = stand_in.buffers(same.single_observation_space, NUM_ENVS)
    env = puffer(env_id, NUM_ENVS, buf=buf, truncated_is_terminal=merges, **options)
    observations, infos = env.reset(SEED)
    assert observations is buf["observations"]
    assert infos == []
    np.testing.assert_array_equal(buf["observations"], same.reset(seed=seeds_of(SEED, NUM_ENVS))[0])
    assert not buf["rewards"].any()
    assert not buf["terminals"].any()
    assert not buf["truncations"].any()
    rng = np.random.default_rng(0)
    num_ends = np.zeros(2, int)
    for _ in range(60):
        actions = rng.choice(5, NUM_ENVS, p=ODDS)
        *arrays, infos = env.step(actions.astype(np.int32))
        obs, rewards, terminated, truncated, true_infos = same.step(actions)
        names = ("observations", "rewards", "terminals", "truncations")
        expected = (obs, rewards.astype(np.float32), terminated | (truncated & merges), truncated)
        for name, array, values in zip(names, arrays, expected, strict=True):
            assert array is buf[name]
            np.testing.assert_array_equal(array, values)
        ended = np.flatnonzero(terminated | truncated)
        assert len(infos) == len(ended)
        for info, i in zip(infos, ended, strict=True):
            true_info = {name: true_infos["final_info"][name][i] for name in INFO_KEYS}
            true_info["timeout"] = not true_info["success"] and not terminated[i]
            assert info == true_info
        num_ends += [terminated.sum(), truncated.sum()]
    assert num_ends.min() >= 3


def test_it_is_what_pufferlib_takes_for_a_native_environment(puffer) -> None:
    env = puffer(LANE_KEEP, NUM_ENVS)
    single = gym.make(LANE_KEEP)
    assert env.driver_env is env
    assert env.num_agents == NUM_ENVS
    assert (env.emulated, env.done) == (False, False)
    assert env.single_observation_space == single.observation_space
    assert env.single_action_space == single.action_space
    assert env.observations.shape == env.observation_space.shape
    assert env.action_space.contains(np.ones(NUM_ENVS, np.int64))
    env.async_reset(0)
    env.send(np.ones(NUM_ENVS, np.int32))
    observations, rewards, _, _, infos, agent_ids, masks = env.recv()
    assert observations is env.observations
    assert rewards.dtype == np.float32
    assert infos == []
    assert agent_ids.tolist() == list(range(NUM_ENVS))
    assert masks.all()


def test_copies_share_one_buffer_and_write_nothing_but_their_own_rows(puffer, stand_in) -> None:
    space = gym.make(LANE_KEEP).observation_space
    buf = stand_in.buffers(space, 10)
    before = {name: array.copy() for name, array in buf.items()}
    rows = slice(2, 5), slice(7, 10)
    copies = [puffer(LANE_KEEP, 3, buf={name: array[part] for name, array in buf.items()}) for part in rows]
    alone = puffer(LANE_KEEP, 3)
    for env in (*copies, alone):
        env.reset(seed=4)
        for _ in range(20):
            env.step(np.ones(3, np.int64))
    for name in ("observations", "rewards", "terminals", "truncations"):
        for part in rows:
            np.testing.assert_array_equal(buf[name][part], getattr(alone, name))
        for part in (slice(0, 2), slice(5, 7)):
            np.testing.assert_array_equal(buf[name][part], before[name][part])


# --- seeds ------------------------------------------------------------------------------------------------------------


def first_obs(env, seed: int | None = None) -> np.ndarray:
    return env.reset(seed)[0].copy()


def test_the_seed_it_is_made_with_is_that_of_its_first_reset_and_of_no_other(puffer) -> None:
    env = puffer(OBSTACLES, 4, seed=7)
    first, second = first_obs(env), first_obs(env)
    np.testing.assert_array_equal(first, first_obs(puffer(OBSTACLES, 4), 7))
    assert (first != second).any()
    np.testing.assert_array_equal(first_obs(env, 7), first)
    np.testing.assert_array_equal(first_obs(env), second)


def test_copies_that_pufferlib_seeds_one_after_the_other_have_no_level_in_common(puffer) -> None:
    levels = []
    for seed in (5, 6):
        env = puffer(OBSTACLES, 16, seed=seed, max_episode_steps=1)
        env.reset()
        levels.append({info["level_seed"] for info in env.step(np.ones(16, np.int64))[-1]})
    assert [len(some) for some in levels] == [16, 16]
    assert not levels[0] & levels[1]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("observations", lambda array: array[:, ::-1]),
        ("observations", lambda array: array.astype(np.float64)),
        ("rewards", lambda array: array.astype(np.float64)),
        ("terminals", lambda array: array.astype(np.int8)),
        ("truncations", lambda array: np.repeat(array, 2)),
        ("truncations", lambda array: np.repeat(array, 2)[::2]),
        ("rewards", lambda array: np.broadcast_to(array[:1], array.shape)),
    ],
)
def test_a_buffer_that_cannot_be_written_in_place_is_refused(puffer, stand_in, name, change) -> None:
    buf = stand_in.buffers(gym.make(LANE_KEEP).observation_space, 3)
    buf[name] = change(buf[name])
    with pytest.raises(ValueError, match=rf"buf\['{name}'\] must be a contiguous, aligned and writable array"):
        puffer(LANE_KEEP, 3, buf=buf)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (r"env_id must be one of .*, got 'drivesim/Moon-v0'", {"env_id": "drivesim/Moon-v0"}),
        ("autoreset_mode must be left out", {"autoreset_mode": "NextStep"}),
        ("copy must be left out", {"copy": True}),
        ("truncated_is_terminal must be", {"truncated_is_terminal": 1}),
        ("seed must be", {"seed": -1}),
        ("num_envs must be", {"num_envs": 0}),
        ("'dificulty'", {"dificulty": "easy"}),
    ],
)
def test_bad_options_are_refused(puffer, error, options) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        puffer(**{"env_id": LANE_KEEP, "num_envs": 2} | options)


def test_bad_calls_are_refused_and_move_nothing(puffer) -> None:
    env = puffer(LANE_KEEP, 2)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.ones(2, np.int64))
    before = first_obs(env, 0)
    with pytest.raises(ValueError, match="got 5 in env 1"):
        env.step(np.array([1, 5]))
    with pytest.raises(TypeError, match="seed"):
        env.reset("0")
    np.testing.assert_array_equal(env.observations, before)
    np.testing.assert_array_equal(env.envs.observe(), before)
    env.close()
    env.close()
    with pytest.raises(gym.error.ClosedEnvironmentError):
        env.step(np.ones(2, np.int64))


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_all_envs_are_drawn_in_one_picture(puffer) -> None:
    env = puffer(LANE_KEEP, 4, render_mode="rgb_array")
    env.reset()
    np.testing.assert_array_equal(env.render(), env.envs.render_grid())
    env = puffer(LANE_KEEP, 2, render_mode="ansi")
    env.reset()
    assert [type(text) for text in env.render()] == [str, str]


def test_the_code_of_the_page_runs_and_shows_what_it_says(puffer, stand_in, monkeypatch) -> None:
    run_library_page("pufferlib")
