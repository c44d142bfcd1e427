"""Nodes are numbered as a dictionary would, whatever their words and however many come at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.planning.numbering import Numbering

WORDS = st.sampled_from([0, 1, 2, 1 << 32, (1 << 63) - 1, -1, -(1 << 63)])  # alike in a half, or of the other sign


@settings(deadline=None)  # the first example may compile kernels
@given(st.integers(1, 3).flatmap(lambda k: st.lists(st.lists(st.lists(WORDS, min_size=k, max_size=k), min_size=1))))
def test_as_a_dictionary_does(batches) -> None:
    numbering, numbers = Numbering(np.zeros((0, len(batches[0][0]) if batches else 1), np.int64)), {}
    for n, rows in enumerate(batches):
        nodes = np.array(rows, np.int64)
        are_wanted = np.arange(len(rows)) % 3 != n % 3
        expected = [
            numbers.setdefault(tuple(row), len(numbers)) if i % 3 != n % 3 else -1 for i, row in enumerate(rows)
        ]
        assert numbering.number(nodes, are_wanted).tolist() == expected
        assert numbering.nodes.tolist() == [list(row) for row in numbers]
        assert [numbering.get(node[None]) for node in nodes] == [numbers.get(tuple(row)) for row in rows]


def test_slots_are_spread_over_nodes_that_differ_in_a_few_bits() -> None:
    """Else numbering them would take the square of the time: they differ as cells, speeds and headings do."""
    nodes = np.stack(np.meshgrid(np.arange(256) << 32, np.arange(64), np.arange(8) << 16, indexing="ij"), -1)
    numbering = Numbering(nodes.reshape(-1, 3))
    taken = np.flatnonzero(numbering._frame.slots)
    lengths = np.diff(np.flatnonzero(np.diff(taken) != 1))
    assert len(numbering) == 1 << 17
    assert lengths.max() < 64  # of stretches without a free slot
