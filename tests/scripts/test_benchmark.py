"""The benchmark's arithmetic, and that it runs."""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
from loading import load_script

from agents.dqn import DQNConfig
from agents.metrics import read_metrics
from agents.pqn import PQNConfig
from drivesim.registry import IDS

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def benchmark(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports
    return load_script("benchmark")


def test_the_report_is_one_json_object_with_a_record_per_combination(benchmark, capsys) -> None:
    arguments = ["--envs", "drivesim/LaneKeep-v1", "--observations", "features", "--batch-sizes", "1", "256", "512"]
    assert benchmark.main([*arguments, "--threads", "1", "2", "--quick", "--no-start-up", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    measured = [(record["num_envs"], record["num_threads"]) for record in report["steps_per_second"]]
    assert measured == [(1, 1), (256, 1), (256, 2), (512, 1), (512, 2)]
    assert all(record["steps_per_second"] > 0 for record in report["steps_per_second"])
    assert [record["num_threads"] for record in report["flatness"]] == [1, 2]
    assert report["machine"]["processor"]
    assert set(report["machine"]["versions"]) == {"python", "drivesim", "numpy", "numba", "gymnasium"}


def test_the_table_names_what_was_measured(benchmark, capsys) -> None:
    arguments = ["--envs", "drivesim/LaneKeep-v1", "--observations", "features", "--batch-sizes", "1"]
    assert benchmark.main([*arguments, "--threads", "1", "--quick", "--no-start-up"]) == 0
    assert "drivesim/LaneKeep-v1        features" in capsys.readouterr().out


def test_flatness_is_the_fastest_over_the_slowest_from_256_to_65536_envs(benchmark) -> None:
    common = {"env": "a", "observation": "grid", "num_threads": 1}
    rates = {1: 10, 256: 300, 8192: 450, 65_536: 150, 131_072: 1}
    steps = [{**common, "num_envs": size, "steps_per_second": rate} for size, rate in rates.items()]
    assert benchmark.measure_flatness(steps) == [{**common, "fastest_over_slowest": 3.0}]


def test_start_up_is_timed_in_a_process_of_its_own_from_the_imports_start(benchmark, tmp_path, monkeypatch) -> None:
    cache = tmp_path / "own"
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(cache))
    with benchmark.Side(benchmark.ROOT) as side:
        assert side.file == benchmark.ROOT / "drivesim" / "__init__.py"
        assert 0.0 < side.import_seconds < 60.0
        side._ask = lambda request: {"first_step": 2.5}[request["do"]]
        assert side.first_step("LaneKeep") == side.import_seconds + 2.5


def test_only_a_named_cache_directory_replaces_the_users(benchmark, tmp_path, monkeypatch) -> None:
    (tmp_path / "drivesim.py").write_text(
        "import os\nopen('caches', 'a').write(os.environ['DRIVESIM_CACHE_DIR'] + '\\n')"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", "the user's")
    for cache in (None, tmp_path / "own"):
        benchmark.Side(tmp_path, cache).close()
    assert Path("caches").read_text().splitlines() == ["the user's", str(tmp_path / "own")]


def test_code_from_elsewhere_is_not_measured(benchmark, tmp_path) -> None:
    with pytest.raises(benchmark.MeasurementError, match="instead of"):
        benchmark.Side(tmp_path)


@pytest.mark.parametrize("peer", ["envpool", "highway-env"])
def test_a_peer_that_cannot_be_imported_is_reported_and_not_fatal(benchmark, tmp_path, peer) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'peer'\" >&2\nexit 1\n")
    python.chmod(0o755)
    assert benchmark.run_peer(python, peer, 1, 1, 0.1) == {"error": "ModuleNotFoundError: No module named 'peer'"}
    assert "error" in benchmark.run_peer(tmp_path / "nowhere", peer, 1, 1, 0.1)


def test_a_ratio_compares_the_medians_of_the_fastest_batches(benchmark, monkeypatch) -> None:
    class FakeSide:
        ids: ClassVar = {"Highway": "drivesim/Highway-v1"}

        def rate(self, env_id: str, num_envs: int, num_threads: int, seconds: float, **options: str) -> float:
            assert (env_id, options) == ("drivesim/Highway-v1", {"observation": "grid"})
            return num_threads * rates["drivesim", num_envs]

    rates = {("drivesim", 256): 900.0, ("drivesim", 1024): 1000.0, ("envpool", 64): 10.0, ("envpool", 256): 20.0}
    monkeypatch.setattr(
        benchmark,
        "run_peer",
        lambda python, peer, size, threads, seconds: (
            {"env": "e", "version": "1", "steps_per_second": rates[peer, size]}
            if peer == "envpool"
            else {"error": "absent"}
        ),
    )
    report = benchmark.measure_against(FakeSide(), benchmark.Arguments(batch_sizes=(1, 256, 1024), threads=(1, 2)))
    assert report["envpool"]["ratio"] == 100.0
    assert report["envpool"]["ratio_one_thread"] == 50.0
    assert report["highway-env"] == {"error": "absent"}


def test_an_unknown_environment_is_refused_with_the_known_ones(benchmark) -> None:
    with pytest.raises(ValueError, match=IDS[0]):
        benchmark.Arguments(envs=("drivesim/Nowhere-v0",))


@pytest.fixture
def training(benchmark) -> ModuleType:
    """What `--train` imports; the fixture `benchmark` makes it importable."""
    return importlib.import_module("benchmark_training")


@pytest.fixture
def small(training, monkeypatch) -> None:
    """Shrinks what is trained: 64 envs, and a DQN that learns at its 256th step."""
    configure = training.configure

    def configure_small(*arguments):
        config, agent_config = configure(*arguments)
        agent_config = replace(agent_config, num_envs=64)
        if isinstance(agent_config, DQNConfig):
            agent_config = replace(agent_config, learning_starts=256, batch_size=32, buffer_size=2048)
        interval = 64 * getattr(agent_config, "num_steps", training.INTERVAL_STEPS)
        return replace(config, log_interval=interval), agent_config

    monkeypatch.setattr(training, "configure", configure_small)


TRAIN = ["--train", "--quick", "--train-threads", "1", "--repetitions", "1", "--hidden-sizes", "16", "16"]


def test_training_is_reported_per_algorithm_and_a_missing_peer_is_a_note(benchmark, small, tmp_path, capsys) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'stable_baselines3'\" >&2\nexit 1\n")
    python.chmod(0o755)
    assert benchmark.main([*TRAIN, "--peer-python", str(python), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]["load_average"] >= 0.0
    training = report["training"]
    assert (training["env"], training["observation"]) == ("drivesim/Obstacles-v1", "features")
    assert [record["agent"] for record in training["agents"]] == ["ppo", "pqn", "dqn"]
    for record in training["agents"]:
        assert record["steps_per_second"] > 0
        assert (record["num_envs"], record["hidden_sizes"], record["num_threads"]) == (64, [16, 16], 1)
        assert "ratio" not in record
    errors = [record.get("peer", {}).get("error") for record in training["agents"]]
    assert errors == ["ModuleNotFoundError: No module named 'stable_baselines3'", None, errors[0]]


def test_the_table_of_training_names_the_rates_the_ratio_and_the_note(benchmark, training, capsys) -> None:
    report_module = importlib.import_module("benchmark_report")
    peer = {"name": "Peer", "versions": {"stable_baselines3": "2"}, "adapter": "native", "num_threads": 2}
    agents = [
        {"agent": "ppo", "steps_per_second": 9000, "num_threads": 1, "peer": {**peer, "steps_per_second": 6000}},
        {"agent": "pqn", "steps_per_second": 8000, "num_threads": 1},
        {"agent": "dqn", "steps_per_second": 7000, "num_threads": 1, "peer": {"name": "Peer", "error": "absent"}},
    ]
    agents[0]["ratio"] = 1.5
    report_module.print_training({"env": "e", "observation": "features", "torch": "t", "agents": agents})
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[-3:]] == [
        "ppo 9,000 1 1.5 Peer 2: 6,000 with 2 threads, native adapter",
        "pqn 8,000 1 no peer",
        "dqn 7,000 1 Peer: absent",
    ]


def test_the_rate_is_that_of_the_log_points_after_learning_began(training, small, monkeypatch) -> None:
    config, agent_config = training.configure("drivesim/Obstacles-v1", "dqn", (16,), 1)  # 2048 steps per log point
    agent_config = replace(agent_config, learning_starts=2049)
    monkeypatch.setattr(training, "read_metrics", lambda path, name: ([], steps_read(path, name)))
    seen: list[int] = []

    def steps_read(path: Path, name: str) -> list[float]:
        seen.extend(read_metrics(path, name)[0])
        return [1e9, 1e9, 1e9, 100.0, 300.0]

    # Learning begins in the second interval; the third warms up; equal numbers of steps at 100/s and 300/s take
    # 1/100 + 1/300 = 4/300 per step of each, which is 150/s.
    assert training.training_rate(config, agent_config, 2) == (pytest.approx(150.0), 1)
    assert seen == [2048, 4096, 6144, 8192, 10_240]


def test_trained_is_the_preset_on_features_after_its_exploration_phase(training) -> None:
    for agent in ("pqn", "dqn"):
        config, agent_config = training.configure("drivesim/Autodrive-v1", agent, (), 0)
        preset = training.preset_for("drivesim/Autodrive-v1", agent)
        assert isinstance(agent_config, DQNConfig | PQNConfig)
        assert agent_config == replace(preset.agent, epsilon_start=preset.agent.epsilon_end)
        assert config.observation == "features"
        assert config.reward_weights == preset.train.reward_weights
        assert config.num_threads == 0


def test_the_peer_is_worth_its_best_adapter_and_threads(training) -> None:
    def answer(*rates: float) -> dict:
        kinds = [("native", 1), ("native", 2), ("dummy", 1)]
        runs = [
            {"adapter": adapter, "num_threads": threads, "steps_per_second": rate}
            for (adapter, threads), rate in zip(kinds, rates, strict=True)
        ]
        return {"versions": {"stable_baselines3": "2"}, "runs": runs}

    side = training.summarise_peer("Peer", [answer(10, 20, 5), answer(30, 21, 5), answer(11, 22, 500)])
    assert (side["adapter"], side["num_threads"], side["steps_per_second"]) == ("native", 2, 21)  # the median counts
    assert training.summarise_peer("Peer", [answer(1, 2, 3), {"error": "gone"}]) == {"name": "Peer", "error": "gone"}


def test_the_peer_gets_our_envs_rewards_and_network_and_the_ratio_is_to_it(training, small) -> None:
    requests = []

    def ask(request: str) -> dict:
        requests.append(json.loads(request))
        runs = [{"adapter": "native", "num_threads": 1, "steps_per_second": 2.0}]
        return {"versions": {"stable_baselines3": "2"}, "runs": runs}

    config, agent_config = training.configure("drivesim/Obstacles-v1", "dqn", (16, 16), 1)
    options = {"peer_threads": (1, 2), "repetitions": 2, "seconds": 0.01, "quick": True}
    record = training.measure_agent(config, agent_config, ask_peer=ask, **options)
    assert record["ratio"] == record["steps_per_second"] / 2
    assert len(requests) == 2
    assert requests[0]["options"]["reward_weights"] == config.reward_weights
    assert requests[0]["config"]["num_envs"] == 64
    assert requests[0]["config"]["network"]["hidden_sizes"] == [16, 16]
    assert requests[0]["threads"] == [1, 2]


def test_an_unknown_algorithm_is_refused_with_the_known_ones(benchmark, capsys) -> None:
    assert benchmark.main([*TRAIN, "--train-agents", "nothing"]) == 2
    assert "ppo" in capsys.readouterr().err
    with pytest.raises(ValueError, match=IDS[0]):
        benchmark.Arguments(train_env="drivesim/Nowhere-v0")
