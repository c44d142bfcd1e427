"""A scenario brings what it must; whoever adds one is told by this one test, in one message for each thing missing."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import scenario_contract
from scenario_contract import ROOT, missing
from scenario_facts import FACTS

from agents import scripted
from drivesim.registry import ENTRIES, entry_of, scenario_of

ENTRY = entry_of("LaneKeep")
CODE = ("drivesim", "agents", "scripts", "tests")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_scenario_brings_all_that_it_must(entry) -> None:
    messages = missing(entry)
    assert not messages, "\n" + "\n".join(messages)


# --- each thing that can be missing -------------------------------------------------------------------------------


def without(text: str, part: str, instead: str = "") -> str:
    assert part in text
    return text.replace(part, instead)


DOCSTRINGS = [
    ("## Info\n", "## Information\n", ["no section `## Info`", "no such section in others as `## Information`"]),
    ("`E0` the ego", "`E0` a car", ["in the drawing `E0` is the ego"]),
    ("```text\n", "```\n", ["a level drawn as text"]),
    ("`Discrete(5)`", "five", ["name the space, `Discrete(5)`"]),
    ("| 3   | FASTER |", "| 3   | QUICKER |", ["the rows 0 LEFT, 1 IDLE, 2 RIGHT, 3 FASTER, 4 SLOWER"]),
    ("at most 5", "at most 4", ["`speed + 1, at most 5`"]),
    ("(default): `Box(0,", "(default): `Box(1,", ['the default space is `observation="grid"` (default): `Box(0, 255']),
    ("(default): `Box(", "of `Box(", ["it must name the default space"]),
    ("12 cells ahead", "13 cells ahead", ["the window has 12 cells ahead, not 13"]),
    ("- 0.4 over", "- 0.5 over", ["it is 0.4 and not 0.5"]),
    ("after 100 steps", "after 99 steps", ["`Truncation: after 100 steps.`"]),
    ("2. Termination: ", "2. ", ["each line of the list must be"]),
    ("| `length` ", "| `width` ", ["the table must have the rows difficulty, length"]),
    ("* v1:", "* v2:", ["a line for every version from `* v1:`"]),
]


@pytest.mark.parametrize(("part", "instead", "said"), DOCSTRINGS, ids=[case[2][0] for case in DOCSTRINGS])
def test_a_docstring_that_says_something_else_is_told_where_and_what(part, instead, said, monkeypatch) -> None:
    scenario = scenario_of("LaneKeep")
    monkeypatch.setattr(scenario, "__doc__", without(inspect.getdoc(scenario), part, instead))
    messages = list(scenario_contract.docstring(ENTRY, ROOT))
    assert len(messages) == len(said)
    for part_of_it in said:
        assert any(part_of_it in message for message in messages), messages
    assert all(message.startswith("drivesim.scenarios.lane_keep, docstring of LaneKeep") for message in messages)


def texts(folder: Path) -> Path:
    """A copy of the texts in which a scenario leaves its mark."""
    for name in ("README.md", "CHANGELOG.md", "tests/golden.json", "docs/results.json", "docs/difficulty.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "docs" / "environments", folder / "docs" / "environments")
    return folder


def edit(name: str, part: str, instead: str = "") -> Callable[[Path, pytest.MonkeyPatch], None]:
    """Changes a file of a copy."""

    def do(root: Path, _: pytest.MonkeyPatch) -> None:
        path = root / name
        path.write_text(without(path.read_text(encoding="utf-8"), part, instead), encoding="utf-8")

    return do


def forget(module: ModuleType, table: str, key: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    """Takes an entry out of a module's table."""

    def do(_: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, table, {name: value for name, value in getattr(module, table).items() if name != key})

    return do


ALIKE = [0] * scenario_contract.NUM_LEVELS
PIECES: list[tuple[str, Callable[[Path, pytest.MonkeyPatch], object]]] = [
    ("DRIVERS has no entry", forget(scripted, "DRIVERS", "LaneKeep")),
    ("PRESETS has no entry", forget(scenario_contract, "PRESETS", ENTRY.id)),
    ("FACTS has no entry", forget(scenario_contract, "FACTS", "LaneKeep")),
    (
        "run .venv/bin/python scripts/update_golden.py --envs drivesim/LaneKeep-v1",
        edit("tests/golden.json", ENTRY.id, "other"),
    ),
    ("lane_keep.md: there is no such page", lambda root, _: (root / "docs/environments/lane_keep.md").unlink()),
    ("index.md: no row of LaneKeep", edit("docs/environments/index.md", "[LaneKeep]")),
    ("in the table of environments", edit("README.md", "| `drivesim/LaneKeep-v1` | follow")),
    ("in the table of observations", edit("README.md", "| `drivesim/LaneKeep-v1` | uint8")),
    ("CHANGELOG.md: not a word", edit("CHANGELOG.md", "drivesim/LaneKeep-v")),
    ("results.json: no figures", edit("docs/results.json", '"agent": "never steers"', '"agent": "always steers"')),
    ("difficulty.json: no figures", edit("docs/difficulty.json", ENTRY.id, "other")),
    ("must be drivesim.scenarios.lane_keep", lambda *_: None),
    ("has the number of another id", lambda _, patch: patch.setattr(scenario_contract, "ENTRIES", [*ENTRIES, ENTRY])),
    ("of 100 easy levels only 1 differ", lambda _, patch: patch.setattr(scenario_contract, "LEVEL_SEEDS", ALIKE)),
]


@pytest.mark.parametrize(("said", "take"), PIECES, ids=[said for said, _ in PIECES])
def test_a_piece_that_is_missing_is_told_in_one_message(said, take, tmp_path, monkeypatch) -> None:
    entry = replace(ENTRY, module="drivesim.scenarios.custom") if "must be" in said else ENTRY
    root = texts(tmp_path)
    take(root, monkeypatch)
    checks = [check for check in scenario_contract.CHECKS if "levels" in said or check.__name__ != "different_levels"]
    if "must be" in said:
        checks = [scenario_contract.in_the_registry]
    found = [message for check in checks for message in check(entry, root)]
    assert any(said in message for message in found), found
    assert len(found) == (3 if "levels" in said else 1), found


def test_who_has_no_figures_yet_may_say_so(tmp_path, monkeypatch) -> None:
    root = texts(tmp_path)
    edit("docs/difficulty.json", ENTRY.id, "other")(root, monkeypatch)
    monkeypatch.setitem(FACTS, "LaneKeep", replace(FACTS["LaneKeep"], is_measured=False))
    assert not list(scenario_contract.measurements(ENTRY, root))


def test_who_has_no_rule_based_driver_says_so(monkeypatch) -> None:
    monkeypatch.setitem(scripted.DRIVERS, "LaneKeep", None)
    assert not list(scenario_contract.a_driver(ENTRY, ROOT))


# --- the walk of CONTRIBUTING.md ----------------------------------------------------------------------------------


OF_ALL_IDS = (
    "tests/test_readme.py::test_every_environment_has_its_row_in_every_table",
    "tests/test_statements.py::test_numbers_in_words_are_those_of_the_code",
    "tests/agents/test_regret.py::test_runs_end_at_shares_of_the_optimum_that_was_measured",
    "tests/scripts/test_difficulty.py::test_every_difficulty_of_every_scenario_is_documented",
    "tests/scripts/test_make_media.py::test_every_road_is_in_the_film_of_all",
    "tests/scripts/test_solvable.py::test_every_held_out_level_that_was_tried_can_be_solved_and_nobody_was_above_a_bound",
)
"""Tests that compare all ids with what was measured; a new scenario has no figures yet."""


class Copy:
    """A copy of the project, in which commands run in the plain interpreter: a changed package is compiled anew.

    They read records the quick way, see `tests/soak/quick_records.py`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in CODE:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "media"))
        shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("_build", "media"))
        for name in ("README.md", "CHANGELOG.md", "pyproject.toml"):
            shutil.copy(ROOT / name, root / name)
        self.quick = root / "quick"
        self.quick.mkdir()
        (self.quick / "sitecustomize.py").write_text("import quick_records\n", encoding="utf-8")
        shutil.copy(ROOT / "tests" / "soak" / "quick_records.py", self.quick)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A line of a shell, with this interpreter."""
        path = f"{self.root}{os.pathsep}{self.quick}"
        variables = os.environ | {"PYTHONPATH": path, "NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1"}
        command = re.sub(r"^make test ARGS='(.*)'$", r".venv/bin/python -m pytest \1", command)
        words = [sys.executable if word == ".venv/bin/python" else word for word in command.split()]
        return subprocess.run(words, cwd=self.root, env=variables, capture_output=True, text=True, check=False)

    def contract(self, *others: str) -> subprocess.CompletedProcess[str]:
        """The one test, and others."""
        tests = ["tests/test_scenarios.py::test_a_scenario_brings_all_that_it_must[SnowPlough]", *others]
        return self.run(f".venv/bin/python -m pytest -q -p no:cacheprovider {' '.join(tests)}")

    def edit(self, name: str, pattern: str) -> None:
        """Takes something away."""
        path = self.root / name
        text, count = re.subn(pattern, "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert count == 1, pattern
        path.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_whoever_follows_the_page_on_contributing_has_a_whole_scenario(tmp_path) -> None:
    project = Copy(tmp_path)
    block = re.search(
        r"```\n(\.venv/bin/python scripts/new_scenario\.py SnowPlough\n.*?)```",
        (ROOT / "CONTRIBUTING.md").read_text(),
        re.DOTALL,
    )
    assert block is not None
    for command in block[1].splitlines():
        done = project.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert project.run(".venv/bin/python scripts/build_docs.py --check").returncode == 0
    assert project.run(".venv/bin/python -m ruff check drivesim agents tests").returncode == 0
    assert project.run(".venv/bin/python -m ruff format --check drivesim agents tests").returncode == 0
    done = project.contract(*OF_ALL_IDS)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    project.edit("agents/scripted/__init__.py", '    "SnowPlough": [^\n]*\n')
    project.edit("tests/scenario_facts.py", '    "SnowPlough": .*?\n    \\),\n')
    project.edit("drivesim/scenarios/snow_plough.py", "    ## Info\n")
    done = project.contract()
    assert done.returncode == 1
    for said in ('DRIVERS has no entry "SnowPlough"', 'FACTS has no entry "SnowPlough"', "no section `## Info`"):
        assert said in done.stdout
    assert "3 errors" not in done.stdout  # of other tests while they are collected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("snow_plough", "of the form SnowPlough"),
        ("LaneKeep", "exists"),
        ("../Evil", "of the form"),
        ("A", "of the form"),
        ("Class", "class is a keyword"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_a_line(name, said) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "new_scenario.py", name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
