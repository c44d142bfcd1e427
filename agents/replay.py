"""Replay memory: a preallocated ring of rows, each holding one step of every lane.

What is stored, for ring row ``r`` and lane ``i``: the observation acted on, the action, the reward
and both end flags. The successor of a step is simply the observation of the next row, except at the
end of an episode, where the next row already belongs to the next episode (same-step autoreset).
There the true last observation is kept in a side ring of its own, so that nothing is stored twice.

A window of n steps never crosses the write head: only steps with n complete successors are drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.stepping import Step

__all__ = ["Batch", "ReplayBuffer"]


class Batch(NamedTuple):
    """Transitions over windows of up to n steps; B is the batch size."""

    obs: Tensor
    """(B, *obs_shape) in the space's dtype: what was acted on."""
    actions: Tensor
    """(B,) int64."""
    returns: Tensor
    """(B,) float32: discounted rewards of the window."""
    discounts: Tensor
    """(B,) float32: gamma**m after a window of m steps, 0 if it ends in a termination."""
    next_obs: Tensor
    """(B, *obs_shape): the true successor of the window's last step."""


class ReplayBuffer:
    """Ring over (rows, lanes) with exact episode ends.

    Usage: ``begin(obs)`` after a reset, then ``add(...)`` after every step of all lanes.
    """

    def __init__(self, observation_space: gym.Space[np.ndarray], num_envs: int, buffer_size: int, n_step: int) -> None:
        """Allocates everything once.

        Args:
            observation_space: the space of a single lane's observation.
            num_envs: number of lanes.
            buffer_size: capacity in transitions; rounded down to whole rows of lanes.
            n_step: length of the windows that will be drawn.
        """
        capacity = buffer_size // num_envs
        if capacity < n_step:
            raise ValueError(f"buffer_size must be at least n_step * num_envs = {n_step * num_envs}, got {buffer_size}")
        shape, dtype = observation_space.shape, observation_space.dtype
        if shape is None or dtype is None:
            raise ValueError(f"observation_space must be an array space, got {observation_space}")
        self.num_envs = num_envs
        self.n_step = n_step
        self.num_rows = capacity + 1  # one row holds only the observation to act on next
        rows = (self.num_rows, num_envs)
        self.obs = np.zeros((*rows, *shape), dtype)
        self.actions = np.zeros(rows, np.int64)
        self.rewards = np.zeros(rows, np.float32)
        self.terminated = np.zeros(rows, np.bool_)
        self.truncated = np.zeros(rows, np.bool_)
        self.is_real = np.ones(rows, np.bool_)
        self.cursor = 0  # the row whose observation has not been acted on
        self.num_complete = 0  # rows behind the cursor that hold a whole step
        # Side ring of last observations. Serial numbers grow for ever; slot = serial % capacity.
        self.finals = np.zeros((max(num_envs, capacity * num_envs // 32), *shape), dtype)
        self.final_serials = np.zeros(rows, np.int64)
        self.first_final = 0  # serial of the oldest one still needed
        self.next_final = 0  # serial of the next one to come

    def __len__(self) -> int:
        """Number of complete transitions."""
        return self.num_complete * self.num_envs

    @property
    def num_starts(self) -> int:
        """Number of steps that a window can start at."""
        return max(self.num_complete - self.n_step + 1, 0) * self.num_envs

    def begin(self, obs: NDArray[Any]) -> None:
        """Forgets everything and takes the first observations after a reset, (N, *obs_shape)."""
        self.cursor = self.num_complete = 0
        self.first_final = self.next_final = 0
        self.obs[0] = obs

    def add(self, step: Step) -> None:
        """Stores one step of every lane; ``step.next_obs`` is what will be acted on next."""
        row = self.cursor
        self.actions[row] = step.actions
        self.rewards[row] = step.rewards
        self.terminated[row] = step.terminated
        self.truncated[row] = step.truncated
        self.is_real[row] = step.is_real
        lanes = np.flatnonzero(step.ended)
        if lanes.size:
            if step.final_obs is None:
                raise ValueError(f"final_obs must be given: the episodes of lanes {lanes} ended")
            serials = np.arange(self.next_final, self.next_final + lanes.size)
            self._reserve_finals(lanes.size)
            self.finals[serials % len(self.finals)] = step.final_obs[lanes]
            self.final_serials[row, lanes] = serials
            self.next_final += lanes.size
        self.cursor = (row + 1) % self.num_rows
        if self.num_complete == self.num_rows - 1:  # the row to overwrite is the oldest one
            ended = self.terminated[self.cursor] | self.truncated[self.cursor]
            self.first_final += int(np.count_nonzero(ended))
        else:
            self.num_complete += 1
        self.obs[self.cursor] = step.next_obs

    def sample(self, batch_size: int, gamma: float, rng: np.random.Generator) -> Batch:
        """Draws windows uniformly, with replacement; which ones depends on ``rng`` alone.

        A window means what :func:`agents.targets.n_step_window` says of its first step; only that
        one is needed here.
        """
        if self.num_starts == 0:
            raise ValueError(f"{self.num_complete} stored steps hold no window of {self.n_step}")
        first_rows, lanes = self._draw_starts(batch_size, rng)
        rows = (first_rows + np.arange(self.n_step)[:, None]) % self.num_rows  # (n, B)
        steps = rows * self.num_envs + lanes  # (n, B), into the flattened (rows, lanes)
        terminated = self.terminated.reshape(-1)[steps]
        ended = terminated | self.truncated.reshape(-1)[steps]
        is_open = np.ones_like(ended)  # the window reaches its k-th step
        np.logical_not(np.logical_or.accumulate(ended[:-1]), out=is_open[1:])
        powers = gamma ** np.arange(self.n_step, dtype=np.float32)[:, None]
        rewards = np.where(is_open, self.rewards.reshape(-1)[steps] * powers, np.float32(0.0))
        last = np.count_nonzero(is_open, axis=0) - 1, np.arange(batch_size)  # index into (n, B)
        discounts = np.where(terminated[last], 0.0, gamma ** (last[0] + 1.0)).astype(np.float32)
        last_steps = steps[last]  # (B,)
        flat_obs = self.obs.reshape(-1, *self.obs.shape[2:])  # (rows * lanes, *obs_shape)
        next_obs = flat_obs[(last_steps + self.num_envs) % len(flat_obs)]
        is_final = np.flatnonzero(ended[last])
        serials = self.final_serials.reshape(-1)[last_steps[is_final]]
        next_obs[is_final] = self.finals[serials % len(self.finals)]
        return Batch(
            obs=torch.from_numpy(flat_obs[steps[0]]),
            actions=torch.from_numpy(self.actions.reshape(-1)[steps[0]]),
            returns=torch.from_numpy(rewards.sum(axis=0)),
            discounts=torch.from_numpy(discounts),
            next_obs=torch.from_numpy(next_obs),
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
        """Returns the arrays, without rows never written, and the counters of a checkpoint."""
        used = self.num_rows if self.num_complete == self.num_rows - 1 else self.cursor + 1
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name)[:used] for name in (*_ROW_ARRAYS, "final_serials")}
        serials = np.arange(self.first_final, self.next_final)
        arrays["finals"] = self.finals[serials % len(self.finals)]
        return arrays, {name: getattr(self, name) for name in _COUNTERS}

    def load_state(self, arrays: dict[str, NDArray[Any]], counters: dict[str, int]) -> None:
        """Takes over what :meth:`state` returned; shapes must fit this buffer."""
        for name in (*_ROW_ARRAYS, "final_serials"):
            target, source = getattr(self, name), arrays[name]
            if source.shape[1:] != target.shape[1:] or len(source) > len(target):
                raise ValueError(f"{name} has shape {source.shape}, allowed is {target.shape}")
            target[: len(source)] = source
        for name in _COUNTERS:
            setattr(self, name, int(counters[name]))
        num_finals = self.next_final - self.first_final
        if num_finals > len(self.finals):
            self.finals = np.zeros((num_finals, *self.finals.shape[1:]), self.finals.dtype)
        serials = np.arange(self.first_final, self.next_final)
        self.finals[serials % len(self.finals)] = arrays["finals"]

    def _draw_starts(self, batch_size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draws the rows and lanes (B,) of first steps; rows without a transition are drawn again."""
        rows, lanes = np.empty(batch_size, np.int64), np.empty(batch_size, np.int64)
        missing = np.arange(batch_size)
        while missing.size:
            ages, lanes[missing] = np.divmod(rng.integers(self.num_starts, size=missing.size), self.num_envs)
            rows[missing] = (self.cursor - self.num_complete + ages) % self.num_rows
            missing = missing[~self.is_real[rows[missing], lanes[missing]]]
        return rows, lanes

    def _reserve_finals(self, num_more: int) -> None:
        """Doubles the side ring until ``num_more`` fit; live entries keep their serial numbers."""
        needed = self.next_final - self.first_final + num_more
        capacity = len(self.finals)
        if needed <= capacity:
            return
        while capacity < needed:
            capacity *= 2
        finals = np.zeros((capacity, *self.finals.shape[1:]), self.finals.dtype)
        serials = np.arange(self.first_final, self.next_final)
        finals[serials % capacity] = self.finals[serials % len(self.finals)]
        self.finals = finals


_ROW_ARRAYS = ("obs", "actions", "rewards", "terminated", "truncated", "is_real")
_COUNTERS = ("cursor", "num_complete", "first_final", "next_final")
