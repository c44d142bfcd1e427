"""Copies of running worlds that are driven on in one batch, each into a future of its own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.checks import whole
from drivesim.core.batch import DISABLED
from drivesim.core.world import RUNNING
from drivesim.engine import Array, Engine, future_keys
from drivesim.env import DriveEnv
from drivesim.vector_env import MAX_NUM_ENVS, DriveVectorEnv


def originals(env: Any) -> tuple[Array, Array, Array]:
    """The worlds of an environment as they are now.

    Args:
        env: as for :class:`Branches`.

    Returns:
        States (N,), whether their episodes run, bool (N,), and which actions do anything, bool (N, A).
    """
    base = env.unwrapped
    state = base.get_state()
    return state, state["world"]["stage"] == RUNNING, base.action_masks().reshape(len(state), -1)


class Branches:
    """Room for copies of the worlds of an environment, which is only read.

    What a copy draws from then on, who dawdles and who steps onto the road, has nothing to do with what its original
    will draw: whoever looks at branches knows what may happen, and not what will.

    Args:
        env: an environment of the suite with one ego, or a vector environment of one id.
        num_worlds: room, in worlds, at least 1.

    Raises:
        TypeError, ValueError: for anything else.
    """

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any], num_worlds: int) -> None:
        base = env.unwrapped
        if not isinstance(base, DriveEnv | DriveVectorEnv):
            raise TypeError(f"env must be of one of the suite's ids, with one ego in a world, got {env}")
        limit = (env.spec.max_episode_steps if env.spec is not None else None) or 0
        self.num_worlds = whole("num_worlds", num_worlds, 1, MAX_NUM_ENVS)
        self._engine = Engine(base.config, self.num_worlds, DISABLED, base.config.max_steps(max(limit, 0)))
        self.num_actions = self._engine.num_actions
        self.is_open: Array = np.zeros(self.num_worlds, np.bool_)
        """(num_worlds,): where there is a copy whose episode goes on."""
        self._obs = self._engine.empty_obs()
        self._rewards = np.zeros(self.num_worlds)
        self._ends = np.zeros(self.num_worlds, np.bool_), np.zeros(self.num_worlds, np.bool_)

    def begin(self, state: Array, copies: Array, num_futures: int) -> None:
        """Copy worlds, whatever was there before.

        Copy `k` of a world has the same future as another copy `k` of it, so that what is tried in them is compared
        under the same circumstances.

        Args:
            state: (N,) of running worlds, from `originals`.
            copies: (M,) int64: which of them to copy, `num_futures` times each; there must be room for all.
            num_futures: at least 1.
        """
        engine, count = self._engine, len(copies) * num_futures
        rows = np.repeat(copies, num_futures)
        keys = np.zeros((len(state), num_futures, 2), np.uint32)
        for n in np.unique(copies).tolist():
            keys[n] = future_keys(state["world"][n], num_futures)
        engine.worlds[:count] = state["world"][rows]
        engine.worlds["key_0"][:count], engine.worlds["key_1"][:count] = keys[copies].reshape(count, 2).T
        if engine.has_own_maps:
            engine.maps[:count] = state["map"][rows]
        self.is_open[:] = np.arange(self.num_worlds) < count

    def step(self, actions: Array) -> tuple[Array, Array]:
        """Drive on all open copies by a tick; those that end stay where they are, and are open no longer.

        Args:
            actions: (num_worlds,) int64; those of copies that are not open are of no matter.

        Returns:
            Observations (num_worlds, *obs_shape) and rewards (num_worlds,): those of this tick where it was open
            before, else of no meaning. The next step overwrites them.
        """
        self._engine.step(actions, self._obs, self._rewards, *self._ends, worlds=self.is_open)
        self.is_open &= ~(self._ends[0] | self._ends[1])
        return self._obs, self._rewards

    def action_masks(self) -> Array:
        """Bool (num_worlds, A): which actions do something that IDLE does not; IDLE itself is true."""
        return self._engine.action_masks()

    def close(self) -> None:
        """Let go of the memory's threads."""
        self._engine.close()
