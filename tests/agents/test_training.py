"""The loop: repeatability, resuming, stopping, and what a run leaves behind."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from probes import ProbeVectorEnv

from agents.checkpoint import find_checkpoints, load_latest_checkpoint
from agents.dqn import DQN, DQNConfig
from agents.environments import lane_seeds
from agents.metrics import EpisodeSums, read_metrics
from agents.networks import NetworkConfig
from agents.run_folder import plot_learning_curve
from agents.training import TrainConfig, load_policy, resume, train

AGENT = DQNConfig(
    num_envs=8,
    batch_size=32,
    buffer_size=400,
    learning_starts=64,
    train_frequency=8,
    network=NetworkConfig(hidden_sizes=(16,)),
)
RUN = TrainConfig(
    env="probes/Truncation-v0",
    total_steps=1600,
    log_interval=200,
    eval_interval=640,
    eval_episodes=16,
    num_threads=1,
    tensorboard=False,
    progress=False,
)


def contents(folder: Path) -> dict[str, str]:
    """Digests of every array and tensor of the last checkpoint."""
    newest = find_checkpoints(folder / "checkpoints", "last")[0]
    files = json.loads((newest / "MANIFEST.json").read_text())["files"]
    return {name: files[name]["sha256"] for name in files if name != "values.json"}


def counters(folder: Path) -> dict[str, object]:
    """Everything else in it but the clock."""
    values = load_latest_checkpoint(folder / "checkpoints", "last").values
    values["training"].pop("seconds")
    return values


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if not name.startswith("time/s")}
            for row in csv.DictReader(file)
        ]


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    for name in ("first", "second"):
        train(RUN, AGENT, tmp_path / name)
    train(replace(RUN, seed=1), AGENT, tmp_path / "other")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert rows(tmp_path / "first") == rows(tmp_path / "second")
    name = "q_network.safetensors"
    assert contents(tmp_path / "first")[name] != contents(tmp_path / "other")[name]


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C finishes the step, saves and returns."""
    train(RUN, AGENT, tmp_path / "whole")
    add, calls = EpisodeSums.add, iter(range(10**6))

    def add_and_interrupt(self: EpisodeSums, infos: dict[str, object]) -> None:
        add(self, infos)
        if next(calls) == 102:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(EpisodeSums, "add", add_and_interrupt)
    result = train(RUN, AGENT, tmp_path / "parts")
    assert (result.reason, result.global_step) == ("interrupted", 103 * 8)
    assert resume(tmp_path / "parts").reason == "total_steps"
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert counters(tmp_path / "parts") == counters(tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is saved at the moment of death; rows logged after the checkpoint are dropped."""
    short = replace(RUN, total_steps=800, checkpoint_seconds=0.0)
    train(short, AGENT, tmp_path / "whole")
    update, calls = DQN.update, iter(range(10**6))

    def update_and_die(self: DQN) -> None:
        update(self)
        if next(calls) == 59:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(DQN, "update", update_and_die)
        with pytest.raises(MemoryError):
            train(short, AGENT, tmp_path / "parts")
    resume(tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path: Path) -> None:
    train(RUN, AGENT, tmp_path)
    expected = contents(tmp_path), rows(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    resume(tmp_path)
    assert (contents(tmp_path), rows(tmp_path)) == expected


def test_a_finished_run_can_be_prolonged_but_not_rewritten(tmp_path: Path) -> None:
    train(RUN, AGENT, tmp_path)
    assert resume(tmp_path, replace(RUN, total_steps=2000)).global_step == 2000
    with pytest.raises(ValueError, match="seed of a run to be resumed must stay 0, got 5"):
        resume(tmp_path, replace(RUN, seed=5))


def test_evaluating_and_logging_do_not_change_what_is_learnt(tmp_path: Path) -> None:
    often = replace(RUN, eval_interval=80, log_interval=8, checkpoint_seconds=0.05)
    train(RUN, AGENT, tmp_path / "seldom")
    train(often, AGENT, tmp_path / "often")
    assert contents(tmp_path / "seldom") == contents(tmp_path / "often")


def test_the_run_stops_when_held_out_levels_are_driven_well_enough(tmp_path: Path) -> None:
    config = replace(RUN, env="probes/Constant-v0", stop_at_success=0.99)
    result = train(config, AGENT, tmp_path)
    assert (result.reason, result.global_step, result.best_success) == ("success", 640, 1.0)


def test_the_run_stops_when_its_time_is_up(tmp_path: Path) -> None:
    result = train(replace(RUN, total_steps=10**9, max_seconds=0.3), AGENT, tmp_path)
    assert result.reason == "max_seconds"
    assert result.seconds < 5
    assert load_policy(tmp_path)[0](np.ones((2, 1), np.float32)).shape == (2,)


def test_runs_with_neighbouring_seeds_share_no_lane() -> None:
    assert not set(lane_seeds(0, 512)) & set(lane_seeds(1, 512))
    assert lane_seeds(7, 4) == lane_seeds(7, 4)
    assert all(type(seed) is int for seed in lane_seeds(0, 4))


def test_lanes_are_seeded_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    reset = ProbeVectorEnv.reset

    def spy(self: ProbeVectorEnv, **kwargs: object) -> object:
        seeds.append(kwargs.get("seed"))
        return reset(self, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ProbeVectorEnv, "reset", spy)
    train(replace(RUN, total_steps=80), AGENT, tmp_path)
    assert seeds[0] == lane_seeds(0, 8)


def test_a_run_folder_tells_how_to_repeat_the_run(tmp_path: Path) -> None:
    train(replace(RUN, tensorboard=True), AGENT, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["train"]["env"] == RUN.env
    assert config["agent"]["network"]["hidden_sizes"] == [16]
    assert json.loads((tmp_path / "env_spec.json").read_text())["id"] == RUN.env
    assert json.loads((tmp_path / "versions.json").read_text())["torch"]
    assert any((tmp_path / "tensorboard").iterdir())
    assert read_metrics(tmp_path / "metrics.csv", "eval/success_rate")[0] == [640, 1280, 1600]
    assert read_metrics(tmp_path / "metrics.csv", "rollout/success")[0][0] == 200
    assert plot_learning_curve(tmp_path, "a title") == tmp_path / "learning_curve.png"


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    train(replace(RUN, total_steps=80), AGENT, tmp_path)
    with pytest.raises(FileExistsError, match="already holds a run"):
        train(RUN, AGENT, tmp_path)


def test_a_missing_run_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load_policy(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        resume(tmp_path)
