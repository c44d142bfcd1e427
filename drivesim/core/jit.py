"""The decorators of kernels, and the one place that decides what runs when Python calls one.

In this order: object code that was made beforehand of the very same sources (`drivesim.core.prebuilt`), then what numba
compiled in an earlier program (`drivesim.core.kernel_cache`), then numba. Before the first kernel is compiled, not
loaded, a line on the standard error says so. Numba is imported when a kernel is asked for of which there is no object
code, not earlier: most programs never do.

Every kernel also runs as plain Python under ``NUMBA_DISABLE_JIT=1``, for debugging, coverage and as the reference.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar

from drivesim.core import prebuilt

__all__ = ["INTERPRETED", "Entry", "Kernel", "entry", "inlined_kernel", "intrinsic", "kernel", "ready", "seldom_kernel"]

F = TypeVar("F", bound=Callable[..., Any])


def _is_interpreted() -> bool:
    """Whether kernels are to run as plain Python; as numba reads it, if that is there."""
    numba = sys.modules.get("numba")
    if numba is not None:
        return bool(numba.config.DISABLE_JIT)
    try:
        return bool(int(os.environ.get("NUMBA_DISABLE_JIT") or 0))
    except ValueError:  # which numba will complain about
        return False


INTERPRETED = _is_interpreted()
"""Whether kernels are plain Python functions in this process."""


class Kernel:
    """A function that is compiled when it is first called.

    What numba makes of it, `dispatcher`, is a kernel's in all respects: its attributes are found here too, and other
    kernels may call it.
    """

    def __init__(self, function: Callable[..., Any], how: str) -> None:
        """For a function.

        Args:
            function: as written.
            how: what others that call it do with its code, a key of `drivesim.core.compiling.PIPELINES`.
        """
        update_wrapper(self, function)
        self.py_func = function
        self._how = how

    @cached_property
    def dispatcher(self) -> Any:
        """Numba's form of it."""
        from drivesim.core.compiling import dispatcher_of

        return dispatcher_of(self.py_func, self._how)

    @cached_property
    def ready(self) -> Callable[..., Any]:
        """What takes the least time to call."""
        return self.dispatcher  # type: ignore[no-any-return]

    @property
    def _numba_type_(self) -> Any:
        """What numba asks of a global name in a function."""
        return self.dispatcher._numba_type_

    def __call__(self, *args: Any) -> Any:
        """Run it, compiled."""
        return self.ready(*args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dispatcher":
            raise AttributeError(f"a kernel has no attribute {name!r}")
        return getattr(self.dispatcher, name)

    def __reduce__(self) -> str:
        """For pickling and copying: it is the one of its name."""
        return self.py_func.__qualname__

    def __repr__(self) -> str:
        return f"<kernel {self.py_func.__module__}.{self.py_func.__qualname__}>"


class Entry(Kernel):
    """A kernel that Python calls with an address and further whole numbers below 2**31."""

    @cached_property
    def ready(self) -> Callable[..., Any]:
        """Object code, if there is any."""
        return prebuilt.function(self) or self.dispatcher


class Intrinsic:
    """What the compiler puts in place of a call; in `drivesim.core.intrinsics`, which is imported when it is needed."""

    def __init__(self, maker: str, arguments: tuple[Any, ...]) -> None:
        """For a function there and its arguments."""
        self._maker = maker
        self._arguments = arguments

    @cached_property
    def _numba_type_(self) -> Any:
        """What numba asks of a global name in a function."""
        from drivesim.core import intrinsics

        return intrinsics.type_of(getattr(intrinsics, self._maker)(*self._arguments))


def kernel(function: F) -> F:
    """Compile `function` when it is first called: no GIL, IEEE arithmetic, cached on disk.

    Called from Python it is compiled with all that it calls; what other kernels call is the same code, linked into
    them.
    """
    return function if INTERPRETED else Kernel(function, "linked")  # type: ignore[return-value]


def entry(function: F) -> F:
    """A kernel that the package calls from Python, with an address and whole numbers: there is object code for it."""
    return function if INTERPRETED else Entry(function, "linked")  # type: ignore[return-value]


def inlined_kernel(function: F) -> F:
    """A kernel that becomes part of each that calls it: for what every vehicle does in every tick."""
    return function if INTERPRETED else Kernel(function, "inlined")  # type: ignore[return-value]


def seldom_kernel(function: F) -> F:
    """A kernel that never becomes part of those that call it: long, and seldom come to."""
    return function if INTERPRETED else Kernel(function, "seldom")  # type: ignore[return-value]


def ready(function: F) -> F:
    """What takes the least time to call in a kernel's place, for who calls it often."""
    return getattr(function, "ready", function)


def origin() -> str:
    """Where what runs comes from, in words."""
    if INTERPRETED:
        return "plain Python, for NUMBA_DISABLE_JIT is set"
    served = prebuilt.library()
    return f"prebuilt, {served[0]}" if served else "compiled by numba when they are first needed, and kept"


def intrinsic(maker: str, twin: F, *arguments: Any) -> F:
    """What the compiler has of its own for `twin`, a plain function that computes the same in the interpreter.

    Args:
        maker: function in `drivesim.core.intrinsics` that makes it.
        twin: used in the plain interpreter.
        *arguments: of `maker`.
    """
    return twin if INTERPRETED else Intrinsic(maker, arguments)  # type: ignore[return-value]
