"""PufferLib 3: an environment that writes its steps straight into the buffers PufferLib learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pufferlib
from gymnasium.vector import AutoresetMode

from drivesim.checks import boolean, checked_seed
from drivesim.engine import Array
from drivesim.infos import INFO_KEYS
from drivesim.registry import entry_of_id
from drivesim.vector_env import DriveVectorEnv

__all__ = ["DrivePufferEnv"]


class InPlaceVectorEnv(DriveVectorEnv):
    """A SAME_STEP vector environment that writes into arrays of its caller's."""

    def write_to(self, obs: Array, terminations: Array, truncations: Array) -> None:
        """From now on write every step and reset into these arrays (N, *obs_shape), (N,) and (N,).

        They have the dtypes of the environment's own arrays, are contiguous and can be written to.
        """
        self._obs, self._terminations, self._truncations = obs, terminations, truncations

    def ended_episodes(self) -> list[dict[str, float]]:
        """The keys of `core.episode.EPISODE`, one dict per episode that ended in the last step."""
        episodes = self._engine.episodes[np.flatnonzero(self._ended)].tolist()
        return [dict(zip(INFO_KEYS, episode, strict=True)) for episode in episodes]

    def _infos(self) -> dict[str, Any]:
        """Nothing: arrays over all envs, of which PufferLib has no use, would cost more than a step."""
        return {}


class DrivePufferEnv(pufferlib.PufferEnv):  # type: ignore[misc]  # PufferLib may be absent
    """N egos, each in a world of its own, as a native environment of PufferLib 3.

    Args:
        env_id: such as `"drivesim/Highway-v1"`.
        num_envs: envs, N, which PufferLib calls agents.
        buf: the arrays to write into, by name; PufferLib passes them. None = arrays of its own.
        seed: for the first reset, if that has none; PufferLib passes it.
        truncated_is_terminal: whether `terminals` is set where the time limit cuts an episode, too. The trainer of
            PufferLib 3 looks at nothing else: without it, the next episode's rewards count as this one's.
        **options: those of `drivesim.vector_env.DriveVectorEnv`, but for `autoreset_mode` and `copy`.

    An env begins its next episode in the step in which one ends, as under `SAME_STEP`; the last observation of an
    episode is not kept. Rewards are float32. `infos` has a dict with the keys of `core.episode.EPISODE` for each
    episode that has ended. The environment inside is `envs`.

    Raises:
        TypeError, ValueError: for an id, option or buffer that is unknown, of a wrong type or out of range.
    """

    def __init__(
        self,
        env_id: str,
        num_envs: int = 1,
        *,
        buf: Any = None,
        seed: int | None = None,
        truncated_is_terminal: bool = False,
        **options: Any,
    ) -> None:
        scenario = entry_of_id(env_id).name
        for name in ("autoreset_mode", "copy"):
            if name in options:
                raise ValueError(f"{name} must be left out: PufferLib knows one way only, got {options[name]!r}")
        self._seed = checked_seed(seed)
        self._merges = boolean("truncated_is_terminal", truncated_is_terminal)
        self.envs = InPlaceVectorEnv(scenario, num_envs, autoreset_mode=AutoresetMode.SAME_STEP, copy=False, **options)
        self.render_mode = self.envs.render_mode
        self.num_agents = self.envs.num_envs
        self.single_observation_space = self.envs.single_observation_space
        self.single_action_space = self.envs.single_action_space
        super().__init__(buf)
        self._check_buffer("observations", self.envs.observation_space.shape, self.envs.observation_space.dtype)
        self._check_buffer("rewards", (self.num_agents,), np.float32)
        self._check_buffer("terminals", (self.num_agents,), np.bool_)
        self._check_buffer("truncations", (self.num_agents,), np.bool_)
        self.envs.write_to(self.observations, self.terminals, self.truncations)

    def _check_buffer(self, name: str, shape: Any, dtype: Any) -> None:
        """Refuse an array that the kernel cannot write into as it is."""
        array = getattr(self, name)
        if array.shape != shape or array.dtype != dtype or not array.flags.carray:
            raise ValueError(
                f"buf[{name!r}] must be a contiguous, aligned and writable array of shape {shape} and dtype "
                f"{np.dtype(dtype)}, got shape {array.shape}, dtype {array.dtype}, strides {array.strides}"
            )

    def reset(self, seed: int | None = None) -> tuple[Array, list[dict[str, float]]]:
        """Begin an episode in all envs, and with a seed their episode 0.

        PufferLib resets its copy number w of an environment with `seed + w`. For copies to drive different levels,
        env i is seeded `numpy.random.SeedSequence(seed).generate_state(num_agents, numpy.uint64)[i]`.

        Raises:
            TypeError, ValueError: for a bad seed; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        seed = checked_seed(seed)
        if seed is None:
            seed, self._seed = self._seed, None
        seeds: Any = None
        if seed is not None:
            seeds = np.random.SeedSequence(seed).generate_state(self.num_agents, np.uint64).tolist()
        self.envs.reset(seed=seeds)
        for array in (self.rewards, self.terminals, self.truncations):
            array[:] = 0
        return self.observations, []

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, list[dict[str, float]]]:
        """Step all envs.

        Args:
            actions: integers (N,) in [0, num_actions).

        Returns:
            The buffers observations (N, *obs_shape), rewards float32 (N,), terminals bool (N,) and truncations bool
            (N,), and the infos.

        Raises:
            TypeError, ValueError: for bad actions; no env has moved.
            gymnasium.error.ResetNeeded: before the first reset.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        rewards = self.envs.step(actions)[1]
        np.copyto(self.rewards, rewards, casting="same_kind")
        if self._merges:
            np.logical_or(self.terminals, self.truncations, out=self.terminals)
        return self.observations, self.rewards, self.terminals, self.truncations, self.envs.ended_episodes()

    def render(self) -> Any:
        """One picture of all envs, uint8 (H, W, 3), a text per env, or None: as `render_mode` says."""
        if self.render_mode == "rgb_array":
            return self.envs.render_grid()
        return self.envs.render()

    def close(self) -> None:
        """Free what the environment holds; may be called again."""
        self.envs.close()
