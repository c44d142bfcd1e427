"""Deep Q-learning and its improvements over many envs: config, exploration, target, loss and update."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.checkpoint import Checkpoint
from agents.distributions import (
    categorical_divergence,
    munchausen_bonus,
    project_categorical,
    quantile_huber_loss,
    soft_average,
)
from agents.networks import NetworkConfig, QNetwork
from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.q_heads import HeadConfig, ReturnsKind
from agents.replay_buffer import Batch, ReplayBuffer, Windows
from agents.schedules import linear
from agents.stepping import Step
from agents.validation import check_at_least, check_choice, check_positive, check_unit_interval, count_actions, require

__all__ = ["DQN", "DQNConfig"]


@dataclass(frozen=True)
class DQNConfig:
    """Deep Q-learning (Mnih et al. 2015) and its improvements, switches that go together in any way."""

    num_envs: int = 512
    """Envs stepped together (paper: 1)."""
    double: bool = True
    """Let the online network choose the action of the target (van Hasselt et al. 2016)."""
    n_step: int = 3
    """Steps before the bootstrap (paper: 1; Rainbow: 3)."""
    dueling: bool = False
    """Add up a state's value and the actions' advantages, each from a stream of its own (Wang et al. 2016)."""
    noisy: bool = False
    """Explore by noise on the head's weights, whose size is learnt, instead of by epsilon (Fortunato et al. 2018)."""
    noisy_std: float = 0.5
    """Initial deviation of those weights, times the root of a layer's inputs (paper: 0.5)."""
    prioritised: bool = False
    """Draw windows by the size of their last TD error, or loss if distributions are learnt (Schaul et al. 2016)."""
    priority_exponent: float = 0.6
    """How much that size counts: 0 not at all, 1 in proportion (paper: 0.6)."""
    importance_exponent: float = 0.4
    """How far weights undo the bias of those draws at the start; rises linearly to 1, wholly, at the run's last step
    (paper: 0.4)."""
    returns: ReturnsKind = "mean"
    """What is learnt of the return of an action: its mean, its quantiles (QR-DQN, Dabney et al. 2018) or the
    probabilities of fixed atoms (C51, Bellemare et al. 2017)."""
    num_quantiles: int = 32
    """Quantiles per action (paper: 200)."""
    num_atoms: int = 51
    """Atoms per action (paper: 51)."""
    v_min: float = -2.0
    """Lowest atom; returns below count as this one (paper: -10)."""
    v_max: float = 2.0
    """Highest atom (paper: 10)."""
    munchausen: bool = False
    """Learn soft values and add the policy's log-probability to the reward (Vieillard et al. 2020)."""
    munchausen_alpha: float = 0.9
    """Weight of that log-probability (paper: 0.9)."""
    munchausen_tau: float = 0.03
    """Temperature of the soft policy (paper: 0.03)."""
    munchausen_clip: float = -1.0
    """Lower bound of tau times the log-probability (paper: -1)."""
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
    """Environment steps, over all envs, per gradient update (paper: 4). The replay ratio is
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
    """Spread of epsilon over the envs: env i explores with epsilon ** (1 + ladder * i / (N - 1)),
    after Ape-X (Horgan et al. 2018, there 7); 0 gives every env the same epsilon."""
    loss: Literal["huber", "mse"] = "huber"
    """Loss of the TD error of means; the Huber loss is the paper's clipped error."""
    max_grad_norm: float = 10.0
    """Upper bound of the gradient's norm (paper: none)."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Widths of the Q-network (paper: three convolutions and 512 units)."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "num_envs", "n_step", "batch_size", "train_frequency", "buffer_size")
        check_at_least(self, 1, "num_quantiles", "target_update_interval")
        check_at_least(self, 2, "num_atoms")
        check_at_least(self, 0, "learning_starts", "epsilon_ladder", "noisy_std", "priority_exponent")
        check_unit_interval(self, "gamma", "tau", "epsilon_start", "epsilon_end", "exploration_fraction")
        check_unit_interval(self, "importance_exponent", "munchausen_alpha")
        check_positive(self, "learning_rate", "max_grad_norm", "tau", "munchausen_tau")
        check_choice(self, "optimizer", "loss", "returns")
        require("munchausen_clip", self.munchausen_clip, self.munchausen_clip <= 0.0, "at most 0")
        require("v_max", self.v_max, self.v_max > self.v_min, f"above v_min, {self.v_min!r}")
        least = self.n_step * self.num_envs
        require("buffer_size", self.buffer_size, self.buffer_size >= least, f"at least {least}")

    def head(self) -> HeadConfig:
        """Returns the kind of head that the switches ask for."""
        num_outputs = {"mean": 1, "quantile": self.num_quantiles, "categorical": self.num_atoms}[self.returns]
        noisy_std = self.noisy_std if self.noisy else None
        return HeadConfig(self.dueling, noisy_std, self.returns, num_outputs, self.v_min, self.v_max)


class DQN:
    """Value learning with a replay buffer and a target network.

    Update, for a batch of windows of m <= n steps that start at (s, a) and end before s':
        y = r_0 + ... + gamma**(m-1) r_(m-1) + gamma**m * Q_target(s', argmax_a' Q(s', a'))
        loss = mean Huber(Q(s, a) - y)
    Only a termination drops the bootstrap; a truncated window bootstraps from its last observation.

    Switches change one thing each:
        prioritised      windows are drawn in proportion to |error|**priority_exponent, losses weighted
        returns          y and Q are K numbers: quantiles, met with the quantile Huber loss, or
                         probabilities of atoms, projected and met with the Kullback-Leibler divergence
        munchausen       Q_target(s', argmax) becomes sum_a' pi(a'|s') (Q_target(s', a') - tau log pi(a'|s')),
                         pi = softmax(Q(s', .) / tau), and every reward of the window gets its bonus; see
                         agents.distributions.munchausen_bonus
        double           the argmax, or pi at s', is the online network's; else it is, as pi in the bonus
                         always is, the target network's
        noisy            every network of an update, and each call of act, draws noise of its own

    Shapes: obs (B, *obs_shape), outputs (B, num_actions, K), q_values (B, num_actions), target (B, K);
    K is 1, num_quantiles or num_atoms.
    Differences from the papers: 1. Adam. 2. double target. 3. n-step. 4. layer normalisation.
    5. gradient clipping. 6. many envs, each with its own coin for exploration. 7. a target network
    that follows slowly instead of being copied. 8. the head, which is dueling or noisy, holds the
    last hidden layer only; its gradient is not rescaled. 9. all envs act under the same noise.
    10. new windows get the largest error so far, not the largest still stored. 11. the log-policy of
    the bonus is taken of all steps of a window, and soft values and bonus of distributions are those
    of their means, by which the whole distribution is moved.
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
            observation_space: of a single env.
            action_space: of a single env; Discrete, numbered from 0.
            config: hyper-parameters.
            seed: of the weights, the exploration and the sampling.
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
            self.target_network = self.make_network(observation_space, self.num_actions, config)
        self.target_network.load_state_dict(self.network.state_dict())
        self.target_network.requires_grad_(False)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.target_parameters: list[Tensor] = list(self.target_network.parameters())
        self.optimizer = make_optimizer(config.optimizer, self.parameters, config.learning_rate)
        priority_exponent = config.priority_exponent if config.prioritised else None
        sizes = config.num_envs, config.buffer_size, config.n_step
        self.replay = ReplayBuffer(observation_space, *sizes, priority_exponent)
        self.ladder = 1.0 + config.epsilon_ladder * np.linspace(0.0, 1.0, config.num_envs)  # (N,)
        self._reset_sums()

    @staticmethod
    def make_network(observation_space: gym.Space[np.ndarray], num_actions: int, config: DQNConfig) -> QNetwork:
        """Builds the network that drives."""
        return QNetwork(observation_space, num_actions, config.network, config.head())

    # --- acting -------------------------------------------------------------------------------

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape) after a reset of all envs."""
        self.replay.begin(obs)

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses epsilon-greedy actions (N,), every env tossing its own coin, or the best ones under noise."""
        num_envs = self.config.num_envs
        random_actions = self.rng.integers(self.num_actions, size=num_envs)
        if self.global_step < self.config.learning_starts:
            return random_actions
        explores = self.rng.random(num_envs) < self.epsilon() ** self.ladder
        with torch.inference_mode():
            noise = self.network.draw_noise(self.rng)
            greedy_actions = self.network(as_tensor(obs), noise).argmax(dim=1).numpy()
        return np.where(explores, random_actions, greedy_actions)

    def policy(self) -> NetworkPolicy:
        """Returns the greedy driver."""
        return NetworkPolicy(self.network)

    def epsilon(self) -> float:
        """Probability of a random action on the lowest rung of the ladder; 0 where noise explores."""
        if self.config.noisy:
            return 0.0
        phase = self.config.exploration_fraction * self.total_steps
        return linear(self.config.epsilon_start, self.config.epsilon_end, self.global_step, phase)

    def record(self, step: Step) -> None:
        """Stores one step of all envs."""
        self.replay.add(step)
        self.global_step += self.config.num_envs

    # --- learning -----------------------------------------------------------------------------

    def update(self) -> None:
        """Makes the gradient updates that are due after the steps observed so far."""
        num_due = (self.global_step - self.config.learning_starts) // self.config.train_frequency
        while self.replay.num_starts > 0 and self.num_updates < num_due:
            self.train_on(self.sample())
            if time.perf_counter() >= self.deadline:
                break

    def sample(self) -> Batch:
        """Draws a batch of windows from the replay."""
        config = self.config
        exponent = linear(config.importance_exponent, 1.0, self.global_step, self.total_steps)
        return self.replay.sample(
            config.batch_size,
            config.gamma,
            self.rng,
            importance_exponent=exponent,
            with_windows=config.munchausen,
        )

    def td_target(self, batch: Batch) -> Tensor:
        """Returns y of the class's description, (B, K): a mean, quantiles, or probabilities of the atoms."""
        config = self.config
        with torch.no_grad():
            noise = self.target_network.draw_noise(self.rng)
            outputs = self.target_network.outputs(batch.next_obs, noise)  # (B, num_actions, K)
            q_values = self.target_network.expectation(outputs)  # (B, num_actions)
            if config.double:
                q_values = self.network(batch.next_obs, self.network.draw_noise(self.rng))
            is_categorical, support = config.returns == "categorical", self.target_network.head.support  # (K,)
            numbers = outputs.softmax(dim=2) if is_categorical else outputs  # what may be averaged over actions
            returns, discounts = batch.returns[:, None], batch.discounts[:, None]  # (B, 1)
            if batch.windows is None:
                next_numbers = _at(numbers, q_values.argmax(dim=1))  # (B, K)
                next_values = support if is_categorical else next_numbers
            else:
                next_numbers, entropy = soft_average(numbers, q_values, config.munchausen_tau)
                next_values = (support if is_categorical else next_numbers) + config.munchausen_tau * entropy[:, None]
                returns = returns + self.bonus(batch.windows, noise)[:, None]
            target = returns + torch.where(discounts > 0.0, discounts * next_values, 0.0)  # (B, K)
            return project_categorical(target, next_numbers, support) if is_categorical else target

    def bonus(self, windows: Windows, noise: Tensor | None) -> Tensor:
        """Returns what Munchausen's term adds to the rewards of windows, (B,)."""
        config = self.config
        q_values = self.target_network(windows.obs.flatten(0, 1), noise)  # (n * B, num_actions)
        log_policy = torch.log_softmax(q_values / config.munchausen_tau, dim=1)
        taken = log_policy.gather(1, windows.actions.flatten()[:, None]).view(windows.actions.shape)  # (n, B)
        alpha, tau, clip = config.munchausen_alpha, config.munchausen_tau, config.munchausen_clip
        return munchausen_bonus(taken, windows.factors, alpha, tau, clip)

    def train_on(self, batch: Batch) -> None:
        """Makes one gradient update."""
        config = self.config
        target = self.td_target(batch)  # (B, K)
        outputs = self.network.outputs(batch.obs, self.network.draw_noise(self.rng))  # (B, num_actions, K)
        taken = _at(outputs, batch.actions)  # (B, K)
        if config.returns == "quantile":
            losses = errors = quantile_huber_loss(taken, target)  # (B,)
        elif config.returns == "categorical":
            losses = errors = categorical_divergence(taken, target)
        else:
            errors = (taken - target)[:, 0].abs()
            is_huber = config.loss == "huber"
            losses = functional.huber_loss(taken, target, reduction="none")[:, 0] if is_huber else errors.square()
        loss = losses.mean() if batch.weights is None else (batch.weights * losses).mean()
        self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm, foreach=True)
        self.optimizer.step()
        self.num_updates += 1
        if self.num_updates % config.target_update_interval == 0:
            with torch.no_grad():  # target += tau * (online - target)
                torch._foreach_lerp_(self.target_parameters, self.parameters, config.tau)
        if config.prioritised:
            self.replay.set_errors(batch.steps, errors.detach().numpy())
        self._loss_sum += loss.detach()
        self._value_sum += self.network.expectation(taken.detach()).mean()
        self._num_summed += 1

    def learning_rate(self) -> float:
        """Step size of the next update."""
        left = max(1.0 - self.global_step / self.total_steps, 0.0) if self.config.anneal_learning_rate else 1.0
        return self.config.learning_rate * left

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

    @property
    def last_metrics(self) -> dict[str, float]:
        """The sum of the losses since the last call of ``metrics``."""
        return {"loss/td": self._loss_sum.item()}

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


def _at(numbers: Tensor, actions: Tensor) -> Tensor:
    """Picks (B, K) of numbers (B, num_actions, K) and actions (B,)."""
    return numbers.gather(1, actions[:, None, None].expand(-1, 1, numbers.shape[2]))[:, 0]
