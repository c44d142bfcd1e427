"""Numbers of nodes, in the order in which they are met: memory around a hash table of `drivesim.planning.loops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.memory import Frame
from drivesim.planning import loops

Array = np.ndarray[Any, Any]


class Numbering:
    """Different nodes of K words, numbered from 0 in the order in which they are met.

    Args:
        nodes: (N, K) int64, the first of them.
    """

    def __init__(self, nodes: Array) -> None:
        self._known = np.zeros((0, nodes.shape[1]), np.uint64)
        self._num_known = np.zeros(1, np.int64)
        self._num_slots = 0
        self._frame = Frame(loops.NUMBERING)
        self._frame.set(num_words=nodes.shape[1], num_known=self._num_known)
        self.number(nodes, np.ones(len(nodes), np.bool_))

    def __len__(self) -> int:
        return int(self._num_known[0])

    @property
    def nodes(self) -> Array:
        """(S, K) int64: all of them by number."""
        return self._known[: len(self)].view(np.int64)

    def number(self, nodes: Array, are_wanted: Array) -> Array:
        """Number nodes.

        Args:
            nodes: (M, K) int64.
            are_wanted: (M,) bool: which of them.

        Returns:
            (M,) int64: the numbers, -1 where none was wanted.
        """
        self._reserve(len(self) + int(are_wanted.sum()))
        numbers = np.full(len(nodes), -1)
        nodes = np.ascontiguousarray(nodes, np.int64).view(np.uint64)
        self._frame.set(nodes=nodes, are_wanted=np.ascontiguousarray(are_wanted), numbers=numbers)
        loops.number_nodes(self._frame.argument, 0, len(nodes))
        return numbers

    def get(self, node: Array) -> int | None:
        """The number of a node (1, K); None if it has none."""
        self._frame.set(nodes=np.ascontiguousarray(node, np.int64).view(np.uint64))
        number = int(loops.find_node(self._frame.argument))
        return number if number >= 0 else None

    def _reserve(self, num_nodes: int) -> None:
        """Make room for so many in all, with half of the slots free."""
        if 2 * num_nodes < self._num_slots:
            return
        known, num_slots = self._known, 1 << (4 * num_nodes + 1).bit_length()
        self._known = np.zeros((num_slots // 2, known.shape[1]), np.uint64)
        self._known[: len(self)] = known[: len(self)]
        self._frame.set(known=self._known, slots=np.zeros(num_slots, np.int64), num_slots=num_slots)
        loops.enter_known(self._frame.argument)
        self._num_slots = num_slots
