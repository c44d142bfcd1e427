"""Several egos in one world: worlds x egos as the envs of a vector environment.

    envs = drivesim.parallel_vec_env("drivesim/Highway-v1", num_worlds=64, num_agents=8)  # 512 envs
    obs, infos = envs.reset(seed=0)
    obs, rewards, terminated, truncated, infos = envs.step(actions)
    learn_from = infos["is_real"]

Env w * num_agents + a is ego a of world w. Egos of a world start together; an ego whose drive has ended is gone and its
env waits until the drives of all have ended, when the world begins its next episode.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from drivesim.checks import (
    RENDER_MODES,
    checked_actions,
    checked_num_threads,
    checked_render_mode,
    checked_seeds,
    checked_time_limit,
    whole,
)
from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.world import GOING
from drivesim.engine import Array, Engine
from drivesim.infos import summary_of
from drivesim.registry import Entry, entries, scenario_of
from drivesim.render.view import DEFAULT_SIZE
from drivesim.rendering import RENDER_FPS, Renderer

MAX_NUM_WORLDS = 2**17


def multi_agent_config(env_id: str, num_agents: int, options: dict[str, Any]) -> tuple[Entry, EnvConfig, int]:
    """The entry of an id, the configuration, and the number of egos.

    Raises:
        TypeError, ValueError: for an id without room for so many egos, a bad number or a bad option.
    """
    able = [entry for entry in entries() if scenario_of(entry.name).max_egos > 1]
    ids = [entry.id for entry in able]
    if env_id not in ids:
        raise ValueError(f"env_id must be one of {ids}, which have room for several egos, got {env_id!r}")
    entry = able[ids.index(env_id)]
    names = {option.name for option in fields(EnvConfig) if option.init} - {"scenario", "level"}
    own = {name: options[name] for name in names if name in options}
    config = EnvConfig(entry.name, **own, level={name: value for name, value in options.items() if name not in names})
    return entry, config, whole("num_agents", num_agents, 1, config.scenario_class.max_egos)


class MultiAgentVectorEnv(VectorEnv[Array, Array, Array]):
    """Egos that share worlds, through Gymnasium's vector interface.

    Args:
        env_id: such as `drivesim/Highway-v1`: one with room for several egos.
        num_worlds: W, 1 … 2**17.
        num_agents: A, egos in every world, 1 … 8, in City and Custom 32.
        max_episode_steps: time limit of a world; None = the registered one, -1 = none.
        num_threads: as in `drivesim.vector_env.DriveVectorEnv`.
        render_mode: None, `"human"`, `"rgb_array"` or `"ansi"`; one picture per world.
        render_size: pixels along the longer side of a picture, at most.
        **options: as in `drivesim.env.DriveEnv`.

    Its autoreset is that of `SAME_STEP`, world by world: when the last drive of a world ends, the world begins its next
    episode in that step. `terminations` and `truncations` are true in the one row in which an ego's drive ends, and
    `infos["final_obs"]` holds what that ego saw then. Every step's `infos` has `is_real` (bool (W * A,)), false in the
    rows of an ego whose drive had ended before, and `starts`, true where `obs` begins an episode.

    Raises:
        TypeError, ValueError: for an option that is unknown, of a wrong type or out of range.
    """

    def __init__(
        self,
        env_id: str,
        num_worlds: int,
        num_agents: int,
        *,
        max_episode_steps: int | None = None,
        num_threads: int | None = None,
        render_mode: str | None = None,
        render_size: int = DEFAULT_SIZE,
        **options: Any,
    ) -> None:
        entry, self.config, self.num_agents = multi_agent_config(env_id, num_agents, options)
        self.num_worlds = whole("num_worlds", num_worlds, 1, MAX_NUM_WORLDS)
        self.num_envs = self.num_worlds * self.num_agents
        self.autoreset_mode = AutoresetMode.SAME_STEP
        self.render_mode = checked_render_mode(render_mode)
        self.metadata = {
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        max_steps = checked_time_limit(max_episode_steps, entry.max_episode_steps)
        threads = checked_num_threads(num_threads)
        max_steps = self.config.max_steps(max_steps)
        self._engine = Engine(self.config, self.num_worlds, batch.SAME_STEP, max_steps, threads, self.num_agents)
        self._renderer = Renderer(self._engine, self.render_mode, render_size, entry.id)
        self.single_observation_space = self._engine.observation_space
        self.single_action_space = gym.spaces.Discrete(self._engine.num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._actions = np.zeros(self.num_envs, np.int64)
        self._is_started = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode in every world.

        Args:
            seed: an integer (world w gets seed + w) or one entry per world, as in `DriveVectorEnv.reset`.
            options: none.

        Raises:
            TypeError, ValueError: for a bad seed or option; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        if options:
            raise ValueError(f"options must be empty, got {options!r}")
        seeds = checked_seeds(seed, self.num_worlds)
        everywhere = np.ones(self.num_worlds, np.bool_)
        self._engine.key_worlds(everywhere, seeds)
        self._is_started = False
        obs = self._engine.empty_obs()
        self._engine.reset(everywhere, np.full(self.num_worlds, -1, np.int64), obs)
        self._is_started = True
        if self._renderer.is_human:
            self._renderer.show_worlds()
        return obs, {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step every world.

        Args:
            actions: integers (W * A,) in [0, num_actions); those of egos that wait are ignored.

        Returns:
            obs (W * A, *obs_shape), rewards float64, terminations, truncations and infos.

        Raises:
            TypeError, ValueError: for bad actions; nothing has moved.
            gymnasium.error.ResetNeeded: before the first reset.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        checked_actions(actions, self._engine.num_actions, self._actions)
        if not self._is_started:
            raise gym.error.ResetNeeded("call reset() before step()")
        is_real = self.is_driving
        episodes = self._engine.worlds["episode"].copy()
        obs = self._engine.empty_obs()
        final_obs = np.zeros(obs.shape, obs.dtype)
        rewards = np.empty(self.num_envs, np.float64)
        terminations, truncations = np.empty(self.num_envs, np.bool_), np.empty(self.num_envs, np.bool_)
        self._engine.advance(self._actions, obs, rewards, terminations, truncations, final_obs)
        self._begin()
        ended = terminations | truncations
        infos: dict[str, Any] = {
            "is_real": is_real,
            "starts": np.repeat(self._engine.worlds["episode"] != episodes, self.num_agents),
        }
        if self.config.reward == "cost":
            infos["cost"] = np.where(is_real, self._engine.costs, 0.0)
        if ended.any():
            summary = summary_of(self._engine.episodes, ended)
            infos |= {"final_obs": final_obs, "_final_obs": ended, "final_info": summary, "_final_info": ended}
        if self._renderer.is_human:
            self._renderer.show_worlds()
        return obs, rewards, terminations, truncations, infos

    @property
    def is_driving(self) -> Array:
        """Bool (W * A,): whose drive goes on."""
        self._begin()
        driving: Array = (self._engine.worlds["egos"]["drive"][:, : self.num_agents] == GOING).reshape(-1)
        return driving

    def get_state(self) -> Array:
        """A copy of the worlds (W,), with all that a continuation needs."""
        self._begin()
        return self._engine.get_state()

    def set_state(self, state: Array, mask: Array | None = None) -> None:
        """Restore the worlds in `mask` (W,) (all, if None), exactly; as in `DriveVectorEnv.set_state`."""
        self._check_open()
        self._engine.set_state(state, mask)
        self._is_started = self._engine.is_started

    def level_text(self) -> tuple[str, ...]:
        """The levels of the running episodes as texts, one per world; as in `drivesim.env.DriveEnv.level_text`.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("level_text")
        return tuple(self._engine.level_text(world) for world in range(self.num_worlds))

    def observe(self) -> Array:
        """The observations (W * A, *obs_shape) of the state as it is, without a step.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("observe")
        obs = self._engine.empty_obs()
        self._engine.observe(obs)
        return obs

    def action_masks(self) -> Array:
        """Bool (W * A, num_actions): which actions do something that IDLE does not; IDLE itself is true.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("action_masks")
        return self._engine.action_masks()

    def render(self) -> tuple[Any, ...] | None:
        """One picture or text per world.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_open()
        frames = tuple(self._renderer.render(world) for world in range(self.num_worlds if self.render_mode else 1))
        return None if frames[0] is None else frames

    def _begin(self) -> None:
        """Begin the episodes that begin in a step: those that an interrupt has left, too."""
        try:
            self._engine.settle()
        except gym.error.Error:
            self._is_started = False  # some world has ended and could not begin anew
            raise

    def _check_open(self) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError("this environment was closed")
        self._begin()

    def _check_started(self, method: str) -> None:
        self._check_open()
        if not self._is_started:
            raise gym.error.ResetNeeded(f"call reset() before {method}()")

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the threads and close the window."""
        if hasattr(self, "_renderer"):
            self._renderer.close()
            self._engine.close()
