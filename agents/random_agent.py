"""A driver that draws its actions: the floor that every other one is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policy import Policy

__all__ = ["make_random"]


def make_random(num_actions: int, seed: int) -> Policy:
    """Returns a policy that draws every action uniformly and independently.

    Args:
        num_actions: size of the discrete action space.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)

    def policy(obs: NDArray[Any]) -> NDArray[np.int64]:
        return rng.integers(num_actions, size=len(obs))

    return policy
