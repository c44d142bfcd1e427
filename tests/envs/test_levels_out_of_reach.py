"""Options that hardly any level satisfies: an error within a second, and Ctrl-C is heard."""

from __future__ import annotations

import signal
import time

import gymnasium as gym
import numpy as np
import pytest

import drivesim  # noqa: F401  # registers its ids
from drivesim.core import batch

OUT_OF_REACH = {"length": 66, "num_lanes": 2, "num_obstacles": 40, "num_walls": 0, "num_closed": 6}


@pytest.mark.parametrize("num_threads", [1, 2])
def test_options_that_no_level_satisfies_end_a_reset_within_a_second(num_threads) -> None:
    gym.make_vec("drivesim/Obstacles-v1", num_envs=2).reset(seed=0)  # compiles
    envs = gym.make_vec("drivesim/Obstacles-v1", num_envs=4096, num_threads=num_threads, **OUT_OF_REACH)
    started = time.process_time()
    with pytest.raises(gym.error.Error, match=r"no level certified .*num_obstacles=40"):
        envs.reset(seed=0)
    assert time.process_time() - started < 1.0
    envs.close()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_slow_reset_hears_an_interrupt_and_leaves_no_thread_at_work(monkeypatch, num_threads) -> None:
    envs = gym.make_vec("drivesim/LaneKeep-v1", num_envs=600, num_threads=num_threads)
    envs.reset(seed=0)
    envs.unwrapped._engine._ranges._sizes = [1] * num_threads  # as where levels have been slow from the beginning
    calls = []

    def slow(frame, begin, end, slot) -> int:
        calls.append(slot)
        time.sleep(0.02 * (end - begin))
        return 0

    def interrupt(number, frame) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(batch, "reset_worlds", slow)
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                envs.reset(seed=0)
            assert time.monotonic() - started < 5.0
            num_calls = len(calls)
            time.sleep(0.3)
            assert len(calls) == num_calls
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert set(calls) == set(range(num_threads))
    first = envs.reset(seed=5)[0].copy()
    np.testing.assert_array_equal(gym.make_vec("drivesim/LaneKeep-v1", num_envs=600).reset(seed=5)[0], first)
    envs.close()
