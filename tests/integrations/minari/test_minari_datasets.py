"""Datasets: what is written is what was driven, and all that is needed to drive it again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("minari.dataset")  # a folder of tests is called minari as well
pytest.importorskip("h5py")

import minari
from minari_episodes_helpers import (
    ABOUT,
    HIGHWAY,
    INTERSECTION,
    OBSTACLES,
    files_in,
    human_replays,
    random_policy,
)

from drivesim import __version__
from drivesim.integrations.minari import from_replays, optimal, record, replays_of, verify
from drivesim.planning import solve
from drivesim.replay import Replay, moments

CASES = [
    (OBSTACLES, "features", {"difficulty": "hard"}),
    (HIGHWAY, "grid", {"split": "test", "reward": "shaped", "num_levels": 5}),
    (INTERSECTION, "full_grid", {"reward_weights": {"collision": -3.0}}),
]
NAMES = ("observations", "actions", "rewards", "terminations", "truncations")
NUM_ENVS, NUM_EPISODES, SEED, LIMIT = 5, 17, 40, 9


def small_dataset(dataset_id: str = "test/small-v0", **arguments: object) -> minari.MinariDataset:
    settings = {"num_episodes": 6, "seed": 3, "num_envs": 3, "options": {"observation": "features"}, **arguments}
    return record(OBSTACLES, random_policy(), dataset_id=dataset_id, **settings, **ABOUT)


def assert_same_episodes(first: minari.MinariDataset, second: minari.MinariDataset) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for name in NAMES:
            assert getattr(one, name).dtype == getattr(other, name).dtype
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(("env_id", "observation", "options"), CASES)
def test_what_is_loaded_is_what_the_recovered_environment_does_to_the_last_bit(env_id, observation, options) -> None:
    record(
        env_id,
        random_policy(),
        NUM_EPISODES,
        seed=SEED,
        dataset_id="a/b/rollouts-v3",
        options={**options, "observation": observation},
        max_episode_steps=LIMIT,
        num_envs=NUM_ENVS,
        **ABOUT,
    )
    dataset = minari.load_dataset("a/b/rollouts-v3")
    episodes = list(dataset)
    details = list(dataset.storage.get_episode_metadata(range(NUM_EPISODES)))
    # 17 episodes in 5 envs: the first two envs have one more.
    expected = [(SEED + i, number) for i in range(NUM_ENVS) for number in range(4 if i < 2 else 3)]
    assert [(detail["seed"], detail["episode"]) for detail in details] == expected
    env = dataset.recover_environment()
    assert (env.spec.id, env.spec.max_episode_steps) == (env_id, LIMIT)
    assert env.observation_space == dataset.observation_space
    for episode, detail in zip(episodes, details, strict=True):
        # Only an env's first episode is asked for by a seed: the later ones follow from it, as in the env.
        obs, _ = env.reset(seed=detail["seed"] if detail["episode"] == 0 else None)
        assert episode.observations.dtype == obs.dtype
        np.testing.assert_array_equal(episode.observations[0], obs)
        for tick, action in enumerate(episode.actions):
            obs, reward, terminated, truncated, info = env.step(action)
            np.testing.assert_array_equal(episode.observations[tick + 1], obs)
            stored = (episode.rewards[tick], episode.terminations[tick], episode.truncations[tick])
            assert stored == (reward, terminated, truncated)
        assert len(episode.observations) == len(episode.rewards) + 1 == detail["total_steps"] + 1
        assert terminated or truncated
        assert (detail["success"], detail["episode_return"]) == (info["success"], info["episode_return"])
    assert any(episode.truncations[-1] and not episode.terminations[-1] for episode in episodes)
    assert any(episode.terminations[-1] and not episode.truncations[-1] for episode in episodes)
    assert len({episode.rewards.tobytes() for episode in episodes}) > 5
    verify(dataset)


def test_observations_are_never_stored_as_jpeg_whatever_minari_takes_for_an_image(monkeypatch) -> None:
    monkeypatch.setattr("minari.dataset._storages.hdf5_storage.is_image_space", lambda space: space.dtype == np.uint8)
    options = {"observation": "full_grid"}
    dataset = record(INTERSECTION, random_policy(), 2, seed=0, dataset_id="x-v0", options=options, **ABOUT)
    assert dataset.storage.metadata["jpeg_encoding"] is False
    verify(dataset)


def test_whoever_has_minari_alone_can_recover_the_environment(root) -> None:
    small_dataset(max_episode_steps=7)
    code = """
import minari
dataset = minari.load_dataset("test/small-v0")
env = dataset.recover_environment()
episode = dataset[0]
obs, _ = env.reset(seed=next(iter(dataset.storage.get_episode_metadata([0])))["seed"])
assert (obs == episode.observations[0]).all()
for action, reward in zip(episode.actions, episode.rewards):
    assert env.step(action)[1] == reward
assert dataset.recover_environment(eval_env=True).unwrapped.config.split == "test"
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_which_episodes_are_recorded_does_not_depend_on_how_long_they_take() -> None:
    crashing = np.zeros(4, np.int64)  # LEFT, off the road at once
    standing = np.full(4, 4)

    def policy(obs: np.ndarray) -> np.ndarray:
        return np.where(np.arange(4) < 2, crashing, standing)

    dataset = record(OBSTACLES, policy, 8, seed=0, dataset_id="x-v0", num_envs=4, max_episode_steps=20, **ABOUT)
    details = list(dataset.storage.get_episode_metadata(range(8)))
    assert [(detail["seed"], detail["episode"]) for detail in details] == [(n // 2, n % 2) for n in range(8)]
    lengths = [int(detail["total_steps"]) for detail in details]
    assert max(lengths[:4]) < 20
    assert lengths[4:] == [20] * 4


def test_there_are_never_more_envs_than_episodes() -> None:
    widths = set()

    def policy(obs: np.ndarray) -> np.ndarray:
        widths.add(len(obs))
        return np.full(len(obs), 1)

    record(OBSTACLES, policy, 3, seed=0, dataset_id="x-v0", max_episode_steps=5, **ABOUT)
    assert widths == {3}


def test_what_a_policy_does_to_its_observations_is_without_effect() -> None:
    def scribble(obs: np.ndarray) -> np.ndarray:
        actions = np.full(len(obs), 1)
        obs[:] = 77
        return actions

    dataset = record(OBSTACLES, scribble, 3, seed=0, dataset_id="x-v0", max_episode_steps=5, **ABOUT)
    assert not any((episode.observations == 77).all() for episode in dataset)
    verify(dataset)


def test_the_cost_of_every_tick_is_kept_where_there_is_one() -> None:
    options = {"reward": "cost", "observation": "features"}
    dataset = record(OBSTACLES, random_policy(), 12, seed=0, dataset_id="x-v0", options=options, num_envs=3, **ABOUT)
    verify(dataset)
    env = dataset.recover_environment()
    total = 0.0
    for replay, episode in zip(replays_of(dataset), dataset, strict=True):
        if replay.episode == 0:
            env.reset(seed=replay.seed)
            costs = [0.0, *(env.step(action)[4]["cost"] for action in replay.actions)]
            np.testing.assert_array_equal(episode.infos["cost"], costs)
            total += sum(costs)
    assert total > 0
    plain = small_dataset()
    assert plain[0].infos == {}


# --- replays ----------------------------------------------------------------------------------------------------------


def test_replays_become_a_dataset_and_the_dataset_gives_them_back() -> None:
    resets = [
        {"seed": 7},
        {},  # episode 1 of seed 7
        {"options": {"level_seed": 2**63 - 1}},
        {"seed": 2**63},
        {"seed": 2**64 + 5, "options": {"level_seed": 0}},
        {"seed": 2**511 + 1},
        {},
    ]
    replays = human_replays(OBSTACLES, resets, observation="features", difficulty="easy")
    dataset = from_replays(iter(replays), "human-v0", **ABOUT)
    loaded = minari.load_dataset("human-v0")
    assert replays_of(dataset) == replays_of(loaded) == replays
    verify(loaded)
    for replay, episode in zip(replays, loaded, strict=True):
        assert tuple(episode.actions) == replay.actions
        np.testing.assert_array_equal([moment.reward for moment in list(moments(replay))[1:]], episode.rewards)


@pytest.mark.parametrize("limit", [-1, 6, 100])
def test_a_time_limit_of_its_own_is_kept(limit) -> None:
    env_options = {} if limit == 100 else {"max_episode_steps": limit}
    replays = human_replays(OBSTACLES, [{"seed": 1}, {"seed": 2}], observation="features", **env_options)
    dataset = from_replays(replays, "x-v0", **ABOUT)
    assert dataset.recover_environment().spec.max_episode_steps == (None if limit == -1 else limit)
    assert [replay.max_episode_steps for replay in replays_of(dataset)] == [None if limit == 100 else limit] * 2
    verify(dataset)


def test_a_recorded_dataset_can_be_written_again_from_its_replays() -> None:
    dataset = small_dataset(max_episode_steps=11)
    copy = from_replays(replays_of(dataset), "copy-v0", **ABOUT)
    assert_same_episodes(dataset, copy)
    assert replays_of(copy) == replays_of(dataset)


def test_a_dataset_can_be_seen_through_another_observation() -> None:
    dataset = small_dataset(max_episode_steps=11)
    seen = [
        Replay.of(
            each.env_id,
            {**each.options, "observation": "grid"},
            each.seed,
            each.actions,
            episode=each.episode,
            max_episode_steps=each.max_episode_steps,
        )
        for each in replays_of(dataset)
    ]
    other = from_replays(seen, "seen-v0", **ABOUT)
    assert other.observation_space == gym.make(OBSTACLES, observation="grid").observation_space
    for one, two in zip(dataset, other, strict=True):
        np.testing.assert_array_equal(one.rewards, two.rewards)
        np.testing.assert_array_equal(one.actions, two.actions)


# --- Minari's own functions -------------------------------------------------------------------------------------------


def test_parts_of_a_dataset_keep_their_seeds() -> None:
    dataset = small_dataset(num_episodes=12)
    replays = replays_of(dataset)
    parts = minari.split_dataset(dataset, [4, 8], seed=1)
    assert sorted(part.total_episodes for part in parts) == [4, 8]
    for part in parts:
        assert replays_of(part) == [replays[index] for index in part.episode_indices]
        verify(part)
    longest = dataset.filter_episodes(lambda episode: len(episode) >= 5)
    assert 0 < len(longest) < 12
    verify(longest)


def test_episodes_can_be_sampled() -> None:
    dataset = small_dataset(num_episodes=12)
    dataset.set_seed(0)
    samples = dataset.sample_episodes(5)
    assert len({sample.id for sample in samples}) == 5
    for sample in samples:
        np.testing.assert_array_equal(sample.observations, dataset[sample.id].observations)
        np.testing.assert_array_equal(sample.rewards, dataset[sample.id].rewards)


def test_a_dataset_says_who_drove_and_what_to_install(root) -> None:
    dataset = small_dataset()
    metadata = dataset.storage.metadata
    assert {name: metadata[name] for name in ABOUT} == {**ABOUT, "author_email": {ABOUT["author_email"]}}
    assert metadata["requirements"] == [f"drivesim=={__version__}"]
    assert "6 episodes of drivesim/Obstacles-v1" in metadata["description"]
    assert "ref_max_score" not in metadata
    assert list(minari.list_local_datasets()) == ["test/small-v0"]
    assert files_in(root) == [
        "test",
        "test/namespace_metadata.json",
        "test/small-v0",
        "test/small-v0/data",
        "test/small-v0/data/main_data.hdf5",
        "test/small-v0/data/metadata.json",
    ]


def test_reference_scores_are_the_mean_returns_of_an_expert_and_a_random_driver_on_test_levels() -> None:
    def idle(obs: np.ndarray) -> np.ndarray:
        return np.ones(len(obs), np.int64)

    def mean_return(policy, rng: np.random.Generator | None = None) -> float:
        returns = np.zeros(100)
        env = gym.make_vec(OBSTACLES, 100, split="test", max_episode_steps=15, autoreset_mode="SameStep")
        env.reset(seed=0)
        is_open = np.ones(100, np.bool_)
        while is_open.any():
            _, rewards, terminations, truncations, _ = env.step(policy(is_open))
            returns += np.where(is_open, rewards, 0.0)
            is_open &= ~(terminations | truncations)
        return float(returns.mean())

    rng = np.random.default_rng(0)
    lowest = mean_return(lambda obs: rng.integers(5, size=len(obs)))
    highest = mean_return(idle)
    assert lowest < highest
    settings = {"seed": 5, "max_episode_steps": 15, "options": {"num_levels": 3}}
    dataset = record(OBSTACLES, idle, 2, dataset_id="computed-v0", expert=idle, **settings, **ABOUT)
    metadata = dataset.storage.metadata
    assert metadata["ref_min_score"] == pytest.approx(lowest, abs=1e-12)
    assert metadata["ref_max_score"] == pytest.approx(highest, abs=1e-12)
    assert metadata["num_episodes_average_score"] == 100
    np.testing.assert_allclose(minari.get_normalized_score(dataset, np.array([lowest, highest])), [0, 1], atol=1e-9)
    evaluation = dataset.recover_environment(eval_env=True)
    assert (evaluation.unwrapped.config.split, evaluation.unwrapped.config.num_levels) == ("test", None)
    given = record(OBSTACLES, idle, 2, dataset_id="given-v0", ref_min_score=-1, ref_max_score=2.5, **settings, **ABOUT)
    assert (given.storage.metadata["ref_min_score"], given.storage.metadata["ref_max_score"]) == (-1.0, 2.5)


def test_what_is_recorded_depends_on_the_seed_and_on_nothing_else() -> None:
    first = small_dataset("first-v0")
    assert_same_episodes(first, small_dataset("second-v0"))
    other = small_dataset("third-v0", seed=4)
    assert any(one.rewards.tobytes() != another.rewards.tobytes() for one, another in zip(first, other, strict=True))


def test_a_replay_of_another_version_is_stored_as_driven_by_this_one() -> None:
    replay = replace(human_replays(OBSTACLES, [{"seed": 1}], observation="features")[0], version="0.0.1")
    dataset = from_replays([replay], "x-v0", **ABOUT)
    assert replays_of(dataset) == [replace(replay, version=__version__)]


def test_the_optimal_dataset_holds_the_planners_drives_and_is_the_same_whenever_it_is_made() -> None:
    options = {"observation": "features", "split": "test"}
    env = gym.make(OBSTACLES, **options)
    first, second = (
        from_replays(optimal(OBSTACLES, range(5, 8), options=options), f"test/optimal-v{n}", **ABOUT) for n in range(2)
    )
    assert_same_episodes(first, second)
    verify(first)
    for seed, episode in enumerate(first, start=5):
        env.reset(seed=seed)
        plan = solve(env)
        assert plan.is_exact
        assert tuple(episode.actions.tolist()) == plan.actions
        assert sum(episode.rewards.tolist()) == plan.total_reward
    with pytest.raises(ValueError, match="seed"):
        next(optimal(OBSTACLES, [-1]))
