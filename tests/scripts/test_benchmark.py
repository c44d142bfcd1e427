"""The benchmark's arithmetic, and that it runs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drivesim.registry import IDS

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripts_benchmark", SCRIPTS / "benchmark.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_report_is_one_json_object_with_a_record_per_combination(benchmark, capsys) -> None:
    arguments = ["--envs", "drivesim/LaneKeep-v0", "--observations", "features", "--batch-sizes", "1", "256", "512"]
    assert benchmark.main([*arguments, "--threads", "1", "2", "--quick", "--no-start-up", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    measured = [(record["num_envs"], record["num_threads"]) for record in report["steps_per_second"]]
    assert measured == [(1, 1), (256, 1), (256, 2), (512, 1), (512, 2)]
    assert all(record["steps_per_second"] > 0 for record in report["steps_per_second"])
    assert [record["num_threads"] for record in report["flatness"]] == [1, 2]
    assert report["machine"]["processor"]
    assert set(report["machine"]["versions"]) == {"python", "drivesim", "numpy", "numba", "gymnasium"}


def test_the_table_names_what_was_measured(benchmark, capsys) -> None:
    arguments = ["--envs", "drivesim/LaneKeep-v0", "--observations", "features", "--batch-sizes", "1"]
    assert benchmark.main([*arguments, "--threads", "1", "--quick", "--no-start-up"]) == 0
    assert "drivesim/LaneKeep-v0        features" in capsys.readouterr().out


def test_flatness_is_the_fastest_over_the_slowest_from_256_to_65536_lanes(benchmark) -> None:
    common = {"env": "a", "observation": "grid", "num_threads": 1}
    rates = {1: 10, 256: 300, 8192: 450, 65_536: 150, 131_072: 1}
    steps = [{**common, "num_envs": size, "steps_per_second": rate} for size, rate in rates.items()]
    assert benchmark.measure_flatness(steps) == [{**common, "fastest_over_slowest": 3.0}]


def test_start_up_is_timed_in_a_process_of_its_own(benchmark) -> None:
    assert 0.0 < benchmark.timed(benchmark.IMPORT) < 60.0
    assert benchmark.timed("print(2.5)") == 2.5


def test_only_a_named_cache_directory_replaces_the_users(benchmark, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(tmp_path / "own"))
    program = "import os; print(len(os.environ['DRIVESIM_CACHE_DIR']))"
    assert benchmark.timed(program) == len(str(tmp_path / "own"))
    assert benchmark.timed(program, tmp_path) == len(str(tmp_path))


@pytest.mark.parametrize("peer", ["envpool", "highway-env"])
def test_a_peer_that_cannot_be_imported_is_reported_and_not_fatal(benchmark, tmp_path, peer) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'peer'\" >&2\nexit 1\n")
    python.chmod(0o755)
    assert benchmark.run_peer(python, peer, 1, 1, 0.1) == {"error": "ModuleNotFoundError: No module named 'peer'"}
    assert "error" in benchmark.run_peer(tmp_path / "nowhere", peer, 1, 1, 0.1)


def test_a_ratio_compares_the_medians_of_the_fastest_batches(benchmark, monkeypatch) -> None:
    rates = {("drivesim", 256): 900.0, ("drivesim", 1024): 1000.0, ("envpool", 64): 10.0, ("envpool", 256): 20.0}
    monkeypatch.setattr(
        benchmark, "stepper", lambda env, observation, size, threads: lambda _: threads * rates["drivesim", size]
    )
    monkeypatch.setattr(
        benchmark,
        "run_peer",
        lambda python, peer, size, threads, seconds: (
            {"env": "e", "version": "1", "steps_per_second": rates[peer, size]}
            if peer == "envpool"
            else {"error": "absent"}
        ),
    )
    report = benchmark.measure_against(benchmark.Arguments(batch_sizes=(1, 256, 1024), threads=(1, 2)))
    assert report["envpool"]["ratio"] == 100.0
    assert report["envpool"]["ratio_one_thread"] == 50.0
    assert report["highway-env"] == {"error": "absent"}


def test_an_unknown_environment_is_refused_with_the_known_ones(benchmark) -> None:
    with pytest.raises(ValueError, match=IDS[0]):
        benchmark.Arguments(envs=("drivesim/Nowhere-v0",))
