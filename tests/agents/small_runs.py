"""Runs of a few hundred steps, and what they leave behind."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.checkpoint import find_checkpoints, load_latest_checkpoint
from agents.dqn import DQNConfig
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.pqn import PQNConfig
from agents.reinforce import REINFORCEConfig
from agents.run_config import TrainConfig

NUM_ENVS = 8
SMALL = NetworkConfig(hidden_sizes=(16,))
AGENT = DQNConfig(
    num_envs=NUM_ENVS,
    batch_size=32,
    buffer_size=400,
    learning_starts=64,
    train_frequency=8,
    average_weights=0.5,
    network=SMALL,
)
PPO_AGENT = PPOConfig(num_envs=NUM_ENVS, num_steps=7, minibatches=2, average_weights=0.5, network=SMALL)
RECURRENT_PPO_AGENT = replace(PPO_AGENT, memory_size=4)
PQN_AGENT = PQNConfig(num_envs=NUM_ENVS, num_steps=7, minibatches=2, network=SMALL)
REINFORCE_AGENT = REINFORCEConfig(num_envs=NUM_ENVS, num_steps=7, network=SMALL)
RUN = TrainConfig(
    env="probes/Truncation-v0",
    agent="dqn",
    total_steps=1600,
    log_interval=200,
    eval_interval=640,
    eval_episodes=16,
    num_threads=1,
    tensorboard=False,
    progress=False,
)


BOTH = pytest.mark.parametrize(("run", "agent"), [(RUN, AGENT), (replace(RUN, agent="ppo"), PPO_AGENT)])


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
