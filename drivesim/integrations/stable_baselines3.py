"""Stable-Baselines3 (with its contrib package and SBX): the native batch of envs as its vector environment.

from stable_baselines3 import PPO
from drivesim.integrations.stable_baselines3 import make_vec_env
model = PPO("MlpPolicy", make_vec_env("drivesim/Obstacles-v1", n_envs=256, seed=0, observation="features"))
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from drivesim.checks import checked_level_seeds, checked_options
from drivesim.engine import Array
from drivesim.env import MAX_LEVEL_SEED
from drivesim.infos import INFO_KEYS
from drivesim.registry import ids
from drivesim.vector_env import ENV_METHODS, DriveVectorEnv

ENTRY_POINT = f"{DriveVectorEnv.__module__}:{DriveVectorEnv.__qualname__}"
SINGLE_NAMES = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


def make_vec_env(env_id: str, n_envs: int = 1, *, seed: int | None = None, **options: Any) -> SB3VecEnv:
    """Make the envs that `DummyVecEnv([lambda: gym.make(env_id, **options)] * n_envs)` would hold, as one batch.

    Args:
        env_id: an environment of drivesim.
        n_envs: envs.
        seed: env i begins with episode 0 of seed + i; None takes fresh entropy.
        **options: those of `drivesim.vector_env.DriveVectorEnv` but for `autoreset_mode` and `copy`.

    Raises:
        TypeError, ValueError: for an id or option that is unknown, of a wrong type or out of range.
        gymnasium.error.Error: for an id that nobody registered.
    """
    if gym.spec(env_id).vector_entry_point != ENTRY_POINT:
        raise ValueError(f"env_id must be an environment of drivesim, one of {list(ids())}, got {env_id!r}")
    for name in ("autoreset_mode", "copy"):
        if name in options:
            raise TypeError(f"{name} is what Stable-Baselines3 needs and cannot be chosen, got {options[name]!r}")
    mode = AutoresetMode.SAME_STEP.value
    envs: Any = gym.make_vec(env_id, num_envs=n_envs, autoreset_mode=mode, copy=False, **options)
    venv = SB3VecEnv(envs)
    if seed is not None:
        venv.seed(seed)
    return venv


class SB3VecEnv(VecEnv):  # type: ignore[misc]  # the library may be absent where types are checked
    """A `DriveVectorEnv` as Stable-Baselines3's `VecEnv`, equal to a `DummyVecEnv` of the same envs.

    Args:
        envs: the batch, with `autoreset_mode="SameStep"`; `copy=False` saves a copy. It stays reachable as `envs`.

    An env whose episode ended holds in its info, as the library expects, `terminal_observation`,
    `TimeLimit.truncated` (cut by the time limit and not terminated), `is_success` and `episode` (`r` the return, `l`
    the length), beside the keys of `core.episode.EPISODE`. Other infos are empty, but for `cost` under `reward="cost"`;
    every one is a dict of its own. What a step returns is never written to again. `reset_infos` are empty dicts.

    The envs are not objects, so there is nothing to wrap or to reach into: `env_method` knows the methods that
    answer for each env (`action_masks`, `observe`, `render`), and `set_attr` keeps values for `get_attr` but changes
    none of the batch's own.

    Raises:
        TypeError: if `envs` is no `DriveVectorEnv`.
        ValueError: if its autoreset mode is another.
    """

    def __init__(self, envs: DriveVectorEnv) -> None:
        if not isinstance(envs, DriveVectorEnv):
            raise TypeError(f"envs must be a DriveVectorEnv, as gym.make_vec returns it, got {envs!r}")
        if envs.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"autoreset_mode must be {AutoresetMode.SAME_STEP.value!r}, got {envs.autoreset_mode!r}")
        self.envs = envs
        self._actions: Any = None
        self._is_started = False
        self._own: list[dict[str, Any]] = [{} for _ in range(envs.num_envs)]  # what `set_attr` gave each env
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.metadata = envs.metadata

    def reset(self) -> Array:
        """Begin an episode in every env, with what `seed` and `set_options` left for it; obs (N, *obs_shape).

        Raises:
            TypeError, ValueError: for a bad seed, or options that are no dicts with at most a `level_seed` for all
                envs; nothing has changed.
        """
        if len(self._options) != self.num_envs:
            raise ValueError(f"options must be one dict or a list of {self.num_envs}, got {len(self._options)}")
        options = [checked_options(entry, ("level_seed",)) for entry in self._options]
        is_given = np.array(["level_seed" in entry for entry in options])
        wanted = [entry.get("level_seed", 0) for entry in options]
        level_seeds = checked_level_seeds(wanted, self.num_envs, MAX_LEVEL_SEED)
        if not is_given.all():
            # One reset asks for a level in all of its envs or in none. A batch must first begin as a whole; the envs
            # that are then begun twice get their seed twice, and so begin episode 0 all the same.
            mask = {"reset_mask": ~is_given} if self._is_started else None
            obs, _ = self.envs.reset(seed=self._seeds, options=mask)
        if is_given.any():
            obs, _ = self.envs.reset(seed=self._seeds, options={"reset_mask": is_given, "level_seed": level_seeds})
        self._is_started = True
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return obs.copy()

    def step_async(self, actions: Array) -> None:
        """Take the actions (N,) of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Step every env; one whose episode ended has begun the next.

        Returns:
            obs (N, *obs_shape), rewards float32 (N,), dones bool (N,), infos: N dicts.

        Raises:
            TypeError, ValueError: for bad actions; no env has moved.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        obs, rewards, terminations, truncations, batch_infos = self.envs.step(self._actions)
        dones = terminations | truncations
        infos: list[dict[str, Any]]
        if "cost" in batch_infos:
            infos = [{"cost": cost} for cost in batch_infos["cost"].tolist()]
        else:
            infos = [{} for _ in range(self.num_envs)]
        if "final_info" in batch_infos:
            ended = np.flatnonzero(dones)
            final_obs = batch_infos["final_obs"][ended]  # a copy
            is_cut = (truncations & ~terminations)[ended].tolist()
            summary = batch_infos["final_info"]
            rows = zip(*(summary[key][ended].tolist() for key in INFO_KEYS), strict=True)
            for index, last_obs, cut, row in zip(ended.tolist(), final_obs, is_cut, rows, strict=True):
                info = infos[index]
                info.update(zip(INFO_KEYS, row, strict=True))
                info["terminal_observation"] = last_obs
                info["TimeLimit.truncated"] = cut
                info["is_success"] = info["success"]
                info["episode"] = {"r": info["episode_return"], "l": info["episode_length"]}
        # The learners store the observations they acted on only after the next step, which overwrites the batch's.
        return obs.copy(), rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Free what the batch holds; may be called again."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the given envs: what `set_attr` gave them, else the batch's.

        A method that answers for each env comes as a function per env.

        Raises:
            AttributeError: if there is none, or if it is a method that does not answer for each env.
        """
        return [
            self._own[index][attr_name] if attr_name in self._own[index] else self._of_batch(attr_name, index)
            for index in self._get_indices(indices)
        ]

    def _of_batch(self, name: str, index: int) -> Any:
        """An attribute of an env that `get_attr` finds in the batch."""
        if name in ENV_METHODS:
            return partial(self._answer_of, index, name)
        value = getattr(self.envs, SINGLE_NAMES.get(name, name))
        if callable(value):
            raise AttributeError(f"the envs have the methods {list(ENV_METHODS)}, got {name!r}")
        return value

    def _answer_of(self, index: int, name: str) -> Any:
        """One env's answer to one of `ENV_METHODS`."""
        return self.env_method(name, indices=index)[0]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Keep a value of the caller's with the given envs, for `get_attr`.

        Raises:
            AttributeError: for a name of the batch's own: options are chosen when it is made.
        """
        if hasattr(self.envs, attr_name):
            raise AttributeError(f"{attr_name!r} belongs to the batch, whose options are chosen when it is made")
        for index in self._get_indices(indices):
            self._own[index][attr_name] = value

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Answers of the given envs to `action_masks`, `observe` or `render`.

        Raises:
            AttributeError: for another name.
        """
        if method_name not in ENV_METHODS:
            raise AttributeError(f"the envs have the methods {list(ENV_METHODS)}, got {method_name!r}")
        answers = self.envs.call(method_name, *method_args, **method_kwargs)
        if method_name == "observe":
            answers = tuple(np.array(answers))  # a copy, since the batch's own is written to in the next step
        return [answers[index] for index in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None) -> list[bool]:
        """False for every env: none has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> list[Array | None]:
        """One picture per env, uint8 (H, W, 3), with `render_mode="rgb_array"`; else None, and a warning."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"render_mode must be 'rgb_array' for images, got {self.render_mode!r}", stacklevel=2)
            return [None for _ in range(self.num_envs)]
        return list(self.envs.call("render"))
