"""How numba compiles kernels.

What it compiles is kept on disk, see `drivesim.core.kernel_cache`, in a folder named after a digest of all kernel
sources: whether a compiled function is fresh depends on every function that it calls, in whatever file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types

from drivesim.core import intrinsics
from drivesim.core.kernel_cache import KernelCache

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


PIPELINES = pipelines(numba.version_info.short)


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


def dispatcher_of(function: Callable[..., Any], how: str) -> Any:
    """What numba calls a kernel, for Python and for other kernels; `how` is a key of `PIPELINES`."""
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    dispatcher: Any = numba.njit(**options, **PIPELINES["loop"])(function)
    dispatcher._cache = KernelCache(function)
    linked = numba.njit(**options, no_cpython_wrapper=True, **PIPELINES[how])(function)
    _link_into_others(dispatcher, linked)
    return dispatcher


def compiled_address(kernel: Any, returns: Any, arguments: Any) -> int:
    """The address of a kernel's code, compiled or loaded, for what `drivesim.core.memory` says of its arguments."""
    sig = intrinsics.signature_of(returns, arguments)
    kernel.dispatcher.compile(sig)
    compiled = kernel.dispatcher.overloads[sig.args]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def linked_overload(kernel: Any, signature: Any) -> Any:
    """What numba has compiled of a kernel for others to link, for a signature or types of arguments."""
    linked = kernel.dispatcher.get_overload.__self__
    linked.compile(signature)
    return linked.overloads[getattr(signature, "args", signature)]
