"""How hard the levels are: drivers that learn nothing fail where they should, by the numbers that are documented."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loading import SCRIPTS, load_script
from scenario_facts import MEASURED, facts_of

from agents.environments import generates_levels
from agents.ppo import PPOConfig
from agents.results import BASELINES, read_summary
from agents.run_config import TrainConfig
from agents.training import train
from drivesim.config import DIFFICULTIES

GENERATED = list(filter(generates_levels, MEASURED))
AUTODRIVE = "drivesim/Autodrive-v1"  # a small field that a few cars cross: most drives meet none of them
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def difficulty(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports
    return load_script("difficulty")


@pytest.fixture(scope="module")
def documented() -> dict[tuple[str, str, str], dict[str, Any]]:
    records = read_summary(DOCS / "difficulty.json")["records"]
    return {(record["env"], record["difficulty"], record["agent"]): record for record in records}


def test_every_difficulty_of_every_scenario_is_documented(documented) -> None:
    drivers = (*BASELINES, "ppo")
    assert set(documented) == {(env, level, name) for env in GENERATED for level in DIFFICULTIES for name in drivers}
    assert {record["episodes"] for record in documented.values()} == {1000}


@pytest.mark.parametrize("env_id", GENERATED)
def test_nobody_gets_through_without_looking_and_hard_levels_take_longer(env_id, documented) -> None:
    def share(name: str, level: str = "medium") -> float:
        return float(documented[env_id, level, name]["success_rate"])

    def ticks(level: str) -> float:
        return float(documented[env_id, level, "rule-based"]["mean_length_of_successes"])

    assert share("random") <= 0.05
    assert share("never steers") <= 0.2 or not facts_of(env_id).steers
    assert share("rule-based") >= 0.95
    if env_id == AUTODRIVE:
        return
    assert share("ignores others") <= 0.6 or not {"vehicles", "people"} & set(facts_of(env_id).harder)
    assert share("rule-based", "hard") < share("rule-based") or ticks("hard") >= 1.1 * ticks("medium")


@pytest.mark.parametrize("env_id", ["drivesim/LaneKeep-v1", "drivesim/FourWayStop-v1"])
def test_what_is_documented_is_what_the_code_does(env_id, difficulty, documented) -> None:
    for record in difficulty.measured(env_id, "medium", 1000):
        assert record == documented[env_id, "medium", record["agent"]]


def test_the_command_prints_a_table_with_a_line_of_each_and_keeps_what_it_does_not_measure(
    difficulty, tmp_path, capsys
) -> None:
    path = tmp_path / "difficulty.json"
    for env_id in ("drivesim/FourWayStop-v1", "drivesim/LaneKeep-v1"):
        assert difficulty.main(["--envs", env_id, "--episodes", "3", "--summary", str(path)]) == 0
        head, _, *lines = capsys.readouterr().out.splitlines()
        assert all(name in head for name in ("difficulty", *BASELINES))
        assert [line.split(" | ")[:2] for line in lines] == [[f"| `{env_id}`", level] for level in DIFFICULTIES]
    records = read_summary(path)["records"]
    assert [record["env"] for record in records[:: len(BASELINES) * len(DIFFICULTIES)]] == [
        "drivesim/LaneKeep-v1",
        "drivesim/FourWayStop-v1",
    ]
    assert difficulty.markdown(records).count("LaneKeep") == len(DIFFICULTIES)


def test_what_was_trained_on_medium_is_measured_on_every_difficulty(difficulty, tmp_path, capsys) -> None:
    env_id, summary = "drivesim/LaneKeep-v1", tmp_path / "difficulty.json"
    run = TrainConfig(env=env_id, observation="features", agent="ppo", total_steps=300, progress=False, num_threads=1)
    train(run, PPOConfig(num_envs=8, num_steps=8, minibatches=2), tmp_path / "LaneKeep-v1__ppo__0")
    command = ["--envs", env_id, "--episodes", "4", "--runs", str(tmp_path), "--summary", str(summary)]
    assert difficulty.main(command) == 0
    assert all(line.count(" % |") == len(BASELINES) + 1 for line in capsys.readouterr().out.splitlines()[2:])
    learnt = [record for record in read_summary(summary)["records"] if record["agent"] == "ppo"]
    assert [record["difficulty"] for record in learnt] == list(DIFFICULTIES)
    with pytest.raises(SystemExit):
        difficulty.main([*command, "--envs", "drivesim/Highway-v1"])
    assert "Highway-v1__ppo__0" in capsys.readouterr().err
