"""Files in folders that somebody else may have made: written whole, read up to a bound, and never through a link."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "cannot_write",
    "printable",
    "read_bounded",
    "remove_partial_files",
    "require_place",
    "require_plain",
    "write_whole",
    "written",
]

_PARTIAL = ".partial-"


@contextlib.contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when it is complete; nothing is left of one that is not.

    Its name cannot be foreseen and must not exist, and a link in the place of ``path`` is replaced, not followed.

    Raises:
        OSError: it cannot be written; names ``path`` and the cause.
    """
    partial = path.with_name(f"{_PARTIAL}{secrets.token_hex(8)}")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes a file all or nothing, text in UTF-8, as :func:`written`."""
    with written(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def cannot_write(path: Path, error: Exception) -> OSError:
    """An error of one line that names what could not be written and why; libraries name other files, or none."""
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, os.strerror(error.errno), str(path))
    return OSError(f"cannot write {path}: {error}")


def require_place(path: Path | None, *, is_folder: bool = False) -> None:
    """Checks that something can be written, before the work for it begins; makes nothing.

    Args:
        path: of a file, or of a folder for files, either of which need not exist; None is nowhere, and will do.
        is_folder: which of them.

    Raises:
        OSError: nothing can be written there; names the path and the cause.
    """
    if path is None:
        return
    if not is_folder and path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = path if is_folder else path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def remove_partial_files(folder: Path) -> None:
    """Removes what a killed program left half written in a folder that nobody else is writing to."""
    for path in folder.glob(f"{_PARTIAL}*"):
        if path.is_symlink() or path.is_file():
            path.unlink(missing_ok=True)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is a folder, a pipe or a device, or too large; nothing of it was read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} must be a file")
        if status.st_size > max_bytes:
            raise ValueError(f"{path} must have at most {max_bytes:,} bytes, got {status.st_size:,}")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(descriptor)


def require_plain(folder: Path, linked: str | None = None) -> None:
    """Checks that a folder holds files and folders of its own only, so that nothing in it leads out of it.

    Args:
        folder: which may be a link itself.
        linked: name of a folder in it that may hold links, as long as they lead to what is in that same folder.

    Raises:
        ValueError: there is a pipe, a socket, a device, or a link other than those; names it.
    """
    own = None if linked is None else Path(os.path.realpath(folder), linked)
    waiting = [folder]
    while waiting:
        with contextlib.suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:  # a run may be going on
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    if own is not None and entry.is_symlink() and _stays_in(own, Path(entry.path)):
                        continue
                    raise ValueError(f"{printable(entry.path)} must be a file or a folder, and no link")


def _stays_in(folder: Path, link: Path) -> bool:
    """Whether a link lies in a folder, whose path holds no links, and leads to something in it."""
    place = Path(os.path.realpath(link.parent), link.name)
    return place.is_relative_to(folder) and Path(os.path.realpath(link)).is_relative_to(folder)


def printable(text: str) -> str:
    """Returns a text in which nothing could move a terminal's cursor or begin a line of its own."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
