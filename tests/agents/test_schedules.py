"""Schedules, and the checks that every algorithm begins with."""

from __future__ import annotations

import gymnasium as gym
import pytest

from agents.schedules import linear
from agents.validation import count_actions


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 1.0), (25, 0.8), (50, 0.6), (100, 0.2), (1000, 0.2)],  # 1 - 0.8 * step / 100, then level
)
def test_a_linear_schedule_is_a_line_and_then_level(step, expected) -> None:
    assert linear(1.0, 0.2, step, 100) == pytest.approx(expected)


def test_a_phase_of_no_length_is_over_at_once() -> None:
    assert linear(1.0, 0.2, 0, 0.0) == pytest.approx(0.2)


def test_only_discrete_actions_from_0_are_counted() -> None:
    assert count_actions(gym.spaces.Discrete(4)) == 4
    for space in (gym.spaces.Discrete(4, start=1), gym.spaces.MultiDiscrete([4]), gym.spaces.Box(0, 1)):
        with pytest.raises(ValueError, match=r"action_space must be a Discrete from 0, got"):
            count_actions(space)
