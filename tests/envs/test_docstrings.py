"""The pages of the documentation are the scenarios' docstrings: their sections and numbers are those of the code."""

from __future__ import annotations

import ast
import inspect
import re

import gymnasium as gym
import numpy as np
import pytest

from drivesim.actions import Action
from drivesim.config import RewardWeights
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, scenario_of

SECTIONS = [
    *("Description", "Actions", "Observations", "Rewards", "Starting state", "Episode end", "Info", "Arguments"),
    "Version history",
]
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def section(entry, name: str) -> str:
    """The text of one section of a scenario's docstring."""
    text = inspect.getdoc(scenario_of(entry.name)) or ""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name]


def rows(table: str) -> list[list[str]]:
    """The rows of a Markdown table without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@each_entry
def test_every_scenario_has_all_sections_in_their_order(entry) -> None:
    text = inspect.getdoc(scenario_of(entry.name)) or ""
    found = [name for name in re.findall(r"^## (.+)$", text, flags=re.MULTILINE) if name != "References"]
    assert found == SECTIONS
    assert text.splitlines()[0].endswith(".")
    assert "`E0` the ego" in " ".join(section(entry, "Description").split()), "a picture shows where the ego is"


@each_entry
def test_the_actions_in_the_text_are_the_live_ones(entry) -> None:
    text = section(entry, "Actions")
    space = gym.make(entry.id).action_space
    assert f"`Discrete({space.n})`" in text
    names = [(int(row[0]), row[1]) for row in rows(text)]
    assert names == list(enumerate(scenario_of(entry.name).actions))
    assert {name for _, name in names} <= {action.name for action in Action}
    top_speed = scenario_of(entry.name).top_speed
    assert f"speed + 1, at most {top_speed}" in text


@each_entry
def test_the_box_in_the_text_is_the_live_default_space(entry) -> None:
    text = section(entry, "Observations")
    name, low, high, shape, dtype = re.search(
        r'observation="(\w+)"` \(default\):\s+`Box\((\S+), (\S+), (\(.+?\)), (\w+)\)`', text
    ).groups()
    assert name == scenario_of(entry.name).observation
    space = gym.make(entry.id).observation_space
    assert space == gym.spaces.Box(float(low), float(high), ast.literal_eval(shape), np.dtype(dtype))
    assert space == gym.make(entry.id, observation=name).observation_space
    for window, attribute in ((r"(\d+) cells ahead", "ahead"), (r"(\d+)\s+behind", "behind")):
        for number in re.findall(window, text):
            assert int(number) == getattr(scenario_of(entry.name).window, attribute)


@each_entry
def test_the_time_limit_in_the_text_is_the_registered_one(entry) -> None:
    ends = section(entry, "Episode end")
    kinds = re.findall(r"^\d\. (Termination|Truncation): (.+)\.$", ends, flags=re.MULTILINE)
    assert len(kinds) == len([line for line in ends.splitlines() if re.match(r"\d\.", line)])
    assert [text for kind, text in kinds if kind == "Truncation"] == [f"after {entry.max_episode_steps} steps"]


def stated_defaults(text: str) -> dict[str, int]:
    """`"6 easy, 12 medium, 18 hard"` or `"100"` as the value for each difficulty."""
    if re.fullmatch(r"\d+", text):
        return dict.fromkeys(("easy", "medium", "hard"), int(text))
    return {difficulty: int(value) for value, difficulty in re.findall(r"(\d+) (easy|medium|hard)", text)}


@each_entry
def test_the_arguments_in_the_text_are_the_presets(entry) -> None:
    scenario = scenario_of(entry.name)
    table = {row[0].strip("`"): row[1:] for row in rows(section(entry, "Arguments"))}
    assert list(table) == ["difficulty", *scenario.config.__dataclass_fields__]
    kind, default, _, _ = table.pop("difficulty")
    assert kind == "str"
    assert default == '`"medium"`'
    assert gym.make(entry.id).unwrapped.config.difficulty == "medium"
    for name, (kind, default, unit, _) in table.items():
        assert kind == "int"
        assert unit
        assert stated_defaults(default) == {
            difficulty: getattr(preset, name) for difficulty, preset in scenario.presets.items()
        }


@each_entry
def test_the_factors_and_limits_in_the_reward_section_are_the_default_weights(entry) -> None:
    text = " ".join(section(entry, "Rewards").split())
    weights = RewardWeights()
    for pattern, weight in (
        (r"times ([\d.]+) on the shoulder", weights.shoulder_factor),
        (r"times ([\d.]+) above the speed limit", weights.speeding_factor),
        (r"times ([\d.]+) when the acceleration changes by 2", weights.harsh_factor),
        (r"- ([\d.]+) (?:on crossing|across) a lane's boundary", -weights.lane_change),
        (r"- ([\d.]+) over the whole time limit", -weights.time),
        (r"down to ([\d.]+) on its edge", weights.offset_factor),
        (r"\+ ([\d.]+) (?:on arrival|for covering it)", weights.arrived),
        (r"- ([\d.]+) (?:on a collision|for leaving the road)", -weights.collision),
        (r"- ([\d.]+) for entering the junction on red", -weights.red_light),
        (r"speed limit of (\d+)", scenario_of(entry.name).speed_limit),
    ):
        for number in re.findall(pattern, text):
            assert float(number) == weight
    assert re.search(r"- [\d.]+ over the whole time limit", text)
    assert re.search(r"\+ 1 (on arrival|for covering it)", text)
    assert weights.collision == weights.off_road == -1.0


@each_entry
def test_the_version_history_ends_with_the_registered_version(entry) -> None:
    versions = [int(number) for number in re.findall(r"^\* v(\d+):", section(entry, "Version history"), re.MULTILINE)]
    assert versions == list(range(entry.version, versions[-1] - 1, -1))
    assert versions[-1] in (0, 1)


def test_every_field_of_a_weight_or_option_is_followed_by_a_sentence() -> None:
    from drivesim import config

    tree = ast.parse(inspect.getsource(config))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    assert isinstance(after, ast.Expr), f"{node.name}.{field.target.id} has no sentence"
                    assert after.value.value.rstrip().endswith("."), f"{node.name}.{field.target.id}"


def test_the_observations_have_names_and_tables_of_their_own() -> None:
    for name, encoder in ENCODERS.items():
        assert encoder.name == name
        assert f'`"{name}"`' in (inspect.getmodule(encoder.encode) or ENCODERS).__doc__
