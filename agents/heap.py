"""The C library's heap: memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

__all__ = ["trim_heap"]


def trim_heap() -> None:
    """Give back what is free; only glibc has to be asked to.

    Large arrays that come and go between small ones that stay leave holes in its heap, which else grows for as long as
    a DQN learns, by some hundred bytes a step (`tests/agents/test_heap.py`).
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """The function of glibc; None where there is another library."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
