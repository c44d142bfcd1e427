"""Ctrl-C in a step leaves a batch whole: all envs have moved or none has, and every end is noticed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import (
    CITY,
    HIGHWAY,
    LANE_KEEP,
    MODES,
    OBSTACLES,
    assert_same,
    assert_same_future,
    draw_actions,
    world_bytes,
)
from gymnasium.vector import AutoresetMode

import drivesim
from drivesim import ranges
from drivesim.core import batch
from drivesim.ranges import Ranges, uninterrupted

MANY = 600  # envs: enough for two threads


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    """As in a terminal, Ctrl-C raises KeyboardInterrupt."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(autouse=True)
def pieces_of_one_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """However quickly levels are drawn here, Ctrl-C is heard after each."""
    monkeypatch.setattr(ranges, "PIECE_SECONDS", 0.0)


def press_ctrl_c() -> None:
    """What a terminal does, if this is the thread that hears of it."""
    if threading.current_thread() is threading.main_thread():
        signal.raise_signal(signal.SIGINT)


def twins(make: Callable[[], Any], ticks: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Two equal batches after so many ticks, and the actions of the next one."""
    rng = np.random.default_rng(seed)
    first, second = make(), make()
    for envs in (first, second):
        envs.reset(seed=seed)
    num_actions = first.single_action_space.n
    for _ in range(ticks):
        actions = draw_actions(rng, num_actions, first.num_envs)
        for envs in (first, second):
            _, _, terminations, truncations, _ = envs.step(actions)
            ended = terminations | truncations
            if envs.autoreset_mode is AutoresetMode.DISABLED and ended.any():
                envs.reset(options={"reset_mask": ended})
    return first, second, draw_actions(rng, num_actions, first.num_envs)


def all_worlds(envs: Any) -> np.ndarray:
    """The bytes of all worlds of a batch, whatever kind it is, one after the other."""
    state = envs.get_state()
    states = state if isinstance(state, tuple) else (state,)
    return np.concatenate([world_bytes(each["world"].copy()).reshape(-1) for each in states])


def assert_whole(envs: Any, twin: Any, actions: np.ndarray, patch: Callable[[pytest.MonkeyPatch], None]) -> None:
    """The step that is interrupted has moved all envs as the twin's has, whose future is the same."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        patch(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            envs.step(actions)
    twin.step(actions)
    np.testing.assert_array_equal(all_worlds(envs), all_worlds(twin))
    assert_same(envs.observe(), twin.observe())


def interrupt_between_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread's range moves, the other's has not yet."""
    call = Ranges.call

    def slow(self: Ranges, loop: Any, argument: Any) -> int:
        def slow_loop(argument: Any, begin: int, end: int, slot: int) -> int:
            press_ctrl_c()
            return int(loop(argument, begin, end, slot))

        return call(self, slow_loop, argument)

    monkeypatch.setattr(Ranges, "call", slow)


def interrupt_before_a_range_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Ranges._pool

    def slow(self: Ranges) -> Any:
        press_ctrl_c()
        return pool(self)

    monkeypatch.setattr(Ranges, "_pool", slow)


def interrupt_after_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """All worlds have moved, and nobody knows of it yet."""
    call = Ranges.call

    def slow(self: Ranges, loop: Any, argument: Any) -> int:
        answer = call(self, loop, argument)
        press_ctrl_c()
        return answer

    monkeypatch.setattr(Ranges, "call", slow)


def interrupt_between_two_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the episodes that begin in this step have begun."""
    loop = batch.begin_worlds
    calls = []

    def slow(argument: Any, begin: int, end: int, slot: int) -> int:
        calls.append(slot)
        if calls.count(0) == 3:
            press_ctrl_c()
        return loop(argument, begin, end, slot)

    monkeypatch.setattr(batch, "begin_worlds", slow)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interrupt", [interrupt_between_ranges, interrupt_before_a_range_is_handed_over])
def test_no_thread_moves_its_envs_alone(mode, interrupt) -> None:
    def make() -> Any:
        return gym.make_vec(HIGHWAY, num_envs=MANY, num_threads=2, autoreset_mode=mode, max_episode_steps=50).unwrapped

    first, second, actions = twins(make, 0)
    assert first._engine.num_threads == 2
    assert_whole(first, second, actions, interrupt)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("copy", [True, False])
def test_ends_are_noticed_whenever_the_interrupt_comes(mode, copy) -> None:
    def make() -> Any:
        return gym.make_vec(LANE_KEEP, num_envs=8, autoreset_mode=mode, max_episode_steps=4, copy=copy).unwrapped

    first, second, actions = twins(make, 3)
    assert_whole(first, second, actions, interrupt_after_the_loop)
    if mode is AutoresetMode.DISABLED:
        for envs in (first, second):
            with pytest.raises(gym.error.ResetNeeded, match="has ended"):
                envs.step(actions)
            envs.reset(options={"reset_mask": np.ones(8, np.bool_)})
    assert_same_future(first, second)


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("env_id", [OBSTACLES, CITY])
def test_episodes_that_begin_in_a_step_begin_though_it_is_interrupted(mode, num_threads, env_id) -> None:
    ticks = 3 if mode is AutoresetMode.SAME_STEP else 4

    def make() -> Any:
        options = {"num_maps": 2} if env_id == CITY else {}
        return gym.make_vec(
            env_id, num_envs=MANY, num_threads=num_threads, autoreset_mode=mode, max_episode_steps=4, **options
        ).unwrapped

    first, second, actions = twins(make, ticks)
    assert_whole(first, second, actions, interrupt_between_two_beginnings)
    assert (first.get_state()["world"]["episode"] == 1).sum() > MANY // 2
    assert_same_future(first, second, 10)


def test_a_step_that_begins_slow_levels_hears_ctrl_c_at_once(monkeypatch) -> None:
    envs = gym.make_vec(OBSTACLES, num_envs=64, max_episode_steps=1).unwrapped
    envs.reset(seed=0)
    envs.step(np.zeros(64, np.int64))
    loop, begun = batch.begin_worlds, []

    def slow(argument: Any, begin: int, end: int, slot: int) -> int:
        begun.append(end - begin)
        press_ctrl_c()
        return loop(argument, begin, end, slot)

    monkeypatch.setattr(batch, "begin_worlds", slow)
    with pytest.raises(KeyboardInterrupt):
        envs.step(np.zeros(64, np.int64))
    assert begun == [1]


@pytest.mark.parametrize("mode", MODES)
def test_a_mixed_batch_is_whole_too(mode) -> None:
    def make() -> Any:
        counts = {LANE_KEEP: 4, OBSTACLES: 4, HIGHWAY: 4}
        return drivesim.make_mixed_vec(counts, autoreset_mode=mode, max_episode_steps=4)

    for interrupt in (interrupt_between_ranges, interrupt_after_the_loop, interrupt_between_two_beginnings):
        if interrupt is interrupt_between_two_beginnings and mode is AutoresetMode.DISABLED:
            continue
        first, second, actions = twins(make, 4 if mode is AutoresetMode.NEXT_STEP else 3)
        assert_whole(first, second, actions, interrupt)
        for envs in (first, second):
            if mode is AutoresetMode.DISABLED:
                with pytest.raises(gym.error.ResetNeeded, match="has ended"):
                    envs.step(actions)
                envs.reset(options={"reset_mask": np.ones(12, np.bool_)})
        assert_same_future(first, second, 10)


def test_worlds_of_several_egos_are_whole_too() -> None:
    def make() -> Any:
        return drivesim.parallel_vec_env(HIGHWAY, MANY, 2, num_threads=2, max_episode_steps=4)

    for interrupt in (interrupt_between_ranges, interrupt_after_the_loop, interrupt_between_two_beginnings):
        first, second, actions = twins(make, 3)
        assert_whole(first, second, actions, interrupt)
        for _ in range(10):
            assert_same(first.step(actions), second.step(actions))


def test_egos_whose_drives_end_in_an_interrupted_step_are_gone() -> None:
    env = drivesim.parallel_env("drivesim/Highway-v1", 2, max_episode_steps=2)
    env.reset(seed=0)
    env.step({agent: 1 for agent in env.agents})
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt_after_the_loop(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            env.step({agent: 1 for agent in env.agents})
    assert env.agents == []


@pytest.mark.parametrize("ticks", [1, 3])
def test_a_single_env_knows_whether_an_interrupted_step_has_ended_its_episode(ticks) -> None:
    env = gym.make("drivesim/LaneKeep-v1").unwrapped
    twin = gym.make("drivesim/LaneKeep-v1").unwrapped
    for each in (env, twin):
        each.reset(seed=0)
        for _ in range(ticks - 1):
            each.step(3)
    ends = twin.step(0)[2]
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt_after_the_loop(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            env.step(0)
    np.testing.assert_array_equal(all_worlds(env), all_worlds(twin))
    state = env.get_state()
    state["world"]["stage"] = 2
    assert not ends
    assert_same(env.step(1), twin.step(1))
    while not ends:
        state = env.get_state()
        ends = twin.step(0)[2]
        with pytest.MonkeyPatch.context() as monkeypatch:
            interrupt_after_the_loop(monkeypatch)
            with pytest.raises(KeyboardInterrupt):
                env.step(0)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)


def test_the_handler_of_ctrl_c_comes_back_and_is_called_once_it_may() -> None:
    order: list[str] = []
    signal.signal(signal.SIGINT, lambda number, frame: order.append("heard"))
    handler = signal.getsignal(signal.SIGINT)
    with uninterrupted(), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        order.append("whole")
    assert order == ["whole", "heard"]
    assert signal.getsignal(signal.SIGINT) is handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
