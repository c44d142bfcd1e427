"""Drivers that learn nothing, by name."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from agents import scripted
from agents.environments import EnvChoice, make_envs
from agents.planner import Planner
from agents.policy import Policy
from agents.random_agent import make_random
from agents.results import BASELINES
from agents.validation import count_actions, require
from drivesim.registry import entries

__all__ = ["PLANNER", "TYPED", "baselines_of", "make_baseline", "spoken"]

PLANNER = "planner"
"""Name of the one that looks ahead with the rule-based driver: slow, and hence in no table that is made as a rule."""


TYPED = tuple(name.replace(" ", "-") for name in (*BASELINES, PLANNER))
"""Names of all of them as one types them; in tables some are words, see :func:`spoken`."""


def spoken(name: str) -> str:
    """Returns a driver's name as it stands in tables and records, whichever of its two spellings it is given in.

    Raises:
        ValueError: there is no such driver.
    """
    require("baseline", name, name.replace(" ", "-") in TYPED, f"one of {list(TYPED)}")
    return (*BASELINES, PLANNER)[TYPED.index(name.replace(" ", "-"))]


def baselines_of(env_id: str) -> tuple[str, ...]:
    """Returns the drivers that learn nothing which there are for an id: of a scenario without rules, the random one."""
    names = {entry.name for entry in entries() if entry.id == env_id}
    return BASELINES if names & set(scripted.SCENARIOS) else BASELINES[:1]


def make_baseline(name: str, choice: EnvChoice) -> tuple[Policy, EnvChoice]:
    """Returns a driver that learns nothing, and the choice with the observation that it reads.

    Args:
        name: one of :data:`TYPED`, or as it is :func:`spoken`.
        choice: one environment and its options.

    Raises:
        ValueError: there is no such driver, or none for this environment.
    """
    name = spoken(name)
    if name == PLANNER:
        driver = scripted.make_scripted(choice.env)
        return Planner(driver), replace(choice, observation=driver.observation)
    if name in scripted.BASELINES:
        driver = scripted.BASELINES[name](choice.env)
        return driver, replace(choice, observation=driver.observation)
    with contextlib.closing(make_envs(choice, 1, "test")) as envs:
        return make_random(count_actions(envs.single_action_space), 0), choice
