"""Tianshou: a vector environment whose lanes are stepped and begun on demand, without one Python worker per lane."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from tianshou.env import BaseVectorEnv

from drivesim.checks import checked_actions, checked_seeds
from drivesim.engine import Array
from drivesim.env import INFO_KEYS
from drivesim.registry import ENTRIES
from drivesim.vector_env import DriveVectorEnv

__all__ = ["PartialVectorEnv", "TianshouVecEnv"]


class PartialVectorEnv(DriveVectorEnv):
    """A DISABLED vector environment that can step some of its lanes while the others stand still."""

    def step_some(self, lanes: Array, actions: Any) -> tuple[Array, Array, Array, Array, Array]:
        """Step `lanes`, and no others.

        Args:
            lanes: int64 (M,), different and in range, in any order.
            actions: integers (M,) in [0, num_actions), of those lanes.

        Returns:
            Rows of those lanes in their order: obs (M, *obs_shape), rewards float64 (M,), terminations bool (M,),
            truncations bool (M,) and infos, objects (M,). An info is a dict with the lane as `env_id`, the keys of
            `core.batch.EPISODE` where an episode has ended and `cost` under `reward="cost"`.

        Raises:
            TypeError, ValueError: for bad actions; no lane has moved.
            gymnasium.error.ResetNeeded: before the first reset and for a lane that has ended.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_started("step")
        chosen = np.empty(len(lanes), np.int64)
        checked_actions(actions, self._engine.num_actions, chosen, lanes)
        if self._ended[lanes].any():
            raise gym.error.ResetNeeded(f"lane {lanes[self._ended[lanes]][0]} has ended: reset it before stepping it")
        self._actions[lanes] = chosen
        moves = None
        if len(lanes) < self.num_envs:
            moves = np.zeros(self.num_envs, np.bool_)
            moves[lanes] = True
        obs = self._engine.empty_obs()
        rewards, terminations, truncations = self._rewards, self._terminations, self._truncations
        self._engine.step(self._actions, obs, rewards, terminations, truncations, lanes=moves)
        self._ended[lanes] = terminations[lanes] | truncations[lanes]
        if self._renderer.is_human:
            self._renderer.show_lanes()
        return obs[lanes], rewards[lanes], terminations[lanes], truncations[lanes], self._infos_of(lanes)

    def _infos_of(self, lanes: Array) -> Array:
        """What the lanes' infos say after a step, dicts (M,)."""
        infos = np.empty(len(lanes), np.object_)
        ended = self._ended[lanes].tolist()
        for row, lane in enumerate(lanes.tolist()):
            infos[row] = {"env_id": lane}
            if self._has_cost:
                infos[row]["cost"] = self._engine.costs[lane].item()
            if ended[row]:
                infos[row].update(zip(INFO_KEYS, self._engine.episodes[lane].item(), strict=True))
        return infos


class TianshouVecEnv(BaseVectorEnv):  # type: ignore[misc]  # its types are not looked at
    """What `tianshou.env.DummyVectorEnv` is over N environments of `gym.make`, on one compiled loop.

    Args:
        env_id: such as `"drivesim/Highway-v0"`.
        num_envs: lanes, N.
        **options: those of `drivesim.vector_env.DriveVectorEnv`, but for `autoreset_mode`: collectors reset the lanes
            themselves.

    Lane i is, step by step and over any number of episodes, what worker i is there; infos hold less: `env_id`, and the
    keys of `core.batch.EPISODE` where an episode has ended. The environment inside is `envs`.

    Raises:
        TypeError, ValueError: for an id or option that is unknown, of a wrong type or out of range.
    """

    def __init__(self, env_id: str, num_envs: int, **options: Any) -> None:
        names = {entry.id: entry.name for entry in ENTRIES}
        if env_id not in names:
            raise ValueError(f"env_id must be one of {list(names)}, got {env_id!r}")
        if "autoreset_mode" in options:
            raise ValueError(f"autoreset_mode must be left out: it is DISABLED, got {options['autoreset_mode']!r}")
        self.envs = PartialVectorEnv(names[env_id], num_envs, autoreset_mode=AutoresetMode.DISABLED, **options)
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
        """Begin an episode in all lanes, or in those named.

        Args:
            env_id: one lane or several; None = all.
            seed: as with Tianshou's own environments every lane gets this very seed; `seed()` spreads them.
            options: `{"level_seed": n}` plays level n in every one of those lanes.

        Returns:
            obs (M, *obs_shape) and infos, dicts (M,) with the lane as `env_id`.

        Raises:
            TypeError, ValueError: for a bad lane, seed or option; nothing has changed.
            gymnasium.error.ResetNeeded: for some lanes before all were reset once.
        """
        self._assert_is_not_closed()
        lanes = self._lanes(env_id)
        mask = np.zeros(self.env_num, np.bool_)
        mask[lanes] = True
        obs, _ = self.envs.reset(seed=[seed] * self.env_num, options={**(options or {}), "reset_mask": mask})
        infos = np.empty(len(lanes), np.object_)
        infos[:] = [{"env_id": lane} for lane in lanes.tolist()]
        return obs[lanes], infos

    def step(self, action: Any, id: Any = None) -> tuple[Array, Array, Array, Array, Array]:
        """Step all lanes, or those named while the others stand still.

        Args:
            action: integers (M,), as an array or a tensor.
            id: one lane or several, all different; None = all.

        Returns:
            As `PartialVectorEnv.step_some`.

        Raises:
            TypeError, ValueError: for a bad action or lane; no lane has moved.
            gymnasium.error.ResetNeeded: before the first reset and for a lane that has ended.
        """
        self._assert_is_not_closed()
        return self.envs.step_some(self._lanes(id), np.asarray(action))

    def seed(self, seed: int | list[int] | None = None) -> list[list[int | None]]:
        """Begin episode 0 of the lanes keyed by `seed` (lane i: seed + i, or entry i); the next reset begins episode 1.

        Returns:
            The seed of each lane.

        Raises:
            TypeError, ValueError: for a bad seed; nothing has changed.
        """
        self._assert_is_not_closed()
        seeds = checked_seeds(seed, self.env_num)
        self.envs.reset(seed=seeds)
        for space, lane_seed in zip(self._action_spaces, seeds, strict=True):
            space.seed(lane_seed)
        return [[lane_seed] for lane_seed in seeds]

    def get_env_attr(self, key: str, id: Any = None) -> list[Any]:
        """An attribute of the environment, once for each lane named; spaces are those of one lane.

        Raises:
            AttributeError: if there is none.
        """
        self._assert_is_not_closed()
        lanes = self._lanes(id).tolist()
        if key == "action_space":
            return [self._action_spaces[lane] for lane in lanes]
        value = self.envs.single_observation_space if key == "observation_space" else getattr(self.envs, key)
        return [value] * len(lanes)

    def set_env_attr(self, key: str, value: Any, id: Any = None) -> None:
        """Refused: the lanes are one environment, whose options are those it was made with.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{key!r} cannot be set: the lanes are one environment; pass options when making it")

    def render(self, **kwargs: Any) -> list[Any]:
        """One picture or text per lane; None under `"human"` and without a render mode."""
        self._assert_is_not_closed()
        return list(self.envs.render() or [None] * self.env_num)

    def close(self) -> None:
        """Free what the environment holds."""
        self._assert_is_not_closed()
        self.envs.close()
        self.is_closed = True

    def _lanes(self, id: Any) -> Array:
        """Lanes int64 (M,) from one, several or None, which stands for all.

        Raises:
            TypeError, ValueError: for anything else.
        """
        if id is None:
            return np.arange(self.env_num)
        lanes = np.atleast_1d(np.asarray(id))
        allowed = f"different integers in [0, {self.env_num - 1}]"
        if lanes.dtype.kind not in "iu":
            raise TypeError(f"id must be None or {allowed}, got {id!r}")
        if lanes.ndim != 1 or ((lanes < 0) | (lanes >= self.env_num)).any() or len(set(lanes.tolist())) != lanes.size:
            raise ValueError(f"id must be None or {allowed}, got {id!r}")
        return lanes.astype(np.int64)
