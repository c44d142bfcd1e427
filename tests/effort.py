"""How much evidence the suite gathers: what every change needs or, with DRIVESIM_FULL_TESTS=1, all that there is."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("DRIVESIM_FULL_TESTS", "") not in ("", "0")


def effort(everyday: T, full: T) -> T:
    """The size of a test: how many ticks, levels or cases."""
    return full if FULL else everyday
