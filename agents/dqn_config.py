"""Settings of deep Q-learning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agents.networks import NetworkConfig
from agents.optimizers import OptimizerName
from agents.q_heads import HeadConfig, ReturnsKind
from agents.validation import check_at_least, check_choice, check_positive, check_unit_interval, require

__all__ = ["DQNConfig"]


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
    average_weights: float = 0.0
    """Share that an average of the weights keeps after every gradient update; with it the average drives, in
    evaluations and in the end, else the last weights (paper: 0)."""
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
        is_share = 0 <= self.average_weights < 1
        require("average_weights", self.average_weights, is_share, "at least 0 and below 1")
        require("munchausen_clip", self.munchausen_clip, self.munchausen_clip <= 0.0, "at most 0")
        require("v_max", self.v_max, self.v_max > self.v_min, f"above v_min, {self.v_min!r}")
        least = self.n_step * self.num_envs
        require("buffer_size", self.buffer_size, self.buffer_size >= least, f"at least {least}")

    def head(self) -> HeadConfig:
        """Returns the kind of head that the switches ask for."""
        num_outputs = {"mean": 1, "quantile": self.num_quantiles, "categorical": self.num_atoms}[self.returns]
        noisy_std = self.noisy_std if self.noisy else None
        return HeadConfig(self.dueling, noisy_std, self.returns, num_outputs, self.v_min, self.v_max)
