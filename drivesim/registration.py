"""Checks of a scenario that is to be registered, so that a mistake in it is named at once and not in some kernel."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from drivesim.bindings import bindings_of
from drivesim.checks import MAX_STEPS, real, whole
from drivesim.config import DIFFICULTIES, LARGEST
from drivesim.core.batch import BY_LEVEL, BY_LIBRARY, BY_OPTIONS, BY_POOL
from drivesim.core.jit import INTERPRETED, Kernel
from drivesim.core.options import MAX_LEVEL_OPTIONS
from drivesim.core.world import MAX_EGOS, TOP_SPEED
from drivesim.env import DriveEnv
from drivesim.levels.library import canonical_texts
from drivesim.observations import ENCODERS
from drivesim.observations.encoder import Window
from drivesim.registry import Entry, entries, scenario_of
from drivesim.scenarios.scenario import ACTIONS, ACTIONS_WITHOUT_IDLE, LevelConfig, Scenario
from drivesim.vector_env import DriveVectorEnv

LARGEST_OPTION = 2**31 - 1
MAX_VERSION = 10**6
REQUIRED = ("config", "presets", "window", "speed_limit")
GENERATOR, LIBRARY = ("lay", "populate", "shape"), ("level",)  # and one of these


def checked_entry(
    scenario: type[Scenario],
    *,
    max_episode_steps: int,
    reward_threshold: float,
    summary: str,
    version: int,
    namespace: str,
) -> Entry:
    """The registry's entry of a scenario from outside; arguments as of `drivesim.register_scenario`.

    Raises:
        TypeError, ValueError: naming what is missing, wrong or taken.
    """
    if not (inspect.isclass(scenario) and issubclass(scenario, Scenario)) or scenario is Scenario:
        raise TypeError(f"scenario must be a subclass of Scenario, got {scenario!r}")
    name = scenario.__name__
    for what, value in (("scenario's name", name), ("namespace", namespace)):
        if not isinstance(value, str) or not (value.isidentifier() and value.isascii()):
            raise ValueError(f"{what} must be an identifier of ASCII letters, digits and _, got {value!r}")
    if not isinstance(summary, str) or not summary.strip():
        raise ValueError(f"summary must say in half a line what the task is, got {summary!r}")
    entry = Entry(
        name=name,
        version=whole("version", version, 0, MAX_VERSION),
        module=scenario.__module__,
        max_episode_steps=whole("max_episode_steps", max_episode_steps, 1, MAX_STEPS),
        reward_threshold=real("reward_threshold", reward_threshold, -LARGEST, LARGEST, "finite"),
        summary=summary,
        namespace=namespace,
    )
    check_scenario(scenario, entry.max_episode_steps)
    check_free(scenario, entry)
    bindings_of.cache_clear()  # the class may replace one of its name
    return entry


def check_free(scenario: type[Scenario], entry: Entry) -> None:
    """Refuse a name or number that is another scenario's.

    A class of the same module and name is the same scenario: a cell of a notebook that was run again.
    """
    for other in entries():
        if other.name == entry.name:
            known = scenario_of(other.name)
            if (known.__module__, known.__qualname__) != (scenario.__module__, scenario.__qualname__):
                where = f"{known.__module__}.{known.__qualname__}"
                raise ValueError(f"the name {entry.name!r} is taken: {other.id} is {where}")
            if other.id != entry.id:
                raise ValueError(f"{entry.name!r} is registered already, as {other.id}: it cannot be {entry.id} too")
        elif other.number == entry.number:
            raise ValueError(f"the number {entry.number}, which follows from the id {entry.id}, is that of {other.id}")


def check_scenario(scenario: type[Scenario], max_episode_steps: int) -> None:
    """Refuse a scenario class with something missing, of a wrong type or out of range.

    Raises:
        TypeError, ValueError: naming it.
    """
    name = scenario.__name__
    required = [*REQUIRED, *(GENERATOR if scenario.generates_levels() else LIBRARY)]
    missing = [attribute for attribute in required if not hasattr(scenario, attribute)]
    if "shape" in required and getattr(scenario.shape, "__func__", None) is Scenario.__dict__["shape"].__func__:
        missing.append("shape")
    if missing:
        raise TypeError(f"{name} must have {', '.join(required)}, but {', '.join(missing)} is missing")
    check_options(name, scenario.config)
    for kind in sorted({"lay", "populate"} & set(required)):
        check_kernel(f"{name}.{kind}", getattr(scenario, kind))
    if not isinstance(scenario.window, Window):
        raise TypeError(f"{name}.window must be a Window, got {scenario.window!r}")
    whole(f"{name}.speed_limit", scenario.speed_limit, 1, TOP_SPEED)
    whole(f"{name}.top_speed", scenario.top_speed, 1, TOP_SPEED)
    whole(f"{name}.max_egos", scenario.max_egos, 1, MAX_EGOS)
    real(f"{name}.dawdle", scenario.dawdle, 0.0, 1.0, "in [0, 1]")
    for attribute, allowed in (
        ("actions", (ACTIONS, ACTIONS_WITHOUT_IDLE)),
        ("maps_by", (BY_OPTIONS, BY_LEVEL, BY_LIBRARY, BY_POOL)),
        ("driver_model", tuple(scenario.driver_models)),
        ("observation", tuple(ENCODERS)),
    ):
        value = getattr(scenario, attribute)
        if value not in allowed:
            raise ValueError(f"{name}.{attribute} must be one of {list(allowed)}, got {value!r}")
    if not isinstance(scenario.presets, dict) or set(scenario.presets) != set(DIFFICULTIES):
        raise ValueError(f"{name}.presets must be a dict with the keys {list(DIFFICULTIES)}, got {scenario.presets!r}")
    for difficulty, level in scenario.presets.items():
        if type(level) is not scenario.config:
            raise TypeError(
                f"{name}.presets[{difficulty!r}] must be a {scenario.config.__name__}, got {type(level).__name__}"
            )
        try:
            scenario.check_fit(level, max_episode_steps)
            rows, cols = scenario.shape(level) if "shape" in required else (1, 1)
        except ValueError as error:
            raise ValueError(f"{name}.presets[{difficulty!r}]: {error}") from error
        whole(f"rows of {name}.shape", rows, 1, LARGEST_OPTION)
        whole(f"columns of {name}.shape", cols, 1, LARGEST_OPTION)
    if not scenario.generates_levels():
        try:
            canonical_texts(scenario.level)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}.level: {error}") from error


def check_options(name: str, config: Any) -> None:
    """Refuse level options that do not fit into the record of options or that nobody could ask for."""
    if not (inspect.isclass(config) and issubclass(config, LevelConfig) and is_dataclass(config)):
        raise TypeError(f"{name}.config must be a dataclass derived from LevelConfig, got {config!r}")
    options = fields(config)
    if len(options) > MAX_LEVEL_OPTIONS:
        raise ValueError(f"{config.__name__} has {len(options)} options, at most {MAX_LEVEL_OPTIONS} are allowed")
    taken = {*inspect.signature(DriveEnv).parameters, *inspect.signature(DriveVectorEnv).parameters}
    for option in options:
        which = f"{config.__name__}.{option.name}"
        if option.name in taken:
            raise ValueError(f"{which} must have another name: every environment has an option {option.name!r}")
        if option.default is not MISSING or not {"low", "high"} <= set(option.metadata):
            raise TypeError(f"{which} must be given by within(low, high)")
        low = whole(f"low of {which}", option.metadata["low"], -LARGEST_OPTION, LARGEST_OPTION)
        whole(f"high of {which}", option.metadata["high"], low, LARGEST_OPTION)


def check_kernel(name: str, function: Any) -> None:
    """Refuse what the loops cannot call by address."""
    if not callable(function) or not (INTERPRETED or isinstance(function, Kernel)):
        raise TypeError(f"{name} must be a function under @kernel of drivesim.core.jit, got {function!r}")
