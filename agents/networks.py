"""Q-networks for the observation kinds of the suite, and the table that picks one for a space.

Every network maps a batch of raw observations, in the space's own dtype, to Q-values of shape
(B, num_actions): scaling and one-hot coding are part of the network, so that replay stores bytes.

Layer normalisation after every hidden layer keeps bootstrapped values from diverging (Gallici et
al. 2024, *Simplifying Deep Temporal Difference Learning*, show why); orthogonal initial weights
after CleanRL, with a small last layer so that the first Q-values are near zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CodeEncoder", "NetworkConfig", "PlaneEncoder", "QNetwork", "make_q_network"]

_HIDDEN_GAIN = 2.0**0.5  # keeps the variance through a ReLU
_HEAD_GAIN = 0.01  # first Q-values near zero


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of a Q-network."""

    hidden_sizes: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers, in units."""
    channels: tuple[int, ...] = ()
    """Widths of the 3x3 convolutions in front of them, for grid observations; none feeds the
    flattened planes straight into the first hidden layer, which is as fast and often enough."""
    first_layer: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the first layer of byte observations without convolutions. bfloat16 holds 0 to
    255 exactly, rounds the weights to 8 bits, and is about twice as fast on a processor with it."""

    def __post_init__(self) -> None:
        """Checks every width."""
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes must hold at least one width, got ()")
        for name in ("hidden_sizes", "channels"):
            for width in getattr(self, name):
                if width < 1:
                    raise ValueError(f"{name} must be widths >= 1, got {getattr(self, name)}")
        if self.first_layer not in ("float32", "bfloat16"):
            raise ValueError(f"first_layer must be 'float32' or 'bfloat16', got {self.first_layer!r}")


class PlaneEncoder(nn.Module):
    """First layer over uint8 planes: ``planes / 255`` flattened, then linear.

    The division is applied to the product instead of the planes, which saves a pass over them.
    """

    def __init__(self, num_inputs: int, num_outputs: int, dtype: torch.dtype) -> None:
        """Prepares the weights; ``dtype`` is the arithmetic of the product."""
        super().__init__()
        self.linear = nn.Linear(num_inputs, num_outputs)
        self.dtype = dtype

    def forward(self, obs: Tensor) -> Tensor:
        """Maps uint8 (B, ...) to float32 (B, num_outputs)."""
        planes = obs.flatten(1).to(self.dtype)  # (B, num_inputs)
        product = functional.linear(planes, self.linear.weight.to(self.dtype)).float()
        return torch.add(self.linear.bias, product, alpha=1.0 / 255.0)


class CodeEncoder(nn.Module):
    """First layer over a map of cell codes: one-hot codes flattened, then linear.

    A row of weights per (cell, code) is looked up and summed over the cells: the same numbers as a
    matrix product with the one-hot vector, without building it.
    """

    offsets: Tensor

    def __init__(self, num_cells: int, num_codes: int, num_outputs: int) -> None:
        """Prepares one row of weights for each code in each cell."""
        super().__init__()
        self.table = nn.EmbeddingBag(num_cells * num_codes, num_outputs, mode="sum")
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        self.register_buffer("offsets", torch.arange(num_cells) * num_codes, persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """Maps codes of any integer dtype (B, ...) to float32 (B, num_outputs)."""
        rows = obs.flatten(1).long() + self.offsets  # (B, num_cells)
        return torch.add(self.table(rows), self.bias)


class QNetwork(nn.Module):
    """Encoder, hidden layers with layer normalisation, and one linear head.

    Shapes: obs (B, *obs_shape) in the space's dtype, Q-values (B, num_actions) float32.
    """

    def __init__(self, encoder: nn.Module, num_encoded: int, hidden_sizes: tuple[int, ...], num_actions: int) -> None:
        """Stacks the layers; ``num_encoded`` is the width of the encoder's output."""
        super().__init__()
        layers: list[nn.Module] = [nn.LayerNorm(num_encoded), nn.ReLU()]
        widths = (num_encoded, *hidden_sizes)
        for num_inputs, num_outputs in pairwise(widths):
            layers += [nn.Linear(num_inputs, num_outputs), nn.LayerNorm(num_outputs), nn.ReLU()]
        self.encoder = encoder
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], num_actions)
        _initialise(self)

    def forward(self, obs: Tensor) -> Tensor:
        """Maps raw observations (B, *obs_shape) to Q-values (B, num_actions)."""
        q_values: Tensor = self.head(self.hidden(self.encoder(obs)))
        return q_values


def make_q_network(observation_space: gym.Space[np.ndarray], num_actions: int, config: NetworkConfig) -> QNetwork:
    """Builds the network that fits one observation.

    ======================== ============= ================================================
    space                    dtype         encoder
    ======================== ============= ================================================
    Box (features,)          float32       linear
    Box (rows, cols)         integer codes one-hot codes, linear (:class:`CodeEncoder`)
    Box (planes, rows, cols) uint8         planes / 255, 3x3 convolutions or linear
    ======================== ============= ================================================

    Args:
        observation_space: the space of a single observation (not of a batch).
        num_actions: size of the discrete action space.
        config: widths.

    Returns:
        A network whose weights were drawn from torch's global generator.
    """
    if num_actions < 1:
        raise ValueError(f"num_actions must be at least 1, got {num_actions}")
    if isinstance(observation_space, gym.spaces.Box):
        shape, dtype = observation_space.shape, observation_space.dtype
        num_inputs = int(np.prod(shape))
        width, *rest = config.hidden_sizes
        sizes = tuple(rest)
        if len(shape) == 1 and dtype == np.float32:
            return QNetwork(nn.Linear(num_inputs, width), width, sizes, num_actions)
        if len(shape) == 2 and np.issubdtype(dtype, np.integer):
            num_codes = int(observation_space.high.max()) + 1
            return QNetwork(CodeEncoder(num_inputs, num_codes, width), width, sizes, num_actions)
        if len(shape) == 3 and dtype == np.uint8 and config.channels:
            encoder, num_encoded = _make_convolutions(shape, config.channels)
            return QNetwork(encoder, num_encoded, config.hidden_sizes, num_actions)
        if len(shape) == 3 and dtype == np.uint8:
            product = torch.bfloat16 if config.first_layer == "bfloat16" else torch.float32
            planes = PlaneEncoder(num_inputs, width, product)
            return QNetwork(planes, width, sizes, num_actions)
    raise ValueError(
        f"observation_space {observation_space} has no encoder; allowed are a Box (features,) of "
        "float32, a Box (rows, cols) of integer codes and a Box (planes, rows, cols) of uint8"
    )


class _Scale(nn.Module):
    """Bytes to the unit interval."""

    def forward(self, obs: Tensor) -> Tensor:
        """Maps uint8 to float32 in [0, 1]."""
        return obs.float().mul_(1.0 / 255.0)


def _make_convolutions(shape: tuple[int, ...], channels: tuple[int, ...]) -> tuple[nn.Sequential, int]:
    """Stride 2 in the first convolution: neighbouring cells say much the same, and it is fast."""
    layers: list[nn.Module] = [_Scale()]
    num_inputs = shape[0]
    for index, num_outputs in enumerate(channels):
        stride = 2 if index == 0 else 1
        layers += [nn.Conv2d(num_inputs, num_outputs, 3, stride, padding=1), nn.ReLU()]
        num_inputs = num_outputs
    layers.append(nn.Flatten())
    encoder = nn.Sequential(*layers)
    with torch.no_grad():
        num_encoded = int(encoder(torch.zeros(1, *shape, dtype=torch.uint8)).shape[1])
    return encoder, num_encoded


def _initialise(network: QNetwork) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            gain = _HEAD_GAIN if module is network.head else _HIDDEN_GAIN
            nn.init.orthogonal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, CodeEncoder):
            # Each output sums one row per cell: the variance of a layer with that many inputs.
            num_cells = module.offsets.numel()
            nn.init.normal_(module.table.weight, std=_HIDDEN_GAIN / num_cells**0.5)
