"""Schedules: numbers that change while a run goes on."""

from __future__ import annotations

__all__ = ["linear"]


def linear(start: float, end: float, step: float, num_steps: float) -> float:
    """Returns the value at ``step`` of a line from ``start`` at 0 to ``end`` at ``num_steps`` and on."""
    share = 1.0 if num_steps <= 0 else min(step / num_steps, 1.0)
    return start + share * (end - start)
