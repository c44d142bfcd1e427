"""Numbers as people read them; what programs read, or a person types, has Python's own form."""

from __future__ import annotations

__all__ = ["DASH", "decimal", "significant"]

DASH = "\N{EN DASH}"
"""Stands where a number is missing, and between the ends of an interval; `drivesim.stages` has what is written instead
where the output's encoding lacks it."""
_MINUS = "\N{MINUS SIGN}"


def decimal(value: float, places: int, *, is_change: bool = False) -> str:
    """A number with so many digits behind the point, a minus sign before it if it is negative, and never "-0".

    Args:
        value: the number.
        places: digits behind the point.
        is_change: whether it has a plus sign if it is not negative.
    """
    return f"{value:{'+' if is_change else '-'}z.{places}f}".replace("-", _MINUS)


def significant(value: float, digits: int) -> str:
    """A number with so many digits at most, from the first that is not 0; signs as in `decimal`."""
    return f"{value:z.{digits}g}".replace("-", _MINUS)
