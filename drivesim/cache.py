"""Small files kept between runs, as compiled kernels are: the one place that knows where, and what to do without.

They lie in folders below `$DRIVESIM_CACHE_DIR`, else `$XDG_CACHE_HOME/drivesim`, else `~/.cache/drivesim`. A cache
never stops a program. What cannot be read counts as not there. What cannot be kept in the user's folder goes to a
private temporary one, which the processes that this one starts share and which it removes when it ends; if there can
be none either, it is forgotten. The first time, a line on the standard error names folder and reason. It is no warning
of Python's, since a program that turns those into errors would stop.

Some of the files are pickles, so a folder that belongs to another user, or that others may write to, is never used.
Each file begins with a digest of the rest: one that was cut off or damaged counts as not there and is written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import secrets
import shutil
import stat
import sys
import tempfile
from pathlib import Path

__all__ = ["keep", "place", "read", "say"]

_HANDED_DOWN = "DRIVESIM_TEMPORARY_CACHE"  # the temporary folder of the process that started this one, or its own
_NUM_DIGEST_BYTES = hashlib.sha256().digest_size

_has_warned = False


def say(line: str) -> None:
    """Print a line on the standard error, if there is one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or None as under pythonw
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def read(folder: str, name: str) -> bytes | None:
    """What `keep` was given, by this process or an earlier one; None if it is not there or not as it was written."""
    for root in (_root, _handed_down):
        with contextlib.suppress(OSError):
            data = _read(_checked(root(), folder) / name)
            if data is not None:
                return data
    return None


def keep(folder: str, name: str, data: bytes) -> None:
    """Write a file for `read`, in one piece: other processes see all of it or nothing.

    Args:
        folder: one word, of what belongs together.
        name: of the file, valid on every system.
        data: its content.
    """
    try:
        _write(_made(_root(), folder) / name, data)
    except OSError as error:
        _warn(folder, error)
        with contextlib.suppress(OSError):
            _write(_made(_temporary(), folder) / name, data)


def place(folder: str) -> Path | None:
    """The user's folder in which `keep` would write, which then exists; None if nothing can be kept for later runs."""
    try:
        return _made(_root(), folder)
    except OSError as error:
        _warn(folder, error)
        return None


def _warn(folder: str, error: OSError) -> None:
    """Say, once per process, what cannot be kept where and why."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        path = Path("~", ".cache", "drivesim")
        with contextlib.suppress(OSError):
            path = _root() / folder
        say(f"drivesim: cannot keep files in {path}: {error.strerror or error}; DRIVESIM_CACHE_DIR names another place")


def _root() -> Path:
    """The user's cache folder, which need not exist.

    Raises:
        OSError: there is no home to put it into.
    """
    named = os.environ.get("DRIVESIM_CACHE_DIR")
    if named:
        return Path(named).absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):  # others are invalid, says the specification of these variables
        return Path(shared, "drivesim")
    home = os.path.expanduser("~")  # unchanged for a user without a home or a name
    if not os.path.isabs(home):
        raise OSError("this user has no home")
    return Path(home, ".cache", "drivesim")


def _handed_down() -> Path:
    """The temporary folder of this process or of the one that started it.

    Raises:
        OSError: there is none.
    """
    root = Path(os.environ.get(_HANDED_DOWN) or os.devnull)
    _require_private(root)
    return root


def _temporary() -> Path:
    """As `_handed_down`, but makes the folder.

    Raises:
        OSError: there can be none.
    """
    with contextlib.suppress(OSError):
        return _handed_down()
    if multiprocessing.parent_process() is not None:
        raise OSError("a worker may be killed and then leaves its folder behind")
    from multiprocessing.util import Finalize

    root = tempfile.mkdtemp(prefix="drivesim-")
    # Not by a forked child, and after workers were waited for: hence the priority below 0.
    Finalize(None, shutil.rmtree, (root, True), exitpriority=-1)
    os.environ[_HANDED_DOWN] = root
    return Path(root)


def _made(root: Path, folder: str) -> Path:
    """The folder, made if need be.

    Raises:
        OSError: it cannot be written to or is not private.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    (root / folder).mkdir(mode=0o700, exist_ok=True)
    path = _checked(root, folder)
    if not os.access(path, os.W_OK | os.X_OK):
        raise OSError("it cannot be written to")
    return path


def _checked(root: Path, folder: str) -> Path:
    """The folder, if nobody else can have put something into it.

    Raises:
        OSError: somebody can, or it does not exist.
    """
    status = root.stat()
    if not (status.st_uid == 0 and status.st_mode & stat.S_ISVTX):  # there, as in /tmp, nobody replaces others' folders
        _require_private(root)
    _require_private(root / folder)
    return root / folder


def _require_private(path: Path) -> None:
    """Raises OSError unless it is a folder of this user's to which no other may write."""
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is no folder")
    if hasattr(os, "getuid"):
        if status.st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"others may write to {path}")


def _read(path: Path) -> bytes | None:
    """The content of a file; None if it is damaged."""
    stored = path.read_bytes()
    digest, data = stored[:_NUM_DIGEST_BYTES], stored[_NUM_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else None


def _write(path: Path, data: bytes) -> None:
    """Write under another name and rename."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            file.write(hashlib.sha256(data).digest())
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
