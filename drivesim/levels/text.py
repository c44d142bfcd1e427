"""Levels as texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Level:
    """A level: a map, a world at tick 0 on it, and the options that its head gives."""

    maps: Array
    """MAP (1,), of the least size that holds the road."""
    worlds: Array
    """WORLD (1,), of the least size that holds its inhabitants: tick 0, key 0, NOT_STARTED."""
    options: dict[str, Any]
    """Options of the environment, such as `max_steps`, by the names that they have in the head."""
    num_egos: int
    """Egos, the first of the vehicles."""


class LevelError(ValueError):
    """A text that is no level."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        """From 1."""
        self.column = column
        """From 1, in characters."""


def read(text: str, name: str = "text") -> Level:
    """The level that a text describes.

    Args:
        text: a level.
        name: of the text, for messages.

    Raises:
        LevelError: where it is none.
    """
    raise NotImplementedError


def write(map: Any, world: Any, **head: Any) -> str:
    """The canonical text of a level.

    Args:
        map: MAP record.
        world: WORLD record at tick 0.
        **head: options of the environment, such as `max_steps`.
    """
    raise NotImplementedError
