"""Regret: what a driver earns less than the best drive of the same episode.

    records = regret(make_scripted(env_id), EnvChoice(env_id, observation="grid"), levels=40, seed=1_000_000)
    records[0]["mean_regret"], records[0]["share_of_optimum"]

Both are paid by the environment's own default reward, whatever weights a driver was trained with, and undiscounted. The
best drive is :mod:`drivesim.planning`'s: it knows what others will do, so that nobody reaches it where they do much.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym

from agents.environments import EnvChoice, registered_ids
from agents.evaluation import first_drives
from agents.policy import Policy
from agents.results import mean_interval
from agents.validation import require
from drivesim.decimals import decimal
from drivesim.planning import Plan, solve
from drivesim.stages import tell

__all__ = [
    "BUDGET",
    "TOLERANCE",
    "Compared",
    "compare",
    "compare_with",
    "condensed",
    "in_words",
    "read_compared",
    "regret",
]

BUDGET = 2_000_000
"""Ticks of forked worlds for every level, see :func:`drivesim.planning.solve`."""
TOLERANCE = 1e-9
"""To which bounds hold, as in the planner."""


@dataclass(frozen=True)
class Drive:
    """What an episode came to."""

    total_reward: float
    """The sum of its rewards."""
    ticks: int
    """How long it took."""
    lane_changes: int
    """How often it crossed a lane's boundary."""
    success: bool
    """Whether it counts as one."""


@dataclass(frozen=True)
class Compared:
    """A level, a driver's drive in it and the best one."""

    seed: int
    """Of the env."""
    driver: Drive
    """The driver's."""
    plan: Drive
    """The best that is known."""
    upper: float
    """What no drive is worth more than."""
    seconds: float
    """Of one processor, for the plan."""

    @property
    def is_exact(self) -> bool:
        """Whether no drive is better than the plan."""
        return self.upper <= self.plan.total_reward + TOLERANCE

    @property
    def optimum(self) -> float:
        """The best drive's reward: the middle of the interval in which it lies."""
        return (self.plan.total_reward + self.upper) / 2

    @property
    def regret(self) -> float:
        """What the driver earns less than that; at least 0, but for the planner's tolerance."""
        return self.optimum - self.driver.total_reward


def regret(
    policy: Policy,
    config: EnvChoice,
    *,
    levels: int = 40,
    seed: int,
    split: str = "test",
    agent: str = "policy",
    budget: int = BUDGET,
    num_threads: int = 1,
) -> list[dict[str, Any]]:
    """Measures a driver's regret on the first episodes of ``levels`` envs.

    Args:
        policy: as for ``evaluate``.
        config: environment and options; of several environments, each is measured on as many levels.
        levels: number of envs, at least 2, seeded ``seed`` to ``seed + levels - 1``.
        seed: of the first env.
        split: stream of levels.
        agent: name to report.
        budget: of the planner, a level.
        num_threads: of the planner; results do not depend on it.

    Returns:
        One record per environment, which JSON can hold; :func:`condensed` says what is in it. ``each_level`` has of
        every level its seed, what the driver and the optimum earn, between what bounds the latter lies, their ticks
        and successes, and ``empty_road_ticks``: how long the same way takes on an empty, straight road.

    Raises:
        ValueError: for an environment of another package, or a number out of range.
        AssertionError: the driver earns more than the bound, or a drive is not paid the same twice.
    """
    require("levels", levels, levels >= 2, "at least 2")
    records = []
    for choice in config.each():
        compared = compare(policy, choice, range(seed, seed + levels), split, budget, num_threads)
        records.append(
            {
                "env": choice.env,
                "agent": agent,
                "split": split,
                "seed": seed,
                "episodes": levels,
                "budget": budget,
                **condensed(compared),
                **choice.options(),
                "each_level": _each_level(compared, choice, split),
            }
        )
    return records


def compare(
    policy: Policy, config: EnvChoice, seeds: Sequence[int], split: str, budget: int, num_threads: int = 1
) -> list[Compared]:
    """Lets a driver drive the first episodes of some envs and finds the best drive of each.

    Args:
        policy: as for ``evaluate``.
        config: one environment and its options.
        seeds: one per env.
        split: stream of levels.
        budget: of the planner, a level.
        num_threads: of the planner.

    Raises:
        ValueError, AssertionError: as :func:`regret`.
    """
    compared: list[Compared] = []
    with contextlib.closing(_env_of(config, split)) as env:
        drives = _drives(policy, config, env, seeds, split)
        env.reset(seed=seeds[0])
        solve(env, budget=0, num_threads=num_threads)  # compiled before a clock starts
        for seed, (actions, driver) in zip(seeds, drives, strict=True):
            tell(f"{len(compared)} of {len(seeds)} levels")
            env.reset(seed=seed)
            start = time.process_time()
            plan, upper = _best(env, actions, driver.total_reward, budget, num_threads)
            seconds = time.process_time() - start
            best = _driven(env, seed, plan.actions)
            if best.total_reward != plan.total_reward:
                raise AssertionError(f"{config.env}, seed {seed}: the plan is not paid what it says")
            compared.append(Compared(seed, driver, best, upper, seconds))
    return compared


def compare_with(levels: Sequence[Compared], policy: Policy, config: EnvChoice, split: str) -> list[Compared]:
    """Puts another driver in the place of one that was compared, without planning again.

    Args:
        levels: of :func:`compare`, of the same environment, level options and stream.
        policy: as for ``evaluate``.
        config: one environment and its options.
        split: stream of levels.

    Raises:
        ValueError, AssertionError: as :func:`regret`.
    """
    with contextlib.closing(_env_of(config, split)) as env:
        drives = _drives(policy, config, env, [level.seed for level in levels], split)
    compared = []
    for level, (_, driver) in zip(levels, drives, strict=True):
        if driver.total_reward > level.upper + TOLERANCE:
            raise AssertionError(
                f"{config.env}, seed {level.seed}: the driver earns {driver.total_reward}, the bound is {level.upper}"
            )
        best = max(level.plan, driver, key=lambda drive: drive.total_reward)
        compared.append(replace(level, driver=driver, plan=best))
    return compared


def read_compared(level: dict[str, Any]) -> Compared:
    """The inverse of :func:`dataclasses.asdict`, after a level has been in a file."""
    return Compared(**{**level, "driver": Drive(**level["driver"]), "plan": Drive(**level["plan"])})


def condensed(levels: Sequence[Compared]) -> dict[str, Any]:
    """Returns means over levels: the optimum, the driver, and the difference with Student's 95 % interval.

    ``mean_optimum`` is the middle of ``mean_lower``, what the plans earn, and ``mean_upper``, what no drives earn more
    than; ``exact_rate`` is the share of levels where both are one. Without a positive optimum, ``share_of_optimum`` is
    None.

    Args:
        levels: at least 2.
    """

    def mean(values: Sequence[float]) -> float:
        return math.fsum(values) / len(levels)

    optimum, earned = mean([each.optimum for each in levels]), mean([each.driver.total_reward for each in levels])
    differences = [each.regret for each in levels]
    return {
        "mean_optimum": optimum,
        "mean_lower": mean([each.plan.total_reward for each in levels]),
        "mean_upper": mean([each.upper for each in levels]),
        "exact_rate": mean([each.is_exact for each in levels]),
        "mean_return": earned,
        "mean_regret": mean(differences),
        "regret_ci95": list(mean_interval(differences)),
        "share_of_optimum": earned / optimum if optimum > 0 else None,
        "success_rate": mean([each.driver.success for each in levels]),
        "plan_success_rate": mean([each.plan.success for each in levels]),
        "mean_length": mean([each.driver.ticks for each in levels]),
        "plan_mean_length": mean([each.plan.ticks for each in levels]),
        "mean_lane_changes": mean([each.driver.lane_changes for each in levels]),
        "plan_mean_lane_changes": mean([each.plan.lane_changes for each in levels]),
    }


def _each_level(levels: Sequence[Compared], config: EnvChoice, split: str) -> list[dict[str, Any]]:
    """What :func:`regret` tells of single levels."""
    told = []
    with contextlib.closing(_env_of(config, split)) as env:
        for level in levels:
            env.reset(seed=level.seed)
            told.append(
                {
                    "seed": level.seed,
                    "return": level.driver.total_reward,
                    "optimum": level.optimum,
                    "bounds": [level.plan.total_reward, level.upper],
                    "length": level.driver.ticks,
                    "plan_length": level.plan.ticks,
                    "empty_road_ticks": _empty_road_ticks(env),
                    "success": level.driver.success,
                    "plan_success": level.plan.success,
                }
            )
    return told


def _empty_road_ticks(env: gym.Env[Any, Any]) -> int:
    """How many ticks as long a way takes on an empty, straight road: one cell faster in each, up to the top speed."""
    world = env.unwrapped.get_state()["world"][0]  # type: ignore[attr-defined]
    ego = world["vehicles"][0]
    left, speed, ticks = int(world["egos"]["remaining"][0]), int(ego["speed"]), 0
    while left > 0:
        speed, ticks = min(speed + 1, int(ego["top_speed"])), ticks + 1
        left -= speed
    return ticks


def in_words(record: dict[str, Any]) -> str:
    """A record of :func:`regret` in a few lines."""
    means = (record[f"mean_{name}"] for name in ("optimum", "lower", "upper", "return", "regret"))
    optimum, lower, upper, driver, mean, low, high = (decimal(one, 4) for one in (*means, *record["regret_ci95"]))
    share = record["share_of_optimum"]
    return "\n".join(
        (
            f"regret on {record['episodes']:,} levels of {record['env']}, by the default reward, undiscounted:",
            f"  optimum          {optimum}, between {lower} and {upper}; exact on {record['exact_rate']:.1%} of "
            "the levels",
            f"  driver           {driver}" + ("" if share is None else f", {decimal(100.0 * share, 1)}% of it"),
            f"  regret           {mean}, 95 %: {low} to {high}",
            f"  ticks            {record['mean_length']:.1f}, the plan's {record['plan_mean_length']:.1f}",
            f"  changes of lane  {record['mean_lane_changes']:.2f}, the plan's {record['plan_mean_lane_changes']:.2f}",
        )
    )


def _best(
    env: gym.Env[Any, Any], actions: Sequence[int], earned: float, budget: int, num_threads: int
) -> tuple[Plan, float]:
    """The best drive from an env's start, and the bound above it.

    A first bound is found without the driver's drive: known to the planner, it would lift the bound that it exceeds.
    """
    plan = solve(env, budget=0, num_threads=num_threads)
    upper = plan.upper
    if not plan.is_exact and earned <= upper + TOLERANCE:
        plan = solve(env, budget=budget, incumbent=actions, num_threads=num_threads)
        upper = min(upper, plan.upper)
    if max(earned, plan.lower) > upper + TOLERANCE:
        raise AssertionError(f"the driver earns {earned} and the plan {plan.lower}, where the bound is {upper}")
    return plan, max(upper, plan.lower)


def _env_of(config: EnvChoice, split: str) -> gym.Env[Any, Any]:
    require("env", config.env, config.env in registered_ids(), "of the suite, which alone can be planned in,")
    return gym.make(config.env, disable_env_checker=True, **config.options(split))


def _drives(
    policy: Policy, config: EnvChoice, env: gym.Env[Any, Any], seeds: Sequence[int], split: str
) -> list[tuple[bytes, Drive]]:
    """A driver's actions in the first episodes of some envs, and what they come to."""
    drives = first_drives(policy, config, seeds, split)
    driven = [(actions, _driven(env, seed, actions)) for seed, actions in zip(seeds, drives.actions, strict=True)]
    for seed, (_, drive), total_reward in zip(seeds, driven, drives.results["episode_return"], strict=True):
        if drive.total_reward != total_reward:
            raise AssertionError(f"{config.env}, seed {seed}: the driver's drive is not paid the same twice")
    return driven


def _driven(env: gym.Env[Any, Any], seed: int, actions: Sequence[int]) -> Drive:
    """Drives an env's first episode to its end by given actions."""
    env.reset(seed=seed)
    for action in actions:
        info = env.step(int(action))[-1]
    return Drive(
        total_reward=float(info["episode_return"]),
        ticks=int(info["episode_length"]),
        lane_changes=int(info["num_lane_changes"]),
        success=bool(info["success"]),
    )
