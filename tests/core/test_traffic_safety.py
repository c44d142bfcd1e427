"""Traffic alone never collides, never breaks a rule of the road and never locks up, for millions of vehicle-ticks."""

import numpy as np
import pytest
from ascii_map import options_of
from checker import found
from effort import effort
from hypothesis import given
from hypothesis import strategies as st
from levels import levels, without_ego
from roads import MOST, driven, roads

from drivesim.core.junctions import PATIENCE
from drivesim.core.world import ABSENT, DRIVING, KRAUSS, NASCH, leave

MANY = effort(500_000, 1_250_000)  # vehicle-ticks
DIFFICULTIES = ("easy", "medium", "hard")
CYCLE = 2 * (12 + 3 + 2)  # ticks of the signal in every difficulty


def vehicle_ticks(worlds, ticks):
    """How many vehicles drive for how many ticks."""
    return int((worlds["vehicles"]["status"] == DRIVING).sum()) * ticks


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("driver_model", ["krauss", "nasch"])
def test_highway_traffic_breaks_no_rule(difficulty, driver_model) -> None:
    maps, worlds, options = levels("Highway", range(40), difficulty=difficulty, traffic=driver_model)
    worlds = without_ego(maps, worlds)
    ticks = MANY // vehicle_ticks(worlds, 1) + 1
    _, faults = driven(maps, worlds, options, ticks, patience=CYCLE)
    assert not found(faults)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("driver_model", ["krauss", "nasch"])
def test_intersection_traffic_breaks_no_rule(difficulty, driver_model) -> None:
    maps, worlds, options = levels("Intersection", range(40), difficulty=difficulty, traffic=driver_model)
    worlds = without_ego(maps, worlds)
    ticks = MANY // vehicle_ticks(worlds, 1) + 1
    cells, faults = driven(maps, worlds, options, ticks, patience=3 * CYCLE)
    assert not found(faults)
    assert cells > 0.2 * vehicle_ticks(worlds, ticks)  # and it gets somewhere


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", ["FourWayStop", "Roundabout", "Crosswalk"])
def test_traffic_of_other_crossings_breaks_no_rule_and_hits_nobody(scenario, difficulty) -> None:
    maps, worlds, options = levels(scenario, range(40), difficulty=difficulty)
    worlds = without_ego(maps, worlds)
    ticks = MANY // vehicle_ticks(worlds, 1) + 1
    patience = PATIENCE * (int(worlds["num_vehicles"][0]) + 1)
    cells, faults = driven(maps, worlds, options, ticks, patience=patience)
    assert not found(faults)
    assert cells > 0.2 * vehicle_ticks(worlds, ticks)  # and it gets somewhere


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_stream_of_autodrive_never_collides(difficulty) -> None:
    maps, worlds, options = levels("Autodrive", range(300), difficulty=difficulty)
    worlds["num_egos"] = 0
    for world in worlds:
        leave(world, 0)
    worlds["vehicles"]["status"][:, 0] = ABSENT
    _, faults = driven(maps, worlds, options, 60, patience=0)
    assert not found(faults)


@given(
    lanes=st.integers(1, 5),
    length=st.integers(20, 200),
    density=st.floats(0.01, 0.9),
    seed=st.integers(0, 2**32),
    top_speeds=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dawdle=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    is_moving=st.booleans(),
    driver_model=st.sampled_from([KRAUSS, KRAUSS, NASCH]),
)
def test_no_mix_of_drivers_on_any_number_of_lanes_breaks_a_rule(
    lanes, length, density, seed, top_speeds, dawdle, is_moving, driver_model
) -> None:
    num_vehicles = max(1, min(MOST, round(lanes * length * density)))
    maps, worlds = roads(1, lanes, length, num_vehicles, seed, min(top_speeds), max(top_speeds), is_moving)
    options = options_of(driver_model=driver_model, dawdle=round(dawdle * 65536), num_egos=0)
    _, faults = driven(maps, worlds, options, 200)
    assert not found(faults)


@given(
    num_vehicles=st.integers(0, 20),
    green=st.integers(4, 14),
    yellow=st.integers(2, 8),
    all_red=st.integers(1, 8),
    seed=st.integers(0, 2**62),
    fastest=st.integers(1, 5),
    dawdle=st.sampled_from([0.0, 0.1, 0.5]),
    driver_model=st.sampled_from(["krauss", "krauss", "nasch"]),
)
def test_no_timing_of_a_signal_and_no_mix_of_drivers_breaks_a_rule_at_a_junction(
    num_vehicles, green, yellow, all_red, seed, fastest, dawdle, driver_model
) -> None:
    timing = {"green": green, "yellow": yellow, "all_red": all_red}
    maps, worlds, options = levels(
        "Intersection",
        [seed, seed + 1],
        num_vehicles=num_vehicles,
        distance=3,
        dawdle=dawdle,
        traffic=driver_model,
        **timing,
    )
    worlds = without_ego(maps, worlds)
    vehicles = worlds["vehicles"]
    top_speeds = np.random.default_rng(seed).integers(1, min(fastest, yellow) + 1, vehicles["top_speed"].shape)
    vehicles["top_speed"] = np.maximum(top_speeds, vehicles["speed"])
    cycle = 2 * (green + yellow + all_red)
    # A green of 4 ticks may pass while a dreamer at its line dawdles.
    patience = PATIENCE * (num_vehicles + 1) + 2 * cycle
    _, faults = driven(maps, worlds, options, 600, patience=patience if dawdle == 0.0 else max(patience, 20 * cycle))
    assert not found(faults)
