"""Comparing an earlier commit with today's code, on a repository whose `drivesim` is a stub of a few lines."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from loading import SCRIPTS, load_script

STUB = """
import os
import time

import gymnasium as gym
import numpy as np

with open(os.environ["STUB_LOG"], "a") as log:
    log.write(f"VERSION {os.environ['DRIVESIM_CACHE_DIR']} {os.environ.get('DRIVESIM_PREBUILT', '1')}\\n")
time.sleep(float(os.environ.get("STUB_SLEEP", "0")))
SPACES = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(3)


class Single(gym.Env):
    observation_space, action_space = SPACES

    def __init__(self, observation="features"):
        pass

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}


class Batch(gym.vector.VectorEnv):
    metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}

    def __init__(self, num_envs, num_threads, copy, autoreset_mode, max_episode_steps, **options):
        assert (copy, autoreset_mode) == (False, "SameStep")
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = SPACES

    def reset(self, *, seed=None, options=None):
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions):
        assert actions.shape == (self.num_envs,)


for name in NAMES:
    gym.register(f"drivesim/{name}-vVERSION", Single, max_episode_steps=50, vector_entry_point=Batch)
"""
NAMES = {  # of version 0 and 1
    0: ["Highway", "LaneKeep", "Obstacles"],
    1: ["City", "Highway", "Intersection", "LaneKeep"],
}


@pytest.fixture
def benchmark(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports
    return load_script("benchmark")


@pytest.fixture
def budgets(benchmark) -> ModuleType:
    return importlib.import_module("benchmark_budgets")


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A repository whose commit holds version 0 and whose working tree holds version 1; all logs go to `log`."""
    root = tmp_path / "repository"
    package = root / "drivesim" / "__init__.py"
    package.parent.mkdir(parents=True)
    git(root, "init", "--quiet")
    for version, names in NAMES.items():
        package.write_text(STUB.replace("VERSION", str(version)).replace("NAMES", str(names)))
        if version == 0:
            git(root, "add", ".")
            git(root, "commit", "--quiet", "-m", "version 0")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)  # so that TMPDIR is looked at again
    return root


def worktrees(root: Path) -> int:
    return git(root, "worktree", "list").count("\n")


@pytest.fixture
def peer_python(tmp_path) -> Path:
    """A Python whose EnvPool makes 10 steps per second times the envs."""
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'echo "{\\"env\\": \\"HighwayFast-v0\\", \\"version\\": \\"7\\", \\"steps_per_second\\": $((10 * $3))}"\n'
    )
    python.chmod(0o755)
    return python


def test_each_side_runs_its_own_code_with_its_own_cache_in_turns_and_nothing_stays(
    benchmark, root, tmp_path, peer_python, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(benchmark, "ROOT", root)
    arguments = ["--against-commit", "HEAD", "--peer-python", str(peer_python), "--quick", "--json"]
    assert benchmark.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)["budgets"]
    assert report["commit"] == git(root, "rev-parse", "HEAD").strip()
    assert Path(report["sides"]["today"]) == root / "drivesim" / "__init__.py"
    assert Path(report["sides"]["before"]).is_relative_to(tmp_path / "temporary")
    runs = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    before, today = ("0", "before"), ("1", "today")
    # Version 0 has no second scenario, so today has no turn in that.
    compiling = [(*before, "0"), (*today, "0"), (*before, "0")]
    turns = [*compiling, (*today, "1"), (*before, "1"), (*today, "1")]
    assert [(version, Path(cache).name, prebuilt) for version, cache, prebuilt in runs] == turns
    assert len({cache for _, cache, _ in runs}) == 2
    assert worktrees(root) == 1
    assert not list((tmp_path / "temporary").iterdir())


def test_there_is_a_row_per_budget_and_scenario_that_both_sides_have(
    benchmark, root, peer_python, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(benchmark, "ROOT", root)
    arguments = ["--against-commit", "HEAD", "--peer-python", str(peer_python), "--quick", "--json"]
    assert benchmark.main(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["budgets"]["rows"]
    assert [(row["what"], row.get("must"), "ratio" in row) for row in rows] == [
        ("Highway grid, one thread", ">= 2.5 times", True),
        ("Highway grid, two threads", None, True),
        ("the same over EnvPool 7's HighwayFast-v0", ">= 40 EnvPools", True),
        ("LaneKeep, one thread", ">= 1.5 times", True),
        ("ns of a vehicle's tick, 40 in City; before: Highway", "<= 2 times", True),
        ("Highway, batch of one, unwrapped", ">= 120,000/s", True),
        ("Highway grid, 256 to 1,024 envs", "<= 1.3 max/min", True),
        ("first step of Highway, compiling", "<= 10 s", True),
        ("first step of Intersection after it, compiling", "<= 4 s", False),  # the earlier commit has none
        ("first step of Highway, prebuilt; before: compiling", "<= 1 s", True),
    ]
    assert rows[2]["today"] * 10 * 256 == pytest.approx(rows[1]["today"])  # EnvPool's faster batch counts
    assert "Intersection" in rows[-2]["error"]


def test_a_bad_commit_is_a_clear_error(benchmark, root, monkeypatch, capsys) -> None:
    monkeypatch.setattr(benchmark, "ROOT", root)
    assert benchmark.main(["--against-commit", "nowhere"]) == 2
    captured = capsys.readouterr()
    assert "no commit 'nowhere'" in captured.err
    assert captured.out == ""
    assert worktrees(root) == 1


def test_a_commit_whose_package_cannot_be_imported_is_an_error(benchmark, root, tmp_path, monkeypatch, capsys) -> None:
    git(root, "rm", "--quiet", "-r", "--cached", "drivesim")
    git(root, "commit", "--quiet", "-m", "no package")
    (root / "drivesim" / "__init__.py").write_text("raise ImportError")
    monkeypatch.setattr(benchmark, "ROOT", root)
    assert benchmark.main(["--against-commit", "HEAD", "--quick"]) == 2
    assert "error: " in capsys.readouterr().err
    assert worktrees(root) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_worktree(root, tmp_path, monkeypatch, number) -> None:
    monkeypatch.setenv("STUB_SLEEP", "60")
    run = "import sys, benchmark; benchmark.ROOT = benchmark.Path(sys.argv[1]); sys.exit(benchmark.main(sys.argv[2:]))"
    paths = [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-c", run, str(root), "--against-commit", "HEAD"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            if (tmp_path / "log").exists():
                break
            time.sleep(0.1)
        assert worktrees(root) == 2
        process.send_signal(number)
        assert process.wait(timeout=300) != 0
    finally:
        process.kill()
        process.wait()
    assert worktrees(root) == 1
    assert not list((tmp_path / "temporary").iterdir())


def test_a_row_holds_medians_and_the_range_of_the_ratios_within_a_turn(budgets) -> None:
    budget = budgets.Budget("ratio", 2.0, is_least=True, unit=" times")
    row = budgets.compare("what", "/s", [(10.0, 20.0), (20.0, 30.0), (40.0, 120.0)], budget)
    assert row == {
        "what": "what",
        "unit": "/s",
        "before": 20.0,
        "today": 30.0,
        "ratio": 2.0,
        "ratio_min": 1.5,
        "ratio_max": 3.0,
        "must": ">= 2 times",
        "reached": True,
    }


def test_a_budget_is_reached_on_the_right_side_of_its_bound(budgets) -> None:
    reached = {
        key: [budget.is_reached(1.0, figure, figure) for figure in (budget.bound / 2, budget.bound, budget.bound * 2)]
        for key, budget in budgets.BUDGETS.items()
    }
    low, high = [True, True, False], [False, True, True]
    assert reached == {
        "highway": high,
        "envpool": high,
        "scenario": high,
        "city": low,
        "single": high,
        "flatness": low,
        "first": low,
        "second": low,
        "prebuilt": low,
    }


def test_a_ratio_is_judged_by_the_ratio_and_a_figure_by_todays(budgets) -> None:
    assert budgets.BUDGETS["highway"].is_reached(before=1.0, today=0.0, ratio=2.5)
    assert budgets.BUDGETS["single"].is_reached(before=1.0, today=120_000.0, ratio=0.0)


def test_the_table_of_budgets_has_a_line_per_row_and_says_what_was_not_measured(budgets, capsys) -> None:
    report = importlib.import_module("benchmark_report")
    rows = [
        budgets.compare("a", "/s", [(1000.0, 2600.0)], budgets.BUDGETS["highway"]),
        budgets.compare("b", "/s", [(10.0, 5.0)], None),
        budgets.not_measured("c", "no EnvPool", budgets.BUDGETS["envpool"]),
    ]
    report.print_budgets({"commit": "0123456789abcdef", "rows": rows})
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[-4:]] == [
        "what before today today/before [range] must reached",
        "a 1,000 2,600 2.60 [2.60-2.60] >= 2.5 times yes",
        "b 10.00 5.00 0.50 [0.50-0.50]",
        "c not measured: no EnvPool; must >= 40 EnvPools",
    ]
