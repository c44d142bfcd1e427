"""The command behind the table of best drives: it measures what is documented, and nothing twice."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from loading import SCRIPTS, load_script

from agents.regret import Compared, Drive
from agents.results import read_summary

DOCS = Path(__file__).parents[2] / "docs"
OVERTAKE = "drivesim/Overtake-v1"
FOUR_WAY_STOP = "drivesim/FourWayStop-v1"
SECONDS = ("mean_seconds", "max_seconds")


@pytest.fixture
def optimum(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports
    return load_script("optimum")


def test_what_is_documented_is_what_the_code_does(optimum) -> None:
    (documented,) = [row for row in read_summary(DOCS / "optimum.json")["records"] if row["env"] == OVERTAKE]
    (row,) = [row for row in optimum.ROWS if row.env_id == OVERTAKE]
    fresh = optimum.measured(row, optimum.Arguments.levels, optimum.BUDGET, num_threads=2)
    assert {name: value for name, value in fresh.items() if name not in SECONDS} == {
        name: value for name, value in documented.items() if name not in SECONDS
    }


def test_rows_are_measured_once_and_again_for_another_budget_or_other_levels(optimum, tmp_path, capsys) -> None:
    path = tmp_path / "optimum.json"

    def measured_for(env_id: str, levels: int, budget: int) -> int:
        arguments = ["--envs", env_id, "--levels", str(levels), "--budget", str(budget), "--num-threads", "1"]
        assert optimum.main([*arguments, "--summary", str(path)]) == 0
        return len(capsys.readouterr().out.splitlines())

    assert measured_for(FOUR_WAY_STOP, 2, 0) == 1
    assert measured_for(OVERTAKE, 2, 0) == 1
    assert measured_for(OVERTAKE, 2, 0) == measured_for(FOUR_WAY_STOP, 2, 0) == 0
    assert measured_for(OVERTAKE, 2, 1000) == 1
    assert measured_for(OVERTAKE, 3, 1000) == 1
    records = read_summary(path)["records"]
    assert [(row["env"], row["levels"], row["budget"]) for row in records] == [
        (OVERTAKE, 3, 1000),
        (FOUR_WAY_STOP, 2, 0),
    ]
    text = optimum.markdown(records)
    missing = text.partition("Not measured by this command yet: ")[2]
    assert "`drivesim/City-v1`" in missing
    assert OVERTAKE not in missing
    assert text.count(OVERTAKE) == text.count(FOUR_WAY_STOP) == 1


def test_an_interval_is_narrow_beside_what_the_driver_may_gain(optimum) -> None:
    driver, plan = Drive(1.0, 30, 0, True), Drive(1.9, 20, 0, True)
    assert optimum.is_narrow(Compared(0, driver, plan, 2.0, 0.0))
    assert not optimum.is_narrow(Compared(0, driver, plan, 2.01, 0.0))
    assert optimum.is_narrow(Compared(0, plan, plan, 1.9, 0.0))
