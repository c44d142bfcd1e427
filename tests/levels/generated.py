"""Levels of the generators, as they are at tick 0 of an episode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from drivesim.config import EnvConfig
from drivesim.core.batch import DISABLED
from drivesim.engine import Engine
from drivesim.registry import entries, scenario_of

CASES = [
    (entry.name, difficulty, num_egos)
    for entry in entries()
    if scenario_of(entry.name).generates_levels()
    for difficulty in ("easy", "medium", "hard")
    for num_egos in ((1, 3, 8) if EnvConfig(scenario=entry.name).scenario_class.max_egos > 1 else (1,))
]
"""Scenario, difficulty and number of egos."""


def generated(scenario: str, difficulty: str, num_egos: int, num_levels: int) -> Iterator[tuple[Any, Any]]:
    """Maps and worlds, records, of the level seeds 0, 1, …."""
    engine = Engine(EnvConfig(scenario=scenario, difficulty=difficulty), num_levels, DISABLED, num_egos=num_egos)
    everywhere = np.ones(num_levels, np.bool_)
    engine.key_worlds(everywhere, list(range(num_levels)))
    engine.reset(everywhere, np.arange(num_levels), engine.empty_obs())
    return ((engine.map_of(i), engine.worlds[i]) for i in range(num_levels))
