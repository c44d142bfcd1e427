"""Worlds and the compiled loops over them: the one engine behind the single and the vector environment."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.jit import specialize
from drivesim.core.world import ENDED, NOT_STARTED, WORLD
from drivesim.observations import ENCODERS
from drivesim.registry import scenario_of
from drivesim.states import check_state, check_worlds

Array = np.ndarray[Any, Any]

MIN_LANES_PER_THREAD = 256  # below, handing work to another thread costs more than it saves


@dataclass(frozen=True)
class Kernels:
    """The batch loops, compiled for one scenario and one observation."""

    reset: Any
    step: Any
    observe: Any


@cache
def kernels_of(scenario: str, observation: str) -> Kernels:
    """Bind the batch loops to a scenario's generator and an observation's encoder."""
    start = specialize(batch.start_episode, f"start_episode_{scenario}", generate=scenario_of(scenario).generate)
    suffix = f"{scenario}_{observation}"
    encode = ENCODERS[observation].encode
    return Kernels(
        reset=specialize(batch.reset_lanes, f"reset_lanes_{suffix}", start_episode=start, encode=encode),
        step=specialize(batch.step_lanes, f"step_lanes_{suffix}", start_episode=start, encode=encode),
        observe=specialize(batch.observe_lanes, f"observe_lanes_{observation}", encode=encode),
    )


def key_of(seed: int | None) -> Array:
    """The Philox key (2,) uint32 of a seed of any size; None takes fresh entropy."""
    return np.random.SeedSequence(seed).generate_state(2, np.uint32)


class Engine:
    """N worlds of one configuration, with C controlled cars each, and what can be done with all of them at once.

    Arrays of what cars see, do and earn have N * C entries, world by world; in the environments with one car a lane
    is a world. Arguments are assumed to be valid: the environments check them before any lane moves.
    """

    def __init__(
        self,
        config: EnvConfig,
        num_lanes: int,
        autoreset: int,
        max_steps: int = 0,
        num_threads: int = 1,
        num_controlled: int = 1,
    ) -> None:
        scenario = config.scenario_class
        level = config.level_config
        assert config.observation is not None
        self.config = config
        self.num_lanes = num_lanes
        self.autoreset = autoreset
        self.map_shape = scenario.shape(level)
        self.num_controlled = num_controlled
        self.num_cars = num_lanes * num_controlled
        self.num_actions = len(scenario.actions)
        self.actions = scenario.actions
        self.obs_shape, self.obs_dtype = config.encoder.shape_and_dtype(scenario.window, *self.map_shape)
        self._obs_size = int(np.prod(self.obs_shape))
        self._kernels = kernels_of(config.scenario, config.observation)
        self.rules = config.to_rules(max_steps, num_controlled)
        self._blank = np.zeros(1, WORLD)
        self._blank["scenario"] = scenario.number
        self._blank["num_controlled"] = num_controlled
        self.worlds = np.zeros(num_lanes, WORLD)
        self.worlds["episode"] = -1
        self.worlds["scenario"] = scenario.number
        self.details = np.zeros(self.num_cars, batch.DETAIL)
        self._view_details()
        self._no_final_obs = np.zeros((1, 1), self.obs_dtype)
        num_threads = max(1, min(num_threads, num_lanes // MIN_LANES_PER_THREAD))
        bounds = np.linspace(0, num_lanes, num_threads + 1).astype(int).tolist()
        self._ranges = list(pairwise(bounds))
        self._pool: ThreadPoolExecutor | None = None
        self._pool_pid = 0

    @property
    def is_started(self) -> bool:
        """Whether every lane has an episode, running or ended."""
        return bool((self.worlds["phase"] != NOT_STARTED).all())

    @property
    def num_threads(self) -> int:
        """Threads in use."""
        return len(self._ranges)

    def empty_obs(self) -> Array:
        """An uninitialised batch of observations (N * C, *obs_shape)."""
        return np.empty((self.num_cars, *self.obs_shape), self.obs_dtype)

    def _on_all_lanes(self, function: Any, before: tuple[Any, ...], after: tuple[Any, ...]) -> int:
        """Call a batch loop on every range of lanes, on as many threads; the sum of what it returns."""
        if len(self._ranges) == 1:
            return int(function(*before, 0, self.num_lanes, *after) or 0)
        if self._pool is None or self._pool_pid != os.getpid():  # threads do not survive a fork
            self._pool = ThreadPoolExecutor(len(self._ranges) - 1, thread_name_prefix="drivesim")
            self._pool_pid = os.getpid()
        futures = [self._pool.submit(function, *(*before, first, last, *after)) for first, last in self._ranges[1:]]
        failures = int(function(*before, *self._ranges[0], *after) or 0)
        return failures + sum(int(future.result() or 0) for future in futures)

    def _flat(self, obs: Array) -> Array:
        """A view (N * C, size) of a batch of observations."""
        return obs.reshape(self.num_cars, self._obs_size)

    def _refuse(self, failures: int) -> None:
        """Raise if the generator gave up on some lane."""
        if failures:
            raise gym.error.Error(
                f"{failures} lanes: no level certified in {batch.MAX_ATTEMPTS} draws with {self.config.level_config}"
            )

    def reset(self, mask: Array, level_seeds: Array, obs_out: Array) -> None:
        """Begin the next episode of the lanes in `mask` and observe all lanes.

        Args:
            mask: (N,) bool; all lanes, unless all were reset before: without a map there is nothing to observe.
            level_seeds: (N,) int64; below 0 = draw one.
            obs_out: (N * C, *obs_shape), overwritten.
        """
        self._refuse(
            self._on_all_lanes(
                self._kernels.reset,
                (self.worlds, self.rules, self._blank),
                (mask, level_seeds, self._flat(obs_out)),
            )
        )

    def step(
        self,
        actions: Array,
        obs_out: Array,
        rewards_out: Array,
        terminations_out: Array,
        truncations_out: Array,
        final_obs_out: Array | None = None,
        is_detailed: bool = False,
        lanes: Array | None = None,
    ) -> None:
        """Step every lane; arguments as in `core.batch.step_lanes`.

        With `lanes` (N,) bool only those: the other worlds, and their rows of the arrays, stay as they are.
        """
        final_obs = self._no_final_obs if final_obs_out is None else self._flat(final_obs_out)
        before = (self.worlds, self.rules, self._blank)
        after = (
            self.autoreset,
            is_detailed,
            actions,
            self._flat(obs_out),
            rewards_out,
            terminations_out,
            truncations_out,
            self.details,
            final_obs,
        )
        if lanes is None:
            self._refuse(self._on_all_lanes(self._kernels.step, before, after))
            return
        edges = np.flatnonzero(np.diff(lanes, prepend=False, append=False)).tolist()
        runs = zip(edges[::2], edges[1::2], strict=True)  # of neighbours: [first, last)
        self._refuse(sum(self._kernels.step(*before, first, last, *after) for first, last in runs))

    def observe(self, obs_out: Array) -> None:
        """Observe every lane without a step."""
        self._on_all_lanes(self._kernels.observe, (self.worlds, self.rules), (self._flat(obs_out),))

    def describe(self) -> None:
        """Fill `details` of all lanes, but for cost and terms, without a step."""
        batch.describe_lanes(self.worlds, self.rules, self.details)

    def key_lanes(self, mask: Array, seeds: list[int | None]) -> None:
        """Key anew the lanes of `mask` (N,) that have a seed, and from fresh entropy those that never had a key.

        The next reset of a lane keyed anew begins its episode 0.
        """
        has_seed = np.array([seed is not None for seed in seeds])
        for lane in np.flatnonzero(mask & (has_seed | (self.worlds["episode"] < 0))).tolist():
            self.worlds["key"][lane] = key_of(seeds[lane])
            self.worlds["episode"][lane] = -1

    @cached_property
    def _model(self) -> Array:
        """A level (1,) of these options, to compare states with."""
        model = self._blank.copy()
        obs = np.empty((self.num_controlled, self._obs_size), self.obs_dtype)
        level_seeds = np.zeros(1, np.int64)
        mask = np.ones(1, np.bool_)
        self._refuse(self._kernels.reset(model, self.rules, self._blank, 0, 1, mask, level_seeds, obs))
        return model

    def set_state(self, state: Any, mask: Any) -> None:
        """Take over the worlds of the lanes in `mask` (all, if None).

        Raises:
            TypeError, ValueError: naming what is wrong; nothing has been changed.
        """
        state, mask = check_state(state, mask, self.num_lanes)
        worlds = state[mask]
        check_worlds(worlds, self._model, self.config.scenario)
        if self.autoreset == batch.SAME_STEP and (worlds["phase"] == ENDED).any():
            raise ValueError("state holds an ended episode, which a SAME_STEP environment cannot continue")
        self.worlds[mask] = worlds

    def fork(self, index: int, num: int, rekey: bool) -> Array:
        """`num` copies of lane `index`; with `rekey` each draws its own future."""
        state = np.repeat(self.worlds[index : index + 1], num).astype(WORLD)
        if rekey:
            world = self.worlds[index]
            entropy = [*world["key"].tolist(), int(world["episode"]) + 1, int(world["tick"])]
            state["key"] = np.random.SeedSequence(entropy).generate_state(2 * num, np.uint32).reshape(num, 2)
        return state

    def _view_details(self) -> None:
        """Views of `details` by field: making them in every step would take longer than the step."""
        self.episodes = self.details["episode"].view(batch.EPISODE)  # every flag by its name
        self.costs = self.details["cost"]
        self.terms = self.details["terms"]
        self.masks: Array = self.details["mask"][:, : self.num_actions].view(np.bool_)

    def close(self) -> None:
        """Let go of the threads."""
        if self._pool is not None and self._pool_pid == os.getpid():
            self._pool.shutdown(wait=False)
        self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: the compiled loops and threads are found again."""
        state = dict(self.__dict__)
        state["_pool"] = None
        for name in ("_kernels", "episodes", "costs", "terms", "masks"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`."""
        self.__dict__.update(state)
        self._view_details()
        assert self.config.observation is not None
        self._kernels = kernels_of(self.config.scenario, self.config.observation)
