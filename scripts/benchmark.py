"""Measures how fast the environments are, and optionally how much faster than EnvPool's and highway-env's highway.

    .venv/bin/python scripts/benchmark.py --json
    .venv/bin/python scripts/benchmark.py --envs drivesim/Highway-v1 --observations grid --against --peer-python PYTHON
    .venv/bin/python scripts/benchmark.py --train --peer-python PYTHON
    .venv/bin/python scripts/benchmark.py --against-commit COMMIT --peer-python PYTHON

Every figure is the median of several repetitions. Steps are those of real episodes with random actions, drawn
beforehand: resets are part of the time and never counted as steps. A batch of one is `DriveEnv.step` without wrappers;
larger batches are `make_vec` with `copy=False` and SAME_STEP. Other work on the machine lowers every figure: the load
average is reported, and comparisons alternate between the sides.

The last command measures the budgets instead: this code in turns with an earlier commit, from a temporary worktree with
a kernel cache of its own, and with EnvPool where a Python with it is named. It takes some ten minutes.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script

if __name__ == "__main__":
    begin_script()

import json
import os
import platform
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import tyro
from benchmark_budgets import measure_budgets
from benchmark_report import print_report
from benchmark_sides import ROOT, MeasurementError, Side, ask, run_peer, say

from agents.command_line import status_of
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, IDS

TRAINING_PEERS_SCRIPT = Path(__file__).with_name("benchmark_peers_training.py")
FLAT_FROM, FLAT_TO = 256, 65_536  # envs, between which steps per second should hardly change


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
    against_commit: str | None = None
    """Measure the budgets instead, `envs` also at this earlier commit."""
    peer_python: Path = Path(sys.executable)
    """Python that has EnvPool or highway-env; for training, drivesim and Stable-Baselines3."""
    train: bool = False
    """Measure training instead, in runs of ten times `seconds`; `threads` are then the peer's to choose from."""
    train_env: str = "drivesim/Obstacles-v1"
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


def measure_steps(side: Side, arguments: Arguments) -> list[dict[str, Any]]:
    """Measures every environment, observation, batch size and thread count asked for."""
    records = []
    for env_id in arguments.envs:
        for observation in arguments.observations:
            say(f"{env_id} {observation}")
            for num_envs in arguments.batch_sizes:
                for num_threads in arguments.threads:
                    if num_envs == 1 and num_threads != min(arguments.threads):
                        continue  # one env has one thread
                    rates = [
                        side.rate(env_id, num_envs, num_threads, arguments.seconds, observation=observation)
                        for _ in range(arguments.repetitions)
                    ]
                    side.forget()
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


def first_step(env_id: str, cache: Path) -> float:
    """Seconds from the import's start to the end of the first step, in a process of its own."""
    with Side(ROOT, cache) as side:
        return side.first_step(env_id)


def import_seconds() -> float:
    """Seconds of the import, in a process of its own."""
    with Side(ROOT) as side:
        return side.import_seconds


def measure_start_up(arguments: Arguments) -> dict[str, Any]:
    """Seconds of the import, and from the import's start to the end of the first step."""
    say("import")
    imports = [import_seconds() for _ in range(arguments.repetitions)]
    first_steps = []
    for env_id in arguments.envs:
        say(f"{env_id}, first step")
        with tempfile.TemporaryDirectory(prefix="drivesim-benchmark-") as folder:
            empty = first_step(env_id, Path(folder))
            warm = median(first_step(env_id, Path(folder)) for _ in range(arguments.repetitions))
        first_steps.append({"env": env_id, "empty_cache_seconds": empty, "warm_cache_seconds": warm})
    return {"import_seconds": median(imports), "first_step": first_steps}


# --- peers -----------------------------------------------------------------------------------------------------------


def measure_against(side: Side, arguments: Arguments) -> dict[str, Any]:
    """Highway's medium grid beside the peers, in alternation, so that other work meets all of them.

    A side is worth its fastest batch size. `ratio_one_thread` compares one thread with one, `ratio` the best with
    the best; highway-env has neither batches nor threads.
    """
    sizes = [size for size in arguments.batch_sizes if size > 1] or [1024]
    env_id = side.ids["Highway"]
    runs: dict[tuple[str, int, int], list[float]] = {}
    peers: dict[str, dict[str, Any]] = {"envpool": {}, "highway-env": {}}
    batches = {
        "envpool": [(size, threads) for size in (64, 256) for threads in arguments.threads],
        "highway-env": [(1, 1)],
    }
    for repetition in range(arguments.repetitions):
        say(f"comparison {repetition + 1} of {arguments.repetitions}")
        for size, threads in product(sizes, arguments.threads):
            rate = side.rate(env_id, size, threads, arguments.seconds, observation="grid")
            runs.setdefault(("drivesim", size, threads), []).append(rate)
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
    record: dict[str, Any] = {"drivesim": {"env": env_id, "observation": "grid"}, **peers}
    for name, found in record.items():
        if "error" not in found:
            found["steps_per_second"] = best(name, most)
            found["steps_per_second_one_thread"] = best(name, 1)
    for found in peers.values():
        if "error" not in found:
            found["ratio"] = record["drivesim"]["steps_per_second"] / found["steps_per_second"]
            if 1 in arguments.threads:
                found["ratio_one_thread"] = best("drivesim", 1) / found["steps_per_second_one_thread"]
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


def measure(arguments: Arguments) -> dict[str, Any]:
    """Measures what the command line asks for."""
    if arguments.against_commit is not None:
        budgets = measure_budgets(
            ROOT,
            arguments.against_commit,
            names=[entry.name for entry in ENTRIES if entry.id in arguments.envs],
            peer_python=arguments.peer_python,
            repetitions=arguments.repetitions,
            seconds=arguments.seconds,
            quick=arguments.quick,
        )
        return {"budgets": budgets}
    if arguments.train:
        return {"training": measure_training(arguments)}
    report: dict[str, Any] = {}
    with Side(ROOT) as side:
        report["steps_per_second"] = measure_steps(side, arguments)
        report["flatness"] = measure_flatness(report["steps_per_second"])
        if arguments.start_up:
            report["start_up"] = measure_start_up(arguments)
        if arguments.against:
            report["against"] = measure_against(side, arguments)
    return report


def work(arguments: Arguments) -> None:
    """Measures, and prints the report."""
    if arguments.quick:
        sizes = tuple(size for size in arguments.batch_sizes if size <= 1024)
        repetitions = min(arguments.repetitions, 2)
        arguments = replace(arguments, batch_sizes=sizes or (1,), repetitions=repetitions, seconds=0.02)
    report = {"machine": describe_machine(), **measure(arguments)}
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
    else:
        print_report(report)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(
        lambda: work(tyro.cli(Arguments, args=arguments, description=__doc__)),
        "interrupted",
        refusals=(MeasurementError,),
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
