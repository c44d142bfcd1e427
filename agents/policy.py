"""Policies, and the greedy one of a network, over many envs at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Domain", "NetworkPolicy", "Policy", "ScoringNetwork", "Verdict", "as_tensor"]

Policy: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""Maps a batch of observations (B, *obs_shape) to actions (B,)."""


class ScoringNetwork(Protocol):
    """A network that says how good every action is."""

    @property
    def scores_are_logits(self) -> bool:
        """Whether the scores are the logits of a policy; else they are action values."""

    def scores(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Scores the actions, the best one highest.

        Args:
            obs: (B, *obs_shape).
            state: the memory, (B, memory_size); None is an empty one.

        Returns:
            Scores (B, num_actions) and the next memory.
        """

    def judge(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Scores the actions, exactly as ``scores`` does, and the state.

        Args:
            obs: (B, *obs_shape).
            state: the memory, (B, memory_size); None is an empty one.

        Returns:
            Scores (B, num_actions), a critic's values (B,), None without a critic, and the next memory.
        """


class Verdict(NamedTuple):
    """A policy's answer to B observations."""

    actions: NDArray[np.int64]
    """(B,), those that the policy takes."""
    scores: NDArray[np.float32]
    """(B, num_actions), probabilities or action values."""
    values: NDArray[np.float32] | None
    """(B,), the return expected from here: a critic's word, or the best allowed action's value; None where neither is
    learnt."""


@dataclass(frozen=True)
class Domain:
    """What a driver was trained for, and can drive."""

    env: str
    """Environment id, or several, separated by commas."""
    observation: str | None
    """Observation kind; None is the environment's default."""
    space: gym.Space[Any]
    """Of a single env's observations."""
    num_actions: int
    """How many it chooses among."""

    def require(self, env: str, observation: str | None, space: gym.Space[Any], num_actions: int) -> None:
        """Checks that another place is the same, argument by field.

        Raises:
            ValueError: it is not; names both.
        """
        is_known = env in (self.env, *self.env.split(",")) and len({None, observation, self.observation}) < 3
        if not is_known or space != self.space or num_actions != self.num_actions:
            there = Domain(env, observation, space, num_actions)
            raise ValueError(f"the driver was trained for {self}, which is not {there}")

    def __str__(self) -> str:
        """The place in a few words."""
        shape = " x ".join(map(str, self.space.shape or ()))
        kind = f"observation {self.observation or 'by default'} ({shape} of {self.space.dtype})"
        return f"{self.env} with {kind} and {self.num_actions} actions"


class NetworkPolicy:
    """Takes the action of the highest score; a :data:`Policy` with a memory and masks, where the network has them.

    Call :meth:`begin` before the first observations of a new set of envs.
    """

    def __init__(
        self, network: ScoringNetwork, *, uses_action_masks: bool = False, domain: Domain | None = None
    ) -> None:
        """Reads the network, never writes it.

        Args:
            network: to be asked.
            uses_action_masks: whether it was trained with masks and must be called with them.
            domain: where it is evaluated and shown, and nowhere else; None leaves that to the caller.
        """
        self.network = network
        self.domain = domain
        self.uses_action_masks = uses_action_masks
        self._state: Tensor | None = None

    def begin(self) -> None:
        """Empties the memory."""
        self._state = None

    def __call__(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses the actions (B,) for raw observations (B, *obs_shape)."""
        with torch.inference_mode():
            scores, self._state = self.network.scores(as_tensor(obs), self._state)
            actions: NDArray[np.int64] = _among(scores, action_masks).argmax(dim=1).numpy()
        return actions

    def decide(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> Verdict:
        """Chooses the same actions as a call, and says why."""
        verdict, self._state = self._judge(obs, action_masks, self._state)
        return verdict

    def imagine(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> Verdict:
        """Says what a single env's next observation would lead to if it were one of B, and remembers none of them.

        Args:
            obs: (B, *obs_shape).
            action_masks: (B, num_actions).
        """
        state = None if self._state is None else self._state.expand(len(obs), -1)
        return self._judge(obs, action_masks, state)[0]

    def _judge(
        self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None, state: Tensor | None
    ) -> tuple[Verdict, Tensor | None]:
        with torch.inference_mode():
            scores, values, state = self.network.judge(as_tensor(obs), state)
            allowed = _among(scores, action_masks)
            actions = allowed.argmax(dim=1)
            if self.network.scores_are_logits:
                scores = torch.softmax(allowed, dim=1)
            elif values is None:
                values = allowed.amax(dim=1)
        return Verdict(actions.numpy(), scores.numpy(), None if values is None else values.numpy()), state


def _among(scores: Tensor, action_masks: NDArray[np.bool_] | None) -> Tensor:
    """The scores (B, num_actions), those of barred actions minus infinity."""
    return scores if action_masks is None else scores.masked_fill(~as_tensor(action_masks), -torch.inf)


def as_tensor(obs: NDArray[Any]) -> Tensor:
    """Shares an array with torch; only a read-only one is copied, since torch would warn about it."""
    return torch.from_numpy(obs if obs.flags.writeable else obs.copy())
