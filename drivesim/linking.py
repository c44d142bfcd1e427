"""From an object file to what is loaded: a shared library, or a module of WebAssembly. LLVM's linker does it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

STACK = 1 << 20  # bytes, of WebAssembly


class LinkError(Exception):
    """There is no linker, or it refuses."""


def linker_of(target: str) -> list[str]:
    """How to call LLVM's linker for a target: the package ziglang has it, and systems with LLVM.

    Raises:
        LinkError: if there is none.
    """
    name = "wasm-ld" if target == "wasm32" else "ld.lld"
    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", name]
    found = shutil.which(name)
    if found is None:
        raise LinkError(f"objects need the linker {name}: pip install 'drivesim[build]' has it")
    return [found]


def shared_library(code: bytes, names: Sequence[str]) -> bytes:
    """A shared library in which these functions can be found, and which needs no other.

    Raises:
        LinkError: if something in it would be undefined.
    """
    options = ["-shared", "--no-undefined", "--strip-all", "--hash-style=gnu", "-z", "now", "--build-id=none"]
    exported = "".join(f'  "{name}";\n' for name in names)
    return _linked(
        linker_of("native"), code, [*options, "--version-script=exports"], f"{{\nglobal:\n{exported}local: *;\n}};\n"
    )


def wasm(code: bytes, names: Sequence[str]) -> bytes:
    """A module of WebAssembly that imports nothing.

    It exports these functions and data, its `memory`, and `__heap_base`, where its own part of that ends.

    Raises:
        LinkError: if something in it would be undefined.
    """
    options = ["--no-entry", "--strip-all", "--stack-first", "-z", f"stack-size={STACK}"]
    return _linked(linker_of("wasm32"), code, [*options, *(f"--export={name}" for name in (*names, "__heap_base"))], "")


def _linked(linker: Sequence[str], code: bytes, options: Sequence[str], exports: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernels.o").write_bytes(code)
        Path(folder, "exports").write_text(exports, encoding="ascii")
        command = [*linker, *options, "-o", "kernels", "kernels.o"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LinkError(f"{linker[-1]} refuses: {done.stderr.strip()}")
        return Path(folder, "kernels").read_bytes()
