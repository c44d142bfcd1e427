"""What command lines have in common: options in pairs, and errors of one line."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from drivesim.files import printable
from drivesim.stages import ctrl_c_raises, has_no_reader

__all__ = ["PAIRS", "called", "quiet", "refuse", "status_of"]

PAIRS = ConstructorRegistry()
"""How a dict of numbers is given: in pairs of name and number, which replace all of the default's.

Of its own, tyro makes a flag of each of the default's names, and has none for the others.
"""


@PAIRS.primitive_rule
def _pairs(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, Any]] | None:
    """The rule for dict[str, int] and dict[str, float]."""
    if get_origin(info.type) is not dict:
        return None
    number: Callable[[str], Any] = get_args(info.type)[1]

    def parse(words: list[str]) -> dict[str, Any]:
        if len(words) % 2:
            raise ValueError(f"must be pairs of name and number, got {words}")
        return {name: number(word) for name, word in zip(words[::2], words[1::2], strict=True)}

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"[STR {number.__name__.upper()} [...]]",
        instance_from_str=parse,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda pairs: [word for pair in pairs.items() for word in map(str, pair)],
    )


def called(name: str) -> str:
    """Returns how another command is called here: as a program of an installed package, or as a script."""
    return f"drivesim {name}" if sys.argv[0].startswith("drivesim ") else f".venv/bin/python scripts/{name}.py"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps libraries from writing on the standard error: without a display, they complain about what nobody asked."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def refuse(error: Exception) -> int:
    """Says what is wrong, in one line that does nothing to a terminal; returns the exit status.

    Raises:
        BrokenPipeError: what is wrong is that nobody reads the output any more, see :func:`drivesim.stages.run_script`.
    """
    if isinstance(error, BrokenPipeError) and has_no_reader():
        raise error
    print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)  # noqa: T201
    return 2


def status_of(
    work: Callable[[], int | None],
    interrupted: str = "interrupted; the same command continues",
    *,
    refusals: tuple[type[Exception], ...] = (),
) -> int:
    """Does a command's work; returns its exit status: the work's own, 2 with a line if it is refused, 130 after Ctrl-C.

    Args:
        work: the work; None stands for 0.
        interrupted: what to say after Ctrl-C.
        refusals: errors by which the work refuses, beside ValueError and OSError.
    """
    refused: tuple[type[Exception], ...] = (ValueError, OSError, *refusals)
    try:
        with ctrl_c_raises():
            return work() or 0
    except refused as error:
        return refuse(error)
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)  # noqa: T201
        return 130
