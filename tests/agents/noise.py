"""A vector environment of noise, in any autoreset mode: for what must hold whatever the experience is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

NUM_FEATURES = 3
NUM_ACTIONS = 3
END_RATE = 0.15  # of terminations, and of truncations, per step


class NoiseVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Observations, ends, masks and rewards are drawn; an action adds its number. ``copy.deepcopy`` forks the envs."""

    def __init__(self, num_envs: int, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> None:
        self.num_envs = num_envs
        self.mode = mode
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space = gym.spaces.Box(-5.0, 5.0, (NUM_FEATURES,), np.float32)
        self.single_action_space = gym.spaces.Discrete(NUM_ACTIONS)
        self.rng = np.random.default_rng(0)
        self.obs = np.zeros((num_envs, NUM_FEATURES), np.float32)
        self.waits = np.zeros(num_envs, np.bool_)  # NEXT_STEP: the next step begins an episode

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins in all envs or in those of the reset mask."""
        if options is None:
            self.rng = np.random.default_rng(seed)
            self.waits[:] = False
            self.obs = self._draw_obs()
        else:
            self.obs = np.where(options["reset_mask"][:, None], self._draw_obs(), self.obs)
        self._draw_masks()
        return self.obs, {}

    def step(self, actions: NDArray[Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Draws what the actions lead to."""
        rewards = np.where(self.waits, 0.0, self.rng.normal(size=self.num_envs) + actions)
        terminated = (self.rng.random(self.num_envs) < END_RATE) & ~self.waits
        truncated = (self.rng.random(self.num_envs) < END_RATE) & ~self.waits
        ended = terminated | truncated
        self.obs = self._draw_obs()
        infos: dict[str, Any] = {}
        if self.mode is AutoresetMode.NEXT_STEP:
            self.waits = ended
        elif self.mode is AutoresetMode.SAME_STEP and ended.any():
            infos["final_obs"] = np.where(ended[:, None], self.obs, np.float32(np.nan))
            self.obs = np.where(ended[:, None], self._draw_obs(), self.obs)
        self._draw_masks()
        return self.obs, rewards, terminated, truncated, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Returns which actions are allowed, at least one of each env."""
        return self.masks

    def _draw_obs(self) -> NDArray[np.float32]:
        return self.rng.normal(size=(self.num_envs, NUM_FEATURES)).astype(np.float32)

    def _draw_masks(self) -> None:
        self.masks = self.rng.random((self.num_envs, NUM_ACTIONS)) < 0.6
        self.masks[np.arange(self.num_envs), self.rng.integers(NUM_ACTIONS, size=self.num_envs)] = True
