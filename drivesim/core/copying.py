"""Whole structures and elements at once: set to zero, exchanged, copied."""

from typing import Any

import numpy as np

from drivesim.core.jit import intrinsic


def _swap_records(block: Any, i: int, j: int) -> None:
    block[[i, j]] = block[[j, i]]


def _erase_record(batch: Any, i: int) -> None:
    batch[i] = np.zeros((), batch.dtype)


def _copy_record(source: Any, i: int, target: Any, j: int) -> None:
    target[j] = source[i]


swap = intrinsic("swapper", _swap_records)
"""`swap(block, i, j)`: exchange two elements of a block."""
erase = intrinsic("eraser", _erase_record)
"""`erase(batch, i)`: set structure i of a batch to zero."""
copy = intrinsic("copier", _copy_record)
"""`copy(source, i, target, j)`: make structure j of a batch that of number i in another batch of the same lengths."""
