"""The race against other libraries: what its clock counts, what its table says, and that it goes on where it was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from loading import SCRIPTS, load_script

from agents.results import read_summary

ROOT = SCRIPTS.parent
LANE_KEEP = "drivesim/LaneKeep-v1"
DASH = "\N{EN DASH}"


@pytest.fixture(autouse=True)
def neighbours(monkeypatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports


@pytest.fixture
def rivals() -> ModuleType:
    return load_script("rivals")


@pytest.fixture
def rivals_table() -> ModuleType:
    return load_script("rivals_table")


class FakeClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def process_time(self) -> float:
        return self.now

    perf_counter = process_time


def request(**changes: Any) -> dict[str, Any]:
    return {
        "env": LANE_KEEP,
        "options": {"observation": "features"},
        "first_level": 1_000_000,
        "levels": 4,
        "optimum_levels": 2,
        "optimum": 2.0,
        "interval": 10.0,
        "max_seconds": 35.0,
        "goals": {"95 %": [0, 0.95], "97 % of the optimum": [1, 0.97]},
        **changes,
    }


def test_the_clock_stands_while_the_driver_is_looked_at_and_the_first_rollout_counts_as_the_second(monkeypatch) -> None:
    entrant = load_script("rivals_entrant")
    clock = FakeClock()
    monkeypatch.setattr(entrant, "time", clock)
    reached = [(0.0, 0.0), (0.9, 0.98), (0.95, 0.5), (0.9, 0.5)]

    def drive(course: Any, act: Any) -> tuple[float, float]:
        clock.now += 1000.0
        return reached.pop(0)

    monkeypatch.setattr(entrant.Course, "drive", drive)
    watch = entrant.Watch(request(), lambda obs: obs)
    answers = []
    for number, seconds in enumerate((500.0, 2.0, 3.0, 4.0, 9.0, 20.0), 1):  # the first compiles
        clock.now += seconds
        answers.append(watch(8 * number))
    assert [look[1] for look in watch.looks] == [11.0, 40.0]  # 2 x 2 + 3 + 4, and on
    assert watch.cpu == watch.wall == 40.0
    assert watch.times == {"95 %": [48, 40.0, 40.0], "97 % of the optimum": [32, 11.0, 11.0]}
    assert answers == [True] * 5 + [False]


def test_a_run_ends_when_every_goal_was_reached(monkeypatch) -> None:
    entrant = load_script("rivals_entrant")
    monkeypatch.setattr(entrant.Course, "drive", lambda course, act: (1.0, 1.0))
    watch = entrant.Watch(request(interval=1e-9), lambda obs: obs)
    assert [watch(8), watch(16)] == [True, False]


def test_all_are_looked_at_as_the_projects_own_evaluation_does() -> None:
    from agents.baselines import make_baseline
    from agents.evaluation import first_drives
    from agents.presets import preset_for

    entrant = load_script("rivals_entrant")
    policy, choice = make_baseline("rule-based", preset_for(LANE_KEEP).train)
    course = entrant.Course(request(options=choice.options(), levels=20, optimum_levels=10))
    results = first_drives(policy, choice, range(1_000_000, 1_000_020), "test").results
    success, share = course.drive(policy)
    assert success == results["success"].mean()
    assert share == pytest.approx(results["episode_return"][:10].mean() / 2.0, abs=1e-12)
    actions = np.zeros(20, np.int64)
    assert course.drive(lambda obs: actions) != (success, share)


# --- the table --------------------------------------------------------------------------------------------------------


def run_of(
    entrant: str, seed: int, *times: float | None, share: float = 0.9, env: str = LANE_KEEP, is_ours: bool = False
) -> dict[str, Any]:
    goals = ("95 %", "99 %", "97 % of the optimum")
    return {
        "name": f"{entrant}__{seed}",
        "times": {goal: None if time is None else [1, time, 9.0] for goal, time in zip(goals, times, strict=True)},
        "best_share": share,
        "cpu_seconds": 60.0,
        "busy": 1.0,
        "versions": {"torch": "2"},
        "request": {
            "env": env,
            "entrant": entrant,
            "seed": seed,
            "max_seconds": 60.0,
            "interval": 2.0,
            "levels": 1000,
            "settings": None if entrant == "drivesim" else {"shared": is_ours},
        },
    }


def test_a_rival_is_worth_its_best_settings_and_the_ratio_is_that_of_the_best_rival(rivals_table) -> None:
    runs = [
        run_of("drivesim", 0, 4.0, 8.0, 10.0),
        run_of("drivesim", 1, 6.0, 12.0, 30.0),
        run_of("sb3", 0, 10.0, None, None),
        run_of("sb3", 0, 20.0, 30.0, None, is_ours=True),
        run_of("sb3", 1, 30.0, 50.0, None),
        run_of("sbx", 0, 15.0, None, None),
        run_of("sbx", 1, 45.0, None, 40.0),
    ]
    lines = rivals_table.markdown({"runs": runs, "search": []}).splitlines()
    assert lines[0] == "| id | drivesim | Stable-Baselines3 | SBX | the best rival's time, in ours |"
    cells = "5 / 10 / 20 | 20 / 40\N{DEGREE SIGN} / > 60 | 30 / > 60 / > 50 | 4.0 / 4.0 / > 2.5"
    assert lines[2] == f"| `drivesim/LaneKeep-v1` | {cells} |"


def test_what_ours_did_not_reach_is_a_bound_and_what_nobody_reached_is_none(rivals_table) -> None:
    runs = [run_of("drivesim", 0, 4.0, None, None), run_of("sb3", 0, 6.0, 30.0, None)]
    trial = run_of("sb3", 0, 3.0, None, None)
    trial["name"] = "search__sb3__4"
    elsewhere = run_of("sb3", 0, 1.0, 1.0, 1.0, env="drivesim/Merge-v1")
    elsewhere["name"] = "search__sb3__5"
    lines = rivals_table.markdown({"runs": runs, "search": [trial, elsewhere]}).splitlines()
    assert lines[2].endswith(f"| 4 / > 60 / > 60 | 3 / 30 / > 60 | 0.8 / < 0.5 / {DASH} |")
    assert "drivesim/Merge-v1" not in "".join(lines[:3])


def test_the_best_settings_are_those_that_earn_most_and_not_those_that_creep_to_the_goal(rivals_table) -> None:
    creeps, earns = run_of("sb3", 0, 1.0, 2.0, None, share=0.5), run_of("sb3", 0, None, None, None, share=0.6)
    assert rivals_table.best_of([creeps, earns, creeps]) is earns
    soon, later = run_of("sb3", 0, 9.0, 9.0, 9.0), run_of("sb3", 0, 1.0, 2.0, 10.0, share=0.99)
    assert rivals_table.best_of([creeps, later, soon, earns]) is soon


def test_the_documented_table_is_what_was_measured(rivals_table) -> None:
    summary = read_summary(ROOT / "docs" / "rivals.json")
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert f"<!-- rivals -->\n{rivals_table.markdown(summary)}\n<!-- /rivals -->" in page
    assert {run["request"]["entrant"] for run in summary["runs"]} == set(rivals_table.NAMES)
    for run in summary["runs"]:  # the times follow from the looks
        for goal, (which, least) in rivals_table.GOALS.items():
            reached = [look for look in run["looks"] if look[3 + which] >= least]
            assert run["times"][goal] == (reached[0][:3] if reached else None)
            assert run["request"]["goals"][goal] == [which, least]
        assert run["request"]["levels"] == 1000


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--envs", "drivesim/Nowhere-v1"], "envs must be"),
        (["--envs", "drivesim/Autodrive-v1"], "envs must be"),  # its preset sees a grid
        (["--levels", "10"], "levels must be at least 200"),
        (["--max-seconds", "0"], "max_seconds must be positive"),
        (["--trials", "0"], "trials must be at least 1"),
        (["--seeds", "-1"], "seeds must be"),
        (["--table", "--out", "nowhere"], "holds no finished run"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_in_one_line(rivals, words, said, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert rivals.main(words) == 2
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert said in printed.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def asked(rivals, monkeypatch) -> list[dict[str, Any]]:
    """Answers requests without training, and keeps them; with less than 50 s nobody gets to the last goal."""
    requests: list[dict[str, Any]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        requests.append(json.loads(command[-1]))
        record = run_of("sb3", 0, 5.0, 6.0, 7.0 if requests[-1]["max_seconds"] >= 50 else None)
        told = {name: record[name] for name in ("times", "best_share", "cpu_seconds", "busy", "versions")}
        told |= {"best_success": 1.0, "steps": 8, "looks": []}
        return subprocess.CompletedProcess(command, 0, stdout=f"words of a library\n{json.dumps(told)}\n")

    monkeypatch.setattr(rivals.subprocess, "run", run)
    return requests


def test_a_race_goes_on_where_it_was_and_refuses_runs_of_other_settings(rivals, asked, tmp_path, capsys) -> None:
    words = ["--envs", LANE_KEEP, "--out", str(tmp_path), "--trials", "2", "--max-seconds", "40"]
    words += ["--trial-seconds", "40"]
    assert rivals.main([*words, "--entrants", "drivesim"]) == 0
    assert [request["entrant"] for request in asked] == ["drivesim"]
    assert rivals.main([*words, "--entrants", "drivesim", "single-file", "--settings", "tuned"]) == 0
    assert [request["entrant"] for request in asked[1:]] == ["single-file"] * 3  # two trials, one run
    assert asked[3]["settings"] in (asked[1]["settings"], asked[2]["settings"])
    assert rivals.main([*words, "--entrants", "drivesim", "single-file", "--settings", "tuned"]) == 0
    assert len(asked) == 4
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert rivals.main([*words, "--entrants", "drivesim", "--interval", "3"]) == 2
    assert "was made with other settings" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert rivals.main([*words, "--table", "--summary", str(tmp_path / "all.json")]) == 0
    summary = read_summary(tmp_path / "all.json")
    assert [record["name"] for record in summary["search"]] == ["search__single-file__0", "search__single-file__1"]
    assert len(summary["runs"]) == 2
    assert len(asked) == 4


@pytest.mark.slow
def test_a_quick_race_without_other_libraries_works(rivals, tmp_path, capsys) -> None:
    words = ["--quick", "--envs", LANE_KEEP, "--out", str(tmp_path), "--levels", "200", "--settings", "preset"]
    assert rivals.main([*words, "--entrants", "drivesim", "single-file"]) == 0
    printed = capsys.readouterr().out
    assert "LaneKeep-v1__drivesim__preset__0: " in printed
    assert "LaneKeep-v1__single-file__preset__0: " in printed
    assert "| id | drivesim | single file |" in printed


def test_a_rival_that_cannot_be_installed_is_left_out_with_a_line(rivals, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(rivals, "ROOT", tmp_path)
    asked: list[list[str]] = []

    def fail(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(rivals.subprocess, "run", fail)
    assert rivals.python_of("sb3") is None
    assert rivals.python_of("single-file") == Path(rivals.sys.executable)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("sb3 is left out, ")
    assert "pip install" in last
    assert asked[0][1:3] == ["-m", "venv"]


def test_trials_and_runs_need_not_be_longer_than_the_best_that_reached_everything(rivals) -> None:
    whole, part = run_of("sb3", 0, 5.0, 7.0, 6.0), run_of("sb3", 0, 1.0, 2.0, None)
    assert rivals.limit([], 60.0) == rivals.limit([part], 60.0) == 60.0
    assert rivals.limit([part, whole], 60.0) == 7.0


def test_every_rival_tries_the_projects_own_preset_first(rivals) -> None:
    arguments = rivals.Arguments(trials=5)
    tried = rivals.candidates(arguments)
    assert len(tried) == 5
    assert tried == rivals.candidates(arguments)
    assert tried[0] == rivals.preset_settings(LANE_KEEP)
    assert (tried[0]["num_envs"], tried[0]["batch_size"], tried[0]["annealed_over"]) == (1024, 4096, 3_000_000)
    assert len({json.dumps(settings) for settings in tried}) == 5
    for settings in tried:
        assert settings["num_envs"] * settings["num_steps"] % settings["batch_size"] == 0


def test_a_run_is_made_again_only_where_more_time_may_tell_more(rivals, asked, tmp_path) -> None:
    for seconds in (20.0, 20.0, 10.0, 50.0, 90.0):
        record = rivals.made(tmp_path, "run__0", request(max_seconds=seconds), Path("python"))
    assert [request["max_seconds"] for request in asked] == [20.0, 50.0]
    assert record["request"]["max_seconds"] == 50.0
    with pytest.raises(ValueError, match="other settings"):
        rivals.made(tmp_path, "run__0", request(seed=1), Path("python"))
