"""AgileRL: a replay buffer without the rows in which a vector environment only begins an episode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from agilerl.components.replay_buffer import ReplayBuffer
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict

from drivesim.engine import Array

__all__ = ["RealReplayBuffer", "RealRows"]


class RealRows(gym.vector.VectorWrapper):
    """Knows which rows of the last step were transitions; steps and resets are those of `envs`.

    Args:
        envs: a vector environment under `NEXT_STEP`.

    Raises:
        ValueError: for any other autoreset mode.
    """

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        super().__init__(envs)
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.NEXT_STEP:
            raise ValueError(f"metadata['autoreset_mode'] must be {AutoresetMode.NEXT_STEP} under AgileRL, got {mode}")
        self.is_real: Array = np.zeros(self.num_envs, np.bool_)
        """(N,): false where the last step ignored the action and began an episode, and everywhere before a step."""
        self._ended = np.zeros(self.num_envs, np.bool_)

    def reset(self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode in all envs, or in those of `options["reset_mask"]`."""
        answer = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # one per env
        mask = (options or {}).get("reset_mask")
        self._ended = self._ended & ~mask if mask is not None else np.zeros(self.num_envs, np.bool_)
        self.is_real = np.zeros(self.num_envs, np.bool_)
        return answer

    def step(self, actions: Array) -> Any:
        """Step every env."""
        answer = self.env.step(actions)
        self.is_real = ~self._ended
        self._ended = answer[2] | answer[3]
        return answer


class RealReplayBuffer(ReplayBuffer):  # type: ignore[misc]  # AgileRL may be absent
    """AgileRL's `ReplayBuffer`, which stores of each step of `envs` the transitions only.

    Args:
        envs: those that are stepped.
        max_size: transitions to keep.
        **options: of AgileRL's `ReplayBuffer`.
    """

    def __init__(self, envs: RealRows, max_size: int, **options: Any) -> None:
        super().__init__(max_size, **options)
        self._envs = envs

    def add(self, data: TensorDict) -> None:
        """Store the transitions among the rows (N,) of the last step."""
        super().add(data[torch.from_numpy(self._envs.is_real)])
