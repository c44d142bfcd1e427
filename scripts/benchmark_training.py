"""Measures how fast agents train, beside Stable-Baselines3, for `benchmark.py --train`.

A repetition is a run of `agents.training.train`, with acting, learning, environment and logging, from its preset; its
rate is the run's own, over all log points after the warm-up. Evaluations and checkpoints do not count. Exploration is
what it is after the exploration phase. The peer's best adapter and number of threads count, and its runs alternate
with ours.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from statistics import harmonic_mean, median
from typing import Any

from agents.dqn import DQNConfig
from agents.metrics import read_metrics
from agents.pqn import PQNConfig
from agents.presets import preset_for
from agents.run_config import AGENT_CONFIGS, AgentConfig, AgentName, TrainConfig, read_configs
from agents.training import train

PEERS: dict[str, str] = {"ppo": "PPO", "dqn": "DQN"}  # agent: the peer's class
NEVER = 10**12  # steps or seconds
INTERVAL_STEPS = 32  # of every env, between log points, where no rollout says otherwise


def configure(
    env_id: str, agent: AgentName, hidden_sizes: tuple[int, ...], num_threads: int
) -> tuple[TrainConfig, AgentConfig]:
    """Returns the preset's run and algorithm, on features, without anything that is not training.

    Args:
        env_id: environment id.
        agent: name of the algorithm.
        hidden_sizes: of the network; none keeps the preset's.
        num_threads: of torch; 0 measures which number is fastest, as training does.
    """
    preset = preset_for(env_id, agent)
    agent_config = preset.agent
    if hidden_sizes:
        agent_config = replace(agent_config, network=replace(agent_config.network, hidden_sizes=hidden_sizes))
    if isinstance(agent_config, DQNConfig | PQNConfig):
        agent_config = replace(agent_config, epsilon_start=agent_config.epsilon_end)
    config = replace(
        preset.train,
        observation="features",
        num_threads=num_threads,
        max_seconds=None,
        stop_at_success=None,
        log_interval=agent_config.num_envs * getattr(agent_config, "num_steps", INTERVAL_STEPS),
        eval_interval=NEVER,
        eval_episodes=1,
        checkpoint_seconds=NEVER,
        tensorboard=False,
        progress=False,
    )
    return config, agent_config


def warm_up_intervals(config: TrainConfig, agent_config: AgentConfig) -> int:
    """Log intervals until learning has begun, and one more."""
    return 1 + math.ceil(getattr(agent_config, "learning_starts", 0) / config.log_interval)


def training_rate(config: TrainConfig, agent_config: AgentConfig, num_intervals: int) -> tuple[float, int]:
    """Trains anew for so many log intervals after the warm-up; returns steps per second and torch's threads."""
    warm_up = warm_up_intervals(config, agent_config)
    config = replace(config, total_steps=(warm_up + num_intervals) * config.log_interval)
    with tempfile.TemporaryDirectory(prefix="drivesim-benchmark-") as root:
        folder = Path(root) / "run"
        train(config, agent_config, folder)
        _, rates = read_metrics(folder / "metrics.csv", "time/steps_per_second")
        return harmonic_mean(rates[warm_up:]), read_configs(folder)[0].num_threads


def summarise_peer(name: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the peer's runs; its best adapter and number of threads are what it is worth."""
    for answer in answers:
        if "error" in answer:
            return {"name": name, "error": answer["error"]}
    rates: dict[tuple[str, int], list[float]] = {}
    for answer in answers:
        for run in answer["runs"]:
            rates.setdefault((run["adapter"], run["num_threads"]), []).append(run["steps_per_second"])
    runs: list[dict[str, Any]] = [
        {"adapter": adapter, "num_threads": num_threads, "steps_per_second": round(median(found))}
        for (adapter, num_threads), found in rates.items()
    ]
    best = max(runs, key=lambda run: run["steps_per_second"])
    return {"name": name, "versions": answers[0]["versions"], **best, "runs": runs}


def measure_agent(
    config: TrainConfig,
    agent_config: AgentConfig,
    *,
    ask_peer: Callable[[str], dict[str, Any]],
    peer_threads: tuple[int, ...],
    repetitions: int,
    seconds: float,
    quick: bool,
) -> dict[str, Any]:
    """Measures one algorithm and, in alternation, its peer.

    Args:
        config: of the run.
        agent_config: of the algorithm.
        ask_peer: answers a request, a JSON object, with what `benchmark_peers_training.py` prints, or with an "error".
        peer_threads: of torch, from which the peer gets the better number.
        repetitions: of which the median is taken.
        seconds: of a repetition, about.
        quick: whether the shortest repetitions and the peer's faster adapter will do.
    """
    say(f"{config.env} {config.agent}, warm-up")
    rate, num_threads = training_rate(config, agent_config, 1)  # compiles, chooses the threads, and says how fast
    config = replace(config, num_threads=num_threads)
    num_intervals = 1 if quick else max(1, round(rate * seconds / config.log_interval))
    request = {
        "agent": config.agent,
        "env": config.env,
        "options": {**config.options(), "reward_weights": config.reward_weights, "split": "train"},
        "config": asdict(agent_config),
        "threads": peer_threads,
        "adapters": ("native",) if quick else ("native", "dummy"),
        "seconds": seconds,
    }
    rates: list[float] = []
    answers: list[dict[str, Any]] = []
    for repetition in range(repetitions):
        say(f"{config.env} {config.agent}, {repetition + 1} of {repetitions}")
        rates.append(training_rate(config, agent_config, num_intervals)[0])
        if config.agent in PEERS and not any("error" in answer for answer in answers):
            answers.append(ask_peer(json.dumps(request)))
    record: dict[str, Any] = {
        "agent": config.agent,
        "num_envs": agent_config.num_envs,
        "hidden_sizes": agent_config.network.hidden_sizes,
        "num_threads": num_threads,
        "steps_per_second": round(median(rates)),
    }
    if answers:
        side = record["peer"] = summarise_peer(f"Stable-Baselines3 {PEERS[config.agent]}", answers)
        if "error" not in side:
            record["ratio"] = record["steps_per_second"] / side["steps_per_second"]
    return record


def measure_training(
    env_id: str,
    agents: tuple[str, ...],
    *,
    hidden_sizes: tuple[int, ...],
    num_threads: int,
    **options: Any,
) -> dict[str, Any]:
    """Measures every algorithm asked for on one environment; the options are those of :func:`measure_agent`."""
    configs = []
    for agent in agents:
        if agent not in AGENT_CONFIGS:
            raise ValueError(f"train_agents must be among {list(AGENT_CONFIGS)}, got {agent!r}")
        configs.append(configure(env_id, agent, hidden_sizes, num_threads))
    records = [measure_agent(config, agent_config, **options) for config, agent_config in configs]
    return {"env": env_id, "observation": "features", "torch": metadata.version("torch"), "agents": records}


def say(message: str) -> None:
    """Tells on stderr what is being measured."""
    print(message, file=sys.stderr)
