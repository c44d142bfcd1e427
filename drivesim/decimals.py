"""Numbers as people read them; what programs read is JSON."""

from __future__ import annotations

__all__ = ["decimal"]

_MINUS = "\N{MINUS SIGN}"


def decimal(value: float, places: int) -> str:
    """A number with so many digits behind the point, a minus sign before it if it is negative, and never "-0"."""
    return f"{value:z.{places}f}".replace("-", _MINUS)
