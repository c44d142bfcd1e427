"""What the tests know of each scenario.

Tests of every environment are of those that have an entry here; tests/test_scenarios.py asks every scenario for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.scripted import SCENARIOS
from drivesim.registry import entry_of, entry_of_id


@dataclass(frozen=True)
class Facts:
    """Of one scenario."""

    empty: Mapping[str, Any]
    """Options of a road with nothing on it that a careful driver could hit."""
    near: int
    """Cells before the goal within which a trick driver leaves the road: as late as it still can."""
    success: tuple[float, float, float]
    """Of who drives at random, never steers, drives by rules: rates on 1,000 held-out levels, medium, seeds 0 … 999."""
    harder: tuple[str, ...]
    """Of what there is more where the difficulty is greater: "vehicles", "obstacles", "bends", "people"."""
    slow_speed: int = 1
    """Cells per tick at which the careful driver still arrives in time."""
    steers: bool = True
    """Whether it takes steering, so that who never steers mostly fails."""
    is_measured: bool = True
    """Whether docs/results.json and docs/difficulty.json have its figures, which take hours of training."""


EMPTY_LEVEL = """max_steps = 120

.  .  . . . . . . . . . . . . . . . . . ^G
^> >  > > > > > > > > > > > > > > > > > ^>
^  .  . . . . . . . . . . . . . . . . . .
^E .  . . . . . . . . . . . . . . . . . .
"""
FACTS = {
    "Autodrive": Facts(
        empty={"num_obstacles": 0, "crossing_cars": 0},
        near=3,
        success=(0.027, 0.000, 1.000),
        harder=("obstacles", "vehicles"),
    ),
    "LaneKeep": Facts(
        empty={"length": 40, "wander": 0},
        near=7,
        success=(0.000, 0.006, 1.000),
        harder=("bends",),
    ),
    "Obstacles": Facts(
        empty={"num_obstacles": 0, "num_walls": 0, "num_closed": 0},
        near=8,
        success=(0.000, 0.000, 1.000),
        harder=("obstacles",),
    ),
    "Highway": Facts(
        empty={"num_vehicles": 0, "distance": 60},
        near=20,
        success=(0.000, 0.050, 0.953),
        harder=("vehicles",),
        slow_speed=3,
    ),
    "Intersection": Facts(
        empty={"num_vehicles": 0},
        near=3,
        success=(0.000, 0.155, 1.000),
        harder=("vehicles",),
    ),
    "Merge": Facts(
        empty={"num_vehicles": 0},
        near=8,
        success=(0.000, 0.000, 0.998),
        harder=("vehicles",),
    ),
    "Exit": Facts(
        empty={"num_vehicles": 0, "max_episode_steps": 120},
        near=8,
        success=(0.000, 0.000, 0.999),
        harder=("vehicles",),
        slow_speed=2,
    ),
    "Overtake": Facts(
        empty={"num_slow": 0, "num_oncoming": 0, "max_episode_steps": 120},
        near=8,
        success=(0.000, 0.000, 0.992),
        harder=("vehicles",),
        slow_speed=3,
    ),
    "FourWayStop": Facts(
        empty={"num_vehicles": 0},
        near=3,
        success=(0.000, 0.001, 1.000),
        harder=("vehicles",),
    ),
    "Roundabout": Facts(
        empty={"num_vehicles": 0},
        near=3,
        success=(0.000, 0.000, 1.000),
        harder=("vehicles",),
    ),
    "Crosswalk": Facts(
        empty={"num_vehicles": 0, "people": 0},
        near=3,
        success=(0.000, 0.584, 1.000),
        harder=("vehicles", "people"),
        steers=False,
    ),
    "Parking": Facts(
        empty={"num_vehicles": 0, "occupied": 0, "backwards": 0},
        near=3,
        success=(0.000, 0.004, 0.996),
        harder=("vehicles",),
    ),
    "City": Facts(
        empty={"num_vehicles": 0, "num_people": 0},
        near=3,
        success=(0.000, 0.005, 0.999),
        harder=("vehicles", "people"),
    ),
    "Custom": Facts(
        empty={"levels": EMPTY_LEVEL},
        near=3,
        success=(0.000, 0.000, 1.000),
        harder=(),
    ),
}
IDS = tuple(entry_of(name).id for name in FACTS)
DRIVEN = tuple(env_id for env_id in IDS if entry_of_id(env_id).name in SCENARIOS)
"""Those that have a rule-based driver."""
MEASURED = tuple(entry_of(name).id for name, facts in FACTS.items() if facts.is_measured)


def facts_of(env_id: str) -> Facts:
    """Those of an environment's scenario."""
    return FACTS[entry_of_id(env_id).name]
