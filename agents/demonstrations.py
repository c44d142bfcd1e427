"""Demonstrations: observations, and what the actions cost there in an expert's judgement."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from agents.checkpoint import fitting

__all__ = ["Demonstrated", "Demonstrations", "imitation_loss"]


class Demonstrated(NamedTuple):
    """B steps."""

    obs: Tensor
    """(B, *obs_shape)."""
    costs: Tensor
    """(B, num_actions), 0 of the expert's actions."""
    returns: Tensor
    """(B,): what the drive earned from there on."""


def imitation_loss(log_probs: Tensor, costs: Tensor, temperature: float) -> Tensor:
    """Returns the mean cross entropy of a policy and of what the costs make of it, softmax(- cost / temperature).

    Of equally good actions each will do, one that costs little is little worse, and one that crashes is none.

    Args:
        log_probs: float (B, num_actions).
        costs: float (B, num_actions), at least 0.
        temperature: cost by which an action is e times as unlikely.
    """
    targets = torch.softmax(-costs / temperature, dim=1)
    return -(targets * log_probs).sum(dim=1).mean()


class Demonstrations:
    """The newest steps up to a number, of which any are drawn; allocated once."""

    def __init__(self, observation_space: gym.Space[np.ndarray], num_actions: int, capacity: int) -> None:
        """Allocates everything.

        Args:
            observation_space: of a single env.
            num_actions: size of the discrete action space.
            capacity: steps that are kept.
        """
        shape, dtype = observation_space.shape, observation_space.dtype
        if shape is None or dtype is None:
            raise ValueError(f"observation_space must be an array space, got {observation_space}")
        self.capacity = capacity
        self.num_taken = 0
        """All that ever came; step n lies in row n modulo the capacity."""
        self._rows = Demonstrated(
            torch.from_numpy(np.zeros((capacity, *shape), dtype)),
            torch.zeros((capacity, num_actions)),
            torch.zeros(capacity),
        )

    def __len__(self) -> int:
        """How many there are."""
        return min(self.num_taken, self.capacity)

    def add(self, steps: Demonstrated) -> None:
        """Takes steps, at most as many as there is room for; the oldest make way."""
        rows = torch.arange(self.num_taken, self.num_taken + len(steps.returns)) % self.capacity
        for own, new in zip(self._rows, steps, strict=True):
            own[rows] = new
        self.num_taken += len(rows)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Demonstrated:
        """Draws steps with replacement."""
        rows = torch.from_numpy(rng.integers(len(self), size=batch_size))
        return Demonstrated(*(own[rows] for own in self._rows))

    def state(self) -> tuple[dict[str, Tensor], int]:
        """Returns the rows and the counter of a checkpoint."""
        return {name: rows[: len(self)] for name, rows in self._rows._asdict().items()}, self.num_taken

    def load_state(self, tensors: dict[str, Tensor], num_taken: Any) -> None:
        """Takes over what :meth:`state` returned.

        Raises:
            ValueError: it does not fit.
        """
        if not 0 <= int(num_taken) < 2**62:
            raise ValueError(f"num_taken must be at least 0, got {num_taken}")
        self.num_taken = int(num_taken)
        own, _ = self.state()
        for name, rows in own.items():
            rows[...] = fitting(name, tensors[name], rows)  # views of these
