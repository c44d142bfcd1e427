"""Worlds and the compiled loops over them: the one engine behind the single and the vector environment."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.jit import specialize
from drivesim.core.world import (
    ENDED,
    MAX_DRIVERS,
    MAX_PEDESTRIANS,
    MAX_SIGNALS,
    MAX_VEHICLES,
    NOT_STARTED,
    RUNNING,
    TOP_SPEED,
    WORLD,
)
from drivesim.observations import ENCODERS
from drivesim.registry import scenario_of

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
    """N worlds of one configuration, and what can be done with all of them at once.

    Arguments are assumed to be valid: the environments check them before any lane moves.
    """

    def __init__(
        self, config: EnvConfig, num_lanes: int, autoreset: int, max_steps: int = 0, num_threads: int = 1
    ) -> None:
        scenario = config.scenario_class
        level = config.level_config
        assert config.observation is not None
        self.config = config
        self.num_lanes = num_lanes
        self.autoreset = autoreset
        self.map_shape = scenario.shape(level)
        self.num_vehicles = scenario.num_vehicles(level)
        self.num_actions = len(scenario.actions)
        self.actions = scenario.actions
        self.obs_shape, self.obs_dtype = config.encoder.shape_and_dtype(scenario.window, *self.map_shape)
        self._obs_size = int(np.prod(self.obs_shape))
        self._kernels = kernels_of(config.scenario, config.observation)
        self.rules = config.to_rules(max_steps)
        self._blank = np.zeros(1, WORLD)
        self._blank["scenario"] = scenario.number
        self._blank["num_controlled"] = 1
        self.worlds = np.zeros(num_lanes, WORLD)
        self.worlds["episode"] = -1
        self.worlds["scenario"] = scenario.number
        self.details = np.zeros(num_lanes, batch.DETAIL)
        self._no_final_obs = np.zeros((1, 1), self.obs_dtype)
        num_threads = max(1, min(num_threads, num_lanes // MIN_LANES_PER_THREAD))
        bounds = np.linspace(0, num_lanes, num_threads + 1).astype(int).tolist()
        self._ranges = list(pairwise(bounds))
        self._pool: ThreadPoolExecutor | None = None
        self._pool_pid = 0

    @property
    def num_threads(self) -> int:
        """Threads in use."""
        return len(self._ranges)

    def empty_obs(self) -> Array:
        """An uninitialised batch of observations (N, *obs_shape)."""
        return np.empty((self.num_lanes, *self.obs_shape), self.obs_dtype)

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
        """A view (N, size) of a batch of observations."""
        return obs.reshape(self.num_lanes, self._obs_size)

    def _refuse(self, failures: int) -> None:
        """Raise if the generator gave up on some lane."""
        if failures:
            raise gym.error.Error(
                f"{failures} lanes: no level certified in {batch.MAX_ATTEMPTS} draws with {self.config.level_config}"
            )

    def reset(self, mask: Array, level_seeds: Array, obs_out: Array) -> None:
        """Begin the next episode of the lanes in `mask` and observe all lanes.

        Args:
            mask: (N,) bool.
            level_seeds: (N,) int64; below 0 = draw one.
            obs_out: (N, *obs_shape), overwritten.
        """
        # Lanes that were never reset have no map to be observed.
        if bool(mask.all()) or bool((self.worlds["phase"] != NOT_STARTED).all()):
            self._refuse(
                self._on_all_lanes(
                    self._kernels.reset,
                    (self.worlds, self.rules, self._blank),
                    (mask, level_seeds, self._flat(obs_out)),
                )
            )
            return
        raise gym.error.ResetNeeded("reset all lanes before resetting some of them with reset_mask")

    def step(
        self,
        actions: Array,
        obs_out: Array,
        rewards_out: Array,
        terminations_out: Array,
        truncations_out: Array,
        final_obs_out: Array | None = None,
        is_detailed: bool = False,
    ) -> None:
        """Step every lane; arguments as in `core.batch.step_lanes`."""
        final_obs = self._no_final_obs if final_obs_out is None else self._flat(final_obs_out)
        self._refuse(
            self._on_all_lanes(
                self._kernels.step,
                (self.worlds, self.rules, self._blank),
                (
                    self.autoreset,
                    is_detailed,
                    actions,
                    self._flat(obs_out),
                    rewards_out,
                    terminations_out,
                    truncations_out,
                    self.details,
                    final_obs,
                ),
            )
        )

    def observe(self, obs_out: Array) -> None:
        """Observe every lane without a step."""
        self._on_all_lanes(self._kernels.observe, (self.worlds, self.rules), (self._flat(obs_out),))

    def describe(self) -> Array:
        """Fill and return the DETAIL records of all lanes, but for cost and terms."""
        batch.describe_lanes(self.worlds, self.rules, self.details)
        return self.details

    def seed_lane(self, lane: int, seed: int | None) -> None:
        """Key a lane anew: its next reset begins episode 0."""
        self.worlds["key"][lane] = key_of(seed)
        self.worlds["episode"][lane] = -1

    def check_state(self, state: Any, mask: Any) -> tuple[Array, Array]:
        """Validate arguments of `set_state`: a state of these worlds, and which lanes take it.

        Raises:
            TypeError, ValueError: naming what is wrong; nothing has been changed.
        """
        if not isinstance(state, np.ndarray) or state.dtype != WORLD:
            found = getattr(state, "dtype", type(state).__name__)
            raise TypeError(f"state must be an array from get_state(), got {str(found)[:80]}")
        if state.shape != (self.num_lanes,):
            raise ValueError(f"state must have shape ({self.num_lanes},), got {state.shape}")
        if mask is None:
            mask = np.ones(self.num_lanes, np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_lanes,):
            raise TypeError(f"mask must be a bool array of shape ({self.num_lanes},), got {mask!r}")
        chosen = state[mask]
        if (chosen["scenario"] != self._blank["scenario"][0]).any():
            raise ValueError(f"state is of another scenario than {self.config.scenario}")
        started = chosen[chosen["phase"] != NOT_STARTED]
        rows, cols = self.map_shape
        vehicles = started["vehicles"]
        driving = vehicles["status"] != 0
        signals = started["signals"][:, :MAX_SIGNALS]
        has_signal = np.arange(MAX_SIGNALS) < started["num_signals"][:, None]
        fits = (
            (started["rows"] == rows)
            & (started["cols"] == cols)
            & (started["num_controlled"] == 1)
            & (started["num_controlled"] <= MAX_DRIVERS)
            & (started["num_vehicles"] >= 1)
            & (started["num_vehicles"] <= MAX_VEHICLES)
            & (started["num_signals"] >= 0)
            & (started["num_signals"] <= MAX_SIGNALS)
            & (started["num_pedestrians"] >= 0)
            & (started["num_pedestrians"] <= MAX_PEDESTRIANS)
            & ((started["phase"] == RUNNING) | (started["phase"] == ENDED))
            & (started["tick"] >= 0)
            & (started["drivers"]["route_length"][:, 0] > 0)
            & (started["occupants"].max(axis=1, initial=0) <= MAX_VEHICLES)
            & _in_range(vehicles["row"], 0, rows - 1, driving)
            & _in_range(vehicles["col"], 0, cols - 1, driving)
            & _in_range(vehicles["heading"], 0, 3, driving)
            & _in_range(vehicles["ahead"], -1, MAX_VEHICLES - 1, driving)
            & _in_range(started["first"], -1, MAX_VEHICLES - 1, np.ones_like(started["first"], np.bool_))
            & _in_range(vehicles["speed"], 0, TOP_SPEED, driving)
            & _in_range(vehicles["limit"], 0, TOP_SPEED, driving)
            & _in_range(vehicles["turn"], -1, 1, driving)
            & _in_range(vehicles["exit_cell"], -1, rows * cols - 1, driving)
            & _in_range(signals["width"], 1, 4, has_signal)
            & _in_range(signals["height"], 1, 4, has_signal)
            & _in_range(signals["green_0"] + signals["green_1"], 1, 1000, has_signal)
            & _in_range(signals["yellow"], 0, 1000, has_signal)
            & _in_range(signals["all_red"], 0, 1000, has_signal)
        )
        if not fits.all():
            raise ValueError(f"state of lane {int(np.flatnonzero(~fits)[0])} of the chosen is no state of this map")
        if self.autoreset == batch.SAME_STEP and (started["phase"] == ENDED).any():
            raise ValueError("state holds an ended episode, which a SAME_STEP environment cannot continue")
        return state, mask

    def fork(self, index: int, num: int, rekey: bool) -> Array:
        """`num` copies of lane `index`; with `rekey` each draws its own future."""
        state = np.repeat(self.worlds[index : index + 1], num).astype(WORLD)
        if rekey:
            world = self.worlds[index]
            entropy = [*world["key"].tolist(), int(world["episode"]) + 1, int(world["tick"])]
            state["key"] = np.random.SeedSequence(entropy).generate_state(2 * num, np.uint32).reshape(num, 2)
        return state

    def close(self) -> None:
        """Let go of the threads."""
        if self._pool is not None and self._pool_pid == os.getpid():
            self._pool.shutdown(wait=False)
        self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: the compiled loops and threads are found again."""
        state = dict(self.__dict__)
        state["_pool"] = None
        del state["_kernels"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`."""
        self.__dict__.update(state)
        assert self.config.observation is not None
        self._kernels = kernels_of(self.config.scenario, self.config.observation)


def _in_range(values: Array, low: int, high: int, where: Array) -> Array:
    """Per lane: whether all `values` that count lie in [low, high]."""
    return np.asarray((((values >= low) & (values <= high)) | ~where).all(axis=1))
