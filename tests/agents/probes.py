"""Probe environments: tiny same-step vector environments whose values are known in closed form.

After Andy Jones, *Debugging RL, Without the Agonizing Pain* (2021). Each isolates one part of an
agent, and all follow the contract of the suite's vector environment: same-step autoreset, a dense
``final_obs`` and ``final_info`` in the steps that end an episode, views that the next step
overwrites, and a state that can be taken and restored.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

STATE = np.dtype(
    [
        ("key", np.uint64),  # of the lane
        ("draws", np.uint64),  # random numbers used so far
        ("cue", np.float64),  # the observation
        ("episode_length", np.int64),
        ("episode_return", np.float64),
    ]
)
TRUNCATION_RATE = 0.25  # per step, in probes/Truncation-v0

ACTION_VALUES = {
    # id: for each cue, the optimal Q-values of both actions as functions of gamma
    "probes/Constant-v0": {0.0: lambda gamma: (1.0, 1.0)},
    "probes/Cue-v0": {-1.0: lambda gamma: (-1.0, -1.0), 1.0: lambda gamma: (1.0, 1.0)},
    "probes/TwoStep-v0": {0.0: lambda gamma: (gamma, gamma), 1.0: lambda gamma: (1.0, 1.0)},
    "probes/Action-v0": {0.0: lambda gamma: (-1.0, 1.0)},
    # Pays 1 per step except in the first step of an episode, for ever. Steps are cut off at random,
    # which must not change what a step is worth: V(later) = 1 / (1 - gamma), V(first) = gamma *
    # V(later). Cutting the bootstrap, or bootstrapping from the next episode, gives less.
    "probes/Truncation-v0": {
        -1.0: lambda gamma: (gamma / (1 - gamma),) * 2,
        1.0: lambda gamma: (1 / (1 - gamma),) * 2,
    },
}


def register() -> None:
    """Registers the probes with gymnasium, once."""
    for env_id in ACTION_VALUES:
        if env_id not in gym.registry:
            gym.register(env_id, vector_entry_point=f"{__name__}:ProbeVectorEnv", kwargs={"probe": env_id})


class ProbeVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """All lanes of one probe."""

    def __init__(self, probe: str, num_envs: int = 1, **options: object) -> None:
        """Makes ``num_envs`` lanes; further options of the suite are accepted and ignored."""
        self.probe = probe.removeprefix("probes/").removesuffix("-v0")
        self.num_envs = num_envs
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.single_action_space = gym.spaces.Discrete(2)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
        self.lanes = np.zeros(num_envs, STATE)
        self.obs = np.zeros((num_envs, 1), np.float32)
        self.final_obs = np.full((num_envs, 1), np.nan, np.float32)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts every lane; an integer seeds lane i with seed + i, a list seeds each one."""
        seeds = seed if isinstance(seed, list) else np.arange(self.num_envs) + (seed or 0)
        self.lanes[:] = 0
        self.lanes["key"] = np.asarray([int(value) for value in seeds], np.uint64)
        self._start(np.ones(self.num_envs, np.bool_))
        return self.observe(), {}

    def observe(self) -> NDArray[np.float32]:
        """Returns the observations of the current state."""
        self.obs[:, 0] = self.lanes["cue"]
        return self.obs

    def step(self, actions: NDArray[Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps every lane and restarts those that ended."""
        lanes = self.lanes
        cues = lanes["cue"].copy()
        terminated = np.ones(self.num_envs, np.bool_)
        truncated = np.zeros(self.num_envs, np.bool_)
        rewards = np.ones(self.num_envs)
        if self.probe == "Cue":
            rewards = cues
        elif self.probe == "TwoStep":
            rewards = cues
            terminated = cues == 1.0
            lanes["cue"] = 1.0
        elif self.probe == "Action":
            rewards = np.where(actions == 1, 1.0, -1.0)
        elif self.probe == "Truncation":
            rewards = (cues == 1.0).astype(np.float64)
            terminated[:] = False
            truncated = self._draw() < TRUNCATION_RATE
            lanes["cue"] = 1.0
        lanes["episode_length"] += 1
        lanes["episode_return"] += rewards
        ended = terminated | truncated
        infos: dict[str, Any] = {}
        if ended.any():
            self.final_obs[:] = np.nan  # only rows that ended may be read
            self.final_obs[ended, 0] = lanes["cue"][ended]
            infos = {
                "final_obs": self.final_obs,
                "_final_obs": ended,
                "final_info": {
                    "success": lanes["episode_return"] > 0,
                    "timeout": truncated & ~terminated,
                    "episode_length": lanes["episode_length"].copy(),
                    "episode_return": lanes["episode_return"].copy(),
                },
                "_final_info": ended,
            }
            self._start(ended)
        return self.observe(), rewards, terminated, truncated, infos

    def get_state(self) -> NDArray[Any]:
        """Returns a copy of all lanes."""
        return self.lanes.copy()

    def set_state(self, state: NDArray[Any]) -> None:
        """Restores all lanes."""
        self.lanes[:] = state

    def _start(self, mask: NDArray[np.bool_]) -> None:
        lanes = self.lanes
        cues = np.zeros(self.num_envs)
        if self.probe == "Cue":
            cues = np.where(self._draw() < 0.5, -1.0, 1.0)
        elif self.probe == "Truncation":
            cues[:] = -1.0
        lanes["cue"][mask] = cues[mask]
        lanes["episode_length"][mask] = 0
        lanes["episode_return"][mask] = 0.0

    def _draw(self) -> NDArray[np.float64]:
        """Uniform numbers from a counter per lane (SplitMix64's finaliser)."""
        self.lanes["draws"] += np.uint64(1)
        z = self.lanes["key"] * np.uint64(0x9E3779B97F4A7C15) + self.lanes["draws"]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        return (z >> np.uint64(11)) * 2.0**-53
