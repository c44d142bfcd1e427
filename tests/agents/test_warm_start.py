"""Runs that begin with what another has learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_runs import BOTH, PPO_AGENT, RUN, contents
from test_training import SMALL, small_run

from agents.checkpoint import CheckpointError, load_latest_checkpoint
from agents.networks import NetworkConfig
from agents.run_config import AGENT_CONFIGS, AgentConfig, AgentName
from agents.training import TrainConfig, resume, train
from agents.warm_start import driver_of


@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_a_run_begins_with_the_best_driver_of_another(tmp_path: Path, name: AgentName) -> None:
    agent, run = AGENT_CONFIGS[name](**SMALL[name]), small_run(name)
    train(run, agent, tmp_path / "first")
    learnt = driver_of(tmp_path / "first").tensors["network"]
    one_step = replace(run, seed=1, total_steps=8, begin_with=str(tmp_path / "first"))
    train(one_step, agent, tmp_path / "second")  # of every env: nothing has been learnt since
    taken = load_latest_checkpoint(tmp_path / "second" / "checkpoints", "last").tensors
    networks = [taken[group] for group in ("network", "target_network") if group in taken]
    assert len(networks) == (2 if name == "dqn" else 1)
    for network in networks:
        assert network.keys() == learnt.keys()
        assert all((network[key] == learnt[key]).all() for key in learnt)


@BOTH
def test_such_a_run_resumes_without_beginning_again(tmp_path: Path, run: TrainConfig, agent: AgentConfig) -> None:
    train(run, agent, tmp_path / "first")
    run = replace(run, seed=1, begin_with=str(tmp_path / "first"))
    train(run, agent, tmp_path / "whole")
    train(run, agent, tmp_path / "parts", on_evaluation=lambda step, success: True)
    resume(tmp_path / "parts", run)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_the_driver_of_another_network_or_of_no_run_is_refused(tmp_path: Path) -> None:
    run = replace(RUN, agent="ppo", total_steps=8)
    train(run, PPO_AGENT, tmp_path / "first")
    wider = replace(PPO_AGENT, network=NetworkConfig(hidden_sizes=(17,)))
    with pytest.raises(CheckpointError, match="does not fit this run"):
        train(replace(run, begin_with=str(tmp_path / "first")), wider, tmp_path / "second")
    with pytest.raises(CheckpointError, match="none"):
        train(replace(run, begin_with=str(tmp_path / "none")), PPO_AGENT, tmp_path / "third")
