"""Every wrapper that Gymnasium exports for single environments: it does what it promises here, or has a reason not to.

A wrapped environment is driven over many ends of episodes, beside a bare one with the same seed and actions; what the
wrapper should make of the bare one's answers is worked out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import Box, Dict, Discrete
from wrapped_drives import FRAMES, LIMIT, Row, draw_actions, drive, make

NEEDS = {  # packages that Gymnasium does not install by itself
    "ArrayConversion": "array_api_compat",
    "NumpyToTorch": "array_api_compat",
    "RecordVideo": "moviepy",
    "ResizeObservation": "cv2",
}
GREY = np.array([0.2125, 0.7154, 0.0721])


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
        lambda env: wrappers.ReshapeObservation(env, (4, 27)), obs=each(lambda row: row.obs.reshape(4, 27))
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
    # Those below add something beside observations and rewards: see test_wrapper_promises.py.
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
# With tests of their own there: those that change what an action does or when episodes begin, or show pictures.
ALONE = {
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


def test_the_spaces_that_these_cases_rely_on() -> None:
    env = make()
    assert env.observation_space == Box(-1.0, 1.0, (108,), np.float32)
    assert isinstance(pictures(make(**FRAMES), render_only=False).observation_space, Dict)
