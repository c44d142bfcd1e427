"""The training loop, the only one: acting, learning, logging, evaluation, checkpoints, resuming.

The loop has no maths. An algorithm decides what to do (``act``), keeps what happened (``record``)
and learns when it is due (``update``); see :class:`Agent`.

Everything that changes the weights depends on the configuration and the number of steps alone, so a
run repeats bit for bit on one machine, and a killed run resumed from its last checkpoint ends with
the same weights as one that was never killed. The clock only decides when a checkpoint is written
and, with ``max_seconds``, when to stop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents.checkpoint import (
    Checkpoint,
    check_form,
    find_checkpoints,
    foreign,
    load_latest_checkpoint,
    save_checkpoint,
)
from agents.dqn import DQN, DQNConfig
from agents.environments import env_seeds, load_kernels, make_envs
from agents.evaluation import evaluate
from agents.interrupts import stop_requests
from agents.metrics import EpisodeSums, MetricsWriter, import_wandb
from agents.policy import NetworkPolicy
from agents.ppo import PPO
from agents.pqn import PQN
from agents.progress import ProgressBar
from agents.reinforce import REINFORCE
from agents.run_config import RESUMABLE, AgentConfig, TrainConfig, read_configs
from agents.run_folder import read_config, write_config, write_provenance
from agents.stepping import Step, Stepper
from agents.threads import choose_num_threads
from agents.validation import require
from agents.warm_start import begin_with, driver_of

__all__ = ["Agent", "TrainConfig", "TrainResult", "load_policy", "resume", "train"]


@dataclass(frozen=True)
class TrainResult:
    """The end of a run."""

    folder: Path
    """The run folder."""
    reason: Literal["total_steps", "max_seconds", "success", "callback", "interrupted"]
    """Why it ended."""
    global_step: int
    """Environment steps of the whole run."""
    seconds: float
    """Wall-clock time of this part of the run."""
    best_success: float | None
    """Highest share of held-out episodes in a periodic evaluation."""


class Agent(Protocol):
    """The interface that the loop asks of an algorithm."""

    global_step: int
    num_updates: int

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape)."""

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses exploring actions (N,)."""

    def policy(self) -> NetworkPolicy:
        """Returns a driver that takes the best actions and leaves the agent as it is."""

    def record(self, step: Step) -> None:
        """Takes what one step of all envs gave; the arrays are overwritten by the next step."""

    def update(self) -> None:
        """Makes the gradient updates that are due."""

    def metrics(self) -> dict[str, float]:
        """Returns what to log."""

    def state(self) -> Checkpoint:
        """Returns everything that a continuation needs."""

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Takes over what ``state`` returned."""


_AGENTS: dict[str, Any] = {"dqn": DQN, "pqn": PQN, "reinforce": REINFORCE, "a2c": PPO, "ppo": PPO}


def train(
    config: TrainConfig,
    agent_config: AgentConfig,
    folder: Path,
    on_evaluation: Callable[[int, float], bool] | None = None,
) -> TrainResult:
    """Trains a new agent.

    Args:
        config: of the run.
        agent_config: of the algorithm.
        folder: to write to; must not hold a run yet.
        on_evaluation: called after every periodic evaluation with the number of environment steps and the
            share of held-out episodes that succeeded; True stops the run.
    """
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a run; resume it or choose another folder")
    if config.wandb:
        import_wandb()
    load_kernels(config)
    started = time.perf_counter()
    with contextlib.closing(_training_envs(config, agent_config)) as envs:
        config = dataclasses.replace(config, num_threads=_num_threads(config, agent_config, envs))
        folder.mkdir(parents=True, exist_ok=True)
        write_config(folder, config, agent_config)
        write_provenance(folder, envs)
        return _Run(config, agent_config, folder, envs, started).drive(on_evaluation)


def resume(folder: Path, config: TrainConfig | None = None) -> TrainResult:
    """Continues a run from its last undamaged checkpoint, or from its start if it has none.

    Args:
        folder: of the run.
        config: replaces the saved one; may differ where that leaves the past as it was, see
            ``RESUMABLE``. Another ``total_steps`` changes the schedules from here on.

    Raises:
        CheckpointError: all checkpoints are damaged, or the last one is not of this run; nothing was written.
    """
    saved, agent_config = read_configs(folder)
    config = saved if config is None else config
    if config.wandb:
        import_wandb()
    for name, value in dataclasses.asdict(saved).items():
        if getattr(config, name) != value and name not in RESUMABLE:
            raise ValueError(f"{name} of a run to be resumed must stay {value!r}, got {getattr(config, name)!r}")
    checkpoints = folder / "checkpoints"
    checkpoint = None
    if find_checkpoints(checkpoints, "last"):
        checkpoint = load_latest_checkpoint(checkpoints, "last")
    load_kernels(config)
    started = time.perf_counter()
    with contextlib.closing(_training_envs(config, agent_config)) as envs:
        return _Run(config, agent_config, folder, envs, started, checkpoint).drive()


def load_policy(folder: Path, kind: str = "best") -> tuple[NetworkPolicy, TrainConfig]:
    """Loads the greedy driver of a run, and how it was trained.

    Args:
        folder: of the run.
        kind: "best" or "last"; a run without a best checkpoint gives its last one.
    """
    config, agent_config = read_configs(folder)
    checkpoint = driver_of(folder, kind)
    with contextlib.closing(make_envs(config, 1, "test")) as envs:
        num_actions = int(getattr(envs.single_action_space, "n", 0))
        network = _AGENTS[config.agent].make_network(envs.single_observation_space, num_actions, agent_config)
    with foreign(checkpoint):
        network.load_state_dict(checkpoint.tensors["network"])
    return NetworkPolicy(network, uses_action_masks=getattr(agent_config, "mask_actions", False)), config


class _Run:
    """One run of the loop with everything it needs."""

    def __init__(
        self,
        config: TrainConfig,
        agent_config: AgentConfig,
        folder: Path,
        envs: gym.vector.VectorEnv[Any, Any, Any],
        started: float,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.started = started
        self.config = config
        self.folder = folder
        self.stepper = Stepper(envs)
        self.num_envs = agent_config.num_envs
        self.uses_masks = bool(getattr(agent_config, "mask_actions", False))
        torch.set_num_threads(config.num_threads)
        self.agent: Agent = _make_agent(config, agent_config, envs)
        self.episodes = EpisodeSums()
        self.best: tuple[float, float] | None = None  # held-out success, mean return
        self.last_evaluation = -1  # step
        self.earlier_seconds = 0.0  # of the parts of this run before it was resumed
        self.obs = self._begin() if checkpoint is None else self._load(checkpoint)
        resume_step = None if checkpoint is None else self.agent.global_step
        self.writer = MetricsWriter(
            folder,
            tensorboard=config.tensorboard,
            wandb_project=config.wandb_project if config.wandb else None,
            config=read_config(folder),
            resume_step=resume_step,
        )
        self.idle_seconds = 0.0  # spent on evaluation and checkpoints since the last log point
        self.last_log = (time.perf_counter(), self.agent.global_step)
        self.last_save = time.perf_counter()

    def drive(self, on_evaluation: Callable[[int, float], bool] | None = None) -> TrainResult:
        """Runs the loop to its end and saves."""
        config, agent, stepper, obs = self.config, self.agent, self.stepper, self.obs
        reason: Literal["total_steps", "max_seconds", "success", "callback", "interrupted"] = "total_steps"
        with stop_requests() as stop, self._progress_bar() as bar:
            while agent.global_step < config.total_steps:
                before = agent.global_step
                step = stepper.step(agent.act(obs, stepper.action_masks() if self.uses_masks else None))
                agent.record(step)
                agent.update()
                obs = step.next_obs
                self.episodes.add(stepper.episodes)
                bar.move_to(agent.global_step)
                if _crosses(before, agent.global_step, config.log_interval):
                    self._log(bar)
                if _crosses(before, agent.global_step, config.eval_interval):
                    success = self._evaluate()
                    must_stop = on_evaluation is not None and on_evaluation(agent.global_step, success)
                    if config.stop_at_success is not None and success >= config.stop_at_success:
                        reason = "success"
                        break
                    if must_stop:
                        reason = "callback"
                        break
                now = time.perf_counter()
                if config.max_seconds is not None and now - self.started >= config.max_seconds:
                    reason = "max_seconds"
                    break
                if stop.is_set():
                    reason = "interrupted"
                    break
                if now - self.last_save >= config.checkpoint_seconds:
                    self._save()
            if reason != "interrupted" and self.last_evaluation != agent.global_step:
                self._evaluate()
            self._save()
        self.writer.close()
        best_success = None if self.best is None else self.best[0]
        return TrainResult(self.folder, reason, agent.global_step, time.perf_counter() - self.started, best_success)

    def _log(self, bar: ProgressBar) -> None:
        now, step = time.perf_counter(), self.agent.global_step
        seconds = now - self.last_log[0] - self.idle_seconds
        metrics = {
            **self.episodes.take(),
            **self.agent.metrics(),
            "time/steps_per_second": (step - self.last_log[1]) / max(seconds, 1e-9),
            "time/seconds": self.earlier_seconds + now - self.started,
        }
        self.writer.write(step, metrics)
        self.last_log = (now, step)
        self.idle_seconds = 0.0
        bar.show(metrics)

    def _evaluate(self) -> float:
        """Evaluates on held-out levels, always the same ones, and keeps the best driver."""
        start = time.perf_counter()
        step = self.last_evaluation = self.agent.global_step
        record = evaluate(self.agent.policy(), self.config, episodes=self.config.eval_episodes, seed=0)
        metrics = {
            f"eval/{name}": float(value)
            for name, value in record.items()
            if name.endswith("_rate") or name.startswith("mean_")
            if value is not None
        }
        for part in record.get("each", ()):
            metrics[f"eval/success_rate/{part['env'].rpartition('/')[2]}"] = float(part["success_rate"])
        metrics["time/seconds"] = self.earlier_seconds + time.perf_counter() - self.started
        self.writer.write(step, metrics)
        score = (float(record["success_rate"]), float(record["mean_return"]))
        if self.best is None or score > self.best:
            self.best = score
            networks = {"network": self.agent.state().tensors["network"]}
            save_checkpoint(
                Checkpoint(values={"global_step": step, "evaluation": record}, tensors=networks),
                self.folder / "checkpoints",
                "best",
                step,
                self.config.keep_checkpoints,
            )
        self.idle_seconds += time.perf_counter() - start
        return score[0]

    def _save(self) -> None:
        start = time.perf_counter()
        checkpoint = self._state(self.earlier_seconds + start - self.started)
        folder, keep = self.folder / "checkpoints", self.config.keep_checkpoints
        save_checkpoint(checkpoint, folder, "last", self.agent.global_step, keep)
        self.last_save = time.perf_counter()
        self.idle_seconds += self.last_save - start

    def _state(self, seconds: float) -> Checkpoint:
        checkpoint = self.agent.state()
        checkpoint.values["training"] = {
            "best": self.best,
            "last_evaluation": self.last_evaluation,
            "episodes": self.episodes.state(),
            "seconds": seconds,
        }
        stepper = self.stepper.state()
        checkpoint.values |= stepper.values
        checkpoint.arrays |= stepper.arrays
        return checkpoint

    def _begin(self) -> NDArray[Any]:
        if self.config.begin_with:
            begin_with(self.agent, Path(self.config.begin_with))
        obs = self.stepper.begin(env_seeds(self.config.seed, self.num_envs))
        self.agent.begin(obs)
        return obs

    def _load(self, checkpoint: Checkpoint) -> NDArray[Any]:
        with foreign(checkpoint):
            self.agent.load_state(checkpoint)
            require("global_step", self.agent.global_step, self.agent.global_step >= 0, "at least 0")
            training = checkpoint.values["training"]
            if training["best"] is not None:
                success, mean_return = training["best"]
                self.best = float(success), float(mean_return)
            self.last_evaluation = int(training["last_evaluation"])
            self.episodes.load_state(training["episodes"])
            self.earlier_seconds = float(training["seconds"])
            obs = self.stepper.load_state(checkpoint)
            check_form(checkpoint, self._state(self.earlier_seconds))
        return obs

    def _progress_bar(self) -> ProgressBar:
        limit = self.config.max_seconds
        return ProgressBar(
            self.config.total_steps,
            self.agent.global_step,
            deadline=None if limit is None else self.started + limit,
            disable=not self.config.progress,
        )


def _training_envs(config: TrainConfig, agent_config: AgentConfig) -> gym.vector.VectorEnv[Any, Any, Any]:
    num_ids = len(config.each())
    if agent_config.num_envs < num_ids:
        raise ValueError(f"num_envs must be at least 1 for each of {num_ids} ids, got {agent_config.num_envs}")
    options = config.reward_weights, config.autoreset_mode, config.env_shares
    return make_envs(config, agent_config.num_envs, "train", *options)


def _make_agent(config: TrainConfig, agent_config: AgentConfig, envs: gym.vector.VectorEnv[Any, Any, Any]) -> Agent:
    agent: Agent = _AGENTS[config.agent](
        envs.single_observation_space,
        envs.single_action_space,
        agent_config,
        seed=config.seed,
        total_steps=config.total_steps,
    )
    return agent


def _num_threads(config: TrainConfig, agent_config: AgentConfig, envs: gym.vector.VectorEnv[Any, Any, Any]) -> int:
    """Measures how many threads make acting and learning fastest, on observations that mean nothing."""
    if config.num_threads:
        return config.num_threads

    def make_trial() -> Callable[[], None]:
        eager = agent_config
        if isinstance(eager, DQNConfig):
            eager = dataclasses.replace(eager, learning_starts=0)
        agent = _make_agent(config, eager, envs)
        num_envs = agent_config.num_envs
        envs.single_observation_space.seed(0)
        obs = np.stack([envs.single_observation_space.sample() for _ in range(num_envs)])
        no, yes = np.zeros(num_envs, np.bool_), np.ones(num_envs, np.bool_)
        agent.begin(obs)

        def trial() -> None:
            goal = agent.num_updates + 2
            while agent.num_updates < goal:
                agent.record(Step(agent.act(obs), np.zeros(num_envs), no, no, obs, None, yes, no))
                agent.update()

        return trial

    spaces = (envs.single_observation_space, envs.single_action_space)
    return choose_num_threads(f"{config.agent} {agent_config} {spaces}", make_trial)


def _crosses(before: int, after: int, interval: int) -> bool:
    return before // interval != after // interval
