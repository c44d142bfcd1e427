"""The drawings in the docstrings of scenarios are levels."""

from __future__ import annotations

import inspect
import re

import pytest

from drivesim.core.batch import BY_POOL
from drivesim.levels.text import read, write
from drivesim.registry import entries, scenario_of


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_the_drawing_of_a_scenario_is_a_level_like_its_own(entry) -> None:
    scenario = scenario_of(entry.name)
    (drawing,) = re.findall(r"```text\n(.*?)```", inspect.getdoc(scenario) or "", re.DOTALL)
    level = read(drawing)
    assert level.num_egos == 1
    if scenario.generates_levels():  # given levels may have anything
        assert level.maps["speed_limit"][0] == scenario.speed_limit
        assert (level.maps["num_portals"][0] > 0) == scenario.has_portals
        num_junctions = level.maps["num_junctions"][0]
        assert num_junctions == scenario.num_junctions or (scenario.maps_by == BY_POOL and num_junctions > 0)
    assert read(write(level.maps[0], level.worlds[0])).maps.tobytes() == level.maps.tobytes()
