"""The sum tree: its sums, what a threshold finds, and what is never found."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.priorities import SumTree

WEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=70)  # whole numbers: sums are exact


def tree_of(weights: list[int]) -> SumTree:
    tree = SumTree(len(weights))
    tree.put_range(0, np.array(weights, np.float64))
    return tree


@given(WEIGHTS)
@settings(max_examples=60, deadline=None)
def test_every_unit_of_the_sum_belongs_to_its_leaf(weights: list[int]) -> None:
    """Thresholds 0.5, 1.5, ... hit each leaf as often as it weighs: frequencies are exactly proportional."""
    tree = tree_of(weights)
    assert tree.total == sum(weights)
    thresholds = np.arange(sum(weights)) + 0.5
    if not thresholds.size:
        return
    sums = list(accumulate(weights))
    found = tree.find(thresholds)
    assert found.tolist() == [bisect_right(sums, threshold) for threshold in thresholds]
    assert np.bincount(found, minlength=len(weights)).tolist() == weights


@given(WEIGHTS, st.data())
@settings(max_examples=60, deadline=None)
def test_changed_leaves_give_the_same_tree_as_new_ones(weights: list[int], data: st.DataObject) -> None:
    tree = tree_of(weights)
    indices = data.draw(st.lists(st.integers(0, len(weights) - 1), max_size=20))
    begin = data.draw(st.integers(0, len(weights) - 1))
    piece = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=len(weights) - begin))
    tree.put(np.array(indices, np.int64), np.array([float(index % 7) for index in indices]))
    tree.put_range(begin, np.array(piece, np.float64))
    for index in indices:
        weights[index] = index % 7
    weights[begin : begin + len(piece)] = piece
    assert tree.leaves.tolist() == weights
    np.testing.assert_array_equal(tree._nodes, tree_of(weights)._nodes)


def test_a_leaf_without_weight_is_never_found_at_the_edges() -> None:
    tree = tree_of([0, 0, 3, 0, 0, 2, 0])
    assert tree.find(np.array([0.0, 3.0, 5.0, np.nextafter(5.0, 9.0)])).tolist() == [2, 5, 5, 5]


def test_sums_do_not_drift() -> None:
    """A tree that adds differences would keep a rest of the 1e16 or lose the small ones."""
    tree = SumTree(3)
    for weight in (1e16, 0.1):
        tree.put(np.array([1]), np.array([weight]))
    tree.put(np.array([0]), np.array([0.2]))
    assert tree.total == 0.2 + 0.1


@pytest.mark.parametrize("num_leaves", [1, 2, 3, 4, 5])
def test_few_leaves_are_no_special_case(num_leaves: int) -> None:
    tree = tree_of([1] * num_leaves)
    assert tree.find(np.arange(num_leaves) + 0.5).tolist() == list(range(num_leaves))
