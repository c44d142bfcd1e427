"""Stochastic policies: from scores to probabilities, and from those to actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["draw_actions", "log_policy"]


def log_policy(logits: Tensor, masks: Tensor | None) -> Tensor:
    """Returns the log-probabilities of the softmax policy.

    Args:
        logits: float (..., num_actions).
        masks: bool (..., num_actions), False for actions that are never drawn; None has all. Those get the least
            finite number before the softmax, so that their term of the entropy, 0 * log 0, is 0.

    Returns:
        float (..., num_actions).
    """
    if masks is not None:
        logits = logits.masked_fill(~masks, torch.finfo(logits.dtype).min)
    return torch.log_softmax(logits, dim=-1)


def draw_actions(probabilities: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draws one action per env by inverting the distribution function; one uniform number per env.

    Args:
        probabilities: (N, num_actions), each row of some positive sum; an action of probability 0 is never drawn.
        rng: drawn from.

    Returns:
        int64 actions (N,).
    """
    cumulative = probabilities.cumsum(axis=1, dtype=np.float64)  # (N, num_actions)
    thresholds = rng.random((len(probabilities), 1)) * cumulative[:, -1:]
    actions: NDArray[np.int64] = (cumulative <= thresholds).sum(axis=1, dtype=np.int64)
    return actions
