"""Behaviour cloning: config, policy, loss and update."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.checkpoint import Checkpoint, fitting
from agents.demonstrations import Demonstrated, Demonstrations, imitation_loss
from agents.experts import Expert, ExpertName, make_expert
from agents.networks import ActorCritic, NetworkConfig
from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.rollout import Rollout
from agents.sampling import log_policy
from agents.stepping import Step
from agents.targets import lambda_returns
from agents.validation import check_at_least, check_choice, check_positive, check_unit_interval, count_actions, require

__all__ = ["BC", "BCConfig"]


@dataclass(frozen=True)
class BCConfig:
    """Behaviour cloning (Pomerleau 1989, *ALVINN*; Bain and Sammut 1995) of an expert that drives."""

    expert: ExpertName = "best"
    """Who is imitated: oracle, rule-based or planner; best is the oracle where there is one, else rule-based."""
    num_envs: int = 32
    """Envs stepped together."""
    num_steps: int = 16
    """Steps of every env between the updates."""
    buffer_size: int = 100_000
    """Newest steps that are learnt from."""
    batch_size: int = 256
    """Steps per gradient update."""
    updates: int = 128
    """Gradient updates after so many steps of every env."""
    temperature: float = 0.01
    """Cost by which an action is e times as unlikely as the expert's; a crash costs more than 1."""
    gamma: float = 0.99
    """Discount per step, of the value."""
    value_coefficient: float = 0.1
    """Weight of the value's squared error, of which half is taken. Driving has no need of a value; films show it, and
    PPO can begin with it."""
    optimizer: OptimizerName = "adam"
    """Optimizer, one of torch's."""
    learning_rate: float = 1e-3
    """Step size."""
    anneal_learning_rate: bool = True
    """Lower the step size linearly to 0 at the run's last step."""
    max_grad_norm: float = 1.0
    """Upper bound of the gradient's norm."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(layer_norm=False))
    """Widths of the network."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "num_envs", "num_steps", "batch_size", "updates")
        check_at_least(self, 0, "value_coefficient")
        check_unit_interval(self, "gamma")
        check_positive(self, "learning_rate", "max_grad_norm", "temperature")
        check_choice(self, "optimizer", "expert")
        least = self.num_envs * self.num_steps
        require("buffer_size", self.buffer_size, self.buffer_size >= least, f"at least num_envs * num_steps, {least}")


class BC:
    """A policy that learns to do what an expert does in the states that the expert gets into.

    Update, ``updates`` times after T steps of N envs, on batches of all steps so far:
        q(a|s) = softmax(- cost(s, a) / temperature)
        loss = - mean sum over a of q(a|s) log pi(a|s) + value_coefficient * mean (V(s) - G)^2 / 2
    The oracle says what every action costs, other experts that all but their own cost much. G is the discounted return
    of whoever drove, the expert; a truncation and the segment's end add the discounted value of the observation that
    follows. Rows without a transition take no part.

    Shapes: obs (T, N, *obs_shape), logits (B, num_actions), values (B,), returns (T, N).
    Differences from the papers: 1. costs instead of actions, where the expert knows them. 2. a value is learnt beside.
    3. the demonstrations come while it learns, so that a run can stop when they are enough.
    Logged: loss/policy, loss/value, policy/agreement (how often the likeliest action is one of the expert's),
    policy/cost (of the likeliest action), schedule/learning_rate.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        action_space: gym.Space[Any],
        config: BCConfig,
        *,
        seed: int,
        total_steps: int,
    ) -> None:
        """Builds network, optimizer and memory.

        Args:
            observation_space: of a single env.
            action_space: of a single env; Discrete, numbered from 0.
            config: hyper-parameters.
            seed: of the weights, the batches and whoever drives.
            total_steps: environment steps of the whole run, for the schedule.
        """
        self.config = config
        self.num_actions = count_actions(action_space)
        self.total_steps = total_steps
        self.global_step = 0
        self.num_updates = 0
        self.deadline = math.inf  # by time.perf_counter(); an update that passes it makes no further gradient updates
        weight_seed, self_seed = np.random.SeedSequence([seed, 1]).spawn(2)
        self.rng = np.random.default_rng(self_seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(weight_seed.generate_state(1)[0]))
            self.network = self.make_network(observation_space, self.num_actions, config)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.optimizer = make_optimizer(config.optimizer, self.parameters, config.learning_rate)
        self.rollout = Rollout(observation_space, self.num_actions, config.num_steps, config.num_envs)
        self.costs = torch.zeros((config.num_steps, config.num_envs, self.num_actions))  # of the rollout
        self.demonstrations = Demonstrations(observation_space, self.num_actions, config.buffer_size)
        self.expert: Expert | None = None
        self._next_obs: Tensor | None = None  # (N, *obs_shape), to act on next
        self._starts = np.ones(config.num_envs, np.bool_)  # (N,), whether that begins an episode
        self.last_metrics: dict[str, float] = {}

    @staticmethod
    def make_network(observation_space: gym.Space[np.ndarray], num_actions: int, config: BCConfig) -> ActorCritic:
        """Builds the network that drives."""
        return ActorCritic(observation_space, num_actions, config.network)

    # --- acting -------------------------------------------------------------------------------

    def ride_in(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """Puts the expert into the envs that are driven.

        Raises:
            ValueError: there is none for them.
        """
        self.expert = make_expert(self.config.expert, envs)

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape) after a reset of all envs."""
        self._starts[:] = True
        self.rollout.clear(self._starts)

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Takes the expert's actions (N,), the first of equally good ones."""
        costs = self.ask()
        actions: NDArray[np.int64] = costs.argmin(axis=1)
        self.keep(obs, actions, costs)
        return actions

    def ask(self) -> NDArray[np.float32]:
        """The expert's costs (N, num_actions); without an expert, when only time is measured, none."""
        if self.expert is None:
            return np.zeros((self.config.num_envs, self.num_actions), np.float32)
        return self.expert()

    def keep(self, obs: NDArray[Any], actions: NDArray[np.int64], costs: NDArray[np.float32]) -> None:
        """Keeps what is seen and done now, (N, *obs_shape) and (N,), and what the expert says, (N, num_actions)."""
        self.costs[self.rollout.cursor] = torch.from_numpy(costs)
        self.rollout.put(as_tensor(obs), torch.from_numpy(actions), values=torch.zeros(len(actions)))

    def policy(self) -> NetworkPolicy:
        """Returns the driver that takes the likeliest action."""
        return NetworkPolicy(self.network)

    def record(self, step: Step) -> None:
        """Keeps one step of all envs."""
        self.rollout.add(step)
        self._next_obs = as_tensor(step.next_obs)
        self._starts = step.starts
        self.global_step += self.config.num_envs

    # --- learning -----------------------------------------------------------------------------

    def update(self) -> None:
        """Learns if the rollout is full."""
        if not self.rollout.is_full:
            return
        rollout, is_real = self.rollout, self.rollout.is_real
        if is_real.any():
            returns = self.returns(rollout)
            self.demonstrations.add(Demonstrated(rollout.obs[is_real], self.costs[is_real], returns[is_real]))
            self.train_on(self.demonstrations)
        rollout.clear(self._starts)

    def returns(self, rollout: Rollout) -> Tensor:
        """Returns G (T, N) of a full rollout."""
        assert self._next_obs is not None
        with torch.no_grad():

            def value_of(obs: Tensor, memory: Tensor) -> Tensor:
                values: Tensor = self.network(obs)[1]
                return values

            # The values of all rows but the first stand for those of their predecessors' successors.
            rollout.values[:] = value_of(rollout.obs.flatten(0, 1), rollout.memory).view(rollout.values.shape)
            next_values = rollout.next_values(value_of, value_of(self._next_obs, rollout.memory))
            ends = rollout.terminated, rollout.truncated
            return lambda_returns(rollout.rewards, next_values, *ends, self.config.gamma, lam=1.0)

    def train_on(self, demonstrations: Demonstrations) -> None:
        """Makes the gradient updates that are due after a rollout."""
        self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        batch_size, count = self.config.batch_size, self.config.updates
        logged: list[Tensor] = []
        while len(logged) < count and (not logged or time.perf_counter() < self.deadline):
            logged.append(self._gradient_update(demonstrations.sample(batch_size, self.rng)))
        self.num_updates += len(logged)
        names = ("loss/policy", "loss/value", "policy/agreement", "policy/cost")
        self.last_metrics = dict(zip(names, torch.stack(logged).mean(dim=0).tolist(), strict=True))

    def _gradient_update(self, batch: Demonstrated) -> Tensor:
        """Makes one gradient update; returns the terms to log, (4,)."""
        logits, values, _ = self.network(batch.obs)
        policy_loss = imitation_loss(log_policy(logits, None), batch.costs, self.config.temperature)
        value_loss = 0.5 * (values - batch.returns).square().mean()
        loss = policy_loss + self.config.value_coefficient * value_loss
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            cost = batch.costs.gather(1, logits.argmax(dim=1)[:, None])[:, 0]
            return torch.stack([policy_loss, value_loss, (cost == 0).float().mean(), cost.mean()])

    def learning_rate(self) -> float:
        """Step size of the next updates."""
        left = max(1.0 - self.global_step / self.total_steps, 0.0) if self.config.anneal_learning_rate else 1.0
        return self.config.learning_rate * left

    # --- logging and checkpoints --------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """Returns the last updates' means."""
        return {
            "schedule/learning_rate": self.learning_rate(),
            "time/num_updates": float(self.num_updates),
            **self.last_metrics,
        }

    def state(self) -> Checkpoint:
        """Returns everything that a continuation needs; tensors are not copied."""
        rollout, counters = self.rollout.state()
        demonstrations, num_taken = self.demonstrations.state()
        return Checkpoint(
            values={
                "global_step": self.global_step,
                "num_updates": self.num_updates,
                "rollout": counters,
                "num_demonstrations": num_taken,
                "generator": self.rng.bit_generator.state,
                "metrics": self.last_metrics,
            },
            tensors={
                "network": self.network.state_dict(),
                "optimizer": optimizer_tensors(self.optimizer),
                "rollout": {**rollout, "costs": self.costs[: self.rollout.cursor]},
                "demonstrations": demonstrations,
            },
            arrays={"starts": self._starts.copy()},
        )

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Takes over what :meth:`state` returned."""
        self.global_step = int(checkpoint.values["global_step"])
        self.num_updates = int(checkpoint.values["num_updates"])
        self.rng.bit_generator.state = checkpoint.values["generator"]
        self.last_metrics = {name: float(value) for name, value in checkpoint.values["metrics"].items()}
        self.network.load_state_dict(checkpoint.tensors["network"])
        load_optimizer_tensors(self.optimizer, checkpoint.tensors["optimizer"])
        self.rollout.load_state(checkpoint.tensors["rollout"], checkpoint.values["rollout"])
        costs = self.costs[: self.rollout.cursor]
        costs[...] = fitting("costs", checkpoint.tensors["rollout"]["costs"], costs)
        self.demonstrations.load_state(checkpoint.tensors["demonstrations"], checkpoint.values["num_demonstrations"])
        self._starts = fitting("starts", checkpoint.arrays["starts"], self._starts)
