"""A binary tree of sums over priorities: drawing in proportion to them and changing them, many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SumTree"]


class SumTree:
    """Non-negative weights ("leaves") under a binary tree whose every inner node is the sum of its two children.

    After Schaul et al. 2016, *Prioritized Experience Replay*, section B.2.1. Node 1 is the root, the children of node
    k are 2k and 2k + 1, and the leaves are the last level. A changed leaf has its ancestors added up anew, so that no
    rounding errors gather and the inner nodes are a function of the leaves alone. Every operation walks one level of
    the tree at a time for all its leaves together.
    """

    def __init__(self, num_leaves: int) -> None:
        """Makes ``num_leaves`` leaves of weight 0."""
        self.num_leaves = num_leaves
        self._first = 1 << (num_leaves - 1).bit_length()  # node of leaf 0
        self._nodes = np.zeros(2 * self._first)

    @property
    def total(self) -> float:
        """Sum of all leaves."""
        return float(self._nodes[1])

    @property
    def leaves(self) -> NDArray[np.float64]:
        """(num_leaves,): a view, to be read only."""
        return self._nodes[self._first : self._first + self.num_leaves]

    def put(self, indices: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        """Sets leaves.

        Args:
            indices: (B,) of leaves; one that occurs twice must bring the same weight twice.
            weights: (B,), at least 0.
        """
        self._nodes[self._first + indices] = weights
        nodes = self._first + indices
        for _ in range(self._first.bit_length() - 1):
            nodes >>= 1
            left = nodes << 1
            self._nodes[nodes] = self._nodes[left] + self._nodes[left + 1]

    def put_range(self, begin: int, weights: NDArray[np.float64]) -> None:
        """Sets the leaves from ``begin`` on to ``weights`` (B,), at least 0; faster than :meth:`put`."""
        low, high = self._first + begin, self._first + begin + len(weights)  # nodes low to high - 1
        self._nodes[low:high] = weights
        while low > 1:
            low, high = low >> 1, ((high - 1) >> 1) + 1
            children = self._nodes[2 * low : 2 * high]
            self._nodes[low:high] = children[::2] + children[1::2]

    def find(self, thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Returns for each threshold the leaf at which the running sum of the leaves passes it.

        A threshold drawn uniformly from [0, total) so finds every leaf in proportion to its weight, and never one of
        weight 0, not even where rounding carries it past the last sum.

        Args:
            thresholds: (B,) in [0, total]; ``total`` must be above 0.
        """
        left_over = thresholds.copy()
        nodes = np.ones(len(thresholds), np.int64)
        for _ in range(self._first.bit_length() - 1):
            nodes <<= 1  # the left child
            sums = self._nodes[nodes]
            goes_right = (left_over >= sums) & (self._nodes[nodes + 1] > 0.0)
            left_over -= np.where(goes_right, sums, 0.0)
            nodes += goes_right
        return nodes - self._first
