"""What pages say of the code in words and numbers is what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from loading import load_script
from scenario_facts import MEASURED

from agents.environments import generates_levels
from agents.presets import preset_for
from agents.run_config import TrainConfig
from drivesim.levels.library import GALLERY
from drivesim.rendering import RENDER_FPS

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = {13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen"}


def page(name: str) -> str:
    """A page as one line."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_one_default_agent_everywhere() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (agent,) = re.findall(r"^AGENT = (\w+)$", makefile, flags=re.MULTILINE)
    (env,) = re.findall(r"^ENV = (\S+)$", makefile, flags=re.MULTILINE)
    assert (agent, env) == (TrainConfig.agent, TrainConfig.env)
    train, tune = load_script("train"), load_script("tune")
    assert tune.Arguments.agent == preset_for(env).train.agent == train.parse([]).train.agent == agent
    assert train.parse([]).train.env == tune.Arguments.env == env
    assert f"by default {agent.upper()} on `{env}`" in page("docs/getting_started.md")


def test_getting_started_knows_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
    table = text.partition("The further extras")[2].partition("\n\n")[2].partition("\n\n")[0]
    named = {
        name for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert named | {"agents"} == set(project["optional-dependencies"])
    assert ".[agents]'" in text


def test_the_watching_page_has_the_tick_rates_of_the_window() -> None:
    play = load_script("play")
    own, others = play.HUMAN_TICKS_PER_SECOND, play.WATCHING_TICKS_PER_SECOND
    assert others == RENDER_FPS
    assert f"ticks {RENDER_FPS} times a second in a window, {own:g} times where you drive yourself" in page(
        "docs/watching.md"
    )
    assert f"by default {own:g} for you and {others:g} for others" in (ROOT / "scripts/play.py").read_text(
        encoding="utf-8"
    )


def test_the_caption_of_the_film_says_who_drives_in_it() -> None:
    make_media = load_script("make_media")
    drivers = json.loads((ROOT / "docs" / "media" / "drivers.json").read_text(encoding="utf-8"))
    content = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- film -->\n")[2]
    assert content.partition("\n<!-- /film -->")[0] == make_media.caption(drivers)


def test_the_default_agent_learns_every_road_in_as_long_as_the_pages_say() -> None:
    runs = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))["runs"]
    learnt = [run["seconds_to_95"] for run in runs if run["agent"] == TrainConfig.agent]
    assert len(learnt) >= sum(map(generates_levels, MEASURED))
    assert max(learnt) < 150, "a minute or two"
    assert "learn to drive in it in a minute or two" in page("README.md")


@pytest.mark.parametrize(
    ("name", "statement", "number"),
    [
        ("README.md", "cuts that into {} kinds of roads", sum(map(generates_levels, MEASURED))),
        ("docs/tutorials/drawing_levels.md", "has {} levels that come with the package", len(GALLERY)),
    ],
)
def test_numbers_in_words_are_those_of_the_code(name, statement, number) -> None:
    assert statement.format(NUMBERS[number]) in page(name)


def test_integrations_are_tested_with_the_versions_that_pages_name() -> None:
    """Every requirement is a pin, and pins are what the README's table and the libraries' own pages say."""
    pins: dict[str, set[str]] = {}
    for path in (ROOT / "tests" / "integrations").glob("*/requirements*.txt"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        for line in lines:
            pinned = re.fullmatch(r"([\w-]+)(?:\[\w+\])?==([\d.]+)", line)
            assert pinned, f"{path}: {line}"
            major, minor, *patch = pinned[2].split(".")
            pins.setdefault(pinned[1], set()).add(".".join([major, minor, *(patch or "0")]))
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n| library | tested with |")[2]
    of_name = {"SBX": "sbx-rl", "RLlib": "ray"}
    named = set()
    for row in table.partition("\n\n")[0].splitlines()[2:]:
        names, versions = (cell.strip().split(", ") for cell in row.split("|")[1:3])
        packages = [of_name.get(name, name.lower()) for name in names]
        if set(packages) <= set(pins):
            told = [{each} for each in versions] if len(names) > 1 else [set(versions)]
            assert told == [pins[package] for package in packages], row
            named |= set(packages)
    assert {"gymnasium", "pettingzoo", "ray", "torchrl", "rl_zoo3"} <= named
    for path in (ROOT / "docs" / "integrations").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        library = re.match(r"# (\w+)", text)[1].lower()
        said = re.findall(rf"(?:tried with|\b{library}(?:==| ))\s*(\d+\.\d+\.\d+)", text, flags=re.IGNORECASE)
        assert set(said) <= pins.get(library, set(said)), path


def test_pages_on_libraries_install_this_checkout_and_not_what_an_index_calls_so() -> None:
    for path in (ROOT / "docs" / "integrations").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        lines = re.findall(r"^pip install (.*)$", text, flags=re.MULTILINE)
        assert [line for line in lines if not re.match(r"-e ('\.\[[\w,]+\]'|\.)( |$)|--no-deps ", line)] == [], path
