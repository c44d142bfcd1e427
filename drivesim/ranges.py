"""The worlds of a batch in ranges, each for a thread of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from threading import current_thread, main_thread
from typing import Any

import numpy as np

__all__ = ["Ranges", "uninterrupted"]

PIECE_SECONDS = 0.05
Loop = Callable[[Any, int, int, int], int]


class Ranges:
    """Ranges of worlds, and threads for all of them but the first, which is the caller's.

    A loop is called with an argument, a range's first world, the one behind its last, and the range's number.

    Args:
        num_worlds: worlds, numbered from 0.
        num_threads: threads at most; few worlds get fewer.
        min_worlds: for a thread; below, handing work to another one costs more than it saves.
    """

    def __init__(self, num_worlds: int, num_threads: int, min_worlds: int = 256) -> None:
        num_threads = max(1, min(num_threads, num_worlds // min_worlds))
        self._bounds = list(pairwise(np.linspace(0, num_worlds, num_threads + 1).astype(int).tolist()))
        self._sizes = [1] * num_threads  # of pieces, worlds
        self._threads: ThreadPoolExecutor | None = None
        self._process = 0

    def __len__(self) -> int:
        """How many there are, at least one."""
        return len(self._bounds)

    def call(self, loop: Loop, argument: Any) -> int:
        """Calls a loop on every range; the sum of what it returns.

        Ctrl-C comes before or afterwards, never between two ranges: a compiled call is not interrupted.
        """
        if len(self._bounds) == 1:
            return int(loop(argument, *self._bounds[0], 0))
        futures: list[Future[int]] = []
        with uninterrupted():
            try:
                for slot, (begin, end) in enumerate(self._bounds[1:], start=1):
                    futures.append(self._pool().submit(loop, argument, begin, end, slot))
                total = int(loop(argument, *self._bounds[0], 0))
                return total + sum(int(future.result()) for future in futures)
            finally:
                wait(futures)

    def call_in_pieces(self, loop: Loop, argument: Any, counts: Any = None) -> int:
        """Calls a loop that returns failures in short calls, between which Python can hear of one or of Ctrl-C.

        Args:
            loop: the loop.
            argument: its first one.
            counts: of how many worlds, from its first on, each range consists now; None = all of its own.

        Returns:
            How many have failed until it ended, which is soon after the first.
        """
        bounds = self._bounds
        if counts is not None:
            bounds = [(begin, begin + int(count)) for (begin, _), count in zip(bounds, counts, strict=True)]
        failed: list[int] = []
        if len(bounds) == 1:
            return self._in_pieces(loop, argument, bounds[0], 0, failed)
        futures: list[Future[int]] = []
        try:
            for slot, (begin, end) in enumerate(bounds[1:], start=1):
                if begin < end:
                    futures.append(self._pool().submit(self._in_pieces, loop, argument, (begin, end), slot, failed))
            failures = self._in_pieces(loop, argument, bounds[0], 0, failed)
            return failures + sum(future.result() for future in futures)
        finally:
            failed.append(0)  # else, after Ctrl-C, they would go on behind the caller's back
            wait(futures)

    def _in_pieces(self, loop: Loop, argument: Any, bounds: tuple[int, int], slot: int, failed: list[int]) -> int:
        """A loop on a part of a range, until there is something in `failed`, to which it adds its own failures.

        Pieces are as long as those of the last time, if that was quick.
        """
        begin, end = bounds
        while begin < end and not failed:
            size = min(self._sizes[slot], end - begin)
            started = time.perf_counter()
            failures = int(loop(argument, begin, begin + size, slot))
            if failures:
                failed.append(failures)
                return failures
            begin += size
            seconds = time.perf_counter() - started
            if seconds > PIECE_SECONDS:
                self._sizes[slot] = max(int(size * PIECE_SECONDS / seconds), 1)
            elif size == self._sizes[slot]:
                self._sizes[slot] = 2 * size
        return 0

    def close(self) -> None:
        """Lets go of the threads."""
        if self._threads is not None and self._process == os.getpid():
            self._threads.shutdown(wait=False)
        self._threads = None

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None or self._process != os.getpid():  # threads do not survive a fork
            self._threads = ThreadPoolExecutor(len(self._bounds) - 1, thread_name_prefix="drivesim")
            self._process = os.getpid()
        return self._threads

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: a copy has threads of its own."""
        return {**self.__dict__, "_threads": None}


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C wait for the end of a `with` block; it can only come in the main thread."""
    handler = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or not callable(handler):
        yield
        return
    came: list[Any] = []
    try:
        signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    except ValueError:  # in the main thread of an interpreter that is not the main one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[0])
