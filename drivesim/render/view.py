"""The part of a map that a picture shows, and the size of a cell in it.

Small maps are shown whole, long roads through a window that moves with the ego. Number and size of the cells depend
on the map's shape alone, so every picture of a scenario with the same options has the same size; and unless it is very
small, both sides are multiples of 16 pixels, which is what video encoders want.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivesim.render.state import Record, State, place_of

LARGEST_WHOLE = 32  # cells; longer sides are shown through a window, unless they fit into one
WINDOW_ROWS = 24
WINDOW_COLS = 40
FEWEST_COLS = 28  # cells of a long road that are seen on a screen at least: from the fastest speed one stops within 15
FEWEST = 12  # cells; narrower maps get verge around them
DEFAULT_SIZE = 640  # pixels along the longer side, at most
SMALLEST_SIZE, LARGEST_SIZE = 64, 4096
EGO_ROW = 0.7  # of the window's height: long roads lead north, and what lies ahead matters more
EGO_COL = 0.35  # of the window's width


@dataclass(frozen=True)
class View:
    """A window of `rows` x `cols` cells on a map, its north-western corner being that of cell (first_row, first_col).

    The first row and column may be fractions, while the window moves, and may lie outside the map, as may the last
    ones: the picture shows verge there.
    """

    rows: int
    cols: int
    first_row: float
    first_col: float
    cell: int
    """Pixels along a cell's side."""
    row_period: int
    """Rows after which the map repeats, 0 = it ends."""
    col_period: int

    def row_of(self, row: float) -> float:
        """The row of the picture, in cells, at which a row of the map is shown; outside [0, rows) it is not.

        On a ring, rows within one cell above the picture are told as such, not as far below it.
        """
        return _place(row - self.first_row, self.row_period)

    def col_of(self, col: float) -> float:
        """The same for columns."""
        return _place(col - self.first_col, self.col_period)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        return self.rows * self.cell, self.cols * self.cell


def _place(cells: float, period: int) -> float:
    """A distance from the picture's edge; on a ring between -1 and the period less 1."""
    return (cells + 1) % period - 1 if period else cells


@dataclass(frozen=True)
class Extent:
    """The range of one side of a map that is ever shown."""

    shown: int
    """Cells in a picture, an even number."""
    first: int
    """The first cell that can come into view, on a map that ends."""
    count: int
    """Cells that can come into view."""
    period: int
    """Cells after which the map repeats, 0 = it ends."""

    def first_for(self, ego: float, place: float) -> float:
        """The first cell to show: a ring scrolls past the ego, a window stops at the map's ends."""
        if self.period:
            return (ego - int(place * self.shown)) % self.period
        return min(max(ego - int(place * self.shown), self.first), self.first + self.count - self.shown)


def _extent(cells: int, window: int, is_ring: bool) -> Extent:
    """What is shown of a side of `cells` cells."""
    if is_ring:
        return Extent(min(window, cells - cells % 2), 0, cells, cells)
    if cells > max(LARGEST_WHOLE, window):
        return Extent(window, 0, cells, 0)
    shown = max(FEWEST, cells + cells % 2)
    return Extent(shown, -((shown - cells) // 2), shown, 0)


def extents_of(map: Record) -> tuple[Extent, Extent]:
    """The ranges of a map's rows and columns that are ever shown."""
    return (
        _extent(int(map["rows"]), WINDOW_ROWS, bool(map["ring_rows"])),
        _extent(int(map["cols"]), WINDOW_COLS, bool(map["ring_cols"])),
    )


def filling(map: Record, width: int, height: int) -> tuple[tuple[Extent, Extent], int]:
    """What to show of a map so that it fills a screen of `width` x `height` pixels, and the pixels along a cell's side.

    Cells are as large as can be while all of a short side is seen, and enough of a long one; what is left over is
    verge, or more of the road. The picture is as large as the screen, or by less than a cell larger; it is smaller only
    where a ring has no more cells.
    """
    room, extents = (height, width), extents_of(map)
    cells = int(map["rows"]), int(map["cols"])
    least = [
        min(extent.shown, fewest if extent.period or extent.count > extent.shown else number + 2)
        for extent, fewest, number in zip(extents, (WINDOW_ROWS, FEWEST_COLS), cells, strict=True)
    ]
    largest = [max(2, pixels // fewest) for pixels, fewest in zip(room, least, strict=True)]
    cell = min(largest)
    for pixels, extent, other in zip(room, extents, reversed(largest), strict=True):
        if extent.period:
            cell = max(cell, min(-(-pixels // (extent.period - 1)), other))
    rows, cols = (
        _filled(extent, number, -(-pixels // cell)) for extent, number, pixels in zip(extents, cells, room, strict=True)
    )
    return (rows, cols), cell


def _filled(extent: Extent, cells: int, shown: int) -> Extent:
    """The range of a side of `cells` cells if as many are shown as there is room for."""
    if extent.period:
        return Extent(min(shown, cells - 1), 0, cells, cells)
    return Extent(shown, -((shown - cells) // 2), shown, 0) if shown >= cells else Extent(shown, 0, cells, 0)


def cell_size(rows: int, cols: int, size: int) -> int:
    """Pixels along a cell's side, for a picture of `rows` x `cols` cells and at most `size` pixels; 2 at least.

    Where there are enough of them, both sides of the picture come out as multiples of 16.
    """
    cell = size // max(rows, cols)
    step = 16 // math.gcd(16, rows, cols)
    return max(2, cell - cell % step if cell >= step else cell - cell % 2)


def cell_for(map: Record, size: int = DEFAULT_SIZE) -> int:
    """Pixels along a cell's side for pictures of a map of at most `size` pixels."""
    rows, cols = extents_of(map)
    return cell_size(rows.shown, cols.shown, size)


def view_of(
    state: State,
    cell: int | None = None,
    focus: tuple[float, float] | None = None,
    extents: tuple[Extent, Extent] | None = None,
) -> View:
    """The view on a state.

    Args:
        state: whose map is shown.
        cell: pixels along a cell's side; None = as in a picture of the default size.
        focus: row and column around which a window lies; None = those of the first ego, wherever it is.
        extents: of rows and columns; None = as in a picture.
    """
    rows, cols = extents or extents_of(state.map)
    row, col = place_of(state.map, int(state.world["vehicles"]["cell"][0])) if focus is None else focus
    return View(
        rows=rows.shown,
        cols=cols.shown,
        first_row=rows.first_for(float(row), EGO_ROW),
        first_col=cols.first_for(float(col), EGO_COL),
        cell=cell_for(state.map) if cell is None else cell,
        row_period=rows.period,
        col_period=cols.period,
    )
