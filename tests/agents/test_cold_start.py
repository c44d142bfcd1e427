"""What is compiled on first use is compiled before a run's clock and bar start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import drivesim
from agents import training
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.training import TrainConfig, resume, train

AGENT = PPOConfig(num_envs=8, num_steps=8, minibatches=2, network=NetworkConfig(hidden_sizes=(16,)))
RUN = TrainConfig(agent="ppo", env="probes/Truncation-v0", total_steps=128, num_threads=1, tensorboard=False)

PROGRAM = """
import sys
from pathlib import Path
from agents.environments import load_kernels
from agents.training import resume, train
from drivesim.core import kernel_cache
from test_cold_start import AGENT, RUN, replace

def fail():
    raise AssertionError("the loop had to compile")

for mode in ("SameStep", "NextStep"):
    run = replace(RUN, env="drivesim/LaneKeep-v1", observation="features", autoreset_mode=mode, eval_episodes=8)
    load_kernels(run)
    kernel_cache.before_compiling(fail)
    agent = replace(AGENT, mask_actions=True)
    train(run, agent, Path(sys.argv[1], mode))
    resume(Path(sys.argv[1], mode), replace(run, total_steps=256))
"""


def test_the_clock_starts_when_the_kernels_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_kernels", lambda config: time.sleep(2.0))
    for start in (
        lambda: train(RUN, AGENT, tmp_path / "run"),
        lambda: resume(tmp_path / "run", replace(RUN, total_steps=256)),
    ):
        before = time.perf_counter()
        result = start()
        assert time.perf_counter() - before - result.seconds >= 2.0


def test_a_step_of_an_environment_of_its_own_loads_all_that_the_loop_needs(tmp_path: Path) -> None:
    here = Path(__file__).parent
    path = os.pathsep.join(str(folder) for folder in (Path(drivesim.__file__).parent.parent, here, here.parent))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_network_is_measured_and_made_without_the_compiler_of_torch() -> None:
    """Its import takes longer than all else that stands between a command and a policy that drives."""
    program = (
        "import sys, gymnasium as gym, drivesim\n"
        "from agents.algorithms import make_network\n"
        "from agents.dqn import DQNConfig\n"
        "from test_cold_start import AGENT, RUN, replace\n"
        "for observation in ('grid', 'features', 'full_grid', 'entities', 'rgb'):\n"
        "    env = gym.make('drivesim/LaneKeep-v1', observation=observation)\n"
        "    for name, agent in (('ppo', AGENT), ('dqn', DQNConfig())):\n"
        "        make_network(replace(RUN, agent=name), agent, env.observation_space, env.action_space.n)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    here = Path(__file__).parent
    path = os.pathsep.join(str(folder) for folder in (Path(drivesim.__file__).parent.parent, here, here.parent))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
