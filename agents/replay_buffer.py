"""Replay memory: a preallocated ring of rows, each holding one step of every env.

What is stored, for ring row ``r`` and env ``i``: the observation acted on, the action, the reward
and both end flags. The successor of a step is simply the observation of the next row, except at the
end of an episode, where the next row need not belong to it any more (same-step autoreset).
There the true last observation is kept in a side ring of its own, so that nothing is stored twice.

A window of n steps never crosses the write head: only steps with n complete successors are drawn.
With prioritisation (Schaul et al. 2016) every other step has a priority of 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.checkpoint import fitting
from agents.priorities import SumTree
from agents.stepping import Step

__all__ = ["Batch", "ReplayBuffer", "Windows"]

_LEAST_ERROR = 1e-6  # added to errors, so that no step is never drawn again


class Windows(NamedTuple):
    """All steps of windows of up to n steps."""

    obs: Tensor
    """(n, B, *obs_shape): what was acted on; of no meaning after a window's end."""
    actions: Tensor
    """(n, B) int64."""
    factors: Tensor
    """(n, B) float32: gamma**k before the k-th step, 0 after a window's end."""


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
    steps: NDArray[np.int64]
    """(B,): where the windows start in the ring, for :meth:`ReplayBuffer.set_errors`."""
    weights: Tensor | None = None
    """(B,) float32 in (0, 1]: importance weights, if drawn by priority."""
    windows: Windows | None = None
    """All steps, if asked for."""


class ReplayBuffer:
    """Ring over (rows, envs) with exact episode ends.

    Usage: ``begin(obs)`` after a reset, then ``add(...)`` after every step of all envs.
    """

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        num_envs: int,
        buffer_size: int,
        n_step: int,
        priority_exponent: float | None = None,
    ) -> None:
        """Allocates everything once.

        Args:
            observation_space: the space of a single env's observation.
            num_envs: number of envs.
            buffer_size: capacity in transitions; rounded down to whole rows of envs.
            n_step: length of the windows that will be drawn.
            priority_exponent: draw in proportion to the size of the last error to this power; None
                draws uniformly.
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
        self.num_starts = 0  # steps that a window can start at
        # Side ring of last observations. Serial numbers grow for ever; slot = serial % capacity.
        self.finals = np.zeros((max(num_envs, capacity * num_envs // 32), *shape), dtype)
        self.final_serials = np.zeros(rows, np.int64)
        self.first_final = 0  # serial of the oldest one still needed
        self.next_final = 0  # serial of the next one to come
        self.priority_exponent = priority_exponent
        self.tree = SumTree(self.num_rows * num_envs if priority_exponent is not None else 1)
        self.max_error = 1.0  # the largest so far, which new steps are taken to have

    def __len__(self) -> int:
        """Number of complete transitions."""
        return self.num_complete * self.num_envs

    def begin(self, obs: NDArray[Any]) -> None:
        """Forgets everything and takes the first observations after a reset, (N, *obs_shape)."""
        self.cursor = self.num_complete = self.num_starts = 0
        self.first_final = self.next_final = 0
        self.tree = SumTree(self.tree.num_leaves)
        self.max_error = 1.0
        self.obs[0] = obs

    def add(self, step: Step) -> None:
        """Stores one step of every env; ``step.next_obs`` is what will be acted on next."""
        row = self.cursor
        self.actions[row] = step.actions
        self.rewards[row] = step.rewards
        self.terminated[row] = step.terminated
        self.truncated[row] = step.truncated
        self.is_real[row] = step.is_real
        envs = np.flatnonzero(step.ended)
        if envs.size:
            if step.final_obs is None:
                raise ValueError(f"final_obs must be given: the episodes of envs {envs} ended")
            serials = np.arange(self.next_final, self.next_final + envs.size)
            self._reserve_finals(envs.size)
            self.finals[serials % len(self.finals)] = step.final_obs[envs]
            self.final_serials[row, envs] = serials
            self.next_final += envs.size
        self.cursor = (row + 1) % self.num_rows
        if self.num_complete == self.num_rows - 1:  # the row to overwrite is the oldest one
            ended = self.terminated[self.cursor] | self.truncated[self.cursor]
            self.first_final += int(np.count_nonzero(ended))
            self._close(self.cursor)
        else:
            self.num_complete += 1
        if self.num_complete >= self.n_step:
            self._open((row - self.n_step + 1) % self.num_rows)
        self.obs[self.cursor] = step.next_obs

    def sample(
        self,
        batch_size: int,
        gamma: float,
        rng: np.random.Generator,
        *,
        importance_exponent: float = 1.0,
        with_windows: bool = False,
    ) -> Batch:
        """Draws windows, with replacement; which ones depends on ``rng`` and the priorities alone.

        A window means what :func:`agents.targets.n_step_window` says of its first step; only that
        one is needed here.

        Args:
            batch_size: B.
            gamma: discount per step.
            rng: drawn from.
            importance_exponent: how far weights undo the effect of priorities, 0 (not) to 1 (wholly).
            with_windows: return all steps of the windows, too.
        """
        if self.num_starts == 0:
            raise ValueError(f"{self.num_complete} stored steps hold no window of {self.n_step}")
        starts, weights = self._draw_starts(batch_size, rng, importance_exponent)
        num_steps = self.num_rows * self.num_envs
        steps = (starts + np.arange(self.n_step)[:, None] * self.num_envs) % num_steps  # (n, B), into (rows, envs)
        terminated = self.terminated.reshape(-1)[steps]
        ended = terminated | self.truncated.reshape(-1)[steps]
        is_open = np.ones_like(ended)  # the window reaches its k-th step
        np.logical_not(np.logical_or.accumulate(ended[:-1]), out=is_open[1:])
        powers = gamma ** np.arange(self.n_step, dtype=np.float32)[:, None]
        rewards = np.where(is_open, self.rewards.reshape(-1)[steps] * powers, np.float32(0.0))
        last = np.count_nonzero(is_open, axis=0) - 1, np.arange(batch_size)  # index into (n, B)
        discounts = np.where(terminated[last], 0.0, gamma ** (last[0] + 1.0)).astype(np.float32)
        last_steps = steps[last]  # (B,)
        flat_obs = self.obs.reshape(num_steps, *self.obs.shape[2:])
        next_obs = flat_obs[(last_steps + self.num_envs) % num_steps]
        is_final = np.flatnonzero(ended[last])
        serials = self.final_serials.reshape(-1)[last_steps[is_final]]
        next_obs[is_final] = self.finals[serials % len(self.finals)]
        windows = None
        if with_windows:
            windows = Windows(
                obs=torch.from_numpy(flat_obs[steps]),
                actions=torch.from_numpy(self.actions.reshape(-1)[steps]),
                factors=torch.from_numpy(np.where(is_open, powers, np.float32(0.0))),
            )
        return Batch(
            obs=torch.from_numpy(flat_obs[starts]),
            actions=torch.from_numpy(self.actions.reshape(-1)[starts]),
            returns=torch.from_numpy(rewards.sum(axis=0)),
            discounts=torch.from_numpy(discounts),
            next_obs=torch.from_numpy(next_obs),
            steps=starts,
            weights=weights,
            windows=windows,
        )

    def set_errors(self, steps: NDArray[np.int64], errors: NDArray[np.float32]) -> None:
        """Gives windows new priorities, before the next step is added.

        Args:
            steps: (B,) from :class:`Batch`.
            errors: (B,) sizes of their errors, at least 0.
        """
        if self.priority_exponent is None:
            raise ValueError("set_errors needs a buffer with a priority_exponent")
        sizes = errors.astype(np.float64) + _LEAST_ERROR
        self.max_error = max(self.max_error, float(sizes.max()))
        self.tree.put(steps, sizes**self.priority_exponent)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
        """Returns the arrays, without rows never written, and the counters of a checkpoint."""
        used = self.num_rows if self.num_complete == self.num_rows - 1 else self.cursor + 1
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name)[:used] for name in (*_ROW_ARRAYS, "final_serials")}
        serials = np.arange(self.first_final, self.next_final)
        arrays["finals"] = self.finals[serials % len(self.finals)]
        if self.priority_exponent is not None:
            arrays["priorities"] = self.tree.leaves[: used * self.num_envs]
        return arrays, {name: getattr(self, name) for name in _COUNTERS}

    def load_state(self, arrays: dict[str, NDArray[Any]], counters: dict[str, float]) -> None:
        """Takes over what :meth:`state` returned.

        Raises:
            ValueError: shapes, dtypes or counters do not fit this buffer.
        """
        for name in _COUNTERS:
            setattr(self, name, type(getattr(self, name))(counters[name]))
        num_finals = self.next_final - self.first_final
        is_whole = self.num_complete in (self.cursor, self.num_rows - 1) and 0 <= self.cursor < self.num_rows
        if not is_whole or not 0 <= num_finals <= len(self) or not 0 <= self.next_final < 2**63:
            raise ValueError(f"{counters} are no counters of a buffer of {self.num_rows} rows")
        if num_finals > len(self.finals):
            self.finals = np.zeros((num_finals, *self.finals.shape[1:]), self.finals.dtype)
        own, _ = self.state()
        for name in (*_ROW_ARRAYS, "final_serials"):
            own[name][...] = fitting(name, arrays[name], own[name])  # a view of this buffer
        serials = np.arange(self.first_final, self.next_final)
        self.finals[serials % len(self.finals)] = fitting("finals", arrays["finals"], own["finals"])
        rows = (self.cursor - self.num_complete + np.arange(self.num_complete - self.n_step + 1)) % self.num_rows
        self.num_starts = int(np.count_nonzero(self.is_real[rows]))
        if self.priority_exponent is not None:
            self.tree.put_range(0, fitting("priorities", arrays["priorities"], own["priorities"]))

    def _open(self, row: int) -> None:
        """Lets windows start in a row, but where nothing was learnt."""
        is_real = self.is_real[row]
        self.num_starts += int(np.count_nonzero(is_real))
        if self.priority_exponent is not None:
            self.tree.put_range(row * self.num_envs, np.where(is_real, self.max_error**self.priority_exponent, 0.0))

    def _close(self, row: int) -> None:
        """Lets no window start in a row any more."""
        self.num_starts -= int(np.count_nonzero(self.is_real[row]))
        if self.priority_exponent is not None:
            self.tree.put_range(row * self.num_envs, np.zeros(self.num_envs))

    def _draw_starts(
        self, batch_size: int, rng: np.random.Generator, importance_exponent: float
    ) -> tuple[NDArray[np.int64], Tensor | None]:
        """Draws first steps (B,), as indices into (rows, envs), and their importance weights (B,)."""
        if self.priority_exponent is None:
            return self._draw_uniformly(batch_size, rng), None
        # One draw from each of B equal shares of the sum, as in the paper.
        shares = (np.arange(batch_size) + rng.random(batch_size)) / batch_size
        starts = self.tree.find(shares * self.tree.total)
        priorities = self.tree.leaves[starts]
        # (1 / (N P(i)))**beta over its maximum in the batch; N and the sum of priorities cancel.
        weights = (priorities.min() / priorities) ** importance_exponent
        return starts, torch.from_numpy(weights.astype(np.float32))

    def _draw_uniformly(self, batch_size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draws first steps (B,); rows without a transition are drawn again, of which not all may be."""
        num_steps = self.num_rows * self.num_envs
        oldest = (self.cursor - self.num_complete) * self.num_envs
        num_drawn = (self.num_complete - self.n_step + 1) * self.num_envs
        starts = (oldest + rng.integers(num_drawn, size=batch_size)) % num_steps
        is_real = self.is_real.reshape(-1)
        missing = np.flatnonzero(~is_real[starts])
        while missing.size:
            starts[missing] = (oldest + rng.integers(num_drawn, size=missing.size)) % num_steps
            missing = missing[~is_real[starts[missing]]]
        return starts

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
_COUNTERS = ("cursor", "num_complete", "first_final", "next_final", "max_error")
