"""Seeds, episodes, levels: what begins when, and what it depends on."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from env_tools import GENERATED, HIGHWAY, LANE_KEEP, OBSTACLES, assert_same_future, keys, world_bytes

from drivesim.core.rng import TEST_SPLIT


def levels(env_id: str, seed: object, num_envs: int = 400, **options: object) -> np.ndarray:
    """The level seeds that the envs draw first."""
    envs = gym.make_vec(env_id, num_envs=num_envs, **options)
    envs.reset(seed=seed)
    return envs.unwrapped.get_state()["world"]["level_seed"]


@pytest.mark.parametrize(
    "seeds",
    [
        [5, 6, 7, 8],
        (5, 6, 7, 8),
        np.array([5, 6, 7, 8]),
        np.array([5, 6, 7, 8], np.uint8),
        np.int64(5),
        np.uint64(5),
        np.array(5),
        5,
    ],
    ids=repr,
)
def test_seeds_of_every_kind_of_integer_mean_the_same(seeds) -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=4).unwrapped
    twin = gym.make_vec(HIGHWAY, num_envs=4).unwrapped
    assert np.array_equal(envs.reset(seed=seeds)[0], twin.reset(seed=5)[0])
    assert_same_future(envs, twin, 10)


def test_seeds_of_any_size_work_and_differ() -> None:
    env = gym.make(HIGHWAY).unwrapped
    envs = gym.make_vec(HIGHWAY, num_envs=2).unwrapped
    seen = set()
    for seed in (0, 2**31, 2**32 - 2, 2**32, 2**63, 2**64, 2**70, 10**30):
        expected = []
        for each in (seed, seed + 1):
            env.reset(seed=each)
            expected.append(keys(env)[0].tolist())
        envs.reset(seed=seed)
        assert keys(envs).tolist() == expected
        envs.reset(seed=[seed, seed + 1])
        assert keys(envs).tolist() == expected
        seen |= set(map(tuple, expected))
    assert len(seen) == 16


@pytest.mark.parametrize("env_id", GENERATED)
def test_a_reset_without_a_seed_begins_the_next_episode_and_a_seed_begins_anew(env_id) -> None:
    env = gym.make(env_id).unwrapped
    first, _ = env.reset(seed=9)
    later = [env.reset()[0] for _ in range(4)]
    assert env.get_state()["world"]["episode"][0] == 4
    again, _ = env.reset(seed=9)
    assert np.array_equal(first, again)
    for obs in later:
        assert np.array_equal(env.reset()[0], obs)
    assert len({obs.tobytes() for obs in (first, *later)}) > 1


def test_the_next_episode_is_the_same_one_however_the_last_was_ended() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3, max_episode_steps=2).unwrapped
    # env 0 is reset by the batch, env 1 by a mask, env 2 by a plain reset in another batch
    envs.reset(seed=3)
    envs.step(np.full(3, 1))
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    envs.step(np.full(3, 1))
    envs.step(np.full(3, 1))  # envs 0 and 2 begin anew
    other = gym.make_vec(HIGHWAY, num_envs=3).unwrapped
    other.reset(seed=3)
    other.reset()
    assert envs.get_state()["world"]["level_seed"].tolist() == other.get_state()["world"]["level_seed"].tolist()
    assert envs.get_state()["world"]["episode"].tolist() == [1, 1, 1]


def test_none_in_a_list_of_seeds_lets_that_env_continue() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3).unwrapped
    twin = gym.make_vec(HIGHWAY, num_envs=3).unwrapped
    envs.reset(seed=1)
    twin.reset(seed=1)
    envs.reset(seed=[50, None, 52])
    twin.reset()
    assert envs.get_state()["world"]["episode"].tolist() == [0, 1, 0]
    assert envs.get_state()[1] == twin.get_state()[1]
    twin.reset(seed=[50, 51, 52])
    assert envs.get_state()[0] == twin.get_state()[0]
    assert envs.get_state()[2] == twin.get_state()[2]


def test_unseeded_environments_differ() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=50)
    envs.reset()
    drawn = set(map(tuple, keys(envs).tolist()))
    assert len(drawn) == 50
    env = gym.make(HIGHWAY)
    env.reset()
    assert tuple(keys(env)[0].tolist()) not in drawn
    envs = gym.make_vec(HIGHWAY, num_envs=2)
    envs.reset(seed=[None, 3])
    assert (keys(envs) != 0).any(axis=1).all()


def test_a_partial_reset_touches_the_chosen_envs_only_and_leaves_the_callers_dict_alone() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=4, autoreset_mode="Disabled")
    obs, _ = envs.reset(seed=0)
    obs = envs.step(np.full(4, 1))[0]
    before = world_bytes(envs.unwrapped.get_state())
    mask = np.array([True, False, False, True])
    options = {"reset_mask": mask}
    after_obs, infos = envs.reset(options=options)
    after = world_bytes(envs.unwrapped.get_state())
    assert infos == {}
    assert options == {"reset_mask": mask}
    assert mask.tolist() == [True, False, False, True]
    assert np.array_equal(before[~mask], after[~mask])
    assert np.array_equal(obs[~mask], after_obs[~mask])
    assert envs.unwrapped.get_state()["world"]["episode"].tolist() == [1, 0, 0, 1]
    envs.reset(seed=[7, 7, 7, 7], options=options)  # seeds of other envs are not used
    assert np.array_equal(before[~mask], world_bytes(envs.unwrapped.get_state())[~mask])
    assert envs.unwrapped.get_state()["world"]["episode"].tolist() == [0, 0, 0, 0]


def test_a_partial_reset_cancels_the_pending_autoreset_of_its_envs() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=2, max_episode_steps=2).unwrapped
    envs.reset(seed=0)
    envs.step(np.array([1, 1]))
    envs.step(np.array([1, 1]))
    envs.reset(options={"reset_mask": np.array([True, False])})
    envs.step(np.array([1, 1]))
    assert envs.get_state()["world"]["tick"].tolist() == [1, 0]
    assert envs.get_state()["world"]["episode"].tolist() == [1, 1]


@pytest.mark.parametrize("env_id", GENERATED)
def test_a_level_seed_replays_its_level_whatever_the_env(env_id) -> None:
    wanted = 123_456_789_012
    env = gym.make(env_id).unwrapped
    first, info = env.reset(seed=1, options={"level_seed": wanted})
    assert info["level_seed"] == wanted
    level = env.get_state()
    env.reset()
    second, info = env.reset(seed=77, options={"level_seed": np.int64(wanted)})
    assert info["level_seed"] == wanted
    assert np.array_equal(first, second)
    again = env.get_state()
    for name in ("egos", "vehicles", "lamps", "occupants"):
        assert (again["world"][name] == level["world"][name]).all()
    if "map" in level.dtype.names:
        assert (again["map"] == level["map"]).all()
    envs = gym.make_vec(env_id, num_envs=3).unwrapped
    obs, _ = envs.reset(seed=5, options={"level_seed": wanted})
    assert (obs == first).all()
    obs, _ = envs.reset(options={"level_seed": [3, wanted, 4]})
    assert envs.get_state()["world"]["level_seed"].tolist() == [3, wanted, 4]
    assert (obs[1] == first).all()
    assert not (obs[0] == first).all()
    drawn = gym.make(env_id).unwrapped
    drawn.reset(seed=5)
    drawn.reset()
    drawn.reset()
    envs.reset()  # and the draws go on as if no level had been asked for
    assert envs.get_state()["world"]["level_seed"][0] == drawn.get_state()["world"]["level_seed"][0]


@pytest.mark.parametrize("env_id", [HIGHWAY, LANE_KEEP])
def test_a_reset_tells_the_levels_that_begin_when_it_is_asked(env_id) -> None:
    envs = gym.make_vec(env_id, num_envs=4)
    singles = [gym.make(env_id) for _ in range(4)]
    asked = {"level_seeds": True}
    _, infos = envs.reset(seed=9, options=asked)
    drawn = [env.reset(seed=9 + n, options=asked)[1]["level_seed"] for n, env in enumerate(singles)]
    assert infos["level_seed"].dtype == np.int64
    assert infos["level_seed"].tolist() == drawn
    assert infos["_level_seed"].tolist() == [True] * 4
    mask = np.array([False, True, False, True])
    _, infos = envs.reset(options={"reset_mask": mask, "level_seed": [1, 2, 3, 4], **asked})
    assert infos["level_seed"].tolist() == [0, 2, 0, 4]
    assert infos["_level_seed"].tolist() == mask.tolist()
    assert envs.reset(options={"level_seeds": False})[1] == {}


@pytest.mark.parametrize("split", ["train", "test"])
def test_num_levels_restricts_to_the_first_levels_of_the_split_whatever_the_seed(split) -> None:
    first = TEST_SPLIT if split == "test" else 0
    for seed in (0, 10**6, None):
        drawn = levels(LANE_KEEP, seed, split=split, num_levels=5)
        assert sorted(set(drawn.tolist())) == [first + n for n in range(5)]
    assert set(levels(LANE_KEEP, 0, split=split, num_levels=1).tolist()) == {first}
    envs = gym.make_vec(LANE_KEEP, num_envs=50, split=split, num_levels=3)
    for _ in range(3):
        envs.reset()
        assert set(envs.unwrapped.get_state()["world"]["level_seed"].tolist()) == {first, first + 1, first + 2}


def test_unlimited_levels_do_not_repeat_and_splits_are_disjoint() -> None:
    train = levels(OBSTACLES, 0, 1000)
    test = levels(OBSTACLES, 0, 1000, split="test")
    assert len(set(train.tolist())) == len(set(test.tolist())) == 1000
    assert train.min() >= 0
    assert train.max() < TEST_SPLIT <= test.min()
    obs = [
        gym.make_vec(OBSTACLES, num_envs=64, split=split).reset(seed=0)[0].reshape(64, -1)
        for split in ("train", "test")
    ]
    assert not {row.tobytes() for row in obs[0]} & {row.tobytes() for row in obs[1]}


def test_levels_are_drawn_evenly_from_a_restricted_set() -> None:
    counts = np.bincount(levels(LANE_KEEP, 0, 4000, num_levels=4).astype(int))
    assert len(counts) == 4
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)


def test_a_seeded_reset_seeds_the_environments_own_generator() -> None:
    for seed in (8, np.int64(8), np.array(8)):
        env = gym.make(HIGHWAY).unwrapped
        envs = gym.make_vec(HIGHWAY, num_envs=2).unwrapped
        env.reset(seed=seed)
        envs.reset(seed=seed)
        wanted = np.random.default_rng(8).bit_generator.state
        assert env.np_random.bit_generator.state == wanted
        assert envs.np_random.bit_generator.state == wanted
        assert env.np_random_seed == envs.np_random_seed == 8
