"""The one table of environments. A new scenario is one file and one line here; everything else iterates over it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivesim.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Entry:
    """A registered environment."""

    name: str
    """Scenario's name: the class in `module`."""
    version: int
    """Bumped whenever some seed and actions give another result."""
    module: str
    max_episode_steps: int
    reward_threshold: float
    """Mean return of a driver that has solved it."""
    summary: str

    @property
    def id(self) -> str:
        """The Gymnasium id."""
        return f"drivesim/{self.name}-v{self.version}"


ENTRIES = (
    Entry("Autodrive", 0, "drivesim.scenarios.autodrive", 60, 1.9, "cross a 10 x 10 field"),
    Entry("LaneKeep", 0, "drivesim.scenarios.lane_keep", 100, 1.7, "follow a winding road"),
    Entry("Obstacles", 0, "drivesim.scenarios.obstacles", 100, 1.8, "find the way around what blocks the road"),
    Entry("Highway", 0, "drivesim.scenarios.highway", 50, 1.8, "get through dense traffic in time"),
    Entry("Intersection", 0, "drivesim.scenarios.intersection", 120, 1.8, "cross a signalised crossroads"),
)
IDS = tuple(entry.id for entry in ENTRIES)


def entry_of(name: str) -> Entry:
    """The entry of a scenario's name.

    Raises:
        ValueError: if there is none.
    """
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    raise ValueError(f"scenario must be one of {[entry.name for entry in ENTRIES]}, got {name!r}")


def scenario_of(name: str) -> type[Scenario]:
    """The scenario class of a name; importing it loads the kernels.

    Raises:
        ValueError: if there is none.
    """
    scenario: type[Scenario] = getattr(importlib.import_module(entry_of(name).module), name)
    return scenario
