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

KNOWN = (0, 68)  # the numba whose inside `drivesim.core.compiler` was written for


def pipelines(version: tuple[int, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What numba is to compile loops with, and what they call; nothing with versions that `core.compiler` may not fit.

    Numba's own pipeline computes the same and takes longer.
    """
    if version != KNOWN:
        return {}, {}
    from drivesim.core.compiler import LinkedCompiler, LoopCompiler

    return {"pipeline_class": LoopCompiler}, {"pipeline_class": LinkedCompiler}


_OF_LOOPS, _OF_CALLED = pipelines(numba.version_info.short)


def _widened(argument: Any) -> Any:
    """The type under which an argument is compiled: integers of any width as int64, literals as their type."""
    argument = types.unliteral(argument)
    if isinstance(argument, types.Integer) and argument.bitwidth < 64:
        return types.int64
    return argument


def _link_into_others(dispatcher: Any, linked: Any) -> None:
    """Let calls from other kernels go to `linked`, and share one compilation, whatever the width of their integers.

    Numba would compile a kernel anew for int16, int32 and every literal integer; this hook on the call's typing spares
    that and changes no result, since the arithmetic is in 64 bits anyway.
    """
    dispatcher.get_call_template = lambda args, kws: linked.get_call_template(tuple(map(_widened, args)), kws)
    dispatcher.get_overload = linked.get_overload


def kernel(function: F) -> F:
    """Compile `function` when it is first called: no GIL, IEEE arithmetic, cached on disk.

    Called from Python it is compiled with all that it calls; what other kernels call is the same code, linked into
    them.
    """
    if numba.config.DISABLE_JIT:
        return function
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    dispatcher: Any = numba.njit(**options, **_OF_LOOPS)(function)
    dispatcher._cache = KernelCache(function)
    linked = numba.njit(**options, no_cpython_wrapper=True, **_OF_CALLED)(function)
    _link_into_others(dispatcher, linked)
    compiled: F = dispatcher
    return compiled
