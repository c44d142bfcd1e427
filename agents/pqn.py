"""Q-learning without replay and without a target network: config, exploration, target, loss and update."""

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
from agents.networks import NetworkConfig, QNetwork
from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.rollout import Rollout
from agents.schedules import linear
from agents.stepping import Step
from agents.targets import lambda_returns
from agents.validation import check_at_least, check_choice, check_positive, check_unit_interval, count_actions, require

__all__ = ["PQN", "PQNConfig"]


@dataclass(frozen=True)
class PQNConfig:
    """Parallelised Q-network (Gallici et al. 2024): Q(lambda) on short rollouts of many envs."""

    num_envs: int = 1024
    """Envs stepped together (paper: 128)."""
    num_steps: int = 16
    """Steps of every env per update (paper: 32)."""
    gamma: float = 0.99
    """Discount per step."""
    lam: float = 0.65
    """Mixing of one-step (0) and longest possible (1) returns."""
    epochs: int = 1
    """Passes over a rollout (paper: 2)."""
    minibatches: int = 8
    """Gradient updates per pass (paper: 32)."""
    optimizer: OptimizerName = "adam"
    """Optimizer, one of torch's (paper: RAdam)."""
    learning_rate: float = 1e-3
    """Step size (paper: 5e-4)."""
    anneal_learning_rate: bool = True
    """Lower the step size linearly to 0 at the run's last step."""
    max_grad_norm: float = 10.0
    """Upper bound of the gradient's norm."""
    epsilon_start: float = 1.0
    """Probability of a random action at the start."""
    epsilon_end: float = 0.02
    """Probability of a random action after the exploration phase (paper: 0.05)."""
    exploration_fraction: float = 0.1
    """Share of the run over which epsilon falls linearly."""
    epsilon_ladder: float = 0.0
    """Spread of epsilon over the envs: env i explores with epsilon ** (1 + ladder * i / (N - 1)),
    after Ape-X (Horgan et al. 2018, there 7); 0 gives every env the same epsilon."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Widths of the Q-network. Without layer normalisation the method has nothing to keep it stable."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "num_envs", "num_steps", "epochs", "minibatches")
        check_unit_interval(self, "gamma", "lam", "epsilon_start", "epsilon_end", "exploration_fraction")
        check_positive(self, "learning_rate", "max_grad_norm")
        check_at_least(self, 0, "epsilon_ladder")
        check_choice(self, "optimizer")
        steps = self.num_envs * self.num_steps
        require("minibatches", self.minibatches, self.minibatches <= steps, f"at most {steps}")


class PQN:
    """Value learning from fresh experience only; layer normalisation stands in for the target network.

    Update, for minibatches of a rollout of T steps on N envs:
        G[t] = r[t] + gamma * ((1 - lam) * max_a Q(s[t+1], a) + lam * G[t+1])     (cut at every end)
        loss = mean (Q(s, a) - G)^2 / 2
    The maxima are those the acting network saw. Only a termination drops the bootstrap.

    Shapes: obs (T, N, *obs_shape), q_values (B, num_actions), returns (T, N).
    Differences from the paper: 1. Adam. 2. one pass over each rollout by default.
    Logged: loss/td, q/mean, schedule/epsilon, schedule/learning_rate.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        action_space: gym.Space[Any],
        config: PQNConfig,
        *,
        seed: int,
        total_steps: int,
    ) -> None:
        """Builds network, optimizer and rollout.

        Args:
            observation_space: of a single env.
            action_space: of a single env; Discrete, numbered from 0.
            config: hyper-parameters.
            seed: of the weights, the exploration and the minibatches.
            total_steps: environment steps of the whole run, for the schedules.
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
        self.ladder = 1.0 + config.epsilon_ladder * np.linspace(0.0, 1.0, config.num_envs)  # (N,)
        self._next_obs: Tensor | None = None  # (N, *obs_shape), to act on next
        self._starts = np.ones(config.num_envs, np.bool_)  # (N,), whether that begins an episode
        self.last_metrics: dict[str, float] = {}

    @staticmethod
    def make_network(observation_space: gym.Space[np.ndarray], num_actions: int, config: PQNConfig) -> QNetwork:
        """Builds the network that drives."""
        return QNetwork(observation_space, num_actions, config.network)

    # --- acting -------------------------------------------------------------------------------

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape) after a reset of all envs."""
        self.rollout.clear(self._starts)

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses epsilon-greedy actions (N,); every env tosses its own coin."""
        num_envs = self.config.num_envs
        tensor = as_tensor(obs)
        with torch.inference_mode():
            best_values, best_actions = self.network(tensor).max(dim=1)  # (N,)
        explores = self.rng.random(num_envs) < self.epsilon() ** self.ladder
        random_actions = self.rng.integers(self.num_actions, size=num_envs)
        actions = np.where(explores, random_actions, best_actions.numpy())
        self.rollout.put(tensor, torch.from_numpy(actions), best_values)
        return actions

    def policy(self) -> NetworkPolicy:
        """Returns the greedy driver."""
        return NetworkPolicy(self.network)

    def epsilon(self) -> float:
        """Probability of a random action on the lowest rung of the ladder."""
        phase = self.config.exploration_fraction * self.total_steps
        return linear(self.config.epsilon_start, self.config.epsilon_end, self.global_step, phase)

    def record(self, step: Step) -> None:
        """Keeps one step of all envs."""
        self.rollout.add(step)
        self._next_obs = as_tensor(step.next_obs)
        self._starts = step.starts
        self.global_step += self.config.num_envs

    # --- learning -----------------------------------------------------------------------------

    def update(self) -> None:
        """Learns from the rollout if it is full and holds a transition."""
        if not self.rollout.is_full:
            return
        if self.rollout.is_real.any():
            self.train_on(self.rollout)
        self.rollout.clear(self._starts)

    def returns(self, rollout: Rollout) -> Tensor:
        """Returns the targets G (T, N) of a full rollout."""
        assert self._next_obs is not None
        with torch.no_grad():

            def value_of(obs: Tensor, memory: Tensor) -> Tensor:
                values: Tensor = self.network(obs).amax(dim=1)
                return values

            next_values = rollout.next_values(value_of, self.network(self._next_obs).amax(dim=1))
            ends = rollout.terminated, rollout.truncated
            return lambda_returns(rollout.rewards, next_values, *ends, self.config.gamma, self.config.lam)

    def train_on(self, rollout: Rollout) -> None:
        """Makes the passes of gradient updates over a full rollout."""
        config = self.config
        obs, actions = rollout.obs.flatten(0, 1), rollout.actions.flatten()
        returns = self.returns(rollout).flatten()
        steps = np.flatnonzero(rollout.is_real.numpy())
        self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        losses = []
        for _ in range(config.epochs):
            self.rng.shuffle(steps)
            for part in filter(len, torch.from_numpy(steps).tensor_split(config.minibatches)):
                values = self.network(obs.index_select(0, part)).gather(1, actions[part, None])[:, 0]  # (B,)
                loss = 0.5 * (values - returns[part]).square().mean()
                self.optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm, foreach=True)
                self.optimizer.step()
                losses.append(loss.detach())
                if time.perf_counter() >= self.deadline:
                    break
            else:
                continue
            break
        self.num_updates += len(losses)
        mean_value = rollout.values[rollout.is_real].mean()
        self.last_metrics = {"loss/td": float(torch.stack(losses).mean()), "q/mean": float(mean_value)}

    def learning_rate(self) -> float:
        """Step size of the next update."""
        left = max(1.0 - self.global_step / self.total_steps, 0.0) if self.config.anneal_learning_rate else 1.0
        return self.config.learning_rate * left

    # --- logging and checkpoints --------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """Returns the last update's means."""
        return {
            "schedule/epsilon": self.epsilon(),
            "schedule/learning_rate": self.learning_rate(),
            "time/num_updates": float(self.num_updates),
            **self.last_metrics,
        }

    def state(self) -> Checkpoint:
        """Returns everything that a continuation needs; tensors are not copied."""
        rollout, counters = self.rollout.state()
        return Checkpoint(
            values={
                "global_step": self.global_step,
                "num_updates": self.num_updates,
                "rollout": counters,
                "generator": self.rng.bit_generator.state,
                "metrics": self.last_metrics,
            },
            tensors={
                "network": self.network.state_dict(),
                "optimizer": optimizer_tensors(self.optimizer),
                "rollout": rollout,
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
        self._starts = fitting("starts", checkpoint.arrays["starts"], self._starts)
