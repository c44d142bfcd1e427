"""The one decorator that compiles a kernel, and the cache it compiles into.

Numba stores compiled code on disk but decides by the *caller's* file alone whether it is still fresh: after an edit
of a function that lives in another file, a cached caller silently keeps the old answer. So the cache directory is
named after a digest of all kernel sources: any edit is a new, empty directory.

Every kernel also runs as plain Python under ``NUMBA_DISABLE_JIT=1``, for debugging, coverage and as the reference.
"""

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent.parent
_KERNEL_FOLDERS = ("core", "observations", "scenarios")


def source_digest(package: Path = _PACKAGE) -> str:
    """SHA-256 over every Python file that may hold a kernel and the versions of the tools that compile them."""
    digest = hashlib.sha256()
    digest.update(f"{sys.version_info[:3]} {platform.machine()} {numba.__version__} {np.__version__}".encode())
    for path in sorted(path for folder in _KERNEL_FOLDERS for path in (package / folder).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def cache_directory() -> Path:
    """A directory that only this user can write: ``$DRIVESIM_CACHE_DIR``, else ``$XDG_CACHE_HOME/drivesim``.

    Numba's cache files are pickles, so a directory that belongs to somebody else is never used; a private temporary
    one takes its place.
    """
    base = os.environ.get("DRIVESIM_CACHE_DIR")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drivesim"
    directory = root / source_digest()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
        is_private = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
        if is_private and os.access(directory, os.W_OK):
            return directory
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="drivesim-"))


_CACHE_DIRECTORY = str(cache_directory()) if not numba.config.DISABLE_JIT else ""


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
    """Compile `function` on its first call: no GIL, IEEE arithmetic, cached on disk if its source is in a file."""
    if numba.config.DISABLE_JIT:
        return function
    previous = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _CACHE_DIRECTORY
    has_file = Path(function.__code__.co_filename).is_file()  # not in a notebook or an interactive session
    try:
        compiled: F = numba.njit(nogil=True, cache=has_file, error_model="numpy", no_cfunc_wrapper=True)(function)
    finally:
        numba.config.CACHE_DIR = previous
    _compile_once(compiled)
    return compiled


def specialize(template: Callable[..., Any], name: str, **bindings: Callable[..., Any]) -> Any:
    """Compile a copy of `template` in which the global names `bindings` stand for other kernels.

    This is how one batch loop serves every scenario and every observation while the compiler still sees, and
    inlines, plain calls. Each copy gets its own `name`, since that is what numba's cache files are named after.
    """
    code = template.__code__.replace(co_name=name, co_qualname=name)
    namespace = {**template.__globals__, **bindings}
    copy = FunctionType(code, namespace, name, template.__defaults__)
    copy.__qualname__ = name
    copy.__module__ = template.__module__
    return kernel(copy)
