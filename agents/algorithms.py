"""The table of algorithms, what the loop asks of them, and bounds on what they may hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from agents.bc import BC
from agents.checkpoint import Checkpoint
from agents.dagger import DAgger
from agents.dqn import DQN, DQNConfig
from agents.policy import NetworkPolicy
from agents.ppo import PPO
from agents.pqn import PQN
from agents.reinforce import REINFORCE
from agents.run_config import AgentConfig, TrainConfig
from agents.stepping import Step
from agents.threads import choose_num_threads
from agents.validation import count_actions

__all__ = [
    "ALGORITHMS",
    "MAX_EXPERIENCE_BYTES",
    "MAX_NETWORK_BYTES",
    "Agent",
    "NotFiniteError",
    "largest_checkpoint",
    "make_agent",
    "make_network",
    "num_threads_for",
    "require_finite",
    "require_finite_weights",
]

MAX_NETWORK_BYTES = 1 << 28
"""Of the weights of a network."""
MAX_EXPERIENCE_BYTES = 1 << 32
"""Of the steps that an algorithm keeps to learn from."""
_WORLD_BYTES = 1 << 19  # of an env in a checkpoint, with a map of its own
_FURTHER_BYTES = 1 << 24  # counters, names


class NotFiniteError(ArithmeticError):
    """Training has met a reward, a loss or a weight that is no finite number."""


class Agent(Protocol):
    """The interface that the loop asks of an algorithm."""

    global_step: int
    num_updates: int
    deadline: float
    """By ``time.perf_counter()``; once it is past, ``update`` ends after the next gradient update. The loop sets it."""

    @property
    def network(self) -> nn.Module:
        """What acts."""

    @property
    def last_metrics(self) -> Mapping[str, float]:
        """What the newest updates gave; losses are called "loss/…"."""

    # ride_in(envs), if there is such a method, is called before `begin`: who imitates looks at the worlds.

    def begin(self, obs: NDArray[Any]) -> None:
        """Takes the first observations (N, *obs_shape)."""

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses exploring actions (N,)."""

    def policy(self) -> NetworkPolicy:
        """Returns a driver that takes the best actions and leaves the agent as it is."""

    def record(self, step: Step) -> None:
        """Takes what one step of all envs gave; the arrays are overwritten by the next step."""

    def update(self) -> None:
        """Makes the gradient updates that are due."""

    def metrics(self) -> dict[str, float]:
        """Returns what to log."""

    def state(self) -> Checkpoint:
        """Returns everything that a continuation needs."""

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Takes over what ``state`` returned."""


ALGORITHMS: dict[str, Any] = {
    "dqn": DQN,
    "pqn": PQN,
    "reinforce": REINFORCE,
    "a2c": PPO,
    "ppo": PPO,
    "bc": BC,
    "dagger": DAgger,
}
"""Classes by name."""


def make_network(
    config: TrainConfig, agent_config: AgentConfig, observation_space: gym.Space[Any], num_actions: int
) -> Any:
    """Builds the network that drives.

    Raises:
        ValueError: it is too large, or does not fit the space; before anything large is allocated.
    """
    _require_bounded_network(config, agent_config, observation_space, num_actions)
    return ALGORITHMS[config.agent].make_network(observation_space, num_actions, agent_config)


def _require_bounded_network(
    config: TrainConfig, agent_config: AgentConfig, observation_space: gym.Space[Any], num_actions: int
) -> int:
    """Bytes of the weights; raises a ValueError if they are too many."""
    with torch.device("meta"):  # which allocates nothing
        network = ALGORITHMS[config.agent].make_network(observation_space, num_actions, agent_config)
    num_bytes = int(sum(weight.numel() * weight.element_size() for weight in network.parameters()))
    if num_bytes > MAX_NETWORK_BYTES:
        raise ValueError(f"network must have at most {MAX_NETWORK_BYTES:,} bytes of weights, got {num_bytes:,}")
    return num_bytes


def _require_bounded_experience(agent_config: AgentConfig, observation_space: gym.Space[Any]) -> int:
    """Bytes of what is learnt from; raises a ValueError if they are too many."""
    per_step = np.dtype(observation_space.dtype).itemsize * math.prod(observation_space.shape or ()) + 64
    if isinstance(agent_config, DQNConfig):
        names = ["buffer_size", "batch_size", "n_step", "num_quantiles", "num_atoms"]
        num_steps = agent_config.buffer_size + agent_config.batch_size * (agent_config.n_step + 2)
        pairs = agent_config.batch_size * agent_config.head().num_outputs ** 2  # of what is learnt and its target
    else:
        names = [name for name in ("buffer_size", "num_envs", "num_steps") if hasattr(agent_config, name)]
        num_steps = agent_config.num_envs * getattr(agent_config, "num_steps", 1)
        num_steps, pairs = num_steps + getattr(agent_config, "buffer_size", 0), 0
    num_bytes = num_steps * per_step + 4 * pairs
    if num_bytes > MAX_EXPERIENCE_BYTES:
        got = ", ".join(str(getattr(agent_config, name, 1)) for name in names)
        raise ValueError(
            f"{', '.join(names)} must be such that what is learnt from has at most {MAX_EXPERIENCE_BYTES:,} bytes; "
            f"with {got} it has {num_bytes:,}"
        )
    return num_bytes


def largest_checkpoint(
    config: TrainConfig, agent_config: AgentConfig, envs: gym.vector.VectorEnv[Any, Any, Any]
) -> int:
    """Returns how many bytes a checkpoint of a run can have at most.

    Raises:
        ValueError: the algorithm would take too much memory.
    """
    space = envs.single_observation_space
    network = _require_bounded_network(config, agent_config, space, count_actions(envs.single_action_space))
    experience = _require_bounded_experience(agent_config, space)
    memories = envs.num_envs * (_WORLD_BYTES + 8 * getattr(agent_config, "memory_size", 0))
    # Twice, for the last observations of episodes; target network and the optimizer's moments beside the weights.
    return 2 * experience + 5 * network + memories + _FURTHER_BYTES


def make_agent(config: TrainConfig, agent_config: AgentConfig, envs: gym.vector.VectorEnv[Any, Any, Any]) -> Agent:
    """Builds an algorithm for environments.

    Raises:
        ValueError: it would take too much memory, or does not fit the spaces; before anything large is allocated.
    """
    largest_checkpoint(config, agent_config, envs)
    agent: Agent = ALGORITHMS[config.agent](
        envs.single_observation_space,
        envs.single_action_space,
        agent_config,
        seed=config.seed,
        total_steps=config.total_steps,
    )
    return agent


def num_threads_for(config: TrainConfig, agent_config: AgentConfig, envs: gym.vector.VectorEnv[Any, Any, Any]) -> int:
    """Measures how many threads make acting and learning fastest, on observations that mean nothing."""
    if config.num_threads:
        return config.num_threads

    def make_trial() -> Callable[[], None]:
        eager = agent_config
        if isinstance(eager, DQNConfig):
            eager = dataclasses.replace(eager, learning_starts=0)
        agent = make_agent(config, eager, envs)
        num_envs = agent_config.num_envs
        envs.single_observation_space.seed(0)
        obs = np.stack([envs.single_observation_space.sample() for _ in range(num_envs)])
        no, yes = np.zeros(num_envs, np.bool_), np.ones(num_envs, np.bool_)
        agent.begin(obs)

        def trial() -> None:
            goal = agent.num_updates + 2
            while agent.num_updates < goal:
                agent.record(Step(agent.act(obs), np.zeros(num_envs), no, no, obs, None, yes, no))
                agent.update()

        return trial

    spaces = (envs.single_observation_space, envs.single_action_space)
    return choose_num_threads(f"{config.agent} {agent_config} {spaces}", make_trial)


def require_finite(agent: Agent) -> None:
    """Checks the newest losses and all weights.

    Raises:
        NotFiniteError: one is none; names it.
    """
    for name, value in agent.last_metrics.items():
        if name.startswith("loss/") and not math.isfinite(value):
            raise NotFiniteError(f"{name} is {value}")
    with torch.no_grad():
        largest = torch.stack(torch._foreach_norm(list(agent.network.parameters()), torch.inf)).max()
        if not largest.isfinite():
            require_finite_weights(agent.network)


def require_finite_weights(network: nn.Module) -> None:
    """Checks the weights of a network.

    Raises:
        NotFiniteError: one is no finite number; names it.
    """
    for name, weights in network.named_parameters():
        bad = weights.detach()[~weights.isfinite()]
        if bad.numel():
            raise NotFiniteError(f"{bad.numel()} of the weights {name} are not finite, the first is {float(bad[0])}")
