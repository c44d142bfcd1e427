"""Stopping a run between two steps when the user or the system asks for it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["stop_requests"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C or SIGTERM into an event that the loop looks at.

    An exception in the middle of an update would leave a state that no checkpoint should hold. A
    second Ctrl-C does interrupt. Outside the main thread signals cannot be caught, and the event is
    never set.
    """
    stop = threading.Event()

    def request(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.signal(number, request) for number in _STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
