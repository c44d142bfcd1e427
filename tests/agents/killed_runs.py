"""Training in processes that are killed at any instant; a program, run by test_kills.py.

    python killed_runs.py FOLDER NUM_KILLS SEED[,SEED...] CASE...

One process imports and trains everything once and then forks the ones that count, so that a kill costs
milliseconds. It has a single thread, as a fork needs. Half of the children die at a moment of the clock,
half at a chosen call that writes, renames or deletes something. All die before the last step; then one
more finishes the run. FOLDER/CASE/killed holds that run and FOLDER/CASE/whole the same one, never killed. With
several seeds there are so many runs, one after the other, of which the last one stays; all must be equal.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import probes
import safetensors.torch
import small_runs
from small_runs import AGENT, NUM_ENVS, PPO_AGENT, PQN_AGENT, RECURRENT_PPO_AGENT, REINFORCE_AGENT

from agents import training
from agents.checkpoint import find_checkpoints
from agents.progress import ProgressBar
from agents.run_config import AgentConfig, TrainConfig

STEPS = 150  # of every env
MAX_SECONDS = 0.1  # of the life of a child that dies by the clock
MAX_CALLS = 100  # of that of the others: two checkpoints' worth
RUN = replace(
    small_runs.RUN,
    total_steps=STEPS * NUM_ENVS,
    log_interval=400,
    eval_interval=800,
    eval_episodes=8,
    checkpoint_seconds=60.0,
)
CASES: dict[str, tuple[str, AgentConfig]] = {
    "dqn": ("drivesim/Autodrive-v1", AGENT),
    "ppo": ("drivesim/Autodrive-v1", replace(PPO_AGENT, mask_actions=True)),
    "recurrent_ppo": ("probes/Truncation-v0", RECURRENT_PPO_AGENT),
    "pqn": ("probes/Truncation-v0", PQN_AGENT),
    "reinforce": ("probes/Truncation-v0", REINFORCE_AGENT),
}


@dataclass
class Death:
    """What becomes of a child."""

    before_call: int | None = None
    """Number of the call that it does not live to make."""
    seconds: float | None = None
    """Its parent kills it then."""


def main(folder: Path, num_kills: int, seeds: list[int], case: str) -> None:
    """Trains once in peace, and once for each seed."""
    env, agent_config = CASES[case]
    config = replace(RUN, env=env, agent=case.removeprefix("recurrent_"))
    ProgressBar.monitor_interval = 0  # else a thread watches over bars
    training.train(replace(config, total_steps=20 * NUM_ENVS), agent_config, folder / "first")
    if threading.active_count() != 1:
        raise RuntimeError(f"a fork needs a single thread, got {threading.enumerate()}")
    fork(lambda: train_on(folder / "whole", config, agent_config))
    often = replace(config, checkpoint_seconds=0.0)
    for seed in seeds:
        shutil.rmtree(folder / "killed", ignore_errors=True)
        rng = random.Random(seed)
        for number in range(num_kills):
            by_clock = Death(seconds=rng.uniform(0.0, MAX_SECONDS))
            death = by_clock if number % 2 else Death(before_call=rng.randint(1, MAX_CALLS))
            fork(lambda death=death: train_on(folder / "killed", often, agent_config, death), death)
        fork(lambda: train_on(folder / "killed", config, agent_config))
        require_equal(folder.parent, case)


def fork(work: Callable[[], None], death: Death | None = None) -> None:
    """Works in a child and waits for its end, which must be the one expected."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if death is not None and death.seconds is not None:
        time.sleep(death.seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    expected = 0 if death is None else -signal.SIGKILL
    if os.waitstatus_to_exitcode(status) != expected:
        raise RuntimeError(f"a child ended with {os.waitstatus_to_exitcode(status)}, expected {expected}")


def train_on(folder: Path, config: TrainConfig, agent_config: AgentConfig, death: Death | None = None) -> None:
    """Begins or resumes the run; with a death in store, dies at the last step at the latest."""
    if death is not None:
        die_before_calls(death.before_call)
        die_at_step(config.total_steps - NUM_ENVS)
    if (folder / "config.json").exists():
        training.resume(folder, config)
    else:
        training.train(config, agent_config, folder)


def die_before_calls(number: int | None) -> None:
    """Counts the calls that change the disk, and dies instead of the given one."""
    count = 0

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                die()
            return function(*args, **kwargs)

        return call

    os.fsync = mortal(lambda _: None)  # a killed process loses nothing that it has written
    for place, name in (
        (os, "unlink"),
        (os, "rmdir"),
        (shutil, "rmtree"),
        (Path, "mkdir"),
        (Path, "rename"),
        (Path, "replace"),
        (Path, "write_text"),
        (np, "save"),
        (safetensors.torch, "save_file"),
    ):
        setattr(place, name, mortal(getattr(place, name)))


def die_at_step(step: int) -> None:
    """Dies before the run can end."""
    crosses = training._crosses

    def cross_or_die(before: int, after: int, interval: int) -> bool:
        if after >= step:
            die()
        return crosses(before, after, interval)

    training._crosses = cross_or_die


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def digests(folder: Path, kind: str) -> dict[str, str]:
    """SHA-256 of every tensor and array in the newest checkpoint."""
    newest = find_checkpoints(folder / "checkpoints", kind)[0]
    files = json.loads((newest / "MANIFEST.json").read_text())["files"]
    return {f"{newest.name}/{name}": entry["sha256"] for name, entry in files.items() if name != "values.json"}


def curve(folder: Path) -> list[dict[str, str]]:
    """Every row of metrics.csv without the clock."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not name.startswith("time/s")} for row in rows]


def require_equal(folder: Path, case: str) -> None:
    """Both runs of a case have left the same weights, arrays and metrics."""
    whole, killed = folder / case / "whole", folder / case / "killed"
    for kind in ("last", "best"):
        assert digests(killed, kind) == digests(whole, kind), case
    assert curve(killed) == curve(whole), case


if __name__ == "__main__":
    import drivesim  # noqa: F401  # registers its ids

    probes.register()
    for name in sys.argv[4:]:
        main(Path(sys.argv[1]) / name, int(sys.argv[2]), [int(seed) for seed in sys.argv[3].split(",")], name)
