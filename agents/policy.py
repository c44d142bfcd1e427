"""What drives: the greedy policy of a network, over many lanes at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["NetworkPolicy", "Policy", "ScoringNetwork", "as_tensor"]

Policy: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""Maps a batch of observations (B, *obs_shape) to actions (B,)."""


class ScoringNetwork(Protocol):
    """A network that says how good every action is."""

    def scores(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Scores the actions, the best one highest.

        Args:
            obs: (B, *obs_shape).
            state: the memory, (B, memory_size); None is an empty one.

        Returns:
            Scores (B, num_actions) and the next memory.
        """


class NetworkPolicy:
    """Takes the action of the highest score; a :data:`Policy` with a memory and masks, where the network has them.

    Call :meth:`begin` before the first observations of a new set of lanes.
    """

    def __init__(self, network: ScoringNetwork, *, uses_action_masks: bool = False) -> None:
        """Reads the network, never writes it.

        Args:
            network: to be asked.
            uses_action_masks: whether it was trained with masks and must be called with them.
        """
        self.network = network
        self.uses_action_masks = uses_action_masks
        self._state: Tensor | None = None

    def begin(self) -> None:
        """Empties the memory."""
        self._state = None

    def __call__(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses the actions (B,) for raw observations (B, *obs_shape)."""
        with torch.inference_mode():
            scores, self._state = self.network.scores(as_tensor(obs), self._state)
            if action_masks is not None:
                scores = scores.masked_fill(~torch.from_numpy(action_masks), -torch.inf)
            actions: NDArray[np.int64] = scores.argmax(dim=1).numpy()
        return actions


def as_tensor(obs: NDArray[Any]) -> Tensor:
    """Shares an array with torch; only a read-only one is copied, since torch would warn about it."""
    return torch.from_numpy(obs if obs.flags.writeable else obs.copy())
