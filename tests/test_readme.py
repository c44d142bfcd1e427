"""The README holds what it says: its code runs, its tables are fresh, its links and commands lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scenario_facts import MEASURED

from agents.environments import generates_levels
from drivesim.registry import IDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
LARGEST_PICTURE = 1_000_000  # bytes


def test_there_is_code_to_run() -> None:
    assert len(PYTHON_BLOCKS) >= 3
    assert sum(line != "" for line in PYTHON_BLOCKS[0].splitlines()) == 10  # "in ten lines"


@pytest.mark.parametrize("number", range(len(PYTHON_BLOCKS)))
def test_every_python_block_runs_by_itself(number, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON_BLOCKS[number], f"README.md, block {number}", "exec"), {"__name__": "__main__"})


def test_every_environment_has_its_row_in_every_table() -> None:
    for name in ("environments", "observations", "results"):
        ((content),) = re.findall(f"<!-- {name} -->(.*?)<!-- /{name} -->", README, flags=re.DOTALL)
        raced = list(filter(generates_levels, MEASURED)) if name == "results" else list(IDS)
        assert re.findall(r"^\| `(drivesim/[^`]+)`", content, flags=re.MULTILINE) == raced, name


def test_every_local_link_and_every_named_file_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert "docs/media/drivers.gif" in links
    named = re.findall(r"`((?:drivesim|agents|scripts|tests)/[\w/.]*(?:\.py|/))`", README)
    for row in re.findall(r"^\| (`[^|]+`) \|", README, flags=re.MULTILINE):  # `drivesim/core/world.py`, `tick.py`
        first, *others = row.replace("`", "").split(", ")
        named += [f"{first.rpartition('/')[0]}/{other}" for other in others if "/" not in other]
    assert "drivesim/core/tick.py" in named
    assert [path for path in (*links, *named) if not (ROOT / path).exists()] == []


def test_pictures_are_small() -> None:
    for path in (ROOT / "docs" / "media").iterdir():
        assert path.stat().st_size < LARGEST_PICTURE, path
