"""Evaluation of a policy on levels never trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments import EnvChoice, make_envs, shares
from agents.metrics import wilson_interval
from agents.policy import Policy
from agents.stepping import Stepper
from drivesim.stages import tell

__all__ = ["FirstDrives", "Policy", "evaluate", "first_drives", "first_episodes", "rates"]

_MAX_ENVS = 4096  # envs stepped together; more episodes are done in several rounds


@dataclass(frozen=True)
class FirstDrives:
    """The first episodes of N envs."""

    results: dict[str, NDArray[np.float64]]
    """The final infos, each of shape (N,)."""
    actions: tuple[bytes, ...]
    """Of every env the actions, a byte each."""


def evaluate(
    policy: Policy,
    config: EnvChoice,
    *,
    episodes: int,
    seed: int,
    split: str = "test",
    agent: str = "policy",
) -> dict[str, Any]:
    """Drives the first episode of ``episodes`` distinct envs and reports rates and means.

    Counting only each env's first episode keeps short episodes (early crashes) from being counted
    more often than long ones, and makes two policies face the same levels.

    Args:
        policy: called with every env's observation at every step.
        config: environment and options; of several environments each drives its share of the episodes.
        episodes: number of envs, seeded ``seed`` to ``seed + episodes - 1``; in each environment from ``seed`` on.
        seed: of the first env, at least 0.
        split: stream of levels.
        agent: name to report.

    Returns:
        A record that JSON can hold; means over no episodes are None. Of several environments it has the records of
        each in ``each``, and their means weighted by episodes.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    choices = config.each()
    if len(choices) > 1:
        parts = zip(choices, shares(episodes, [1] * len(choices)), strict=True)
        records = [
            evaluate(policy, choice, episodes=share, seed=seed, split=split, agent=agent) for choice, share in parts
        ]
        return _together(config, records)
    results = first_drives(policy, config, range(seed, seed + episodes), split).results
    return {
        "env": config.env,
        "agent": agent,
        "split": split,
        "seed": seed,
        "episodes": episodes,
        **rates(results),
        **config.options(),
    }


def rates(results: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Returns shares, means and Wilson's interval of the success over episodes.

    Args:
        results: final infos by name, each of shape (N,).
    """
    success = results["success"].astype(np.bool_)
    lengths = results["episode_length"]
    return {
        "success_rate": float(success.mean()),
        "success_ci95": list(wilson_interval(int(success.sum()), success.size)),
        "collision_rate": _mean(results.get("collision")),
        "off_road_rate": _mean(results.get("off_road")),
        "timeout_rate": _mean(results.get("timeout")),
        "mean_return": _mean(results["episode_return"]),
        "mean_length": _mean(lengths),
        "mean_length_of_successes": _mean(lengths[success]),
    }


def _together(config: EnvChoice, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of several environments."""
    episodes = [record["episodes"] for record in records]
    successes = [round(record["success_rate"] * record["episodes"]) for record in records]
    together = {**records[0], "env": config.env, "episodes": sum(episodes)}
    for name in records[0]:
        if name.endswith("_rate") or name.startswith("mean_"):
            weights = successes if name == "mean_length_of_successes" else episodes
            told = [(record[name], weight) for record, weight in zip(records, weights, strict=True) if weight > 0]
            known = [value is not None for value, _ in told]
            values, counts = zip(*told, strict=True) if all(known) and told else ((), ())
            together[name] = float(np.average(values, weights=counts)) if values else None
    low, high = wilson_interval(sum(successes), sum(episodes))
    return {**together, "success_ci95": [low, high], "each": records}


def first_episodes(
    policy: Policy, config: EnvChoice, num_envs: int, seed: int, split: str
) -> dict[str, NDArray[np.float64]]:
    """Drives every env to its first end and returns the final infos, each of shape (num_envs,)."""
    return first_drives(policy, config, range(seed, seed + num_envs), split).results


def first_drives(policy: Policy, config: EnvChoice, seeds: Sequence[int], split: str) -> FirstDrives:
    """Drives the env of every seed to its first end.

    Args:
        policy: called with every env's observation at every step, and with the action masks if it has an attribute
            ``uses_action_masks`` that is true; its methods ``begin()`` and ``ride_in(envs, is_wanted)``, if there are
            such, are called before the first step: see :class:`agents.planner.Planner`.
        config: environment and options.
        seeds: one per env.
        split: stream of levels.
    """
    rounds = [
        _drive_together(policy, config, seeds[start : start + _MAX_ENVS], split, start, len(seeds))
        for start in range(0, len(seeds), _MAX_ENVS)
    ]
    return FirstDrives(
        results={name: np.concatenate([part.results[name] for part in rounds]) for name in rounds[0].results},
        actions=tuple(actions for part in rounds for actions in part.actions),
    )


def _drive_together(
    policy: Any, config: EnvChoice, seeds: Sequence[int], split: str, num_driven: int, total: int
) -> FirstDrives:
    """Drives a round of envs, before which some of all were driven."""
    num_envs = len(seeds)
    uses_masks = getattr(policy, "uses_action_masks", False)
    with contextlib.closing(make_envs(config, num_envs, split)) as envs:
        if getattr(policy, "domain", None) is not None:
            num_actions = int(getattr(envs.single_action_space, "n", 0))
            policy.domain.require(config.env, config.observation, envs.single_observation_space, num_actions)
        stepper = Stepper(envs)
        obs = stepper.begin(list(seeds))
        getattr(policy, "begin", lambda: None)()
        is_open = np.ones(num_envs, np.bool_)
        getattr(policy, "ride_in", lambda *_: None)(envs, is_open)
        results: dict[str, NDArray[np.float64]] = {}
        taken: list[NDArray[np.uint8]] = []
        while is_open.any():
            actions = policy(obs, stepper.action_masks()) if uses_masks else policy(obs)
            step = stepper.step(actions)
            taken.append(np.asarray(actions, np.uint8))
            obs = step.next_obs
            first = is_open[step.ended]
            for name, values in stepper.episodes.items():
                results.setdefault(name, np.full(num_envs, np.nan))[step.ended & is_open] = values[first]
            is_open &= ~step.ended
            ended = num_driven + num_envs - int(is_open.sum())
            tell(f"{ended:,} of {total:,} episodes are over, tick {len(taken)}")
    lengths = results["episode_length"].astype(np.int64).tolist()
    columns = np.stack(taken, axis=1)  # (num_envs, num_ticks)
    return FirstDrives(results, tuple(columns[env, :length].tobytes() for env, length in enumerate(lengths)))


def _mean(values: NDArray[Any] | None) -> float | None:
    return None if values is None or values.size == 0 else float(values.mean())
