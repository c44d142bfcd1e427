"""A rule-based driver as JSON for `drivesim.browser`: what numpy computes for it, operation by operation.

    {"observation": "grid", "ops": [["view", 0, 26, [-13], [3]], ["greater", 1, [0]], …], "result": 117}

The rules are written once, in `agents.scripted`, for batches: they never ask what a number is, they choose by
`np.where`. So one call with an observation that notes what is done to it tells all that they do to any. An operation is
its name and its arguments; one of these is the number of an earlier result, 0 being the observation, or a list of
numbers. A result is a flat list; `view` says which numbers of another one it holds, by the first of them, strides and
shape. All are whole numbers, truth being 1 or 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from agents.scripted import make_scripted

__all__ = ["RulesError", "rules_for_page"]

Array = np.ndarray[Any, Any]

_ELEMENTWISE = (
    *(np.add, np.subtract, np.multiply, np.floor_divide, np.minimum, np.maximum, np.invert),
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.bitwise_and, np.bitwise_or),
)
_MAY_OVERFLOW = (np.add, np.subtract, np.multiply)


class RulesError(ValueError):
    """Rules do something that a page cannot."""


def rules_for_page(env_id: str, **options: Any) -> dict[str, Any]:
    """The rule-based driver of an environment.

    Args:
        env_id: for example "drivesim/City-v1".
        **options: keyword arguments of `gym.make`, as far as its observation depends on them.

    Raises:
        RulesError: if its rules ask what they see in a way that cannot be noted.
    """
    driver = make_scripted(env_id)
    with gym.make(env_id, observation=driver.observation, **options) as env:
        space: Any = env.observation_space
    ops: list[list[Any]] = []
    seen = Noted(ops, np.zeros((1, *space.shape), space.dtype), 0)
    result = driver(seen)  # type: ignore[arg-type]
    if not isinstance(result, Noted) or result.shape != (1,):
        raise RulesError(f"the rules of {env_id} must give one action for what they see, got {result!r}")
    return {"observation": driver.observation, "ops": ops, "result": result.number}


class Noted(NDArrayOperatorsMixin):
    """An array that notes what is done to it and to what came of it; its numbers are those of a blank observation."""

    def __init__(self, ops: list[list[Any]], array: Array, number: int) -> None:
        self._ops = ops
        self._array = array
        self.number = number

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    def __len__(self) -> int:
        return len(self._array)

    def __bool__(self) -> bool:
        raise RulesError("the rules ask whether something is true, which depends on what they see")

    def _note(self, array: Any, name: str, *arguments: Any) -> Noted:
        """The result of an operation."""
        self._ops.append([name, *arguments])
        return Noted(self._ops, np.asarray(array), len(self._ops))

    def _told(self, value: Any, shape: tuple[int, ...]) -> Any:
        """An argument, in a shape, or as one number for all."""
        if isinstance(value, Noted):
            fits = value.shape == shape or value._array.size == 1
            return value.number if fits else np.broadcast_to(value, shape).number  # type: ignore[call-overload]
        array = np.asarray(value)
        return (array if array.size == 1 else np.broadcast_to(array, shape)).astype(np.int64).ravel().tolist()

    def __array_ufunc__(self, function: Any, method: str, *given: Any, out: Any = (None,), **options: Any) -> Any:
        """Elementwise, into a new array, which may take the place of this one."""
        if function not in _ELEMENTWISE or method != "__call__" or options:
            raise RulesError(f"the rules compute {function.__name__}.{method}, which a page lacks")
        array = function(*(value._array if isinstance(value, Noted) else value for value in given))
        if (function in _MAY_OVERFLOW and array.dtype.itemsize < 8) or (function is np.invert and array.dtype != bool):
            raise RulesError(f"the rules compute {function.__name__} with {array.dtype}, which a page lacks")
        found = self._note(array, function.__name__, *(self._told(value, array.shape) for value in given))
        if out[0] is None:
            return found
        out[0]._array, out[0].number = found._array, found.number
        return out[0]

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        """One of `_FUNCTIONS`."""
        if function not in _FUNCTIONS:
            raise RulesError(f"the rules compute {function.__name__}, which a page lacks")
        return _FUNCTIONS[function](*given, **options)

    def __getitem__(self, key: Any) -> Noted:
        """A part: by slices, or by numbers for every axis."""
        keys = key if isinstance(key, tuple) else (key,)
        strides = [int(np.prod(self.shape[axis + 1 :])) for axis in range(len(self.shape))]
        if any(isinstance(one, Noted) for one in keys):
            if len(keys) != len(strides):
                raise RulesError("the rules leave axes out where they choose by what they see")
            where: Any = sum(one * stride for one, stride in zip(keys, strides, strict=True))
            places = [one._array if isinstance(one, Noted) else one for one in keys]
            return self._note(self._array[tuple(places)], "take", self.number, where.number)
        numbers = np.arange(self._array.size).reshape(self.shape)
        part = np.asarray(numbers[key])
        if np.may_share_memory(part, numbers):
            return self._view(part, self._array[key])
        return self._note(self._array[key], "take", self.number, part.ravel().tolist())

    def _view(self, part: Array, array: Array) -> Noted:
        """An array whose elements are those of this one with the numbers `part`, a view of all numbers."""
        first = int(part.flat[0]) if part.size else 0
        steps = [stride // part.itemsize for stride in part.strides]
        return self._note(array, "view", self.number, first, steps, list(part.shape))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Another number for a part that is named without a look at it."""
        mask = np.zeros(self.shape, np.bool_)
        mask[key] = True
        found = _where(mask, value, self)
        self._array, self.number = found._array, found.number

    def astype(self, dtype: Any) -> Noted:
        """Itself, in a wider type."""
        if not np.can_cast(self._array.dtype, dtype) or np.dtype(dtype).kind not in "ui":
            raise RulesError(f"the rules make {np.dtype(dtype)} of {self._array.dtype}, which a page lacks")
        return Noted(self._ops, self._array.astype(dtype), self.number)

    def _along(self, name: str, axis: int) -> Noted:
        """One number for all along an axis."""
        numbers = np.moveaxis(np.arange(self._array.size).reshape(self.shape), axis, -1)
        moved = self._view(numbers, np.moveaxis(self._array, axis, -1))
        return self._note(getattr(self._array, name)(axis=axis), name, moved.number, self.shape[axis])

    def any(self, axis: int) -> Noted:
        """Whether some number is not 0."""
        return self._along("any", axis)

    def all(self, axis: int) -> Noted:
        """Whether no number is 0."""
        return self._along("all", axis)

    def argmax(self, axis: int) -> Noted:
        """The place of the first of the greatest numbers."""
        return self._along("argmax", axis)


def _where(condition: Any, one: Any, other: Any) -> Noted:
    given = condition, one, other
    noted = next(value for value in given if isinstance(value, Noted))
    array = np.where(*(value._array if isinstance(value, Noted) else value for value in given))
    return noted._note(array, "where", *(noted._told(value, array.shape) for value in given))


def _select(conditions: Any, choices: Any, default: Any) -> Any:
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        default = np.where(condition, choice, default)
    return default


def _broadcast_to(noted: Noted, shape: tuple[int, ...]) -> Noted:
    numbers = np.arange(noted._array.size).reshape(noted.shape)
    return noted._view(np.broadcast_to(numbers, shape), np.broadcast_to(noted._array, shape))


def _take_along_axis(noted: Noted, places: Any, axis: int) -> Noted:
    shape = [1 if n == axis else size for n, size in enumerate(noted.shape)]
    keys: list[Any] = list(np.indices(shape, sparse=True))
    keys[axis] = places
    return noted[tuple(keys)]


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.select: _select,
    np.broadcast_to: _broadcast_to,
    np.take_along_axis: _take_along_axis,
    np.clip: lambda noted, low, high: np.minimum(np.maximum(noted, low), high),
    np.zeros_like: lambda noted: np.zeros_like(noted._array),
}
