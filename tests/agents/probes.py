"""Probe environments: tiny vector environments whose values are known in closed form.

After Andy Jones, *Debugging RL, Without the Agonizing Pain* (2021). Each isolates one part of an
agent, and all follow the contract of the suite's vector environment: Gymnasium's three autoreset
modes with what each says in ``infos``, views that the next step overwrites, and a state that can be
taken and restored. The modes differ in nothing but when an env begins anew: its random numbers
depend on its own steps and starts alone.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

STATE = np.dtype(
    [
        ("key", np.uint64),  # of the env
        ("draws", np.uint64),  # random numbers used so far
        ("cue", np.float64),  # the observation
        ("ended", np.bool_),  # nothing can follow but another episode
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
    """All envs of one probe."""

    def __init__(
        self,
        probe: str,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        **options: object,
    ) -> None:
        """Makes ``num_envs`` envs; further options of the suite are accepted and ignored."""
        self.probe = probe.removeprefix("probes/").removesuffix("-v0")
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.single_action_space = gym.spaces.Discrete(2)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": self.autoreset_mode}
        self.states = np.zeros(num_envs, STATE)
        self.obs = np.zeros((num_envs, 1), np.float32)
        self.final_obs = np.full((num_envs, 1), np.nan, np.float32)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode in every env, or in those of ``options["reset_mask"]``.

        An integer seeds env i with seed + i, a list seeds each one, None lets each env's numbers continue.
        """
        mask = np.ones(self.num_envs, np.bool_) if options is None else options["reset_mask"]
        if seed is not None:
            seeds = seed if isinstance(seed, list) else range(seed, seed + self.num_envs)
            self.states["key"][mask] = np.array(seeds, np.uint64)[mask]
            self.states["draws"][mask] = 0
        self._start(mask)
        return self.observe(), {}

    def observe(self) -> NDArray[np.float32]:
        """Returns the observations of the current state: of the last one, in an env whose episode has ended."""
        self.obs[:, 0] = self.states["cue"]
        return self.obs

    def action_masks(self) -> NDArray[np.bool_]:
        """Returns that every action does something, (N, 2)."""
        return np.ones((self.num_envs, 2), np.bool_)

    def step(self, actions: NDArray[Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps every env; what ended begins anew now, in the next step or when it is told to."""
        states = self.states
        begins = states["ended"].copy()
        if self.autoreset_mode is AutoresetMode.DISABLED and begins.any():
            raise gym.error.ResetNeeded(f"envs {np.flatnonzero(begins)} have ended: reset them with reset_mask")
        moves = ~begins
        rewards, terminated, truncated = self._move(moves, actions)
        states["episode_length"] += moves
        states["episode_return"] += rewards
        ended = terminated | truncated
        states["ended"] = ended
        infos = self._infos(ended, truncated & ~terminated) if ended.any() else {}
        self._start(ended if self.autoreset_mode is AutoresetMode.SAME_STEP else begins)
        return self.observe(), rewards, terminated, truncated, infos

    def get_state(self) -> NDArray[Any]:
        """Returns a copy of all envs."""
        return self.states.copy()

    def set_state(self, state: NDArray[Any]) -> None:
        """Restores all envs."""
        self.states[:] = state

    def _move(self, moves: NDArray[np.bool_], actions: NDArray[Any]) -> tuple[Any, Any, Any]:
        """Moves some envs; returns rewards, terminated and truncated, each (N,) and 0 in the others."""
        cues = self.states["cue"].copy()
        rewards = np.ones(self.num_envs)
        terminated = np.ones(self.num_envs, np.bool_)
        truncated = np.zeros(self.num_envs, np.bool_)
        if self.probe == "Cue":
            rewards = cues
        elif self.probe == "TwoStep":
            rewards = cues
            terminated = cues == 1.0
            self.states["cue"][moves] = 1.0
        elif self.probe == "Action":
            rewards = np.where(actions == 1, 1.0, -1.0)
        elif self.probe == "Truncation":
            rewards = (cues == 1.0).astype(np.float64)
            terminated[:] = False
            truncated = self._draw(moves) < TRUNCATION_RATE
            self.states["cue"][moves] = 1.0
        return rewards * moves, terminated & moves, truncated & moves

    def _infos(self, ended: NDArray[np.bool_], timeout: NDArray[np.bool_]) -> dict[str, Any]:
        states = self.states
        summary: dict[str, Any] = {
            "success": states["episode_return"] > 0,
            "timeout": timeout,
            "episode_length": states["episode_length"].copy(),
            "episode_return": states["episode_return"].copy(),
        }
        summary |= {f"_{name}": ended for name in summary}
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            return summary
        self.final_obs[:] = np.nan  # only rows that ended may be read
        self.final_obs[ended, 0] = states["cue"][ended]
        return {"final_obs": self.final_obs, "_final_obs": ended, "final_info": summary, "_final_info": ended}

    def _start(self, mask: NDArray[np.bool_]) -> None:
        states = self.states
        cues = np.zeros(self.num_envs)
        if self.probe == "Cue":
            cues = np.where(self._draw(mask) < 0.5, -1.0, 1.0)
        elif self.probe == "Truncation":
            cues[:] = -1.0
        states["cue"][mask] = cues[mask]
        for name in ("ended", "episode_length", "episode_return"):
            states[name][mask] = 0

    def _draw(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Uniform numbers from a counter per env (SplitMix64's finaliser); only envs in the mask use theirs up."""
        self.states["draws"] += mask
        z = self.states["key"] * np.uint64(0x9E3779B97F4A7C15) + self.states["draws"]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        return (z >> np.uint64(11)) * 2.0**-53
