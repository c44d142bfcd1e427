"""The loop: repeatability, resuming, stopping, and what a run leaves behind."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from probes import ProbeVectorEnv
from small_runs import AGENT, BOTH, PPO_AGENT, PQN_AGENT, RUN, SMALL, contents, counters, rows

from agents.bc import BCConfig
from agents.checkpoint import find_checkpoints
from agents.dqn import DQN
from agents.environments import env_seeds
from agents.metrics import EpisodeSums, MetricsWriter, read_metrics
from agents.ppo import PPO
from agents.progress import ProgressBar, seconds_left
from agents.run_config import AGENT_CONFIGS, AgentConfig, AgentName, read_configs
from agents.training import OVERTIME, TrainConfig, load_policy, resume, train


@BOTH
def test_the_same_seed_gives_the_same_weights(tmp_path: Path, run: TrainConfig, agent: AgentConfig) -> None:
    for name in ("first", "second"):
        train(run, agent, tmp_path / name)
    train(replace(run, seed=1), agent, tmp_path / "other")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert rows(tmp_path / "first") == rows(tmp_path / "second")
    name = "network.safetensors"
    assert contents(tmp_path / "first")[name] != contents(tmp_path / "other")[name]


@BOTH
def test_an_interrupted_run_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: TrainConfig, agent: AgentConfig
) -> None:
    """Ctrl-C finishes the step, saves and returns."""
    train(run, agent, tmp_path / "whole")
    add, calls = EpisodeSums.add, iter(range(10**6))

    def add_and_interrupt(self: EpisodeSums, episodes: dict[str, Any]) -> None:
        add(self, episodes)
        if next(calls) == 102:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(EpisodeSums, "add", add_and_interrupt)
    result = train(run, agent, tmp_path / "parts")
    assert (result.reason, result.global_step) == ("interrupted", 103 * 8)
    assert resume(tmp_path / "parts").reason == "total_steps"
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert counters(tmp_path / "parts") == counters(tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


@BOTH
def test_a_killed_run_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: TrainConfig, agent: AgentConfig
) -> None:
    """Nothing is saved at the moment of death; rows logged after the checkpoint are dropped."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes most of the time here
    short = replace(run, total_steps=480, checkpoint_seconds=0.0)
    train(short, agent, tmp_path / "whole")
    kind = {"dqn": DQN, "ppo": PPO}[short.agent]
    update, calls = kind.update, iter(range(10**6))

    def update_and_die(self: Any) -> None:
        update(self)
        if next(calls) == 39:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(kind, "update", update_and_die)
        with pytest.raises(MemoryError):
            train(short, agent, tmp_path / "parts")
    resume(tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path: Path) -> None:
    train(RUN, AGENT, tmp_path)
    expected = contents(tmp_path), rows(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    resume(tmp_path)
    assert (contents(tmp_path), rows(tmp_path)) == expected


def test_a_finished_run_can_be_prolonged_but_not_rewritten(tmp_path: Path) -> None:
    train(RUN, AGENT, tmp_path)
    assert resume(tmp_path, replace(RUN, total_steps=2000)).global_step == 2000
    with pytest.raises(ValueError, match="seed of a run to be resumed must stay 0, got 5"):
        resume(tmp_path, replace(RUN, seed=5))


def test_evaluating_and_logging_do_not_change_what_is_learnt(tmp_path: Path) -> None:
    often = replace(RUN, eval_interval=80, log_interval=8, checkpoint_seconds=0.05)
    train(RUN, AGENT, tmp_path / "seldom")
    train(often, AGENT, tmp_path / "often")
    assert contents(tmp_path / "seldom") == contents(tmp_path / "often")


@BOTH
def test_the_run_stops_when_held_out_levels_are_driven_well_enough(
    tmp_path: Path, run: TrainConfig, agent: AgentConfig
) -> None:
    config = replace(run, env="probes/Constant-v0", stop_at_success=0.99)
    result = train(config, agent, tmp_path)
    assert (result.reason, result.global_step, result.best_success) == ("success", 640, 1.0)


def test_a_run_that_asks_for_a_return_does_not_stop_for_success_alone(tmp_path: Path) -> None:
    config = replace(RUN, env="probes/Constant-v0", stop_at_success=0.99, total_steps=960)
    train(config, AGENT, tmp_path / "any")
    earned = max(float(row["eval/mean_return"]) for row in rows(tmp_path / "any") if row["eval/mean_return"])
    reached = train(replace(config, stop_at_return=earned), AGENT, tmp_path / "reached")
    assert (reached.reason, reached.global_step) == ("success", 640)
    missed = train(replace(config, stop_at_return=earned + 0.01), AGENT, tmp_path / "missed")
    assert (missed.reason, missed.best_success) == ("total_steps", 1.0)


def test_of_two_drivers_that_arrive_often_enough_the_one_that_earns_more_is_kept() -> None:
    config = replace(RUN, stop_at_success=0.99)
    slow, fast, careless = (0.999, 1.6), (0.992, 1.8), (0.98, 1.9)
    assert max(slow, fast, careless, key=lambda score: config.rank(*score)) == fast
    assert max(slow, fast, careless, key=lambda score: RUN.rank(*score)) == slow


LONG_UPDATES: dict[AgentName, AgentConfig] = {
    "dqn": replace(AGENT, num_envs=64, learning_starts=0, train_frequency=1),
    "pqn": replace(PQN_AGENT, num_steps=2, epochs=1000),
    "ppo": replace(PPO_AGENT, num_steps=2, epochs=1000),
    "bc": BCConfig(expert="rule-based", num_envs=8, num_steps=2, batch_size=32, updates=1000, network=SMALL),
}
"""Whose updates are of many gradient updates, for the few steps that they are made after."""


@pytest.mark.parametrize("name", LONG_UPDATES)
def test_a_run_whose_time_is_long_up_stops_between_two_gradient_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: AgentName
) -> None:
    env = "drivesim/LaneKeep-v1" if name == "bc" else RUN.env
    run = replace(RUN, env=env, agent=name, total_steps=10**6, max_seconds=60.0)
    clock = itertools.count()  # a second for every look at it
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    for part in (1, 2):
        result = train(run, LONG_UPDATES[name], tmp_path) if part == 1 else resume(tmp_path)
        assert result.reason == "max_seconds"
        assert 0 < counters(tmp_path)["num_updates"] < (60 + OVERTIME) * part
        load_policy(tmp_path, "last")  # which must be finite


def test_runs_with_neighbouring_seeds_share_no_env() -> None:
    assert not set(env_seeds(0, 512)) & set(env_seeds(1, 512))
    assert env_seeds(7, 4) == env_seeds(7, 4)
    assert all(type(seed) is int for seed in env_seeds(0, 4))


def test_envs_are_seeded_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    reset = ProbeVectorEnv.reset

    def spy(self: ProbeVectorEnv, **kwargs: object) -> object:
        seeds.append(kwargs.get("seed"))
        return reset(self, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ProbeVectorEnv, "reset", spy)
    train(replace(RUN, total_steps=80), AGENT, tmp_path)
    assert seeds[1] == env_seeds(0, 8)  # the first is that of the environment that only loads kernels


def test_a_run_folder_tells_how_to_repeat_the_run(tmp_path: Path) -> None:
    train(replace(RUN, tensorboard=True), AGENT, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["train"]["env"] == RUN.env
    assert config["agent"]["network"]["hidden_sizes"] == [16]
    assert json.loads((tmp_path / "env_spec.json").read_text())["id"] == RUN.env
    assert json.loads((tmp_path / "versions.json").read_text())["torch"]
    assert any((tmp_path / "tensorboard").iterdir())
    assert read_metrics(tmp_path / "metrics.csv", "eval/success_rate")[0] == [640, 1280, 1600]
    assert read_metrics(tmp_path / "metrics.csv", "rollout/success")[0][0] == 200


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    train(replace(RUN, total_steps=80), AGENT, tmp_path)
    with pytest.raises(FileExistsError, match="already holds a run"):
        train(RUN, AGENT, tmp_path)


def test_a_missing_run_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load_policy(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        resume(tmp_path)


def test_as_many_checkpoints_are_kept_as_asked_for(tmp_path: Path) -> None:
    train(replace(RUN, total_steps=80, checkpoint_seconds=0.0, keep_checkpoints=3), AGENT, tmp_path)
    steps = [path.name for path in find_checkpoints(tmp_path / "checkpoints", "last")]
    assert steps == ["last-000000000080", "last-000000000072", "last-000000000064"]
    resume(tmp_path, replace(RUN, total_steps=88, keep_checkpoints=1))
    assert [path.name for path in find_checkpoints(tmp_path / "checkpoints", "last")] == ["last-000000000088"]


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes most of the time here
    train(RUN, AGENT, tmp_path / "whole")
    add, calls = EpisodeSums.add, iter(range(10**6))

    def add_and_interrupt(self: EpisodeSums, episodes: dict[str, Any]) -> None:
        add(self, episodes)
        if next(calls) == 20:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(EpisodeSums, "add", add_and_interrupt)
    train(replace(RUN, checkpoint_seconds=0.0), AGENT, tmp_path / "parts")
    last = find_checkpoints(tmp_path / "parts" / "checkpoints", "last")[0]
    (last / "values.json").write_text("{}")
    with pytest.warns(UserWarning, match=f"checkpoint skipped: .*{last.name}/values.json"):
        resume(tmp_path / "parts", RUN)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"train": 1, "agent": {}}', "[" * 100_000])
def test_a_configuration_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is not the configuration of a run"):
        read_configs(tmp_path)


def test_a_setting_of_another_type_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"train": {"total_steps": "many"}, "agent": {}}')
    with pytest.raises(ValueError, match=r"config\.json is not the configuration of a run"):
        read_configs(tmp_path)


# --- what a run shows -----------------------------------------------------------------------------


def test_the_time_left_is_that_to_the_end_or_to_the_deadline() -> None:
    assert seconds_left(600, 20.0, None) == 30.0
    assert seconds_left(600, 20.0, 7.0) == 7.0
    assert seconds_left(600, 20.0, 70.0) == 30.0
    assert seconds_left(600, 0.0, 7.0) == 7.0
    assert seconds_left(600, 0.0, None) is None
    assert seconds_left(600, 20.0, -1.0) == 0.0


def test_the_bar_shows_steps_and_their_rate_success_loss_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s for the 2,000 steps since the start at 1,000 leave 35 s for the other 7,000, or 15 s to the deadline."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    for deadline, left in ((None, "00:35"), (125.0, "00:15")):
        clock.now = 100.0
        bar = ProgressBar(10_000, 1000, deadline=deadline, file=io.StringIO())
        bar._time = lambda: clock.now
        bar.start_t = clock.now
        bar.smoothing, bar.mininterval = 0, 10**9  # the mean rate, drawn when asked for
        bar.move_to(3000)
        bar.show({"rollout/success": 0.25, "time/seconds": 3.0, "loss/policy": 0.5, "loss/value": 0.125})
        bar.show({"time/seconds": 4.0})
        clock.now = 110.0
        text = str(bar)
        assert text.startswith(" 30%|")
        assert text.endswith(f"| 3.00k/10.0k [00:10, {left} left, 200step/s, success=0.25, loss=0.5]")
        bar.move_to(10_004)
        assert str(bar).startswith("100%|")
        bar.close()
    reader, writer = os.openpty()  # a terminal that does not know how wide it is
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as terminal, ProgressBar(10_000, 1000, deadline=None, file=terminal) as bar:
        assert "10%|" in os.read(reader, 1 << 12).decode()
    os.close(reader)


SMALL: dict[AgentName, dict[str, Any]] = {
    name: {
        field: value
        for field, value in {
            "num_envs": 8,
            "num_steps": 7,
            "updates": 2,
            "minibatches": 2 if name != "a2c" else 1,
            "batch_size": 32,
            "buffer_size": 400,
            "learning_starts": 64,
            "train_frequency": 8,
        }.items()
        if field in kind.__dataclass_fields__
    }
    for name, kind in AGENT_CONFIGS.items()
}


def small_run(name: AgentName) -> TrainConfig:
    """A run on a probe or, of who imitates, where there is an expert."""
    if name in ("bc", "dagger"):
        return replace(RUN, agent=name, env="drivesim/LaneKeep-v1", level_options={"length": 16})
    return replace(RUN, agent=name)


@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_every_algorithm_trains_resumes_and_shows_its_loss(
    tmp_path: Path, name: AgentName, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, run = AGENT_CONFIGS[name](**SMALL[name]), small_run(name)
    train(replace(run, total_steps=1000), agent, tmp_path / "parts")
    resume(tmp_path / "parts", run)
    assert find_checkpoints(tmp_path / "parts" / "checkpoints", "last")[0].name == "last-000000001600"
    train(replace(run, progress=True), agent, tmp_path / "whole")
    shown = capsys.readouterr().err
    assert "success=" in shown
    assert "loss=" in shown
    assert "step/s" in shown


# --- Weights & Biases -----------------------------------------------------------------------------


class FakeWandb:
    """Stands in for the module and for a run."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.num_finished = 0

    def init(self, **settings: Any) -> FakeWandb:
        self.begun.append(settings)
        return self

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((step, metrics))

    def finish(self) -> None:
        self.num_finished += 1


def test_a_resumed_run_goes_on_with_its_run_at_weights_and_biases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    config = replace(RUN, wandb=True, wandb_project="streets")
    train(config, AGENT, tmp_path / "first")
    train(replace(config, total_steps=80), AGENT, tmp_path / "second")
    resume(tmp_path / "first", replace(config, total_steps=1800))
    first, second, again = fake.begun
    assert (first["project"], first["name"], first["resume"]) == ("streets", "first", "allow")
    assert first["config"]["agent"]["network"]["hidden_sizes"] == [16]
    assert again["id"] == first["id"] != second["id"]
    assert fake.num_finished == 3
    steps, losses = read_metrics(tmp_path / "first" / "metrics.csv", "loss/td")
    logged = [(step, metrics["loss/td"]) for step, metrics in fake.logged if "loss/td" in metrics]
    assert logged == list(zip(steps, losses, strict=True))


def test_weights_and_biases_are_asked_for_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'drivesim\[wandb\]'"):
        train(replace(RUN, wandb=True), AGENT, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    MetricsWriter(tmp_path, tensorboard=False).close()  # does not import it
