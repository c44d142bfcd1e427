"""Tianshou's collectors get exactly the transitions of the environments."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
from docs_blocks import run_library_page
from loading import load_script

pytest.importorskip("tianshou")

import torch
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch, Collector, CollectStats, VectorReplayBuffer
from tianshou.env import DummyVectorEnv

import drivesim  # noqa: F401 (registers the environments)
from drivesim.integrations.tianshou import TianshouVecEnv

HIGHWAY, LANE_KEEP, OBSTACLES = "drivesim/Highway-v1", "drivesim/LaneKeep-v1", "drivesim/Obstacles-v1"
NUM_ENVS, LIMIT = 5, 12
FIELDS = ("obs", "act", "rew", "terminated", "truncated", "obs_next")
TABLE = np.random.default_rng(0).choice(5, 997, p=(0.05, 0.4, 0.05, 0.3, 0.2))  # keeps many cars on the road


def act(obs: np.ndarray) -> np.ndarray:
    """A deterministic policy: actions (N,) that hang on every byte of observations (N, *obs_shape)."""
    flat = np.ascontiguousarray(obs).reshape(len(obs), -1).view(np.uint8)
    return TABLE[(flat @ np.arange(1, flat.shape[1] + 1)) % len(TABLE)]


class TablePolicy(Policy):
    """The same for Tianshou."""

    def __init__(self) -> None:
        super().__init__(action_space=gym.spaces.Discrete(5))

    def forward(self, batch, state=None, **kwargs):
        return Batch(act=torch.from_numpy(act(batch.obs)))


def drive(env_seed: int, num_steps: int, env_id: str, **options) -> dict[str, list]:
    """Our own rollout of one env, begun by its seed and one more reset."""
    env = gym.make(env_id, **options)
    env.reset(seed=env_seed)
    obs, _ = env.reset()
    rows: dict[str, list] = {name: [] for name in FIELDS}
    for _ in range(num_steps):
        action = act(obs[None])[0]
        obs_next, reward, terminated, truncated, _ = env.step(action)
        for name, value in zip(FIELDS, (obs, action, reward, terminated, truncated, obs_next), strict=True):
            rows[name].append(value)
        obs = env.reset()[0] if terminated or truncated else obs_next
    return rows


def collector_of(env) -> Collector:
    return Collector[CollectStats](TablePolicy(), env, VectorReplayBuffer(5_000, NUM_ENVS))


def dummy(env_id: str, **options) -> DummyVectorEnv:
    def maker() -> Callable[[], gym.Env]:
        return lambda: gym.make(env_id, **options)

    return DummyVectorEnv([maker() for _ in range(NUM_ENVS)])


def assert_same_transitions(buffer: VectorReplayBuffer, i: int, expected: dict[str, list]) -> None:
    rows = buffer.buffers[i][:]
    assert len(rows) == len(expected["obs"])
    for name in FIELDS:
        np.testing.assert_array_equal(rows[name], np.array(expected[name]), err_msg=f"{name} of env {i}")


# --- collectors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [HIGHWAY, OBSTACLES])
def test_collecting_steps_gives_the_transitions_of_the_environments(env_id) -> None:
    env = TianshouVecEnv(env_id, NUM_ENVS, max_episode_steps=LIMIT)
    env.seed(3)
    collector = collector_of(env)
    collector.reset()
    collector.collect(n_step=100 * NUM_ENVS)
    collector.collect(n_step=150 * NUM_ENVS)  # goes on where the first stopped
    for i in range(NUM_ENVS):
        expected = drive(3 + i, 250, env_id, max_episode_steps=LIMIT)
        assert any(expected["terminated"])
        assert any(expected["truncated"])
        assert_same_transitions(collector.buffer, i, expected)


def test_collecting_episodes_gives_those_of_the_environments_also_while_envs_are_idle() -> None:
    num_episodes = 2 * NUM_ENVS + 2
    env = TianshouVecEnv(HIGHWAY, NUM_ENVS, max_episode_steps=LIMIT)
    moving = []

    def watched(actions, id=None):
        moving.append(len(id))
        return TianshouVecEnv.step(env, actions, id)

    env.step = watched
    env.seed(11)
    collector = collector_of(env)
    collector.reset()
    collector.collect(n_episode=num_episodes)
    assert moving == sorted(moving, reverse=True)  # ever more envs stand still
    assert moving[0] == NUM_ENVS
    assert len(set(moving)) >= 3
    num_ends = 0
    for i, rows in enumerate(collector.buffer.buffers):
        expected = drive(11 + i, len(rows), HIGHWAY, max_episode_steps=LIMIT)
        assert_same_transitions(collector.buffer, i, expected)
        ends = np.logical_or(expected["terminated"], expected["truncated"])
        assert ends[-1]
        num_ends += ends.sum()
    assert num_ends == num_episodes


@pytest.mark.parametrize("options", [{}, {"observation": "features", "reward": "cost"}], ids=["grid", "features"])
def test_any_collection_equals_one_over_tianshous_own_environments(options) -> None:
    options["max_episode_steps"] = LIMIT
    buffers, returns = [], []
    for env in (TianshouVecEnv(HIGHWAY, NUM_ENVS, **options), dummy(HIGHWAY, **options)):
        assert len(env.seed(5)) == NUM_ENVS
        collector = collector_of(env)
        collector.reset()
        stats = [
            collector.collect(n_step=20 * NUM_ENVS),
            collector.collect(n_step=10 * NUM_ENVS, random=True),
            collector.collect(n_episode=2 * NUM_ENVS + 3),
            collector.collect(n_step=15 * NUM_ENVS),
            collector.collect(n_episode=NUM_ENVS, random=True),
        ]
        with pytest.warns(UserWarning, match="n_episode=2 should be larger"):
            stats.append(collector.collect(n_episode=2))
        stats.append(collector.collect(n_episode=NUM_ENVS + 1, reset_before_collect=True))
        stats.append(collector.collect(n_episode=NUM_ENVS, gym_reset_kwargs={"options": {}}))
        buffers.append(collector.buffer)
        returns.append([stat.returns.tolist() for stat in stats])
    ours, theirs = buffers
    assert len(ours) == len(theirs) > 60 * NUM_ENVS
    assert returns[0] == returns[1]
    rows, same_rows = ours[:], theirs[:]
    for name in (*FIELDS, "done"):
        assert rows[name].dtype == same_rows[name].dtype
        np.testing.assert_array_equal(rows[name], same_rows[name])
    np.testing.assert_array_equal(rows.info.env_id, same_rows.info.env_id)
    for name in ("success", "collision", "timeout", "episode_length", "episode_return"):
        np.testing.assert_array_equal(rows.info[name], np.where(rows.done, same_rows.info[name], 0))
    if "reward" in options:
        np.testing.assert_array_equal(rows.info.cost, same_rows.info.cost)


# --- the environment itself -------------------------------------------------------------------------------------------


def test_every_call_answers_as_tianshous_own_environment() -> None:
    env, other = TianshouVecEnv(HIGHWAY, NUM_ENVS), dummy(HIGHWAY)
    assert len(env) == len(other)
    assert env.is_async == other.is_async
    for key in ("action_space", "observation_space"):
        assert getattr(env, key) == getattr(other, key)
        assert env.get_env_attr(key, 2) == other.get_env_attr(key, 2)
        assert env.get_env_attr(key, [3, 0]) == other.get_env_attr(key, [3, 0])
    for seed in (4, [9, 2**70, 0, 7, 1]):
        assert env.seed(seed) == other.seed(seed)
        for arguments in ({}, {"env_id": 1}, {"env_id": [4, 0]}, {"env_id": np.array([2]), "seed": 8}, {"seed": 3}):
            np.testing.assert_array_equal(env.reset(**arguments)[0], other.reset(**arguments)[0])
        for id in (None, 2, [1], [4, 0, 2], np.array([3, 1])):
            actions = np.ones(NUM_ENVS if id is None else np.size(id), np.int64)
            answers, same_answers = env.step(actions, id), other.step(actions, id)
            for answer, same_answer in zip(answers[:4], same_answers[:4], strict=True):
                assert answer.dtype == same_answer.dtype
                np.testing.assert_array_equal(answer, same_answer)
            assert [info["env_id"] for info in answers[4]] == [info["env_id"] for info in same_answers[4]]


def test_a_step_of_some_envs_leaves_the_states_of_the_others_as_they_were() -> None:
    env = TianshouVecEnv(HIGHWAY, NUM_ENVS)
    env.seed(0)
    rng = np.random.default_rng(0)
    for _ in range(100):
        ids = rng.permutation(NUM_ENVS)[: rng.integers(1, NUM_ENVS)]
        before = env.envs.get_state()
        _, _, terminated, truncated, _ = env.step(rng.integers(0, 5, len(ids)), ids)
        after = env.envs.get_state()
        others = np.setdiff1d(np.arange(NUM_ENVS), ids)
        assert (before[others] == after[others]).all()
        assert (before["world"]["tick"][ids] + 1 == after["world"]["tick"][ids]).all()
        ended = ids[terminated | truncated]
        if ended.size:
            env.reset(ended)


def test_arrays_of_earlier_steps_stay_as_they_were() -> None:
    env = TianshouVecEnv(HIGHWAY, NUM_ENVS)
    env.seed(0)
    kept = [env.step(np.ones(NUM_ENVS, int)) for _ in range(3)] + [env.step([3, 4], [0, 1])]
    arrays = [array for answers in kept for array in answers[:4]]
    for number, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:number])


def test_pictures_are_those_of_tianshous_own_environment() -> None:
    options = {"render_mode": "rgb_array", "render_size": 64}
    env, other = TianshouVecEnv(LANE_KEEP, NUM_ENVS, **options), dummy(LANE_KEEP, **options)
    for envs in (env, other):
        envs.seed(0)
    np.testing.assert_array_equal(env.render(), other.render())


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "options", "parts"),
    [
        ("CartPole-v1", {}, ("env_id", "CartPole-v1", HIGHWAY)),
        (HIGHWAY, {"autoreset_mode": "SameStep"}, ("autoreset_mode", "SameStep", "DISABLED")),
        (HIGHWAY, {"difficulty": "extreme"}, ("difficulty", "extreme", "easy")),
        (HIGHWAY, {"num_envs": 0}, ("num_envs", "0")),
    ],
)
def test_a_bad_option_is_refused_by_name(env_id, options, parts) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        TianshouVecEnv(env_id, **{"num_envs": NUM_ENVS, **options})
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("action", "id", "parts"),
    [
        ([1] * NUM_ENVS, [0, 1, 1, 2, 3], ("id", "[0, 1, 1, 2, 3]", "[0, 4]")),
        ([1], [NUM_ENVS], ("id", "[5]", "[0, 4]")),
        ([1], -1, ("id", "-1", "[0, 4]")),
        ([1], [0.0], ("id", "[0.0]", "[0, 4]")),
        ([1], [True], ("id", "True", "[0, 4]")),
        ([1, 1], [3], ("actions", "(1,)", "(2,)")),
        ([1, 5], [3, 2], ("actions", "[0, 4]", "5", "env 2")),
        (np.array([1, 2**64 - 1], np.uint64), [3, 2], ("actions", "[0, 4]", str(2**64 - 1), "env 2")),
        ([1.5], [3], ("actions", "float64")),
        (None, None, ("actions", "None")),
    ],
)
def test_a_bad_step_is_refused_before_any_env_has_moved(action, id, parts) -> None:
    env = TianshouVecEnv(HIGHWAY, NUM_ENVS)
    env.seed(0)
    before = env.envs.get_state()
    with pytest.raises((TypeError, ValueError)) as caught:
        env.step(action, id)
    for part in parts:
        assert part in str(caught.value)
    assert (env.envs.get_state() == before).all()


def test_calls_out_of_order_are_refused() -> None:
    env = TianshouVecEnv(HIGHWAY, NUM_ENVS, max_episode_steps=1)
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        env.step([1], [0])
    with pytest.raises(gym.error.ResetNeeded, match="reset all envs"):
        env.reset([0])
    env.seed(0)
    env.step([1, 1], [4, 2])
    with pytest.raises(gym.error.ResetNeeded, match="env 2 has ended"):
        env.step([1, 1], [2, 3])
    env.step([1, 1], [0, 3])
    env.reset([2])
    env.step([1], [2])
    with pytest.raises(AttributeError, match="'difficulty' cannot be set"):
        env.set_env_attr("difficulty", "easy")
    env.close()
    with pytest.raises(AssertionError, match="close"):
        env.reset()


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_example_learns_to_drive(capsys) -> None:
    example = load_script("examples/tianshou_dqn")
    before, after = example.train(epochs=4)
    assert before < -0.5
    assert after > before + 0.5
    assert "held-out levels" in capsys.readouterr().out


def test_the_code_of_the_page_runs_and_shows_what_it_says(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    run_library_page("tianshou")
