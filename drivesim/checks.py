"""Checks of what callers pass in: each returns a clean value, or names the field, the value and what is allowed."""

from __future__ import annotations

import operator
import os
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from drivesim.core import batch
from drivesim.core.memory import address_of
from drivesim.core.steering import first_out_of_range

MODES = {
    AutoresetMode.NEXT_STEP: batch.NEXT_STEP,
    AutoresetMode.SAME_STEP: batch.SAME_STEP,
    AutoresetMode.DISABLED: batch.DISABLED,
}
RENDER_MODES = ("human", "rgb_array", "ansi")
MAX_NUM_THREADS = 256
MAX_STEPS = 2**31 - 1


def integer(value: Any) -> int | None:
    """`value` as an int if it is an integer scalar of any kind or a 0-d integer array, else None; a bool is none."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (int, np.integer)):
        return int(value)
    if getattr(value, "shape", None) == () and "bool" not in str(getattr(value, "dtype", "")):
        try:
            return operator.index(value)
        except TypeError:
            return None
    return None


def whole(name: str, value: Any, low: int, high: int) -> int:
    """`value` as an int if it is an integer of any kind within [low, high].

    Raises:
        TypeError: for anything else than an integer; a bool is none.
        ValueError: naming the field, the value and what is allowed.
    """
    number = integer(value)
    if number is None:
        raise TypeError(f"{name} must be an integer in [{low}, {high}], got {value!r}")
    if not low <= number <= high:
        raise ValueError(f"{name} must be in [{low}, {high}], got {number}")
    return number


def real(name: str, value: Any, low: float, high: float, allowed: str) -> float:
    """`value` as a float if it is a number of any kind within [low, high]; `allowed` says so in words.

    Raises:
        TypeError: for anything else than a real number; a bool is none.
        ValueError: naming the field, the value and what is allowed.
    """
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{name} must be a number, {allowed}, got {value!r}")
    if not low <= number <= high:
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return float(number)


def chosen(name: str, value: Any, allowed: Any) -> Any:
    """`value` if it is one of `allowed`.

    Raises:
        TypeError: if it is no string.
        ValueError: naming the field, the value and what is allowed.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {list(allowed)}, got {value!r}")
    if value not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}")
    return value


def boolean(name: str, value: Any) -> bool:
    """`value` if it is a bool.

    Raises:
        TypeError: for anything else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {value!r}")
    return value


def checked_render_mode(render_mode: Any) -> str | None:
    """`render_mode` if there is such a mode.

    Raises:
        ValueError: naming the modes.
    """
    if render_mode is not None and not (isinstance(render_mode, str) and render_mode in RENDER_MODES):
        raise ValueError(f"render_mode must be None or one of {list(RENDER_MODES)}, got {render_mode!r}")
    return render_mode


def checked_mode(mode: Any) -> AutoresetMode:
    """An autoreset mode from the enum, its value (`"SameStep"`) or its name (`"SAME_STEP"`).

    Raises:
        ValueError: naming the modes.
    """
    for known in AutoresetMode:
        if mode is known or (isinstance(mode, str) and mode in (known.value, known.name)):
            return known
    raise ValueError(f"autoreset_mode must be one of {[known.value for known in AutoresetMode]}, got {mode!r}")


def checked_seed(seed: Any) -> int | None:
    """`seed` as a Python int of any size, or None.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is negative.
    """
    if seed is None:
        return None
    number = integer(seed)
    if number is None:
        raise TypeError(f"seed must be None or an integer of at least 0, got {seed!r}")
    if number < 0:
        raise ValueError(f"seed must be at least 0, got {number}")
    return number


def checked_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """One seed or None per env, from an int (env i gets seed + i), a list, or None.

    Raises:
        TypeError, ValueError: as `checked_seed`, and for a list of another length.
    """
    if isinstance(seed, (list, tuple)) or (isinstance(seed, np.ndarray) and seed.ndim == 1):
        if len(seed) != num_envs:
            raise ValueError(f"seed must have one entry for each of {num_envs} envs, got {len(seed)}")
        return [checked_seed(entry) for entry in seed]
    first = checked_seed(seed)
    if first is None:
        return [None] * num_envs
    return [first + i for i in range(num_envs)]


def checked_options(options: Any, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options of a reset, {} for None.

    Raises:
        TypeError: if they are no dict.
        ValueError: naming one that is not allowed.
    """
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise TypeError(f"options must be None or a dict with keys of {list(allowed)}, got {options!r}")
    for name in options:
        if name not in allowed:
            raise ValueError(f"options has no {name!r}; there is {list(allowed)}")
    return options


def checked_reset_mask(mask: Any, num_envs: int) -> np.ndarray[Any, Any]:
    """A copy of the bool mask (N,) of envs to reset.

    Raises:
        TypeError, ValueError: for another dtype or shape, or if it chooses no env.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"reset_mask must be a bool array of shape ({num_envs},), got {mask!r}")
    if mask.shape != (num_envs,):
        raise ValueError(f"reset_mask must have shape ({num_envs},), got {mask.shape}")
    if not mask.any():
        raise ValueError(f"reset_mask must choose at least one env, got {mask}")
    return mask.copy()


def checked_level_seeds(seeds: Any, num_envs: int, high: int) -> np.ndarray[Any, Any]:
    """Level seeds int64 (N,), from one or N integers in [0, high].

    Raises:
        TypeError, ValueError: for anything else.
    """
    is_list = isinstance(seeds, (list, tuple)) or (isinstance(seeds, np.ndarray) and seeds.ndim > 0)
    if not is_list:
        return np.full(num_envs, whole("level_seed", seeds, 0, high), np.int64)
    if len(seeds) != num_envs:
        raise ValueError(f"level_seed must be one or {num_envs} integers, got {len(seeds)}")
    return np.array([whole("level_seed", seed, 0, high) for seed in seeds], np.int64)


def checked_actions(
    actions: Any, num_actions: int, out: np.ndarray[Any, Any], envs: np.ndarray[Any, Any] | None = None
) -> None:
    """Copy `actions` into `out`, int64 (N,), so that loops are compiled for one kind of array only.

    Args:
        actions: integers (N,) in [0, num_actions).
        num_actions: how many there are.
        out: overwritten, with bad actions too.
        envs: (N,), whose actions they are, for the message; None = those of envs 0 … N - 1.

    Raises:
        TypeError: if they are no integers; bools are none, though NumPy takes them for some in a list of integers.
        ValueError: if they have another shape, or one is out of range.
    """
    allowed = f"integers in [0, {num_actions - 1}] of shape ({len(out)},)"
    if isinstance(actions, (list, tuple)):
        numbers = [integer(action) for action in actions]
        if None in numbers:
            raise TypeError(f"actions must be {allowed}, got {actions!r}")
        actions = numbers
    array = np.asarray(actions)
    if array.dtype.kind not in "iu":
        raise TypeError(f"actions must be {allowed}, got dtype {array.dtype}: {actions!r}")
    if array.shape != out.shape:
        raise ValueError(f"actions must be {allowed}, got shape {array.shape}")
    np.copyto(out, array, casting="same_kind")  # uint64 beyond int64 comes out negative
    bad = first_out_of_range(address_of(out), len(out), num_actions)
    if bad >= 0:
        i = bad if envs is None else envs[bad]
        raise ValueError(f"actions must be integers in [0, {num_actions - 1}], got {array[bad]} in env {i}")


def checked_reset_options(
    options: dict[str, Any] | None, num_envs: int, highest: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], bool]:
    """The options of a vector environment's reset: which envs (N,) begin, on which levels (N,), whether it tells them.

    A level of -1 stands for any.

    Raises:
        TypeError, ValueError: for anything else than `reset_mask`, `level_seed` and `level_seeds`.
    """
    options = checked_options(options, ("reset_mask", "level_seed", "level_seeds"))
    mask = np.ones(num_envs, np.bool_)
    if "reset_mask" in options:
        mask = checked_reset_mask(options["reset_mask"], num_envs)
    level_seeds = np.full(num_envs, -1, np.int64)
    if "level_seed" in options:
        level_seeds = checked_level_seeds(options["level_seed"], num_envs, highest)
    return mask, level_seeds, boolean("level_seeds", options.get("level_seeds", False))


def checked_time_limit(value: Any, registered: int) -> int:
    """A vector environment's time limit in steps, 0 = none; None stands for the registered one, -1 for none.

    Raises:
        TypeError, ValueError: for anything but None and an integer of at least 1, or -1.
    """
    if value is None:
        return registered
    steps = whole("max_episode_steps", value, -1, MAX_STEPS)
    if steps == 0:
        raise ValueError("max_episode_steps must be at least 1, or -1 for no limit, got 0")
    return max(steps, 0)


def checked_num_threads(value: Any) -> int:
    """A number of threads; None stands for one per processor, 16 at most.

    Raises:
        TypeError, ValueError: for anything but None and an integer in range.
    """
    if value is None:
        return max(1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 16))
    return whole("num_threads", value, 1, MAX_NUM_THREADS)
