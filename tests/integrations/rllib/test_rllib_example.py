"""The example trains a driver with runners in processes of their own."""

from __future__ import annotations

import pytest
from docs_blocks import run_library_page
from loading import load_script

pytest.importorskip("ray.rllib")

import ray


@pytest.mark.slow
def test_the_example_learns_to_drive_with_two_processes(capsys) -> None:
    example = load_script("examples/rllib_ppo")
    try:
        successes = example.train(["--num-env-runners", "2", "--iterations", "12"])
        assert not ray.is_initialized()
    finally:
        ray.shutdown()
    assert successes[0] < 0.05
    assert min(successes[-3:]) > 0.3  # 0.5 to 0.75
    assert capsys.readouterr().out.count("success") == 12


def test_the_code_of_the_page_runs(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        namespace = run_library_page("rllib")
    finally:
        ray.shutdown()
    assert namespace["result"]["env_runners"]["episode_len_mean"] > 0
    assert 0 <= namespace["result"]["env_runners"]["success"] <= 1
