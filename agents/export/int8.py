"""Weights as 8-bit integers: symmetric, one scale per output channel.

The codes of an output channel are its weights over ``scale``, rounded; ``scale`` is the channel's largest
magnitude over 127, so that no weight is clipped and none moves by more than half a step. Arithmetic stays in
float32: what shrinks is the file. After Krishnamoorthi 2018, *Quantizing deep convolutional networks for
efficient inference*, section 3.1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Int8Weight", "quantise"]

_MAX_CODE = 127  # -128 stays unused, so that the codes are symmetric


class Int8Weight(NamedTuple):
    """A quantised weight."""

    codes: NDArray[np.int8]
    """Of the weight's shape, in [-127, 127]."""
    scales: NDArray[np.float32]
    """One per output channel, positive, of a shape that broadcasts against the codes."""

    def dequantise(self) -> NDArray[np.float32]:
        """Returns the weight that the codes stand for."""
        return np.multiply(self.codes, self.scales, dtype=np.float32)


def quantise(weight: NDArray[np.float32], axis: int) -> Int8Weight:
    """Rounds a weight to codes.

    Args:
        weight: finite, with at least one axis.
        axis: of the output channels.
    """
    others = tuple(other for other in range(weight.ndim) if other != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scales = np.where(largest > 0.0, largest / np.float32(_MAX_CODE), np.float32(1.0)).astype(np.float32)
    # A scale may have been rounded down, which would lift the largest code above 127.
    codes = np.clip(np.rint(weight / scales), -_MAX_CODE, _MAX_CODE).astype(np.int8)
    return Int8Weight(codes, scales)
