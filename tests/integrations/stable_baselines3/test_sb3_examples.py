"""What is shown of the library works: the examples learn, and the page's code runs."""

from __future__ import annotations

from types import ModuleType

import pytest
from docs_blocks import run_library_page
from loading import load_script

pytest.importorskip("stable_baselines3")

import torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def example(name: str) -> ModuleType:
    return load_script(f"examples/{name}")


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
    monkeypatch.chdir(tmp_path)
    namespace = run_library_page("stable_baselines3")
    assert namespace["mean_return"] > 0.5
