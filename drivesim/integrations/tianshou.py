"""Tianshou: a vector environment whose envs are stepped and begun on demand, without one Python worker per env."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from tianshou.env import BaseVectorEnv

from drivesim.checks import checked_actions, checked_seeds
from drivesim.engine import Array
from drivesim.infos import INFO_KEYS
from drivesim.registry import entry_of_id
from drivesim.vector_env import DriveVectorEnv

__all__ = ["PartialVectorEnv", "TianshouVecEnv"]


class PartialVectorEnv(DriveVectorEnv):
    """A DISABLED vector environment that can step some of its envs while the others stand still."""

    def step_some(self, ids: Array, actions: Any) -> tuple[Array, Array, Array, Array, Array]:
        """Step `ids`, and no others.

        Args:
            ids: int64 (M,), different and in range, in any order.
            actions: integers (M,) in [0, num_actions), of those envs.

        Returns:
            Rows of those envs in their order: obs (M, *obs_shape), rewards float64 (M,), terminations bool (M,),
            truncations bool (M,) and infos, objects (M,). An info is a dict with the env as `env_id`, the keys of
            `core.episode.EPISODE` where an episode has ended and `cost` under `reward="cost"`.

        Raises:
            TypeError, ValueError: for bad actions; no env has moved.
            gymnasium.error.ResetNeeded: before the first reset and for an env that has ended.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_started("step")
        chosen = np.empty(len(ids), np.int64)
        checked_actions(actions, self._engine.num_actions, chosen, ids)
        if self._ended[ids].any():
            raise gym.error.ResetNeeded(f"env {ids[self._ended[ids]][0]} has ended: reset it before stepping it")
        self._actions[ids] = chosen
        moves = None
        if len(ids) < self.num_envs:
            moves = np.zeros(self.num_envs, np.bool_)
            moves[ids] = True
        obs = self._engine.empty_obs()
        rewards, terminations, truncations = self._rewards, self._terminations, self._truncations
        self._is_stepping = True  # if an interrupt comes, the worlds are asked which have ended
        self._engine.step(self._actions, obs, rewards, terminations, truncations, worlds=moves)
        self._ended[ids] = terminations[ids] | truncations[ids]
        self._is_stepping = False
        if self._renderer.is_human:
            self._renderer.show_worlds()
        return obs[ids], rewards[ids], terminations[ids], truncations[ids], self._infos_of(ids)

    def _infos_of(self, ids: Array) -> Array:
        """The envs' infos of a step, dicts (M,)."""
        infos = np.empty(len(ids), np.object_)
        ended = self._ended[ids].tolist()
        for row, i in enumerate(ids.tolist()):
            infos[row] = {"env_id": i}
            if self._has_cost:
                infos[row]["cost"] = self._engine.costs[i].item()
            if ended[row]:
                infos[row].update(zip(INFO_KEYS, self._engine.episodes[i].item(), strict=True))
        return infos


class TianshouVecEnv(BaseVectorEnv):  # type: ignore[misc]  # its types are not looked at
    """The equal of `tianshou.env.DummyVectorEnv` over N environments of `gym.make`, on one compiled loop.

    Args:
        env_id: such as `"drivesim/Highway-v1"`.
        num_envs: envs, N.
        **options: those of `drivesim.vector_env.DriveVectorEnv`, but for `autoreset_mode`: collectors reset the envs
            themselves.

    Env i is, step by step and over any number of episodes, what worker i is there; infos hold less: `env_id`, and the
    keys of `core.episode.EPISODE` where an episode has ended. The environment inside is `envs`.

    Raises:
        TypeError, ValueError: for an id or option that is unknown, of a wrong type or out of range.
    """

    def __init__(self, env_id: str, num_envs: int, **options: Any) -> None:
        scenario = entry_of_id(env_id).name
        if "autoreset_mode" in options:
            raise ValueError(f"autoreset_mode must be left out: it is DISABLED, got {options['autoreset_mode']!r}")
        self.envs = PartialVectorEnv(scenario, num_envs, autoreset_mode=AutoresetMode.DISABLED, **options)
        self.env_num = self.wait_num = self.envs.num_envs
        self.timeout: float | None = None
        self.is_async = self.is_closed = False
        self.waiting_id: list[int] = []
        self.ready_id = list(range(self.env_num))
        # Tianshou draws each worker's random actions from a space of its own.
        self._action_spaces = [deepcopy(self.envs.single_action_space) for _ in range(self.env_num)]

    def reset(
        self, env_id: Any = None, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, Array]:
        """Begin an episode in all envs, or in those named.

        Args:
            env_id: one env or several; None = all.
            seed: as with Tianshou's own environments every env gets this very seed; `seed()` spreads them.
            options: `{"level_seed": n}` plays level n in every one of those envs.

        Returns:
            obs (M, *obs_shape) and infos, dicts (M,) with the env as `env_id`.

        Raises:
            TypeError, ValueError: for a bad env, seed or option; nothing has changed.
            gymnasium.error.ResetNeeded: for some envs before all were reset once.
        """
        self._assert_is_not_closed()
        ids = self._ids(env_id)
        mask = np.zeros(self.env_num, np.bool_)
        mask[ids] = True
        obs, _ = self.envs.reset(seed=[seed] * self.env_num, options={**(options or {}), "reset_mask": mask})
        infos = np.empty(len(ids), np.object_)
        infos[:] = [{"env_id": i} for i in ids.tolist()]
        return obs[ids], infos

    def step(self, action: Any, id: Any = None) -> tuple[Array, Array, Array, Array, Array]:
        """Step all envs, or those named while the others stand still.

        Args:
            action: integers (M,), as an array or a tensor.
            id: one env or several, all different; None = all.

        Returns:
            As `PartialVectorEnv.step_some`.

        Raises:
            TypeError, ValueError: for a bad action or env; no env has moved.
            gymnasium.error.ResetNeeded: before the first reset and for an env that has ended.
        """
        self._assert_is_not_closed()
        return self.envs.step_some(self._ids(id), np.asarray(action))

    def seed(self, seed: int | list[int] | None = None) -> list[list[int | None]]:
        """Begin episode 0 of the envs keyed by `seed` (env i: seed + i, or entry i); the next reset begins episode 1.

        Returns:
            The seed of each env.

        Raises:
            TypeError, ValueError: for a bad seed; nothing has changed.
        """
        self._assert_is_not_closed()
        seeds = checked_seeds(seed, self.env_num)
        self.envs.reset(seed=seeds)
        for space, env_seed in zip(self._action_spaces, seeds, strict=True):
            space.seed(env_seed)
        return [[env_seed] for env_seed in seeds]

    def get_env_attr(self, key: str, id: Any = None) -> list[Any]:
        """An attribute of the environment, once for each env named; spaces are those of one env.

        Raises:
            AttributeError: if there is none.
        """
        self._assert_is_not_closed()
        ids = self._ids(id).tolist()
        if key == "action_space":
            return [self._action_spaces[i] for i in ids]
        value = self.envs.single_observation_space if key == "observation_space" else getattr(self.envs, key)
        return [value] * len(ids)

    def set_env_attr(self, key: str, value: Any, id: Any = None) -> None:
        """Refused: the envs are one environment, whose options are those it was made with.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{key!r} cannot be set: the envs are one environment; pass options when making it")

    def render(self, **kwargs: Any) -> list[Any]:
        """One picture or text per env; None under `"human"` and without a render mode."""
        self._assert_is_not_closed()
        return list(self.envs.render() or [None] * self.env_num)

    def close(self) -> None:
        """Free what the environment holds."""
        self._assert_is_not_closed()
        self.envs.close()
        self.is_closed = True

    def _ids(self, id: Any) -> Array:
        """Envs int64 (M,) from one, several or None, which stands for all.

        Raises:
            TypeError, ValueError: for anything else.
        """
        if id is None:
            return np.arange(self.env_num)
        ids = np.atleast_1d(np.asarray(id))
        allowed = f"different integers in [0, {self.env_num - 1}]"
        if ids.dtype.kind not in "iu":
            raise TypeError(f"id must be None or {allowed}, got {id!r}")
        if ids.ndim != 1 or ((ids < 0) | (ids >= self.env_num)).any() or len(set(ids.tolist())) != ids.size:
            raise ValueError(f"id must be None or {allowed}, got {id!r}")
        return ids.astype(np.int64)
