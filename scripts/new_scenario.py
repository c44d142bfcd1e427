"""Writes the skeleton of a scenario: a small road that can be driven, and an entry in every place that asks for one.

    .venv/bin/python scripts/new_scenario.py SnowPlough

The new file and the entries are yours to change; CONTRIBUTING.md tells how. What a scenario must bring is asked for by
tests/test_scenarios.py.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script

if __name__ == "__main__":
    begin_script()

import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

import tyro

from agents.command_line import status_of

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_suffix(".txt")
NAME = re.compile(r"(?:[A-Z][a-z]+)+")
TASK = "find the way between obstacles"
ENTRIES = (
    (
        "drivesim/registry.py",
        '    Entry("Custom", ',
        f'    Entry("$Name", 0, "drivesim.scenarios.$name", 100, 1.7, "{TASK}"),\n',
    ),
    (
        "agents/scripted/__init__.py",
        '    "Custom": ',
        '    "$Name": partial(RoadDriver, offset_cost=0.0, side_cost=0.05, shoulder_cost=0.3),\n',
    ),
    (
        "agents/presets.py",
        '    "drivesim/Custom-v1": {\n',
        '    "drivesim/$Name-v0": {\n        "ppo": Preset(_run(3_000_000), _PPO),\n    },\n',
    ),
    (
        "tests/scenario_facts.py",
        '    "Custom": Facts(\n',
        '    "$Name": Facts(\n        empty={"num_obstacles": 0},\n        near=8,\n'
        '        success=(0.000, 0.000, 1.000),\n        harder=("obstacles",),\n        is_measured=False,\n    ),\n',
    ),
    (
        "CHANGELOG.md",
        "### Added\n\n",
        f"- `drivesim/$Name-v0`: {TASK}.\n",
    ),
)
"""Of each table its file, the text at which a new entry goes in, and the entry.

It goes before the text, in the change log behind it.
"""
NEXT = """
.venv/bin/python scripts/update_golden.py --envs drivesim/$Name-v0
.venv/bin/python scripts/build_docs.py
make test ARGS='tests/test_scenarios.py -k $Name'
"""


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    name: tyro.conf.Positional[str]
    """Name of the scenario, in capitals and small letters: SnowPlough becomes drivesim/SnowPlough-v0."""


def written(name: str, root: Path) -> dict[Path, str]:
    """The new texts of all files that change.

    Args:
        name: of the scenario.
        root: folder of the project.

    Raises:
        ValueError: the name is of another form, or taken, or a table does not look as it is expected to.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"name must be of the form SnowPlough, got {name!r}")
    words = {"Name": name, "name": "_".join(re.findall(r"[A-Z][a-z]+", name)).lower()}
    if keyword.iskeyword(words["name"]):
        raise ValueError(f"name must give a module that can be imported, got {name!r}: {words['name']} is a keyword")
    path = root / "drivesim" / "scenarios" / f"{words['name']}.py"
    if path.exists():
        raise ValueError(f"name must be a new one, got {name!r}: {path} exists")
    texts = {path: Template(TEMPLATE.read_text(encoding="utf-8")).substitute(words)}
    for file, place, entry in ENTRIES:
        text = (root / file).read_text(encoding="utf-8")
        if place not in text:
            raise ValueError(f"{file} must hold {place!r}, at which the new entry goes in")
        before, _, after = text.partition(place)
        new = Template(entry).substitute(words)
        texts[root / file] = f"{before}{place}{new}{after}" if file.endswith(".md") else f"{before}{new}{place}{after}"
    return texts


def write(name: str) -> None:
    """Writes the file and the entries, and says what comes next."""
    for path, text in written(name, ROOT).items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    print(Template(f"\nnext:{NEXT}").substitute(Name=name), end="")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(lambda: write(tyro.cli(Arguments, args=arguments, description=__doc__).name), "interrupted")


if __name__ == "__main__":
    sys.exit(run_script(main))
