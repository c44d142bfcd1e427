"""Which part of a map a picture shows, and how large a cell is in it.

Small maps are shown whole, long roads through a window around the ego. Number and size of the cells depend on the
map's shape alone, so every picture of a scenario with the same options has the same size; and both sides are
multiples of 16 pixels, which is what video encoders want.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
World = np.record

LARGEST_WHOLE = 32  # cells; longer sides are shown through a window
WINDOW_ROWS = 24
WINDOW_COLS = 40
FEWEST = 12  # cells; narrower maps get verge around them
LONG_SIDE = 640  # pixels, at most
EGO_ROW = 0.7  # of the window's height: long roads lead north, and what lies ahead matters more
EGO_COL = 0.35  # of the window's width


@dataclass(frozen=True)
class View:
    """A window of `rows` x `cols` cells on a map, its north-western cell being (first_row, first_col)."""

    rows: int
    cols: int
    first_row: int
    """May lie outside the map, as may the last one: the picture shows verge there."""
    first_col: int
    cell: int
    """Pixels along a cell's side."""
    row_period: int
    """Rows after which the map repeats, 0 = it ends."""
    col_period: int

    def row_of(self, row: int) -> int:
        """The row of the picture, in cells, at which a row of the map is shown; outside 0 … rows - 1 it is not."""
        return (row - self.first_row) % self.row_period if self.row_period else row - self.first_row

    def col_of(self, col: int) -> int:
        """The same for columns."""
        return (col - self.first_col) % self.col_period if self.col_period else col - self.first_col


def _extent(cells: int, window: int, is_ring: bool) -> int:
    """How many of `cells` cells to show, always an even number."""
    if is_ring:
        return min(window, cells - cells % 2)
    if cells > LARGEST_WHOLE:
        return window
    return max(FEWEST, cells + cells % 2)


def _first(cells: int, shown: int, ego: int, place: float, is_ring: bool) -> int:
    """The first cell to show: a ring scrolls past the ego, a window stops at the map's ends."""
    if shown >= cells and not is_ring:
        return -((shown - cells) // 2)
    first = ego - int(place * shown)
    return first % cells if is_ring else min(max(first, 0), cells - shown)


def view_of(world: World) -> View:
    """The view on a world: around its first controlled car, wherever that is."""
    rows, cols = int(world["rows"]), int(world["cols"])
    ego = world["vehicles"][0]
    is_ring = bool(world["is_ring"])
    rows_repeat = is_ring and bool(world["wraps_rows"])
    cols_repeat = is_ring and bool(world["wraps_cols"])
    shown_rows = _extent(rows, WINDOW_ROWS, rows_repeat)
    shown_cols = _extent(cols, WINDOW_COLS, cols_repeat)
    return View(
        rows=shown_rows,
        cols=shown_cols,
        first_row=_first(rows, shown_rows, int(ego["row"]), EGO_ROW, rows_repeat),
        first_col=_first(cols, shown_cols, int(ego["col"]), EGO_COL, cols_repeat),
        cell=max(8, LONG_SIDE // max(shown_rows, shown_cols) // 8 * 8),
        row_period=rows if rows_repeat else 0,
        col_period=cols if cols_repeat else 0,
    )
