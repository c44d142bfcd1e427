"""Agents train, are judged and are watched on levels of one's own, which a run keeps as texts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.environments import EnvChoice, generates_levels, make_envs
from agents.evaluation import evaluate
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.run_config import TrainConfig, read_configs
from agents.scripted import make_scripted
from agents.training import resume, train
from agents.watching import watch
from drivesim.levels.library import canonical_texts

CUSTOM = "drivesim/Custom-v1"
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


def test_rules_drive_levels_of_ones_own(road: Path) -> None:
    driver = make_scripted(CUSTOM)
    choice = EnvChoice(CUSTOM, observation=driver.observation, levels=(str(road),))
    assert evaluate(driver, choice, episodes=4, seed=0)["success_rate"] == 1.0
    road.unlink()
    replay, _ = watch(driver, choice, seed=0)
    assert replay.options["levels"] == list(choice.levels)


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
