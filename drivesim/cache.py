"""Small files kept between runs, as compiled kernels are: the one place that knows where, and what to do without.

They lie in folders below `$DRIVESIM_CACHE_DIR`, else `$XDG_CACHE_HOME/drivesim`, else `~/.cache/drivesim`. A cache
never stops a program. What cannot be read counts as not there. What cannot be kept in the user's folder goes to a
private temporary one, which the processes that this one starts share and which it removes when it ends; if there can
be none either, it is forgotten. The first time, a line on the standard error names folder and reason. It is no warning
of Python's, since a program that turns those into errors would stop.

Some of the files are pickles, so at each use nobody else must be able to have put one there: the folder belongs to the
user, every folder above it to the user or to root, nobody else may write to any of them, and none is a link. Each file
begins with a digest of the rest: one that was cut off or damaged counts as not there and is written anew.
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
    root = _without_system_link(root)
    for parent in reversed(root.parents):
        _require_safe(parent)
    if not _is_shared_by_root(root.lstat()):
        _require_private(root)
    _require_private(root / folder)
    return root / folder


def _without_system_link(path: Path) -> Path:
    """A path whose first folder may be a link, where only root makes any, as /tmp and /var are on macOS."""
    top = Path(*path.parts[:2])
    return Path(os.path.realpath(top), *path.parts[2:]) if top.is_symlink() else path


def _is_shared_by_root(status: os.stat_result) -> bool:
    """Whether a folder is root's and, as /tmp, one in which nobody replaces what belongs to others."""
    return status.st_uid == 0 and bool(status.st_mode & stat.S_ISVTX)


def _require_safe(path: Path) -> None:
    """Raises OSError unless a folder is root's or the user's and no other may replace what is in it."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is no folder, or a link")
    if not hasattr(os, "getuid") or _is_shared_by_root(status):
        return
    if status.st_uid not in (0, os.getuid()):
        raise PermissionError(f"{path} belongs to another user")
    others = stat.S_IWOTH if _is_of_this_user_alone(status.st_gid) else stat.S_IWOTH | stat.S_IWGRP
    if status.st_mode & others:
        raise PermissionError(f"others may write to {path}")


def _is_of_this_user_alone(group: int) -> bool:
    """Whether a group is the user's private one, to which many systems let the user's folders belong."""
    import grp
    import pwd

    with contextlib.suppress(KeyError):
        user, record = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
        is_own = group == user.pw_gid and record.gr_name == user.pw_name and set(record.gr_mem) <= {user.pw_name}
        return is_own and group != 0  # which users of containers have, too
    return False


def _require_private(path: Path) -> None:
    """Raises OSError unless it is a folder of this user's to which no other may write."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is no folder, or a link")
    if hasattr(os, "getuid"):
        if status.st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"others may write to {path}")


def _read(path: Path) -> bytes | None:
    """The content of a file, no link; None if it is damaged."""
    with open(path, "rb", opener=_open_no_link) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        stored = file.read()
    digest, data = stored[:_NUM_DIGEST_BYTES], stored[_NUM_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else None


def _open_no_link(path: str, flags: int) -> int:
    """Opens a file for its owner alone, and no link; a pipe does not keep the program waiting."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o600)


def _write(path: Path, data: bytes) -> None:
    """Write under another name and rename."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(partial, "xb", opener=_open_no_link) as file:
            file.write(hashlib.sha256(data).digest())
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
