"""Stands in for PufferLib 3.0.0, which builds only with access to GitHub: what its native environments inherit."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space


class APIUsageError(RuntimeError):
    pass


class PufferEnv:
    """Takes the arrays of `buf`, or makes its own, and derives the spaces of all agents."""

    emulated = False
    done = False

    def __init__(self, buf=None) -> None:
        for name in ("single_observation_space", "single_action_space", "num_agents"):
            if not hasattr(self, name):
                raise APIUsageError(f"{name} must be set before super().__init__()")
        for name in ("observation_space", "action_space"):
            if hasattr(self, name):
                raise APIUsageError(f"{name} must not be set")
        if self.num_agents < 1:
            raise APIUsageError("num_agents must be >= 1")
        if not isinstance(self.single_observation_space, spaces.Box):
            raise APIUsageError("single_observation_space must be a Box")
        if not isinstance(self.single_action_space, (spaces.Discrete, spaces.MultiDiscrete, spaces.Box)):
            raise APIUsageError("single_action_space must be a Discrete, MultiDiscrete or Box")
        self.observation_space = batch_space(self.single_observation_space, self.num_agents)
        self.action_space = batch_space(self.single_action_space, self.num_agents)
        self.agent_ids = np.arange(self.num_agents)
        if buf is None:
            buf = buffers(self.single_observation_space, self.num_agents)
        for name, array in buf.items():
            setattr(self, name, array)

    @property
    def driver_env(self):
        return self

    def async_reset(self, seed=None) -> None:
        _, self.infos = self.reset(seed)
        assert isinstance(self.infos, list)

    def send(self, actions) -> None:
        *_, self.infos = self.step(actions)
        assert isinstance(self.infos, list)

    def recv(self):
        arrays = self.observations, self.rewards, self.terminals, self.truncations
        return (*arrays, self.infos, self.agent_ids, self.masks)


def buffers(obs_space: spaces.Box, num_agents: int) -> dict[str, np.ndarray]:
    """The arrays that PufferLib hands to an environment, here filled with what must be overwritten."""
    return {
        "observations": np.full((num_agents, *obs_space.shape), 77, obs_space.dtype),
        "rewards": np.full(num_agents, 77, np.float32),
        "terminals": np.ones(num_agents, np.bool_),
        "truncations": np.ones(num_agents, np.bool_),
        "masks": np.ones(num_agents, np.bool_),
        "actions": np.zeros(num_agents, np.int32),
    }
