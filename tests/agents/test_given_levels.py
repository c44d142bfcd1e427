"""Agents train, are judged and are watched on levels of one's own, which a run keeps as texts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.environments import (
    EnvChoice,
    LevelChoice,
    generates_levels,
    level_options,
    make_envs,
    with_level_options,
)
from agents.evaluation import evaluate
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.run_config import TrainConfig, read_configs
from agents.scripted import make_scripted
from agents.training import resume, train
from agents.watching import watch
from drivesim.levels.library import canonical_texts
from drivesim.registry import entries, scenario_of

CUSTOM, HIGHWAY = "drivesim/Custom-v1", "drivesim/Highway-v1"
ROAD = "max_steps = 12\n\n. ^G .\n. ^ .\n. ^ .\n. ^E .\n"


@pytest.fixture
def road(tmp_path: Path) -> Path:
    path = tmp_path / "road.txt"
    path.write_text(ROAD, encoding="utf-8")
    return path


def test_a_choice_of_levels_holds_their_texts(road: Path) -> None:
    choice = EnvChoice(CUSTOM, levels=(str(road),))
    assert choice.levels == canonical_texts(ROAD)
    assert replace(choice, observation="grid").levels == choice.levels
    assert choice.options("test") == {"levels": list(choice.levels)}
    assert EnvChoice(CUSTOM).options("test") == {}
    assert EnvChoice("drivesim/Highway-v1").options("test") == {"split": "test"}
    assert [generates_levels(name) for name in (CUSTOM, "drivesim/Highway-v1", "probes/Action-v0")] == [
        False,
        True,
        True,
    ]
    assert make_envs(choice, 2, "train").unwrapped.config.levels == choice.levels


def test_options_of_levels_replace_those_of_the_difficulty() -> None:
    choice = EnvChoice(HIGHWAY, difficulty="hard", level_options={"num_vehicles": 7})
    assert choice.options("test") == {"difficulty": "hard", "split": "test", "num_vehicles": 7}
    config = make_envs(choice, 2, "train").unwrapped.config
    assert config.level_config == replace(scenario_of("Highway").presets["hard"], num_vehicles=7)


def test_what_is_chosen_replaces_what_was_and_nothing_else(road: Path) -> None:
    before = EnvChoice(HIGHWAY, observation="features", difficulty="easy", level_options={"num_vehicles": 7})
    assert LevelChoice().chosen_in(before) == before
    assert LevelChoice(difficulty="hard").chosen_in(before) == replace(before, difficulty="hard")
    fewer = LevelChoice(level_options={"num_vehicles": 3}).chosen_in(before)
    assert fewer == replace(before, level_options={"num_vehicles": 3})
    ours = LevelChoice(levels=(str(road),)).chosen_in(EnvChoice(CUSTOM))
    assert ours.levels == canonical_texts(ROAD)


@pytest.mark.parametrize(
    ("env_id", "options", "parts"),
    [
        (HIGHWAY, {"difficulty": "brutal"}, ("difficulty", "'brutal'", "['easy', 'medium', 'hard']")),
        (HIGHWAY, {"level_options": {"num_vehicles": -1}}, ("num_vehicles", "-1", "[0, ")),
        (HIGHWAY, {"level_options": {"vehicles": 3}}, ("Highway", "'vehicles' = 3", "num_vehicles 0 to ")),
        (CUSTOM, {"level_options": {"vehicles": 3}}, ("Custom", "'vehicles' = 3", "none")),
        (HIGHWAY, {"levels": (ROAD,)}, ("levels", "Highway", CUSTOM)),
        ("probes/Action-v0", {"level_options": {"vehicles": 3}}, ("probes/Action-v0", "'vehicles' = 3", "none")),
    ],
)
def test_a_wrong_choice_is_told_with_its_name_its_value_and_what_is_allowed(env_id, options, parts) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        EnvChoice(env_id, **options)
    assert all(part in str(caught.value) for part in parts)


def test_help_lists_all_options_of_levels_with_their_bounds_and_nothing_else_does() -> None:
    assert with_level_options("Drives.", ["--env", HIGHWAY]) == "Drives."
    text = with_level_options("Drives.", ["--help"])
    for entry in entries():
        for name, (low, high) in level_options(entry.id).items():
            (line,) = [line for line in text.splitlines() if entry.id in line]
            assert f"{name} {low} to {high}" in line
    alone = with_level_options("Drives.", ["-h"], HIGHWAY)
    assert "num_vehicles 0 to " in alone
    assert "Obstacles" not in alone


def test_rules_drive_levels_of_ones_own(road: Path) -> None:
    driver = make_scripted(CUSTOM)
    choice = EnvChoice(CUSTOM, observation=driver.observation, levels=(str(road),))
    assert evaluate(driver, choice, episodes=4, seed=0)["success_rate"] == 1.0
    road.unlink()
    replay, _ = watch(driver, choice, seed=0)
    assert replay.options["levels"] == list(choice.levels)


def test_rules_back_out_of_a_dead_end_unless_somebody_stands_behind() -> None:
    driver = make_scripted(CUSTOM)
    town = EnvChoice(CUSTOM, observation=driver.observation, levels=("gallery/dead_end_town",))
    assert evaluate(driver, town, episodes=10, seed=0)["success_rate"] == 1.0
    alley = "has_reverse = 1\nmax_steps = 12\negos.heading = [0]\n\n. ^vE . .\n. ^v . .\n. + <> >G\n"
    parked = 'a.top_speed = 0\na.heading = "south"\n' + alley.replace("^v .", "^va0 .")
    for text, success in ((alley, 1.0), (parked, 0.0)):
        record = evaluate(driver, replace(town, levels=(text,)), episodes=2, seed=0)
        assert (record["success_rate"], record["off_road_rate"], record["collision_rate"]) == (success, 0.0, 0.0)


def test_a_run_keeps_its_levels_as_texts_and_takes_no_paths_from_its_folder(road: Path, tmp_path: Path) -> None:
    agent = PPOConfig(num_envs=8, num_steps=8, minibatches=2, network=NetworkConfig(hidden_sizes=(16,)))
    options = {"observation": "features", "eval_episodes": 4, "num_threads": 1, "tensorboard": False, "progress": False}
    config = TrainConfig(agent="ppo", env=CUSTOM, levels=(str(road),), total_steps=128, **options)
    folder = tmp_path / "run"
    train(config, agent, folder)
    road.unlink()
    kept, _ = read_configs(folder)
    assert kept.levels == canonical_texts(ROAD)
    resume(folder, replace(kept, total_steps=256))
    record = json.loads((folder / "config.json").read_text())
    record["train"]["levels"] = ["road.txt"]
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="levels must be texts"):
        read_configs(folder)
