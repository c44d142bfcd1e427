"""REINFORCE, the plain policy gradient, with and without a baseline: config, policy, returns, loss and update."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.checkpoint import Checkpoint, fitting
from agents.metrics import explained_variance
from agents.networks import ActorCritic, NetworkConfig
from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.policy import NetworkPolicy, as_tensor
from agents.rollout import Rollout
from agents.sampling import draw_actions, log_policy
from agents.schedules import linear
from agents.stepping import Step
from agents.targets import lambda_returns
from agents.validation import check_at_least, check_choice, check_positive, check_unit_interval, count_actions

__all__ = ["REINFORCE", "REINFORCEConfig"]


@dataclass(frozen=True)
class REINFORCEConfig:
    """REINFORCE (Williams 1992; Sutton & Barto 2018, sections 13.3 and 13.4) on segments of many envs."""

    num_envs: int = 1024
    """Envs stepped together (paper: 1)."""
    num_steps: int = 32
    """Steps of every env per update; what is left of an episode then is worth its value (paper: whole episodes)."""
    gamma: float = 0.99
    """Discount per step."""
    baseline: bool = True
    """Subtract the value from the return: the same gradient on average, with less variance."""
    normalise_advantages: bool = False
    """Bring what the log-probabilities are weighted with to mean 0 and deviation 1 (paper: no)."""
    value_coefficient: float = 0.5
    """Weight of the value's squared error, of which half is taken."""
    entropy_coefficient: float = 0.01
    """Weight of the policy's entropy at the start (paper: 0)."""
    entropy_coefficient_end: float = 0.0
    """The same at the run's last step; linear in between."""
    optimizer: OptimizerName = "adam"
    """Optimizer, one of torch's (paper: gradient ascent)."""
    learning_rate: float = 2e-3
    """Step size."""
    anneal_learning_rate: bool = True
    """Lower the step size linearly to 0 at the run's last step."""
    max_grad_norm: float = 0.5
    """Upper bound of the gradient's norm (paper: none)."""
    mask_actions: bool = False
    """Never choose actions that the environment's masks call void (Huang & Ontanon 2022)."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(layer_norm=False))
    """Widths of the network."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "num_envs", "num_steps")
        check_at_least(self, 0, "value_coefficient", "entropy_coefficient", "entropy_coefficient_end")
        check_unit_interval(self, "gamma")
        check_positive(self, "learning_rate", "max_grad_norm")
        check_choice(self, "optimizer")


class REINFORCE:
    """A stochastic policy whose actions become likelier in proportion to the return that followed them.

    Update, once for each rollout of T steps on N envs:
        G[t] = r[t] + gamma * G[t+1]                     (cut at every end)
        loss = - mean log pi(a|s) * (G - V(s))           (without a baseline: times G alone)
               + value_coefficient * mean (V(s) - G)^2 / 2 - entropy_coefficient * mean H(pi(s))
    A termination ends the sum; a truncation and the rollout's end add the discounted value of the
    observation that follows, so V is learnt without a baseline too. Rows without a transition take no part.

    Shapes: obs (T, N, *obs_shape), logits (B, num_actions), values (B,), returns (T, N); B real steps.
    Differences from the paper: 1. segments of many envs instead of one whole episode. 2. no factor
    gamma^t, which would hardly learn from late steps. 3. Adam. 4. gradient clipping. 5. entropy and step
    size fall linearly. 6. as options: normalisation, masks.
    Logged: loss/policy, loss/value, policy/entropy, value/explained_variance, schedule/learning_rate,
    schedule/entropy_coefficient.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        action_space: gym.Space[Any],
        config: REINFORCEConfig,
        *,
        seed: int,
        total_steps: int,
    ) -> None:
        """Builds network, optimizer and rollout.

        Args:
            observation_space: of a single env.
            action_space: of a single env; Discrete, numbered from 0.
            config: hyper-parameters.
            seed: of the weights and the actions.
            total_steps: environment steps of the whole run, for the schedules.
        """
        self.config = config
        self.num_actions = count_actions(action_space)
        self.total_steps = total_steps
        self.global_step = 0
        self.num_updates = 0
        weight_seed, self_seed = np.random.SeedSequence([seed, 1]).spawn(2)
        self.rng = np.random.default_rng(self_seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(weight_seed.generate_state(1)[0]))
            self.network = self.make_network(observation_space, self.num_actions, config)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.optimizer = make_optimizer(config.optimizer, self.parameters, config.learning_rate)
        self.rollout = Rollout(
            observation_space, self.num_actions, config.num_steps, config.num_envs, has_masks=config.mask_actions
        )
        self._next_obs: Tensor | None = None  # (N, *obs_shape), to act on next
        self._starts = np.ones(config.num_envs, np.bool_)  # (N,), whether that begins an episode
        self.last_metrics: dict[str, float] = {}

    @staticmethod
    def make_network(
        observation_space: gym.Space[np.ndarray], num_actions: int, config: REINFORCEConfig
    ) -> ActorCritic:
        """Builds the network that drives."""
        return ActorCritic(observation_space, num_actions, config.network)

    # --- acting -------------------------------------------------------------------------------

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape) after a reset of all envs."""
        self._starts[:] = True
        self.rollout.clear(self._starts)

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Draws actions (N,) from the policy; those outside the masks (N, num_actions) are never drawn."""
        tensor = as_tensor(obs)
        with torch.inference_mode():
            logits, values, _ = self.network(tensor)
            log_probs = log_policy(logits, None if action_masks is None else torch.from_numpy(action_masks))
            actions = torch.from_numpy(draw_actions(log_probs.exp().numpy(), self.rng))
            self.rollout.put(tensor, actions, values, masks=action_masks)
        return actions.numpy()

    def policy(self) -> NetworkPolicy:
        """Returns the driver that takes the likeliest action."""
        return NetworkPolicy(self.network, uses_action_masks=self.config.mask_actions)

    def record(self, step: Step) -> None:
        """Keeps one step of all envs."""
        self.rollout.add(step)
        self._next_obs = as_tensor(step.next_obs)
        self._starts = step.starts
        self.global_step += self.config.num_envs

    # --- learning -----------------------------------------------------------------------------

    def update(self) -> None:
        """Learns from the rollout if it is full."""
        if not self.rollout.is_full:
            return
        if self.rollout.is_real.any():  # one step of envs that all only begin teaches nothing
            self.train_on(self.rollout)
        self.rollout.clear(self._starts)

    def returns(self, rollout: Rollout) -> Tensor:
        """Returns G (T, N) of a full rollout."""
        assert self._next_obs is not None
        with torch.no_grad():

            def value_of(obs: Tensor, memory: Tensor) -> Tensor:
                values: Tensor = self.network(obs)[1]
                return values

            next_values = rollout.next_values(value_of, self.network(self._next_obs)[1])
            ends = rollout.terminated, rollout.truncated
            return lambda_returns(rollout.rewards, next_values, *ends, self.config.gamma, lam=1.0)

    def train_on(self, rollout: Rollout) -> None:
        """Makes one gradient update on the real steps of a full rollout."""
        config = self.config
        is_real = rollout.is_real
        returns = self.returns(rollout)[is_real]  # (B,)
        logits, values, _ = self.network(rollout.obs[is_real])
        log_probs = log_policy(logits, rollout.masks[is_real] if config.mask_actions else None)  # (B, num_actions)
        chosen = log_probs.gather(1, rollout.actions[is_real][:, None])[:, 0]  # (B,)
        advantages = returns - values.detach() if config.baseline else returns
        if config.normalise_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        policy_loss = -(chosen * advantages).mean()
        value_loss = 0.5 * (values - returns).square().mean()
        entropy = -(log_probs.exp() * log_probs).sum(dim=1).mean()
        loss = policy_loss + config.value_coefficient * value_loss - self.entropy_coefficient() * entropy
        self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm, foreach=True)
        self.optimizer.step()
        self.num_updates += 1
        names = ("loss/policy", "loss/value", "policy/entropy")
        terms = torch.stack([policy_loss, value_loss, entropy]).tolist()
        self.last_metrics = dict(zip(names, terms, strict=True))
        self.last_metrics["value/explained_variance"] = explained_variance(values.detach(), returns)

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
