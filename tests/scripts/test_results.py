"""The race between the algorithms: its statistics by hand, its table, and that it survives being killed."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from pathlib import Path
from types import ModuleType

import pytest
from loading import load_script

from agents import race
from agents.dqn import DQN, DQNConfig
from agents.metrics import EpisodeSums, wilson_interval
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.presets import Preset
from agents.race import RaceConfig, Run
from agents.results import (
    FINAL_SEED,
    markdown,
    read_summary,
    seconds_to,
    student_interval,
    student_quantile,
    summarise,
    write_csv,
    write_summary,
)
from agents.run_config import TrainConfig
from drivesim.registry import IDS

ROOT = Path(__file__).parents[2]
PROBE = "probes/Action-v0"
SMALL = NetworkConfig(hidden_sizes=(16,))
PRESETS = {
    "dqn": DQNConfig(num_envs=16, batch_size=32, buffer_size=400, learning_starts=64, train_frequency=8, network=SMALL),
    "ppo": PPOConfig(num_envs=8, num_steps=4, minibatches=2, network=SMALL),
}


@pytest.fixture(scope="module")
def results() -> ModuleType:
    return load_script("results")


@pytest.fixture
def small_presets(monkeypatch) -> None:
    """Runs of a hundredth of a second, with a checkpoint after every step."""

    def preset_for(env_id, agent="dqn"):
        config = TrainConfig(
            env=env_id, agent=agent, total_steps=800, log_interval=200, eval_interval=320, eval_episodes=16,
            checkpoint_seconds=0.0,
        )  # fmt: skip
        return Preset(config, PRESETS[agent])

    monkeypatch.setattr(race, "preset_for", preset_for)


def arguments(out: Path, *more: str) -> list[str]:
    return ["--envs", PROBE, "--seeds", "0", "1", "--agents", "dqn", "--episodes", "20", "--out", str(out), *more]


def records(out: Path) -> dict[str, dict]:
    """All records of a folder, without what the clock says."""
    found = {path.stem: json.loads(path.read_text()) for path in out.glob("*__*.json")}
    return {
        name: {key: value for key, value in record.items() if "second" not in key} for name, record in found.items()
    }


def run_record(env: str, agent: str, seed: int, **changes) -> dict:
    """A run that reached 95 % after 20 s, 99 % never, and took 100 s."""
    record = {
        "env": env, "agent": agent, "episodes": 1000, "seed": seed,
        "success_rate": 0.95, "success_ci95": [0.9, 0.97],
        "collision_rate": 0.04, "off_road_rate": 0.0, "timeout_rate": 0.01, "mean_length_of_successes": 20.0,
        "steps": 1_000_000, "seconds": 100.0, "steps_per_second": 10_000.0,
        "seconds_to_95": 20.0, "seconds_to_99": None, "stop_reason": "total_steps", "share_of_optimum": 0.9,
    }  # fmt: skip
    return {**record, **changes}


CONDITIONS = {
    "first_seed": 1_000_000, "workers": 1, "episodes": 1000, "regret_levels": 40, "max_seconds": 180.0,
    "num_threads": 1, "processor": "a processor", "num_processors": 2,
}  # fmt: skip


# --- statistics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (10, 2.2281), (99, 1.9842)])
def test_quantiles_of_students_t_are_those_of_the_printed_tables(degrees, quantile) -> None:
    assert student_quantile(degrees) == pytest.approx(quantile, abs=5e-5)


def test_the_interval_over_seeds_is_students_and_stays_a_share() -> None:
    # mean 0.5, deviation sqrt((0.01 + 0 + 0.01) / 2) = 0.1, half width 4.30265 * 0.1 / sqrt(3) = 0.248414
    assert student_interval([0.4, 0.5, 0.6]) == pytest.approx((0.251586, 0.748414), abs=1e-6)
    low, high = student_interval([0.9, 0.95, 1.0])  # half width 0.124207
    assert (low, high) == (pytest.approx(0.825793, abs=1e-6), 1.0)
    assert student_interval([0.0, 0.05, 0.1])[0] == 0.0
    with pytest.raises(ValueError, match="at least two values, got 1"):
        student_interval([0.9])


def test_the_time_to_a_threshold_is_that_of_the_first_evaluation_that_reached_it(tmp_path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "global_step,rollout/success,time/seconds,eval/success_rate\n"
        "100,0.99,1.0,\n"  # a log point of training, not an evaluation
        "100,,2.0,0.94\n"
        "200,0.99,3.0,\n"
        "200,,4.5,0.95\n"
        "300,,6.0,0.5\n"
        "400,,8.0,0.97\n"
    )
    assert seconds_to(path, 0.9) == 2.0
    assert seconds_to(path, 0.95) == 4.5
    assert seconds_to(path, 0.96) == 8.0
    assert seconds_to(path, 0.99) is None


def test_a_row_of_the_summary_is_over_the_seeds() -> None:
    env = IDS[1]
    runs = [
        run_record(env, "dqn", 2, success_rate=0.6, seconds=50.0, seconds_to_95=10.0, mean_length_of_successes=None),
        run_record(env, "dqn", 0, success_rate=0.4, seconds_to_99=90.0),
        run_record(env, "dqn", 1, success_rate=0.5, seconds=60.0, seconds_to_95=30.0),
    ]
    (row,) = summarise(runs)
    assert row["seeds"] == [0, 1, 2]
    assert row["success_mean"] == pytest.approx(0.5)
    assert row["success_ci95"] == pytest.approx([0.251586, 0.748414], abs=1e-6)
    assert (row["seconds"], row["steps"], row["mean_length_of_successes"]) == (70.0, 1_000_000, 20.0)
    assert row["steps_per_second"] == pytest.approx(1e6 / 70)
    assert (row["reached_95"], row["seconds_to_95"]) == (3, 20.0)
    assert (row["reached_99"], row["seconds_to_99"]) == (1, None)  # a mean over the lucky seeds would flatter


def test_a_single_seed_has_the_interval_of_its_levels() -> None:
    (row,) = summarise([run_record(IDS[0], "ppo", 0, success_rate=0.979)])
    assert row["success_ci95"] == list(wilson_interval(979, 1000))


def test_the_summary_is_in_the_order_of_the_registry_whatever_the_order_of_the_runs() -> None:
    runs = [run_record(env, agent, 0) for agent in ("ppo", "dqn") for env in reversed(IDS)]
    assert [(row["env"], row["agent"]) for row in summarise(runs)] == [
        (env, agent) for env in IDS for agent in ("dqn", "ppo")
    ]


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_table_says_what_the_records_do() -> None:
    runs = [
        run_record(IDS[0], "dqn", 0, success_rate=0.95),
        run_record(IDS[0], "dqn", 1, success_rate=0.95, seconds=104.0),
        run_record(IDS[0], "ppo", 0, success_rate=0.99, seconds_to_99=40.0),
        run_record(IDS[0], "ppo", 1, success_rate=1.0, seconds_to_99=50.0, share_of_optimum=0.95),
        run_record(IDS[1], "ppo", 0, success_rate=1.0, share_of_optimum=None),
    ]
    baselines = [
        {"env": IDS[0], "agent": "random", "success_rate": 0.026},
        {"env": IDS[1], "agent": "rule-based", "success_rate": 0.75, "share_of_optimum": 0.6},
    ]
    lines = markdown({"runs": runs, "baselines": baselines, "conditions": CONDITIONS}).splitlines()
    # PPO's interval: mean 0.995, deviation 0.01 / sqrt(2), half width 12.7062 * 0.005 = 0.0635
    dash = "\N{EN DASH}"
    assert lines[:4] == [
        "| id | random | never steers | ignores others | rule-based | of the optimum | DQN (95 %) | of the optimum "
        "| s to 95 / 99 %, in all | PPO (95 %) | of the optimum | s to 95 / 99 %, in all |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        f"| `{IDS[0]}` | 2.6 % | {dash} | {dash} | {dash} | {dash} | 95.0 % (95.0{dash}95.0) | 90.0 % "
        f"| 20 / {dash}, 102 | **99.5 %** (93.1{dash}100.0) | 92.5 % | 20 / 45, 100 |",
        f"| `{IDS[1]}` | {dash} | {dash} | {dash} | 75.0 % | 60.0 % | {dash} | {dash} | {dash} "
        f"| **100.0 %** (99.6{dash}100.0) | {dash} | 20 / {dash}, 100 |",
    ]
    caption = " ".join(lines[5:])
    assert (
        "seeds 0, 1, success with Student's 95 % interval; of PPO on LaneKeep one seed only, with Wilson's" in caption
    )
    assert "1,000 held-out envs (seeds 1,000,000 to 1,000,999)" in caption
    assert "a share of what the best drives earn, on the first 40 of them" in caption
    assert "180 at most" in caption
    assert "one run at a time with one thread each, on 2 processors of a processor" in caption


def test_algorithms_of_which_all_runs_have_one_seed_are_named() -> None:
    runs = [run_record(env, "ppo", seed) for env in IDS[:2] for seed in (0, 1)]
    runs += [run_record(env, agent, 0) for env in IDS[:2] for agent in ("dqn", "pqn")]
    caption = " ".join(markdown({"runs": runs, "baselines": [], "conditions": CONDITIONS}).splitlines())
    assert "of DQN, PQN one seed only" in caption
    runs.append(run_record(IDS[2], "ppo", 0))
    runs += [run_record(env, "dqn", seed) for env, seed in ((IDS[0], 1), (IDS[2], 0))]
    caption = " ".join(markdown({"runs": runs, "baselines": [], "conditions": CONDITIONS}).splitlines())
    assert (
        f"of DQN but on {IDS[0].split('/')[1][:-3]}, PQN, PPO on {IDS[2].split('/')[1][:-3]} one seed only" in caption
    )


def test_a_summary_is_read_as_it_was_written_and_the_csv_has_its_rows(tmp_path) -> None:
    runs = [run_record(IDS[0], "dqn", seed, success_rate=0.4 + seed / 10) for seed in range(3)]
    summary = {"conditions": CONDITIONS, "baselines": [], "runs": runs, "summary": summarise(runs)}
    write_summary(tmp_path / "new" / "summary.json", summary)
    assert read_summary(tmp_path / "new" / "summary.json") == summary
    write_csv(tmp_path / "summary.csv", summary["summary"])
    with (tmp_path / "summary.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["env"], row["seeds"], row["seconds_to_99"]) == (IDS[0], "0 1 2", "")
    assert float(row["success_low"]) == pytest.approx(0.251586, abs=1e-6)


def test_the_results_in_the_readme_are_the_stored_ones() -> None:
    summary = read_summary(ROOT / "docs" / "results.json")
    assert summary["summary"] == summarise(summary["runs"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ((content),) = re.findall(r"<!-- results -->\n(.*?)\n<!-- /results -->", readme, flags=re.DOTALL)
    assert content == markdown(summary), "stale: run python scripts/build_docs.py"


def test_the_final_levels_are_those_of_a_single_training() -> None:
    assert load_script("train").FINAL_SEED == FINAL_SEED


# --- the race ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_presets")
def test_a_race_leaves_records_and_a_table_and_repeats_nothing(results, tmp_path, monkeypatch, capsys) -> None:
    command = arguments(tmp_path, "--agents", "dqn", "ppo", "--summary", str(tmp_path / "docs.json"))
    assert results.main(command) == 0
    first = records(tmp_path)
    runs = {f"Action-v0__{agent}__{seed}" for agent in ("dqn", "ppo") for seed in (0, 1)}
    assert set(first) == {*runs, "Action-v0__random"}
    assert first["Action-v0__dqn__0"]["success_rate"] == 1.0
    assert first["Action-v0__dqn__0"]["steps"] == 800
    assert first["Action-v0__dqn__0"]["stop_reason"] == "total_steps"
    assert not list(tmp_path.glob("*/checkpoints/last-*"))
    table = markdown(read_summary(tmp_path / "summary.json"))
    assert read_summary(tmp_path / "docs.json") == read_summary(tmp_path / "summary.json")
    assert table in capsys.readouterr().out

    for name in ("train", "resume", "evaluate"):  # would be called for any run that is not finished
        monkeypatch.setattr(race, name, None)
    assert results.main(command) == 0
    assert "4 of them finished" in capsys.readouterr().out
    assert results.main([*command, "--table"]) == 0
    assert table in capsys.readouterr().out
    assert records(tmp_path) == first


@pytest.mark.usefixtures("small_presets")
@pytest.mark.parametrize("update", [0, 20, 60])  # before the first run's first update, in its middle, in the second's
def test_a_race_killed_in_training_continues_to_the_same_records(results, tmp_path, monkeypatch, update) -> None:
    assert results.main(arguments(tmp_path / "whole")) == 0
    original, calls = DQN.update, iter(range(10**6))

    def update_and_die(self):
        original(self)
        if next(calls) == update:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(DQN, "update", update_and_die)
        with pytest.raises(MemoryError):
            results.main(arguments(tmp_path / "parts"))
    assert len(records(tmp_path / "parts")) < len(records(tmp_path / "whole"))
    assert results.main(arguments(tmp_path / "parts")) == 0
    assert records(tmp_path / "parts") == records(tmp_path / "whole")


@pytest.mark.usefixtures("small_presets")
def test_a_race_killed_between_training_and_record_does_not_train_again(results, tmp_path, monkeypatch) -> None:
    command = arguments(tmp_path, "--seeds", "0", "--stop-at-success", "1.0")

    def die(race_config, run, progress):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(race, "_measure", die)
        with pytest.raises(MemoryError):
            results.main(command)
    for name in ("train", "resume"):
        monkeypatch.setattr(race, name, None)
    assert results.main(command) == 0
    record = records(tmp_path)["Action-v0__dqn__0"]
    assert (record["stop_reason"], record["steps"]) == ("success", 320)


@pytest.mark.usefixtures("small_presets")
def test_a_race_that_is_interrupted_says_so_and_continues(results, tmp_path, monkeypatch, capsys) -> None:
    add, calls = EpisodeSums.add, iter(range(10**6))

    def add_and_interrupt(self, episodes):
        add(self, episodes)
        if next(calls) == 30:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeSums, "add", add_and_interrupt)
        assert results.main(arguments(tmp_path)) == 130
    assert "interrupted" in capsys.readouterr().err
    assert results.main(arguments(tmp_path)) == 0


def test_the_time_of_a_run_is_shared_by_its_parts(tmp_path, monkeypatch) -> None:
    states = iter([race._Progress(None, 10, 50.0), race._Progress("max_seconds", 20, 181.0)])
    resumed = []
    monkeypatch.setattr(race, "_progress_of", lambda folder, config: next(states))
    monkeypatch.setattr(race, "resume", lambda folder, config: resumed.append(config))
    config = TrainConfig(max_seconds=180.0)
    assert race.finish_training(tmp_path, config, DQNConfig()).seconds == 181.0
    assert [config.max_seconds for config in resumed] == [130.0]


@pytest.mark.usefixtures("small_presets")
def test_runs_with_other_settings_are_not_mixed(results, tmp_path, capsys) -> None:
    command = arguments(tmp_path, "--seeds", "0")
    assert results.main(command) == 0
    changed = [*command, "--stop-at-success", "1.0"]
    assert results.main(changed) == 2
    assert "other settings: Action-v0__dqn__0; pass --redo-changed" in capsys.readouterr().err
    assert records(tmp_path)["Action-v0__dqn__0"]["steps"] == 800
    assert results.main([*changed, "--redo-changed"]) == 0
    assert records(tmp_path)["Action-v0__dqn__0"]["steps"] == 320


@pytest.mark.usefixtures("small_presets")
def test_two_processes_do_not_make_the_same_run(tmp_path) -> None:
    config, run = RaceConfig(out=tmp_path, episodes=20), Run(PROBE, "dqn", 0)
    with race.locked(tmp_path / f"{run.name}.lock") as is_ours:
        assert is_ours
        assert race.make_run(config, run) is None
    assert race.make_run(config, run) is not None


def test_wrong_arguments_are_refused_by_name(results) -> None:
    with pytest.raises(ValueError, match="num_threads must be 1 where several workers"):
        results.Arguments(workers=2, num_threads=2)
    with pytest.raises(ValueError, match="max_seconds must be positive, got 0"):
        results.Arguments(max_seconds=0)
    with pytest.raises(ValueError, match="Nowhere"):
        results.Arguments(envs=("drivesim/Nowhere-v0",))


@pytest.mark.slow
def test_several_workers_make_all_runs(results, tmp_path, capfd) -> None:
    command = ["--envs", "drivesim/LaneKeep-v1", "--agents", "dqn", "ppo", "--seeds", "0", "--quick"]
    assert results.main([*command, "--workers", "2", "--episodes", "20", "--out", str(tmp_path)]) == 0
    found = records(tmp_path)
    assert {found[f"LaneKeep-v1__{agent}__0"]["workers"] for agent in ("dqn", "ppo")} == {2}
    rules = found["LaneKeep-v1__rule-based"]
    assert rules["success_rate"] > 0.9
    assert rules["mean_optimum"] == found["LaneKeep-v1__dqn__0"]["mean_optimum"] >= rules["mean_return"]
    assert found["LaneKeep-v1__random"]["share_of_optimum"] < 0 < rules["share_of_optimum"] <= 1
    assert "2 runs at a time" in " ".join(capfd.readouterr().out.split())
