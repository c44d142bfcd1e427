"""Several environments as one batch: one observation space, one action space, one driver for all roads.

    envs = drivesim.make_mixed_vec({"drivesim/Highway-v1": 512, "drivesim/Intersection-v1": 512})
    obs, infos = envs.reset(seed=0)  # (1024, 100)
    envs.env_ids[envs.env_index[700]]  # "drivesim/Intersection-v1"

It is composed of the vector environments of its ids, one after the other in the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from drivesim.checks import (
    boolean,
    checked_actions,
    checked_mode,
    checked_reset_options,
    checked_seeds,
    chosen,
    integer,
    whole,
)
from drivesim.engine import Array
from drivesim.env import MAX_LEVEL_SEED
from drivesim.infos import merged
from drivesim.observations import ENCODERS
from drivesim.ranges import uninterrupted
from drivesim.registry import entry_of_id, ids, is_registered, scenario_of
from drivesim.rendering import RENDER_FPS
from drivesim.vector_env import MAX_NUM_ENVS, DriveVectorEnv

OBSERVATIONS = tuple(name for name in ENCODERS if name != "full_grid")  # those that can be alike everywhere
RENDER_MODES = ("rgb_array", "ansi")
OF_ALL = (
    *("observation", "window", "all_planes", "num_entities", "all_actions"),
    *("autoreset_mode", "copy", "render_mode", "reward"),
)
"""Options that must be the same for all ids."""


def checked_parts(counts: Any) -> dict[str, tuple[int, dict[str, Any]]]:
    """For every id its number of envs and its own options.

    Raises:
        TypeError, ValueError: naming what is wrong.
    """
    if not isinstance(counts, Mapping) or not counts:
        raise TypeError(
            f"counts must be a dict with a number of envs, or a dict of num_envs and options, for at least one id, "
            f"got {counts!r}"
        )
    parts = {}
    for env_id, value in counts.items():
        if not isinstance(env_id, str) or not is_registered(env_id):
            raise ValueError(f"counts must have ids of {list(ids())}, got {env_id!r}")
        options = dict(value) if isinstance(value, Mapping) else {"num_envs": value}
        if "num_envs" not in options:
            raise ValueError(f"counts[{env_id!r}] must have num_envs, got {value!r}")
        num_envs = whole(f"num_envs of {env_id}", options.pop("num_envs"), 1, MAX_NUM_ENVS)
        for name in OF_ALL:
            if name in options:
                raise ValueError(f"{name} must be the same for all ids, got {options[name]!r} for {env_id}")
        parts[env_id] = num_envs, options
    total = sum(num_envs for num_envs, _ in parts.values())
    if total > MAX_NUM_ENVS:
        raise ValueError(f"num_envs of all ids must be at most {MAX_NUM_ENVS} together, got {total}")
    return parts


def common_options(env_ids: Sequence[str], observation: str, window: Any = None) -> dict[str, Any]:
    """The options of `gym.make` that make observations and actions of several ids alike.

    Every plane, one window, as large as any, unless one is given, and all actions.
    """
    view: dict[str, Any] = {"observation": observation, "all_actions": True}
    if window is not None:
        view["window"] = window
    scenarios = [scenario_of(entry_of_id(env_id.rpartition(":")[2]).name) for env_id in env_ids]
    takes = ENCODERS[observation].options
    if "all_planes" in takes:
        view["all_planes"] = True
    if "num_entities" in takes:
        view["num_entities"] = max(scenario.num_entities() for scenario in scenarios)
    if "window" in takes and window is None:
        sides = ("ahead", "behind", "beside")
        view["window"] = tuple(max(getattr(scenario.window, side) for scenario in scenarios) for side in sides)
    return view


class MixedVectorEnv(VectorEnv[Array, Array, Array]):
    """Envs of several ids in one batch, through Gymnasium's vector interface; `drivesim.make_mixed_vec` makes it.

    Args:
        counts: for every id its number of envs, or a dict of `num_envs` and options that only this id has, such as
            `{"num_envs": 64, "difficulty": "hard", "num_vehicles": 12}`.
        observation: `"features"` (default), `"grid"`, which then has all planes, `"entities"`, which has as many
            rows as that of the id that has most, unless `num_entities` says otherwise, or `"rgb"`.
        window: of `"grid"` and `"rgb"`, (ahead, behind, beside) in cells; None = as large as any of the ids' own.
        autoreset_mode: `NEXT_STEP` (default), `SAME_STEP` or `DISABLED`, as enum or string.
        copy: whether every call returns fresh arrays. With False, `obs`, `rewards`, `terminations` and `truncations`
            are the environment's own buffers, which the next step or reset overwrites; infos are fresh in either case.
        render_mode: None, `"rgb_array"` or `"ansi"`.
        **options: of all ids, as in `drivesim.vector_env.DriveVectorEnv`: `num_threads`, `reward`, `difficulty`, …

    The actions are 0 … 4 everywhere, as in `drivesim.Action`; where an id has no IDLE, it holds the speed and is
    masked. Env i of `reset(seed=s)` is, step by step and over any number of episodes, the single environment of its id
    with these options (and `all_actions=True`, `all_planes=True`) seeded s + i. Infos are those of the ids' vector
    environments, put together.

    Attributes:
        env_ids: the ids in their order, a tuple.
        env_index: int64 (N,), which of them each env is.
        parts: the vector environments, one per id; they are stepped through this one only.

    Raises:
        TypeError, ValueError: for an option that is unknown, of a wrong type or out of range.
    """

    def __init__(
        self,
        counts: Mapping[str, Any],
        *,
        observation: str = "features",
        window: tuple[int, int, int] | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        own = checked_parts(counts)
        chosen("observation", observation, OBSERVATIONS)
        self.autoreset_mode = checked_mode(autoreset_mode)
        self._copies = boolean("copy", copy)
        if render_mode is not None:
            chosen("render_mode", render_mode, RENDER_MODES)
        self.render_mode = render_mode
        for name in ("all_planes", "all_actions"):
            if name in options:
                raise TypeError(f"unexpected keyword argument {name!r}: a mixed batch always has them all")
        view = common_options(list(own), observation, window)
        self.env_ids = tuple(own)
        self.parts: tuple[DriveVectorEnv, ...] = tuple(
            gym.make_vec(  # type: ignore[misc]
                env_id,
                num_envs=num_envs,
                vectorization_mode="vector_entry_point",
                **{
                    **view,
                    "autoreset_mode": self.autoreset_mode.value,
                    "copy": False,
                    "render_mode": render_mode,
                    **options,
                    **own_options,
                },
            )
            for env_id, (num_envs, own_options) in own.items()
        )
        self._sizes = [part.num_envs for part in self.parts]
        self._bounds = np.cumsum([0, *self._sizes]).tolist()
        self.num_envs = self._bounds[-1]
        self.env_index = np.repeat(np.arange(len(self.parts)), self._sizes)
        self.metadata = {
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self.parts[0].single_observation_space
        self.single_action_space = self.parts[0].single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._actions = np.zeros(self.num_envs, np.int64)
        space = self.single_observation_space
        self._obs = np.zeros((self.num_envs, *(space.shape or ())), space.dtype)
        self._rewards = np.zeros(self.num_envs, np.float64)
        self._terminations = np.zeros(self.num_envs, np.bool_)
        self._truncations = np.zeros(self.num_envs, np.bool_)
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._is_started = False
        self._is_stepping = False

    def _ranges(self) -> Iterator[tuple[DriveVectorEnv, slice]]:
        """Every id's vector environment and which envs it has."""
        for part, (begin, end) in zip(self.parts, pairwise(self._bounds), strict=True):
            yield part, slice(begin, end)

    def _told(self, array: Array) -> Array:
        """One of the environment's own arrays, as it is handed out."""
        return array.copy() if self._copies else array

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode in all envs, or in those of `options["reset_mask"]`.

        Args and Raises: as `drivesim.vector_env.DriveVectorEnv.reset`.
        """
        self._check_open()
        seeds = checked_seeds(seed, self.num_envs)
        mask, level_seeds, tells_levels = checked_reset_options(options, self.num_envs, MAX_LEVEL_SEED)
        if not self._is_started and not mask.all():
            raise gym.error.ResetNeeded("reset all envs before resetting some of them with reset_mask")
        first = integer(seed)
        if first is not None:
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(first)
        self._is_started = False  # until all levels have been certified
        infos: list[dict[str, Any]] = []
        for part, envs in self._ranges():
            if mask[envs].any():
                own = {"reset_mask": mask[envs], "level_seeds": tells_levels}
                if options and "level_seed" in options:
                    own["level_seed"] = level_seeds[envs]
                self._obs[envs], info = part.reset(seed=seeds[envs], options=own)
            else:
                self._obs[envs], info = part.observe(), {}
            infos.append(info)
        self._ended &= ~mask
        self._is_started = True
        return self._told(self._obs), merged(infos, self._sizes)

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step every env.

        Args, Returns and Raises: as `drivesim.vector_env.DriveVectorEnv.step`; actions are in [0, 5) everywhere.
        """
        self._check_open()
        checked_actions(actions, 5, self._actions)
        if not self._is_started:
            raise gym.error.ResetNeeded("call reset() before step()")
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            i = int(np.flatnonzero(self._ended)[0])
            raise gym.error.ResetNeeded(f"env {i} has ended: reset it with options={{'reset_mask': ...}}")
        self._is_stepping = True
        with uninterrupted():  # all have moved, or none has
            for part, envs in self._ranges():
                part._actions[:] = self._actions[envs]
            answers = [part._advance() for part in self.parts]
        infos = []
        for (part, envs), moved in zip(self._ranges(), answers, strict=True):
            answer = self._begun(part._told, moved)
            self._obs[envs], self._rewards[envs] = answer[:2]
            self._terminations[envs], self._truncations[envs] = answer[2:4]
            infos.append(answer[4])
        self._is_stepping = False
        np.logical_or(self._terminations, self._truncations, out=self._ended)
        told = (self._told(array) for array in (self._obs, self._rewards, self._terminations, self._truncations))
        return *told, merged(infos, self._sizes)  # type: ignore[return-value]

    def observe(self) -> Array:
        """The observations (N, *obs_shape) of the state as it is, without a step.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("observe")
        for part, envs in self._ranges():
            self._obs[envs] = part.observe()
        return self._told(self._obs)

    def action_masks(self) -> Array:
        """Bool (N, 5): which actions do something that IDLE does not, and IDLE itself but where an id has none.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("action_masks")
        return np.concatenate([part.action_masks() for part in self.parts])

    def get_state(self) -> tuple[Array, ...]:
        """A copy of the worlds, one array of records per id, with all that a continuation needs."""
        self._settle()
        return tuple(part.get_state() for part in self.parts)

    def set_state(self, state: tuple[Array, ...], mask: Array | None = None) -> None:
        """Restore the envs in `mask` (N,) (all, if None) from a state of an environment with the same ids and options.

        Raises:
            TypeError, ValueError: if it is no such state; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        if not isinstance(state, (tuple, list)) or len(state) != len(self.parts):
            found = f"{len(state)} of them" if isinstance(state, (tuple, list)) else type(state).__name__
            raise TypeError(f"state must be a tuple of one array for each of {list(self.env_ids)}, got {found}")
        if mask is not None and (not isinstance(mask, np.ndarray) or mask.dtype != np.bool_):
            raise TypeError(f"mask must be a bool array of shape ({self.num_envs},), got {mask!r}")
        if mask is not None and mask.shape != (self.num_envs,):
            raise ValueError(f"mask must have shape ({self.num_envs},), got {mask.shape}")
        before = self.get_state()
        for n, (part, envs) in enumerate(self._ranges()):
            try:
                part.set_state(state[n], None if mask is None else mask[envs])
            except (TypeError, ValueError) as error:
                for changed, earlier in zip(self.parts[:n], before, strict=False):
                    changed.set_state(earlier)
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{self.env_ids[n]}: {error}") from error
        self._ended = np.concatenate([part._ended for part in self.parts])
        self._is_started = all(part._is_started for part in self.parts)

    def level_text(self) -> tuple[str, ...]:
        """The levels of the running episodes as texts, one per env; as `drivesim.env.DriveEnv.level_text`."""
        self._check_started("level_text")
        return tuple(chain.from_iterable(part.level_text() for part in self.parts))

    def render(self) -> tuple[Any, ...] | None:
        """One picture or text per env; None without a render mode.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("render")
        if self.render_mode is None:
            return None
        return tuple(chain.from_iterable(part.render() or () for part in self.parts))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Every env's answer to a method or attribute, as `SyncVectorEnv.call` does.

        Raises:
            AttributeError: if there is none, or if it is a method that does not answer for each env.
        """
        return tuple(chain.from_iterable(part.call(name, *args, **kwargs) for part in self.parts))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute, once per env.

        Raises:
            AttributeError: if there is none.
        """
        return tuple(chain.from_iterable(part.get_attr(name) for part in self.parts))

    def set_attr(self, name: str, values: Any) -> None:
        """Refused, as by `DriveVectorEnv`.

        Raises:
            AttributeError: always.
        """
        self.parts[0].set_attr(name, values)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the vector environments."""
        for part in getattr(self, "parts", ()):
            part.close()

    def _check_open(self) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError("this environment was closed")
        self._settle()

    def _begun(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What a part answers; where one of its envs has ended and cannot begin anew, all have to be reset."""
        try:
            return call(*arguments)
        except gym.error.Error:
            self._is_started = self._is_stepping = False
            raise

    def _settle(self) -> None:
        """Make good what an interrupt has kept a step from, as the parts do."""
        if self._is_stepping:
            for part in self.parts:
                self._begun(part._settle)
            self._ended = np.concatenate([part._ended for part in self.parts])
            self._is_stepping = False

    def _check_started(self, method: str) -> None:
        self._check_open()
        if not self._is_started:
            raise gym.error.ResetNeeded(f"call reset() before {method}()")
