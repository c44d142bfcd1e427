"""Deep Q-learning and its improvements over many envs: exploration, target, loss and update."""

from __future__ import annotations

import math
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.averaging import WeightAverage
from agents.checkpoint import Checkpoint
from agents.distributions import (
    categorical_divergence,
    munchausen_bonus,
    project_categorical,
    quantile_huber_loss,
    soft_average,
)
from agents.dqn_config import DQNConfig
from agents.networks import QNetwork
from agents.optimizers import load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.replay_buffer import Batch, ReplayBuffer, Windows
from agents.schedules import linear
from agents.stepping import Step
from agents.validation import count_actions

__all__ = ["DQN", "DQNConfig"]


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
    of their means, by which the whole distribution is moved. 12. as an option: an average of the weights that drives.
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
        self.average = WeightAverage(self.network, config.average_weights) if config.average_weights else None
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
        return NetworkPolicy(self.network if self.average is None else self.average.network)

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
        if self.average is not None:
            self.average.update(self.network, self.num_updates)
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
        average = {} if self.average is None else {"average_network": self.average.state()}
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
                **average,
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
        if self.average is not None:
            self.average.load_state(checkpoint.tensors["average_network"])
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
