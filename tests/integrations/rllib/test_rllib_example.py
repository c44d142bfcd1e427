"""The example trains a driver with runners in processes of their own."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("ray.rllib")

import ray

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "scripts" / "examples" / "rllib_ppo.py"


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


def test_the_code_of_the_page_runs(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    from docs_blocks import run_block

    text = (ROOT / "docs" / "integrations" / "rllib.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{code-block\} python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    namespace = {"__name__": "__main__"}
    try:
        run_block(blocks[0], "rllib.md", 0, namespace)
    finally:
        ray.shutdown()
    assert namespace["result"]["env_runners"]["episode_len_mean"] > 0
    assert 0 <= namespace["result"]["env_runners"]["success"] <= 1
