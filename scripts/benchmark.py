"""Measures how fast the environments are, and optionally how much faster than EnvPool's and highway-env's highway.

    python scripts/benchmark.py --json
    python scripts/benchmark.py --envs drivesim/Highway-v0 --observations grid --against --peer-python PYTHON
    python scripts/benchmark.py --train --peer-python PYTHON

Every figure is the median of several repetitions. Steps are those of real episodes with random actions, drawn
beforehand: resets are part of the time and never counted as steps. A batch of one is `DriveEnv.step` without wrappers;
larger batches are `make_vec` with `copy=False` and SAME_STEP. Other work on the machine lowers every figure: the load
average is reported, and the comparison alternates between the two sides.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from benchmark_report import print_report

from drivesim.observations import ENCODERS
from drivesim.registry import IDS

PEERS_SCRIPT = Path(__file__).with_name("benchmark_peers.py")
TRAINING_PEERS_SCRIPT = Path(__file__).with_name("benchmark_peers_training.py")
FLAT_FROM, FLAT_TO = 256, 65_536  # envs, between which steps per second should hardly change
MAX_DRAWN = 2**20  # actions drawn beforehand, at most; then they are used again
WARM_UP_STEPS = 32  # until the envs' episodes no longer end together

IMPORT = "import time; start = time.perf_counter(); import drivesim; print(time.perf_counter() - start)"
FIRST_STEP = """
import time
start = time.perf_counter()
import gymnasium, drivesim
env = gymnasium.make({env!r})
env.reset(seed=0)
env.step(0)
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Arguments:
    """What the command line holds."""

    envs: tuple[str, ...] = IDS
    """Environment ids."""
    observations: tuple[str, ...] = tuple(ENCODERS)
    """Observation kinds."""
    batch_sizes: tuple[int, ...] = (1, 256, 1024, 8192, 65_536)
    """Envs; 1 is the single environment."""
    threads: tuple[int, ...] = (1, 2)
    """Thread counts."""
    repetitions: int = 5
    """Repetitions of which the median is taken."""
    seconds: float = 0.3
    """Time of a repetition, at least."""
    start_up: bool = True
    """Measure the import and the first step with an empty and with a warm cache."""
    against: bool = False
    """Compare Highway with the peers, as far as the peers' Python has them."""
    peer_python: Path = Path(sys.executable)
    """Python that has EnvPool or highway-env; for training, drivesim and Stable-Baselines3."""
    train: bool = False
    """Measure training instead, in runs of ten times `seconds`; `threads` are then the peer's to choose from."""
    train_env: str = "drivesim/Obstacles-v0"
    """Environment id to train on."""
    train_agents: tuple[str, ...] = ("ppo", "pqn", "dqn")
    """Algorithms to train with, from their presets."""
    train_threads: int = 0
    """Threads of torch; 0 measures which number is fastest, as training does."""
    hidden_sizes: tuple[int, ...] = ()
    """Widths of the network to train; none keeps the preset's."""
    quick: bool = False
    """Few, short repetitions of small batches: does it work?"""
    json: bool = False
    """Print one JSON object and nothing else."""

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, allowed in (("envs", IDS), ("observations", tuple(ENCODERS)), ("train_env", IDS)):
            values = getattr(self, name)
            for value in (values,) if isinstance(values, str) else values:
                if value not in allowed:
                    raise ValueError(f"{name} must be among {list(allowed)}, got {value!r}")
        for name in ("batch_sizes", "threads"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ValueError(f"{name} must be numbers of at least 1, got {getattr(self, name)}")
        if self.repetitions < 1:
            raise ValueError(f"repetitions must be at least 1, got {self.repetitions}")
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}")


# --- steps per second ------------------------------------------------------------------------------------------------


def single_stepper(env_id: str, observation: str, seed: int) -> Callable[[float], float]:
    """Returns a function that steps one environment for so many seconds and returns steps per second."""
    made = gym.make(env_id, observation=observation)
    assert made.spec is not None
    limit = made.spec.max_episode_steps
    env = made.unwrapped
    actions: list[int] = np.random.default_rng(seed).integers(made.action_space.n, size=1024).tolist()  # type: ignore[attr-defined]
    env.reset(seed=seed)
    env.step(0)
    env.reset()

    def run(seconds: float) -> float:
        steps, length = 0, 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            for action in actions:
                terminated = env.step(action)[2]
                length += 1
                if terminated or length == limit:
                    env.reset()
                    length = 0
            steps += len(actions)
        return steps / elapsed

    return run


def vector_stepper(
    env_id: str, observation: str, num_envs: int, num_threads: int, seed: int
) -> Callable[[float], float]:
    """Returns a function that steps a batch for so many seconds and returns steps per second over all envs."""
    envs = gym.make_vec(
        env_id,
        num_envs=num_envs,
        num_threads=num_threads,
        observation=observation,
        copy=False,
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP.value,
    )
    rows = max(4, min(256, MAX_DRAWN // num_envs))
    num_actions = envs.single_action_space.n  # type: ignore[attr-defined]
    actions = np.random.default_rng(seed).integers(num_actions, size=(rows, num_envs))
    envs.reset(seed=seed)
    for step in range(WARM_UP_STEPS):
        envs.step(actions[step % rows])

    def run(seconds: float) -> float:
        steps = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            envs.step(actions[steps % rows])
            steps += 1
        return steps * num_envs / elapsed

    return run


def stepper(env_id: str, observation: str, num_envs: int, num_threads: int) -> Callable[[float], float]:
    """Returns what measures an environment for so many seconds, compiled and warmed up."""
    if num_envs == 1:
        return single_stepper(env_id, observation, seed=0)
    return vector_stepper(env_id, observation, num_envs, num_threads, seed=0)


def measure_steps(arguments: Arguments) -> list[dict[str, Any]]:
    """Measures every environment, observation, batch size and thread count asked for."""
    records = []
    for env_id in arguments.envs:
        for observation in arguments.observations:
            say(f"{env_id} {observation}")
            for num_envs in arguments.batch_sizes:
                for num_threads in arguments.threads:
                    if num_envs == 1 and num_threads != min(arguments.threads):
                        continue  # one env has one thread
                    run = stepper(env_id, observation, num_envs, num_threads)
                    rates = [run(arguments.seconds) for _ in range(arguments.repetitions)]
                    record = {"env": env_id, "observation": observation, "num_envs": num_envs}
                    record["num_threads"] = 1 if num_envs == 1 else num_threads
                    records.append({**record, "steps_per_second": round(median(rates))})
    return records


def measure_flatness(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fastest over slowest batch size from 256 to 65,536 envs, per environment, observation and thread count."""
    groups: dict[tuple[str, str, int], list[int]] = {}
    for record in steps:
        if FLAT_FROM <= record["num_envs"] <= FLAT_TO:
            key = (record["env"], record["observation"], record["num_threads"])
            groups.setdefault(key, []).append(record["steps_per_second"])
    return [
        {
            "env": env,
            "observation": observation,
            "num_threads": threads,
            "fastest_over_slowest": max(rates) / min(rates),
        }
        for (env, observation, threads), rates in groups.items()
        if len(rates) > 1
    ]


# --- start-up --------------------------------------------------------------------------------------------------------


def timed(program: str, cache: Path | None = None) -> float:
    """Runs a Python program in a process of its own and returns the number that it prints."""
    environment = dict(os.environ)
    if cache is not None:
        environment["DRIVESIM_CACHE_DIR"] = str(cache)
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return float(finished.stdout)


def measure_start_up(arguments: Arguments) -> dict[str, Any]:
    """Seconds of the import, and from the import's start to the end of the first step."""
    say("import")
    imports = [timed(IMPORT) for _ in range(arguments.repetitions)]
    first_steps = []
    for env_id in arguments.envs:
        say(f"{env_id}, first step")
        program = FIRST_STEP.format(env=env_id)
        with tempfile.TemporaryDirectory(prefix="drivesim-benchmark-") as folder:
            empty = timed(program, Path(folder))
            warm = median(timed(program, Path(folder)) for _ in range(arguments.repetitions))
        first_steps.append({"env": env_id, "empty_cache_seconds": empty, "warm_cache_seconds": warm})
    return {"import_seconds": median(imports), "first_step": first_steps}


# --- peers -----------------------------------------------------------------------------------------------------------


def ask(python: Path, script: Path, *arguments: str) -> dict[str, Any]:
    """Runs a peer's script in a process of its own and returns the JSON object that it prints, or an error."""
    command = [str(python), str(script), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return {"error": str(error)}
    if finished.returncode != 0:
        return {"error": (finished.stderr.strip().splitlines() or ["failed"])[-1]}
    record: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return record


def run_peer(python: Path, peer: str, num_envs: int, num_threads: int, seconds: float) -> dict[str, Any]:
    """Measures a peer: its steps per second and version, or an error."""
    return ask(python, PEERS_SCRIPT, peer, str(num_envs), str(num_threads), str(seconds))


def measure_against(arguments: Arguments) -> dict[str, Any]:
    """Highway's medium grid beside the peers, in alternation, so that other work meets all of them.

    A side is worth its fastest batch size. `ratio_one_thread` compares one thread with one, `ratio` the best with
    the best; highway-env has neither batches nor threads.
    """
    sizes = [size for size in arguments.batch_sizes if size > 1] or [1024]
    ours = {
        (size, threads): stepper("drivesim/Highway-v0", "grid", size, threads)
        for size in sizes
        for threads in arguments.threads
    }
    runs: dict[tuple[str, int, int], list[float]] = {}
    peers: dict[str, dict[str, Any]] = {"envpool": {}, "highway-env": {}}
    batches = {
        "envpool": [(size, threads) for size in (64, 256) for threads in arguments.threads],
        "highway-env": [(1, 1)],
    }
    for repetition in range(arguments.repetitions):
        say(f"comparison {repetition + 1} of {arguments.repetitions}")
        for (size, threads), run in ours.items():
            runs.setdefault(("drivesim", size, threads), []).append(run(arguments.seconds))
        for peer, found in peers.items():
            for size, threads in batches[peer]:
                if "error" not in found:
                    found.update(run_peer(arguments.peer_python, peer, size, threads, 3 * arguments.seconds))
                    runs.setdefault((peer, size, threads), []).append(found.pop("steps_per_second", 0.0))

    def best(side: str, most_threads: int) -> float:
        rates = [
            median(rates) for (name, _, threads), rates in runs.items() if name == side and threads <= most_threads
        ]
        return max(rates, default=0.0)

    most = max(arguments.threads)
    record: dict[str, Any] = {"drivesim": {"env": "drivesim/Highway-v0", "observation": "grid"}, **peers}
    for name, side in record.items():
        if "error" not in side:
            side["steps_per_second"] = best(name, most)
            side["steps_per_second_one_thread"] = best(name, 1)
    for name in peers:
        side = record[name]
        if "error" not in side:
            side["ratio"] = record["drivesim"]["steps_per_second"] / side["steps_per_second"]
            if 1 in arguments.threads:
                side["ratio_one_thread"] = best("drivesim", 1) / side["steps_per_second_one_thread"]
    return record


# --- training --------------------------------------------------------------------------------------------------------


def measure_training(arguments: Arguments) -> dict[str, Any]:
    """Measures the algorithms asked for, each beside its peer."""
    import benchmark_training  # needs torch, and nothing else here does

    return benchmark_training.measure_training(
        arguments.train_env,
        arguments.train_agents,
        hidden_sizes=arguments.hidden_sizes,
        num_threads=arguments.train_threads,
        peer_threads=arguments.threads,
        repetitions=arguments.repetitions,
        seconds=10 * arguments.seconds,
        quick=arguments.quick,
        ask_peer=partial(ask, arguments.peer_python, TRAINING_PEERS_SCRIPT),
    )


# --- the report ------------------------------------------------------------------------------------------------------


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe_machine() -> dict[str, Any]:
    """What the figures depend on."""
    packages = ("drivesim", "numpy", "numba", "gymnasium")
    return {
        "processor": processor(),
        "num_processors": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}},
    }


def say(message: str) -> None:
    """Tells on stderr what is being measured."""
    print(message, file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    if parsed.quick:
        sizes = tuple(size for size in parsed.batch_sizes if size <= 1024)
        parsed = replace(parsed, batch_sizes=sizes or (1,), repetitions=min(parsed.repetitions, 2), seconds=0.02)
    report: dict[str, Any] = {"machine": describe_machine()}
    if parsed.train:
        report["training"] = measure_training(parsed)
    else:
        report["steps_per_second"] = measure_steps(parsed)
        report["flatness"] = measure_flatness(report["steps_per_second"])
        if parsed.start_up:
            report["start_up"] = measure_start_up(parsed)
        if parsed.against:
            report["against"] = measure_against(parsed)
    if parsed.json:
        print(json.dumps(report, allow_nan=False))
    else:
        print_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
