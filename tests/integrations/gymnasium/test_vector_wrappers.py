"""Every wrapper that Gymnasium exports for vector environments: around ours it gives what it gives around Gymnasium's.

The other side is the same wrapper around a `SyncVectorEnv` of our single environments, in every autoreset mode that
the wrapper takes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers as single
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector

import drivesim  # noqa: F401 (registers the environments)

ID, LIMIT, SEED, NUM_ENVS, NUM_STEPS = "drivesim/LaneKeep-v1", 9, 5, 4, 120
NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
MODES = (NEXT_STEP, SAME_STEP, DISABLED)
NEEDS = {  # packages that Gymnasium does not install by itself
    "ArrayConversion": "array_api_compat",
    "HumanRendering": "cv2",
    "NumpyToTorch": "array_api_compat",
    "RecordVideo": "moviepy",
    "ResizeObservation": "cv2",
}
Wrap = Callable[[gym.vector.VectorEnv], gym.vector.VectorEnv]


def make(mode: AutoresetMode, is_native: bool, **options: Any) -> gym.vector.VectorEnv:
    """Our envs, or Gymnasium's of our single environments, on which episodes end in both ways within a few steps."""
    arguments = {"observation": "features", "max_episode_steps": LIMIT, "render_size": 96, **options}
    if is_native:
        return gym.make_vec(ID, num_envs=NUM_ENVS, autoreset_mode=mode, **arguments)
    return gym.vector.SyncVectorEnv([lambda: gym.make(ID, **arguments)] * NUM_ENVS, autoreset_mode=mode)


def draw_actions(num_steps: int = NUM_STEPS) -> np.ndarray:
    """Actions (num_steps, NUM_ENVS) that keep most cars on the road for some time."""
    return np.random.default_rng(1).choice(5, (num_steps, NUM_ENVS), p=[0.04, 0.2, 0.04, 0.6, 0.12])


def drive(envs: gym.vector.VectorEnv, mode: AutoresetMode) -> list[tuple[Any, ...]]:
    """What the envs answer, resets included; observations must lie in the space that the environment claims."""
    obs, infos = envs.reset(seed=SEED)
    rows: list[tuple[Any, ...]] = [(obs, infos)]
    for actions in draw_actions():
        # A copy: the mask that RecordEpisodeStatistics returns changes at the next partial reset.
        rows.append(deepcopy(envs.step(actions.copy())))
        ended = np.asarray(rows[-1][2]) | np.asarray(rows[-1][3])
        if mode is DISABLED and ended.any():
            rows.append(envs.reset(options={"reset_mask": ended}))
    for row in rows:
        if type(row[0]) in (np.ndarray, dict):
            assert row[0] in envs.observation_space
    steps = [row for row in rows if len(row) == 5]
    assert sum(int(np.asarray(row[2]).sum()) for row in steps) > 10
    assert sum(int(np.asarray(row[3]).sum()) for row in steps) > 10
    return rows


def in_pictures(envs: gym.vector.VectorEnv) -> gym.vector.VectorEnv:
    """The first 99 numbers of observations as pictures of 33 by 1 pixels, for wrappers that want some."""

    def paint(obs: np.ndarray) -> np.ndarray:
        return ((obs[:, :99] + 1) * 127).astype(np.uint8).reshape(-1, 33, 1, 3)

    return vector.TransformObservation(envs, paint, single_observation_space=Box(0, 255, (33, 1, 3), np.uint8))


def in_parts(envs: gym.vector.VectorEnv) -> gym.vector.VectorEnv:
    """Observations as dictionaries, for wrappers that want some."""
    part = Box(-1, 1, (23,), np.float32)
    space = Dict({"first": part, "second": part})
    return vector.TransformObservation(
        envs, lambda obs: {"first": obs[:, :23], "second": obs[:, 23:46]}, single_observation_space=space
    )


def as_tensors(envs: gym.vector.VectorEnv) -> gym.vector.VectorEnv:
    import torch

    return vector.ArrayConversion(envs, env_xp=np, target_xp=torch)


def negated(obs: np.ndarray) -> np.ndarray:
    return -obs


CASES: dict[str, tuple[Wrap, tuple[AutoresetMode, ...]]] = {
    "VectorizeTransformObservation": (
        lambda envs: vector.VectorizeTransformObservation(
            envs, single.TransformObservation, func=negated, observation_space=envs.single_observation_space
        ),
        (NEXT_STEP, DISABLED),
    ),
    "VectorizeTransformAction": (
        lambda envs: vector.VectorizeTransformAction(
            envs, single.TransformAction, func=lambda action: 4 - action, action_space=Discrete(5)
        ),
        MODES,
    ),
    "VectorizeTransformReward": (
        lambda envs: vector.VectorizeTransformReward(envs, single.TransformReward, func=lambda reward: 2 * reward + 1),
        MODES,
    ),
    "DictInfoToList": (vector.DictInfoToList, MODES),
    "TransformObservation": (lambda envs: vector.TransformObservation(envs, negated), (NEXT_STEP, DISABLED)),
    "FilterObservation": (lambda envs: vector.FilterObservation(in_parts(envs), ["second"]), (NEXT_STEP, DISABLED)),
    "FlattenObservation": (lambda envs: vector.FlattenObservation(in_pictures(envs)), (NEXT_STEP, DISABLED)),
    "GrayscaleObservation": (lambda envs: vector.GrayscaleObservation(in_pictures(envs)), (NEXT_STEP, DISABLED)),
    "ResizeObservation": (lambda envs: vector.ResizeObservation(in_pictures(envs), (12, 2)), (NEXT_STEP, DISABLED)),
    "ReshapeObservation": (lambda envs: vector.ReshapeObservation(envs, (4, 27)), (NEXT_STEP, DISABLED)),
    "RescaleObservation": (
        lambda envs: vector.RescaleObservation(envs, np.float32(0), np.float32(10)),
        (NEXT_STEP, DISABLED),
    ),
    "DtypeObservation": (lambda envs: vector.DtypeObservation(envs, np.float32), (NEXT_STEP, DISABLED)),
    "NormalizeObservation": (vector.NormalizeObservation, (NEXT_STEP,)),
    "TransformAction": (lambda envs: vector.TransformAction(envs, lambda actions: 4 - actions), MODES),
    "TransformReward": (lambda envs: vector.TransformReward(envs, lambda rewards: rewards * 3), MODES),
    "ClipReward": (lambda envs: vector.ClipReward(envs, -0.1, 0.05), MODES),
    "NormalizeReward": (lambda envs: vector.NormalizeReward(envs, gamma=0.9), MODES),
    "RecordEpisodeStatistics": (vector.RecordEpisodeStatistics, MODES),
    "ArrayConversion": (as_tensors, (NEXT_STEP, DISABLED)),
    "NumpyToTorch": (lambda envs: vector.NumpyToTorch(envs), (NEXT_STEP, DISABLED)),
}
# Gymnasium's own envs return final observations as an array of objects, which no tensor can hold; ours do not.
ONLY_OURS_UNDER_SAME_STEP = ("ArrayConversion", "NumpyToTorch")
OPTIONS = {"DtypeObservation": {"observation": "grid"}}  # a change between floats would warn of their precision
SHOWING = {"HumanRendering", "RecordVideo"}  # with tests of their own
NOT_FOR_US = {
    "ClipAction": "actions are discrete, there is nothing to clip",
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
    exported = set(vector.__all__)
    assert exported == CASES.keys() | SHOWING | NOT_FOR_US.keys()
    assert len(exported) == len(CASES) + len(SHOWING) + len(NOT_FOR_US)


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, (_, modes) in CASES.items() for mode in modes])
def test_a_wrapper_gives_around_our_envs_what_it_gives_around_gymnasiums(name, mode) -> None:
    skip_without(name)
    wrap, _ = CASES[name]
    ours, theirs = (wrap(make(mode, is_native, **OPTIONS.get(name, {}))) for is_native in (True, False))
    assert ours.observation_space == theirs.observation_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.action_space == theirs.action_space
    for row, expected in zip(drive(ours, mode), drive(theirs, mode), strict=True):
        assert len(row) == len(expected)
        for value, reference in zip(row[:-1], expected[:-1], strict=True):  # all but the infos
            assert type(value) is type(reference)
            values, references = (
                (value.values(), reference.values()) if isinstance(value, dict) else ((value,), (reference,))
            )
            for one, other in zip(values, references, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    ours.close()
    theirs.close()


@pytest.mark.parametrize("name", ONLY_OURS_UNDER_SAME_STEP)
def test_tensors_under_same_step_hold_what_the_arrays_hold_final_observations_included(name) -> None:
    skip_without(name)
    wrapped = drive(CASES[name][0](make(SAME_STEP, is_native=True)), SAME_STEP)
    for row, expected in zip(wrapped, drive(make(SAME_STEP, is_native=True), SAME_STEP), strict=True):
        for value, reference in zip(row[:-1], expected[:-1], strict=True):
            np.testing.assert_array_equal(value.numpy(), reference)
        if "final_obs" in expected[-1]:
            np.testing.assert_array_equal(row[-1]["final_obs"].numpy(), expected[-1]["final_obs"])


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(ONLY_OURS_UNDER_SAME_STEP)))
def test_a_wrapper_refuses_the_modes_that_are_not_listed_for_it(name) -> None:
    skip_without(name)
    wrap, modes = CASES[name]
    for mode in set(MODES) - set(modes):
        for is_native in (True, False):
            with pytest.raises(ValueError, match="autoreset_mode"):
                wrap(make(mode, is_native))


@pytest.mark.parametrize("name", NOT_FOR_US)
def test_a_wrapper_that_is_not_for_us_has_a_reason_that_holds(name) -> None:
    envs = make(NEXT_STEP, is_native=True)
    if name.startswith("JaxTo"):
        assert type(envs.reset(seed=0)[0]) is np.ndarray
    else:
        assert type(envs.single_action_space) is Discrete
        arguments = {"ClipAction": (), "RescaleAction": (-1.0, 1.0)}[name]
        with pytest.raises((TypeError, AssertionError), match="Box"):
            getattr(vector, name)(envs, *arguments)


# --- what they write into infos ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_episode_statistics_are_those_of_the_simulator(mode) -> None:
    envs = vector.RecordEpisodeStatistics(make(mode, is_native=True))
    num_episodes = 0
    for row in drive(envs, mode):
        infos = row[-1]
        assert ("episode" in infos) == (len(row) == 5 and bool((row[2] | row[3]).any()))
        if "episode" in infos:
            summary = infos.get("final_info", infos)
            np.testing.assert_allclose(infos["episode"]["r"], summary["episode_return"], rtol=1e-6, atol=1e-9)
            np.testing.assert_array_equal(infos["episode"]["l"], summary["episode_length"])
            np.testing.assert_array_equal(infos["_episode"], row[2] | row[3])
            num_episodes += int(infos["_episode"].sum())
    assert envs.episode_count == num_episodes > 20


@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_episode_statistics_equal_those_around_gymnasiums_envs(mode) -> None:
    sides = [drive(vector.RecordEpisodeStatistics(make(mode, is_native)), mode) for is_native in (True, False)]
    for row, expected in zip(*sides, strict=True):
        assert ("episode" in row[-1]) == ("episode" in expected[-1])
        for key in ("r", "l") if "episode" in row[-1] else ():
            np.testing.assert_array_equal(row[-1]["episode"][key], expected[-1]["episode"][key])


@pytest.mark.parametrize("mode", MODES)
def test_a_list_of_infos_holds_for_every_ended_env_what_gymnasiums_holds(mode) -> None:
    sides = [drive(vector.DictInfoToList(make(mode, is_native)), mode) for is_native in (True, False)]
    num_ended = 0
    for row, expected in zip(*sides, strict=True):
        assert len(row[-1]) == NUM_ENVS
        ended = row[2] | row[3] if len(row) == 5 else np.zeros(NUM_ENVS, np.bool_)
        for i in range(NUM_ENVS):
            infos, reference = row[-1][i], expected[-1][i]
            if not ended[i]:
                assert infos == {}
                continue
            num_ended += 1
            if mode is SAME_STEP:
                assert infos.keys() == {"final_obs", "final_info"}
                np.testing.assert_array_equal(infos["final_obs"], reference["final_obs"])
                infos, reference = infos["final_info"], reference["final_info"]
            assert {"episode_return", "success", "collision"} <= infos.keys()
            # The single environment cannot know of its wrapper's time limit.
            assert {key for key in infos if infos[key] != reference[key]} <= {"timeout"}
    assert num_ended > 20


# --- what they show ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="needs cv2")
@pytest.mark.parametrize("mode", MODES)
def test_human_rendering_shows_the_envs_side_by_side(mode, monkeypatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    shown = []
    for is_native in (True, False):
        envs = vector.HumanRendering(make(mode, is_native, render_mode="rgb_array"))
        envs.metadata = {**envs.metadata, "render_fps": 100_000}  # no waiting
        envs.reset(seed=SEED)
        frames = []
        for actions in draw_actions(LIMIT + 3):
            _, _, terminations, truncations, _ = envs.step(actions)
            frames.append(pygame.surfarray.array3d(envs.window))
            if mode is DISABLED and (terminations | truncations).any():
                envs.reset(options={"reset_mask": terminations | truncations})
        shown.append(np.stack(frames))
        envs.close()
    assert shown[0].std() > 10  # there is something to see
    np.testing.assert_array_equal(shown[0], shown[1])


@pytest.mark.skipif(importlib.util.find_spec("moviepy") is None, reason="needs moviepy")
@pytest.mark.parametrize("mode", [NEXT_STEP, DISABLED])
def test_record_video_films_the_same_pictures(mode, tmp_path) -> None:
    filmed = []
    for is_native in (True, False):
        folder = tmp_path / str(is_native)
        envs = vector.RecordVideo(
            make(mode, is_native, render_mode="rgb_array"), str(folder), step_trigger=lambda n: n == 0, video_length=9
        )
        envs.reset(seed=SEED)
        for actions in draw_actions(12):
            _, _, terminations, truncations, _ = envs.step(actions)
            if envs.recorded_frames:
                frames = np.stack(envs.recorded_frames)
            if mode is DISABLED and (terminations | truncations).any():
                envs.reset(options={"reset_mask": terminations | truncations})
        envs.close()
        filmed.append(frames)
        assert [film.name for film in folder.glob("*.mp4")] == ["rl-video-step-0.mp4"]
    assert len(filmed[0]) > 5
    np.testing.assert_array_equal(filmed[0], filmed[1])
