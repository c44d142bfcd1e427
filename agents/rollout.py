"""Rollouts: T consecutive steps of N envs, the fresh experience that on-policy learners use once.

The arrays are allocated once and time comes first. They hold what :mod:`agents.targets` needs to be
exact at every kind of end: the value of the true successor of each step is the value of the next
row's observation, except where an episode was truncated; those last observations are kept aside and
valued together when the rollout is full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.checkpoint import fitting
from agents.stepping import Step

__all__ = ["Rollout"]


class Rollout:
    """T steps of N envs.

    Usage, T times: ``put`` what was acted on, then ``add`` what came of it; then learn and ``clear``.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        num_actions: int,
        num_steps: int,
        num_envs: int,
        *,
        memory_size: int = 0,
        has_masks: bool = False,
    ) -> None:
        """Allocates everything once.

        Args:
            observation_space: of a single env.
            num_actions: size of the discrete action space.
            num_steps: T.
            num_envs: N.
            memory_size: width of a recurrent network's memory, 0 without one.
            has_masks: whether action masks are kept.
        """
        shape, dtype = observation_space.shape, observation_space.dtype
        if shape is None or dtype is None:
            raise ValueError(f"observation_space must be an array space, got {observation_space}")
        rows = (num_steps, num_envs)
        self.num_steps, self.num_envs = num_steps, num_envs
        self.obs = torch.from_numpy(np.zeros((*rows, *shape), dtype))
        self.actions = torch.zeros(rows, dtype=torch.int64)
        self.values = torch.zeros(rows)
        """(T, N): what the acting network thought of the observations."""
        self.log_probs = torch.zeros(rows)
        """(T, N): of the actions taken, where the policy is stochastic."""
        self.rewards = torch.zeros(rows)
        self.terminated = torch.zeros(rows, dtype=torch.bool)
        self.truncated = torch.zeros(rows, dtype=torch.bool)
        self.is_real = torch.ones(rows, dtype=torch.bool)
        self.starts = torch.zeros(rows, dtype=torch.bool)
        """(T, N): the observation begins an episode."""
        self.memory = torch.zeros((num_envs, memory_size))
        """(N, memory_size) before the first step."""
        self.masks = torch.ones((*rows, num_actions) if has_masks else (0,), dtype=torch.bool)
        self.cursor = 0
        self._cuts: list[tuple[int, NDArray[np.int64], Tensor, Tensor]] = []  # row, envs, last obs, memories

    @property
    def is_full(self) -> bool:
        """Whether all T steps are there."""
        return self.cursor == self.num_steps

    def put(
        self,
        obs: Tensor,
        actions: Tensor,
        values: Tensor,
        log_probs: Tensor | None = None,
        masks: NDArray[np.bool_] | None = None,
    ) -> None:
        """Keeps the observations (N, *obs_shape) that are acted on now, and what was made of them, each (N,)."""
        t = self.cursor
        self.obs[t] = obs
        self.actions[t] = actions
        self.values[t] = values
        if log_probs is not None:
            self.log_probs[t] = log_probs
        if masks is not None:
            self.masks[t] = torch.from_numpy(masks)

    def add(self, step: Step, memory: Tensor | None = None) -> None:
        """Keeps what came of the actions; ``memory`` (N, memory_size) is the network's after this step."""
        t = self.cursor
        self.rewards[t] = torch.from_numpy(step.rewards)
        self.terminated[t] = torch.from_numpy(step.terminated)
        self.truncated[t] = torch.from_numpy(step.truncated)
        self.is_real[t] = torch.from_numpy(step.is_real)
        if t + 1 < self.num_steps:
            self.starts[t + 1] = torch.from_numpy(step.starts)
        envs = np.flatnonzero(step.truncated & ~step.terminated)
        if envs.size:
            if step.final_obs is None:
                raise ValueError(f"final_obs must be given: the episodes of envs {envs} ended")
            last_obs = torch.from_numpy(step.final_obs[envs])
            memories = torch.zeros((envs.size, 0)) if memory is None else memory[envs].clone()
            self._cuts.append((t, envs, last_obs, memories))
        self.cursor = t + 1

    def next_values(self, value_of: Callable[[Tensor, Tensor], Tensor], last_values: Tensor) -> Tensor:
        """Returns the values (T, N) of the true successors.

        Args:
            value_of: maps observations (B, *obs_shape) and memories (B, memory_size) to values (B,).
            last_values: (N,), of the observations after the last step.
        """
        next_values = torch.cat([self.values[1:], last_values[None]])
        if self._cuts:
            obs = torch.cat([cut[2] for cut in self._cuts])
            values = value_of(obs, torch.cat([cut[3] for cut in self._cuts]))
            begin = 0
            for row, envs, _, _ in self._cuts:
                next_values[row, envs] = values[begin : begin + len(envs)]
                begin += len(envs)
        return next_values

    def clear(self, starts: NDArray[np.bool_], memory: Tensor | None = None) -> None:
        """Begins the next rollout where this one ended.

        Args:
            starts: (N,), whether the next observation begins an episode.
            memory: (N, memory_size) at that observation.
        """
        self.starts[0] = torch.from_numpy(starts)
        if memory is not None:
            self.memory.copy_(memory)
        self.cursor = 0
        self._cuts = []

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns the tensors, up to the cursor, and the counters of a checkpoint."""
        tensors = {name: getattr(self, name)[: self.cursor] for name in _ROW_TENSORS}
        tensors |= {"starts": self.starts[: self.cursor + 1], "memory": self.memory}
        if self.masks.numel():
            tensors["masks"] = self.masks[: self.cursor]
        for index, (_, envs, obs, memories) in enumerate(self._cuts):
            tensors |= {
                f"lanes.{index}": torch.from_numpy(envs),
                f"last_obs.{index}": obs,
                f"memories.{index}": memories,
            }
        return tensors, {"cursor": self.cursor, "cut_rows": [cut[0] for cut in self._cuts]}

    def load_state(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Takes over what :meth:`state` returned.

        Raises:
            ValueError: shapes, dtypes or counters do not fit this rollout.
        """
        self.cursor = int(counters["cursor"])
        if not 0 <= self.cursor <= self.num_steps:
            raise ValueError(f"cursor must be in [0, {self.num_steps}], got {self.cursor}")
        self._cuts = []
        own, _ = self.state()
        for name, tensor in own.items():  # views of this rollout
            tensor.copy_(fitting(name, tensors[name], tensor))
        for k, row in enumerate(counters["cut_rows"]):
            envs, last_obs, memories = (tensors[f"{name}.{k}"] for name in ("lanes", "last_obs", "memories"))
            fitting(f"lanes.{k}", envs, torch.empty(len(envs), dtype=torch.int64))
            if not 0 <= row < self.cursor or not bool(((envs >= 0) & (envs < self.num_envs)).all()):
                raise ValueError(
                    f"cut {k} must lie in {self.cursor} rows of {self.num_envs} envs, got row {row}: {envs}"
                )
            fitting(f"last_obs.{k}", last_obs, self.obs[row, envs])
            fitting(f"memories.{k}", memories, self.memory[envs])
            self._cuts.append((int(row), envs.numpy(), last_obs, memories))


_ROW_TENSORS = ("obs", "actions", "values", "log_probs", "rewards", "terminated", "truncated", "is_real")
