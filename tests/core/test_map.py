"""Maps: numbers of cells, where they lead and how far it is, against plain arithmetic with rows and columns."""

from collections import deque

import numpy as np
import pytest
from ascii_map import Car, from_ascii
from hypothesis import given
from hypothesis import strategies as st
from levels import levels
from records import rows_and_cols

from drivesim.core.batch import BY_POOL
from drivesim.core.map import (
    EAST,
    EDGE,
    NORTH,
    PORTAL,
    SOUTH,
    UNREACHABLE,
    WEST,
    cell_at,
    cell_behind,
    cell_behind_for_ego,
    cell_towards,
    col_of,
    is_on_map,
    map_dtype,
    next_cell,
    next_cell_for_ego,
    row_of,
    way_from,
)
from drivesim.core.painting import set_size
from drivesim.registry import ENTRIES, scenario_of

SCENARIOS = [entry.name for entry in ENTRIES if scenario_of(entry.name).generates_levels()]
DIFFICULTIES = ("easy", "medium", "hard")
STEP = {NORTH: (-1, 0), EAST: (0, 1), SOUTH: (1, 0), WEST: (0, -1)}
LARGEST = 300  # rows and columns
LARGE_MAP = map_dtype(LARGEST, LARGEST)


def some_maps(scenario):
    """Maps of all difficulties; a town is as large as a dozen other levels."""
    num_levels = 1 if scenario_of(scenario).maps_by == BY_POOL else 3
    return [map for difficulty in DIFFICULTIES for map in levels(scenario, range(num_levels), difficulty=difficulty)[0]]


def all_cells(map):
    """Cells within the border, in rows."""
    return [cell_at(map, row, col) for row in range(map.rows) for col in range(map.cols)]


def mask_of(map, cell):
    """Headings of a cell."""
    return int(map.ground[cell]) & 15


class TestNumbersOfCells:
    @given(rows=st.integers(1, LARGEST), cols=st.integers(1, LARGEST))
    def test_are_those_of_a_division_by_the_width(self, rows, cols) -> None:
        """The product that stands for a division, on every cell and the border; compiled on some of them."""
        maps = np.zeros(1, LARGE_MAP)
        map = maps[0]
        set_size(map, rows, cols)
        cells = np.arange((rows + 2) * (cols + 2))
        expected_rows, expected_cols = np.divmod(cells, cols + 2)
        plain_row_of = getattr(row_of, "py_func", row_of)
        assert (plain_row_of(map, cells) == expected_rows - 1).all()
        for cell in [*cells[:: max(1, len(cells) // 50)].tolist(), len(cells) - 1]:
            assert (row_of(map, cell), col_of(map, cell)) == (expected_rows[cell] - 1, expected_cols[cell] - 1)
            assert cell_at(map, row_of(map, cell), col_of(map, cell)) == cell

    @given(rows=st.integers(1, LARGEST), cols=st.integers(1, LARGEST))
    def test_lie_within_a_border_of_edge(self, rows, cols) -> None:
        maps = np.zeros(1, LARGE_MAP)
        set_size(maps[0], rows, cols)
        is_edge = maps["ground"][0, : (rows + 2) * (cols + 2)].reshape(rows + 2, cols + 2) == EDGE << 4
        assert not is_edge[1:-1, 1:-1].any()
        assert is_edge.sum() == 2 * (rows + cols) + 4
        assert not maps["ground"][0, (rows + 2) * (cols + 2) :].any()


@pytest.mark.parametrize("scenario", SCENARIOS)
class TestEveryMap:
    def test_leads_back_where_it_leads_from(self, scenario) -> None:
        num_portals = 0
        for map in some_maps(scenario):
            for cell in all_cells(map):
                for heading in range(4):
                    if mask_of(map, cell) >> heading & 1:
                        ahead, behind = next_cell(map, cell, heading), cell_behind(map, cell, heading)
                        num_portals += ahead != cell + map.steps[heading]
                        assert cell_behind(map, ahead, heading) == cell
                        assert next_cell(map, behind, heading) == cell
                        ahead, behind = next_cell_for_ego(map, cell, heading), cell_behind_for_ego(map, cell, heading)
                        assert cell_behind_for_ego(map, ahead, heading) == cell
                        assert next_cell_for_ego(map, behind, heading) == cell
        assert (num_portals > 0) == scenario_of(scenario).has_portals

    def test_has_a_border_that_ways_cross_nowhere(self, scenario) -> None:
        """From any cell, allowed or not, one step in any heading ends within the border or on it."""
        for map in some_maps(scenario):
            ground = map.ground[: (map.rows + 2) * map.width].reshape(map.rows + 2, map.width)
            is_border = np.ones(ground.shape, np.bool_)
            is_border[1:-1, 1:-1] = False
            assert (ground[is_border] == EDGE << 4).all()  # no headings, and no portal
            assert not (ground[~is_border] >> 4 & 7 == EDGE).any()
            for cell in all_cells(map):
                row, col = divmod(cell, int(map.width))
                for heading in range(4):
                    for step in (next_cell, next_cell_for_ego, cell_behind, cell_behind_for_ego):
                        to = divmod(step(map, cell, heading), int(map.width))
                        sign = 1 if step in (next_cell, next_cell_for_ego) else -1
                        beside = row + sign * STEP[heading][0], col + sign * STEP[heading][1]
                        if to != beside:  # a portal: never from the inside, never onto the border
                            assert is_border[beside]
                            assert not is_border[to]
                            assert mask_of(map, cell) >> heading & 1

    def test_counts_its_portals(self, scenario) -> None:
        for map in some_maps(scenario):
            assert map.num_portals == (map.ground & PORTAL != 0).sum() == (map.comes_from != 0).sum()

    def test_knows_the_least_number_of_moves_from_every_cell(self, scenario) -> None:
        for map in some_maps(scenario):
            assert (map.num_destinations == 0) == (scenario == "Highway")  # a ring has none
            if map.has_goal_headings:  # moves are of cells and headings: `test_goals`
                continue
            for destination in range(map.num_destinations):
                size = (int(map.rows) + 2) * int(map.width)
                distances = map.distances[destination * size : (destination + 1) * size]
                goals = np.flatnonzero(distances == 0).tolist()
                assert goals
                moves = moves_to([divmod(goal, int(map.width)) for goal in goals], ways_into(map))
                expected = {row * int(map.width) + col: n for (row, col), n in moves.items()}
                assert {cell: int(n) for cell, n in enumerate(distances) if n != UNREACHABLE} == expected


def ways_into(map):
    """By cell, all cells from which one legal move leads there; (row, col) counted with the border.

    Straight on in any heading that both cells allow; or one cell sideways and one ahead, unless the cell allows the
    heading across: then steering that way is a turn.
    """
    masks = (map.ground[: (map.rows + 2) * map.width] & 15).reshape(map.rows + 2, map.width)
    ways = {}
    for row, col in np.argwhere(masks):
        for heading in range(4):
            if not masks[row, col] >> heading & 1:
                continue
            from_cells = [(row, col)]
            for across in ((heading + 1) % 4, (heading + 3) % 4):
                beside = row + STEP[across][0], col + STEP[across][1]
                if not masks[row, col] >> across & 1 and masks[beside] >> heading & 1:
                    from_cells.append(beside)
            for at in from_cells:
                to = at[0] + STEP[heading][0], at[1] + STEP[heading][1]
                if masks[to] >> heading & 1:
                    ways.setdefault((int(to[0]), int(to[1])), set()).add((int(row), int(col)))
    return ways


def moves_to(goals, ways):
    """By cell, the least number of moves to the nearest goal."""
    moves = dict.fromkeys(goals, 0)
    queue = deque(goals)
    while queue:
        cell = queue.popleft()
        for before in ways.get(cell, ()):
            if before not in moves:
                moves[before] = moves[cell] + 1
                queue.append(before)
    return moves


class TestPortals:
    def test_lead_traffic_on_and_egos_off_the_road(self) -> None:
        map = from_ascii("> > E >", is_periodic=True, E=Car(EAST)).map
        last, first = cell_at(map, 0, 3), cell_at(map, 0, 0)
        assert next_cell(map, last, EAST) == first
        assert cell_behind(map, first, EAST) == last
        assert map.ground[next_cell_for_ego(map, last, EAST)] == EDGE << 4
        assert map.ground[cell_behind_for_ego(map, first, EAST)] == EDGE << 4

    def test_lead_egos_on_too_where_the_map_is_a_ring(self) -> None:
        map = from_ascii("> > E >", is_ring=True, E=Car(EAST)).map
        last, first = cell_at(map, 0, 3), cell_at(map, 0, 0)
        assert next_cell_for_ego(map, last, EAST) == first
        assert cell_behind_for_ego(map, first, EAST) == last

    @pytest.mark.parametrize("heading", [NORTH, SOUTH, WEST])
    def test_lead_on_in_one_heading_alone(self, heading) -> None:
        map = from_ascii("> > >\n> > E\n> > >", is_periodic=True, E=Car(EAST)).map
        last = cell_at(map, 1, 2)
        assert next_cell(map, last, heading) == last + map.steps[heading]


class TestSight:
    @given(
        row=st.integers(0, 5), col=st.integers(0, 8), heading=st.integers(0, 3),
        ahead=st.integers(-12, 12), right=st.integers(-12, 12), is_ring=st.booleans(),
    )  # fmt: skip
    def test_is_that_of_rows_and_columns_and_on_a_ring_across_its_seam(
        self, row, col, heading, ahead, right, is_ring
    ) -> None:
        lane = " ".join([">"] * 9)
        map = from_ascii("\n".join([lane] * 6), is_ring=is_ring, is_periodic=True).map
        (ahead_row, ahead_col), (right_row, right_col) = STEP[heading], STEP[(heading + 1) % 4]
        seen_row = row + ahead * ahead_row + right * right_row
        seen_col = col + ahead * ahead_col + right * right_col
        if is_ring:
            seen_col %= 9
        seen = cell_towards(map, cell_at(map, row, col), heading, ahead, right)
        if 0 <= seen_row < 6 and 0 <= seen_col < 9:
            assert is_on_map(map, seen_row, seen_col)
            assert rows_and_cols(map, seen) == (seen_row, seen_col)
        else:
            assert not is_on_map(map, seen_row, seen_col)
            assert seen == -1


def test_nobody_has_a_way_on_a_map_without_ways() -> None:
    """Its record has no room for them: they are not even read."""
    situation = from_ascii("G\n^\n^\na", a=Car(NORTH))
    cell = situation.cell(2, 0)
    situation.map.ways[cell] = 1 + NORTH
    assert way_from(situation.map, 0, cell) == NORTH
    situation.map.has_ways = 0
    assert way_from(situation.map, 0, cell) == -1 == way_from(situation.map, -1, cell)
