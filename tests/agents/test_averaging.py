"""The average of the weights: its closed form, and that it is what drives and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import BOTH
from torch import nn

from agents.averaging import WeightAverage
from agents.checkpoint import load_latest_checkpoint
from agents.run_config import AgentConfig, TrainConfig
from agents.training import load_policy, train


def test_the_average_is_the_exponential_one_and_forgets_its_beginning_sooner() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 100.0)
    average, expected = WeightAverage(network, 0.9), 100.0
    for update in range(1, 200):
        nn.init.constant_(network.weight, float(update))
        average.update(network, update)
        kept = min(0.9, update / (update + 9))
        expected = kept * expected + (1 - kept) * update
        assert average.network.weight.item() == pytest.approx(expected, rel=1e-5)
    assert average.network.weight.item() == pytest.approx(199 - 0.9 / (1 - 0.9), rel=1e-3)  # so much behind a line


@BOTH
def test_the_average_is_what_is_evaluated_and_what_is_kept(
    run: TrainConfig, agent: AgentConfig, tmp_path: Path
) -> None:
    train(replace(run, eval_interval=1600), agent, tmp_path)
    last = load_latest_checkpoint(tmp_path / "checkpoints", "last").tensors
    best = load_latest_checkpoint(tmp_path / "checkpoints", "best").tensors["network"]
    driver = load_policy(tmp_path)[0].network.state_dict()  # type: ignore[attr-defined]
    assert driver.keys() == best.keys() == last["network"].keys()
    for name, weights in best.items():
        assert torch.equal(weights, last["average_network"][name])
        assert torch.equal(weights, driver[name])
    assert any(not torch.equal(weights, last["network"][name]) for name, weights in best.items())
