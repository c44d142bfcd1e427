"""The `info` of an ego, and the `infos` of a batch in Gymnasium's format: arrays with a mask `_key` beside each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

import numpy as np

from drivesim.core.episode import DETAIL, EPISODE
from drivesim.core.prices import NUM_TERMS, TERMS
from drivesim.engine import Array, Engine

Infos = dict[str, Any]

INFO_KEYS = tuple(EPISODE.names or ())
_EPISODE_CODES = "".join(EPISODE[key].char for key in INFO_KEYS)
_NUMBERS = Struct(f"=dq5?{NUM_TERMS}d{_EPISODE_CODES.replace('l', 'q')}")  # of a DETAIL record
_TERMS = slice(7, 7 + NUM_TERMS)
assert _NUMBERS.size == DETAIL.itemsize


def _maker_of_info() -> Callable[..., Infos]:
    """`made(*numbers)`: the `info` of a DETAIL record, as a function that was written out for the names there are.

    A literal dictionary is made faster than `dict(zip(names, numbers))`, which a whole step shows.
    """
    arguments = [f"n{i}" for i in range(_TERMS.stop + len(INFO_KEYS))]
    terms = ", ".join(map("{!r}: {}".format, TERMS, arguments[_TERMS]))
    episode = dict(zip(INFO_KEYS, arguments[_TERMS.stop :], strict=True))
    episode["is_success"] = episode["success"]  # the name that Stable-Baselines3 and rl_zoo3 read at an episode's end
    told = ", ".join(map("{!r}: {}".format, episode, episode.values()))
    made: Callable[..., Infos] = eval(f"lambda {', '.join(arguments)}: {{{told}, 'reward_terms': {{{terms}}}}}")
    return made


_made = _maker_of_info()


def info_of(engine: Engine, row: int, has_cost: bool) -> Infos:
    """The `info` of an ego, but for its action mask; read by `struct`, in half the time that NumPy's `item` takes."""
    numbers = _NUMBERS.unpack_from(engine.detail_bytes, row * _NUMBERS.size)
    info = _made(*numbers)
    if has_cost:
        info["cost"] = numbers[0]
    return info


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


def infos_of(engine: Engine, ended: Array, final_obs: Array | None, has_cost: bool) -> Infos:
    """The `infos` of a step of envs with one ego.

    Args:
        engine: theirs.
        ended: (N,) whose episodes have ended in this step.
        final_obs: what those saw last, where others have begun since; else None.
        has_cost: whether every step tells the cost.
    """
    infos: Infos = {}
    if has_cost:
        infos["cost"] = engine.costs.copy()
        infos["_cost"] = np.ones(len(ended), np.bool_)
    if not ended.any():
        return infos
    summary = summary_of(engine.episodes, ended)
    if final_obs is None:
        return infos | summary
    if has_cost:
        summary["cost"] = np.where(ended, infos["cost"], 0.0)
        summary["_cost"] = ended
    return infos | {"final_obs": final_obs, "_final_obs": ended, "final_info": summary, "_final_info": ended}


def levels_of(worlds: Array, begun: Array) -> Infos:
    """The level seeds of the episodes that have `begun` (N,) in worlds (N,), and 0 of the others."""
    return {"level_seed": np.where(begun, worlds["level_seed"], 0), "_level_seed": begun}


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
