"""Rule-based drivers, one per scenario: the yardstick that a learnt driver is measured against.

They see what a learnt driver sees, an observation and nothing else, and remember nothing from tick to tick.

    driver = make_scripted("drivesim/Obstacles-v1")
    envs = gym.make_vec("drivesim/Obstacles-v1", num_envs=64, observation=driver.observation)
    obs, _ = envs.reset(seed=0)
    actions = driver(obs)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.scripted.field import FieldDriver
from agents.scripted.highway import HighwayDriver
from agents.scripted.ignoring import IgnoringDriver
from agents.scripted.never_steering import StraightDriver, StraightFieldDriver
from agents.scripted.parking import ParkingDriver
from agents.scripted.road import RoadDriver
from agents.scripted.route import RouteDriver
from agents.scripted.traffic import TrafficDriver
from drivesim.observations.encoder import Window
from drivesim.registry import entry_of, scenario_of

__all__ = ["DRIVERS", "SCENARIOS", "ScriptedDriver", "make_ignoring", "make_never_steering", "make_scripted"]


class ScriptedDriver(Protocol):
    """A driver made of rules."""

    @property
    def observation(self) -> str:
        """Name of the observation that it reads."""

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the actions (B,) for a batch of observations (B, *obs_shape)."""


DRIVERS: dict[str, Callable[[Window, int], ScriptedDriver] | None] = {
    "Autodrive": FieldDriver,
    "LaneKeep": partial(RoadDriver, offset_cost=0.5, side_cost=0.05, shoulder_cost=0.0),
    "Obstacles": partial(RoadDriver, offset_cost=0.0, side_cost=0.05, shoulder_cost=0.3),
    "Highway": HighwayDriver,
    "Intersection": RouteDriver,
    "Merge": TrafficDriver,
    "Exit": partial(TrafficDriver, to_the_right=2.0),
    "Overtake": partial(TrafficDriver, oncoming=3),
    "FourWayStop": RouteDriver,
    "Roundabout": RouteDriver,
    "Crosswalk": RouteDriver,
    "Parking": ParkingDriver,
    "City": RouteDriver,
    "Custom": RouteDriver,
}
"""What makes a driver from the window that it is shown and its fastest speed, by scenario; None: there is none."""
SCENARIOS = tuple(name for name, driver in DRIVERS.items() if driver is not None)
"""Names of those that have a rule-based driver."""


def make_scripted(env_id: str, max_speed: int | None = None) -> ScriptedDriver:
    """Returns the rule-based driver of a scenario.

    Args:
        env_id: for example "drivesim/Obstacles-v1".
        max_speed: fastest speed, cells per tick, at least 1; None = the scenario's limit.
    """
    name = _scenario_name(env_id)
    top_speed = scenario_of(name).speed_limit
    if max_speed is not None:
        if max_speed < 1:
            raise ValueError(f"max_speed must be at least 1, got {max_speed}")
        top_speed = min(top_speed, max_speed)
    driver = DRIVERS[name]
    assert driver is not None
    return driver(scenario_of(name).window, top_speed)


def make_never_steering(env_id: str, *, reckless: bool = False) -> ScriptedDriver:
    """Returns a driver that only changes its speed.

    Args:
        env_id: for example "drivesim/Obstacles-v1".
        reckless: speed up to the limit and brake for nothing, instead of for what is ahead.
    """
    name = _scenario_name(env_id)
    if name == "Autodrive":
        return StraightFieldDriver(reckless=reckless)
    scenario = scenario_of(name)
    return StraightDriver(scenario.window, scenario.speed_limit, reckless=reckless)


def make_ignoring(env_id: str) -> ScriptedDriver:
    """Returns a driver that follows the route at the limit as if it were alone.

    Args:
        env_id: for example "drivesim/Intersection-v1".
    """
    return IgnoringDriver(make_scripted(env_id), scenario_of(_scenario_name(env_id)).window)


BASELINES: dict[str, Callable[[str], ScriptedDriver]] = {
    "never steers": make_never_steering,
    "ignores others": make_ignoring,
    "rule-based": make_scripted,
}
"""What is measured beside learnt drivers and a random one, weakest first: makers by name, of an environment id."""


def _scenario_name(env_id: str) -> str:
    """The scenario of an environment id.

    Raises:
        ValueError: if it has no rule-based driver.
    """
    name = env_id.removeprefix("drivesim/").rpartition("-v")[0]
    if name not in SCENARIOS:
        known = [entry_of(scenario).id for scenario in SCENARIOS]
        raise ValueError(f"env_id must name a scenario with a rule-based driver, {known}, got {env_id!r}")
    return name
