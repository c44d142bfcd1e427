"""Worlds, their maps and the compiled loops over them: the one engine behind every environment.

`core.batch` holds the loops, this the memory that they work on; `env` and `vector_env` are Gymnasium's interfaces.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

from drivesim.bindings import Bindings, bindings_of
from drivesim.config import EnvConfig
from drivesim.core import batch, episode, laying
from drivesim.core.jit import ready
from drivesim.core.memory import Frame
from drivesim.core.world import ENDED, NOT_STARTED
from drivesim.levels.text import write
from drivesim.models import model_of
from drivesim.pools import Pool, pool_of, require_room
from drivesim.ranges import Ranges, uninterrupted
from drivesim.registry import entry_of
from drivesim.states import StateError, check_state, check_states, occupants_of

Array = np.ndarray[Any, Any]

_VIEWS = ("detail_bytes", "episodes", "costs", "terms", "masks")
_FOUND_AGAIN = ("_frame", "_scratch", "_no_final_obs", "_flattened", "_step_worlds", *_VIEWS)


def key_of(seed: int | None) -> Array:
    """The Philox key (2,) uint32 of a seed of any size; None takes fresh entropy."""
    return np.random.SeedSequence(seed).generate_state(2, np.uint32)


def future_keys(world: Any, num: int) -> Array:
    """The keys (num, 2) uint32 of copies of a world that draw futures of their own, which say nothing about its own."""
    entropy = [int(world["key_0"]), int(world["key_1"]), int(world["episode"]) + 1, int(world["tick"])]
    return np.random.SeedSequence(entropy).generate_state(2 * num, np.uint32).reshape(num, 2)


class Engine:
    """N worlds of one configuration, with E egos each, and what can be done with all of them at once.

    Arrays of what egos see, do and earn have N * E rows, world by world; in the environments with one ego a world is an
    env. Arguments are assumed to be valid: the environments check them before anything moves.
    """

    def __init__(
        self,
        config: EnvConfig,
        num_worlds: int,
        autoreset: int,
        max_steps: int = 0,
        num_threads: int = 1,
        num_egos: int = 1,
    ) -> None:
        scenario = config.scenario_class
        if not config.levels:  # those of given levels are checked when they are read
            scenario.check_traffic(config.level_config, num_egos)
        self.config = config
        self.num_worlds = num_worlds
        self.autoreset = autoreset
        self.map_shape = config.map_shape
        self.num_egos = num_egos
        self.num_rows = num_worlds * num_egos
        self.actions = config.actions
        self.num_actions = len(self.actions)
        self.window = config.shown
        self.obs_shape, self.obs_dtype = config.encoder.shape_and_dtype(self.window, *self.map_shape)
        self._obs_size = int(np.prod(self.obs_shape))
        self.options = config.to_options(max_steps, num_egos)
        self.maps_by = scenario.maps_by
        self.has_own_maps = self.maps_by in (batch.BY_LEVEL, batch.BY_LIBRARY)
        map_dtype, world_dtype = config.dtypes(num_egos)
        self.worlds = np.zeros(num_worlds, world_dtype)
        self.worlds["episode"] = -1
        self.worlds["scenario"] = entry_of(config.scenario).number
        self._pool_of_maps: Pool | None = None
        if self.maps_by != batch.BY_POOL:
            self.maps = np.zeros(num_worlds if self.has_own_maps else 1, map_dtype)
        self.details = np.zeros(self.num_rows, episode.DETAIL)
        self._ranges = Ranges(num_worlds, num_threads)
        self._beginning, self._num_beginning = (np.zeros(n, np.int32) for n in (num_worlds, len(self._ranges)))
        self._is_settled = True
        self._bind()
        if self.maps_by == batch.BY_OPTIONS:
            self._lay_shared_map()
        config.check_window(self.maps)

    def _lay_shared_map(self) -> None:
        """Lay the one map of all worlds."""
        self._frame.set(maps=self.maps)
        if not laying.lay_map(self._frame.argument):
            raise gym.error.Error(f"no road can be laid with {self.config.level_config}")
        require_room(self.config.scenario, self.maps)
        self._frame.set(maps=np.broadcast_to(self.maps, self.num_worlds))

    @property
    def observation_space(self) -> Box:
        """A new space of what an ego observes."""
        return self.config.encoder.space(self.window, *self.map_shape)

    @property
    def _bindings(self) -> Bindings:
        assert self.config.observation is not None
        return bindings_of(self.config.scenario, self.config.observation, self.window)

    def _bind(self) -> None:
        """Tell the loops where everything is."""
        bindings = self._bindings
        # Views: making them in every step would take longer than the step.
        self.episodes = self.details["episode"].view(episode.EPISODE)
        self.detail_bytes = memoryview(self.details.view(np.uint8))  # type: ignore[arg-type]
        self.costs = self.details["cost"]
        self.terms = self.details["terms"]
        self.masks: Array = self.details["mask"][:, : self.num_actions].view(np.bool_)
        self._no_final_obs = np.zeros((1, 1), self.obs_dtype)
        self._flattened = self._no_final_obs, self._no_final_obs
        self._step_worlds = ready(batch.step_worlds)
        self._take_pool()
        num_cells = max(self.worlds.dtype["occupants"].shape[0], self._obs_size)
        num_numbers = max(4 * num_cells, len(self.maps) if self._pool_of_maps is not None else 0)
        self._scratch = np.zeros((len(self._ranges), num_numbers), np.int32)
        self.has_arrays = False  # whether arrays have been handed over to `step`
        self._frame = Frame(batch.FRAME)
        self._frame.set(
            worlds=self.worlds,
            maps=np.broadcast_to(self.maps, self.num_worlds) if self.maps_by == batch.BY_OPTIONS else self.maps,
            maps_by=self.maps_by,
            num_maps=self._pool_of_maps.num_maps if self._pool_of_maps is not None else 1,
            options=self.options,
            lay=bindings.lay,
            populate=bindings.populate,
            encode=bindings.encode,
            autoreset=self.autoreset,
            is_detailed=0,
            details_out=self.details,
            order=np.arange(self.num_worlds, dtype=np.int32),
            beginning=self._beginning,
            num_beginning=self._num_beginning,
            scratch=self._scratch,
        )
        library = self.config.library
        if library is not None:
            self._frame.set(library_maps=library.maps, library_worlds=library.worlds, library_size=len(library.texts))

    def _take_pool(self) -> None:
        """Take the maps that are shared with other environments, if there are such: all that levels here have."""
        if self.maps_by == batch.BY_POOL:
            self._pool_of_maps = pool_of(self.config.scenario, self.config.level_config, self.options)
            self.maps = self._pool_of_maps.maps
            self._pool_of_maps.lay_drawn(self.config.split, self.config.num_levels)
            self._lay_levels(self.worlds["level_seed"])

    def _lay_levels(self, level_seeds: Array) -> None:
        """See to it that there are the maps of levels that are given, of either split; below 0 is none."""
        if self._pool_of_maps is not None:
            self._pool_of_maps.lay(self._pool_of_maps.numbers(level_seeds[level_seeds >= 0]))

    @property
    def is_started(self) -> bool:
        """Whether every world has an episode, running or ended."""
        return bool((self.worlds["stage"] != NOT_STARTED).all())

    @property
    def num_threads(self) -> int:
        """Threads in use."""
        return len(self._ranges)

    def map_of(self, world: int) -> Any:
        """The record of a world's map."""
        return self.maps[self.map_number(world)]

    def map_number(self, world: int) -> int:
        """Which of the maps is a world's."""
        if self._pool_of_maps is not None:
            return int(self._pool_of_maps.numbers(self.worlds["level_seed"][world]))
        return world if self.has_own_maps else 0

    def empty_obs(self) -> Array:
        """An uninitialised batch of observations (N * E, *obs_shape)."""
        return np.empty((self.num_rows, *self.obs_shape), self.obs_dtype)

    def _on_all_worlds(self, loop: Any) -> int:
        """Call a batch loop on every range of worlds, on as many threads; the sum of what it returns."""
        return self._ranges.call(loop, self._frame.argument)

    def _flat(self, obs: Array) -> Array:
        """A view (N * E, size) of a batch of observations."""
        if obs is not self._flattened[0]:
            self._flattened = obs, obs.reshape(self.num_rows, self._obs_size)
        return self._flattened[1]

    def _refuse(self, failures: int) -> None:
        """Raise if the generator gave up on some world."""
        if failures:
            raise gym.error.Error(f"no level certified in {batch.MAX_ATTEMPTS} draws with {self.config.level_config}")

    def reset(self, mask: Array, level_seeds: Array, obs_out: Array) -> None:
        """Begin the next episode of the worlds in `mask` and observe all worlds.

        Args:
            mask: (N,) bool; all worlds, unless all were reset before: without a map there is nothing to observe.
            level_seeds: (N,) int64; below 0 = draw one.
            obs_out: (N * E, *obs_shape), overwritten.
        """
        self._lay_levels(level_seeds)
        self._frame.set(mask=mask, level_seeds=level_seeds, obs_out=self._flat(obs_out))
        self._refuse(self._ranges.call_in_pieces(batch.reset_worlds, self._frame.argument))

    def step(self, *arrays: Any, **options: Any) -> None:
        """Step every world, all of it: `advance`, then `settle`."""
        self.advance(*arrays, **options)
        self.settle()

    def advance(
        self,
        actions: Array,
        obs_out: Array,
        rewards_out: Array,
        terminations_out: Array,
        truncations_out: Array,
        final_obs_out: Array | None = None,
        is_detailed: bool = False,
        worlds: Array | None = None,
    ) -> None:
        """Step every world, but for the episodes that begin in this step; arguments as in `core.batch.FRAME`.

        With `worlds` (N,) bool only those: the others, and their rows of the arrays, stay as they are; it is for worlds
        that are not reset by themselves. An interrupt comes before or afterwards: all worlds have moved, or none has.
        """
        self.has_arrays = False
        self._frame.set(
            actions=np.ascontiguousarray(actions, np.int64),
            obs_out=self._flat(obs_out),
            rewards_out=rewards_out,
            terminations_out=terminations_out,
            truncations_out=truncations_out,
            final_obs_out=self._no_final_obs if final_obs_out is None else self._flat(final_obs_out),
            is_detailed=int(is_detailed),
        )
        self.has_arrays = True
        if worlds is None:
            self.advance_again()
            return
        edges = np.flatnonzero(np.diff(worlds, prepend=False, append=False)).tolist()
        runs = zip(edges[::2], edges[1::2], strict=True)  # of neighbours: [begin, end)
        with uninterrupted():
            for begin, end in runs:
                batch.step_worlds(self._frame.argument, begin, end, 0)

    def advance_again(self) -> None:
        """`advance` with the arrays of the last step, whose actions have been overwritten.

        In an environment of one world, handing the arrays over would take as long as the step.
        """
        self._is_settled = self.autoreset == batch.DISABLED  # else until it is known that no episode begins
        self._is_settled = self._on_all_worlds(self._step_worlds) == 0

    def settle(self) -> None:
        """Begin the episodes that begin in the last step: those that an interrupt has left, too."""
        if self._is_settled:
            return
        failures = self._ranges.call_in_pieces(batch.begin_worlds, self._frame.argument, self._num_beginning)
        self._is_settled = True
        self._refuse(failures)

    def observe(self, obs_out: Array) -> None:
        """Observe every world without a step."""
        self._frame.set(obs_out=self._flat(obs_out))
        self._on_all_worlds(batch.observe_worlds)

    def observe_others(self, maps: Array, worlds: Array) -> Array:
        """What the egos of other worlds (M,) of this configuration see on their maps (M,), (M * E, *obs_shape)."""
        obs = np.empty((len(worlds) * self.num_egos, *self.obs_shape), self.obs_dtype)
        frame = Frame(batch.FRAME)
        frame.set(
            worlds=worlds,
            maps=maps,
            maps_by=batch.BY_LEVEL,
            options=self.options,
            encode=self._bindings.encode,
            obs_out=obs.reshape(len(obs), self._obs_size),
            scratch=self._scratch,
        )
        batch.observe_worlds(frame.argument, 0, len(worlds), 0)
        return obs

    def describe(self) -> None:
        """Fill `details` of all worlds, but for cost and terms, without a step."""
        self._on_all_worlds(batch.describe_worlds)

    def action_masks(self) -> Array:
        """Bool (N * E, num_actions): which actions do something that IDLE does not; IDLE itself is true."""
        self._on_all_worlds(batch.mask_worlds)
        return self.masks.copy()

    def key_worlds(self, mask: Array, seeds: list[int | None]) -> None:
        """Key anew the worlds of `mask` (N,) that have a seed, and from fresh entropy those that never had a key.

        The next reset of a world keyed anew begins its episode 0.
        """
        if seeds == [None] and self.worlds["episode"][0] >= 0:
            return  # what most resets of a single world come to, sooner said
        has_seed = np.array([seed is not None for seed in seeds])
        for world in np.flatnonzero(mask & (has_seed | (self.worlds["episode"] < 0))).tolist():
            self.worlds["key_0"][world], self.worlds["key_1"][world] = key_of(seeds[world])
            self.worlds["episode"][world] = -1

    def _level(self, level_seed: int) -> tuple[Array, Array]:
        """A level of these options at tick 0: its map and its world, (1,) each; the env's key is of no matter to it."""
        other = Engine(self.config, 1, batch.DISABLED, num_egos=self.num_egos)
        other.reset(np.ones(1, np.bool_), np.array([level_seed], np.int64), other.empty_obs())
        return other.maps[other.map_number(0) :][:1], other.worlds

    def level_text(self, index: int) -> str:
        """The level of world `index` at tick 0 as a text."""
        maps, worlds = self._level(int(self.worlds["level_seed"][index]))
        return write(maps[0], worlds[0], **self.config.to_head())

    def get_state(self) -> Array:
        """A copy of all worlds, (N,) records with the field `world` and, where each level has its own map, `map`."""
        self.settle()
        state = np.zeros(self.num_worlds, self.state_dtype)
        state["world"] = self.worlds
        if self.has_own_maps:
            state["map"] = self.maps
        return state

    @cached_property
    def state_dtype(self) -> np.dtype[np.void]:
        """The type of a state."""
        fields: list[tuple[str, Any]] = [("world", self.worlds.dtype)]
        if self.has_own_maps:
            fields.append(("map", self.maps.dtype))
        return np.dtype((np.record, fields))

    def set_state(self, state: Any, mask: Any) -> None:
        """Take over the worlds in `mask` (all, if None); who is where is derived, not believed.

        Raises:
            TypeError, ValueError: naming what is wrong; nothing has been changed.
        """
        state, mask = check_state(state, mask, self.num_worlds, self.state_dtype)
        chosen = state[mask]
        level_seeds, library, pool = chosen["world"]["level_seed"], self.config.library, self._pool_of_maps
        numbers = level_seeds % (1 if library is None else len(library.texts))
        if pool is not None:
            numbers = pool.numbers(level_seeds)
            pool.lay(numbers)
        for number in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == number)
            model = model_of(self.config, self.options, self.num_egos, self.maps, self.worlds.dtype, number)
            try:
                check_states(chosen[rows], *model, self.config.scenario, int(self.options["driver_model"][0]))
            except StateError as error:
                raise error.of(rows) from None
        if self.autoreset == batch.SAME_STEP and (chosen["world"]["stage"] == ENDED).any():
            raise ValueError("state holds an ended episode, which a SAME_STEP environment cannot continue")
        self.worlds[mask] = chosen["world"]
        self.worlds["occupants"][mask] = occupants_of(chosen["world"])
        if self.has_own_maps:
            self.maps[mask] = chosen["map"]
            if self.maps["num_junctions"].any():
                self._on_all_worlds(laying.mark_open_roads)

    def fork(self, index: int, num: int, rekey: bool) -> Array:
        """`num` copies of world `index`; with `rekey` each draws its own future."""
        state = np.zeros(num, self.state_dtype)
        state["world"] = self.worlds[index]
        if self.has_own_maps:
            state["map"] = self.maps[index]
        if rekey:
            state["world"]["key_0"], state["world"]["key_1"] = future_keys(self.worlds[index], num).T
        return state

    def close(self) -> None:
        """Let go of the threads."""
        self._ranges.close()

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: addresses, views and threads are found again."""
        self.settle()
        state = dict(self.__dict__)
        for name in _FOUND_AGAIN:
            del state[name]
        if self._pool_of_maps is not None:
            del state["_pool_of_maps"], state["maps"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`."""
        self.__dict__.update(state)
        self._bind()
