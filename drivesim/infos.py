"""The `infos` of a batch in Gymnasium's format: arrays with a mask `_key` beside each, and in them what has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drivesim.env import INFO_KEYS

Array = np.ndarray[Any, Any]
Infos = dict[str, Any]


def summary_of(episodes: Array, ended: Array) -> Infos:
    """What is told of the episodes (N,) that have `ended` (N,), and 0 of the others; `ended` is the mask of all."""
    rows = np.flatnonzero(ended)
    told = episodes[rows]
    summary: Infos = {}
    for key in INFO_KEYS:
        column = np.zeros(len(episodes), episodes.dtype[key])
        column[rows] = told[key]
        summary[key] = column
        summary[f"_{key}"] = ended
    return summary


def merged(infos: Sequence[Infos], sizes: Sequence[int]) -> Infos:
    """The infos of batches of these sizes as those of one batch, which has them one after the other.

    What only some of them tell is 0, and false in the mask, in the envs of the others.
    """
    told: Infos = {}
    for key in dict.fromkeys(key for info in infos for key in info):
        first = next(info[key] for info in infos if key in info)
        if isinstance(first, dict):
            told[key] = merged([info.get(key, {}) for info in infos], sizes)
        else:
            told[key] = np.zeros((sum(sizes), *first.shape[1:]), first.dtype)
            end = 0
            for info, size in zip(infos, sizes, strict=True):
                end += size
                if key in info:
                    told[key][end - size : end] = info[key]
    return told
