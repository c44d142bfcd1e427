"""Whoever drives by the rule of car following is never in a collision, whatever traffic that keeps the rule does.

Traffic of the model `nasch` stops at once: who could stop behind where it is now is safe, and before it whoever is out
of its reach in this tick.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from levels import levels
from records import rows_and_cols, tick_all

from drivesim.core.event_table import EVENT_AT_FAULT, EVENT_COLLISION
from drivesim.core.world import DRIVING

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)


def stopping(speed):
    """Cells that a car travels which brakes by 1 in every tick from the next one on."""
    return speed * (speed - 1) // 2


def neighbours(map, world, row):
    """On the ego's ring: (gap ahead, speed, gap behind, speed) in lane `row`; -1 = beside the ego."""
    length = int(map["ring_cols"])
    ahead, behind = (length, 5), (length, 0)
    rows, cols = rows_and_cols(map, world["vehicles"]["cell"])
    for k in range(1, int(world["num_vehicles"])):
        vehicle = world["vehicles"][k]
        if vehicle["status"] == DRIVING and rows[k] == row:
            cells = int(cols[k] - cols[0]) % length - 1
            ahead = min(ahead, (cells, int(vehicle["speed"])))
            behind = min(behind, (length - 2 - cells if cells >= 0 else -1, int(vehicle["speed"])))
    return *ahead, *behind


def safe_action(map, world, random, stops_at_once=False):
    """FASTER, IDLE or SLOWER as the rule says; sometimes a change of lane that leaves both new pairs safe.

    `stops_at_once`: whether traffic may stop from any speed, and will.
    """
    ego = world["vehicles"][0]
    speed, row = int(ego["speed"]), int(rows_and_cols(map, ego["cell"])[0])
    for side, action in ((-1, LEFT), (1, RIGHT)):
        beside = row + side
        if random.random() < 0.3 and speed > 0 and 1 <= beside < int(map["rows"]) - 1:
            gap, leader, gap_behind, follower = neighbours(map, world, beside)
            if stops_at_once:
                leader = 0
            is_safe_ahead = gap >= 0 and stopping(speed + 1) <= gap + stopping(leader)
            is_safe_behind = gap_behind >= 0 and stopping(follower) <= gap_behind + stopping(speed)
            if stops_at_once:
                is_safe_behind = gap_behind > follower
            if is_safe_ahead and is_safe_behind:
                return action
    gap, leader, _, _ = neighbours(map, world, row)
    if stops_at_once:
        leader = 0
    room = gap + stopping(leader)
    if speed < 5 and stopping(speed + 2) <= room:
        return FASTER
    return IDLE if stopping(speed + 1) <= room else SLOWER


@pytest.mark.parametrize("traffic", ["krauss", "nasch"])
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_on_the_highway(difficulty, traffic) -> None:
    maps, worlds, options = levels("Highway", range(25), difficulty=difficulty, traffic=traffic)
    worlds["egos"]["remaining"] = 1_000_000
    random = np.random.default_rng(3)
    changes = 0
    for _ in range(120):
        pairs = zip(maps, worlds, strict=True)
        actions = np.array([safe_action(map, world, random, traffic == "nasch") for map, world in pairs])
        changes += int(((actions == LEFT) | (actions == RIGHT)).sum())
        tick_all(maps, worlds, options, actions)
        assert not (worlds["egos"]["events"][:, 0] & (EVENT_COLLISION | EVENT_AT_FAULT)).any()
    assert changes > 100


@given(
    seed=st.integers(0, 2**62),
    num_lanes=st.integers(1, 5),
    length=st.integers(40, 80),
    density=st.floats(0.05, 0.25),
    fastest=st.integers(1, 5),
    dawdle=st.sampled_from([0.0, 0.2, 0.5]),
    traffic=st.sampled_from(["krauss", "nasch"]),
)
def test_on_any_highway(seed, num_lanes, length, density, fastest, dawdle, traffic) -> None:
    num_vehicles = min(47, length - 2, int(num_lanes * length * density))
    level = {
        "num_lanes": num_lanes,
        "length": length,
        "distance": 20,
        "num_vehicles": num_vehicles,
        "slowest": 1,
        "fastest": fastest,
    }
    maps, worlds, options = levels("Highway", [seed], dawdle=dawdle, traffic=traffic, **level)
    worlds["egos"]["remaining"] = 1_000_000
    random = np.random.default_rng(seed)
    for _ in range(60):
        tick_all(maps, worlds, options, [safe_action(maps[0], worlds[0], random, traffic == "nasch")])
        assert not worlds["egos"]["events"][0, 0] & EVENT_COLLISION
