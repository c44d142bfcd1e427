"""The example trains a driver with runners in processes of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("ray.rllib")

import ray

EXAMPLE = Path(__file__).resolve().parents[3] / "scripts" / "examples" / "rllib_ppo.py"


@pytest.mark.slow
def test_the_example_learns_to_drive_with_two_processes(capsys) -> None:
    spec = importlib.util.spec_from_file_location("rllib_ppo", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    try:
        successes = example.train(["--num-env-runners", "2", "--iterations", "12"])
        assert not ray.is_initialized()
    finally:
        ray.shutdown()
    assert successes[0] < 0.05
    assert min(successes[-3:]) > 0.3  # 0.5 to 0.75
    assert capsys.readouterr().out.count("success") == 12
