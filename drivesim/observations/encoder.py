"""The pair that makes an observation: the kernel that writes it and the space it lies in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

MIN_ENTITIES, MAX_ENTITIES = 2, 32  # rows of `"entities"`


@dataclass(frozen=True)
class Window:
    """The cells that an ego-centred observation shows, and what of them: the ego faces up."""

    ahead: int
    """Cells ahead of the ego's own row; 12 let it stop from top speed."""
    behind: int
    """Cells behind; 10 show every follower that a change of lane could hurt."""
    beside: int
    """Cells to either side."""
    planes: tuple[str, ...] = ()
    """Of `observations.grid.PLANES`, in their order, those that show something; () = all."""
    entities: int = MIN_ENTITIES
    """Rows of `"entities"`."""

    @property
    def height(self) -> int:
        """Rows of the window."""
        return self.ahead + 1 + self.behind

    @property
    def width(self) -> int:
        """Columns of the window."""
        return 2 * self.beside + 1


@dataclass(frozen=True)
class Encoder:
    """An observation: `encode(map, world, k, options, scratch, out)` writes a flat row of what `space` describes."""

    name: str
    encode: Callable[..., Any]
    space: Callable[[Window, int, int], spaces.Box]
    """From the scenario's window and its map's rows and columns."""
    dtype: type[np.generic]
    """Of an observation's elements."""
    encode_without_turns: Callable[..., Any] | None = None
    """The same for windows that show no turns, compiled in less time; None = there is no such short cut."""
    options: tuple[str, ...] = ()
    """Of `EnvConfig`, those that say how much it shows."""

    def encode_for(self, window: Window) -> Callable[..., Any]:
        """The kernel that writes what a window shows."""
        shows_turns = window.planes == () or "my_turn" in window.planes or "vehicle_turn" in window.planes
        return self.encode if shows_turns or self.encode_without_turns is None else self.encode_without_turns

    def kernels(self) -> tuple[Callable[..., Any], ...]:
        """All kernels of which `encode_for` chooses."""
        return (self.encode,) if self.encode_without_turns is None else (self.encode, self.encode_without_turns)

    def shape_and_dtype(self, window: Window, rows: int, cols: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Of one observation."""
        return self.space(window, rows, cols).shape, np.dtype(self.dtype)
