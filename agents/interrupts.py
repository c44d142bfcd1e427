"""Stopping a program when the user or the system asks for it: a run between two steps, the rest at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

__all__ = ["StopRequest", "stop_requests"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@dataclass
class StopRequest:
    """Whether somebody has asked the run to stop."""

    signal: int | None = None
    """Number of the signal that asked; None = nobody has."""


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turns the first Ctrl-C or SIGTERM into a request that the loop looks at, and says at once what will happen.

    An exception in the middle of an update would leave a state that no checkpoint should hold. A second signal does
    what it did before this context, see :func:`drivesim.stages.ctrl_c_ends`. Signals that were ignored stay ignored, as
    under nohup. Outside the main thread signals cannot be caught, and there never is a request.
    """
    stop = StopRequest()
    previous: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def request(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        restore()
        line = (
            f"\n{_NAMES[signal.Signals(number)]}: a checkpoint follows, then the run ends; once more ends it at once\n"
        )
        with contextlib.suppress(OSError):  # print() cannot be called in the middle of itself
            os.write(2, line.encode())

    if threading.current_thread() is threading.main_thread():
        for number in _STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, request)
    try:
        yield stop
    finally:
        restore()
