"""Eight processes on one cache, empty or damaged, some killed: all others work. A worker killed is noticed at once."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import work
from test_kernel_cache import PROGRAM, Workshop

import drivesim  # noqa: F401 (registers the environments)

NUM_PROCESSES = 8
MAX_NOTICE = 2.0  # s until the death of a worker is an error
DAMAGES = ("empty", "cut", "flipped", "strangers", "gone")


def damage(workshop: Workshop, how: str, dice: random.Random) -> None:
    """Do something to the files of a filled cache."""
    if how == "empty":
        shutil.rmtree(workshop.cache, ignore_errors=True)
        return
    for path in workshop.kept():
        if how == "cut":
            os.truncate(path, dice.randrange(path.stat().st_size + 1))
        elif how == "flipped":
            content = bytearray(path.read_bytes())
            for _ in range(3):
                content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            path.write_bytes(content)
        elif how == "strangers":
            path.unlink()
            path.mkdir() if dice.random() < 0.5 else path.symlink_to("/dev/zero")
        elif dice.random() < 0.5:
            path.unlink()


def start(workshop: Workshop) -> subprocess.Popen[str]:
    """A process that needs the kernels."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "program.py"],
        env=workshop.environment,
        cwd=workshop.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def share_a_cache(number: int, folder: Path) -> None:
    """Eight at once, of which two are killed in every other round."""
    dice = random.Random(number)
    shutil.rmtree(folder / "workshop", ignore_errors=True)
    (folder / "workshop").mkdir()
    workshop = Workshop(folder / "workshop")
    how = DAMAGES[number % len(DAMAGES)]
    work.doing(f"piece {number}: {how}")
    if how != "empty":
        workshop.run()
    damage(workshop, how, dice)
    (workshop.folder / "program.py").write_text(PROGRAM)
    processes = [start(workshop) for _ in range(NUM_PROCESSES)]
    victims = dice.sample(range(NUM_PROCESSES), 2 if number % 2 else 0)
    for victim in victims:
        time.sleep(dice.uniform(0.0, 1.5))
        processes[victim].kill()
    for n, process in enumerate(processes):
        _, error = process.communicate(timeout=120)
        if process.returncode != 0 and n not in victims:
            raise AssertionError(f"{how}: a process ended with {process.returncode}: {error[-400:]}")
    in_the_way = [path for path in workshop.kept() if path.is_dir()]
    for path in in_the_way:  # a folder is nobody's to remove; where one stands, each process compiles
        shutil.rmtree(path)
    if in_the_way:
        workshop.run()
    if workshop.run().stdout != ["loaded"]:
        raise AssertionError(f"{how}: what the eight have left is not loaded")


def lose_a_worker(number: int) -> None:
    """A worker of Gymnasium's is killed: the next step is an error within two seconds."""
    dice = random.Random(number)
    envs = gym.make_vec("drivesim/LaneKeep-v1", num_envs=3, vectorization_mode="async")
    envs.reset(seed=number)
    envs.step(envs.action_space.sample())
    os.kill(envs.processes[dice.randrange(3)].pid, signal.SIGKILL)
    started = time.monotonic()
    try:
        while True:
            envs.step(envs.action_space.sample())
    except (BrokenPipeError, ConnectionResetError, EOFError):
        pass
    seconds = time.monotonic() - started
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        envs.close(terminate=True)
    for process in envs.processes:
        process.kill()
    if seconds > MAX_NOTICE:
        raise AssertionError(f"the death of a worker was noticed after {seconds:.1f} s")


def piece(number: int, folder: Path) -> Iterator[int]:
    """A round of eight, and a worker."""
    share_a_cache(number, folder)
    work.doing(f"piece {number}: a worker")
    lose_a_worker(number)
    yield 1


if __name__ == "__main__":
    work.run(piece)
