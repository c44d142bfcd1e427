"""A batch behaves as that many single environments under Gymnasium's own SyncVectorEnv, in every autoreset mode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import AUTODRIVE, CUSTOM, HIGHWAY, IDS, INTERSECTION, LANE_KEEP, MODES, draw_actions
from gymnasium.vector import AutoresetMode

from drivesim.vector_env import DriveVectorEnv

NUM_ENVS = 4
SEED = 40


def make_pair(env_id: str, mode: AutoresetMode, **options: Any) -> tuple[Any, Any]:
    """The native batch and Gymnasium's batch of single environments."""
    native = gym.make_vec(env_id, num_envs=NUM_ENVS, autoreset_mode=mode, **options)
    reference = gym.make_vec(
        env_id, num_envs=NUM_ENVS, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **options
    )
    return native, reference


def assert_same_summary(summary: dict[str, Any], reference: dict[str, Any], ended: np.ndarray) -> None:
    """What infos say of episodes is what Gymnasium collects from single infos: keys, dtypes, shapes, values."""
    names = {name for name in summary if not name.startswith("_")}
    assert {"success", "episode_length", "episode_return", "level_seed", "timeout"} <= names
    for name in names:
        assert summary[name].dtype == reference[name].dtype
        assert summary[name].shape == reference[name].shape == (NUM_ENVS,)
        np.testing.assert_array_equal(summary[name][ended], reference[name][ended])
        np.testing.assert_array_equal(summary[f"_{name}"], ended)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("env_id", IDS)
def test_every_env_is_the_single_environment_of_its_seed_over_many_episodes(env_id, mode) -> None:
    native, reference = make_pair(env_id, mode, max_episode_steps=5 if env_id in (AUTODRIVE, CUSTOM) else 17)
    rng = np.random.default_rng(4)
    obs, infos = native.reset(seed=SEED)
    np.testing.assert_array_equal(obs, reference.reset(seed=SEED)[0])
    assert infos == {}
    num_terminated = num_truncated = num_steps = 0
    ended = np.zeros(NUM_ENVS, np.bool_)
    while num_steps < 1600:
        if mode is AutoresetMode.DISABLED and ended.any():
            obs, infos = native.reset(options={"reset_mask": ended.copy()})
            np.testing.assert_array_equal(obs, reference.reset(options={"reset_mask": ended.copy()})[0])
            assert infos == {}
        begins = ended if mode is AutoresetMode.NEXT_STEP else np.zeros(NUM_ENVS, np.bool_)
        actions = draw_actions(rng, native.single_action_space.n, NUM_ENVS)
        obs, rewards, terminations, truncations, infos = native.step(actions)
        obs_2, rewards_2, terminations_2, truncations_2, infos_2 = reference.step(actions)
        np.testing.assert_array_equal(obs, obs_2)
        np.testing.assert_array_equal(rewards, rewards_2)
        np.testing.assert_array_equal(terminations, terminations_2)
        np.testing.assert_array_equal(truncations, truncations_2)
        assert (rewards[begins] == 0).all()
        assert not (terminations | truncations)[begins].any()
        ended = terminations | truncations
        if not ended.any():
            assert infos == {}
        elif mode is AutoresetMode.SAME_STEP:
            assert infos.keys() == {"final_obs", "_final_obs", "final_info", "_final_info"}
            np.testing.assert_array_equal(infos["_final_obs"], ended)
            np.testing.assert_array_equal(infos["_final_info"], ended)
            assert infos["final_obs"].shape == obs.shape
            assert infos["final_obs"].dtype == obs.dtype
            for i in np.flatnonzero(ended):
                np.testing.assert_array_equal(infos["final_obs"][i], infos_2["final_obs"][i])
            assert_same_summary(infos["final_info"], infos_2["final_info"], ended)
        else:
            assert_same_summary(infos, infos_2, ended)
        num_steps += NUM_ENVS
        num_terminated += int(terminations.sum())
        num_truncated += int(truncations.sum())
    assert num_terminated > 10
    assert num_truncated >= 3


def first_end(env_id: str, seed: int) -> int:
    """Steps until FASTER, FASTER, … ends in a termination."""
    env = gym.make(env_id, max_episode_steps=-1)
    env.reset(seed=seed)
    for step in range(1, 200):
        if env.step(3 if env.action_space.n == 5 else 2)[2]:
            return step
    raise AssertionError("no termination")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("env_id", [LANE_KEEP, HIGHWAY, INTERSECTION])
def test_an_env_that_terminates_on_its_last_step_is_truncated_too(env_id, mode) -> None:
    limit = first_end(env_id, SEED)
    for max_episode_steps, truncated in ((limit, True), (limit + 1, False)):
        native, reference = make_pair(env_id, mode, max_episode_steps=max_episode_steps)
        native.reset(seed=[SEED] * NUM_ENVS)
        reference.reset(seed=[SEED] * NUM_ENVS)
        for _ in range(limit):
            answers = native.step(np.full(NUM_ENVS, 3))
            answers_2 = reference.step(np.full(NUM_ENVS, 3))
        assert answers[2].all()
        assert (answers[3] == truncated).all()
        np.testing.assert_array_equal(answers[3], answers_2[3])


def test_the_registered_time_limit_holds_in_a_batch_and_can_be_lifted() -> None:
    for options, limit in (({}, 50), ({"max_episode_steps": 7}, 7), ({"max_episode_steps": -1}, 0)):
        envs = gym.make_vec(HIGHWAY, num_envs=1, **options)
        envs.reset(seed=0)
        truncations = [bool(envs.step(np.array([4]))[3][0]) for _ in range(80)]  # braking to a stand never crashes
        assert truncations.index(True) + 1 == limit if limit else not any(truncations)
    envs = DriveVectorEnv("Highway")  # without Gymnasium in between
    envs.reset(seed=0)
    assert [bool(envs.step(np.array([4]))[3][0]) for _ in range(50)] == [False] * 49 + [True]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_gymnasiums_episode_statistics_agree_with_the_infos_in_every_mode(mode) -> None:
    if mode is AutoresetMode.SAME_STEP and tuple(map(int, gym.__version__.split(".")[:2])) < (1, 4):
        pytest.skip("Gymnasium before 1.4 leaves out the first step of an episode in this mode")
    envs = gym.make_vec(HIGHWAY, num_envs=6, autoreset_mode=mode, max_episode_steps=15)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    envs.reset(seed=7)
    rng = np.random.default_rng(7)
    num_episodes = 0
    for _ in range(120):
        _, _, terminations, truncations, infos = envs.step(draw_actions(rng, 5, 6))
        ended = terminations | truncations
        if ended.any():
            summary = infos["final_info"] if mode is AutoresetMode.SAME_STEP else infos
            np.testing.assert_array_equal(infos["episode"]["l"][ended], summary["episode_length"][ended])
            np.testing.assert_allclose(infos["episode"]["r"][ended], summary["episode_return"][ended], atol=1e-12)
            num_episodes += int(ended.sum())
            if mode is AutoresetMode.DISABLED:
                envs.reset(options={"reset_mask": ended})
    assert num_episodes > 30


def test_a_pending_autoreset_ignores_its_action_but_not_a_wrong_one() -> None:
    first, second = (gym.make_vec(HIGHWAY, num_envs=1, max_episode_steps=1) for _ in range(2))
    for envs in (first, second):
        envs.reset(seed=0)
        envs.step(np.array([1]))
    with pytest.raises(ValueError, match="actions"):
        first.step(np.array([5]))
    for one, other in zip(first.step(np.array([0])), second.step(np.array([4])), strict=True):
        assert np.array_equal(one, other)


def test_final_obs_and_infos_are_the_callers_to_keep() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=2, autoreset_mode="SameStep", max_episode_steps=1)
    envs.reset(seed=0)
    answers = envs.step(np.array([1, 1]))
    kept = [answers[0].copy(), answers[4]["final_obs"].copy(), answers[4]["final_info"]["episode_length"].copy()]
    for _ in range(3):
        envs.step(np.array([3, 3]))
    assert np.array_equal(kept[0], answers[0])
    assert np.array_equal(kept[1], answers[4]["final_obs"])
    assert np.array_equal(kept[2], answers[4]["final_info"]["episode_length"])
