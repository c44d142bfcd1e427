"""Every wrapper that Gymnasium exports for single environments: it does what it promises here, or has a reason not to.

A wrapped environment is driven over many ends of episodes, beside a bare one with the same seed and actions; what the
wrapper should make of the bare one's answers is worked out by hand.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import Box, Dict, Discrete

import drivesim  # noqa: F401 (registers the environments)

ID, LIMIT, SEED, NUM_STEPS = "drivesim/LaneKeep-v0", 9, 5, 200
NEEDS = {  # packages that Gymnasium does not install by itself
    "ArrayConversion": "array_api_compat",
    "NumpyToTorch": "array_api_compat",
    "RecordVideo": "moviepy",
    "ResizeObservation": "cv2",
}
GREY = np.array([0.2125, 0.7154, 0.0721])


class Row(NamedTuple):
    """What an environment answered: to a reset (`age` 0, no reward) or to step number `age` of an episode."""

    age: int
    obs: Any
    reward: Any = None
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] | None = None
    frame: Any = None


def make(**options: Any) -> gym.Env:
    """A road on which episodes end in both ways within a few steps."""
    defaults = {"observation": "features", "max_episode_steps": LIMIT, "render_size": 96}
    return gym.make(ID, **(defaults | options))


def draw_actions(num_steps: int = NUM_STEPS) -> list[int]:
    """Actions that keep most cars on the road for some time."""
    return np.random.default_rng(1).choice(5, num_steps, p=[0.04, 0.2, 0.04, 0.6, 0.12]).tolist()


def frame_of(env: gym.Env) -> Any:
    return env.unwrapped.render() if env.unwrapped.render_mode == "rgb_array" else None


def in_numpy(obs: Any) -> Any:
    """An observation as a NumPy array, if it is a tensor."""
    return obs.numpy() if hasattr(obs, "numpy") else obs


def drive(env: gym.Env, actions: Sequence[int]) -> list[Row]:
    """Drives on over ends of episodes; every observation must lie in the space that the environment claims."""
    rows = []
    ended = True
    for action in actions:
        if ended:
            obs, info = env.reset(seed=None if rows else SEED)
            assert in_numpy(obs) in env.observation_space
            rows.append(Row(0, obs, info=info, frame=frame_of(env)))
        obs, reward, terminated, truncated, info = env.step(action)
        assert in_numpy(obs) in env.observation_space
        rows.append(Row(rows[-1].age + 1, obs, reward, terminated, truncated, info, frame_of(env)))
        ended = terminated or truncated
    assert sum(row.terminated for row in rows) > 3
    assert sum(row.truncated for row in rows) > 3
    return rows


# --- what a wrapper should make of the answers of a bare environment --------------------------------------------------


def delayed(rows: list[Row]) -> list[Any]:
    return [rows[i - 2].obs if row.age >= 2 else np.zeros_like(row.obs) for i, row in enumerate(rows)]


def stacked(rows: list[Row]) -> list[Any]:
    """Three at a time; before an episode's third, its first one fills up."""
    return [np.stack([rows[i - min(back, row.age)].obs for back in (2, 1, 0)]) for i, row in enumerate(rows)]


def timed(rows: list[Row]) -> list[Any]:
    return [np.concatenate([row.obs, [row.age]]) for row in rows]


def standardised(rows: list[Row]) -> list[Any]:
    """By mean and variance of everything seen so far, which begins as a ten-thousandth of a standard normal sample."""
    weight, total, squares, out = 1e-4, 0.0, 1e-4, []
    for row in rows:
        obs = row.obs.astype(np.float64)
        weight, total, squares = weight + 1, total + obs, squares + obs**2
        variance = squares / weight - (total / weight) ** 2
        # What never varies is divided by next to nothing, in single precision: nothing to compare.
        out.append(np.where(variance > 1e-3, (obs - total / weight) / np.sqrt(variance + 1e-8), np.nan))
    return out


def scaled_rewards(rows: list[Row]) -> list[Any]:
    """Divided by the deviation of the discounted return so far."""
    weight, total, squares, discounted, out = 1e-4, 0.0, 1e-4, 0.0, []
    for row in rows:
        if row.age == 0:
            out.append(None)
            continue
        discounted = 0.9 * discounted * (not row.terminated) + row.reward
        weight, total, squares = weight + 1, total + discounted, squares + discounted**2
        out.append(row.reward / np.sqrt(squares / weight - (total / weight) ** 2 + 1e-8))
    return out


def binned(rows: list[Row]) -> list[Any]:
    """Four bins from -1 to 1."""
    return [np.minimum(np.floor((row.obs.astype(np.float64) + 1) * 2), 3).astype(np.int64) for row in rows]


def as_they_are(rows: list[Row]) -> list[Any]:
    return [row.obs for row in rows]


def rewards_as_they_are(rows: list[Row]) -> list[Any]:
    return [row.reward for row in rows]


def each(function: Callable[[Any], Any]) -> Callable[[list[Row]], list[Any]]:
    return lambda rows: [function(row) for row in rows]


def with_rewards(function: Callable[[float], float]) -> Callable[[list[Row]], list[Any]]:
    return lambda rows: [None if row.reward is None else function(row.reward) for row in rows]


def pictures(env: gym.Env, **options: Any) -> gym.Env:
    return wrappers.AddRenderObservation(env, **options)


def resized(row: Row) -> Any:
    import cv2

    return cv2.resize(row.frame, (24, 36), interpolation=cv2.INTER_AREA)


def as_tensors(env: gym.Env) -> gym.Env:
    import torch

    return wrappers.ArrayConversion(env, env_xp=np, target_xp=torch)


@dataclass(frozen=True)
class Case:
    """How to apply a wrapper, and what observations and rewards it then should give."""

    wrap: Callable[[gym.Env], gym.Env]
    obs: Callable[[list[Row]], list[Any]] = as_they_are
    rewards: Callable[[list[Row]], list[Any]] = rewards_as_they_are
    options: dict[str, Any] = field(default_factory=dict)
    bare_actions: Callable[[int], int] = int
    """The action that reaches the environment."""
    tolerance: float = 0.0


FRAMES = {"render_mode": "rgb_array"}
CASES: dict[str, Case] = {
    "AddRenderObservation": Case(pictures, obs=each(lambda row: row.frame), options=FRAMES),
    "DelayObservation": Case(lambda env: wrappers.DelayObservation(env, delay=2), obs=delayed),
    "DiscretizeObservation": Case(
        lambda env: wrappers.DiscretizeObservation(env, bins=4, multidiscrete=True), obs=binned
    ),
    "DtypeObservation": Case(
        lambda env: wrappers.DtypeObservation(env, np.float32),
        obs=each(lambda row: row.obs.astype(np.float32)),
        options={"observation": "grid"},
    ),
    "FilterObservation": Case(
        lambda env: wrappers.FilterObservation(pictures(env, render_only=False), ["state"]),
        obs=each(lambda row: {"state": row.obs}),
        options=FRAMES,
    ),
    "FlattenObservation": Case(
        wrappers.FlattenObservation, obs=each(lambda row: row.obs.ravel()), options={"observation": "grid"}
    ),
    "FrameStackObservation": Case(lambda env: wrappers.FrameStackObservation(env, stack_size=3), obs=stacked),
    "GrayscaleObservation": Case(
        lambda env: wrappers.GrayscaleObservation(pictures(env)),
        obs=each(lambda row: (row.frame * GREY).sum(axis=-1).astype(np.uint8)),
        options=FRAMES,
    ),
    "NormalizeObservation": Case(wrappers.NormalizeObservation, obs=standardised, tolerance=2e-3),
    "RescaleObservation": Case(
        lambda env: wrappers.RescaleObservation(env, np.float32(0), np.float32(10)),
        obs=each(lambda row: (row.obs + 1) * 5),
        tolerance=1e-5,
    ),
    "ReshapeObservation": Case(
        lambda env: wrappers.ReshapeObservation(env, (3, 23)), obs=each(lambda row: row.obs.reshape(3, 23))
    ),
    "ResizeObservation": Case(
        lambda env: wrappers.ResizeObservation(pictures(env), (36, 24)), obs=each(resized), options=FRAMES
    ),
    "TimeAwareObservation": Case(wrappers.TimeAwareObservation, obs=timed),
    "TransformObservation": Case(
        lambda env: wrappers.TransformObservation(env, lambda obs: -obs, env.observation_space),
        obs=each(lambda row: -row.obs),
    ),
    "TransformAction": Case(
        lambda env: wrappers.TransformAction(env, lambda action: 4 - action, Discrete(5)),
        bare_actions=lambda action: 4 - action,
    ),
    "ClipReward": Case(
        lambda env: wrappers.ClipReward(env, -0.1, 0.05), rewards=with_rewards(lambda r: min(max(r, -0.1), 0.05))
    ),
    "NormalizeReward": Case(
        lambda env: wrappers.NormalizeReward(env, gamma=0.9), rewards=scaled_rewards, tolerance=1e-9
    ),
    "TransformReward": Case(
        lambda env: wrappers.TransformReward(env, lambda r: 2 * r + 1), rewards=with_rewards(lambda r: 2 * r + 1)
    ),
    # Those below add something beside observations and rewards, which tests of their own look at.
    "TimeLimit": Case(lambda env: wrappers.TimeLimit(env.unwrapped, LIMIT)),
    "PassiveEnvChecker": Case(lambda env: wrappers.PassiveEnvChecker(wrappers.TimeLimit(env.unwrapped, LIMIT))),
    "OrderEnforcing": Case(lambda env: wrappers.OrderEnforcing(wrappers.TimeLimit(env.unwrapped, LIMIT))),
    "RecordEpisodeStatistics": Case(wrappers.RecordEpisodeStatistics),
    "AddWhiteNoise": Case(lambda env: wrappers.AddWhiteNoise(env, probability_of_noise_per_pixel=0.3), options=FRAMES),
    "ObstructView": Case(
        lambda env: wrappers.ObstructView(env, obstructed_pixels_ratio=0.3, obstruction_width=8), options=FRAMES
    ),
    "RenderCollection": Case(wrappers.RenderCollection, options=FRAMES),
    "ArrayConversion": Case(as_tensors),
    "NumpyToTorch": Case(lambda env: wrappers.NumpyToTorch(env)),
}
ALONE = {  # those that change what an action does or when episodes begin, and those that write or show pictures
    *("Autoreset", "MaxAndSkipObservation", "RepeatAction", "StickyAction"),
    *("HumanRendering", "RecordVideo"),
}
NOT_FOR_US = {
    "AtariPreprocessing": "it speaks to the Arcade Learning Environment",
    "ClipAction": "actions are discrete, there is nothing to clip",
    "DiscretizeAction": "actions are discrete already",
    "JaxToNumpy": "it is for environments in JAX; observations are NumPy arrays already",
    "JaxToTorch": "it is for environments in JAX; NumpyToTorch gives tensors",
    "RescaleAction": "actions are discrete, there is nothing to rescale",
}


def skip_without(name: str) -> None:
    """Skips a test of a wrapper whose package is missing."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    if name in ("ArrayConversion", "NumpyToTorch"):
        pytest.importorskip("torch")


def test_every_wrapper_that_gymnasium_exports_has_its_place_here() -> None:
    exported = set(wrappers.__all__) - {"vector"}
    assert exported == CASES.keys() | ALONE | NOT_FOR_US.keys()
    assert len(exported) == len(CASES) + len(ALONE) + len(NOT_FOR_US)


@pytest.mark.parametrize("name", CASES)
def test_a_wrapper_gives_what_is_worked_out_by_hand(name) -> None:
    skip_without(name)
    case = CASES[name]
    actions = draw_actions()
    bare = drive(make(**case.options), [case.bare_actions(action) for action in actions])
    rows = drive(case.wrap(make(**case.options)), actions)
    assert [(row.age, row.terminated, row.truncated) for row in rows] == [
        (row.age, row.terminated, row.truncated) for row in bare
    ]
    for row, obs, reward in zip(rows, case.obs(bare), case.rewards(bare), strict=True):
        if isinstance(obs, dict):
            assert row.obs.keys() == obs.keys()
        parts = zip(row.obs.values(), obs.values(), strict=True) if isinstance(obs, dict) else [(row.obs, obs)]
        for found, expected in parts:
            is_known = ~np.isnan(expected)
            assert np.shape(found) == np.shape(expected)
            np.testing.assert_allclose(
                np.asarray(found)[is_known], expected[is_known], rtol=case.tolerance, atol=case.tolerance
            )
        if reward is None:
            assert row.reward is None
        else:
            assert float(row.reward) == pytest.approx(reward, rel=case.tolerance, abs=1e-7)


@pytest.mark.parametrize("name", NOT_FOR_US)
def test_a_wrapper_that_is_not_for_us_has_a_reason_that_holds(name) -> None:
    env = make()
    if name == "AtariPreprocessing":
        assert not hasattr(env.unwrapped, "ale")
        with pytest.raises((gym.error.DependencyNotInstalled, ValueError)):
            wrappers.AtariPreprocessing(env)
    elif name.startswith("JaxTo"):
        assert type(env.reset(seed=0)[0]) is np.ndarray
    else:
        assert type(env.action_space) is Discrete
        arguments = {"ClipAction": (), "DiscretizeAction": (3,), "RescaleAction": (-1.0, 1.0)}[name]
        with pytest.raises((TypeError, AssertionError), match="Box"):
            getattr(wrappers, name)(env, *arguments)


# --- what else they promise -------------------------------------------------------------------------------------------


def test_a_time_limit_ends_an_episode_after_so_many_steps_and_not_before() -> None:
    rows = drive(wrappers.TimeLimit(make().unwrapped, 4), draw_actions())
    assert {row.age for row in rows if row.truncated} == {4}
    assert all(row.truncated for row in rows if row.age == 4)


def test_order_enforcing_wants_a_reset_first() -> None:
    env = wrappers.OrderEnforcing(make(render_mode="rgb_array").unwrapped)
    for call in (lambda: env.step(1), env.render):
        with pytest.raises(gym.error.ResetNeeded):
            call()


def test_episode_statistics_are_sums_over_the_episode_and_those_of_the_simulator() -> None:
    rows = drive(wrappers.RecordEpisodeStatistics(make()), draw_actions())
    total = 0.0
    for row in rows:
        total = 0.0 if row.age == 0 else total + row.reward
        assert ("episode" in row.info) == (row.terminated or row.truncated)
        if "episode" in row.info:
            assert row.info["episode"]["r"] == pytest.approx(total)
            assert row.info["episode"]["r"] == pytest.approx(row.info["episode_return"])
            assert row.info["episode"]["l"] == row.age == row.info["episode_length"]


@pytest.mark.parametrize("name", ["AddWhiteNoise", "ObstructView"])
def test_noise_hides_about_the_share_of_the_picture_that_was_asked_for_and_nothing_of_the_state(name) -> None:
    env = CASES[name].wrap(make(**FRAMES))
    env.reset(seed=SEED)
    for action in draw_actions(4):
        env.step(action)
        clean = env.unwrapped.render()
        seen = env.render()
        assert seen.shape == clean.shape
        hidden = (seen != clean).any(axis=-1).mean()
        assert 0.15 < hidden < 0.32  # patches overlap; each pixel of noise is as it was with a chance of 1 in 255**3
    assert np.array_equal(env.unwrapped.render(), clean)


def test_a_collection_holds_every_picture_since_the_last_look() -> None:
    env = wrappers.RenderCollection(make(**FRAMES))
    assert env.render_mode == "rgb_array_list"
    env.reset(seed=SEED)
    pictures_of_all = [env.unwrapped.render()]
    for action in (1, 3, 3):
        env.step(action)
        pictures_of_all.append(env.unwrapped.render())
    assert np.array_equal(np.stack(env.render()), np.stack(pictures_of_all))
    assert env.render() == []


def test_repeat_and_skip_take_so_many_steps_unless_the_episode_ends() -> None:
    for wrap in (
        lambda env: wrappers.RepeatAction(env, num_repeats=3),
        lambda env: wrappers.MaxAndSkipObservation(env, skip=3),
    ):
        env, bare = wrap(make()), make()
        seen = []  # the last two of three observations, which the wrapper keeps across episodes
        obs, _ = env.reset(seed=SEED)
        assert np.array_equal(obs, bare.reset(seed=SEED)[0])
        buffer = [np.zeros_like(obs), np.zeros_like(obs)]
        for action in draw_actions(60):
            total = 0.0
            for part in range(3):
                expected, reward, terminated, truncated, _ = bare.step(action)
                total += reward
                if part > 0:
                    buffer[part - 1] = expected
                if terminated or truncated:
                    break
            obs, reward, *ends, _ = env.step(action)
            assert reward == pytest.approx(total)
            assert ends == [terminated, truncated]
            if isinstance(env, wrappers.MaxAndSkipObservation):
                expected = np.maximum(*buffer)
            assert np.array_equal(obs, expected)
            assert obs in env.observation_space
            seen.append(terminated or truncated)
            if terminated or truncated:
                env.reset()
                bare.reset()
        assert sum(seen) > 5


def test_sticky_actions_repeat_the_last_one_as_the_seed_says() -> None:
    env, bare = wrappers.StickyAction(make(), repeat_action_probability=0.4), make()
    rng = gym.utils.seeding.np_random(SEED)[0]  # the environment itself draws nothing from it
    num_repeats, last, seed = 0, None, SEED
    for action in draw_actions():
        if last is None:
            assert np.array_equal(env.reset(seed=seed)[0], bare.reset(seed=seed)[0])
            seed = None
        executed = last if last is not None and rng.uniform() < 0.4 else action
        num_repeats += executed != action
        obs, reward, terminated, truncated, _ = env.step(action)
        expected = bare.step(executed)
        assert np.array_equal(obs, expected[0])
        assert [reward, terminated, truncated] == list(expected[1:4])
        last = None if terminated or truncated else executed
    assert num_repeats > 20


def test_autoreset_behaves_as_one_lane_under_next_step() -> None:
    env = wrappers.Autoreset(make())
    envs = gym.make_vec(ID, num_envs=1, observation="features", max_episode_steps=LIMIT)
    obs, _ = env.reset(seed=SEED)
    assert np.array_equal(obs, envs.reset(seed=SEED)[0][0])
    num_ends = 0
    for action in draw_actions():
        obs, reward, terminated, truncated, _ = env.step(action)
        batch_obs, rewards, terminations, truncations, _ = envs.step(np.array([action]))
        assert np.array_equal(obs, batch_obs[0])
        assert [reward, terminated, truncated] == [rewards[0], terminations[0], truncations[0]]
        num_ends += terminated or truncated
    assert num_ends > 10


def test_human_rendering_shows_the_picture_of_the_world(monkeypatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    env = wrappers.HumanRendering(make(**FRAMES))
    env.metadata = {**env.metadata, "render_fps": 100_000}  # no waiting
    env.reset(seed=SEED)
    num_ends = 0
    for action in draw_actions():
        _, _, terminated, truncated, _ = env.step(action)
        shown = pygame.surfarray.array3d(env.window).transpose(1, 0, 2)
        assert np.array_equal(shown, env.unwrapped.render())
        if terminated or truncated:
            env.reset()
            num_ends += 1
    env.close()
    assert num_ends > 10


@pytest.mark.skipif(importlib.util.find_spec("moviepy") is None, reason="needs moviepy")
def test_record_video_writes_one_film_per_episode_with_all_its_pictures(tmp_path) -> None:
    from moviepy.video.io.VideoFileClip import VideoFileClip

    env = wrappers.RecordVideo(make(**FRAMES), str(tmp_path / "films"), episode_trigger=lambda n: n < 2, fps=10)
    rows = drive(env, draw_actions())
    env.close()
    lengths = [row.age + 1 for row in rows if row.terminated or row.truncated]
    films = sorted((tmp_path / "films").glob("*.mp4"))
    assert [film.name for film in films] == ["rl-video-episode-0.mp4", "rl-video-episode-1.mp4"]
    for film, length in zip(films, lengths, strict=False):
        with VideoFileClip(str(film)) as clip:
            assert clip.n_frames == length


def test_the_spaces_that_these_cases_rely_on() -> None:
    env = make()
    assert env.observation_space == Box(-1.0, 1.0, (69,), np.float32)
    assert isinstance(pictures(make(**FRAMES), render_only=False).observation_space, Dict)
