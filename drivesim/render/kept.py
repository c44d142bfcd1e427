"""Pictures that are kept because they are drawn once and shown often: as many as fit into so many bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, Protocol, TypeVar, TypeVarTuple, Unpack

__all__ = ["Kept", "kept"]


class HasBytes(Protocol):
    """What can be kept."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""


Key = TypeVarTuple("Key")
Drawn = TypeVar("Drawn", bound=HasBytes)


class Kept(Generic[*Key, Drawn]):
    """A function that keeps what it has drawn; what nobody has asked for longest goes first.

    A bound by number, as `functools.lru_cache` has it, says nothing of memory: a town's ground, large on a screen,
    takes a hundred times as much as a short road's. The newest is kept however large it is: the next picture needs it.

    Args:
        draw: the function; of hashable arguments.
        max_bytes: of all that is kept.
    """

    def __init__(self, draw: Callable[[Unpack[Key]], Drawn], max_bytes: int) -> None:
        update_wrapper(self, draw)
        self.nbytes = 0
        """Of all that is kept now."""
        self._draw = draw
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[*Key], Drawn] = OrderedDict()
        self._lock = threading.Lock()  # not held while something is drawn: two threads may then draw the same

    def __call__(self, *key: *Key) -> Drawn:
        """What the function draws; nobody may write to it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        drawn = self._draw(*key)
        with self._lock:
            self.nbytes += drawn.nbytes - (self._kept.pop(key).nbytes if key in self._kept else 0)
            self._kept[key] = drawn
            while self.nbytes > self._max_bytes and len(self._kept) > 1:
                self.nbytes -= self._kept.popitem(last=False)[1].nbytes
        return drawn


def kept(max_bytes: int) -> Callable[[Callable[[Unpack[Key]], Drawn]], Kept[*Key, Drawn]]:
    """Makes a function keep what it has drawn, see :class:`Kept`; 64 MiB are shared out among all that draw.

    Args:
        max_bytes: of all that is kept.
    """

    def keeping(draw: Callable[[Unpack[Key]], Drawn]) -> Kept[*Key, Drawn]:
        return Kept(draw, max_bytes)

    return keeping
