"""The C library's heap: memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

__all__ = ["trim_heap"]


def trim_heap() -> None:
    """Give back what is free; only glibc has to be asked to.

    Large arrays that come and go between small ones that stay leave holes in its heap, which grows for as long as a
    DQN learns: by 0.8 kB a step, to 13 GB in a race of a few runs.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """The function of glibc; None where there is another library."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
