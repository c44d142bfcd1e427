"""What a command is doing, on a terminal, until there is something else to be seen."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["begin_script", "ctrl_c_ends", "ctrl_c_raises", "has_no_reader", "run_script", "show", "stage", "tell"]

_SIGPIPE = 13  # its number, which Windows lacks
_CLEARED = "\r\x1b[K"  # the cursor at the line's beginning, and nothing behind it
_PLAIN = {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{HORIZONTAL ELLIPSIS}": "..."}
"""What a person reads instead where the output's encoding has no such character, as on some Windows."""

_MANY = 1000
_PERIOD = 0.2  # seconds between two tellings of how far something is
_told_at = -_PERIOD
_stages: list[str] = []
"""What is being done now, and what that is a part of; the latter first."""


@contextlib.contextmanager
def stage(what: str) -> Iterator[None]:
    """Shows what is being done while it is, and then again what this is a part of.

    A standard error that is no terminal gets nothing.

    Args:
        what: such as "driving 1,000 episodes".
    """
    _stages.append(f"{what} ...")
    show(_stages[-1])
    try:
        yield
    finally:
        _stages.pop()
        show(_stages[-1] if _stages else "")


def tell(how_far: str) -> None:
    """Shows beside what is being done how far it is, a few times a second at most; nothing where nobody is told what.

    Args:
        how_far: such as "3 of 10 episodes".
    """
    global _told_at
    now = time.monotonic()
    if _stages and now - _told_at >= _PERIOD:
        _told_at = now
        behind = f": {how_far} ..."
        show(_stages[-1].removesuffix(" ...")[: max(_room() - len(behind), 0)] + behind)


def begin_script() -> None:
    """Tells that libraries are being loaded, during which Ctrl-C ends the program without a traceback.

    A script calls it before it imports them, if it is the program; :func:`run_script` follows.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    show("loading ...")


def run_script(main: Callable[[], int]) -> int:
    """Runs a script whose libraries are loaded; returns the exit status.

    What the encoding of the standard output cannot show is written in plain characters, instead of an error. Where
    nobody reads it any more, as after `| head`, the script ends in silence, as if by SIGPIPE.
    """
    show("")
    codecs.register_error("drivesim.plain", _in_plain)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # there may be none, a closed one, or somebody's own
            stream.reconfigure(errors="drivesim.plain")  # type: ignore[union-attr]
    try:
        try:
            return main()
        finally:
            with contextlib.suppress(AttributeError, ValueError):
                sys.stdout.flush()
    except BrokenPipeError:
        if not has_no_reader():
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)  # for what Python still holds, and would complain about at its end
        os.dup2(nowhere, sys.stdout.fileno())
        return 128 + _SIGPIPE


def has_no_reader() -> bool:
    """Whether the standard output is a pipe whose other end is closed."""
    try:
        if not hasattr(select, "poll"):
            return True  # Windows, which does not tell
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (AttributeError, ValueError, OSError):  # there is none, or somebody's own
        return False


def ctrl_c_raises() -> contextlib.AbstractContextManager[None]:
    """Lets Ctrl-C raise KeyboardInterrupt where :func:`begin_script` has it end the program.

    It is for work that has something to say, or to put away, before the program ends.
    """
    return _ctrl_c(signal.SIG_DFL, signal.default_int_handler)


def ctrl_c_ends() -> contextlib.AbstractContextManager[None]:
    """Lets Ctrl-C end the program as SIGTERM does: at once, even inside compiled code, and without a traceback."""
    return _ctrl_c(signal.default_int_handler, signal.SIG_DFL)


@contextlib.contextmanager
def _ctrl_c(usual: Any, instead: Any) -> Iterator[None]:
    """Answers Ctrl-C in another way where it is answered in the usual one; where it is ignored, it stays so."""
    is_usual = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is usual
    if is_usual:
        signal.signal(signal.SIGINT, instead)
    try:
        yield
    finally:
        if is_usual:
            signal.signal(signal.SIGINT, usual)


def _room() -> int:
    """Characters of a line, for what goes on in the next one cannot be cleared; many if nobody knows."""
    try:
        return (os.get_terminal_size(sys.stderr.fileno()).columns or _MANY) - 1
    except (AttributeError, ValueError, OSError):
        return _MANY


def show(text: str) -> None:
    """Draws the line of a terminal anew, as far as there is room in it."""
    with contextlib.suppress(AttributeError, ValueError, OSError):  # there may be no standard error, or a closed one
        if sys.stderr.isatty():
            sys.stderr.write(_CLEARED + text[: _room()])
            sys.stderr.flush()


def _in_plain(error: UnicodeError) -> tuple[str, int]:
    """A handler of errors for `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(each, "?") for each in error.object[error.start : error.end]), error.end
