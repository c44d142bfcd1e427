"""The one decorator that compiles a kernel.

What it compiles is kept on disk, see `drivesim.core.kernel_cache`, in a folder named after a digest of all kernel
sources: whether a compiled function is fresh depends on every function that it calls, in whatever file. Before the
first kernel is compiled, not loaded, a line on the standard error says so.

Every kernel also runs as plain Python under ``NUMBA_DISABLE_JIT=1``, for debugging, coverage and as the reference.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import types

from drivesim.core.kernel_cache import KernelCache, source_digest

__all__ = ["kernel", "source_digest"]

F = TypeVar("F", bound=Callable[..., Any])


def _widened(argument: Any) -> Any:
    """The type under which an argument is compiled: integers of any width as int64, literals as their type."""
    argument = types.unliteral(argument)
    if isinstance(argument, types.Integer) and argument.bitwidth < 64:
        return types.int64
    return argument


def _compile_once(dispatcher: Any) -> None:
    """Let calls from other kernels share one compilation, whatever the width of the integers they pass.

    Numba would compile a kernel anew for int16, int32 and every literal integer; this hook on the call's typing
    nearly halves the number of functions compiled and changes no result, since the arithmetic is in 64 bits anyway.
    """
    resolve = dispatcher.get_call_template
    dispatcher.get_call_template = lambda args, kws: resolve(tuple(_widened(argument) for argument in args), kws)


def kernel(function: F) -> F:
    """Compile `function` on its first call: no GIL, IEEE arithmetic, cached on disk."""
    if numba.config.DISABLE_JIT:
        return function
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    dispatcher._cache = KernelCache(function)
    _compile_once(dispatcher)
    compiled: F = dispatcher
    return compiled
