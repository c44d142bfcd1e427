"""Evaluation of a policy on levels never trained on."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments import EnvChoice, make_envs, shares
from agents.metrics import wilson_interval
from agents.policy import NetworkPolicy, Policy
from agents.stepping import Stepper

__all__ = ["Policy", "evaluate", "first_episodes"]

_MAX_ENVS = 4096  # envs stepped together; more episodes are done in several rounds


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
        parts = zip(choices, shares(max(episodes, len(choices)), len(choices)), strict=True)
        records = [
            evaluate(policy, choice, episodes=share, seed=seed, split=split, agent=agent) for choice, share in parts
        ]
        return _together(config, records)
    rounds = [
        first_episodes(policy, config, min(_MAX_ENVS, episodes - start), seed + start, split)
        for start in range(0, episodes, _MAX_ENVS)
    ]
    results = {name: np.concatenate([part[name] for part in rounds]) for name in rounds[0]}
    success = results["success"].astype(np.bool_)
    low, high = wilson_interval(int(success.sum()), episodes)
    lengths = results["episode_length"]
    return {
        "env": config.env,
        "agent": agent,
        "split": split,
        "seed": seed,
        "episodes": episodes,
        "success_rate": float(success.mean()),
        "success_ci95": [low, high],
        "collision_rate": _mean(results.get("collision")),
        "off_road_rate": _mean(results.get("off_road")),
        "timeout_rate": _mean(results.get("timeout")),
        "mean_return": _mean(results["episode_return"]),
        "mean_length": _mean(lengths),
        "mean_length_of_successes": _mean(lengths[success]),
        **config.options(),
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
    with contextlib.closing(make_envs(config, num_envs, split)) as envs:
        stepper = Stepper(envs)
        obs = stepper.begin(list(range(seed, seed + num_envs)))
        if isinstance(policy, NetworkPolicy):
            policy.begin()
        is_open = np.ones(num_envs, np.bool_)
        results: dict[str, NDArray[np.float64]] = {}
        while is_open.any():
            if isinstance(policy, NetworkPolicy) and policy.uses_action_masks:
                actions = policy(obs, stepper.action_masks())
            else:
                actions = policy(obs)
            step = stepper.step(actions)
            obs = step.next_obs
            first = is_open[step.ended]
            for name, values in stepper.episodes.items():
                results.setdefault(name, np.full(num_envs, np.nan))[step.ended & is_open] = values[first]
            is_open &= ~step.ended
    return results


def _mean(values: NDArray[Any] | None) -> float | None:
    return None if values is None or values.size == 0 else float(values.mean())
