"""A long call on many worlds in short ones, between which Python can hear of a failure or of Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, wait
from threading import Event
from typing import Any

__all__ = ["in_pieces"]

PIECE_SECONDS = 0.05
Loop = Callable[[Any, int, int, int], int]


def in_pieces(loop: Loop, argument: Any, ranges: list[tuple[int, int]], threads: Executor | None) -> int:
    """Calls a batch loop on ranges of worlds, each on a thread of its own, and ends soon after the first failure.

    Args:
        loop: called with the argument, the first world, the one behind the last, and the number of the range; returns
            how many failed.
        argument: of the loop.
        ranges: of worlds, at least one.
        threads: for all ranges but the first; None if there is no other.

    Returns:
        How many have failed until it ended.
    """
    must_end = Event()
    futures = []
    try:
        for slot, (begin, end) in enumerate(ranges[1:], start=1):
            assert threads is not None
            futures.append(threads.submit(_call, loop, argument, begin, end, slot, must_end))
        failures = _call(loop, argument, *ranges[0], 0, must_end)
        return failures + sum(future.result() for future in futures)
    finally:
        must_end.set()  # else, after Ctrl-C, they would go on behind the caller's back
        wait(futures)


def _call(
    loop: Callable[[Any, int, int, int], int], argument: Any, begin: int, end: int, slot: int, done: Event
) -> int:
    size = 1
    while begin < end and not done.is_set():
        started = time.perf_counter()
        failures = int(loop(argument, begin, min(begin + size, end), slot))
        if failures:
            done.set()
            return failures
        begin += size
        size = 2 * size if time.perf_counter() - started < PIECE_SECONDS else max(size // 2, 1)
    return 0
