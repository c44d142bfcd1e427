"""An average of a network's weights over its updates, which drives more steadily than the last of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]

_Network = TypeVar("_Network", bound=nn.Module)


class WeightAverage(Generic[_Network]):
    """Exponential average of a network's weights (Polyak & Juditsky 1992; Ruppert 1988).

    A policy that is improved by noisy gradients goes to and fro around what it has learnt, and its likeliest action
    with it; the average stays where the policy is most of the time.
    """

    def __init__(self, network: _Network, decay: float) -> None:
        """Begins with the network's weights.

        Args:
            network: which is learning; it is copied.
            decay: share of the average that is kept in an update, in (0, 1).
        """
        self.network: _Network = copy.deepcopy(network)
        self.decay = decay

    def update(self, network: _Network, num_updates: int) -> None:
        """Takes in the weights after an update.

        Args:
            network: which has learnt.
            num_updates: made so far; while they are few, the average forgets its beginning faster.
        """
        decay = min(self.decay, num_updates / (num_updates + 9))
        averages: list[Tensor] = list(self.network.parameters())
        weights: list[Tensor] = list(network.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1.0 - decay)

    def state(self) -> dict[str, Tensor]:
        """Returns the average; tensors are not copied."""
        return dict(self.network.state_dict())

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what :meth:`state` returned."""
        self.network.load_state_dict(tensors)
