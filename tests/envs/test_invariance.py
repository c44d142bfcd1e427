"""A trajectory does not depend on how many other envs there are, on threads, or on who owns the arrays."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from env_tools import HIGHWAY, IDS, INTERSECTION, draw_actions, world_bytes

from drivesim.core.batch import step_worlds

LARGEST = 600  # two threads share more than 511
SIZES = (1, 7, 64, LARGEST)


MODES = itertools.cycle(["NextStep", "SameStep"])
"""The loop over worlds knows the modes and no scenario, so each id runs in one of them."""


@pytest.mark.parametrize(("env_id", "mode"), list(zip(IDS, MODES, strict=False)))
def test_batches_of_any_size_threads_and_buffers_give_the_same_trajectories(env_id, mode) -> None:
    variants = [
        *({"num_envs": size, "num_threads": 1} for size in SIZES),
        {"num_envs": LARGEST, "num_threads": 2},
        {"num_envs": LARGEST, "num_threads": 2, "copy": False},
        {"num_envs": 7, "num_threads": 1, "copy": False},
    ]
    batches = [gym.make_vec(env_id, autoreset_mode=mode, max_episode_steps=14, **variant) for variant in variants]
    assert batches[4].unwrapped._engine.num_threads == 2
    largest = batches[3]
    rng = np.random.default_rng(5)
    starts = [envs.reset(seed=11)[0] for envs in batches]
    for start in starts:
        np.testing.assert_array_equal(start, starts[3][: len(start)])
    for _ in range(30):
        actions = draw_actions(rng, largest.single_action_space.n, LARGEST)
        obs, rewards, terminations, truncations, infos = largest.step(actions)
        for envs in batches:
            if envs is largest:
                continue
            n = envs.num_envs
            answers = envs.step(actions[:n])
            np.testing.assert_array_equal(answers[0], obs[:n])
            np.testing.assert_array_equal(answers[1], rewards[:n])
            np.testing.assert_array_equal(answers[2], terminations[:n])
            np.testing.assert_array_equal(answers[3], truncations[:n])
            if "final_obs" in answers[4]:
                np.testing.assert_array_equal(answers[4]["final_obs"], infos["final_obs"][:n])
                assert (answers[4]["final_obs"][~answers[4]["_final_obs"]] == 0).all()
    states = [world_bytes(envs.unwrapped.get_state()) for envs in batches]
    for state in states:
        np.testing.assert_array_equal(state, states[3][: len(state)])


def test_threads_are_used_only_where_they_pay() -> None:
    for num_envs, num_threads, used in ((1, 8, 1), (511, 8, 1), (512, 8, 2), (2048, 3, 3), (2048, 1, 1)):
        envs = gym.make_vec(HIGHWAY, num_envs=num_envs, num_threads=num_threads)
        assert envs.unwrapped._engine.num_threads == used


def test_arrays_are_fresh_by_default() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3)
    results = [envs.reset(seed=0)[:1], *(envs.step(np.array([1, 1, 1]))[:4] for _ in range(3))]
    results.extend((envs.unwrapped.observe(),) for _ in range(2))
    arrays = [array for result in results for array in result]
    for n, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[n + 1 :])


def test_without_copy_the_buffers_are_the_same_ones_at_every_step() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3, copy=False, autoreset_mode="SameStep", max_episode_steps=1)
    start, _ = envs.reset(seed=0)
    first = envs.step(np.array([1, 1, 1]))
    second = envs.step(np.array([1, 1, 1]))
    for one, other in zip(first[:4], second[:4], strict=True):
        assert one is other
    assert start is first[0] is envs.unwrapped.observe()
    assert first[4]["final_obs"] is second[4]["final_obs"]
    assert first[4]["_final_obs"] is not second[4]["_final_obs"]
    assert first[4]["final_info"] is not second[4]["final_info"]


def test_actions_of_every_integer_dtype_and_layout_mean_the_same_and_are_never_written_to() -> None:
    envs = gym.make_vec(INTERSECTION, num_envs=4).unwrapped
    envs.reset(seed=0)
    state = envs.get_state()
    wanted = np.array([3, 1, 4, 0])
    frozen = wanted.copy()
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + wanted.astype("<i8").tobytes(), "<i8", offset=1)
    variants = [
        *(wanted.astype(dtype) for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">i8")),
        wanted.tolist(),
        tuple(wanted.tolist()),
        [np.int8(3), np.uint64(1), 4, 0],
        np.repeat(wanted, 2)[::2],
        frozen,
        unaligned,
    ]
    envs.step(wanted)
    after = world_bytes(envs.get_state())
    compiled = len(step_worlds.signatures)
    for actions in variants:
        envs.set_state(state)
        envs.step(actions)
        np.testing.assert_array_equal(world_bytes(envs.get_state()), after)
    assert wanted.tolist() == [3, 1, 4, 0]
    assert len(step_worlds.signatures) == compiled, "a second compilation costs seconds"
