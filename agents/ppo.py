"""Proximal policy optimisation and its one-epoch case A2C: policy, advantages, loss and update."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.averaging import WeightAverage
from agents.checkpoint import Checkpoint, fitting
from agents.metrics import explained_variance
from agents.networks import ActorCritic
from agents.optimizers import load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.ppo_config import A2CConfig, PPOConfig
from agents.rollout import Rollout
from agents.sampling import draw_actions, log_policy
from agents.schedules import linear
from agents.stepping import Step
from agents.targets import gae, vtrace
from agents.validation import count_actions

__all__ = ["PPO", "A2CConfig", "PPOConfig"]


class PPO:
    """A stochastic policy improved a little after every rollout, and a value function to judge it by.

    Update, for minibatches of a rollout of T steps on N envs, with ratio = pi(a|s) / pi_acting(a|s):
        A = gae(r, V(s), V(s'), ...)                     (advantages; returns = A + V(s))
        loss = - mean min(ratio A, clip(ratio, 1 - c, 1 + c) A)
               + value_coefficient * mean (V(s) - returns)^2 / 2 - entropy_coefficient * mean H(pi(s))
    Only a termination drops the bootstrap; a truncated step bootstraps from its last observation and
    cuts the recursion, and rows without a transition take no part.

    Shapes: obs (T, N, *obs_shape), logits (B, num_actions), values (T, N).
    Differences from the paper: 1. advantages normalised per minibatch. 2. gradient clipping. 3. entropy and
    step size fall linearly. 4. as options: value clipping, a stop at a KL divergence, V-trace, masks, a memory, an
    average of the weights that drives.
    Logged: loss/policy, loss/value, policy/entropy, policy/kl, policy/clip_fraction,
    value/explained_variance, schedule/learning_rate, schedule/entropy_coefficient.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        action_space: gym.Space[Any],
        config: PPOConfig,
        *,
        seed: int,
        total_steps: int,
    ) -> None:
        """Builds network, optimizer and rollout.

        Args:
            observation_space: of a single env.
            action_space: of a single env; Discrete, numbered from 0.
            config: hyper-parameters.
            seed: of the weights, the actions and the minibatches.
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
        self.average = WeightAverage(self.network, config.average_weights) if config.average_weights else None
        self.optimizer = make_optimizer(config.optimizer, self.parameters, config.learning_rate)
        self.rollout = Rollout(
            observation_space,
            self.num_actions,
            config.num_steps,
            config.num_envs,
            memory_size=config.memory_size,
            has_masks=config.mask_actions,
        )
        self.memory = self.rollout.memory.clone() if config.memory_size else None  # (N, memory_size), of the envs now
        self._next_obs: Tensor | None = None  # (N, *obs_shape), to act on next
        self._starts = np.ones(config.num_envs, np.bool_)  # (N,), whether that begins an episode
        self.last_metrics: dict[str, float] = {}

    @staticmethod
    def make_network(observation_space: gym.Space[np.ndarray], num_actions: int, config: PPOConfig) -> ActorCritic:
        """Builds the network that drives."""
        return ActorCritic(
            observation_space,
            num_actions,
            config.network,
            separate_critic=config.separate_critic,
            memory_size=config.memory_size,
        )

    # --- acting -------------------------------------------------------------------------------

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape) after a reset of all envs."""
        self._starts = np.ones(self.config.num_envs, np.bool_)
        self.memory = None if self.memory is None else torch.zeros_like(self.memory)
        self.rollout.clear(self._starts, self.memory)

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Draws actions (N,) from the policy; those outside the masks (N, num_actions) are never drawn."""
        tensor = as_tensor(obs)
        with torch.inference_mode():
            logits, values, self.memory = self.network(tensor, self.memory)
            log_probs = log_policy(logits, None if action_masks is None else torch.from_numpy(action_masks))
            actions = torch.from_numpy(draw_actions(log_probs.exp().numpy(), self.rng))
            chosen = log_probs.gather(1, actions[:, None])[:, 0]
            self.rollout.put(tensor, actions, values, chosen, action_masks)
        return actions.numpy()

    def policy(self) -> NetworkPolicy:
        """Returns the driver that takes the likeliest action."""
        network = self.network if self.average is None else self.average.network
        return NetworkPolicy(network, uses_action_masks=self.config.mask_actions)

    def record(self, step: Step) -> None:
        """Keeps one step of all envs; the memory of an env that begins an episode is emptied."""
        self.rollout.add(step, self.memory)
        if self.memory is not None:
            self.memory = torch.where(torch.from_numpy(step.starts)[:, None], 0.0, self.memory)
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
        self.rollout.clear(self._starts, self.memory)

    def train_on(self, rollout: Rollout) -> None:
        """Makes the passes of gradient updates over a full rollout."""
        config = self.config
        next_values = self._next_values(rollout)  # (T, N)
        ends = rollout.terminated, rollout.truncated
        advantages = gae(rollout.rewards, rollout.values, next_values, *ends, config.gamma, config.lam)
        returns = advantages + rollout.values
        real = rollout.is_real
        self.last_metrics["value/explained_variance"] = explained_variance(rollout.values[real], returns[real])
        self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        logged: list[Tensor] = []
        for epoch in range(config.epochs):
            if epoch > 0 and config.vtrace:
                advantages, returns = self._vtrace(rollout)
            for part in self._minibatches(rollout):
                logged.append(self._gradient_update(rollout, part, advantages, returns))
                is_far = config.target_kl is not None and float(logged[-1][3]) > config.target_kl
                if is_far or time.perf_counter() >= self.deadline:
                    break
            else:
                continue
            break
        self.num_updates += len(logged)
        if self.average is not None:
            self.average.update(self.network, self.global_step // (config.num_envs * config.num_steps))
        names = ("loss/policy", "loss/value", "policy/entropy", "policy/kl", "policy/clip_fraction")
        self.last_metrics |= dict(zip(names, torch.stack(logged).mean(dim=0).tolist(), strict=True))

    def _gradient_update(self, rollout: Rollout, part: Tensor, advantages: Tensor, returns: Tensor) -> Tensor:
        """Makes one gradient update on steps or, with a memory, envs; returns the terms to log, (5,)."""
        config = self.config
        if config.memory_size:
            logits, values = self.network.unroll(rollout.obs[:, part], rollout.memory[part], rollout.starts[:, part])
            is_real = rollout.is_real[:, part]  # (T, envs): rows without a transition were only needed for the memory

            def pick(rows: Tensor) -> Tensor:
                return rows[:, part][is_real]

            logits, values = logits[is_real], values[is_real]
        else:

            def pick(rows: Tensor) -> Tensor:
                return rows.flatten(0, 1).index_select(0, part)

            logits, values, _ = self.network(pick(rollout.obs))
        log_probs = log_policy(logits, pick(rollout.masks) if config.mask_actions else None)  # (B, num_actions)
        log_ratios = log_probs.gather(1, pick(rollout.actions)[:, None])[:, 0] - pick(rollout.log_probs)  # (B,)
        ratios = log_ratios.exp()
        advantage = pick(advantages)
        if config.normalise_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
        clipped = ratios.clamp(1.0 - config.clip, 1.0 + config.clip)
        policy_loss = -torch.minimum(ratios * advantage, clipped * advantage).mean()
        value_loss = self._value_loss(values, pick(rollout.values), pick(returns))
        entropy = -(log_probs.exp() * log_probs).sum(dim=1).mean()
        loss = policy_loss + config.value_coefficient * value_loss - self.entropy_coefficient() * entropy
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            # The estimator of the divergence that is positive and has little variance (Schulman 2020).
            kl = (ratios - 1.0 - log_ratios).mean()
            clip_fraction = ((ratios - 1.0).abs() > config.clip).float().mean()
            return torch.stack([policy_loss, value_loss, entropy, kl, clip_fraction])

    def _value_loss(self, values: Tensor, old_values: Tensor, returns: Tensor) -> Tensor:
        """Half the mean squared error; with clipping, of the value or its clipped move, whichever is worse."""
        errors = (values - returns).square()
        if bound := self.config.value_clip:
            clipped = old_values + (values - old_values).clamp(-bound, bound)
            errors = torch.maximum(errors, (clipped - returns).square())
        return 0.5 * errors.mean()

    def _minibatches(self, rollout: Rollout) -> Iterator[Tensor]:
        """Yields random parts of the rollout: indices of real steps or, with a memory, of envs that hold some."""
        is_unit = rollout.is_real.any(dim=0) if self.config.memory_size else rollout.is_real
        units = np.flatnonzero(is_unit.numpy())
        self.rng.shuffle(units)
        yield from filter(len, torch.from_numpy(units).tensor_split(self.config.minibatches))

    def _next_values(self, rollout: Rollout) -> Tensor:
        """Values (T, N) of the true successors, by the network that acted."""
        with torch.no_grad():

            def value_of(obs: Tensor, memory: Tensor) -> Tensor:
                values: Tensor = self.network(obs, memory if self.config.memory_size else None)[1]
                return values

            last_values = self.network(self._next_obs, self.memory)[1]  # (N,)
            return rollout.next_values(value_of, last_values)

    def _vtrace(self, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """Advantages and returns (T, N) by the network as it is now, corrected for who acted."""
        with torch.no_grad():
            if self.config.memory_size:
                logits, values = self.network.unroll(rollout.obs, rollout.memory, rollout.starts)
            else:
                flat_logits, flat_values, _ = self.network(rollout.obs.flatten(0, 1))
                shape = (rollout.num_steps, rollout.num_envs)
                logits, values = flat_logits.unflatten(0, shape), flat_values.unflatten(0, shape)
            log_probs = log_policy(logits, rollout.masks if self.config.mask_actions else None)
            log_rhos = log_probs.gather(2, rollout.actions[..., None])[..., 0] - rollout.log_probs
            old_values = rollout.values.clone()
            rollout.values.copy_(values)
            next_values = self._next_values(rollout)
            rollout.values.copy_(old_values)  # value clipping is about the acting network's
            ends = rollout.terminated, rollout.truncated
            targets, advantages = vtrace(
                rollout.rewards, values, next_values, *ends, log_rhos, self.config.gamma, self.config.lam
            )
        return advantages, targets

    # --- schedules ----------------------------------------------------------------------------

    def learning_rate(self) -> float:
        """Step size of the next update."""
        left = max(1.0 - self.global_step / self.total_steps, 0.0) if self.config.anneal_learning_rate else 1.0
        return self.config.learning_rate * left

    def entropy_coefficient(self) -> float:
        """Weight of the entropy in the next update."""
        start, end = self.config.entropy_coefficient, self.config.entropy_coefficient_end
        return linear(start, end, self.global_step, self.total_steps)

    # --- logging and checkpoints --------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """Returns the last update's means."""
        return {
            "schedule/learning_rate": self.learning_rate(),
            "schedule/entropy_coefficient": self.entropy_coefficient(),
            "time/num_updates": float(self.num_updates),
            **self.last_metrics,
        }

    def state(self) -> Checkpoint:
        """Returns everything that a continuation needs; tensors are not copied."""
        rollout, counters = self.rollout.state()
        rollout |= {} if self.memory is None else {"lanes_memory": self.memory}
        average = {} if self.average is None else {"average_network": self.average.state()}
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
                **average,
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
        if self.average is not None:
            self.average.load_state(checkpoint.tensors["average_network"])
        load_optimizer_tensors(self.optimizer, checkpoint.tensors["optimizer"])
        self.rollout.load_state(checkpoint.tensors["rollout"], checkpoint.values["rollout"])
        self._starts = fitting("starts", checkpoint.arrays["starts"], self._starts)
        if self.memory is not None:
            self.memory = fitting("lanes_memory", checkpoint.tensors["rollout"]["lanes_memory"], self.memory)
