"""`python -m drivesim warm`: compile or load kernels before they are needed, on all cores, with a bar."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any, TextIO

import gymnasium as gym

from drivesim.core import kernel_cache
from drivesim.observations import ENCODERS
from drivesim.occlusion import occlusions

__all__ = ["Bar", "begin_worker", "load_kernels", "starting_workers", "warm"]

_BAR_WIDTH = 20  # characters


def warm(ids: Sequence[str]) -> int:
    """Compile or load what the environments need, with each observation, and draw a bar on the standard error.

    Processes share the work, since numba compiles with one thread at a time.

    Args:
        ids: registered.

    Returns:
        The exit status: 0, or 1 if something could not be compiled or kept.
    """
    started = time.perf_counter()
    folder = kernel_cache.folder()
    if folder is None:
        return 1  # it was said why
    # One observation after the other: at the same time processes compile what has least in common.
    jobs = [(env_id, observation) for observation in ENCODERS for env_id in ids]
    bar = Bar(len(jobs), sys.stderr)
    bar.line(f"drivesim: compiling or loading kernels, once; they are kept in {folder}")
    failures = []
    context = get_context("spawn")
    counter = context.Value("i", 0)
    pool = ProcessPoolExecutor(min(len(jobs), usable_cores()), context, initializer=_count_in, initargs=(counter,))
    try:
        with starting_workers():
            names = {pool.submit(load_kernels, *job): " ".join(job) for job in jobs}
        running = set(names)
        bar.draw(0)
        while running:
            finished, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in finished:
                error = future.exception()
                failures += [f"{names[future]}: {type(error).__name__}: {error}"] if error else []
                bar.advance(names[future], counter.value)
            bar.draw(counter.value)
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    for failure in failures:
        bar.line(f"drivesim: {failure}")
    seconds = time.perf_counter() - started
    bar.line(f"drivesim: {counter.value} functions compiled, the others loaded, in {seconds:.0f} s")
    return 1 if failures else 0


def load_kernels(env_id: str, observation: str) -> None:
    """Compile or load what an environment needs, as a single and as a vector environment, and for an x-ray.

    Args:
        env_id: registered.
        observation: its kind.
    """
    env = gym.make(env_id, observation=observation, disable_env_checker=True)
    env.reset(seed=0)
    env.step(0)
    env.unwrapped.observe()  # type: ignore[attr-defined]
    occlusions(env)
    env.close()
    envs = gym.make_vec(env_id, num_envs=1, observation=observation)
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    envs.action_masks()  # type: ignore[attr-defined]
    envs.close()


def _count_in(counter: Any) -> None:
    """In a worker: count what is compiled, a `multiprocessing.Value`, and leave it to the bar to tell."""
    begin_worker()

    def count() -> None:
        with counter.get_lock():
            counter.value += 1

    kernel_cache.before_compiling(count)


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Processes that are started here hear of Ctrl-C only in :func:`begin_worker`, not while they load libraries."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker() -> None:
    """In a worker: an interrupt ends it, without a traceback; as an exception it could get lost in the compiler."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Bar:
    """Progress in one line that is drawn again, on a terminal; elsewhere a line for each piece of work."""

    def __init__(self, total: int, out: TextIO) -> None:
        """For `total` pieces of work, drawn on `out`."""
        self._total = total
        self._out = out
        self._done = 0
        self._started = time.perf_counter()
        self._is_terminal = out.isatty()
        self._width = 0  # of what stands on the line

    def advance(self, name: str, num_compiled: int) -> None:
        """One more piece is done."""
        self._done += 1
        if not self._is_terminal:
            self.line(f"{self._text(num_compiled)}, {name}")

    def draw(self, num_compiled: int) -> None:
        """Show how far it is and how long it took, on a terminal."""
        if self._is_terminal:
            filled = _BAR_WIDTH * self._done // self._total
            text = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {self._text(num_compiled)}"
            self._out.write("\r" + text.ljust(self._width))
            self._out.flush()
            self._width = len(text)

    def line(self, text: str) -> None:
        """Print a line of its own."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def close(self) -> None:
        """Leave the bar's line."""
        if self._width:
            self.line("")
            self._width = 0

    def _text(self, num_compiled: int) -> str:
        seconds = int(time.perf_counter() - self._started)
        return f"{self._done}/{self._total} [{seconds // 60}:{seconds % 60:02}] {num_compiled} functions compiled"


def usable_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
