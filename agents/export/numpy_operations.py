"""Layers of a network, computed in numpy.

Each function is copied as it stands into the files of :mod:`agents.export.numpy_form` that call it, so it may
use numpy and nothing else of this module. Positional arguments are those of torch's operation of that name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = [
    "conv2d",
    "gru_cell",
    "layer_norm",
    "linear",
    "max_pool2d",
    "relu",
    "round_to_bfloat16",
    "softmax",
    "sum_of_rows",
]


def linear(
    x: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Maps (..., inputs) to (..., outputs) with a weight (outputs, inputs) and a bias (outputs,)."""
    product: NDArray[np.float32] = x @ weight.T
    return product if bias is None else product + bias


def relu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps negative numbers to 0; keeps the shape."""
    return np.maximum(x, np.float32(0.0))


def softmax(x: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Maps logits to probabilities along an axis; keeps the shape."""
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=axis, keepdims=True)
    return shares


def layer_norm(
    x: NDArray[np.float32],
    shape: Sequence[int],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    epsilon: float,
    *_: object,
) -> NDArray[np.float32]:
    """Brings the last ``len(shape)`` axes to mean 0 and variance 1, then scales and shifts; keeps the shape."""
    axes = tuple(range(-len(shape), 0))
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    scaled: NDArray[np.float32] = centred / np.sqrt(variance + np.float32(epsilon)) * weight + bias
    return scaled


def sum_of_rows(table: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sums looked-up rows: a table (num_rows, width) and indices (B, num_cells) give (B, width)."""
    sums = np.empty((len(rows), table.shape[1]), np.float32)
    block = max(1, 2**20 // (rows.shape[1] * table.shape[1]))  # envs whose rows fit into a cache
    for begin in range(0, len(rows), block):
        table[rows[begin : begin + block]].sum(axis=1, out=sums[begin : begin + block])
    return sums


def round_to_bfloat16(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounds finite numbers to the nearest of 8 significant bits, the even one of two; keeps the shape.

    bfloat16 is the upper half of a float32: what is added to the bits carries into that half when the lower one
    lies above its middle, or on it below an odd number.
    """
    bits = np.ascontiguousarray(x).view(np.uint32)
    carried = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (carried & np.uint32(0xFFFF0000)).view(np.float32)


def conv2d(
    x: NDArray[np.float32],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
) -> NDArray[np.float32]:
    """Convolves (B, inputs, rows, cols) with a weight (outputs, inputs, height, width) to (B, outputs, rows, cols)."""
    height, width = weight.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0], padding[0]), (padding[1], padding[1])))
    windows = sliding_window_view(padded, (height, width), axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    num_envs, _, rows, cols = windows.shape[:4]
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(num_envs * rows * cols, -1)
    product = patches @ weight.reshape(len(weight), -1).T + bias  # (B * rows * cols, outputs)
    return product.reshape(num_envs, rows, cols, len(weight)).transpose(0, 3, 1, 2)


def max_pool2d(
    x: NDArray[np.float32],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int] = (0, 0),
) -> NDArray[np.float32]:
    """Takes the largest of each window of (B, channels, rows, cols); what lies outside never is."""
    border = ((0, 0), (0, 0), (padding[0], padding[0]), (padding[1], padding[1]))
    padded = np.pad(x, border, constant_values=-np.inf)
    windows = sliding_window_view(padded, tuple(kernel), axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    largest: NDArray[np.float32] = windows.max(axis=(4, 5))
    return largest


def gru_cell(
    x: NDArray[np.float32],
    memory: NDArray[np.float32],
    weight_ih: NDArray[np.float32],
    weight_hh: NDArray[np.float32],
    bias_ih: NDArray[np.float32],
    bias_hh: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Steps a gated recurrent unit: inputs (B, inputs) and a memory (B, width) give the next memory (B, width).

    The gates lie in the weights as reset, update, new, each of ``width`` rows.
    """
    width = memory.shape[1]
    inputs, recalled = x @ weight_ih.T + bias_ih, memory @ weight_hh.T + bias_hh  # (B, 3 * width)
    # sigmoid(a) = (1 + tanh(a / 2)) / 2, which cannot overflow
    gates = np.float32(0.5) * (np.tanh(np.float32(0.5) * (inputs + recalled)[:, : 2 * width]) + np.float32(1.0))
    reset, update = gates[:, :width], gates[:, width:]
    new = np.tanh(inputs[:, 2 * width :] + reset * recalled[:, 2 * width :])
    stepped: NDArray[np.float32] = new + update * (memory - new)
    return stepped
