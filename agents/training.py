"""The training loop, the only one: acting, learning, logging, evaluation, checkpoints, resuming.

The loop has no maths. An algorithm decides what to do (``act``), keeps what happened (``record``)
and learns when it is due (``update``); see :class:`agents.algorithms.Agent`.

Everything that changes the weights depends on the configuration and the number of steps alone, so a
run repeats bit for bit on one machine, and a killed run resumed from its last checkpoint ends with
the same weights as one that was never killed. The clock only decides when a checkpoint is written
and, with ``max_seconds``, when to stop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents.algorithms import (
    NotFiniteError,
    largest_checkpoint,
    make_agent,
    make_network,
    num_threads_for,
    require_finite,
    require_finite_weights,
)
from agents.checkpoint import (
    Checkpoint,
    check_form,
    find_checkpoints,
    foreign,
    load_latest_checkpoint,
    save_checkpoint,
)
from agents.environments import env_seeds, load_kernels, make_envs
from agents.evaluation import evaluate
from agents.heap import trim_heap
from agents.interrupts import stop_requests
from agents.metrics import EpisodeSums, MetricsWriter, import_wandb
from agents.policy import Domain, NetworkPolicy
from agents.progress import ProgressBar
from agents.run_config import AgentConfig, TrainConfig, read_configs, require_resumable
from agents.run_folder import claimed, read_config, require_new, run_at, write_config, write_provenance
from agents.stepping import Step, Stepper
from agents.torch_settings import own_torch_settings
from agents.validation import require
from agents.warm_start import begin_with, driver_of

__all__ = ["NotFiniteError", "TrainConfig", "TrainResult", "load_policy", "resume", "train"]

OVERTIME = 10.0  # seconds after `max_seconds` in which an update is still finished, so that a run goes on exactly


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
    signal: int | None = None
    """Number of the signal that asked it to stop; None = none did."""


@own_torch_settings()
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

    Raises:
        FileExistsError: the folder holds a run, or another process is beginning one.
        ValueError: something is impossible; nothing was written.
        NotFiniteError: a reward, a loss or a weight is no finite number; the last finite checkpoint was kept.
        OSError: something cannot be written; the last checkpoint was kept.
    """
    require_new(folder)
    if config.wandb:
        import_wandb()
    load_kernels(config)
    started = time.perf_counter()
    with contextlib.closing(_training_envs(config, agent_config)) as envs:
        config = dataclasses.replace(config, num_threads=num_threads_for(config, agent_config, envs))
        run = _Run(config, agent_config, folder, envs, started)
        folder.mkdir(parents=True, exist_ok=True)
        with claimed(folder):
            require_new(folder)
            write_config(folder, config, agent_config)
            write_provenance(folder, envs)
            return run.drive(resume_step=None, on_evaluation=on_evaluation)


@own_torch_settings()
def resume(folder: Path, config: TrainConfig | None = None) -> TrainResult:
    """Continues a run from its last undamaged checkpoint, or from its start if it has none.

    Args:
        folder: of the run.
        config: replaces the saved one; may differ where that leaves the past as it was, see
            ``RESUMABLE``. Another ``total_steps`` changes the schedules from here on.

    Raises:
        CheckpointError: all checkpoints are damaged, or the last one is not of this run; nothing was written.
        FileNotFoundError: the folder holds no run.
        FileExistsError, NotFiniteError, OSError, ValueError: as in :func:`train`.
    """
    folder = run_at(folder)
    saved, agent_config = read_configs(folder)
    config = saved if config is None else config
    if config.wandb:
        import_wandb()
    require_resumable(saved, config)
    with claimed(folder):
        load_kernels(config)
        started = time.perf_counter()
        with contextlib.closing(_training_envs(config, agent_config)) as envs:
            checkpoint, checkpoints = None, folder / "checkpoints"
            if find_checkpoints(checkpoints, "last"):
                max_bytes = largest_checkpoint(config, agent_config, envs)
                checkpoint = load_latest_checkpoint(checkpoints, "last", max_bytes=max_bytes)
            run = _Run(config, agent_config, folder, envs, started, checkpoint)
            return run.drive(resume_step=-1 if checkpoint is None else run.agent.global_step)


@own_torch_settings()
def load_policy(folder: Path, kind: str = "best") -> tuple[NetworkPolicy, TrainConfig]:
    """Loads the greedy driver of a run, and how it was trained.

    Args:
        folder: of the run.
        kind: "best" or "last"; a run without a best checkpoint gives its last one.

    Raises:
        CheckpointError: there is no undamaged checkpoint, or it does not fit the configuration.
        FileNotFoundError: the folder holds no run.
        ValueError: its configuration is none, or asks for too much.
    """
    config, agent_config = read_configs(folder)
    with contextlib.closing(make_envs(config, 1, "test")) as envs:
        space, num_actions = envs.single_observation_space, int(getattr(envs.single_action_space, "n", 0))
    network = make_network(config, agent_config, space, num_actions)
    checkpoint = driver_of(folder, kind)
    with foreign(checkpoint):
        network.load_state_dict(checkpoint.tensors["network"])
        require_finite_weights(network)
    domain = Domain(config.env, config.observation, space, num_actions)
    uses_masks = getattr(agent_config, "mask_actions", False)
    return NetworkPolicy(network, uses_action_masks=uses_masks, domain=domain), config


class _Run:
    """One run of the loop with everything it needs; nothing is written before :meth:`drive`."""

    writer: MetricsWriter

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
        self.agent = make_agent(config, agent_config, envs)
        self.deadline = started + (config.max_seconds or math.inf)
        self.agent.deadline = self.deadline + OVERTIME
        getattr(self.agent, "ride_in", lambda _: None)(envs)
        self.episodes = EpisodeSums()
        self.best: tuple[float, float] | None = None  # held-out success, mean return
        self.last_evaluation = -1  # step
        self.earlier_seconds = 0.0  # of the parts of this run before it was resumed
        self.obs = self._begin() if checkpoint is None else self._load(checkpoint)
        self.idle_seconds = 0.0  # spent on evaluation and checkpoints since the last log point
        self.last_log = (time.perf_counter(), self.agent.global_step)
        self.last_save = time.perf_counter()

    def drive(
        self, *, resume_step: int | None, on_evaluation: Callable[[int, float], bool] | None = None
    ) -> TrainResult:
        """Runs the loop to its end and saves.

        Args:
            resume_step: after which the metrics go on; None begins them.
            on_evaluation: as in :func:`train`.
        """
        config, agent, stepper, obs = self.config, self.agent, self.stepper, self.obs
        reason: Literal["total_steps", "max_seconds", "success", "callback", "interrupted"] = "total_steps"
        self.writer = MetricsWriter(
            self.folder,
            tensorboard=config.tensorboard,
            wandb_project=config.wandb_project if config.wandb else None,
            config=read_config(self.folder),
            resume_step=resume_step,
        )
        with contextlib.closing(self.writer), stop_requests() as stop, self._progress_bar() as bar:
            while agent.global_step < config.total_steps:
                before = agent.global_step
                step = stepper.step(agent.act(obs, stepper.action_masks() if self.uses_masks else None))
                self._learn(step)
                obs = step.next_obs
                self.episodes.add(stepper.episodes)
                bar.move_to(agent.global_step)
                if _crosses(before, agent.global_step, config.log_interval):
                    self._log(bar)
                if _crosses(before, agent.global_step, config.eval_interval):
                    score = self._evaluate()
                    must_stop = on_evaluation is not None and on_evaluation(agent.global_step, score[0])
                    if config.is_reached(*score):
                        reason = "success"
                        break
                    if must_stop:
                        reason = "callback"
                        break
                if (now := time.perf_counter()) >= self.deadline:
                    reason = "max_seconds"
                    break
                if stop.signal is not None:
                    break
                if now - self.last_save >= config.checkpoint_seconds:
                    self._save()
            if stop.signal is None and self.last_evaluation != agent.global_step:
                self._evaluate()
            self._save()
            reason = reason if stop.signal is None else "interrupted"
        seconds = time.perf_counter() - self.started
        best_success = None if self.best is None else self.best[0]
        return TrainResult(self.folder, reason, agent.global_step, seconds, best_success, stop.signal)

    def _learn(self, step: Step) -> None:
        """Hands a step to the agent.

        Raises:
            NotFiniteError: a reward, a loss or a weight is no finite number; nothing of it is saved.
        """
        agent, num_updates = self.agent, self.agent.num_updates
        try:
            if not np.isfinite(step.rewards).all():
                env = int(np.flatnonzero(~np.isfinite(step.rewards))[0])
                raise NotFiniteError(f"the reward of env {env} is {step.rewards[env]}")
            agent.record(step)
            agent.update()
            if agent.num_updates != num_updates:
                require_finite(agent)
        except NotFiniteError as error:
            kept = find_checkpoints(self.folder / "checkpoints", "last")
            what = f"{kept[0]} is the last finite checkpoint" if kept else "there was no checkpoint yet"
            raise NotFiniteError(f"training stopped at step {agent.global_step:,}: {error}; {what}") from error

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
        trim_heap()

    def _evaluate(self) -> tuple[float, float]:
        """Evaluates on held-out levels, always the same ones, keeps the best driver; success and mean return."""
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
        if self.best is None or self.config.rank(*score) > self.config.rank(*self.best):
            self.best = score
            tensors = self.agent.state().tensors
            networks = {"network": tensors.get("average_network", tensors["network"])}
            save_checkpoint(
                Checkpoint(values={"global_step": step, "evaluation": record}, tensors=networks),
                self.folder / "checkpoints",
                "best",
                step,
                self.config.keep_checkpoints,
            )
        self.idle_seconds += time.perf_counter() - start
        return score

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
            require_finite(self.agent)
            obs = self.stepper.load_state(checkpoint)
            check_form(checkpoint, self._state(self.earlier_seconds))
        return obs

    def _progress_bar(self) -> ProgressBar:
        return ProgressBar(
            self.config.total_steps,
            self.agent.global_step,
            deadline=None if self.config.max_seconds is None else self.deadline,
            disable=not self.config.progress,
        )


def _training_envs(config: TrainConfig, agent_config: AgentConfig) -> gym.vector.VectorEnv[Any, Any, Any]:
    num_ids = len(config.each())
    if agent_config.num_envs < num_ids:
        raise ValueError(f"num_envs must be at least 1 for each of {num_ids} ids, got {agent_config.num_envs}")
    options = config.reward_weights, config.autoreset_mode, config.env_shares
    envs = make_envs(config, agent_config.num_envs, "train", *options)
    missing = [name for name in ("get_state", "set_state", "observe") if not hasattr(envs.unwrapped, name)]
    if missing:  # found now and not at the first checkpoint
        envs.close()
        raise ValueError(f"env must have the methods {missing} of the suite's vector environments, got {config.env}")
    return envs


def _crosses(before: int, after: int, interval: int) -> bool:
    return before // interval != after // interval
