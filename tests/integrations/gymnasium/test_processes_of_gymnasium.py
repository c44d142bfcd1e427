"""Gymnasium's `AsyncVectorEnv` of our environments: it drives as ours does, and can always be ended."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import drivesim  # noqa: F401 (registers the environments)
from drivesim.integrations.gymnasium import close_workers

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    # Other tests leave threads of PyTorch and numba behind, of which newer Pythons warn when they fork.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

ID, LIMIT, NUM_ENVS = "drivesim/LaneKeep-v1", 9, 3
VICTIMS = (("fork", 0), ("fork", 1), ("fork", 2), ("spawn", 0), ("forkserver", 0))  # context and env
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
IDLE = np.ones(NUM_ENVS, np.int64)
WATCHDOG = 300  # seconds until a test that hangs is ended; nothing here takes as long


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    def bark(*_: object) -> None:
        raise AssertionError("a call hangs")

    previous = signal.signal(signal.SIGALRM, bark)
    signal.alarm(WATCHDOG)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def made() -> Iterator[list[gym.vector.AsyncVectorEnv]]:
    """Environments whose workers end with the test, even if it fails; Gymnasium would wait for stopped ones."""
    environments: list[gym.vector.AsyncVectorEnv] = []
    yield environments
    for envs in environments:
        for process in envs.processes:
            process.kill()
            process.join()
        envs.closed = True


def make_async(context: str = "fork", env_id: str = ID, mode: AutoresetMode = MODES[0]) -> gym.vector.AsyncVectorEnv:
    return gym.make_vec(
        env_id,
        num_envs=NUM_ENVS,
        vectorization_mode="async",
        vector_kwargs={"context": context, "autoreset_mode": mode},
        observation="features",
        max_episode_steps=LIMIT,
    )


def is_there(pid: int) -> bool:
    """Whether a process exists, as a zombie at least."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def drive_both(envs: gym.vector.VectorEnv, mode: AutoresetMode, num_steps: int) -> int:
    """Drives Gymnasium's envs beside ours and compares every answer; returns how many episodes ended."""
    ours = gym.make_vec(ID, num_envs=NUM_ENVS, autoreset_mode=mode, observation="features", max_episode_steps=LIMIT)
    rng = np.random.default_rng(1)
    num_ended = 0
    np.testing.assert_array_equal(envs.reset(seed=5)[0], ours.reset(seed=5)[0])
    for _ in range(num_steps):
        actions = rng.choice(5, NUM_ENVS, p=[0.04, 0.2, 0.04, 0.6, 0.12])
        answer, expected = envs.step(actions), ours.step(actions)
        for value, reference in zip(answer[:4], expected[:4], strict=True):
            assert value.dtype == reference.dtype
            np.testing.assert_array_equal(value, reference)
        ended = expected[2] | expected[3]
        num_ended += int(ended.sum())
        if mode is AutoresetMode.SAME_STEP and ended.any():
            np.testing.assert_array_equal(answer[4]["_final_obs"], expected[4]["_final_obs"])
            np.testing.assert_array_equal(
                np.stack(answer[4]["final_obs"][ended].tolist()), expected[4]["final_obs"][ended]
            )
        if mode is AutoresetMode.DISABLED and ended.any():
            observations = [side.reset(options={"reset_mask": ended.copy()})[0] for side in (envs, ours)]
            np.testing.assert_array_equal(*observations)
    return num_ended


# --- the same drives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_worker_processes_drive_as_our_envs_do_in_every_mode(mode) -> None:
    envs = make_async(mode=mode)
    assert drive_both(envs, mode, 120) > 20
    envs.close()


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
@pytest.mark.parametrize("env_id", [ID, f"drivesim:{ID}"])
def test_worker_processes_that_begin_with_an_empty_registry_drive_as_our_envs_do(context, env_id) -> None:
    envs = make_async(context, env_id)
    assert drive_both(envs, AutoresetMode.NEXT_STEP, 40) > 5
    envs.close()


def test_an_id_with_the_name_of_the_package_can_be_made_by_a_process_that_has_imported_nothing() -> None:
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)().spec.id)"
    done = {}
    for env_id in (f"drivesim:{ID}", ID):
        function = pickle.dumps(partial(gym.make, env_id))
        done[env_id] = subprocess.run([sys.executable, "-c", code], input=function, capture_output=True, check=False)
    assert done[f"drivesim:{ID}"].stdout.decode().strip() == ID
    assert done[ID].returncode != 0
    assert b"NamespaceNotFound" in done[ID].stderr


def test_env_functions_with_such_an_id_work_in_spawned_workers() -> None:
    functions = [partial(gym.make, f"drivesim:{ID}", observation="features", max_episode_steps=LIMIT)] * NUM_ENVS
    envs = gym.vector.AsyncVectorEnv(functions, context="spawn")
    assert drive_both(envs, AutoresetMode.NEXT_STEP, 30) > 3
    envs.close()


# --- the end ----------------------------------------------------------------------------------------------------------


def assert_ended(envs: gym.vector.VectorEnv, pids: list[int]) -> None:
    assert [pid for pid in pids if is_there(pid)] == []
    assert envs.closed
    envs.close()  # which has nothing left to do
    close_workers(envs)
    with pytest.raises(gym.error.ClosedEnvironmentError):
        envs.step(IDLE)


@pytest.mark.parametrize(("context", "victim"), VICTIMS)
def test_a_worker_killed_between_steps_is_an_error_and_the_others_can_be_ended(context, victim, made) -> None:
    envs = make_async(context)
    made.append(envs)
    envs.reset(seed=0)
    pids = [process.pid for process in envs.processes]
    os.kill(pids[victim], signal.SIGKILL)
    envs.processes[victim].join()
    with pytest.raises((BrokenPipeError, ConnectionResetError, EOFError)):
        envs.step(IDLE)
    close_workers(envs)
    assert_ended(envs, pids)


@pytest.mark.parametrize(("context", "victim"), VICTIMS)
def test_a_worker_killed_during_a_step_is_an_error_and_the_others_can_be_ended(context, victim, made) -> None:
    envs = make_async(context)
    made.append(envs)
    envs.reset(seed=0)
    pids = [process.pid for process in envs.processes]
    os.kill(pids[victim], signal.SIGSTOP)  # so that it has surely not answered
    envs.step_async(IDLE)
    for i in set(range(NUM_ENVS)) - {victim}:
        assert envs.parent_pipes[i].poll(WATCHDOG)  # all others have
    os.kill(pids[victim], signal.SIGKILL)
    with pytest.raises((ConnectionResetError, EOFError)):
        envs.step_wait()
    close_workers(gym.wrappers.vector.RecordEpisodeStatistics(envs))
    assert_ended(envs, pids)


def test_a_worker_that_hangs_is_noticed_with_a_time_limit_and_can_be_ended(made) -> None:
    envs = make_async()
    made.append(envs)
    envs.reset(seed=0)
    pids = [process.pid for process in envs.processes]
    os.kill(pids[1], signal.SIGSTOP)
    envs.step_async(IDLE)
    with pytest.raises(multiprocessing.TimeoutError):
        envs.step_wait(timeout=0.1)
    close_workers(envs)
    assert_ended(envs, pids)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Gymnasium's, with the worker's traceback
def test_a_worker_whose_environment_raises_names_the_error_and_can_be_ended(made) -> None:
    envs = make_async()
    made.append(envs)
    envs.reset(seed=0)
    pids = [process.pid for process in envs.processes]
    with pytest.raises(ValueError, match="level_seed"):
        envs.reset(options={"level_seed": -1})
    close_workers(envs)
    assert_ended(envs, pids)


def test_only_worker_processes_can_be_ended() -> None:
    with pytest.raises(TypeError, match="AsyncVectorEnv, got DriveVectorEnv"):
        close_workers(gym.make_vec(ID, num_envs=2))


def test_attributes_of_envs_cannot_be_set_where_there_are_none() -> None:
    envs = gym.make_vec(ID, num_envs=2)
    before = dict(vars(envs.unwrapped))
    with pytest.raises(AttributeError, match="no attributes to set, got 'render_mode'"):
        envs.unwrapped.set_attr("render_mode", ["rgb_array", "rgb_array"])
    assert vars(envs.unwrapped) == before
