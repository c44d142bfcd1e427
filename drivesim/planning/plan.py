"""Plans: the best that can be done from a state, and how well that is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.checks import real, whole
from drivesim.core.batch import DISABLED
from drivesim.core.world import RUNNING
from drivesim.engine import Array, Engine, key_of
from drivesim.env import DriveEnv
from drivesim.planning.alone import Bounds, explore, with_lamps
from drivesim.planning.forks import Forks
from drivesim.planning.search import TOLERANCE, Found, Pass
from drivesim.planning.words import movers, template_of, without_others, words_of
from drivesim.registry import entry_of
from drivesim.replay_file import Replay

BUDGET = 2_000_000  # forked ticks among others
FIRST_WIDTH = 64  # nodes of a tick in the first pass, which is always made
WIDENING = 8  # from one pass to the next
DOUBTS = (0.2, 0.1)  # in the first passes, of the gain of a whole route
MAX_BYTES = 1 << 26  # of the nodes of a tick
SPARE_TICKS = 16  # looked at at first, beside twice the fewest in which the goal can be reached


@dataclass(frozen=True)
class Origin:
    """Where a plan begins, so that it can be told as a replay."""

    env_id: str
    options: Mapping[str, Any]
    seed: int | None
    key: tuple[int, int]
    episode: int
    level_seed: int
    tick: int
    max_episode_steps: int | None


@dataclass(frozen=True)
class Plan:
    """A drive, and between which bounds the best one lies."""

    actions: tuple[int, ...]
    """One per tick, as the environment counts them."""
    total_reward: float
    """What the environment pays for them, added up."""
    ticks: int
    """How many they are."""
    lower: float
    """What the drive is worth: the sum of its discounted rewards."""
    upper: float
    """What no drive is worth more than."""
    is_exact: bool
    """Whether no drive is better by more than 1e-9."""
    success: bool
    """Whether the drive counts as one, as in `info`."""
    num_driven: int
    """Ticks of forked worlds that it took to find it."""
    origin: Origin = field(repr=False)
    """The state that it begins with."""

    def replay(self, seed: int | None = None) -> Replay:
        """The plan as a replay, for films, pages and whoever wants to check it.

        Args:
            seed: with which the environment was reset, if it cannot tell: a vector environment's env i has that of the
                reset and i added.

        Raises:
            ValueError: if the plan does not begin with an episode, or the seed is not known or another one.
        """
        origin = self.origin
        if origin.tick > 0:
            raise ValueError(f"a replay begins with an episode, and this plan {origin.tick} ticks into one")
        seed = origin.seed if seed is None else seed
        if seed is None:
            raise ValueError("seed must be given: the environment does not know it")
        if tuple(key_of(seed).tolist()) != origin.key:
            raise ValueError(f"seed must be that with which the plan's environment was reset, got {seed}")
        return Replay.of(
            origin.env_id,
            origin.options,
            seed,
            self.actions,
            episode=origin.episode,
            level_seed=origin.level_seed,
            max_episode_steps=origin.max_episode_steps,
        )


def solve(
    env: gym.Env[Any, Any],
    gamma: float = 1.0,
    budget: int = BUDGET,
    *,
    state: Array | None = None,
    incumbent: Iterable[int] | None = None,
    num_threads: int = 1,
) -> Plan:
    """The best drive from a state: the one with the greatest sum of discounted rewards until the episode ends.

    It is clairvoyant: it knows the draws of the traffic, who will dawdle and who will step onto the road. Where nobody
    moves but the ego, and elsewhere where the search comes to its end within the budget, the plan is exact. Else the
    optimum lies between `lower`, which a replay shows, and `upper`. The same call gives the same plan on every machine.

    Args:
        env: an environment of the suite with one ego, as `gym.make` makes it, after a reset. It is left as it is.
        gamma: discount, in (0, 1].
        budget: ticks of forked worlds that may be driven among others, at least 0. It says how wide passes get: the
            first is always made, none is broken off, and the last may take somewhat more than is left.
        state: to begin with instead of the environment's own: (1,), from `get_state` of one with the same options.
        incumbent: actions of a drive that is known already, such as the rule-based driver's; what comes after its end
            is overlooked.
        num_threads: at most; the plan does not depend on it.

    Raises:
        TypeError, ValueError: naming what is wrong.
        gymnasium.error.ResetNeeded: if there is no running episode.
    """
    gamma = real("gamma", gamma, 0.0, 1.0, "in (0, 1]")
    if gamma == 0.0:
        raise ValueError("gamma must be in (0, 1], got 0.0")
    return Solver(Level(env, state), gamma, whole("num_threads", num_threads, 1, 1024)).plan(
        whole("budget", budget, 0, 1 << 62), incumbent
    )


class Level:
    """A state of an environment, and what holds there.

    Args:
        env: as in `solve`.
        state: as in `solve`.

    Raises:
        TypeError, ValueError, gymnasium.error.ResetNeeded: as `solve`.
    """

    def __init__(self, env: gym.Env[Any, Any], state: Array | None = None) -> None:
        base = env.unwrapped
        if not isinstance(base, DriveEnv):
            raise TypeError(f"env must be one of the suite with one ego, made by gym.make, got {env}")
        self.config = base.config
        self._entry = entry_of(self.config.scenario)
        self.engine = Engine(self.config, num_worlds=1, autoreset=DISABLED)
        self.engine.set_state(base.get_state() if state is None else state, None)
        self._state = self.engine.get_state()
        self.world = self.engine.worlds.copy()
        if self.world["stage"][0] != RUNNING:
            raise gym.error.ResetNeeded("call reset() before solve(): there is no running episode")
        number = self.engine.map_number(0)
        self.map = self.engine.maps[number : number + 1].copy()
        self.options = self.engine.options.copy()
        self.tick = int(self.world["tick"][0])
        self.total = float(self.world["egos"]["return_sum"][0, 0])
        limit = time_limit(env)
        self.max_steps = self.config.max_steps(limit or 0) or int(self.options["certified_within"][0])
        if self.tick >= self.max_steps:
            raise gym.error.ResetNeeded(f"call reset() before solve(): the time limit of {self.max_steps} is over")
        kwargs = base.spec.kwargs if base.spec is not None else {}
        unseen = ("scenario", "render_mode", "render_size")
        key = int(self.world["key_0"][0]), int(self.world["key_1"][0])
        seed = base.np_random_seed  # -1 = it was never given one
        is_known = seed is not None and seed >= 0 and tuple(key_of(seed).tolist()) == key
        self.origin = Origin(
            env_id=self._entry.id,
            options={name: value for name, value in kwargs.items() if name not in unseen},
            seed=seed if is_known else None,
            key=key,
            episode=int(self.world["episode"][0]),
            level_seed=int(self.world["level_seed"][0]),
            tick=self.tick,
            max_episode_steps=None if limit == self._entry.max_episode_steps else limit or -1,
        )

    def drive(self, actions: Iterable[int]) -> tuple[list[int], list[float], bool]:
        """Let the environment's own loop drive; the actions up to the episode's end, their rewards, and the success.

        Raises:
            TypeError, ValueError: for an action that is none.
        """
        engine = self.engine
        engine.worlds[:] = self._state["world"]
        obs, rewards = engine.empty_obs(), np.zeros(1)
        ends = np.zeros(1, np.bool_), np.zeros(1, np.bool_)
        driven: list[int] = []
        earned: list[float] = []
        for number, action in enumerate(actions):
            action = whole(f"incumbent[{number}]", action, 0, engine.num_actions - 1)
            if ends[0][0] or self.tick + number >= self.max_steps:
                break
            engine.step(np.array([action]), obs, rewards, *ends, is_detailed=True)
            driven.append(action)
            earned.append(float(rewards[0]))
        return driven, earned, bool(driven) and bool(engine.episodes["success"][0])


def time_limit(env: gym.Env[Any, Any]) -> int | None:
    """The ticks after which the wrappers around an environment truncate; None = they do not."""
    limits = []
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.wrappers.TimeLimit) and env.spec is not None and env.spec.max_episode_steps:
            limits.append(env.spec.max_episode_steps)
        env = env.env
    return min(limits, default=None)


class Solver:
    """The search from one state.

    Args:
        level: the state.
        gamma: discount.
        num_threads: at most.
    """

    def __init__(self, level: Level, gamma: float, num_threads: int) -> None:
        world, map, options = level.world, level.map, level.options
        num_actions = level.engine.num_actions
        alone, template = without_others(world, map, options), template_of(world)
        self._alone = Forks(alone, map, options, words_of(alone, map, options, True), num_actions)
        words = words_of(template, map, options, False)
        self._forks = Forks(template, map, options, words, num_actions, num_threads)
        self._has_others = bool(movers(world, map, options).any()) or int(world["num_people"][0]) > 0
        self._level = level
        self._gamma = gamma
        self._lower = -np.inf
        self._upper = np.inf
        self._actions: tuple[int, ...] = ()

    def plan(self, budget: int, incumbent: Iterable[int] | None) -> Plan:
        """Search until the plan is exact or the budget is spent."""
        level = self._level
        if incumbent is not None:
            actions, rewards, _ = level.drive(incumbent)
            self._actions, self._lower = tuple(actions), self._worth(rewards)
        is_last = self._search(budget, SPARE_TICKS)
        if not is_last:
            self._search(budget, None)
        actions, rewards, success = level.drive(self._actions)
        lower = self._worth(rewards)
        assert abs(lower - self._lower) <= TOLERANCE, "the environment pays what the search says"
        is_exact = self._upper <= lower + TOLERANCE
        return Plan(
            actions=tuple(actions),
            total_reward=added_up(rewards),
            ticks=len(actions),
            lower=lower,
            upper=lower if is_exact else self._upper,
            is_exact=is_exact,
            success=success,
            num_driven=self._forks.num_driven,
            origin=level.origin,
        )

    def _worth(self, rewards: list[float]) -> float:
        """What the rewards of a drive are worth."""
        return added_up([self._gamma**n * reward for n, reward in enumerate(rewards)])

    def _search(self, budget: int, spare: int | None) -> bool:
        """Search among others; whether it is of no use to look at more ticks."""
        level = self._level
        left = level.max_steps - level.tick
        graph = with_lamps(explore(self._alone, level.tick, left, spare), self._alone, level.map, level.tick)
        red = self._alone.red_lamps(range(level.tick, level.tick + len(graph.ends) - 1))
        is_last = len(red) == left
        route_length = int(level.world["egos"]["route_length"][0, 0])
        bounds = Bounds(graph, red, is_last, self._gamma, level.options, route_length, self._has_others)
        self._upper = min(self._upper, max(self._lower, float(bounds.values[0][0])))
        most = max(FIRST_WIDTH, MAX_BYTES // (8 * max(1, self._forks.num_words)))
        width = FIRST_WIDTH
        for n in count():
            before = self._forks.num_driven
            doubt = DOUBTS[n] / route_length if n < len(DOUBTS) else 0.0
            found = self._pass(bounds, is_last, width, doubt)
            if self._upper <= self._lower + TOLERANCE:
                return True
            if not found.was_narrow or self._lower == -np.inf:
                return is_last
            driven = self._forks.num_driven
            wider = min(WIDENING * width, most, width * (budget - driven) // max(1, driven - before))
            if wider <= width:
                return True
            width = wider
        raise AssertionError("the passes end")

    def _pass(self, bounds: Bounds, is_last: bool, width: int, doubt: float) -> Found:
        """One pass, and what it teaches."""
        level = self._level
        found = Pass(
            self._forks,
            bounds,
            is_last=is_last,
            gamma=self._gamma,
            tick=level.tick,
            total=level.total,
            lower=self._lower,
            width=width,
            doubt=doubt,
        ).run()
        if found.actions is not None:
            self._actions = found.actions
        self._lower = found.lower
        self._upper = min(self._upper, found.upper)
        return found


def added_up(rewards: Iterable[float]) -> float:
    """Their sum, added up one by one as the environment does."""
    total = 0.0
    for reward in rewards:
        total += reward
    return total
