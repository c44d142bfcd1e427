"""The command lines: train, resume, evaluate, and what they say when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from loading import load_script

from agents.command_line import status_of
from agents.run_config import AGENT_CONFIGS, AgentName
from agents.run_folder import read_config

SMALL = [
    "--env", "probes/Action-v0", "--agent", "dqn", "--seed", "3", "--num-envs", "8",
    "--batch-size", "32", "--buffer-size", "400", "--learning-starts", "64",
    "--train-frequency", "8", "--network.hidden-sizes", "16", "--eval-episodes", "16",
    "--num-threads", "1", "--no-tensorboard", "--no-progress", "--final-episodes", "20",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "probe"
    assert load_script("train").main([*SMALL, "--total-steps", "1600", "--out", str(folder)]) == 0
    return folder


def test_the_status_of_a_command_says_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: BaseException) -> int:
        raise error

    assert [status_of(lambda: None), status_of(lambda: 3)] == [0, 3]
    for error in (ValueError("no\nsuch \x1b[2J thing"), OSError("no disk")):
        assert status_of(partial(fail, error)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: no ")
        assert line.isprintable()
    assert status_of(partial(fail, KeyboardInterrupt()), "go on with --resume") == 130
    assert capsys.readouterr().err == "go on with --resume\n"
    with pytest.raises(ZeroDivisionError):
        status_of(lambda: 1 // 0)


def test_training_leaves_a_whole_run_folder(run_dir: Path) -> None:
    names = {path.name for path in run_dir.iterdir()}
    assert names >= {
        "config.json", "env_spec.json", "versions.json", "metrics.csv", "checkpoints",
        "learning_curve.png", "evaluation.json",
    }  # fmt: skip
    assert read_config(run_dir)["train"]["seed"] == 3
    drivers = [record["agent"] for record in json.loads((run_dir / "evaluation.json").read_text())]
    assert drivers[:2] == ["dqn", "random"]


def test_evaluate_prints_exactly_one_json_object(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(run_dir), "--episodes", "30", "--split", "test", "--seed", "5", "--json"]
    assert load_script("evaluate").main(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["episodes"], record["seed"], record["split"]) == (30, 5, "test")
    assert (record["agent"], record["env"], record["success_rate"]) == (
        "dqn", "probes/Action-v0", 1.0,
    )  # fmt: skip


def test_resume_takes_the_saved_settings_and_new_limits(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resume = ["--out", str(run_dir), "--resume", "--final-episodes", "10"]
    assert load_script("train").main([*resume, "--total-steps", "2400"]) == 0
    assert "after 2,400 steps" in capsys.readouterr().out
    assert load_script("train").main([*resume, "--seed", "4"]) == 2
    assert "seed of a run to be resumed must stay 3" in capsys.readouterr().err


def test_errors_say_what_is_wrong_and_what_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_script("train").main(["--env", "drivesim/Obstakles-v0"]) == 2
    assert "drivesim/Obstacles-v1" in capsys.readouterr().err
    assert load_script("evaluate").main([str(tmp_path / "missing"), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "missing does not exist" in captured.err
    assert load_script("train").main(["--resume"]) == 2
    assert "--resume needs --out" in capsys.readouterr().err


def test_several_ids_after_env_are_told_how_to_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["drivesim/LaneKeep-v1", "drivesim/Highway-v1"]
    assert load_script("train").main(["--env", *ids]) == 2
    assert capsys.readouterr().err.endswith(f"separated by commas: --env {','.join(ids)}\n")


@pytest.mark.parametrize(
    ("words", "library"),
    [("scripts/results.py", "tyro"), ("-m drivesim evaluate", "tyro"), ("-m drivesim build", "numba")],
)
def test_ctrl_c_while_libraries_are_loaded_leaves_no_traceback(words: str, library: str, tmp_path: Path) -> None:
    (tmp_path / f"{library}.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(600)\n")
    root = Path(__file__).resolve().parents[2]
    there = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])}
    command = [sys.executable, *words.split()]
    program = subprocess.Popen(command, env=there, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "loading\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT
    assert errors == ""


@pytest.mark.parametrize("agent", AGENT_CONFIGS)
def test_help_lists_every_setting_of_the_chosen_algorithm(agent: AgentName, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load_script("train").main(["--agent", agent, "--env", "drivesim/LaneKeep-v1", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in AGENT_CONFIGS[agent].__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in shown, name
    assert "drivesim/LaneKeep-v1" in shown
    assert ":`" not in shown  # a role of Sphinx
    others = {name for kind in AGENT_CONFIGS.values() for name in kind.__dataclass_fields__}
    for name in others - set(AGENT_CONFIGS[agent].__dataclass_fields__):
        assert f"--{name.replace('_', '-')} " not in shown, name


def test_the_flags_of_one_algorithm_are_refused_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load_script("train").main(["--agent", "dqn", "--clip", "0.1"])
    assert ended.value.code == 2
    assert "--clip" in capsys.readouterr().err
    assert load_script("train").main(["--agent", "dqm"]) == 2
    assert "agent must be one of ['dqn'" in capsys.readouterr().err


def test_flags_override_the_preset_and_none_is_a_value() -> None:
    arguments = ["--agent", "ppo", "--value-clip", "0.2", "--target-kl", "None", "--max-seconds", "None"]
    parsed = load_script("train").parse(arguments)
    assert (parsed.train.agent, parsed.train.max_seconds) == ("ppo", None)
    assert isinstance(parsed.agent_config, AGENT_CONFIGS["ppo"])
    assert (parsed.agent_config.value_clip, parsed.agent_config.target_kl) == (0.2, None)


def test_levels_are_chosen_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    train = load_script("train")
    drawn = train.parse(["--levels", "gallery/chicane", "gallery/zipper"]).train
    assert (drawn.env, len(drawn.levels)) == ("drivesim/Custom-v1", 2)
    dense = train.parse(["--env", "drivesim/Highway-v1", "--level-options", "num_vehicles", "30"]).train
    assert dense.level_options == {"num_vehicles": 30}
    with pytest.raises(SystemExit):
        train.main(["--env", "drivesim/Highway-v1", "--help"])
    assert "num_vehicles 0 to" in capsys.readouterr().out


def test_a_driver_with_memory_and_masks_is_trained_compared_filmed_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--env", "drivesim/Autodrive-v1", "--agent", "ppo", "--num-envs", "8", "--num-steps", "8",
        "--minibatches", "2", "--memory-size", "4", "--mask-actions", "--network.hidden-sizes", "16",
        "--total-steps", "256", "--eval-episodes", "8", "--num-threads", "1", "--no-tensorboard",
        "--no-progress", "--final-episodes", "10", "--out", str(tmp_path),
    ]  # fmt: skip
    assert load_script("train").main(arguments) == 0
    assert "\nppo " in capsys.readouterr().out
    assert (tmp_path / "episode.gif").read_bytes().startswith(b"GIF8")
    resume = ["--out", str(tmp_path), "--resume", "--final-episodes", "10"]
    assert load_script("train").main([*resume, "--total-steps", "320"]) == 0
    assert "after 320 steps" in capsys.readouterr().out
    assert load_script("train").main([*resume, "--memory-size", "5"]) == 2
    assert "memory_size of a run to be resumed must stay 4, got 5" in capsys.readouterr().err
    assert load_script("train").main([*resume, "--agent", "a2c"]) == 2
    assert "agent of a run to be resumed must stay 'ppo'" in capsys.readouterr().err
