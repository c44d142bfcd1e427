"""The boundary contract: what a step of all envs gives, the same in every autoreset mode.

Gymnasium's vector environments end episodes in three ways, and two of them hide a trap: under
``NEXT_STEP`` the row after an end ignores its action and belongs to no episode, and under
``SAME_STEP`` the observation that comes back belongs to the next one already. :class:`Stepper` turns
all three into :class:`Step`, and every algorithm learns from that alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.checkpoint import Checkpoint, fitting

__all__ = ["Step", "Stepper"]


class Step(NamedTuple):
    """One step of N envs; the environment's next step overwrites the arrays."""

    actions: NDArray[np.int64]
    """(N,) taken on the observations given before."""
    rewards: NDArray[np.float64]
    """(N,)."""
    terminated: NDArray[np.bool_]
    """(N,): nothing follows, so nothing is bootstrapped."""
    truncated: NDArray[np.bool_]
    """(N,): the episode was cut; the true successor's value still counts."""
    next_obs: NDArray[Any]
    """(N, *obs_shape), to act on next; of a new episode where ``starts``."""
    final_obs: NDArray[Any] | None
    """(N, *obs_shape), the true successors where an episode ended, anything elsewhere; None if none did."""
    is_real: NDArray[np.bool_]
    """(N,): False where an episode was only begun (``NEXT_STEP``), or an ego waits for the others of its world; such a
    row is never learnt from."""
    starts: NDArray[np.bool_]
    """(N,): ``next_obs`` begins an episode."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """(N,): the episode ended in this step, either way."""
        return self.terminated | self.truncated


def _parts(state: Any) -> tuple[NDArray[Any], ...]:
    """The arrays of worlds in a state: several where several environments are mixed."""
    return state if isinstance(state, tuple) else (state,)


def _names_of(parts: tuple[NDArray[Any], ...]) -> str:
    """What tells one kind of worlds from another."""
    return " ".join(str(worlds.dtype.descr) for worlds in parts)


class Stepper:
    """The envs of a vector environment, stepped in whatever autoreset mode it has."""

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """Takes over an environment; closing it stays the caller's business.

        Raises:
            ValueError: the environment does not say its autoreset mode.
        """
        mode = envs.metadata.get("autoreset_mode")
        if not isinstance(mode, gym.vector.AutoresetMode):
            raise ValueError(f"metadata['autoreset_mode'] must be a gymnasium.vector.AutoresetMode, got {mode!r}")
        self.envs = envs
        self.num_envs = envs.num_envs
        self.mode = mode
        self.episodes: dict[str, NDArray[Any]] = {}
        """Metrics of the episodes that ended in the last step, by name; each of shape (ended,)."""
        self._all_real = np.ones(self.num_envs, np.bool_)
        self._waits = np.zeros(self.num_envs, np.bool_)  # NEXT_STEP: the next action begins an episode
        self._final_obs: NDArray[Any] | None = None  # DISABLED: kept while the envs are reset

    def begin(self, seeds: list[int]) -> NDArray[Any]:
        """Resets every env and returns the observations, (N, *obs_shape)."""
        obs: NDArray[Any] = self.envs.reset(seed=seeds)[0]  # type: ignore[arg-type]  # one per env
        self._waits[:] = False
        self.episodes = {}
        return obs

    def step(self, actions: NDArray[np.int64]) -> Step:
        """Steps every env; one that has to be begun anew is."""
        obs, rewards, terminated, truncated, infos = self.envs.step(actions)
        ended = terminated | truncated
        self._take_episodes(infos, ended)
        is_real, starts = self._all_real, ended
        final_obs: NDArray[Any] | None = None
        if self.mode is gym.vector.AutoresetMode.SAME_STEP:
            final_obs = infos.get("final_obs")
            if "is_real" in infos:  # several egos share a world: it begins anew when the last of them has ended
                is_real, starts = infos["is_real"], infos["starts"]
        elif self.mode is gym.vector.AutoresetMode.NEXT_STEP:
            starts = self._waits
            is_real, self._waits = ~starts, ended
            final_obs = obs if ended.any() else None
        elif ended.any():
            if self._final_obs is None:
                self._final_obs = np.zeros_like(obs)
            final_obs = self._final_obs
            final_obs[ended] = obs[ended]
            obs = self.envs.reset(options={"reset_mask": ended.copy()})[0]
        return Step(actions, rewards, terminated, truncated, obs, final_obs, is_real, starts)

    def action_masks(self) -> NDArray[np.bool_]:
        """Returns which actions do anything, (N, num_actions)."""
        masks: NDArray[np.bool_] = self.envs.unwrapped.action_masks()  # type: ignore[attr-defined]
        return masks

    def state(self) -> Checkpoint:
        """Returns what a checkpoint must hold."""
        parts = _parts(self.envs.unwrapped.get_state())  # type: ignore[attr-defined]
        as_bytes = np.concatenate([np.ascontiguousarray(worlds).reshape(-1).view(np.uint8) for worlds in parts])
        return Checkpoint(
            values={"worlds_dtype": _names_of(parts)}, arrays={"worlds": as_bytes, "waits": self._waits.copy()}
        )

    def load_state(self, checkpoint: Checkpoint) -> NDArray[Any]:
        """Takes over what :meth:`state` returned and returns the observations, (N, *obs_shape).

        Raises:
            ValueError: it is of a simulator whose worlds have other fields, or of another number of envs.
        """
        self.envs.reset(seed=0)  # so that there is a state to take over
        template = self.envs.unwrapped.get_state()  # type: ignore[attr-defined]
        parts = _parts(template)
        if checkpoint.values["worlds_dtype"] != _names_of(parts):
            raise ValueError(
                "this run was saved by a version of the simulator whose worlds have other fields; it cannot be resumed"
            )
        saved = fitting("worlds", checkpoint.arrays["worlds"], np.zeros(sum(part.nbytes for part in parts), np.uint8))
        ends = np.cumsum([part.nbytes for part in parts])[:-1]
        worlds = tuple(
            own.view(part.dtype).reshape(part.shape) for own, part in zip(np.split(saved, ends), parts, strict=True)
        )
        self.envs.unwrapped.set_state(worlds if isinstance(template, tuple) else worlds[0])  # type: ignore[attr-defined]
        self._waits = fitting("waits", checkpoint.arrays["waits"], self._waits).copy()
        obs: NDArray[Any] = self.envs.unwrapped.observe()  # type: ignore[attr-defined]
        return obs

    def _take_episodes(self, infos: dict[str, Any], ended: NDArray[np.bool_]) -> None:
        self.episodes = {}
        if not ended.any():
            return
        for name, values in infos.get("final_info", infos).items():
            is_metric = isinstance(values, np.ndarray) and values.shape == ended.shape and values.dtype.kind in "biuf"
            if is_metric and not name.startswith("_"):
                self.episodes[name] = values[ended]
