"""States that are none of this environment are refused before anything has moved: a kernel would trust them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import AUTODRIVE, HIGHWAY, INTERSECTION, LANE_KEEP, assert_refused, assert_same_future, world_bytes

from drivesim.core.world import WORLD


def batch(env_id: str = HIGHWAY, **options: Any) -> gym.vector.VectorEnv:
    """Three envs in the middle of an episode."""
    envs = gym.make_vec(env_id, num_envs=3, **options).unwrapped
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(np.full(3, 1))
    return envs


NOT_STATES = [
    *(None, 1, "state", [], {}, b"", [1, 2, 3], np.zeros(3), np.zeros(3, object)),
    np.zeros((3, WORLD.itemsize), np.uint8),
    np.zeros(3, [("level_seed", "i8"), ("tick", "i4")]),
]


@pytest.mark.parametrize("state", NOT_STATES, ids=lambda state: f"{type(state).__name__}:{str(state)[:20]}")
def test_what_is_no_array_of_worlds_is_refused(state) -> None:
    envs, twin = batch(), batch()
    env = gym.make(HIGHWAY).unwrapped
    assert_refused(lambda: envs.set_state(state), "state must be an array from get_state()")
    assert_refused(lambda: env.set_state(state), "state must be an array from get_state()")
    assert_same_future(envs, twin, 10)


def test_a_state_of_another_number_of_envs_is_refused() -> None:
    envs, twin = batch(), batch()
    good = envs.get_state()
    for state in (good[:2], good[:0], good.reshape(3, 1), np.concatenate([good, good]), good[:1].reshape(())):
        assert_refused(lambda state=state: envs.set_state(state), "state", "(3,)")
    env = gym.make(HIGHWAY).unwrapped
    assert_refused(lambda: env.set_state(good), "state", "(1,)", "(3,)")
    assert_same_future(envs, twin, 10)


@pytest.mark.parametrize(
    "mask", [[True] * 3, 1, "x", np.ones(3), np.ones(3, int), np.ones(2, bool), np.ones((3, 1), bool)]
)
def test_a_wrong_mask_is_refused(mask) -> None:
    envs, twin = batch(), batch()
    state = gym.make_vec(HIGHWAY, num_envs=3).unwrapped.get_state()
    assert_refused(lambda: envs.set_state(state, mask=mask), "mask", "(3,)")
    assert_same_future(envs, twin, 10)


@pytest.mark.parametrize(
    ("env_id", "options", "field"),
    [
        (LANE_KEEP, {}, "scenario"),
        (INTERSECTION, {}, "scenario"),
        (HIGHWAY, {"difficulty": "easy"}, "rows"),
        (HIGHWAY, {"length": 90}, "cols"),
        (HIGHWAY, {"num_vehicles": 21}, "num_vehicles"),
    ],
)
def test_states_of_other_environments_are_refused(env_id, options, field) -> None:
    envs, twin = batch(), batch()
    foreign = batch(env_id, **options).get_state()
    assert_refused(lambda: envs.set_state(foreign), "state is not of this environment", field)
    mixed = envs.get_state()
    mixed[1] = foreign[1]
    assert_refused(lambda: envs.set_state(mixed), field, "1 of those to be restored")
    envs.set_state(mixed, mask=np.array([True, False, True]))  # the foreign env is not taken over
    assert_same_future(envs, twin, 10)


CORRUPTIONS = [
    *(("phase", 3), ("phase", -1), ("tick", -1), ("episode", -5), ("attempt", -1), ("rows", 0), ("cols", 30_000)),
    *(("num_vehicles", 48), ("num_vehicles", 200), ("num_vehicles", -1), ("num_signals", 3), ("num_pedestrians", 9)),
    *(("num_controlled", 0), ("num_controlled", 9), ("is_ring", 0), ("wraps_cols", 0), ("half_lane", 2), ("limit", 9)),
    *(("vehicles.row", -1), ("vehicles.row", 6), ("vehicles.col", 100), ("vehicles.col", -300), ("vehicles.speed", 6)),
    *(("vehicles.speed", -1), ("vehicles.heading", 4), ("vehicles.limit", 99), ("vehicles.turn", 2)),
    *(("vehicles.status", 4), ("vehicles.exit_cell", 600), ("vehicles.ahead", -1), ("vehicles.ahead", 23)),
    *(("vehicles.ahead", 0), ("first", -2), ("first", 23), ("first", 48), ("occupants", 13), ("occupants", 255)),
    *(("drivers.route_length", 0), ("drivers.route_length", -4)),
]


@pytest.mark.parametrize(("field", "value"), CORRUPTIONS)
def test_a_corrupted_state_is_refused_by_the_name_of_its_field(field, value) -> None:
    env_id = INTERSECTION if field == "occupants" else HIGHWAY  # whose lanes are rings
    envs, twin = batch(env_id), batch(env_id)
    before = world_bytes(envs.get_state())
    state = envs.get_state()
    outer, _, inner = field.partition(".")
    if inner:
        state[outer][inner][2, 0] = value
    elif state[outer].ndim > 1:
        state[outer][2, 1] = value
    else:
        state[outer][2] = value
    assert_refused(
        lambda: envs.set_state(state), "state is not of this environment", inner or outer, "2 of those to be restored"
    )
    assert np.array_equal(world_bytes(envs.get_state()), before)
    assert_same_future(envs, twin, 10)
    env = gym.make(env_id).unwrapped
    assert_refused(lambda: env.set_state(state[2:]), inner or outer)


@pytest.mark.parametrize("field", ["width", "height", "row", "green_0", "all_red"])
def test_a_corrupted_signal_is_refused(field) -> None:
    envs = batch(INTERSECTION)
    state = envs.get_state()
    state["signals"][field][1, 0] = 300
    assert_refused(lambda: envs.set_state(state), field, "1 of those to be restored")


def test_an_ended_episode_is_refused_where_nobody_would_reset_it() -> None:
    ended = gym.make_vec(HIGHWAY, num_envs=3, max_episode_steps=1).unwrapped
    ended.reset(seed=0)
    ended.step(np.full(3, 1))
    envs, twin = batch(autoreset_mode="SameStep"), batch(autoreset_mode="SameStep")
    assert_refused(lambda: envs.set_state(ended.get_state()), "state", "SAME_STEP")
    assert_same_future(envs, twin, 10)


@pytest.mark.parametrize("env_id", [HIGHWAY, INTERSECTION, AUTODRIVE])
def test_whatever_bytes_are_flipped_a_state_is_refused_or_can_be_driven(env_id) -> None:
    envs = batch(env_id)
    good = envs.get_state()
    rng = np.random.default_rng(0)
    num_refused = 0
    for _ in range(300):
        state = good.copy()
        raw = world_bytes(state)
        for _ in range(rng.integers(1, 4)):
            raw[rng.integers(3), rng.integers(raw.shape[1])] = rng.integers(256)
        envs.set_state(good)
        try:
            envs.set_state(state)
        except ValueError:
            num_refused += 1
            assert np.array_equal(world_bytes(envs.get_state()), world_bytes(good))
        for _ in range(4):
            obs = envs.step(rng.integers(0, envs.single_action_space.n, 3))[0]
            assert obs in envs.observation_space
            envs.action_masks()
    assert 30 < num_refused < 300


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1, 1), "index"),
        ((3, 1), "index"),
        ((True, 1), "index"),
        ((0.0, 1), "index"),
        ((0, 0), "num"),
        ((0, -2), "num"),
        ((0, 10**12), "num"),
        ((0, None), "num"),
        ((0, 1, 1), "rekey"),
        ((0, 1, None), "rekey"),
    ],
)
def test_a_fork_of_no_env_or_of_no_copies_is_refused(arguments, field) -> None:
    assert_refused(lambda: batch().fork(*arguments), field)
