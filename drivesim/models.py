"""What all levels of a configuration have in common: states are compared with it, and no level is drawn for that."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from drivesim.config import EnvConfig
from drivesim.core import batch, laying
from drivesim.core.memory import Frame
from drivesim.core.options import OPTIONS
from drivesim.registry import entry_of, scenario_of
from drivesim.scenarios.scenario import LevelConfig
from drivesim.states import FIXED

Array = np.ndarray[Any, Any]


def model_of(
    config: EnvConfig, options: Array, num_egos: int, maps: Array, dtype: np.dtype[Any], number: int
) -> tuple[Array, Array]:
    """A world (1,) with the numbers that options fix, and a map (1,) with all that they fix.

    Args:
        config: of the environment.
        options: OPTIONS (1,), the same for kernels.
        num_egos: egos in every world.
        maps: the environment's.
        dtype: of its worlds.
        number: of the map in the library or the pool; else of no matter.
    """
    library, scenario, level = config.library, config.scenario_class, config.level_config
    world = np.zeros(1, dtype)
    world["scenario"] = entry_of(config.scenario).number
    if library is not None:
        for name in FIXED:
            world[name] = library.worlds[name][number]
        return world, library.maps[number : number + 1]
    world["num_egos"], world["num_people"] = num_egos, scenario.num_people(level)
    world["num_vehicles"] = scenario.num_vehicles(level) - 1 + num_egos
    if scenario.maps_by == batch.BY_LEVEL:
        return world, first_map(config.scenario, level, options.tobytes())
    return world, maps[number : number + 1] if scenario.maps_by == batch.BY_POOL else maps


@lru_cache(maxsize=8)
def first_map(scenario: str, level: LevelConfig, options: bytes) -> Array:
    """The map (1,) that a generator's first attempt leaves, whether or not it was certified: what options fix is there.

    Args:
        scenario: name in the registry.
        level: its level options.
        options: the bytes of OPTIONS (1,).
    """
    road = scenario_of(scenario)
    maps = np.zeros(1, road.map_dtype(level))
    frame = Frame(batch.FRAME)
    frame.set(
        worlds=np.zeros(1, road.world_dtype(level)),
        maps=maps,
        options=np.frombuffer(options, OPTIONS).copy(),
        lay=batch.LAY.address_of(road.lay),
        scratch=np.zeros((1, 4 * maps["ground"].shape[1]), np.int32),
    )
    laying.lay_map(frame.argument)
    maps.flags.writeable = False
    return maps
