"""Imports, processes, threads and closing."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading

import gymnasium as gym
import numpy as np
import pytest
from env_tools import HIGHWAY, LANE_KEEP, assert_refused, world_bytes

from drivesim.registry import ENTRIES

HEAVY = ("numba", "torch", "pygame", "matplotlib", "llvmlite")


def run_python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, drivesim; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python(code) == "[]"


def test_making_and_stepping_an_environment_loads_neither_torch_nor_pygame() -> None:
    code = (
        "import sys, gymnasium as gym, drivesim\n"
        f"env = gym.make('{LANE_KEEP}'); env.reset(seed=0); env.step(1)\n"
        "print([name for name in ('torch', 'pygame', 'matplotlib', 'agents') if name in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_the_package_can_be_registered_twice_without_a_warning() -> None:
    code = (
        "import gymnasium as gym, drivesim, importlib; importlib.reload(drivesim); gym.register_envs(drivesim)\n"
        "print(len([i for i in gym.registry if i.startswith('drivesim/')]))"
    )
    assert run_python(code) == str(len(ENTRIES))


def test_the_package_run_as_a_program_lists_every_environment() -> None:
    done = subprocess.run([sys.executable, "-m", "drivesim"], capture_output=True, text=True, check=True)
    *lines, _ = done.stdout.splitlines()  # and where the kernels come from
    assert len(lines) == len(ENTRIES)
    for line, entry in zip(lines, ENTRIES, strict=True):
        assert line.startswith(entry.id)
        assert entry.summary in line
        assert f" {entry.max_episode_steps} steps" in line


def make_threaded() -> gym.vector.VectorEnv:
    """A batch that has used its threads."""
    envs = gym.make_vec(HIGHWAY, num_envs=512, num_threads=2)
    envs.reset(seed=0)
    envs.step(np.full(512, 1))
    assert envs.unwrapped._engine._ranges._threads is not None
    return envs


def step_and_send(envs: gym.vector.VectorEnv, pipe) -> None:
    """In a child: three more steps."""
    for _ in range(3):
        envs.step(np.full(512, 4))
    pipe.send_bytes(world_bytes(envs.unwrapped.get_state()).tobytes())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_steps_on_with_threads_of_its_own() -> None:
    envs = make_threaded()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=step_and_send, args=(envs, there))
    child.start()
    try:
        assert here.poll(60), "the child hangs"
        answer = here.recv_bytes()
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
    for _ in range(3):  # and the parent is none the worse
        envs.step(np.full(512, 4))
    assert answer == world_bytes(envs.unwrapped.get_state()).tobytes()
    envs.close()


def test_batches_in_several_threads_at_once_do_not_disturb_each_other() -> None:
    alone = gym.make_vec(HIGHWAY, num_envs=512, num_threads=1).unwrapped
    alone.reset(seed=0)
    batches = [gym.make_vec(HIGHWAY, num_envs=512, num_threads=2).unwrapped for _ in range(3)]

    def drive(envs) -> None:
        envs.reset(seed=0)
        for _ in range(20):
            envs.step(np.full(512, 4))

    threads = [threading.Thread(target=drive, args=(envs,)) for envs in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):
        alone.step(np.full(512, 4))
    for envs in batches:
        assert np.array_equal(world_bytes(envs.get_state()), world_bytes(alone.get_state()))
        envs.close()


def test_closing_twice_is_fine_and_a_closed_environment_says_so() -> None:
    env = gym.make(HIGHWAY)
    env.reset(seed=0)
    envs = make_threaded()
    for closed, action in ((env, 1), (envs, np.full(512, 1))):
        closed.close()
        closed.close()
        bare = closed.unwrapped
        for call in (
            lambda env=closed, action=action: env.step(action),
            lambda env=closed: env.reset(seed=0),
            lambda env=bare, action=action: env.step(action),
            lambda env=bare: env.reset(seed=0),
            bare.observe,
            bare.action_masks,
            bare.render,
            lambda env=bare: env.set_state(env.get_state()),
        ):
            assert_refused(call, "closed")


def test_closing_ends_the_threads() -> None:
    before = set(threading.enumerate())
    envs = make_threaded()
    (worker,) = set(threading.enumerate()) - before
    assert worker.name.startswith("drivesim")
    envs.close()
    worker.join(10)
    assert not worker.is_alive()


def test_an_environment_that_was_never_used_can_be_closed() -> None:
    gym.make(HIGHWAY).close()
    gym.make_vec(HIGHWAY, num_envs=2).close()
