"""Evaluation, metrics and intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probes import ProbeVectorEnv

from agents.environments import EnvChoice, make_envs
from agents.evaluation import evaluate
from agents.metrics import MetricsWriter, read_metrics, wilson_interval
from agents.random_agent import make_random


def choose_one(obs: np.ndarray) -> np.ndarray:
    return np.ones(len(obs), np.int64)


def test_only_the_first_episode_of_each_env_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long episodes must not be crowded out by the short ones of other envs."""
    config = EnvChoice("probes/Truncation-v0")
    record = evaluate(choose_one, config, episodes=400, seed=3)
    envs = make_envs(config, 400, "test")
    envs.reset(seed=3)
    lengths = np.zeros(400)
    while (lengths == 0).any():
        *_, infos = envs.step(np.ones(400, np.int64))
        first = infos.get("_final_info", np.zeros(400, np.bool_)) & (lengths == 0)
        lengths[first] = infos.get("final_info", {"episode_length": lengths})["episode_length"][first]
    assert record["mean_length"] == lengths.mean()
    assert record["timeout_rate"] == 1.0
    assert record["mean_return"] == pytest.approx(lengths.mean() - 1)  # the first step pays nothing


def test_the_record_is_json_with_the_documented_keys() -> None:
    record = evaluate(choose_one, EnvChoice("probes/Action-v0"), episodes=5, seed=0, agent="one")
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record.keys() >= {
        "success_rate", "success_ci95", "collision_rate", "off_road_rate", "timeout_rate",
        "mean_return", "mean_length", "episodes", "env", "agent", "split", "seed",
    }  # fmt: skip
    assert record["success_rate"] == 1.0


def test_many_episodes_in_rounds_equal_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    config = EnvChoice("probes/Truncation-v0")
    whole = evaluate(choose_one, config, episodes=50, seed=9)
    monkeypatch.setattr("agents.evaluation._MAX_ENVS", 16)
    assert evaluate(choose_one, config, episodes=50, seed=9) == whole


def test_the_split_reaches_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    init = ProbeVectorEnv.__init__

    def spy(self: ProbeVectorEnv, **options: Any) -> None:
        seen.append(options["split"])
        init(self, **options)

    monkeypatch.setattr(ProbeVectorEnv, "__init__", spy)
    evaluate(choose_one, EnvChoice("probes/Action-v0"), episodes=2, seed=0)
    evaluate(choose_one, EnvChoice("probes/Action-v0"), episodes=2, seed=0, split="train")
    assert seen == ["test", "train"]


def test_the_random_driver_draws_all_actions_and_repeats_by_seed() -> None:
    obs = np.zeros((300, 1), np.float32)
    actions = make_random(5, seed=1)(obs)
    assert set(actions.tolist()) == {0, 1, 2, 3, 4}
    assert (actions == make_random(5, seed=1)(obs)).all()


def test_wilson_interval_equals_published_numbers() -> None:
    # Newcombe (1998), table I: 81/263 gives 0.2553 to 0.3662, and 0/20 gives 0 to 0.1611.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    low, high = wilson_interval(20, 20)
    assert (high, low) == pytest.approx((1.0, 1 - 0.1611), abs=5e-5)
    for trials in range(1, 2000):  # and neither 2e-19 nor 0.9999999999999999
        assert wilson_interval(0, trials)[0] == 0.0
        assert wilson_interval(trials, trials)[1] == 1.0
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        wilson_interval(3, 2)


def test_a_metric_that_appears_late_gets_a_column_and_old_rows_stay(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path, tensorboard=False)
    writer.write(10, {"loss/td": 0.1})
    writer.write(20, {"loss/td": 0.2, "eval/success_rate": 1.0})
    writer.write(30, {"loss/td": 0.3})
    path = tmp_path / "metrics.csv"
    assert read_metrics(path, "loss/td") == ([10, 20, 30], [0.1, 0.2, 0.3])
    assert read_metrics(path, "eval/success_rate") == ([20], [1.0])
    MetricsWriter(tmp_path, tensorboard=False, resume_step=20)
    assert read_metrics(path, "loss/td")[0] == [10, 20]
