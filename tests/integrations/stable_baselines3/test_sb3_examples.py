"""What is shown of the library works: the examples learn, and the page's code runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("stable_baselines3")

import torch

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "scripts" / "examples"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_ppo_drives_levels_that_it_has_never_seen(capsys) -> None:
    assert example("stable_baselines3_ppo").main() >= 0.95
    assert "success on held-out levels" in capsys.readouterr().out


def test_the_example_of_ppo_learns_nothing_in_no_time(capsys) -> None:
    """So that its success later on is learnt and not given."""
    assert example("stable_baselines3_ppo").main(8192) < 0.2


def test_the_example_of_maskable_ppo_learns(capsys) -> None:
    pytest.importorskip("sb3_contrib")
    assert example("sb3_contrib_maskable_ppo").main(200_000) > 0.2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what SBX builds on
def test_the_example_of_sbx_learns(capsys) -> None:
    pytest.importorskip("sbx")
    assert example("sbx_ppo").main(200_000) > 0.2


def test_the_example_of_speed_measures_every_vector_environment() -> None:
    speed = example("stable_baselines3_speed")
    assert {name for name, _, _ in speed.CASES} == {"make_vec_env", "DummyVecEnv", "SubprocVecEnv"}
    name, num_envs, make = speed.CASES[0]
    assert name == "make_vec_env"
    assert min(speed.measure(make, num_envs)) > 0


def test_the_code_of_the_page_runs(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    from docs_blocks import run_block

    text = (ROOT / "docs" / "integrations" / "stable_baselines3.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{code-block\} python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    namespace = {"__name__": "__main__"}
    run_block(blocks[0], "stable_baselines3.md", 0, namespace)
    assert namespace["mean_return"] > 0.5
