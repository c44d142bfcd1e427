"""Wrong actions, seeds and reset options are refused by name, before anything has moved."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import AUTODRIVE, HIGHWAY, OBSTACLES, assert_refused, assert_same, assert_same_future

import drivesim
from drivesim.core import batch
from drivesim.core.world import NOT_STARTED

NAN = float("nan")
BAD_ACTIONS = [
    *(-1, 5, 10**12, 2**70, -(2**70), np.uint64(2**64 - 1), np.int8(-1), np.array(5)),
    *(1.0, np.float32(1), NAN, float("inf"), 1j, True, np.True_, None, "1", b"1", np.array(1.0), np.array(True)),
    *([1], (1,), {"action": 1}, np.array([1]), np.array([[1]]), np.array([True]), object, np.array(None)),
]
BAD_BATCHES = [
    *(None, 1, 1.0, True, "111", np.array(1), {}, ...),
    *([], [1, 1], [1, 1, 1, 1], [[1, 1, 1]], [[1], [1, 1], [1]], np.ones((3, 1), int), np.ones(2, int)),
    *([1.0, 1.0, 1.0], [1, 1, 1.5], [1, None, 1], [1, "1", 1], [True, True, True], [1, True, 1], [1, 1, NAN]),
    *(np.ones(3), np.ones(3, np.float32), np.ones(3, bool), np.full(3, NAN), np.array(["1", "1", "1"])),
    *(np.array([1, 1, 1], object), np.ones(3, complex), np.zeros(3, "datetime64[s]")),
    *([1, 1, -1], [1, 1, 5], [2**70, 1, 1], np.array([1, 2**63, 1], np.uint64), np.array([1, 1, 2**64 - 1], np.uint64)),
    *(np.array([1, 2**32 + 1, 1]), np.array([-(2**63), 1, 1]), np.array([1, -1, 1], np.int8)),
]
BAD_SEEDS = [
    -1,
    -(2**70),
    np.int64(-3),
    1.0,
    np.float64(2),
    NAN,
    True,
    np.False_,
    "1",
    b"1",
    [1],
    np.array([1]),
    ...,
]
BAD_BATCH_SEEDS = [
    *(-1, 1.0, NAN, True, "1", ..., {1: 2}),
    *([1, 2], [1, 2, 3, 4], [1, 2, -3], [1, 2, 3.0], [1, 2, True], [1, 2, "3"], [[1], [2], [3]]),
    *(np.ones((3, 1), int), np.ones(3), np.ones(3, bool), np.array([1, 2, -3]), np.ones(2, int)),
]


def label(value: Any) -> str:
    return f"{type(value).__name__}:{str(value)[:30]}"


def shown(call: Any, value: Any, *parts: str) -> None:
    """Refused with `parts` and with the value."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)
    if not isinstance(value, np.ndarray):
        assert repr(value) in str(caught.value) or str(value) in str(caught.value)


@pytest.mark.parametrize("unwrap", [False, True], ids=["made", "unwrapped"])
@pytest.mark.parametrize("action", BAD_ACTIONS, ids=label)
def test_a_wrong_action_is_refused_and_changes_nothing(action, unwrap) -> None:
    env, twin = gym.make(HIGHWAY), gym.make(HIGHWAY)
    if unwrap:
        env, twin = env.unwrapped, twin.unwrapped
    env.reset(seed=2)
    twin.reset(seed=2)
    shown(lambda: env.step(action), action, "action", "[0, 4]")  # also as the first step, which Gymnasium checks
    assert_same_future(env, twin, 3)
    shown(lambda: env.step(action), action, "action", "[0, 4]")
    assert_same(env.unwrapped.get_state().tobytes(), twin.unwrapped.get_state().tobytes())
    assert_same_future(env, twin, 60)  # through the time limit, which did not count the refused steps


@pytest.mark.parametrize(
    "action", [3, np.int8(3), np.uint64(3), np.int64(3), np.array(3), np.array(3, np.uint8)], ids=label
)
def test_integers_of_every_kind_are_actions(action) -> None:
    env, twin = gym.make(HIGHWAY), gym.make(HIGHWAY)
    env.reset(seed=0)
    twin.reset(seed=0)
    assert_same(env.step(action), twin.step(3))


def test_a_torch_scalar_is_an_action_but_a_torch_bool_is_not() -> None:
    torch = pytest.importorskip("torch")
    env = gym.make(HIGHWAY).unwrapped
    env.reset(seed=0)
    env.step(torch.tensor(3))
    for wrong in (torch.tensor(True), torch.tensor(3.0), torch.tensor([3])):
        assert_refused(lambda wrong=wrong: env.step(wrong), "action", "[0, 4]")
    assert env.get_state()["world"]["tick"][0] == 1


def test_the_range_named_is_the_action_sets_own() -> None:
    env = gym.make(AUTODRIVE)
    env.reset(seed=0)
    assert_refused(lambda: env.step(4), "action", "[0, 3]", "4")


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_wrong_actions_of_a_batch_are_refused_before_any_env_has_moved(mode) -> None:
    envs, twin = (gym.make_vec(HIGHWAY, num_envs=3, autoreset_mode=mode, max_episode_steps=25) for _ in range(2))
    envs.reset(seed=2)
    twin.reset(seed=2)
    for actions in BAD_BATCHES:
        before = envs.unwrapped.get_state().tobytes()
        with pytest.raises((TypeError, ValueError), match=r"actions must be integers in \[0, 4\]"):
            envs.step(actions)
        assert envs.unwrapped.get_state().tobytes() == before, actions
    assert_same_future(envs, twin, 60)


def test_a_wrong_action_is_named_with_its_env() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=600, num_threads=2)
    envs.reset(seed=0)
    actions = np.ones(600, int)
    actions[571] = 9
    assert_refused(lambda: envs.step(actions), "9", "env 571", "[0, 4]")


@pytest.mark.parametrize("seed", BAD_SEEDS, ids=label)
def test_a_wrong_seed_is_refused_and_changes_nothing(seed) -> None:
    env, twin = gym.make(HIGHWAY).unwrapped, gym.make(HIGHWAY).unwrapped
    env.reset(seed=0)
    twin.reset(seed=0)
    shown(lambda: env.reset(seed=seed), seed, "seed", "at least 0")
    assert_same_future(env, twin, 40)
    assert_same(env.reset(), twin.reset())


@pytest.mark.parametrize("seed", BAD_BATCH_SEEDS, ids=label)
def test_wrong_seeds_of_a_batch_are_refused_and_change_nothing(seed) -> None:
    envs, twin = (gym.make_vec(HIGHWAY, num_envs=3) for _ in range(2))
    envs.reset(seed=0)
    twin.reset(seed=0)
    assert_refused(lambda: envs.reset(seed=seed), "seed")
    assert_same_future(envs, twin, 10)
    assert_same(envs.reset(), twin.reset())


BAD_OPTIONS = [
    ([], "options"),
    ("level_seed", "options"),
    (0, "options"),
    (False, "options"),
    ({"levelseed": 1}, "'levelseed'"),
    ({3: 1}, "3"),
    *(({"level_seed": value}, "level_seed") for value in (-1, 2**63, 2**70, 1.0, True, "1", None, NAN)),
    *(({"level_seeds": value}, "level_seeds must be a bool") for value in (1, None, "yes", [1, 2, 3])),
]
BAD_MASKS = [
    *([True, False, True], (True,) * 3, 1, True, None, "TFT"),
    *(np.ones(3, int), np.ones(3), np.ones(2, bool), np.ones(4, bool), np.ones((3, 1), bool), np.array(True)),
    np.zeros(3, bool),
]


@pytest.mark.parametrize(("options", "field"), BAD_OPTIONS, ids=label)
def test_wrong_reset_options_are_refused_and_change_nothing(options, field) -> None:
    for make in (lambda: gym.make(HIGHWAY).unwrapped, lambda: gym.make_vec(HIGHWAY, num_envs=3)):
        env, twin = make(), make()
        env.reset(seed=0)
        twin.reset(seed=0)
        assert_refused(lambda env=env: env.reset(seed=7, options=options), field)
        assert_same_future(env, twin, 10)


def test_a_mask_is_no_option_of_the_single_environment() -> None:
    env = gym.make(HIGHWAY)
    assert_refused(lambda: env.reset(options={"reset_mask": np.ones(1, bool)}), "reset_mask", "level_seed")


@pytest.mark.parametrize("mask", BAD_MASKS, ids=label)
def test_a_wrong_reset_mask_is_refused_and_changes_nothing(mask) -> None:
    envs, twin = (gym.make_vec(HIGHWAY, num_envs=3) for _ in range(2))
    envs.reset(seed=0)
    twin.reset(seed=0)
    assert_refused(lambda: envs.reset(seed=5, options={"reset_mask": mask}), "reset_mask")
    assert_same_future(envs, twin, 10)


@pytest.mark.parametrize(
    "seeds", [[1, 2], [1, 2, -3], [1, 2, 2**63], [1, 2, 3.0], np.ones((3, 1), int), [1, 2, None]], ids=label
)
def test_wrong_level_seeds_of_a_batch_are_refused_and_change_nothing(seeds) -> None:
    envs, twin = (gym.make_vec(HIGHWAY, num_envs=3) for _ in range(2))
    envs.reset(seed=0)
    twin.reset(seed=0)
    assert_refused(lambda: envs.reset(options={"level_seed": seeds}), "level_seed")
    assert_same_future(envs, twin, 10)


def test_nothing_but_a_reset_of_all_envs_works_before_the_first_reset() -> None:
    env, envs = gym.make(HIGHWAY), gym.make_vec(HIGHWAY, num_envs=2)
    for call in (
        lambda: env.step(1),
        lambda: env.unwrapped.step(1),
        env.unwrapped.observe,
        env.unwrapped.action_masks,
        lambda: envs.step(np.array([1, 1])),
        envs.unwrapped.observe,
        envs.unwrapped.action_masks,
        lambda: envs.unwrapped.fork(0, 2),
        lambda: envs.reset(options={"reset_mask": np.array([True, False])}),
    ):
        with pytest.raises(gym.error.ResetNeeded, match="reset"):
            call()
    env.reset(seed=0)
    envs.reset(seed=0)


def test_a_step_after_a_termination_asks_for_a_reset() -> None:
    env = gym.make(OBSTACLES)
    env.reset(seed=0)
    while not env.step(0)[2]:  # off to the left
        pass
    over = env.unwrapped.get_state().tobytes()
    for each in (env, env.unwrapped):
        with pytest.raises(gym.error.ResetNeeded, match="terminated"):
            each.step(1)
    assert env.unwrapped.get_state().tobytes() == over
    env.reset()
    env.step(1)


def test_stepping_an_env_that_has_ended_is_an_error_where_nobody_resets_it() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3, autoreset_mode="Disabled", max_episode_steps=4)
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.full(3, 4))
    envs.reset(options={"reset_mask": np.array([True, False, True])})
    for _ in range(2):
        truncations = envs.step(np.full(3, 4))[3]
    assert truncations.tolist() == [False, True, False]
    before = envs.unwrapped.get_state().tobytes()
    with pytest.raises(gym.error.ResetNeeded, match=r"env 1 has ended.*reset_mask"):
        envs.step(np.full(3, 4))
    assert envs.unwrapped.get_state().tobytes() == before
    other = gym.make_vec(HIGHWAY, num_envs=3, autoreset_mode="Disabled").unwrapped
    other.set_state(envs.unwrapped.get_state())  # a restored end is an end
    with pytest.raises(gym.error.ResetNeeded, match="env 1"):
        other.step(np.full(3, 4))
    other.reset(seed=0)
    running = other.get_state()
    other.set_state(envs.unwrapped.get_state())
    other.set_state(running)  # and none is left where a running episode is restored
    other.step(np.full(3, 4))
    envs.reset(options={"reset_mask": truncations})
    envs.step(np.full(3, 4))


def fail_once(env: Any, name: str, action: Any) -> None:
    """Let the loop `name` report an env whose level could not be certified; only a reset goes on from there."""
    env.reset(seed=1)

    def fail(*arguments: Any) -> int:
        if name == "reset":  # what the generator leaves
            env._engine.worlds["stage"] = NOT_STARTED
        return 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, f"{name}_worlds", fail)
        with pytest.raises(gym.error.Error, match=r"no level certified.*num_vehicles=22"):
            env.step(action) if name == "begin" else env.reset(seed=0)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(action)
    env.reset()
    env.step(action)


def test_options_for_which_no_level_can_be_certified_are_an_error_and_leave_nothing_half_done() -> None:
    fail_once(gym.make(HIGHWAY).unwrapped, "reset", 1)
    fail_once(gym.make_vec(HIGHWAY, num_envs=2).unwrapped, "reset", np.array([1, 1]))
    options = {"autoreset_mode": "SameStep", "max_episode_steps": 1}
    fail_once(gym.make_vec(HIGHWAY, num_envs=2, **options).unwrapped, "begin", np.array([1, 1]))
    fail_once(drivesim.make_mixed_vec({HIGHWAY: 2}, **options), "begin", np.array([1, 1]))
    fail_once(drivesim.parallel_vec_env(HIGHWAY, 1, 2, max_episode_steps=1), "begin", np.array([1, 1]))
