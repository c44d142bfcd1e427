"""Drawing actions from probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_actions"]


def draw_actions(probabilities: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draws one action per lane by inverting the distribution function; one uniform number per lane.

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
