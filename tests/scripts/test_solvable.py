"""Every documented level has a drive that arrives, no drive is above its bound, and the command counts what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loading import SCRIPTS, load_script
from scenario_facts import MEASURED

from agents.baselines import make_baseline
from agents.environments import EnvChoice, generates_levels
from agents.results import BASELINES, read_summary
from drivesim.config import DIFFICULTIES
from drivesim.planning import solve

DOCS = Path(__file__).parents[2] / "docs"
FOUR_WAY_STOP = "drivesim/FourWayStop-v1"
FIRST = 1_000_000


@pytest.fixture
def solvable(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports
    return load_script("solvable")


def only_random(env_id: str, difficulty: str, runs: list[Path]) -> Any:
    yield "rule-based", *make_baseline("random", EnvChoice(env_id, difficulty=difficulty))


def test_every_held_out_level_that_was_tried_can_be_solved_and_nobody_was_above_a_bound() -> None:
    records = read_summary(DOCS / "solvable.json")["records"]
    wanted = {(env_id, level) for env_id in filter(generates_levels, MEASURED) for level in DIFFICULTIES}
    assert {(record["env"], record["difficulty"]) for record in records} == wanted
    bounded = {record["env"] for record in records if record["bound"] is not None}
    assert bounded == {env_id for env_id, _ in wanted}
    for record in records:
        assert record["episodes"] == 1000
        assert record["unsolved"] == []
        assert sum(record["first_by"].values()) == 1000
        assert set(record["first_by"]) > {*BASELINES, "planner"}, "runs drive as well"
        if record["bound"] is not None:
            assert record["bound"]["drives"] == 1000 * (len(record["first_by"]) - 1)
            assert record["bound"]["above"] == 0
            assert record["bound"]["least_gap"] >= -1e-9


def test_what_is_documented_is_what_the_code_does(solvable) -> None:
    (documented,) = [
        record
        for record in read_summary(DOCS / "solvable.json")["records"]
        if (record["env"], record["difficulty"]) == (FOUR_WAY_STOP, "hard")
    ]
    fresh = solvable.measured(FOUR_WAY_STOP, "hard", solvable.Arguments(), [])
    assert fresh["unsolved"] == documented["unsolved"]
    assert fresh["first_by"]["rule-based"] == documented["first_by"]["rule-based"]


def test_the_planner_solves_what_drivers_do_not_and_what_nobody_does_is_named(solvable, monkeypatch) -> None:
    monkeypatch.setattr(solvable, "drivers_of", only_random)
    arguments = solvable.Arguments(episodes=3)
    record = solvable.measured(FOUR_WAY_STOP, "easy", arguments, [])
    assert (record["first_by"], record["unsolved"]) == ({"rule-based": 0, "planner": 3}, [])
    assert "100.0 % (0 + 0 + 3)" in solvable.markdown([record])
    monkeypatch.setattr(solvable, "is_solvable", lambda env, seed: seed != FIRST)
    record = solvable.measured(FOUR_WAY_STOP, "easy", arguments, [])
    assert (record["first_by"]["planner"], record["unsolved"]) == (2, [FIRST])
    text = " ".join(solvable.markdown([record]).split())
    assert "Solved in all: 2 of 3." in text
    missing = text.partition("Not measured by this command yet: ")[2]
    assert "`drivesim/City-v1`" in missing
    assert FOUR_WAY_STOP not in missing
    assert "what is \N{EN DASH} in the table" in missing
    assert f"Nobody arrived in `{FOUR_WAY_STOP}`, easy, seed 1,000,000." in text


def test_a_drive_above_its_bound_is_counted(solvable, monkeypatch) -> None:
    monkeypatch.setattr(solvable, "drivers_of", only_random)
    arguments = solvable.Arguments(episodes=2)
    bound = solvable.measured(FOUR_WAY_STOP, "medium", arguments, [])["bound"]
    assert (bound["drives"], bound["above"]) == (2, 0)
    monkeypatch.setattr(solvable, "solve", lambda env, budget: replace(solve(env, budget=budget), upper=-3.0))
    bound = solvable.measured(FOUR_WAY_STOP, "medium", arguments, [])["bound"]
    assert (bound["drives"], bound["above"]) == (2, 2)
    assert bound["least_gap"] < -1


def test_rows_are_measured_once_and_again_for_other_levels_or_a_new_run(solvable, monkeypatch, tmp_path) -> None:
    path = tmp_path / "solvable.json"
    measured = []
    monkeypatch.setattr(solvable, "drivers_of", only_random)

    def noted(env_id: str, difficulty: str, arguments: Any, runs: list[Path]) -> dict[str, Any]:
        measured.append(difficulty)
        by = {"rule-based": arguments.episodes, "planner": 0} | {run.name: 0 for run in runs}
        bound = {"drives": 2, "above": 0, "at_bound": 1, "least_gap": 0.0} if difficulty == "medium" else None
        return {
            "env": env_id,
            "difficulty": difficulty,
            "episodes": arguments.episodes,
            "first_by": by,
            "unsolved": [],
            "bound": bound,
        }

    monkeypatch.setattr(solvable, "measured", noted)
    common = ["--envs", FOUR_WAY_STOP, "--summary", str(path)]
    assert solvable.main([*common, "--episodes", "2", "--difficulties", "medium", "easy"]) == 0
    assert solvable.main([*common, "--episodes", "2"]) == 0
    assert measured == ["medium", "easy", "hard"]
    assert [record["difficulty"] for record in read_summary(path)["records"]] == list(DIFFICULTIES)
    run = tmp_path / "runs" / "FourWayStop-v1__ppo__0"
    run.mkdir(parents=True)
    assert solvable.main([*common, "--episodes", "2", "--runs", str(run.parent)]) == 0
    assert len(measured) == 3, "a run without a record is not finished"
    run.with_name(f"{run.name}.json").write_text("{}")
    assert solvable.main([*common, "--episodes", "2", "--runs", str(run.parent), "--difficulties", "easy"]) == 0
    assert solvable.main([*common, "--episodes", "3", "--difficulties", "hard"]) == 0
    assert measured[3:] == ["easy", "hard"]
