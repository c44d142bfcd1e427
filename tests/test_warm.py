"""`python -m drivesim` and `python -m drivesim warm`."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import drivesim
from drivesim.__main__ import main
from drivesim.registry import ENTRIES, IDS
from drivesim.warm import Bar, warm

ROOT = Path(drivesim.__file__).parent.parent


def test_without_a_command_the_ids_are_listed(capsys) -> None:
    assert main([]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [entry.id for entry in ENTRIES]
    assert last.startswith("kernels: ")


@pytest.mark.parametrize("words", [["warm", "drivesim/Moon-v0"], ["warm", IDS[0], "Moon"], ["moon"]])
def test_an_unknown_word_is_an_error_that_names_what_is_allowed(capsys, words) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert words[-1] in error
    assert all(env_id in error for env_id in IDS) if words[0] == "warm" else "warm" in error


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_one_line_on_a_terminal_and_plain_lines_elsewhere() -> None:
    for out in (Terminal(), io.StringIO()):
        bar = Bar(4, out)
        bar.draw(7)
        bar.advance("Moon grid", 8)
        bar.draw(9)
        bar.close()
        drawn = out.getvalue()
        if isinstance(out, Terminal):
            assert drawn.count("\n") == 1
            assert drawn.split("\r")[-1] == "[#####...............] 1/4 [0:00] 9 functions compiled\n"
        else:
            assert drawn == "1/4 [0:00] 8 functions compiled, Moon grid\n"


# Everything that the environments do, but for what only some users do with states.
DRIVES = """
import gymnasium as gym, numpy as np
import drivesim
from drivesim.core import kernel_cache

def fail():
    raise AssertionError("not everything was warmed")

kernel_cache.before_compiling(fail)
for observation in ("grid", "features", "full_grid", "entities", "rgb"):
    env = gym.make(ENV_ID, observation=observation)
    env.reset(seed=2**70)
    env.step(np.int32(1))
    env.unwrapped.set_state(env.unwrapped.get_state())
    env.unwrapped.observe()
    for mode in ("NextStep", "SameStep", "Disabled"):
        envs = gym.make_vec(
            ENV_ID, num_envs=600, num_threads=2, copy=mode != "SameStep", observation=observation, autoreset_mode=mode
        )
        envs.reset(seed=1, options={"level_seed": 3})
        envs.step(np.ones(600, np.int8))
        envs.set_state(envs.fork(0, 600))
        envs.observe(), envs.action_masks()
    envs = gym.make_vec(ENV_ID, num_envs=2, vectorization_mode="sync", observation=observation)
    envs.reset(), envs.step(np.ones(2, int))
"""


def test_what_was_warmed_is_loaded_by_every_kind_of_environment() -> None:
    env_id = "drivesim/LaneKeep-v1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-m", "drivesim", "warm", env_id]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert "kept in" in lines[0]
    assert [line.split(", ")[1] for line in lines[1:-1]]  # one for each observation
    assert len(lines) == 2 + 5
    drives = DRIVES.replace("ENV_ID", repr(env_id))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", drives], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    again = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert again.stderr.splitlines()[-1].startswith("drivesim: 0 functions compiled, the others loaded")


def test_warming_where_nothing_can_be_kept_fails_at_once(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("drivesim.cache._has_warned", False)
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(tmp_path / "file"))
    assert warm(IDS) == 1
    assert "cannot keep files in" in capsys.readouterr().err


def test_what_cannot_be_compiled_is_named_and_the_rest_is_warmed(monkeypatch, capsys) -> None:
    monkeypatch.setattr("drivesim.warm.ENCODERS", {"smell": None, "features": None})
    assert warm(["drivesim/LaneKeep-v1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(line.endswith("drivesim/LaneKeep-v1 features") for line in lines)
    assert any(
        line.startswith("drivesim: drivesim/LaneKeep-v1 smell: ValueError: observation must be") for line in lines
    )


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs groups of processes")
def test_an_interrupt_ends_it_at_once(tmp_path) -> None:
    site = (
        "import sys, time\n"
        "if '--multiprocessing-fork' in sys.orig_argv:\n"
        "    print('loading', flush=True)\n"
        "    time.sleep(0.5)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(site)  # before workers load anything
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "DRIVESIM_CACHE_DIR": str(tmp_path), "PYTHONPATH": paths}
    command = [sys.executable, "-m", "drivesim", "warm", "drivesim/LaneKeep-v1"]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as running:
        assert running.stderr is not None
        assert "kept in" in running.stderr.readline()
        assert running.stdout is not None
        assert running.stdout.read(7) == "loading"
        os.killpg(running.pid, signal.SIGINT)
        _, rest = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in rest
