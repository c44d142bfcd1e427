"""Checks of configuration fields: an error names the field, the value and what is allowed."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import gymnasium as gym

__all__ = ["check_at_least", "check_choice", "check_positive", "check_unit_interval", "count_actions", "require"]


def require(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    """Raises a ValueError unless ``is_allowed``."""
    if not is_allowed:
        raise ValueError(f"{name} must be {allowed}, got {value!r}")


def check_at_least(config: object, least: float, *names: str) -> None:
    """Every named field must be ``least`` or more."""
    for name in names:
        value = getattr(config, name)
        require(name, value, value >= least, f"at least {least}")


def check_positive(config: object, *names: str) -> None:
    """Every named field must be above 0."""
    for name in names:
        value = getattr(config, name)
        require(name, value, value > 0, "positive")


def check_unit_interval(config: object, *names: str) -> None:
    """Every named field must be in [0, 1]."""
    for name in names:
        value = getattr(config, name)
        require(name, value, 0.0 <= value <= 1.0, "in [0, 1]")


def check_choice(config: object, *names: str) -> None:
    """Every named field must be among the choices of its ``Literal`` annotation."""
    hints = get_type_hints(type(config))
    for name in names:
        value, choices = getattr(config, name), get_args(hints[name])
        require(name, value, value in choices, f"one of {list(choices)}")


def count_actions(action_space: gym.Space[Any]) -> int:
    """Returns the size of a discrete action space that is numbered from 0, which all algorithms need."""
    if not isinstance(action_space, gym.spaces.Discrete) or action_space.start != 0:
        raise ValueError(f"action_space must be a Discrete from 0, got {action_space}")
    return int(action_space.n)
