"""The vector environment: N worlds, one compiled loop, no subprocesses."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from drivesim.checks import (
    LIST_MODES,
    MODES,
    RENDER_MODES,
    boolean,
    checked_actions,
    checked_mode,
    checked_num_threads,
    checked_render_mode,
    checked_reset_options,
    checked_seeds,
    checked_time_limit,
    integer,
    whole,
)
from drivesim.config import EnvConfig, RewardWeights
from drivesim.core.world import ENDED
from drivesim.engine import Array, Engine
from drivesim.env import MAX_LEVEL_SEED
from drivesim.infos import infos_of, levels_of
from drivesim.registry import entry_of
from drivesim.render.view import DEFAULT_SIZE
from drivesim.rendering import RENDER_FPS, Renderer

MAX_NUM_ENVS = 2**20
ENV_METHODS = ("render", "observe", "action_masks", "level_text")  # those that answer once per env


class DriveVectorEnv(VectorEnv[Array, Array, Array]):
    """Many egos, each in a world of its own, through Gymnasium's vector interface.

    Args:
        scenario: name in the registry; `gym.make_vec` passes it.
        num_envs: envs, 1 … 2**20.
        max_episode_steps: time limit; None = the registered one, -1 = none. An env that terminates on its last step
            is truncated too, as with Gymnasium's `TimeLimit`.
        autoreset_mode: `NEXT_STEP` (default), `SAME_STEP` or `DISABLED`, as enum or string.
        num_threads: threads, None = one per processor; never more than one per 256 envs. Results do not depend
            on it.
        copy: whether every call returns fresh arrays. With False, `obs`, `rewards`, `terminations`, `truncations`
            and `final_obs` are the environment's own buffers, which the next step or reset overwrites; infos are
            fresh in either case.
        render_mode: None, `"human"` (a window with a grid of the envs), `"rgb_array"`, `"ansi"`, or one of these two
            with `_list`: `render()` hands over, for every env, its pictures since its reset or the last `render()`.
        render_size: pixels along the longer side of a picture, at most.
        observation, window, …, levels, **level: all others are as in `drivesim.env.DriveEnv`.

    Env i of `reset(seed=s)` is, step by step and over any number of episodes, the single environment seeded s + i.
    Rewards are float64, ends bool. `infos` is empty unless an episode has ended in this step: then it holds the keys
    of `core.episode.EPISODE`, each with its `_key` mask; under SAME_STEP these are in `final_info`, beside the dense
    array `final_obs` (0 in other envs) with the mask `_final_obs`. Under `reward="cost"` every step has `cost`.

    Raises:
        TypeError, ValueError: for an option that is unknown, of a wrong type or out of range.
    """

    def __init__(
        self,
        scenario: str,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        num_threads: int | None = None,
        copy: bool = True,
        render_mode: str | None = None,
        render_size: int = DEFAULT_SIZE,
        observation: str | None = None,
        window: tuple[int, int, int] | None = None,
        all_planes: bool = False,
        num_entities: int | None = None,
        all_actions: bool = False,
        difficulty: str = "medium",
        split: str = "train",
        num_levels: int | None = None,
        reward: str = "route",
        reward_weights: RewardWeights | dict[str, float] | None = None,
        traffic: str | None = None,
        dawdle: float | None = None,
        levels: Any = None,
        **level: int,
    ) -> None:
        self.num_envs = whole("num_envs", num_envs, 1, MAX_NUM_ENVS)
        self.autoreset_mode = checked_mode(autoreset_mode)
        self.render_mode = checked_render_mode(render_mode, (*RENDER_MODES, *LIST_MODES))
        self._copies = boolean("copy", copy)
        max_steps = checked_time_limit(max_episode_steps, entry_of(scenario).max_episode_steps)
        threads = checked_num_threads(num_threads)
        self.config = EnvConfig(
            scenario=scenario,
            observation=observation,
            window=window,
            all_planes=all_planes,
            num_entities=num_entities,
            all_actions=all_actions,
            difficulty=difficulty,
            split=split,
            num_levels=num_levels,
            reward=reward,
            reward_weights=reward_weights,  # type: ignore[arg-type]
            traffic=traffic,
            dawdle=dawdle,
            level=level,
            levels=levels,
        )
        mode = MODES[self.autoreset_mode]
        self._engine = Engine(self.config, self.num_envs, mode, self.config.max_steps(max_steps), threads)
        self._renderer = Renderer(self._engine, self.render_mode, render_size, entry_of(scenario).id)
        self.metadata = {
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self._engine.observation_space
        self.single_action_space = gym.spaces.Discrete(self._engine.num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._is_disabled = self.autoreset_mode is AutoresetMode.DISABLED
        self._has_cost = self.config.reward == "cost"
        self._actions = np.zeros(self.num_envs, np.int64)
        self._obs = np.zeros((self.num_envs, *self._engine.obs_shape), self._engine.obs_dtype)
        self._final_obs = np.zeros_like(self._obs) if self.autoreset_mode is AutoresetMode.SAME_STEP else None
        self._rewards = np.zeros(self.num_envs, np.float64)
        self._terminations, self._truncations, self._ended, self._has_final_obs = np.zeros((4, self.num_envs), np.bool_)
        self._is_started = self._is_stepping = False
        self._spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that `gym.make_vec` made this from, in terms of JSON."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None:
            spec.kwargs = self.config.spec_kwargs(spec.kwargs)
        self._spec = spec

    # --- seeds and resets --------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode in all envs, or in those of `options["reset_mask"]`.

        Args:
            seed: an integer (env i gets seed + i) or one entry per env; a seeded env begins its episode 0, one
                with None its next. Integers of any size.
            options: `reset_mask` (bool (N,)), `level_seed` (one or N integers) and `level_seeds` (bool: whether infos
                have `level_seed`, int64 (N,), of the episodes that begin). The dict is left as it was.

        Raises:
            TypeError, ValueError: for a bad seed or option; nothing has changed.
            gymnasium.error.ResetNeeded: for a mask before all envs were reset once.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        seeds = checked_seeds(seed, self.num_envs)
        mask, level_seeds, tells_levels = checked_reset_options(options, self.num_envs, MAX_LEVEL_SEED)
        if not self._is_started and not mask.all():
            raise gym.error.ResetNeeded("reset all envs before resetting some of them with reset_mask")
        first = integer(seed)
        if first is not None:
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(first)
        self._engine.key_worlds(mask, seeds)
        self._is_started = False  # until all levels have been certified
        obs = self._engine.empty_obs() if self._copies else self._obs
        self._engine.reset(mask, level_seeds, obs)
        self._ended &= ~mask
        self._is_started = True
        self._renderer.follow(mask)
        return obs, levels_of(self._engine.worlds, mask) if tells_levels else {}

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step every env.

        Args:
            actions: integers (N,) in [0, num_actions). Under NEXT_STEP an env whose episode ended in the step before
                ignores its action, begins the next episode and returns a reward of 0.

        Returns:
            obs (N, *obs_shape), rewards float64 (N,), terminations bool (N,), truncations bool (N,), infos.

        Raises:
            TypeError, ValueError: for bad actions; no env has moved.
            gymnasium.error.ResetNeeded: before the first reset, and under DISABLED for an env that has ended.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        checked_actions(actions, self._engine.num_actions, self._actions)
        if not self._is_started:
            raise gym.error.ResetNeeded("call reset() before step()")
        if self._is_disabled and self._ended.any():
            i = int(np.flatnonzero(self._ended)[0])
            raise gym.error.ResetNeeded(f"env {i} has ended: reset it with options={{'reset_mask': ...}}")
        return self._told(self._advance())

    def _advance(self) -> tuple[Array, Array, Array, Array]:
        """Step every env with the actions at hand, but for the episodes that begin: obs, rewards and ends."""
        answer = self._obs, self._rewards, self._terminations, self._truncations
        if self._copies:
            answer = tuple(np.empty_like(array) for array in answer)  # type: ignore[assignment]
        self._is_stepping = True
        self._engine.advance(self._actions, *answer, self._final_obs)
        return answer

    def _told(self, answer: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """The answer of a step, once the episodes that begin in it have begun."""
        self._begin()
        np.logical_or(*answer[2:], out=self._ended)
        infos = infos_of(self._engine, self._ended.copy(), self._shown_final_obs(), self._has_cost)
        self._is_stepping = False
        self._renderer.follow()
        return *answer, infos

    def _begin(self) -> None:
        """Begin the episodes that begin in a step."""
        try:
            self._engine.settle()
        except gym.error.Error:  # some env has ended and could not begin anew
            self._is_started = self._is_stepping = False
            raise

    def _settle(self) -> None:
        """Make good what an interrupt has kept a step from: episodes begin, and ends are noticed."""
        if self._is_stepping:
            self._begin()
            self._ended = self._engine.worlds["stage"] == ENDED
            self._has_final_obs[:] = True
            self._is_stepping = False

    def _shown_final_obs(self) -> Array | None:
        """Under SAME_STEP the last observations (N, *obs_shape) of the episodes that have ended, 0 elsewhere."""
        if self._final_obs is None or not self._ended.any():
            return None
        if self._copies:
            final_obs = np.zeros_like(self._final_obs)
            final_obs[self._ended] = self._final_obs[self._ended]
            return final_obs
        self._final_obs[self._has_final_obs & ~self._ended] = 0
        self._has_final_obs = self._ended.copy()
        return self._final_obs

    # --- states ------------------------------------------------------------------------------------------------------

    def get_state(self) -> Array:
        """A copy of the worlds, (N,) records, with all that a continuation needs.

        That is key, episode, tick and pending autoreset; the options are not part of it.
        """
        self._settle()
        return self._engine.get_state()

    def set_state(self, state: Array, mask: Array | None = None) -> None:
        """Restore the envs in `mask` (all, if None) from a state of an environment with the same options, exactly.

        Raises:
            TypeError, ValueError: if it is no such state; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        self._engine.set_state(state, mask)
        self._ended = self._engine.worlds["stage"] == ENDED
        self._is_started = self._engine.is_started

    def fork(self, index: int, num: int, rekey: bool = True) -> Array:
        """`num` copies (num,) of the state of env `index`, for `set_state`.

        Args:
            index: the env.
            num: copies.
            rekey: whether each copy gets a future of its own; with False all continue alike.

        Raises:
            TypeError, ValueError: if `index` is no env or `num` is out of range.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        index = whole("index", index, 0, self.num_envs - 1)
        num = whole("num", num, 1, MAX_NUM_ENVS)
        rekey = boolean("rekey", rekey)
        self._check_started("fork")
        return self._engine.fork(index, num, rekey)

    def level_text(self) -> tuple[str, ...]:
        """The levels of the running episodes as texts, one per env; as `drivesim.env.DriveEnv.level_text`."""
        self._check_started("level_text")
        return tuple(self._engine.level_text(i) for i in range(self.num_envs))

    def observe(self) -> Array:
        """The observations (N, *obs_shape) of the state as it is, without a step.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("observe")
        obs = self._engine.empty_obs() if self._copies else self._obs
        self._engine.observe(obs)
        return obs

    def action_masks(self) -> Array:
        """Bool (N, num_actions): which actions do something that IDLE does not; IDLE itself is true.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("action_masks")
        return self._engine.action_masks()

    def _check_open(self) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError("this environment was closed")
        self._settle()

    def _check_started(self, method: str) -> None:
        self._check_open()
        if not self._is_started:
            raise gym.error.ResetNeeded(f"call reset() before {method}()")

    # --- the rest of the interface -----------------------------------------------------------------------------------

    def render(self) -> tuple[Any, ...] | None:
        """One picture or text per env, as Gymnasium's wrappers expect; `render_grid` gives one picture of all.

        None without a render mode, and under `"human"`, whose window is up to date.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        frames = tuple(self._renderer.render(i) for i in range(self.num_envs if self.render_mode else 1))
        return None if frames[0] is None else frames

    def render_grid(self, columns: int | None = None) -> Array:
        """The envs side by side in one picture, uint8 (H, W, 3); of more than 64 envs the first.

        Args:
            columns: envs in a row; None = as many as make the picture most like a square.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if columns is not None:
            columns = whole("columns", columns, 1, MAX_NUM_ENVS)
        self._check_started("render_grid")
        return self._renderer.render_grid(columns)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Every env's answer to a method or attribute, as `SyncVectorEnv.call` does.

        Raises:
            AttributeError: if there is none, or if it is a method that does not answer for each env.
        """
        value = getattr(self, name)
        if not callable(value):
            return (value,) * self.num_envs
        if name not in ENV_METHODS:
            raise AttributeError(f"call() knows the methods {list(ENV_METHODS)}, got {name!r}")
        answer = value(*args, **kwargs)
        return (None,) * self.num_envs if answer is None else tuple(answer)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute, once per env.

        Raises:
            AttributeError: if there is none.
        """
        value = getattr(self, name)
        return (value,) * self.num_envs

    def set_attr(self, name: str, values: Any) -> None:
        """Refused: what `SyncVectorEnv` sets are attributes of its envs' objects, and there are none here.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"envs have no attributes to set, got {name!r}: use make_vec's options or set_state")

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the threads and close the window."""
        if hasattr(self, "_renderer"):  # some versions of Gymnasium close what was never built
            self._renderer.close()
            self._engine.close()
