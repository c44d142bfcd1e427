"""Pools of maps: laid when they are first needed, once in a process, and shared by all environments that have them.

Levels of a scenario with `maps_by = BY_POOL` take one of `num_maps` maps of their split, by their number; no world has
a copy. Map n is that of level n: the first `num_maps` of a pool are the training split's, the others the test split's.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.core import batch, laying
from drivesim.core.memory import Frame
from drivesim.core.options import OPTIONS
from drivesim.core.rng import TEST_SPLIT
from drivesim.registry import scenario_of
from drivesim.scenarios.scenario import LevelConfig

Array = np.ndarray[Any, Any]


class Pool:
    """The maps of both splits for one choice of level options."""

    def __init__(self, scenario: str, level: LevelConfig, options: Array) -> None:
        """Nothing is laid yet.

        Args:
            scenario: name in the registry.
            level: its level options.
            options: OPTIONS (1,), of which `lay` reads nothing that differs between environments with these.
        """
        road = scenario_of(scenario)
        self.num_maps = road.num_maps(level)
        self.maps = np.zeros(2 * self.num_maps, road.map_dtype(level))
        self._scenario = scenario
        self._level = level
        self._lock = Lock()
        self._frame = Frame(batch.FRAME)
        self._frame.set(
            maps=self.maps,
            num_maps=self.num_maps,
            worlds=np.zeros(1, road.world_dtype(level)),
            options=options.copy(),
            lay=batch.LAY.address_of(road.lay),
            scratch=np.zeros((1, 4 * self.maps["ground"].shape[1]), np.int32),
        )

    def numbers(self, level_seeds: Array) -> Array:
        """Which maps levels have, as `core.batch.map_number` finds them."""
        return np.asarray(level_seeds % TEST_SPLIT % self.num_maps + self.num_maps * (level_seeds >= TEST_SPLIT))

    def lay_drawn(self, split: str, num_levels: int | None) -> None:
        """Lay all that levels of a split may have, if only the first `num_levels` are drawn."""
        drawn = np.arange(min(num_levels or self.num_maps, self.num_maps))
        self.lay(drawn + (self.num_maps if split == "test" else 0))

    def lay(self, numbers: Array) -> None:
        """Lay those of the maps with these numbers that have not been."""
        with self._lock:
            for number in np.unique(numbers[self.maps["rows"][numbers] == 0]).tolist():
                is_whole = False
                try:
                    if not laying.lay_pool(self._frame.argument, number):
                        raise gym.error.Error(f"no road can be laid with {self._level}")
                    require_room(self._scenario, self.maps[number : number + 1])
                    is_whole = True
                finally:
                    if not is_whole:
                        self.maps["rows"][number] = 0  # refused: it is not there for whoever asks next


def require_room(scenario: str, maps: Array) -> None:
    """Refuse a map (1,) on which more can be reserved than a world has room for: kernels would write behind its record.

    Raises:
        ValueError: naming how much it is.
    """
    num_slots, room = int(maps["num_slots"][0]), scenario_of(scenario).num_slots
    if num_slots > room:
        raise ValueError(f"{scenario}.num_slots must be at least {num_slots}, got {room}")


@lru_cache(maxsize=8)
def _pool(scenario: str, level: LevelConfig, options: bytes) -> Pool:
    return Pool(scenario, level, np.frombuffer(options, OPTIONS))


def pool_of(scenario: str, level: LevelConfig, options: Array) -> Pool:
    """The pool of a scenario with such level options.

    Args:
        scenario: name in the registry.
        level: its level options.
        options: OPTIONS (1,) of an environment.
    """
    shared = np.zeros(1, OPTIONS)  # what `lay` reads: nothing else tells two pools apart
    for name in ("speed_limit", "level"):
        shared[name] = options[name]
    return _pool(scenario, level, shared.tobytes())
