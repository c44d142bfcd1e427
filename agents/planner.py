"""The honest planner: it tries every action in many futures that may come, with another driver at the wheel afterwards.

    driver = Planner(make_scripted(env_id))
    driver.ride_in(envs)                  # whose worlds it may look at
    actions = driver(obs)

One step of policy iteration at the state at hand, a *rollout algorithm* (Tesauro and Galperin 1996, *On-line Policy
Improvement using Monte-Carlo Search*; Bertsekas 2013, *Rollout Algorithms for Discrete Optimization: A Survey*): an
action's value is what it earns, and the base driver after it, until the episode ends or the horizon is reached, on
average over the futures. It knows the rules of the world and all that is in it, also what no observation shows, but no
draw to come: its copies of a world draw their own. The best drive of :mod:`drivesim.planning` knows those too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policy import Policy
from agents.validation import require
from drivesim.planning import Branches, originals

__all__ = ["Planner"]

MAX_WORLDS = 4096  # driven together
CONFIRMING = 4  # times as many futures in which an action must prove itself
MOST_FUTURES = MAX_WORLDS // (2 * CONFIRMING)
EQUAL = 1e-9  # difference of returns that is none


class Planner:
    """A driver that looks ahead with the help of another one.

    Decision, for every env and each action that does something there, with the same R futures for all of them:
        Q(a) = mean over futures of the rewards of a and then of the base driver's actions, over H ticks

    The action with the greatest Q is then compared with the base driver's own in four times as many futures, and taken
    if it is better there by more than ``caution`` standard errors, as if in one more future the drive had come to the
    worst end seen in any. A few futures are a small sample: what is best in them by chance would be taken too often,
    and a crash in one of a hundred is not seen at all. Where all of them are alike, nothing is left to chance, and no
    more are asked.
    """

    def __init__(self, policy: Policy, *, num_futures: int = 16, horizon: int = 60, caution: float = 1.0) -> None:
        """Takes the base driver.

        Args:
            policy: without a memory.
            num_futures: R, at least 1.
            horizon: H in ticks, at least 1.
            caution: in standard errors, at least 0.

        Raises:
            ValueError: naming what is wrong.
        """
        require("num_futures", num_futures, 1 <= num_futures <= MOST_FUTURES, f"in [1, {MOST_FUTURES}]")
        require("horizon", horizon, horizon >= 1, "at least 1")
        require("caution", caution, caution >= 0, "at least 0")
        memory_size = getattr(getattr(policy, "network", None), "memory_size", 0)
        require("memory_size of the policy", memory_size, memory_size == 0, "0: futures would share its memory")
        self.policy: Any = policy
        self.num_futures = num_futures
        self.horizon = horizon
        self.caution = caution
        self.domain = getattr(policy, "domain", None)
        self.uses_action_masks = bool(getattr(policy, "uses_action_masks", False))
        self._envs: Any = None
        self._branches: Branches | None = None
        self._is_wanted: NDArray[np.bool_] | None = None

    def ride_in(self, envs: Any, is_wanted: NDArray[np.bool_] | None = None) -> None:
        """Gets in: from now on the observations are of these envs.

        Args:
            envs: an environment, or N envs, of one of the suite's ids.
            is_wanted: (N,), for which envs to think; for the others the base driver's actions will do. It is read at
                every call, so that its owner may change it.
        """
        if self._branches is not None:
            self._branches.close()
        self._envs, self._branches = envs, Branches(envs, MAX_WORLDS)
        self._is_wanted = is_wanted

    def __call__(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses the actions (N,) for the observations (N, *obs_shape) of the envs as they are now.

        Raises:
            RuntimeError: it rides in no envs.
        """
        branches = self._branches
        if branches is None:
            raise RuntimeError("call ride_in(envs) before the first observations: a planner looks at worlds")
        actions = np.array(self._ask(obs, action_masks), np.int64)
        state, is_running, masks = originals(self._envs)
        wanted = is_running if self._is_wanted is None else is_running & self._is_wanted
        masks[np.arange(len(masks)), actions] = True  # what the base driver does is among what is compared
        per_decision = self.num_futures * max(branches.num_actions, 2 * CONFIRMING)
        per_chunk = branches.num_worlds // per_decision
        rows = np.flatnonzero(wanted)
        for begin in range(0, len(rows), per_chunk):
            chunk = rows[begin : begin + per_chunk]
            actions[chunk] = self._best(branches, state[chunk], masks[chunk], actions[chunk])
        return actions

    def _best(
        self, branches: Branches, state: NDArray[Any], masks: NDArray[np.bool_], base_actions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The actions (B,) to take in states (B,) in which the base driver would take others."""
        rows, tried = np.nonzero(masks)  # (P,) pairs of a state and an action
        returns = np.full((*masks.shape, self.num_futures), np.nan)
        returns[rows, tried] = self._returns(branches, state, rows, tried, self.num_futures)
        here = np.arange(len(masks))
        better = returns - returns[here, base_actions][:, None]  # (B, A, R), paired by future
        gains = np.where(masks, better.mean(axis=2), -np.inf)
        best: NDArray[np.int64] = gains.argmax(axis=1)
        worst = np.nanmin(returns, axis=(1, 2)) - returns[here, base_actions].mean(axis=1)  # (B,)
        is_clear = gains[here, best] > EQUAL
        unsure = np.flatnonzero(is_clear & (np.ptp(better[here, best], axis=1) > EQUAL))
        if len(unsure) > 0:
            pairs = np.repeat(unsure, 2), np.stack([best[unsure], base_actions[unsure]], axis=1).reshape(-1)
            more = self._returns(branches, state, *pairs, CONFIRMING * self.num_futures)
            differences = more[::2] - more[1::2]  # (U, 4 R)
            with_worst = np.concatenate([differences, worst[unsure, None]], axis=1)
            errors = differences.std(axis=1) / np.sqrt(differences.shape[1])
            is_clear[unsure] = with_worst.mean(axis=1) > self.caution * errors
        return np.where(is_clear, best, base_actions)

    def _returns(
        self,
        branches: Branches,
        state: NDArray[Any],
        rows: NDArray[np.int64],
        tried: NDArray[np.int64],
        num_futures: int,
    ) -> NDArray[np.float64]:
        """What pairs (P,) of a state and an action earn in every future, (P, num_futures)."""
        branches.begin(state, rows, num_futures)
        count = len(rows) * num_futures
        actions = np.zeros(branches.num_worlds, np.int64)
        actions[:count] = np.repeat(tried, num_futures)
        totals = np.zeros(branches.num_worlds)
        for tick in range(self.horizon):
            driven = np.flatnonzero(branches.is_open)
            obs, rewards = branches.step(actions)
            totals[driven] += rewards[driven]
            is_open = branches.is_open
            if tick == self.horizon - 1 or not is_open.any():
                break
            masks = branches.action_masks()[is_open] if self.uses_action_masks else None
            actions[is_open] = self._ask(obs[is_open], masks)
        return totals[:count].reshape(len(rows), num_futures)

    def _ask(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """The base driver's actions."""
        getattr(self.policy, "begin", lambda: None)()
        actions: NDArray[np.int64] = self.policy(obs, action_masks) if self.uses_action_masks else self.policy(obs)
        return actions
