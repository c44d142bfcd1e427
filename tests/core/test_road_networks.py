"""On any road that may be driven, traffic never collides, breaks no rule and keeps moving, whatever egos do there."""

from random import Random

import numpy as np
import pytest
from checker import found
from effort import effort
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from levels import levels
from network_traffic import Batch, draw_batch, start_moving
from road_networks import CONTROLS, Network, draw_network, gates
from roads import driven_by_world
from wild import driven_wildly

from drivesim.core.junctions import PATIENCE
from drivesim.core.map import EAST, SIGNALS, WEST, turned
from drivesim.core.world import ABSENT, DRIVING, leave
from drivesim.registry import ENTRIES, scenario_of

MANY = effort(1_000_000, 10_000_000)  # vehicle-ticks
KINDS = [("junction", 3), ("junction", 4), ("roundabout", 3), ("roundabout", 4), ("roundabout", 5)]  # and their arms
LEVELS, TICKS = 20, 2500  # of a batch: some 300,000 vehicle-ticks
dice = st.integers(0, 2**64).map(Random)
"""They throw all choices of a batch: drawing each of them by itself would take longer than driving."""


def batches(num_batches: int) -> settings:
    """So many, the same ones in every run; failures take too long to shrink."""
    return settings(max_examples=num_batches, phases=[Phase.generate], derandomize=True)


def bounds(maps: np.ndarray, worlds: np.ndarray) -> np.ndarray:
    """Ticks within which everybody has to move, (N,)."""
    junctions = maps["junctions"]
    cycles = 2 * (junctions["yellow"] + junctions["all_red"]) + junctions["green_0"] + junctions["green_1"]
    longest = np.where(junctions["control"] == SIGNALS, cycles, 0).max(axis=1, initial=0)
    return PATIENCE * (is_traffic(worlds).sum(axis=1) + 1) + 2 * longest


def is_traffic(worlds: np.ndarray) -> np.ndarray:
    """Which vehicles drive and are not parked for good, (N, V)."""
    return (worlds["vehicles"]["status"] == DRIVING) & (worlds["vehicles"]["top_speed"] > 0)


def check(batch: Batch, faults: np.ndarray) -> None:
    """Nothing is wrong in any level; else the first of those that are, to be read and to be driven."""
    failed = np.flatnonzero(faults.any(axis=1))
    assert not len(failed), f"{found(faults[failed[0]])}\n{batch.texts[failed[0]]}"


def drive_networks(num_batches: int) -> int:
    """Check the traffic of so many batches of networks without egos; their vehicle-ticks."""
    vehicle_ticks = 0

    @batches(num_batches)
    @given(dice=dice)
    def drive(dice: Random) -> None:
        nonlocal vehicle_ticks
        batch = draw_batch(dice, LEVELS, tuple(CONTROLS))
        start_moving(batch)
        patience = bounds(batch.maps, batch.worlds)
        _, faults = driven_by_world(batch.maps, batch.worlds, batch.options, TICKS, patience)
        check(batch, faults)
        vehicle_ticks += int(batch.worlds["num_vehicles"].sum()) * TICKS

    drive()
    return vehicle_ticks


def drive_wildly(num_batches: int) -> int:
    """Check the traffic of so many batches of networks among wild egos; its vehicle-ticks."""
    vehicle_ticks = 0

    @batches(num_batches)
    @given(dice=dice)
    def drive(dice: Random) -> None:
        nonlocal vehicle_ticks
        batch = draw_batch(dice, LEVELS, tuple(CONTROLS), num_egos=dice.randint(1, 3))
        meetings, ticks = driven_wildly(batch.maps, batch.worlds, batch.options, TICKS)
        check(batch, np.array([[count] for count in meetings]))
        vehicle_ticks += ticks

    drive()
    return vehicle_ticks


@pytest.mark.slow
def test_traffic_of_any_network_breaks_no_rule_and_keeps_moving() -> None:
    assert drive_networks(effort(6, 60)) > MANY


@pytest.mark.slow
def test_no_two_traffic_vehicles_of_any_network_share_a_cell_whatever_egos_do() -> None:
    assert drive_wildly(effort(8, 80)) > MANY


def arms(network: Network, box: tuple[int, int, int, int, bool]) -> int:
    """How many streets lead to or from a junction: the lanes of one are two cells apart at most."""
    found = []
    for _, (row, col), outward in gates(network.sheet, box):
        if network.sheet.at(row, col).headings & {outward, turned(outward, 2)}:
            along = row if outward in (EAST, WEST) else col
            if not found or found[-1][0] != outward or along - found[-1][1] > 2:
                found.append((outward, along))
            else:
                found[-1] = (outward, along)
    return len(found)


def test_networks_have_every_kind_of_road() -> None:
    seen = set()
    for seed in range(300):
        network = draw_network(Random(seed), tuple(CONTROLS))
        for number, box in enumerate(network.boxes, 1):
            kind = "roundabout" if box[4] else "junction"
            seen.add((kind, arms(network, box), network.head[f"junction{number}.control"]))
        for cell in (cell for line in network.sheet.cells for cell in line):
            facts = (("walker", cell.who), ("crosswalk", cell.mark == "="))
            facts += (("bend", len(cell.headings) == 2 and not cell.junction),)
            seen |= {name for name, is_there in facts if is_there}
        seen |= {name for name, is_there in (("ramp", network.ramps), ("ring", not network.boxes)) if is_there}
    wanted = {(kind, count, f'"{control}"') for control in CONTROLS.values() for kind, count in KINDS}
    assert seen >= wanted | {"walker", "crosswalk", "bend", "ramp", "ring"}


def drive_levels(scenario: str, difficulty: str, vehicle_ticks: int) -> int:
    """Check so many vehicle-ticks of a scenario's traffic alone; how many they were, 0 where it has no traffic."""
    maps, worlds, options = levels(scenario, range(effort(20, 40)), difficulty=difficulty)
    worlds["num_egos"] = 0
    for world in worlds:
        leave(world, 0)
    worlds["vehicles"]["status"][:, 0] = ABSENT
    per_tick = int(is_traffic(worlds).sum())
    ticks = vehicle_ticks // max(1, per_tick) + 1 if per_tick > 0 else 1
    _, faults = driven_by_world(maps, worlds, options, ticks, bounds(maps, worlds))
    assert not found(faults.sum(axis=0))
    return per_tick * ticks


GENERATED = [entry.name for entry in ENTRIES if scenario_of(entry.name).generates_levels()]
DIFFICULTIES = ("easy", "medium", "hard")


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", GENERATED)
def test_traffic_of_generated_levels_breaks_no_rule_and_keeps_moving(scenario, difficulty) -> None:
    """In its full form ten million vehicle-ticks of a scenario."""
    assert drive_levels(scenario, difficulty, MANY // 9) in (0, *range(MANY // 9, 2 * MANY))
