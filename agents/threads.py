"""How many threads torch should use: measured, because the default is often the slowest choice.

Small networks lose more to handing work over than they gain, and sums are rounded differently with
another number of threads. The answer is therefore measured once per machine and network, and kept
where compiled kernels are, see :mod:`drivesim.cache`: two runs with the same seed on one machine
then get the same weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable

import torch

from drivesim.cache import keep, read
from drivesim.stages import stage

__all__ = ["choose_num_threads", "fastest_num_threads", "usable_cores"]

_ROUNDS = 4  # of the measurement, alternating between the candidates
_ENOUGH = 6.0  # seconds after which no further round begins: on a busy machine none is better than the one before
_GAIN = 0.9  # more threads must take less than this share of the time of fewer


def usable_cores() -> int:
    """Returns how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_num_threads(key: str, make_trial: Callable[[], Callable[[], object]]) -> int:
    """Returns the remembered number of threads for ``key``, or measures and remembers it.

    Args:
        key: describes the work: network, batch, observation.
        make_trial: returns a function that does a few updates' worth of that work.
    """
    machine = (platform.processor(), platform.machine(), usable_cores(), torch.__version__)
    digest = hashlib.sha256(repr((*machine, key)).encode()).hexdigest()
    remembered = read("threads", digest[:16])
    if remembered is not None:
        num_threads = int(json.loads(remembered)["num_threads"])
        if 1 <= num_threads <= usable_cores():
            return num_threads
    with stage("measuring how many threads learn fastest, once for this network and machine"):
        num_threads = fastest_num_threads(make_trial())
    keep("threads", digest[:16], json.dumps({"num_threads": num_threads, "work": key}).encode())
    return num_threads


def fastest_num_threads(trial: Callable[[], object]) -> int:
    """Times ``trial`` with 1, 2, 4, ... threads; the setting of torch is left as it was."""
    before = torch.get_num_threads()
    candidates = [1]
    while candidates[-1] * 2 <= min(usable_cores(), 16):
        candidates.append(candidates[-1] * 2)
    if len(candidates) == 1:
        return 1
    best_seconds = dict.fromkeys(candidates, float("inf"))
    try:
        for candidate in candidates:  # buffers are allocated and threads started on first use
            torch.set_num_threads(candidate)
            trial()
        begun = time.perf_counter()
        for done in range(_ROUNDS):
            if done and time.perf_counter() - begun > _ENOUGH:
                break
            for candidate in candidates:
                torch.set_num_threads(candidate)
                start = time.perf_counter()
                trial()
                seconds = time.perf_counter() - start
                best_seconds[candidate] = min(best_seconds[candidate], seconds)
    finally:
        torch.set_num_threads(before)
    chosen = candidates[0]
    for candidate in candidates[1:]:
        if best_seconds[candidate] < _GAIN * best_seconds[chosen]:
            chosen = candidate
    return chosen
