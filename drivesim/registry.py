"""The one table of environments. A new scenario is one file and one line here; everything else iterates over it.

What stands here of a scenario is what Gymnasium's registry asks for, and it stands nowhere else: importing the package
must not load the scenario's file. All else is in the scenario's class.
"""

from __future__ import annotations

import importlib
import os
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gymnasium as gym

if TYPE_CHECKING:
    from drivesim.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Entry:
    """A registered environment."""

    name: str
    """Name of the scenario: the class in `module`."""
    version: int
    """Raised whenever some seed and actions give another result."""
    module: str
    max_episode_steps: int
    """Time limit in ticks; levels are certified to be solvable within two thirds of it."""
    reward_threshold: float
    """Mean return of a driver that has solved it: above a slow legal driver's, below the rule-based one's."""
    summary: str
    """The task, in half a line."""
    namespace: str = "drivesim"

    @property
    def id(self) -> str:
        """The Gymnasium id."""
        return f"{self.namespace}/{self.name}-v{self.version}"

    @property
    def number(self) -> int:
        """Follows from the id; in every world, so that a state cannot be restored into another environment."""
        return zlib.crc32(self.id.encode()) & 0x7FFFFFFF


ENTRIES = (
    Entry("Autodrive", 1, "drivesim.scenarios.autodrive", 60, 1.9, "cross a 10 x 10 field"),
    Entry("LaneKeep", 1, "drivesim.scenarios.lane_keep", 100, 1.8, "follow a winding road"),
    Entry("Obstacles", 1, "drivesim.scenarios.obstacles", 100, 1.7, "find the way around what blocks the road"),
    Entry("Highway", 1, "drivesim.scenarios.highway", 50, 1.6, "get through dense traffic in time"),
    Entry("Intersection", 1, "drivesim.scenarios.intersection", 120, 1.85, "cross a signalised crossroads"),
    Entry("Merge", 1, "drivesim.scenarios.merge", 60, 1.7, "get from a ramp that ends into dense traffic"),
    Entry("Exit", 1, "drivesim.scenarios.exit", 60, 1.74, "cross dense traffic to an exit that comes up"),
    Entry("Overtake", 1, "drivesim.scenarios.overtake", 60, 1.74, "get past slow cars between oncoming ones"),
    Entry("FourWayStop", 1, "drivesim.scenarios.four_way_stop", 120, 1.92, "stop, wait for your turn, go"),
    Entry("Roundabout", 1, "drivesim.scenarios.roundabout", 120, 1.87, "give way, circulate, leave by the given exit"),
    Entry("Crosswalk", 1, "drivesim.scenarios.crosswalk", 80, 1.8, "drive along a street on which people cross"),
    Entry("Parking", 1, "drivesim.scenarios.parking", 80, 1.891, "stand in a given bay, in a given heading"),
    Entry("City", 1, "drivesim.scenarios.city", 240, 1.91, "find the way through a town with all that there is"),
    Entry("Custom", 1, "drivesim.scenarios.custom", 1000, 1.8, "drive levels of your own, given as texts"),
)
"""The suite; `entries()` has those of `drivesim.register_scenario` too."""
IDS = tuple(entry.id for entry in ENTRIES)

_entries = {entry.name: entry for entry in ENTRIES}
_scenarios: dict[str, type[Scenario]] = {}  # of those registered from outside
_modules: dict[str, str] = {}  # by id, of those that were named with a module


def entries() -> tuple[Entry, ...]:
    """All that are registered in this process, the suite first."""
    return tuple(_entries.values())


def ids() -> tuple[str, ...]:
    """Their ids."""
    return tuple(entry.id for entry in entries())


def entry_of(name: str) -> Entry:
    """The entry of a scenario's name.

    Args:
        name: such as "Highway", or "my_module:MyScenario" for one that `my_module` registers when it is imported.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(name, str):
        module, _, own_name = name.rpartition(":")
        if module and own_name not in _entries:
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise ValueError(f"scenario must be in a module that can be imported, got {name!r}: {error}") from error
        if own_name in _entries:
            return _entries[own_name]
    raise ValueError(f"scenario must be one of {list(_entries)}, got {name!r}")


def entry_of_id(env_id: str) -> Entry:
    """The entry of an id.

    Raises:
        ValueError: if there is none.
    """
    for entry in entries():
        if entry.id == env_id:
            return entry
    raise ValueError(f"env_id must be one of {list(ids())}, got {env_id!r}")


def own_id(env_id: str) -> str:
    """The id in `my_module:ID`, whose module is imported first, as `gym.make` does; any other as it is.

    Modules beside which a command is called are found too.

    Raises:
        ValueError: if there is no such module.
    """
    module, _, own = env_id.rpartition(":")
    if module:
        here = os.getcwd()
        if here not in sys.path:
            sys.path.append(here)
        try:
            importlib.import_module(module)
        except (ImportError, ValueError, TypeError) as error:  # of names that are none, as "a..b" and ".a"
            raise ValueError(f"env must be of a module that can be imported, got {env_id!r}: {error}") from error
        _modules[own] = module
    return own


def with_module(env_id: str) -> str:
    """The id with the module that registers it, as another process has to be told it; the suite's as it is."""
    known = {entry.id: entry.module for entry in entries() if entry.name in _scenarios} | _modules
    module = known.get(env_id, "__main__")
    return env_id if module == "__main__" or env_id in IDS else f"{module}:{env_id}"


def is_registered(env_id: str) -> bool:
    """Whether there is such an id; for `my_module:ID` the module is imported first, see `own_id`."""
    try:
        return own_id(env_id) in ids()
    except ValueError:
        return False


def scenario_of(name: str) -> type[Scenario]:
    """The scenario class of a name; importing it loads the kernels.

    Raises:
        ValueError: if there is none.
    """
    entry = entry_of(name)
    if entry.name in _scenarios:
        return _scenarios[entry.name]
    scenario: type[Scenario] = getattr(importlib.import_module(entry.module), entry.name)
    return scenario


def add_entry(entry: Entry, scenario: type[Scenario] | None = None) -> None:
    """Register an id with Gymnasium; anew if it was there. Of the suite, `scenario` is found when it is needed."""
    name = entry.name
    if scenario is not None:
        _entries[name] = entry
        _scenarios[name] = scenario
        gym.registry.pop(entry.id, None)
        name = f"{entry.module}:{name}"  # so that a spec says where the scenario is found in another process
    if entry.id not in gym.registry:
        gym.register(
            id=entry.id,
            entry_point="drivesim.env:DriveEnv",
            vector_entry_point="drivesim.vector_env:DriveVectorEnv",
            max_episode_steps=entry.max_episode_steps,
            reward_threshold=entry.reward_threshold,
            kwargs={"scenario": name},
        )
