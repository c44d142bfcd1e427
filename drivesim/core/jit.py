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

__all__ = ["inlined_kernel", "kernel", "seldom_kernel", "source_digest"]

F = TypeVar("F", bound=Callable[..., Any])

KNOWN = (0, 68)  # the numba whose inside `drivesim.core.compiler` was written for


def pipelines(version: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """What numba is to compile loops with, and what they call, by how it is called; nothing with unknown versions.

    Numba's own pipeline computes the same, takes longer and knows no hints.
    """
    if version != KNOWN:
        return {"loop": {}, "linked": {}, "inlined": {}, "seldom": {}}
    from drivesim.core import compiler

    return {
        "loop": {"pipeline_class": compiler.LoopCompiler},
        "linked": {"pipeline_class": compiler.LinkedCompiler},
        "inlined": {"pipeline_class": compiler.InlinedCompiler},
        "seldom": {"pipeline_class": compiler.SeldomCompiler},
    }


_PIPELINES = pipelines(numba.version_info.short)


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


def _compiled(function: F, called: str) -> F:
    if numba.config.DISABLE_JIT:
        return function
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    dispatcher: Any = numba.njit(**options, **_PIPELINES["loop"])(function)
    dispatcher._cache = KernelCache(function)
    linked = numba.njit(**options, no_cpython_wrapper=True, **_PIPELINES[called])(function)
    _link_into_others(dispatcher, linked)
    compiled: F = dispatcher
    return compiled


def linked_overload(function: Any, signature: Any) -> Any:
    """What numba has compiled of a kernel for others to link, for a signature or types of arguments."""
    linked = function.get_overload.__self__
    linked.compile(signature)
    return linked.overloads[getattr(signature, "args", signature)]


def kernel(function: F) -> F:
    """Compile `function` when it is first called: no GIL, IEEE arithmetic, cached on disk.

    Called from Python it is compiled with all that it calls; what other kernels call is the same code, linked into
    them.
    """
    return _compiled(function, "linked")


def inlined_kernel(function: F) -> F:
    """A kernel that becomes part of each that calls it: for what every vehicle does in every tick."""
    return _compiled(function, "inlined")


def seldom_kernel(function: F) -> F:
    """A kernel that never becomes part of those that call it: long, and seldom come to."""
    return _compiled(function, "seldom")
