"""Deep Q-learning over many lanes at once: config, exploration, target, loss and update."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.checkpoint import Checkpoint
from agents.networks import NetworkConfig, QNetwork
from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.replay import Batch, ReplayBuffer
from agents.stepping import Step

__all__ = ["DQN", "DQNConfig"]


@dataclass(frozen=True)
class DQNConfig:
    """Deep Q-learning (Mnih et al. 2015) with double and multi-step targets, on many lanes."""

    num_envs: int = 512
    """Lanes stepped together (paper: 1)."""
    double: bool = True
    """Let the online network choose the action of the target (van Hasselt et al. 2016)."""
    n_step: int = 3
    """Steps before the bootstrap (paper: 1; Rainbow: 3)."""
    gamma: float = 0.99
    """Discount per step."""
    optimizer: OptimizerName = "adam"
    """Optimizer, one of torch's (paper: RMSProp)."""
    learning_rate: float = 1e-3
    """Step size (paper: RMSProp 2.5e-4 with batches of 32)."""
    anneal_learning_rate: bool = True
    """Lower the step size linearly to 0 at the run's last step (paper: constant)."""
    batch_size: int = 1024
    """Transitions per gradient update (paper: 32)."""
    train_frequency: int = 512
    """Environment steps, over all lanes, per gradient update (paper: 4). The replay ratio is
    batch_size / train_frequency."""
    buffer_size: int = 200_000
    """Transitions kept (paper: 1,000,000)."""
    learning_starts: int = 10_000
    """Environment steps of uniformly random driving before the first update (paper: 50,000)."""
    target_update_interval: int = 1
    """Gradient updates between updates of the target network (paper: 10,000)."""
    tau: float = 0.01
    """Share by which the target network then moves to the online one (paper: 1, a copy)."""
    epsilon_start: float = 1.0
    """Probability of a random action at the start."""
    epsilon_end: float = 0.02
    """Probability of a random action after the exploration phase (paper: 0.1)."""
    exploration_fraction: float = 0.3
    """Share of the run over which epsilon falls linearly."""
    epsilon_ladder: float = 0.0
    """Spread of epsilon over the lanes: lane i explores with epsilon ** (1 + ladder * i / (N - 1)),
    after Ape-X (Horgan et al. 2018, there 7); 0 gives every lane the same epsilon."""
    loss: Literal["huber", "mse"] = "huber"
    """Loss of the TD error; the Huber loss is the paper's clipped error."""
    max_grad_norm: float = 10.0
    """Upper bound of the gradient's norm (paper: none)."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Widths of the Q-network (paper: three convolutions and 512 units)."""

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("num_envs", "n_step", "batch_size", "train_frequency", "buffer_size"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("gamma", "epsilon_start", "epsilon_end", "exploration_fraction"):
            _check(name, getattr(self, name), 0.0 <= getattr(self, name) <= 1.0, "in [0, 1]")
        for name in ("learning_rate", "max_grad_norm"):
            _check(name, getattr(self, name), getattr(self, name) > 0.0, "positive")
        for name in ("learning_starts", "epsilon_ladder"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")
        interval = self.target_update_interval
        _check("target_update_interval", interval, interval >= 1, "at least 1")
        _check("tau", self.tau, 0.0 < self.tau <= 1.0, "in (0, 1]")
        _check("loss", self.loss, self.loss in ("huber", "mse"), "'huber' or 'mse'")
        least = self.n_step * self.num_envs
        _check("buffer_size", self.buffer_size, self.buffer_size >= least, f"at least {least}")


class DQN:
    """Value learning with a replay buffer and a target network.

    Update, for a batch of windows of m <= n steps that start at (s, a) and end before s':
        y = r_0 + ... + gamma**(m-1) r_(m-1) + gamma**m * Q_target(s', argmax_a' Q(s', a'))
        loss = mean Huber(Q(s, a) - y)
    Only a termination drops the bootstrap; a truncated window bootstraps from its last observation.

    Shapes: obs (B, *obs_shape), q_values (B, num_actions), target (B,).
    Differences from the paper: 1. Adam. 2. double target. 3. n-step. 4. layer normalisation.
    5. gradient clipping. 6. many lanes, each with its own coin for exploration. 7. a target network
    that follows slowly instead of being copied.
    Logged: loss/td, q/mean, schedule/epsilon, schedule/learning_rate.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        action_space: gym.Space[Any],
        config: DQNConfig,
        *,
        seed: int,
        total_steps: int,
    ) -> None:
        """Builds networks, optimiser and replay.

        Args:
            observation_space: of a single lane.
            action_space: of a single lane; Discrete, numbered from 0.
            config: hyper-parameters.
            seed: of the weights, the exploration and the sampling.
            total_steps: environment steps of the whole run, for the schedules.
        """
        if not isinstance(action_space, gym.spaces.Discrete) or action_space.start != 0:
            raise ValueError(f"action_space must be a Discrete from 0, got {action_space}")
        self.config = config
        self.num_actions = int(action_space.n)
        self.total_steps = total_steps
        self.global_step = 0
        self.num_updates = 0
        weight_seed, self_seed = np.random.SeedSequence([seed, 1]).spawn(2)
        self.rng = np.random.default_rng(self_seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(weight_seed.generate_state(1)[0]))
            self.network = self.make_network(observation_space, self.num_actions, config)
            self.target_network = self.make_network(observation_space, self.num_actions, config)
        self.target_network.load_state_dict(self.network.state_dict())
        self.target_network.requires_grad_(False)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.target_parameters: list[Tensor] = list(self.target_network.parameters())
        self.optimizer = make_optimizer(config.optimizer, self.parameters, config.learning_rate)
        self.replay = ReplayBuffer(observation_space, config.num_envs, config.buffer_size, config.n_step)
        self.ladder = 1.0 + config.epsilon_ladder * np.linspace(0.0, 1.0, config.num_envs)  # (N,)
        self._reset_sums()

    @staticmethod
    def make_network(observation_space: gym.Space[np.ndarray], num_actions: int, config: DQNConfig) -> QNetwork:
        """Builds the network that drives."""
        return QNetwork(observation_space, num_actions, config.network)

    # --- acting -------------------------------------------------------------------------------

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape) after a reset of all lanes."""
        self.replay.begin(obs)

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses epsilon-greedy actions (N,); every lane tosses its own coin."""
        num_envs = self.config.num_envs
        random_actions = self.rng.integers(self.num_actions, size=num_envs)
        if self.global_step < self.config.learning_starts:
            return random_actions
        explores = self.rng.random(num_envs) < self.epsilon() ** self.ladder
        with torch.inference_mode():
            greedy_actions = self.network(as_tensor(obs)).argmax(dim=1).numpy()
        return np.where(explores, random_actions, greedy_actions)

    def policy(self) -> NetworkPolicy:
        """Returns the greedy driver."""
        return NetworkPolicy(self.network)

    def epsilon(self) -> float:
        """Probability of a random action on the lowest rung of the ladder."""
        start, end = self.config.epsilon_start, self.config.epsilon_end
        phase = self.config.exploration_fraction * self.total_steps
        share = 1.0 if phase <= 0 else min(self.global_step / phase, 1.0)
        return start + share * (end - start)

    def observe(self, step: Step) -> None:
        """Stores one step of all lanes."""
        self.replay.add(step)
        self.global_step += self.config.num_envs

    # --- learning -----------------------------------------------------------------------------

    def update(self) -> None:
        """Makes the gradient updates that are due after the steps observed so far."""
        num_due = (self.global_step - self.config.learning_starts) // self.config.train_frequency
        if self.replay.num_starts == 0:
            return
        while self.num_updates < num_due:
            self.train_on(self.replay.sample(self.config.batch_size, self.config.gamma, self.rng))

    def td_target(self, batch: Batch) -> Tensor:
        """Returns y = window's rewards + gamma**m * Q_target(s', argmax_a' Q(s', a')), (B,)."""
        with torch.no_grad():
            next_q_target = self.target_network(batch.next_obs)  # (B, num_actions)
            chooser = self.network(batch.next_obs) if self.config.double else next_q_target
            best_actions = chooser.argmax(dim=1, keepdim=True)  # (B, 1)
            next_values = next_q_target.gather(1, best_actions)[:, 0]  # (B,)
            bootstrap = torch.where(batch.discounts > 0.0, batch.discounts * next_values, 0.0)
            return batch.returns + bootstrap

    def train_on(self, batch: Batch) -> None:
        """Makes one gradient update."""
        config = self.config
        target = self.td_target(batch)  # (B,)
        q_values = self.network(batch.obs)  # (B, num_actions)
        values = q_values.gather(1, batch.actions[:, None])[:, 0]  # (B,)
        if config.loss == "huber":
            loss = functional.smooth_l1_loss(values, target)
        else:
            loss = functional.mse_loss(values, target)
        self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm, foreach=True)
        self.optimizer.step()
        self.num_updates += 1
        if self.num_updates % config.target_update_interval == 0:
            with torch.no_grad():  # target += tau * (online - target)
                torch._foreach_lerp_(self.target_parameters, self.parameters, config.tau)
        self._loss_sum += loss.detach()
        self._value_sum += values.detach().mean()
        self._num_summed += 1

    def learning_rate(self) -> float:
        """Step size of the next update."""
        if not self.config.anneal_learning_rate:
            return self.config.learning_rate
        return self.config.learning_rate * max(1.0 - self.global_step / self.total_steps, 0.0)

    # --- logging and checkpoints --------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """Returns means since the last call; the only place that reads tensors back."""
        metrics = {
            "schedule/epsilon": self.epsilon(),
            "schedule/learning_rate": self.learning_rate(),
            "time/num_updates": float(self.num_updates),
        }
        if self._num_summed:
            metrics["loss/td"] = self._loss_sum.item() / self._num_summed
            metrics["q/mean"] = self._value_sum.item() / self._num_summed
        self._reset_sums()
        return metrics

    def state(self) -> Checkpoint:
        """Returns everything that a continuation needs; tensors and arrays are not copied."""
        arrays, counters = self.replay.state()
        return Checkpoint(
            values={
                "global_step": self.global_step,
                "num_updates": self.num_updates,
                "replay": counters,
                "generator": self.rng.bit_generator.state,
                "sums": [self._loss_sum.item(), self._value_sum.item(), self._num_summed],
            },
            tensors={
                "network": self.network.state_dict(),
                "target_network": self.target_network.state_dict(),
                "optimizer": optimizer_tensors(self.optimizer),
            },
            arrays={f"replay.{name}": array for name, array in arrays.items()},
        )

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Takes over what :meth:`state` returned."""
        self.global_step = int(checkpoint.values["global_step"])
        self.num_updates = int(checkpoint.values["num_updates"])
        self.rng.bit_generator.state = checkpoint.values["generator"]
        loss_sum, value_sum, self._num_summed = checkpoint.values["sums"]
        self._loss_sum.fill_(loss_sum)
        self._value_sum.fill_(value_sum)
        self.network.load_state_dict(checkpoint.tensors["network"])
        self.target_network.load_state_dict(checkpoint.tensors["target_network"])
        load_optimizer_tensors(self.optimizer, checkpoint.tensors["optimizer"])
        prefix = "replay."
        arrays = {k[len(prefix) :]: v for k, v in checkpoint.arrays.items() if k.startswith(prefix)}
        self.replay.load_state(arrays, checkpoint.values["replay"])

    def _reset_sums(self) -> None:
        self._loss_sum = torch.zeros(())
        self._value_sum = torch.zeros(())
        self._num_summed = 0


def _check(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
