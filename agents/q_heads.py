"""Heads of a Q-network: with one stream or two, exact or noisy, means or distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["HeadConfig", "NoisyLinear", "QHead", "ReturnsKind", "draw_noise"]

ReturnsKind: TypeAlias = Literal["mean", "quantile", "categorical"]


@dataclass(frozen=True)
class HeadConfig:
    """Kind of a head."""

    dueling: bool = False
    """Add up a state's value and the actions' advantages (Wang et al. 2016)."""
    noisy_std: float | None = None
    """Initial deviation of noisy weights times the root of a layer's inputs; None has exact weights."""
    returns: ReturnsKind = "mean"
    """The return of an action as it is learnt: its mean, quantiles, or the probabilities of atoms."""
    num_outputs: int = 1
    """Quantiles or atoms per action; 1 for a mean."""
    v_min: float = 0.0
    """Lowest atom."""
    v_max: float = 0.0
    """Highest atom."""


class NoisyLinear(nn.Linear):
    """Linear layer whose weights and biases have means and deviations, both learnt.

    Fortunato et al., *Noisy Networks for Exploration* (2018), equations 10 and 11, factorised: the noise of the weight
    from input j to output i is f(e_j) f(e_i), that of the bias f(e_i), with f(x) = sign(x) sqrt|x|. The means start
    as the weights of an exact layer do (paper: uniform), so that the first Q-values are near zero.
    """

    def __init__(self, num_inputs: int, num_outputs: int, initial_std: float) -> None:
        """Prepares the weights; every deviation starts at ``initial_std / sqrt(num_inputs)`` (paper: 0.5)."""
        super().__init__(num_inputs, num_outputs)
        std = initial_std / num_inputs**0.5
        self.weight_std = nn.Parameter(torch.full((num_outputs, num_inputs), std))
        self.bias_std = nn.Parameter(torch.full((num_outputs,), std))

    def forward(self, features: Tensor, noise: Tensor | None = None) -> Tensor:
        """Maps (B, num_inputs) to (B, num_outputs).

        Args:
            features: (B, num_inputs).
            noise: (num_inputs + num_outputs,), f(e) of all units; None takes the mean weights.
        """
        if noise is None:
            return super().forward(features)
        of_inputs, of_outputs = noise[: self.in_features], noise[self.in_features :]
        weight = torch.addcmul(self.weight, self.weight_std, torch.outer(of_outputs, of_inputs))
        return functional.linear(features, weight, torch.addcmul(self.bias, self.bias_std, of_outputs))


def draw_noise(num_units: int, rng: np.random.Generator) -> Tensor:
    """Draws f(e), e standard normal, for ``num_units`` units of noisy layers."""
    normal = torch.from_numpy(rng.standard_normal(num_units, np.float32))
    return normal.sign() * normal.abs().sqrt()


class _Stream(nn.Module):
    """A hidden layer, if wanted, and an output layer."""

    def __init__(
        self,
        num_features: int,
        hidden_size: int | None,
        num_outputs: int,
        after_hidden: Callable[[int], list[nn.Module]],
        noisy_std: float | None,
    ) -> None:
        super().__init__()

        def make_linear(num_inputs: int, num_outputs: int) -> nn.Linear:
            if noisy_std is None:
                return nn.Linear(num_inputs, num_outputs)
            return NoisyLinear(num_inputs, num_outputs, noisy_std)

        self.hidden = None if hidden_size is None else make_linear(num_features, hidden_size)
        self.between = nn.Sequential(*(after_hidden(hidden_size) if hidden_size is not None else ()))
        self.output = make_linear(hidden_size or num_features, num_outputs)

    def forward(self, features: Tensor, noise: Iterator[Tensor | None]) -> Tensor:
        """Maps (B, num_features) to (B, num_outputs); every noisy layer takes the next piece of noise."""
        if self.hidden is not None:
            features = self.between(_apply(self.hidden, features, noise))
        return _apply(self.output, features, noise)


class QHead(nn.Module):
    """One stream, or two that add up, from features to the return of every action.

    Shapes: features (B, num_features), outputs (B, num_actions, num_outputs), Q-values (B, num_actions). The outputs
    are values if means or quantiles are learnt and logits if probabilities are.
    """

    support: Tensor

    def __init__(
        self,
        num_features: int,
        hidden_size: int | None,
        num_actions: int,
        config: HeadConfig,
        after_hidden: Callable[[int], list[nn.Module]],
    ) -> None:
        """Prepares the weights.

        Args:
            num_features: width of the input.
            hidden_size: width of each stream's hidden layer; None has none.
            num_actions: size of the discrete action space.
            config: kind of head.
            after_hidden: makes what follows a hidden layer of a given width.
        """
        super().__init__()
        self.config = config
        self.shape = (num_actions, config.num_outputs)

        def make_stream(num_outputs: int) -> _Stream:
            return _Stream(num_features, hidden_size, num_outputs, after_hidden, config.noisy_std)

        self.advantage = make_stream(num_actions * config.num_outputs)
        self.value = make_stream(config.num_outputs) if config.dueling else None
        noisy_layers = [module for module in self.modules() if isinstance(module, NoisyLinear)]
        self.noise_sizes = [layer.in_features + layer.out_features for layer in noisy_layers]
        support = torch.linspace(config.v_min, config.v_max, config.num_outputs)
        self.register_buffer("support", support, persistent=False)

    @property
    def output_layers(self) -> list[nn.Module]:
        """The last layer of every stream."""
        return [self.advantage.output] if self.value is None else [self.advantage.output, self.value.output]

    def forward(self, features: Tensor, noise: Tensor | None = None) -> Tensor:
        """Returns the outputs; ``noise`` (sum of ``noise_sizes``,) perturbs noisy layers, None leaves their means."""
        pieces = repeat(None) if noise is None else iter(torch.split(noise, self.noise_sizes))
        advantages: Tensor = self.advantage(features, pieces).view(-1, *self.shape)
        if self.value is None:
            return advantages
        values: Tensor = self.value(features, pieces)[:, None]  # (B, 1, num_outputs)
        return values + advantages - advantages.mean(dim=1, keepdim=True)

    def expectation(self, outputs: Tensor) -> Tensor:
        """Returns the Q-values that outputs stand for."""
        if self.config.returns == "categorical":
            return torch.softmax(outputs, dim=-1) @ self.support
        return outputs.squeeze(-1) if outputs.shape[-1] == 1 else outputs.mean(dim=-1)


def _apply(layer: nn.Linear, features: Tensor, noise: Iterator[Tensor | None]) -> Tensor:
    outputs: Tensor = layer(features, next(noise)) if isinstance(layer, NoisyLinear) else layer(features)
    return outputs
