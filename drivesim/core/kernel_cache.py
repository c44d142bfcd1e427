"""The cache of one kernel: what numba asks before it compiles and tells afterwards.

Numba's own stores an index beside the code, decides by the file's time whether it is fresh, fails where a file is
damaged, cannot be written or lies in an archive, and lets two processes that compile a kernel for different types
overwrite each other's index. Here each compiled function is one file, named after all that it was compiled from.
"""

from __future__ import annotations

import hashlib
import linecache
import multiprocessing
import os
import pickle
import platform
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

from drivesim.cache import keep, place, read, say
from drivesim.core.sources import kernel_digest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_OPTIONS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")  # of numba, which change what is compiled


def source_digest(package: Traversable | None = None) -> str:
    """A digest of the sources of all kernels and of the versions of the tools that compile them."""
    digest = hashlib.sha256(kernel_digest(package))
    digest.update(f"{sys.version_info[:3]} {platform.machine()} {numba.__version__} {np.__version__}".encode())
    return digest.hexdigest()[:20]


def _add_ingredients(function: Any, digest: Any, seen: set[Any]) -> None:
    """Digest what a function outside the package is compiled with: its constants, and the functions that it calls.

    These may come from other files. Those of the package have a folder for each state of its sources.
    """
    if function in seen or function.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return
    seen.add(function)
    digest.update("".join(linecache.getlines(function.__code__.co_filename)).encode(errors="surrogatepass"))
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        inside = function.__code__.co_names if isinstance(value, ModuleType) else ()
        values += [value, *(getattr(value, name, None) for name in inside)]
    for value in values:
        called = getattr(value, "py_func", value)
        if isinstance(called, FunctionType):
            _add_ingredients(called, digest, seen)
        elif isinstance(value, (int, float, str, tuple, np.generic, np.ndarray)):
            digest.update(repr(value).encode())


@cache
def _folder() -> str:
    """The word for all compiled kernels of these sources: any edit is a new, empty folder. Empty = cannot be told."""
    try:
        return source_digest()
    except Exception:  # a folder that cannot be read, an archive that was replaced
        return ""


def folder() -> Path | None:
    """Where compiled kernels are kept for later programs; None if they cannot be, which is said."""
    return place(_folder()) if _folder() else None


def announce() -> None:
    """Say, before the first function is compiled, that kernels are: once per process, or for all workers of a pool."""
    before_compiling(lambda: None)
    path = folder()
    if path is None:
        say("drivesim: compiling kernels, which takes up to twenty seconds, for this program only")
    elif _speaks_for_family(path):
        say(f"drivesim: compiling kernels, which takes up to twenty seconds, once for each kernel; kept in {path}")


def before_compiling(listener: Callable[[], object]) -> None:
    """From now on call `listener` before each function that is compiled and not loaded, instead of `announce`."""
    global _listener
    _listener = listener


def _speaks_for_family(path: Path) -> bool:
    """Whether neither the process that started this worker nor another worker of its has announced already.

    Who announces holds a lock on the byte of a file that has the starting process's number, until it ends.
    """
    if fcntl is None:
        return True
    starter = multiprocessing.parent_process()
    try:
        descriptor = os.open(path / "announced", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)  # left open
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, starter.pid or 0 if starter else os.getpid())
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


_listener: Callable[[], object] = announce


class KernelCache(_Cache):  # type: ignore[misc]
    """What numba loads a kernel from and saves it to; whatever goes wrong, it compiles."""

    def __init__(self, function: Any) -> None:
        """For one kernel.

        Args:
            function: as written, before it is compiled.
        """
        self._function = function
        self._is_enabled = True

    @property
    def cache_path(self) -> str:
        """The folder, for numba's statistics."""
        return _folder()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for a signature, None if numba has to compile it."""
        target_context.refresh()
        name = self._name(sig, target_context.codegen())
        data = read(_folder(), name) if name else None
        if data is not None:
            try:
                return CompileResult._rebuild(target_context, *pickle.loads(data))
            except Exception:  # of another making of the libraries: compile, and write it anew
                pass
        _listener()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what numba has compiled for a signature."""
        name = self._name(sig, data.codegen)
        if not name or data.library.has_dynamic_globals or not all(lifted.can_cache for lifted in data.lifted):
            return  # addresses of this process are compiled in
        try:
            content = dumps(data._reduce())
        except Exception:  # some part cannot be pickled
            return
        keep(_folder(), name, content)

    def _name(self, sig: Any, codegen: Any) -> str | None:
        """The file of a signature; None if it cannot be named by what it is compiled from."""
        function = self._function
        code = function.__code__
        source = "".join(linecache.getlines(code.co_filename, function.__globals__))
        if not (self._is_enabled and source and _folder()):
            return None
        try:
            closure = dumps([cell.cell_contents for cell in function.__closure__ or ()])
        except Exception:  # what is bound cannot be pickled
            return None
        options = [getattr(numba.config, option, None) for option in _OPTIONS]
        made_of = (normalize_signature(sig), codegen.magic_tuple(), options, code.co_code, code.co_firstlineno)
        digest = hashlib.sha256(repr((function.__module__, function.__qualname__, *made_of)).encode())
        digest.update(source.encode(errors="surrogatepass"))
        digest.update(closure)
        _add_ingredients(function, digest, set())
        readable = re.sub(r"[^\w.-]", "", function.__qualname__)[:80]
        return f"{readable}-{digest.hexdigest()[:20]}"

    def enable(self) -> None:
        """Load and save from now on."""
        self._is_enabled = True

    def disable(self) -> None:
        """Compile always, keep nothing."""
        self._is_enabled = False

    def flush(self) -> None:
        """Called before numba compiles anew what it has compiled: for globals that changed, which no name tells."""
        self._is_enabled = False
