"""Object code of kernels that was made beforehand: `python -m drivesim build` writes the files, this loads one.

They lie in the package, and are trusted as its other files are. A file ends with a seal, which says for which processor
it was made and of which sources, and by which damage is seen before anything is loaded. What does not fit is not used,
which a line on the standard error says; the next best file is, or kernels are compiled as if there were none.

``DRIVESIM_PREBUILT=0`` in the environment leaves them alone.
"""

from __future__ import annotations

import ctypes
import hashlib
import multiprocessing
import os
import platform
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from drivesim.cache import say
from drivesim.core.sources import kernel_digest

TARGETS = ("x86_64_v2", "x86_64_v3", "aarch64", "wasm32")
FOLDER = Path(__file__).parent.parent / "objects"

_MAGIC = b"drivesim"
_SEAL = struct.Struct("<8s24s32s32s")  # magic, target, digest of the sources, digest of the file up to here
_INSTEAD = "kernels are compiled as they are needed; `python -m drivesim build --target native` makes it anew"
# What a processor must be able to do, in the words of Linux.
_V2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}
_V3 = _V2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}


class SealError(Exception):
    """A file is not what it should be."""


@dataclass(frozen=True)
class Seal:
    """What a file of kernels is."""

    target: str
    sources: bytes
    """`kernel_digest` when it was made."""


def sealed(content: bytes, seal: Seal) -> bytes:
    """A file with its seal behind it."""
    head = _SEAL.pack(_MAGIC, seal.target.encode(), seal.sources, bytes(32))[:-32]
    return content + head + hashlib.sha256(content + head).digest()


def unsealed(data: bytes) -> Seal:
    """The seal of a file.

    Raises:
        SealError: if it has none, or is damaged.
    """
    if len(data) < _SEAL.size:
        raise SealError("it is damaged")
    magic, target, sources, digest = _SEAL.unpack(data[-_SEAL.size :])
    if magic != _MAGIC or hashlib.sha256(data[:-32]).digest() != digest:
        raise SealError("it is damaged")
    return Seal(target.rstrip(b"\0").decode(), sources)


def path_of(target: str, folder: Path | None = None) -> Path:
    """The file for a target."""
    return (folder or FOLDER) / f"{target}{'.wasm' if target == 'wasm32' else '.so'}"


def symbol_of(kernel: Any) -> str:
    """The name of a kernel in a file."""
    return f"{kernel.__module__}.{kernel.__qualname__}".removeprefix("drivesim.")


def own_targets() -> tuple[str, ...]:
    """The targets whose code this machine can run, the best first."""
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return ()
    machine = platform.machine()
    if machine == "aarch64":
        return ("aarch64",)
    if machine != "x86_64":
        return ()
    flags = _processor_flags()
    return tuple(name for name, needed in (("x86_64_v3", _V3), ("x86_64_v2", _V2)) if needed <= flags)


def _processor_flags() -> set[str]:
    """What the first processor can do, in the words of Linux; nothing if that cannot be told."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((set(line.split()) for line in file if line.startswith("flags")), set())
    except OSError:
        return set()


@cache
def library() -> tuple[str, Any] | None:
    """The target of the file that serves this process, and its loaded code; None if kernels are to be compiled."""
    if os.environ.get("DRIVESIM_PREBUILT") == "0":
        return None
    targets = [name for name in own_targets() if path_of(name).exists()]
    for target, following in zip_longest(targets, targets[1:]):
        try:
            return target, _loaded(target)
        except (OSError, SealError) as error:
            if multiprocessing.parent_process() is None:  # which has said it for those that it started
                then = f"{path_of(following)} is tried" if following else _INSTEAD
                say(f"drivesim: {path_of(target)} is not used: {error}; {then}")
    return None


def _loaded(target: str) -> Any:
    """The code for a target.

    Raises:
        SealError: if the file is not what it should be.
        OSError: if it cannot be read, or is refused by the system's loader.
    """
    seal = unsealed(path_of(target).read_bytes())
    if seal.target != target:
        raise SealError(f"it is for {seal.target}")
    if seal.sources != kernel_digest():
        raise SealError("it was made of other sources")
    return ctypes.CDLL(str(path_of(target)))


def function(kernel: Any) -> Callable[..., int] | None:
    """An entry as a function: of an address, and of whole numbers below 2**31. None if it has to be compiled."""
    found = _found(kernel)
    if found is not None:
        found.argtypes = [ctypes.c_void_p]  # further arguments are ints of C's, as long as they are not described
        found.restype = ctypes.c_int64
    return found  # type: ignore[no-any-return]


def address(kernel: Any) -> int:
    """The address of a binding; 0 if it has to be compiled."""
    found = _found(kernel)
    return 0 if found is None else ctypes.cast(found, ctypes.c_void_p).value or 0


def _found(kernel: Any) -> Any:
    loaded = library()
    if loaded is None or not kernel.__module__.startswith("drivesim."):
        return None
    try:
        return loaded[1][symbol_of(kernel)]  # a new object each time
    except AttributeError:
        return None
