"""Saving, restoring, forking and observing states."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from env_tools import (
    HIGHWAY,
    IDS,
    INTERSECTION,
    LANE_KEEP,
    MODES,
    OBSERVATIONS,
    assert_same,
    assert_same_future,
    at,
    draw_actions,
    keys,
    stay,
    world_bytes,
)

from drivesim.config import DRIVER_MODELS
from drivesim.core.world import ENDED
from drivesim.engine import Engine
from drivesim.registry import entry_of_id, scenario_of

CONTINUE = """
import hashlib, sys
import gymnasium as gym, numpy as np
import drivesim
env_id, mode, state, actions = sys.argv[1:]
envs = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, max_episode_steps=12).unwrapped
envs.set_state(np.load(state))
digest = hashlib.sha256(envs.observe().tobytes())
for row in np.load(actions):
    for answer in envs.step(row)[:4]:
        digest.update(np.ascontiguousarray(answer).tobytes())
print(digest.hexdigest())
"""


def drive(envs, num_steps: int, seed: int) -> None:
    """Some steps; under DISABLED with the resets that they need."""
    rng = np.random.default_rng(seed)
    for _ in range(num_steps):
        answers = envs.step(draw_actions(rng, envs.single_action_space.n, envs.num_envs))
        ended = answers[2] | answers[3]
        if envs.unwrapped.autoreset_mode is MODES[2] and ended.any():
            envs.reset(options={"reset_mask": ended})


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("env_id", IDS)
def test_a_restored_state_continues_exactly_pending_autoresets_included(env_id, mode) -> None:
    envs = gym.make_vec(env_id, num_envs=6, autoreset_mode=mode, max_episode_steps=9).unwrapped
    twin = gym.make_vec(env_id, num_envs=6, autoreset_mode=mode, max_episode_steps=9).unwrapped
    envs.reset(seed=1)
    twin.reset(seed=99)
    for n in range(10):
        drive(envs, 1, n)
        state = envs.get_state()
        drive(twin, 2, n)
        assert twin.set_state(state) is None
        assert np.array_equal(world_bytes(twin.get_state()), world_bytes(state))
        np.testing.assert_array_equal(twin.observe(), envs.observe())
        assert_same_future(envs, twin, 12, seed=n)
        envs.set_state(state)
        if mode is MODES[0]:
            envs.set_state(state)
            pending = state["world"]["stage"] == ENDED
            rewards = envs.step(np.zeros(6, int))[1]
            assert (rewards[pending] == 0).all()
            assert (envs.get_state()["world"]["tick"][pending] == 0).all()
            envs.set_state(state)


@pytest.mark.parametrize(
    ("env_id", "traffic"),
    [
        (env_id, traffic)
        for env_id in IDS
        for traffic, model in DRIVER_MODELS.items()
        if model in scenario_of(entry_of_id(env_id).name).driver_models
        and (env_id, traffic) != ("drivesim/Custom-v1", "unaware")  # people walk in its levels
    ],
)
def test_every_state_that_can_be_reached_is_taken_back(env_id, traffic) -> None:
    envs = gym.make_vec(env_id, num_envs=32, traffic=traffic, **at("hard", env_id)).unwrapped
    envs.reset(seed=0)
    for n in range(60):
        drive(envs, 1, n)
        state = envs.get_state()
        envs.set_state(state)
        assert np.array_equal(world_bytes(envs.get_state()), world_bytes(state))


def test_a_state_is_a_copy_that_later_steps_leave_alone() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=2).unwrapped
    envs.reset(seed=0)
    state = envs.get_state()
    kept = state.copy()
    drive(envs, 3, 0)
    assert (state == kept).all()
    envs.set_state(state)
    drive(envs, 3, 0)
    assert (state == kept).all()
    state["world"]["tick"] = 40
    assert (envs.get_state()["world"]["tick"] != 40).all()


def test_a_mask_chooses_the_envs_that_are_restored() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=4).unwrapped
    envs.reset(seed=0)
    early = envs.get_state()
    drive(envs, 4, 0)
    late = envs.get_state()
    mask = np.array([True, False, True, False])
    envs.set_state(early, mask=mask)
    assert (envs.get_state()[mask] == early[mask]).all()
    assert (envs.get_state()[~mask] == late[~mask]).all()
    assert mask.tolist() == [True, False, True, False]
    envs.set_state(early, mask=np.zeros(4, bool))
    assert (envs.get_state()[~mask] == late[~mask]).all()


@pytest.mark.parametrize("env_id", IDS)
def test_a_single_environment_restores_an_envs_state_and_its_own(env_id) -> None:
    envs = gym.make_vec(env_id, num_envs=3).unwrapped
    env = gym.make(env_id).unwrapped
    action = stay(env_id)
    envs.reset(seed=4)
    envs.step(np.full(3, action))
    env.set_state(envs.get_state()[1:2])  # no reset needed
    np.testing.assert_array_equal(env.observe(), envs.observe()[1])
    state = env.get_state()
    first = [env.step(action)[:4] for _ in range(3)]
    env.set_state(state)
    assert_same(first, [env.step(action)[:4] for _ in range(3)])
    np.testing.assert_array_equal(envs.step(np.full(3, action))[0][1], first[0][0])


def test_restoring_a_terminated_state_asks_for_a_reset_and_a_running_one_does_not() -> None:
    env = gym.make(LANE_KEEP).unwrapped
    env.reset(seed=0)
    running = env.get_state()
    while not env.step(0)[2]:  # off to the left
        pass
    over = env.get_state()
    env.set_state(running)
    env.step(1)
    env.set_state(over)
    np.testing.assert_array_equal(env.observe(), env.observe())
    with pytest.raises(gym.error.ResetNeeded):
        env.step(1)
    obs, _ = env.reset()
    assert env.get_state()["world"]["episode"][0] == 1
    np.testing.assert_array_equal(obs, env.observe())


def test_a_state_from_before_the_first_reset_restores_to_before_the_first_reset() -> None:
    for make in (gym.make, gym.make_vec):
        env = make(HIGHWAY).unwrapped
        blank = env.get_state()
        env.reset(seed=0)
        env.set_state(blank)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(1 if make is gym.make else np.array([1]))
        seen = set()
        for _ in range(2):
            env.set_state(blank)
            env.reset()
            seen.add(keys(env).tobytes())
        assert len(seen) == 2, "an unseeded reset takes fresh entropy"


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_observe_gives_the_last_observation_and_changes_nothing(observation, mode) -> None:
    envs = gym.make_vec(
        INTERSECTION, num_envs=5, observation=observation, autoreset_mode=mode, max_episode_steps=9
    ).unwrapped
    rng = np.random.default_rng(0)
    obs, _ = envs.reset(seed=3)
    for _ in range(40):
        before = world_bytes(envs.get_state())
        np.testing.assert_array_equal(envs.observe(), obs)
        assert np.array_equal(before, world_bytes(envs.get_state()))
        obs, _, terminations, truncations, _ = envs.step(draw_actions(rng, 5, 5))
        if mode is MODES[2] and (terminations | truncations).any():
            obs, _ = envs.reset(options={"reset_mask": terminations | truncations})
    env = gym.make(INTERSECTION, observation=observation).unwrapped
    obs, _ = env.reset(seed=3)
    np.testing.assert_array_equal(env.observe(), obs)
    obs = env.step(3)[0]
    np.testing.assert_array_equal(env.observe(), obs)


@pytest.mark.parametrize(("env_id", "mode"), [(HIGHWAY, "NextStep"), (INTERSECTION, "SameStep")])
def test_another_process_continues_a_saved_state_to_the_same_bytes(env_id, mode, tmp_path: Path) -> None:
    envs = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, max_episode_steps=12).unwrapped
    envs.reset(seed=2**65)
    drive(envs, 8, 1)
    np.save(tmp_path / "state.npy", envs.get_state())
    actions = draw_actions(np.random.default_rng(1), 5, (60, 3))
    np.save(tmp_path / "actions.npy", actions)
    digest = hashlib.sha256(envs.observe().tobytes())
    for row in actions:
        for answer in envs.step(row)[:4]:
            digest.update(np.ascontiguousarray(answer).tobytes())
    arguments = [env_id, mode, str(tmp_path / "state.npy"), str(tmp_path / "actions.npy")]
    there = subprocess.run([sys.executable, "-c", CONTINUE, *arguments], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == digest.hexdigest()


def test_forks_without_new_keys_all_continue_as_the_original() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=4, max_episode_steps=20).unwrapped
    envs.reset(seed=0)
    drive(envs, 3, 0)
    copies = envs.fork(2, 4, rekey=False)
    assert copies.shape == (4,)
    assert (copies == envs.get_state()[2]).all()
    envs.set_state(copies)
    rng = np.random.default_rng(0)
    for _ in range(60):  # through several episodes
        obs, rewards, *_ = envs.step(np.full(4, draw_actions(rng, 5, None)))
        assert (obs == obs[0]).all()
        assert (rewards == rewards[0]).all()


def test_forks_with_new_keys_begin_alike_and_each_has_its_own_future() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=5, difficulty="hard", max_episode_steps=10).unwrapped
    envs.reset(seed=0)
    drive(envs, 2, 0)
    original = envs.get_state()
    copies = envs.fork(1, 4)
    assert np.array_equal(copies["world"]["vehicles"], np.repeat(original[1:2]["world"]["vehicles"], 4, axis=0))
    worlds = np.concatenate([original[1:2], copies])["world"]
    assert len(set(zip(worlds["key_0"].tolist(), worlds["key_1"].tolist(), strict=True))) == 5
    envs.set_state(np.concatenate([original[1:2], copies]))
    obs = envs.observe()
    assert (obs == obs[0]).all()
    for _ in range(15):
        obs = envs.step(np.full(5, 4))[0]
    assert len({row.tobytes() for row in obs}) == 5
    assert len(set(envs.get_state()["world"]["level_seed"].tolist())) == 5
    envs.set_state(original)
    assert (envs.fork(1, 4) == copies).all(), "a fork is a function of the state"
    assert (envs.get_state() == original).all()


@pytest.mark.parametrize("env_id", IDS)
def test_no_level_is_drawn_to_take_over_a_state(env_id, monkeypatch) -> None:
    """There may be none: of options that few levels can satisfy, the first level may be one that cannot."""
    envs, other = (gym.make_vec(env_id, num_envs=3).unwrapped for _ in range(2))
    envs.reset(seed=1)
    envs.step(np.zeros(3, np.int64))
    state = envs.get_state()
    for name in ("reset", "_level"):
        monkeypatch.setattr(Engine, name, lambda *_: pytest.fail("drew a level"))
    other.set_state(state)
    assert_same(other.observe(), envs.observe())
    other.set_state(other.get_state())
    assert_same(world_bytes(other.get_state()), world_bytes(state))
