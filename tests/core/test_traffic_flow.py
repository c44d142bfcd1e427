"""The flow of traffic on a periodic lane against what is known of it: exact results and published maxima."""

import math

import numpy as np
import pytest
from ascii_map import options_of
from checker import found
from hypothesis import given
from hypothesis import strategies as st
from records import rows_and_cols, tick_all
from roads import MOST, driven, roads

from drivesim.core.map import EAST, NORTH, SOUTH, WEST
from drivesim.core.world import KRAUSS, NASCH

LENGTH = 1000  # cells


def flow(density, dawdle, driver_model, top_speed=5, length=LENGTH, relax=2000, ticks=2000):
    """Vehicles per tick past a point of a lane, and its density; no tick may break a rule.

    Of one lane of `length` cells, or of several that are as long together if one would hold too many vehicles.
    """
    num_roads = math.ceil(density * length / MOST)
    length //= num_roads
    num_vehicles = round(density * length)
    options = options_of(driver_model=driver_model, dawdle=round(dawdle * 65536), num_egos=0)
    maps, worlds = roads(num_roads, 1, length, num_vehicles, 1, top_speed, top_speed)
    _, faults = driven(maps, worlds, options, relax)
    cells, more_faults = driven(maps, worlds, options, ticks)
    assert not found(faults + more_faults)
    return cells / (num_roads * length * ticks), num_vehicles / length


class TestNagelSchreckenberg:
    @pytest.mark.parametrize("top_speed", [1, 2, 3, 5])
    def test_without_dawdling_flows_freely_or_as_fast_as_holes_do(self, top_speed) -> None:
        """Nagel, Herrmann, Physica A 199 (1993) 254: flow = min(density · v_max, 1 - density)."""
        for density in (0.02, 0.05, 0.1, 0.14, 0.16, 0.18, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9):
            measured, density = flow(density, 0.0, NASCH, top_speed, relax=4000, ticks=1000)
            assert measured == pytest.approx(min(density * top_speed, 1 - density), abs=1e-3), density

    @pytest.mark.parametrize("dawdle", [0.1, 0.25, 0.5, 0.75])
    def test_at_speed_limit_1_matches_the_exact_solution(self, dawdle) -> None:
        """Schadschneider, Schreckenberg, J. Phys. A 26 (1993) L679."""
        for density in (0.1, 0.25, 0.4, 0.5, 0.6, 0.8):
            measured, density = flow(density, dawdle, NASCH, 1)
            exact = (1 - np.sqrt(1 - 4 * (1 - dawdle) * density * (1 - density))) / 2
            assert measured == pytest.approx(exact, abs=0.005), density

    def test_at_speed_limit_5_has_the_published_maximum(self) -> None:
        """Nagel, Schreckenberg, J. Phys. I France 2 (1992) 2221, figure 4: 0.32 near density 0.08."""
        measured = {
            density: flow(density, 0.5, NASCH, length=2000, relax=10_000, ticks=10_000)[0]
            for density in (0.04, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.2)
        }
        assert max(measured.values()) == pytest.approx(0.32, abs=0.01)
        assert 0.07 <= max(measured, key=measured.__getitem__) <= 0.1


class TestCarFollowing:
    def test_flows_freely_at_low_density(self) -> None:
        for density in (0.005, 0.01, 0.02, 0.03, 0.04, 0.05):
            measured, density = flow(density, 0.2, KRAUSS)
            assert measured == pytest.approx(density * (5 - 0.2), rel=0.01), density

    def test_has_the_maximum_flow_of_a_real_lane(self) -> None:
        """0.45 vehicles per tick: with ticks of 1 s, 1,600 an hour."""
        measured = {
            density: flow(density, 0.2, KRAUSS, length=2000, relax=5000, ticks=5000)[0]
            for density in (0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.15, 0.18)
        }
        assert max(measured.values()) == pytest.approx(0.45, abs=0.015)
        assert 0.09 <= max(measured, key=measured.__getitem__) <= 0.13

    @pytest.mark.parametrize("dawdle", [0.0, 0.2, 0.5])
    def test_never_collides_nor_brakes_by_more_than_1_at_any_density(self, dawdle) -> None:
        for density in (0.02, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.99):
            for top_speed in (1, 3, 5):
                flow(density, dawdle, KRAUSS, top_speed, relax=0, ticks=1000)


def lanes_and_ways(maps, worlds, heading):
    """By vehicle, its lane, 0 = the leftmost, and the cells along it."""
    rows, cols = rows_and_cols(maps[0], worlds["vehicles"]["cell"][0])
    last_row, last_col = int(maps["rows"][0]) - 1, int(maps["cols"][0]) - 1
    lanes = {NORTH: cols, EAST: rows, SOUTH: last_col - cols, WEST: last_row - rows}[heading]
    ways = {NORTH: last_row - rows, EAST: cols, SOUTH: rows, WEST: last_col - cols}[heading]
    return lanes.tolist(), ways.tolist()


@given(
    lanes=st.integers(1, 5),
    length=st.integers(20, 200),
    density=st.floats(0.01, 0.7),
    seed=st.integers(0, 2**32),
    fastest=st.integers(1, 5),
    dawdle=st.sampled_from([0.0, 0.2, 0.5]),
    driver_model=st.sampled_from([KRAUSS, NASCH]),
    heading=st.sampled_from([NORTH, SOUTH, WEST]),
)
def test_traffic_drives_in_every_heading_exactly_as_eastward(
    lanes, length, density, seed, fastest, dawdle, driver_model, heading
) -> None:
    """However rows are read faster than columns: the same road, turned, has the same traffic."""
    num_vehicles = max(1, min(MOST, round(lanes * length * density)))
    options = options_of(driver_model=driver_model, dawdle=round(dawdle * 65536), num_egos=0)
    eastbound = roads(1, lanes, length, num_vehicles, seed, 1, fastest)
    turned = roads(1, lanes, length, num_vehicles, seed, 1, fastest, heading=heading)
    for _ in range(40):
        tick_all(*eastbound, options, [0])
        tick_all(*turned, options, [0])
        assert lanes_and_ways(*turned, heading) == lanes_and_ways(*eastbound, EAST)
        assert (turned[1]["vehicles"]["speed"] == eastbound[1]["vehicles"]["speed"]).all()
