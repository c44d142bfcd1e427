"""Which kernels these are: a digest of their sources."""

from __future__ import annotations

import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

KERNEL_FOLDERS = ("core", "observations", "planning", "scenarios")
"""Of the package, those that hold kernels."""


def kernel_digest(package: Traversable | None = None) -> bytes:
    """SHA-256 over every Python file of the package that may hold a kernel."""
    digest = hashlib.sha256()
    for name in KERNEL_FOLDERS:
        _add_sources((package or resources.files("drivesim")) / name, name, digest)
    return digest.digest()


def _add_sources(folder: Traversable, path: str, digest: Any) -> None:
    """Digest the Python files below a folder, which may lie in an archive."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name) if folder.is_dir() else ():
        name = f"{path}/{item.name}"
        if item.is_dir():
            _add_sources(item, name, digest)
        elif name.endswith(".py"):
            digest.update(name.encode())
            digest.update(item.read_bytes())
