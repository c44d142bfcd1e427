"""Files of kernels that were made beforehand, and the seal by which they are known."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGETS = ("x86_64_v2", "x86_64_v3", "aarch64", "wasm32")
FOLDER = Path(__file__).parent.parent / "objects"
_MAGIC = b"drivesim"
_SEAL = struct.Struct("<8s24s32s32s")  # word, target, digest of the sources, digest of the file up to here


class SealError(Exception):
    """A file is not what it should be."""


@dataclass(frozen=True)
class Seal:
    """What a file of kernels is."""

    target: str
    sources: bytes
    """`drivesim.core.sources.kernel_digest` when it was made."""


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
        raise SealError("is no file of kernels")
    magic, target, sources, digest = _SEAL.unpack(data[-_SEAL.size :])
    if magic != _MAGIC or hashlib.sha256(data[:-32]).digest() != digest:
        raise SealError("is damaged")
    return Seal(target.rstrip(b"\0").decode(), sources)


def symbol_of(kernel: Any) -> str:
    """The name of a kernel in a file."""
    return f"{kernel.__module__}.{kernel.__qualname__}".removeprefix("drivesim.")


def suffix_of(target: str) -> str:
    """Of the file for a target."""
    return ".wasm" if target.startswith("wasm") else ".so"
