"""Drawing actions: the distribution function is inverted exactly, at every uniform number a generator may return."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.sampling import draw_actions

LARGEST = float(np.nextafter(1.0, 0.0))  # the largest number that a generator returns


class ChosenNumbers:
    """Stands in for a generator."""

    def __init__(self, uniforms: list[float]) -> None:
        self.uniforms = uniforms

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.array(self.uniforms).reshape(shape)  # fails unless one number per env is asked for


def draws(probabilities: list[float], uniforms: list[float], dtype: type = np.float32) -> list[int]:
    """The action that one and the same row of probabilities gives for each uniform number."""
    rows = np.tile(np.array(probabilities, dtype), (len(uniforms), 1))
    return draw_actions(rows, ChosenNumbers(uniforms)).tolist()  # type: ignore[arg-type]


def test_a_number_draws_the_action_whose_interval_it_lies_in() -> None:
    # Intervals [0, 0.25), [0.25, 0.75), [0.75, 1): the lower bound belongs to them, the upper one does not.
    just_below = [float(np.nextafter(bound, 0.0)) for bound in (0.25, 0.75)]
    uniforms = [0.0, just_below[0], 0.25, just_below[1], 0.75, LARGEST]
    assert draws([0.25, 0.5, 0.25], uniforms) == [0, 0, 1, 1, 2, 2]


def test_an_action_of_probability_zero_is_never_drawn() -> None:
    uniforms = [0.0, 0.25, float(np.nextafter(0.5, 0.0)), 0.5, LARGEST]
    assert draws([0.0, 0.5, 0.0, 0.5, 0.0], uniforms) == [1, 1, 1, 3, 3]


def test_equidistant_numbers_draw_every_action_as_often_as_its_probability_says() -> None:
    uniforms = [(k + 0.5) / 1000 for k in range(1000)]
    counts = np.bincount(draws([0.5, 0.0, 0.125, 0.375], uniforms), minlength=4)
    assert counts.tolist() == [500, 0, 125, 375]


def test_a_row_need_not_sum_to_one() -> None:
    uniforms = [0.0, 0.2, 0.3, 0.7, 0.8, LARGEST]
    assert draws([3.0, 6.0, 3.0], uniforms) == draws([0.25, 0.5, 0.25], uniforms)


def test_a_probability_too_small_for_a_sum_in_single_precision_is_still_drawn() -> None:
    # 1 + 2**-26 is 1 in float32; the largest number times the sum lies above 1.
    assert draws([1.0, 2.0**-26], [0.5, LARGEST]) == [0, 1]


def test_every_env_has_its_own_probabilities_and_its_own_number() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])
    actions = draw_actions(probabilities, ChosenNumbers([0.9, 0.1, 0.4, 0.6]))  # type: ignore[arg-type]
    assert actions.tolist() == [0, 1, 0, 1]
    assert actions.dtype == np.int64


@settings(max_examples=300, deadline=None)
@given(
    weights=st.lists(st.one_of(st.just(0.0), st.floats(2.0**-20, 1.0, width=32)), min_size=1, max_size=6).filter(any),
    uniform=st.one_of(st.sampled_from([0.0, LARGEST, 0.5]), st.floats(0.0, LARGEST)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_the_number_lies_between_the_sums_before_and_behind_the_action(
    weights: list[float], uniform: float, dtype: type
) -> None:
    (action,) = draws(weights, [uniform], dtype)
    sums = [0.0]
    for weight in np.array(weights, dtype).astype(np.float64):
        sums.append(sums[-1] + weight)
    assert weights[action] > 0.0
    assert sums[action] <= uniform * sums[-1] < sums[action + 1]


@pytest.mark.parametrize("seed", range(3))
def test_a_real_generator_gives_the_numbers_in_the_order_of_the_envs(seed: int) -> None:
    probabilities = np.tile([0.2, 0.3, 0.5], (100, 1))
    uniforms = np.random.default_rng(seed).random(100).tolist()
    assert draw_actions(probabilities, np.random.default_rng(seed)).tolist() == draws([0.2, 0.3, 0.5], uniforms, float)
