"""Settings of proximal policy optimisation and of its one-epoch case A2C."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.networks import NetworkConfig
from agents.optimizers import OptimizerName
from agents.validation import check_at_least, check_choice, check_positive, check_unit_interval, require

__all__ = ["A2CConfig", "PPOConfig"]


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017) with generalised advantages, on many envs."""

    num_envs: int = 1024
    """Envs stepped together (paper: 8 on Atari)."""
    num_steps: int = 16
    """Steps of every env per update (paper: 128)."""
    gamma: float = 0.99
    """Discount per step."""
    lam: float = 0.95
    """Mixing of one-step (0) and Monte Carlo (1) advantages."""
    epochs: int = 2
    """Passes over a rollout (paper: 3)."""
    minibatches: int = 8
    """Gradient updates per pass; with a memory they split the envs, else the steps."""
    clip: float = 0.2
    """Policy ratios beyond 1 +- clip earn nothing more (paper: 0.1 on Atari)."""
    value_clip: float | None = None
    """Bound of a value's move away from the acting network's; None has none (paper: none)."""
    target_kl: float | None = None
    """End a rollout's updates when the policy has moved by this much (nats); None never does."""
    normalise_advantages: bool = True
    """Bring each minibatch's advantages to mean 0 and deviation 1."""
    vtrace: bool = False
    """Compute advantages anew before every pass but the first, by V-trace with the ratios that the
    policy has moved since (Espeholt et al. 2018), instead of keeping the stale ones."""
    value_coefficient: float = 0.5
    """Weight of the value's squared error, of which half is taken."""
    entropy_coefficient: float = 0.01
    """Weight of the policy's entropy at the start."""
    entropy_coefficient_end: float = 0.0
    """The same at the run's last step; linear in between."""
    optimizer: OptimizerName = "adam"
    """Optimizer, one of torch's."""
    learning_rate: float = 1e-3
    """Step size (paper: 2.5e-4)."""
    anneal_learning_rate: bool = True
    """Lower the step size linearly to 0 at the run's last step."""
    max_grad_norm: float = 0.5
    """Upper bound of the gradient's norm."""
    mask_actions: bool = False
    """Never choose actions that the environment's masks call void (Huang & Ontanon 2022)."""
    average_weights: float = 0.0
    """Share that an average of the weights keeps after every rollout; with it the average drives, in evaluations and
    in the end, else the last weights (paper: 0)."""
    separate_critic: bool = False
    """Give the value a network of its own."""
    memory_size: int = 0
    """Units of a recurrent memory between network and heads; 0 has none."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(layer_norm=False))
    """Widths of the network."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_at_least(self, 1, "num_envs", "num_steps", "epochs", "minibatches")
        check_at_least(self, 0, "value_coefficient", "entropy_coefficient", "entropy_coefficient_end", "memory_size")
        check_unit_interval(self, "gamma", "lam")
        check_positive(self, "clip", "learning_rate", "max_grad_norm")
        check_choice(self, "optimizer")
        for name in ("value_clip", "target_kl"):
            value = getattr(self, name)
            require(name, value, value is None or value > 0, "positive or None")
        is_share = 0 <= self.average_weights < 1
        require("average_weights", self.average_weights, is_share, "at least 0 and below 1")
        units = self.num_envs if self.memory_size else self.num_envs * self.num_steps
        require("minibatches", self.minibatches, self.minibatches <= units, f"at most {units}")


@dataclass(frozen=True)
class A2CConfig(PPOConfig):
    """Advantage actor-critic (Mnih et al. 2016), synchronous: PPO with one pass in one batch.

    The first update after acting has a policy ratio of 1, so that clipping never binds and PPO's
    gradient is A2C's (Huang et al. 2022, *A2C is a special case of PPO*).
    """

    num_steps: int = 8
    """Steps of every env per update (paper: 5)."""
    lam: float = 1.0
    """Mixing of one-step (0) and Monte Carlo (1) advantages (paper: 1)."""
    epochs: int = 1
    """One pass."""
    minibatches: int = 1
    """In one batch."""
    normalise_advantages: bool = False
    """Bring the advantages to mean 0 and deviation 1 (paper: no)."""
    optimizer: OptimizerName = "rmsprop"
    """Optimizer, one of torch's (paper: RMSProp)."""

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        require("epochs", self.epochs, self.epochs == 1, "1")
        require("minibatches", self.minibatches, self.minibatches == 1, "1")
