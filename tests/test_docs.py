"""The documentation holds what it says: its pages are fresh, its code runs, its listings work, and it builds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from docs_blocks import run_block, run_page
from loading import load_script
from scenario_facts import MEASURED

from drivesim.config import RewardWeights
from drivesim.core.episode import EPISODE
from drivesim.observations.features import FEATURES
from drivesim.registry import ENTRIES, scenario_of

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts and "```python\n" in path.read_text(encoding="utf-8")
)
LISTING = re.compile(r"^```\{code-block\} python\n:caption: ([^\n]+)\n\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def build_docs(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")  # as Python does for a script, whose neighbours it imports
    return load_script("build_docs")


@pytest.fixture
def copy(tmp_path) -> Path:
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs, ignore=shutil.ignore_patterns("_build"))
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    return docs


# --- generated pages --------------------------------------------------------------------------------------------------


def test_the_pages_are_those_of_the_code(build_docs, capsys) -> None:
    assert build_docs.main(["--check"]) == 0, "stale: run python scripts/build_docs.py"
    assert capsys.readouterr().out.endswith(" pages, nothing has changed\n")


def test_stale_pages_are_named_and_made_fresh(build_docs, copy, capsys) -> None:
    for name, old, new in (
        ("environments/highway.md", "50 steps", "51 steps"),
        ("environments/index.md", "LaneKeep", "KeepLane"),
        ("rewards.md", "On arrival.", "On departure."),
        ("observations.md", "`lane_offset`", "`lane_onset`"),
        ("gallery.md", "`gallery/chicane`", "`gallery/chickens`"),
        ("../README.md", "60 steps", "61 steps"),
    ):
        page = (copy / name).resolve()
        fresh = page.read_text(encoding="utf-8")
        assert old in fresh
        page.write_text(fresh.replace(old, new), encoding="utf-8")
        assert build_docs.main(["--docs", str(copy), "--check"]) == 1
        assert str(page) in capsys.readouterr().err
        assert build_docs.main(["--docs", str(copy)]) == 0
        assert capsys.readouterr().out == f"written {page}\n"
        assert page.read_text(encoding="utf-8") == fresh


def test_missing_pages_and_pages_of_no_environment_are_stale(build_docs, copy, capsys) -> None:
    (copy / "environments" / "highway.md").unlink()
    (copy / "environments" / "railway.md").write_text("# Railway\n", encoding="utf-8")
    assert build_docs.main(["--docs", str(copy), "--check"]) == 1
    message = capsys.readouterr().err
    assert "highway.md" in message
    assert "railway.md" in message
    assert build_docs.main(["--docs", str(copy)]) == 0
    highway, railway = (copy / "environments" / f"{name}.md" for name in ("highway", "railway"))
    assert capsys.readouterr().out == f"written {highway}; removed {railway}\n"
    assert (copy / "environments" / "highway.md").exists()
    assert not (copy / "environments" / "railway.md").exists()


def test_a_place_for_a_table_that_is_not_closed_is_an_error(build_docs, copy, capsys) -> None:
    page = copy / "rewards.md"
    page.write_text(page.read_text(encoding="utf-8").replace("<!-- /weights -->", ""), encoding="utf-8")
    assert build_docs.main(["--docs", str(copy)]) == 2
    assert "weights" in capsys.readouterr().err


def test_a_place_for_a_table_that_the_readme_lacks_is_an_error(build_docs, copy, capsys) -> None:
    page = copy.parent / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("<!-- observations -->", "").replace("<!-- /observations -->", ""), encoding="utf-8")
    assert build_docs.main(["--docs", str(copy)]) == 2
    assert "observations" in capsys.readouterr().err


def test_a_page_shows_its_picture_as_soon_as_there_is_one(build_docs, copy) -> None:
    page, picture = copy / "environments" / "lane_keep.md", copy / "media" / "lane_keep.gif"
    picture.unlink(missing_ok=True)
    assert build_docs.main(["--docs", str(copy)]) == 0
    assert "lane_keep.gif" not in page.read_text(encoding="utf-8")
    picture.write_bytes(b"GIF89a")
    assert build_docs.main(["--docs", str(copy)]) == 0
    assert "](../media/lane_keep.gif)" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_page_of_an_environment_holds_all_its_numbers(entry) -> None:
    text = (DOCS / "environments" / f"{entry.module.rpartition('.')[2]}.md").read_text(encoding="utf-8")
    assert text.startswith("<!-- Generated by `python scripts/build_docs.py`")
    for weight in fields(RewardWeights):
        assert f"| `{weight.name}` | {weight.default:g} | " in text
    has_drivers = scenario_of(entry.name).generates_levels() and entry.id in MEASURED
    drivers = ("random", "rule-based", "PPO") if has_drivers else ()
    for driver in drivers:
        assert re.search(rf"^\| {driver} \| [\d.]+ % \(", text, flags=re.MULTILINE), driver


def test_a_scenario_without_results_has_a_page_without_a_table_of_drivers(build_docs) -> None:
    nothing = {"baselines": [], "runs": []}
    text = build_docs.environment_page(ENTRIES[0], nothing, DOCS)
    assert "## Drivers" not in text
    assert "## Version history" in text


# --- what is written by hand ------------------------------------------------------------------------------------------


def test_there_is_code_to_run() -> None:
    assert {"tutorials/first_driver.md", "determinism.md", "autoreset.md", "environments/highway.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_from_top_to_bottom_and_shows_what_it_says(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(DOCS / page)


def test_code_that_shows_something_else_than_it_says_is_noticed() -> None:
    run_block("x = 1\nx + 1  # -> 2\n", "page", 0, {})
    with pytest.raises(AssertionError, match="page, line 12: shows 2, the page says 3"):
        run_block("x = 1\nx + 1  # -> 3\n", "page", 10, {})
    with pytest.raises(AssertionError, match="nothing is shown"):
        run_block("x = 1  # -> 1\n", "page", 0, {})
    with pytest.raises(AssertionError, match="not checked"):
        run_block("for x in range(3):\n    x  # -> 0\n    pass\n", "page", 0, {})


def first_cells(text: str) -> set[str]:
    """All names in backticks in the first cells of a text's tables."""
    cells = re.findall(r"^\| ([^|]+) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_key_of_info_is_explained() -> None:
    text = (DOCS / "rewards.md").read_text(encoding="utf-8").partition("## What `info` tells")[2]
    assert first_cells(text) == set(EPISODE.names or ())


def test_every_name_of_a_feature_is_explained() -> None:
    text = (DOCS / "observations.md").read_text(encoding="utf-8")
    text = text.partition("<!-- /features -->")[2].partition('## `"full_grid"`')[0]
    names = {name.rpartition("/")[2] for name in FEATURES if not name.startswith(("around/", "bend_"))}
    assert names <= first_cells(text)
    assert first_cells(text) - names == {"control", "crosswalk"}  # groups


def listings() -> list[tuple[str, str]]:
    """Caption and content of every listing that tells how to extend the project."""
    return LISTING.findall((DOCS / "extending.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the packages with everything that the page on extending them adds."""
    root = tmp_path_factory.mktemp("extended")
    for package in ("drivesim", "agents"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for caption, content in listings():
        name, _, table = caption.partition(", in ")
        path = root / name
        if table:
            text = path.read_text(encoding="utf-8")
            opening = re.search(rf"^{table}\b[^=]*=\s*(?:Literal)?[\[({{]", text, flags=re.MULTILINE)
            assert opening, caption
            text = f"{text[: opening.end()]}\n{content}{text[opening.end() :]}"
            if name.startswith("agents/"):
                future = "from __future__ import annotations\n"
                text = text.replace(future, f"{future}from agents.plain_q import PlainQ, PlainQConfig\n", 1)
            path.write_text(text, encoding="utf-8")
        elif caption != "try it":
            path.write_text(content, encoding="utf-8")
    return root


@pytest.mark.parametrize("number", range(4))
def test_what_is_added_as_described_works(number, extended, tmp_path) -> None:
    code = [content for caption, content in listings() if caption == "try it"][number]
    # Plain Python: a changed package would have to be compiled anew.
    variables = os.environ | {"PYTHONPATH": str(extended), "NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the site ---------------------------------------------------------------------------------------------------------


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", DOCS, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > len(PAGES)
    loaded = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"'](?:https?:)?//[^\"']*")
    for name, text in pages.items():
        assert loaded.findall(text) == [], name
    for path in (tmp_path / "_static").rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", path.read_text("utf-8")), path.name
    for entry in ENTRIES:
        page = pages[f"environments/{entry.module.rpartition('.')[2]}.html"]
        assert "../api/environments.html#drivesim.env.DriveEnv" in page
        assert "../rewards.html#what-info-tells" in page
