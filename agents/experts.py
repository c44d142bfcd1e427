"""Experts: they look at the worlds of some envs and say what every action costs there, for learners that imitate.

============== ======================================================================================================
``oracle``     what every action costs, exactly: :class:`drivesim.planning.Regrets`, where nothing depends on the tick
``rule-based`` the action of the scenario's driver made of rules, which sees an observation of its own
``planner``    that of :class:`agents.planner.Planner` with the latter
``best``       the oracle where there is one, else rule-based
============== ======================================================================================================

What an expert says is a function of the worlds as they are, so that a run that is resumed hears the same.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.environments import registered_ids
from agents.planner import Planner
from agents.scripted import ScriptedDriver, make_scripted
from agents.validation import require
from drivesim.config import OF_OBSERVATION
from drivesim.planning import Regrets, originals

__all__ = ["Expert", "ExpertName", "make_expert"]

ExpertName: TypeAlias = Literal["best", "oracle", "rule-based", "planner"]


WRONG = 1.0
"""What another action costs than that of an expert who does not know more; about as much as a crash."""
_OF_BATCH = (
    "scenario",
    "num_envs",
    "max_episode_steps",
    "autoreset_mode",
    "vectorization_mode",
    "num_threads",
    "copy",
    "render_mode",
    "render_size",
)
"""Options that say how envs are run and shown, not what happens in them."""


class Expert(Protocol):
    """Whoever knows better."""

    def __call__(self) -> NDArray[np.float32]:
        """Costs (N, num_actions) in every env, 0 of the best actions; of no meaning where no episode runs.

        Who knows no more than what to do calls everything else :data:`WRONG`.
        """


def make_expert(name: ExpertName, envs: Any) -> Expert:
    """Puts an expert into envs.

    Args:
        name: see the module.
        envs: a vector environment of one of the suite's ids.

    Raises:
        ValueError: there are others, or none that the expert knows.
    """
    env_id = "" if envs.spec is None else str(envs.spec.id)
    require("env", env_id, env_id in registered_ids(), "one of the suite's ids, in which there are experts,")
    if name in ("best", "oracle"):
        try:
            return Oracle(envs)
        except ValueError as error:
            if name == "oracle":
                raise ValueError(f"expert must be rule-based, planner or best, got 'oracle': {error}") from error
    driver = make_scripted(env_id)
    return Watching(Planner(driver) if name == "planner" else driver, driver.observation, envs)


class Oracle:
    """Knows the optimum from every state of the levels that are driven."""

    def __init__(self, envs: Any) -> None:
        """Takes the envs.

        Raises:
            ValueError: something depends on the tick in their levels, see :class:`drivesim.planning.Regrets`.
        """
        self._envs = envs.unwrapped
        limit = envs.spec.max_episode_steps
        self._env = gym.make(envs.spec.id, max_episode_steps=limit, disable_env_checker=True, **_options(envs))
        self._env.reset(seed=0)
        Regrets(self._env)
        self._levels: dict[int, tuple[tuple[int, ...], Regrets]] = {}  # by env: an episode, what is known of it

    def __call__(self) -> NDArray[np.float32]:
        """See :class:`Expert`."""
        state, is_running, masks = originals(self._envs)
        costs = np.zeros(masks.shape, np.float32)
        for n in np.flatnonzero(is_running).tolist():
            costs[n] = self._level(n, state[n : n + 1])(state[n : n + 1])
        return costs

    def _level(self, n: int, state: NDArray[Any]) -> Regrets:
        """What is known of the level that an env drives now."""
        world = state["world"][0]
        episode = tuple(int(world[name]) for name in ("key_0", "key_1", "episode", "level_seed"))
        known = self._levels.get(n)
        if known is None or known[0] != episode:
            self._levels[n] = known = (episode, Regrets(self._env, state=state))
        return known[1]


class Watching:
    """A driver that sees the same worlds in the observation that it reads."""

    def __init__(self, driver: ScriptedDriver | Planner, observation: str, envs: Any) -> None:
        """Seats the driver.

        Args:
            driver: whose actions are the best.
            observation: that it reads.
            envs: a vector environment.
        """
        self._driver = driver
        self._envs = envs.unwrapped
        options = {name: value for name, value in _options(envs).items() if name not in OF_OBSERVATION}
        options |= {"observation": observation, "autoreset_mode": "Disabled", "copy": False}
        self._twins = gym.make_vec(envs.spec.id, num_envs=envs.num_envs, **options)
        self._twins.reset(seed=0)
        if isinstance(driver, Planner):
            driver.ride_in(self._twins)

    def __call__(self) -> NDArray[np.float32]:
        """See :class:`Expert`."""
        twins: Any = self._twins.unwrapped
        twins.set_state(self._envs.get_state())
        actions = self._driver(twins.observe())
        costs = np.full((len(actions), self._envs.single_action_space.n), WRONG, np.float32)
        costs[np.arange(len(actions)), actions] = 0.0
        return costs


def _options(envs: Any) -> dict[str, Any]:
    """The options of what happens in envs."""
    return {name: value for name, value in envs.spec.kwargs.items() if name not in _OF_BATCH}
