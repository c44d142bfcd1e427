"""Training never loses or spoils a run, whatever happens to it."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import load_script
from probes import ProbeVectorEnv
from small_runs import AGENT, PPO_AGENT, RUN, contents, counters, rows

from agents import training
from agents.checkpoint import (
    CheckpointError,
    find_checkpoints,
    load_latest_checkpoint,
    save_checkpoint,
)
from agents.dqn import DQN
from agents.evaluation import evaluate
from agents.interrupts import stop_requests
from agents.metrics import EpisodeSums, read_metrics
from agents.ppo import PPO
from agents.run_config import AgentConfig, TrainConfig
from agents.run_folder import claimed
from agents.training import NotFiniteError, load_policy, resume, train
from agents.watching import watch

resource = pytest.importorskip("resource")

COMMAND = [
    "--env", "probes/Action-v0", "--agent", "ppo", "--num-envs", "8", "--num-steps", "7", "--minibatches", "2",
    "--network.hidden-sizes", "16", "--eval-episodes", "8", "--num-threads", "1", "--no-tensorboard", "--no-progress",
    "--final-episodes", "10",
]  # fmt: skip
KINDS = {"dqn": DQN, "ppo": PPO}


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes most of the time here


def newest(folder: Path) -> Path:
    return find_checkpoints(folder / "checkpoints", "last")[0]


# --- what is not finite ---------------------------------------------------------------------------


def spoil_reward(monkeypatch: pytest.MonkeyPatch, kind: Any, value: float) -> str:
    step, calls = ProbeVectorEnv.step, iter(range(10**6))

    def spoilt(self: ProbeVectorEnv, actions: Any) -> Any:
        obs, rewards, *rest = step(self, actions)
        if self.num_envs == 8 and next(calls) == 41:
            rewards = np.array(rewards, np.float64)
            rewards[3] = value
        return obs, rewards, *rest

    monkeypatch.setattr(ProbeVectorEnv, "step", spoilt)
    return f"the reward of env 3 is {value}"


def spoil_update(monkeypatch: pytest.MonkeyPatch, kind: Any, change: Callable[[Any], None]) -> None:
    update = kind.update

    def spoilt(self: Any) -> None:
        before = self.num_updates
        update(self)
        if self.num_updates != before and self.global_step >= 336:
            change(self)

    monkeypatch.setattr(kind, "update", spoilt)


def spoil_loss(monkeypatch: pytest.MonkeyPatch, kind: Any, value: float) -> str:
    def change(agent: Any) -> None:
        if isinstance(agent, DQN):
            agent._loss_sum.fill_(value)
        else:
            agent.last_metrics["loss/policy"] = value

    spoil_update(monkeypatch, kind, change)
    return f"loss/(td|policy) is {value}"


def spoil_weights(monkeypatch: pytest.MonkeyPatch, kind: Any, value: float) -> str:
    def change(agent: Any) -> None:
        with torch.no_grad():
            agent.network.body.encoder.bias[2] = value

    spoil_update(monkeypatch, kind, change)
    return rf"1 of the weights body\.encoder\.bias are not finite, the first is {value}"


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
@pytest.mark.parametrize("spoil", [spoil_reward, spoil_loss, spoil_weights])
@pytest.mark.parametrize("agent", [AGENT, PPO_AGENT])
def test_what_is_not_finite_stops_the_run_which_keeps_its_last_finite_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentConfig, spoil: Callable[..., str], value: float
) -> None:
    config = replace(RUN, agent="dqn" if agent is AGENT else "ppo", checkpoint_seconds=0.0, eval_interval=160)
    what = spoil(monkeypatch, KINDS[config.agent], value)
    with pytest.raises(NotFiniteError, match=f"^training stopped at step [0-9]+: {what}; .*last-0{{9}}[0-9]+ is the"):
        train(config, agent, tmp_path)
    assert newest(tmp_path).name == "last-000000000328"
    for kind in ("last", "best"):
        kept = load_latest_checkpoint(tmp_path / "checkpoints", kind)
        assert all(tensor.isfinite().all() for group in kept.tensors.values() for tensor in group.values())
    assert int(rows(tmp_path)[-1]["global_step"]) == 320


def test_a_checkpoint_that_is_not_finite_is_neither_resumed_nor_driven(tmp_path: Path) -> None:
    train(replace(RUN, total_steps=80), AGENT, tmp_path)
    for kind in ("last", "best"):
        checkpoint = load_latest_checkpoint(tmp_path / "checkpoints", kind)
        next(iter(checkpoint.tensors["network"].values()))[0] = torch.nan
        save_checkpoint(checkpoint, tmp_path / "checkpoints", kind, 80)
    with pytest.raises(CheckpointError, match=r"does not fit this run: .*are not finite"):
        resume(tmp_path)
    with pytest.raises(CheckpointError, match=r"does not fit this run: .*are not finite"):
        load_policy(tmp_path)


# --- two at once, full disks ----------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    train(replace(RUN, total_steps=80), AGENT, tmp_path / "run")
    before = contents(tmp_path / "run")
    inside, outside = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with claimed(tmp_path / "run"):
            os.write(inside[1], b"x")
            os.read(outside[0], 1)
        os._exit(0)
    os.read(inside[0], 1)
    try:
        with pytest.raises(FileExistsError, match=r"another process is training in .*run"):
            resume(tmp_path / "run", replace(RUN, total_steps=160))
        (tmp_path / "run" / "config.json").rename(tmp_path / "config.json")  # as if the other had only just begun
        with pytest.raises(FileExistsError, match=r"another process is training in .*run"):
            train(RUN, AGENT, tmp_path / "run")
    finally:
        os.write(outside[1], b"x")
        os.waitpid(child, 0)
    (tmp_path / "config.json").rename(tmp_path / "run" / "config.json")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "training.lock").write_text("something else, of the length of a database's head" * 9)
    for folder in ("gone", "taken"):  # whose locks nobody holds, and nobody can
        with pytest.raises(OSError, match=rf"cannot lock .*{folder}/training\.lock"), claimed(tmp_path / folder):
            pass
    assert contents(tmp_path / "run") == before
    assert resume(tmp_path / "run", replace(RUN, total_steps=160)).global_step == 160


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Lets no file grow beyond a size, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("size", "name"), [(8_000, "last-000000002240"), (1_000, "metrics.csv")])
def test_a_full_disk_is_told_in_one_line_and_leaves_the_earlier_checkpoint_whole(
    tmp_path: Path, limit: Callable[[int], None], capfd: pytest.CaptureFixture[str], size: int, name: str
) -> None:
    folder = tmp_path / "run"
    command = [*COMMAND, "--network.hidden-sizes", "64", "64", "--out", str(folder), "--log-interval", "112"]
    assert load_script("train").main([*command, "--total-steps", "1120"]) == 0
    before, files = contents(folder), {path.name for path in folder.iterdir()}
    capfd.readouterr()
    limit(size)
    status = load_script("train").main([*command, "--total-steps", "2240", "--resume"])
    limit(-1)
    (line,) = capfd.readouterr().err.splitlines()
    assert status == 2
    assert line.startswith("error: ")
    assert "File too large" in line
    assert name in line
    assert contents(folder) == before
    assert {path.name for path in folder.iterdir()} == files
    assert not list(folder.rglob(".partial-*"))
    assert load_script("train").main([*command, "--total-steps", "2240", "--resume"]) == 0


# --- the command line -----------------------------------------------------------------------------


def test_resuming_a_folder_that_holds_no_run_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for name, reason in (("missing", "does not exist"), ("empty", "it has no config.json")):
        assert load_script("train").main([*COMMAND, "--out", str(tmp_path / name), "--resume"]) == 2
        assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


IMPOSSIBLE = {
    "final_episodes must be at least 1": ["--final-episodes", "0"],
    "eval_episodes must be at least 1": ["--eval-episodes", "0"],
    "residual needs channels": ["--network.residual"],
    "num_envs must be": ["--num-envs", "0"],
    "observation must be": ["--env", "drivesim/LaneKeep-v1", "--observation", "sight"],
    "reward_weights": ["--env", "drivesim/LaneKeep-v1", "--reward-weights", "joy", "1"],
    "must be made as": ["--env", "CartPole-v1"],
    "buffer_size, batch_size": ["--agent", "dqn", "--buffer-size", "1000000000000"],
    "bytes of weights": ["--network.hidden-sizes", "16000", "16000"],
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_arguments_are_checked_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    changes = IMPOSSIBLE[message]
    command = [*COMMAND, *changes] if "dqn" not in changes else [*COMMAND[:2], *COMMAND[10:], *changes]
    try:
        status = load_script("train").main([*command, "--out", str(tmp_path / "run")])
    except SystemExit as ended:  # the parser's, which draws a box
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_setting_that_must_stay_the_same_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*COMMAND, "--out", str(tmp_path / "run"), "--total-steps", "112"]
    assert load_script("train").main(command) == 0
    for name, was, now in (("clip", "0.2", "0.3"), ("network.hidden_sizes", "(16,)", "8"), ("seed", "0", "4")):
        assert load_script("train").main([*command, "--resume", f"--{name.replace('_', '-')}", now]) == 2
        assert f"{name} of a run to be resumed must stay {was}, got" in capsys.readouterr().err


def test_every_field_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    script = load_script("train")
    with pytest.raises(SystemExit):
        script.main(["--env", "drivesim/Obstacles-v1", "--help"])
    shown = capsys.readouterr().out
    for name in TrainConfig.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in shown, name
    weights = ["--reward-weights", "collision", "-2", "success", "3"]
    assert script.parse(["--env", "drivesim/Obstacles-v1"]).train.reward_weights == {
        "collision": -0.5,
        "off_road": -0.5,
        "time": -0.8,
    }
    assert script.parse(["--env", "drivesim/Obstacles-v1", *weights]).train.reward_weights == {
        "collision": -2.0,
        "success": 3.0,
    }
    assert script.parse(["--env", "drivesim/Obstacles-v1", "--reward-weights"]).train.reward_weights == {}


# --- signals --------------------------------------------------------------------------------------


def send_at_call(monkeypatch: pytest.MonkeyPatch, number: signal.Signals, *calls: int) -> None:
    add, count = EpisodeSums.add, iter(range(10**6))

    def add_and_send(self: EpisodeSums, episodes: dict[str, Any]) -> None:
        add(self, episodes)
        if next(count) in calls:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(EpisodeSums, "add", add_and_send)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_answered_at_once_and_ends_the_program_after_a_checkpoint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
    status: int,
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    send_at_call(monkeypatch, number, 20)
    answered = []
    save = training._Run._save
    monkeypatch.setattr(training._Run, "_save", lambda run: (answered.append(capfd.readouterr().err), save(run)))
    command = [*COMMAND, "--out", str(tmp_path), "--total-steps", "11200"]
    assert load_script("train").main(command) == status
    assert "a checkpoint follows, then the run ends; once more ends it at once" in answered[0]
    assert "--resume --out" in capfd.readouterr().out
    assert newest(tmp_path).name == "last-000000000168"
    assert not {path.name for path in tmp_path.iterdir()} & {"evaluation.json", "episode.gif", "learning_curve.png"}
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_signal_in_the_last_evaluation_still_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = training._Run._evaluate
    monkeypatch.setattr(
        training._Run, "_evaluate", lambda run: (evaluation(run), os.kill(os.getpid(), signal.SIGTERM))[0]
    )
    assert load_script("train").main([*COMMAND, "--out", str(tmp_path), "--total-steps", "112"]) == 143
    assert newest(tmp_path).name == "last-000000000112"
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_program_at_once_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    evaluation = training._Run._save
    monkeypatch.setattr(training._Run, "_save", lambda run: (os.kill(os.getpid(), number), evaluation(run)))
    send_at_call(monkeypatch, number, 20)
    script = load_script("train")
    child = os.fork()
    if child == 0:
        os.dup2(os.open(tmp_path / "said", os.O_WRONLY | os.O_CREAT), 2)
        script.main([*COMMAND, "--out", str(tmp_path / "run"), "--total-steps", "11200"])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -number
    assert "Traceback" not in (tmp_path / "said").read_text()
    assert not find_checkpoints(tmp_path / "run" / "checkpoints", "last")


def test_ignored_signals_stay_ignored() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_requests() as stop:
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal is None
    finally:
        signal.signal(signal.SIGINT, previous)


# --- what others see ------------------------------------------------------------------------------


def points(folder: Path) -> Counter[tuple[str, int]]:
    """How often each point is in the files of TensorBoard."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: Counter[tuple[str, int]] = Counter()
    for path in (folder / "tensorboard").iterdir():
        for event in EventFileLoader(str(path)).Load():
            found.update((value.tag, event.step) for value in event.summary.value)
    return found


@pytest.mark.parametrize("first_checkpoint", [0.0, 60.0])
def test_tensorboard_has_each_point_once_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_checkpoint: float
) -> None:
    config = replace(RUN, tensorboard=True, total_steps=800, log_interval=160, eval_interval=320)
    update, calls = DQN.update, iter(range(10**6))

    def update_and_die(self: Any) -> None:
        update(self)
        if next(calls) == 70:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(DQN, "update", update_and_die)
        if first_checkpoint == 0.0:
            save, saves = training._Run._save, iter(range(10**6))
            patch.setattr(training._Run, "_save", lambda run: save(run) if next(saves) < 30 else None)
        with pytest.raises(MemoryError):
            train(replace(config, checkpoint_seconds=first_checkpoint), AGENT, tmp_path)
    resume(tmp_path, config)
    names = {name for row in rows(tmp_path) for name in row}
    table = [(row, int(row["global_step"])) for row in rows(tmp_path)]
    assert [step for _, step in table] == [160, 320, 480, 640, 800]
    expected = {(name, step) for row, step in table for name in names - {"global_step"} if row.get(name)}
    found = points(tmp_path)
    assert set(found.values()) == {1}
    assert {point for point in found if not point[0].startswith("time/s")} == expected


def test_defaults_of_torch_change_nothing(tmp_path: Path) -> None:
    config = replace(RUN, agent="ppo", total_steps=560)
    agent = replace(PPO_AGENT, memory_size=4, separate_critic=True)
    train(config, agent, tmp_path / "usual")
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        with torch.no_grad():
            train(replace(config, total_steps=280), agent, tmp_path / "unusual")
            resume(tmp_path / "unusual", config)
            policy, own = load_policy(tmp_path / "unusual")
            record = evaluate(policy, own, episodes=8, seed=0)
        assert (torch.get_default_dtype(), torch.get_default_device().type) == (torch.float64, "meta")
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    train(replace(config, total_steps=280), agent, tmp_path / "parts")
    resume(tmp_path / "parts", config)
    assert contents(tmp_path / "unusual") == contents(tmp_path / "parts")
    assert record == evaluate(load_policy(tmp_path / "parts")[0], own, episodes=8, seed=0)


@pytest.fixture(scope="module")
def driven_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driven") / "run"
    config = replace(RUN, env="drivesim/LaneKeep-v1", observation="features", agent="ppo", total_steps=112)
    train(config, PPO_AGENT, folder)
    return folder


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"observation": "grid"}, "observation grid"),
        ({"env": "drivesim/Highway-v1"}, "drivesim/Highway-v1 with observation features"),
        ({"env": "probes/Action-v0", "observation": None}, "probes/Action-v0 with observation by default"),
    ],
)
def test_a_driver_is_evaluated_only_where_it_was_trained(driven_run: Path, change: dict[str, Any], named: str) -> None:
    policy, config = load_policy(driven_run)
    for drive in (evaluate, watch):
        options: dict[str, Any] = {"episodes": 4} if drive is evaluate else {}
        if drive is watch and change["env" if "env" in change else "observation"] == "probes/Action-v0":
            continue  # it has no single environment
        with pytest.raises(ValueError, match="drivesim/LaneKeep-v1 with observation features") as raised:
            drive(policy, replace(config, **change), seed=0, **options)
        assert named in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_run_of_another_version_or_package_is_told_in_one_line(
    driven_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (driven_run / "config.json").read_text()
    for env_id, named in (("drivesim/LaneKeep-v0", "drivesim/LaneKeep-v1"), ("far/Away-v2", "other packages")):
        (tmp_path / "config.json").write_text(text.replace("drivesim/LaneKeep-v1", env_id))
        assert load_script("evaluate").main([str(tmp_path), "--json"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert env_id in line
        assert named in line


# --- the last step --------------------------------------------------------------------------------


def test_a_kill_after_the_last_evaluation_does_not_repeat_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(RUN, total_steps=800, checkpoint_seconds=0.0, log_interval=200, eval_interval=320)
    train(config, AGENT, tmp_path / "whole")
    save = training._Run._save

    def save_and_die(run: Any) -> None:
        if run.last_evaluation == config.total_steps:
            raise MemoryError
        save(run)

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "_save", save_and_die)
        with pytest.raises(MemoryError):
            train(config, AGENT, tmp_path / "killed")
    assert newest(tmp_path / "killed").name == "last-000000000800"  # of before the evaluation
    resume(tmp_path / "killed")
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert read_metrics(tmp_path / "killed" / "metrics.csv", "eval/success_rate")[0] == [320, 640, 800]
    assert counters(tmp_path / "killed") == counters(tmp_path / "whole")


def test_a_step_has_one_row(tmp_path: Path) -> None:
    train(replace(RUN, log_interval=160, eval_interval=320), AGENT, tmp_path)
    steps = [int(row["global_step"]) for row in rows(tmp_path)]
    assert steps == list(range(160, 1601, 160))
    assert read_metrics(tmp_path / "metrics.csv", "eval/success_rate")[0] == list(range(320, 1601, 320))


def test_the_only_checkpoint_is_there_at_every_instant_while_its_step_is_saved_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dies before each call that renames or removes something, one after the other."""
    config = replace(RUN, total_steps=80, keep_checkpoints=1)
    train(config, AGENT, tmp_path / "whole")
    expected, rename, number = contents(tmp_path / "whole"), Path.rename, 0
    while True:
        calls, folder = iter(range(10**6)), tmp_path / f"before_{number}"
        shutil.copytree(tmp_path / "whole", folder)

        def rename_or_die(path: Path, target: Path, calls: Iterator[int] = calls, last: int = number) -> Path:
            if next(calls) == last:
                raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename_or_die)
            try:
                resume(folder)
            except KeyboardInterrupt:
                number += 1
            else:
                break
        assert contents(folder) == expected
        resume(folder)
        assert contents(folder) == expected
    assert number == 3
    assert [path.name for path in find_checkpoints(folder / "checkpoints", "last")] == ["last-000000000080"]
