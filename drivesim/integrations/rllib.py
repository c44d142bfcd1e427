"""RLlib: every environment in Tune's registry, where the processes of a cluster find it.

register()
config = PPOConfig().environment("drivesim/Highway-v1", env_config={"observation": "features"})
config.env_runners(gym_env_vectorize_mode="vector_entry_point", num_envs_per_env_runner=32)
config.callbacks(on_episode_end=log_episode)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from ray.tune.registry import register_env

import drivesim  # noqa: F401 (registers the environments with Gymnasium, in every process)
from drivesim.checks import boolean, checked_mode
from drivesim.infos import INFO_KEYS
from drivesim.registry import ids

__all__ = ["SpreadSeeds", "log_episode", "make_env", "register"]

LOGGED = tuple(key for key in INFO_KEYS if key not in ("episode_length", "episode_return", "level_seed"))


class SpreadSeeds(VectorWrapper):
    """Turns the one seed of a reset into unrelated seeds, one per env.

    RLlib resets its runner number w with `seed + w`, and env i of a vector environment takes `seed + i`: runners
    would drive nearly the same levels, each one env further on.
    """

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset with env i seeded `numpy.random.SeedSequence(seed).generate_state(num_envs, numpy.uint64)[i]`."""
        if isinstance(seed, int):
            seed = np.random.SeedSequence(seed).generate_state(self.num_envs, np.uint64).tolist()
        return self.env.reset(seed=seed, options=options)


def make_env(env_id: str, context: Mapping[str, Any]) -> gym.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """The environment of an RLlib runner: a single one, or with `num_envs` in the context a vector environment.

    Args:
        env_id: such as `"drivesim/Highway-v1"`.
        context: the options of the environment, which are RLlib's `env_config`. RLlib adds `num_envs` under
            `gym_env_vectorize_mode="vector_entry_point"`; `num_threads` is then 1 unless given, since Ray plans with
            one processor per runner, and envs get their seeds from `SpreadSeeds`.

    Raises:
        TypeError, ValueError: for a bad option; and for `autoreset_mode` other than `NEXT_STEP`, which RLlib takes for
            granted without looking, or `copy=False`, since RLlib keeps the observations it is given.
    """
    options = dict(context)
    num_envs = options.pop("num_envs", None)
    if num_envs is None:
        return gym.make(env_id, **options)
    mode = checked_mode(options.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode is not AutoresetMode.NEXT_STEP:
        raise ValueError(f"autoreset_mode must be NEXT_STEP under RLlib, which assumes it, got {mode}")
    if not boolean("copy", options.get("copy", True)):
        raise ValueError("copy must be True under RLlib, which keeps the observations it is given, got False")
    options.setdefault("num_threads", 1)
    return SpreadSeeds(gym.make_vec(env_id, num_envs, vectorization_mode="vector_entry_point", **options))


def register() -> tuple[str, ...]:
    """Make every environment known to Ray under its id, on all machines of the cluster; may be called again.

    Returns:
        The ids, for `AlgorithmConfig.environment`.
    """
    known = ids()
    for env_id in known:
        register_env(env_id, partial(make_env, env_id))
    return known


def log_episode(*, episode: Any, env_runner: Any, metrics_logger: Any, **kwargs: Any) -> None:
    """A callback, `on_episode_end`: how the episode went, as means such as `result["env_runners"]["success"]`.

    They are the keys of `core.episode.EPISODE`, less those RLlib has a name for, over as many of the latest episodes as
    RLlib's own `episode_return_mean`.
    """
    info = episode.get_infos(-1)
    window = env_runner.config.metrics_num_episodes_for_smoothing
    for key in LOGGED:
        metrics_logger.log_value(key, float(info[key]), reduce="mean", window=window)
