"""What the rows of scripts/soak.py have in common: they are programs that work piece by piece and tell what they do.

    python tests/soak/ROW.py FIRST SECONDS FOLDER

Piece n is a function of n and of the code, so that a failure can be had again. A row writes one line of JSON for all
that it tells: `doing` before what could end the interpreter, `count` of what was done, `figures`, and `piece` when one
is finished. Whatever else the code prints goes to the standard error. It stops after the piece in which SECONDS end.
The folders of tests/ are on the path, as scripts/soak.py sees to.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_out = sys.stdout


def tell(**facts: Any) -> None:
    """One line for whoever started the row."""
    _out.write(json.dumps(facts) + "\n")
    _out.flush()


def doing(what: object) -> None:
    """Says what comes next, in case that nothing comes after it."""
    tell(doing=str(what)[:2000])


def run(piece: Callable[[int, Path], Iterator[int]]) -> None:
    """The main program of a row.

    Args:
        piece: works on piece n in a folder of its own, and yields how much has been done since it last did.
    """
    global _out
    first, seconds, folder = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    _out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    end = time.monotonic() + seconds
    number = first
    while True:
        doing(f"piece {number}")
        for count in piece(number, folder):
            tell(count=count)
        tell(piece=number)
        number += 1
        if time.monotonic() >= end:
            return


class Partner:
    """Another process with the same program and another environment, which answers for the same pieces."""

    def __init__(self, program: str, **environment: str) -> None:
        """Starts it as `program --answer`."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", program, "--answer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        atexit.register(self.close)

    def close(self) -> None:
        """Ends it, and counts its CPU time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def ask(self, number: int) -> Any:
        """What it makes of a piece."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the partner ended with {self._process.wait()} at piece {number}")
        return json.loads(line)


def answer(piece: Callable[[int], Any]) -> None:
    """The main program of a partner."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(piece(int(line))) + "\n")
        sys.stdout.flush()
