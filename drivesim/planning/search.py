"""The best drive among others: tick by tick, all nodes of a tick at once, with bounds from the ego alone.

Branch and bound: an edge is driven only if its bound is above what a known drive is worth. Nodes that are equal, word
by word, are merged. A tick keeps at most `width` nodes, those with the highest bounds; the highest bound that is
dropped for want of room is then a bound on the optimum. If none is, the best drive found is the optimum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from drivesim.planning.alone import Bounds
from drivesim.planning.forks import Forks

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-9  # by which a drive must be better to count as better
CHUNK = 1 << 15  # edges that are driven at once
_FACTORS = np.random.default_rng(0).integers(0, 1 << 63, 1 << 14, np.uint64) * np.uint64(2) + np.uint64(1)


class Found(NamedTuple):
    """What a pass has found."""

    actions: tuple[int, ...] | None
    """The best drive, None if none is better than what was known."""
    lower: float
    """What it is worth, or what was known."""
    upper: float
    """A bound on the optimum."""
    was_narrow: bool
    """Whether nodes were dropped for want of room."""


class Layer(NamedTuple):
    """The nodes of a tick."""

    nodes: Array
    """(N, K) words."""
    alone: Array
    """(N,) the same of the ego alone: number of a node of its graph."""
    totals: Array
    """(N,) rewards so far, as the environment adds them up."""
    worth: Array
    """(N,) the same from the root on, discounted."""
    bounds: Array
    """(N,) what a drive through here is worth at most."""
    parents: Array
    """(N,) row in the layer of the tick before."""
    actions: Array
    """(N,) what led here from there."""


class End(NamedTuple):
    """How the best drive ends."""

    n: int
    """Its last tick."""
    row: int
    """Of that tick's layer."""
    action: int
    worth: float


class Pass:
    """One pass over the ticks.

    Args:
        forks: of the level with everybody in it.
        bounds: from the ego alone.
        is_last: whether the episode ends with the ticks of `bounds`.
        gamma: discount.
        tick: at the root.
        total: rewards before the root.
        lower: what a known drive is worth.
        width: nodes of a tick.
        doubt: by how much the bound of a node falls for every move that is left, when it is chosen which to keep:
            others will hold up the ego. With some doubt one node is kept for each state of the ego, and good drives are
            found early; without it, bounds are tightest.
    """

    def __init__(
        self,
        forks: Forks,
        bounds: Bounds,
        *,
        is_last: bool,
        gamma: float,
        tick: int,
        total: float,
        lower: float,
        width: int,
        doubt: float = 0.0,
    ) -> None:
        self._forks = forks
        self._bounds = bounds
        self._is_last = is_last
        self._gamma = gamma
        self._tick = tick
        self._total = total
        self._lower = lower
        self._width = width
        self._doubt = doubt
        self._best: End | None = None
        self._dropped = -np.inf

    def run(self) -> Found:
        """Go through the ticks until no node is left that could lead to a better drive."""
        zero = np.zeros(1, np.int64)
        first = self._forks.root(), zero, np.array([self._total]), np.zeros(1), self._bounds.values[0][:1], zero, zero
        layer = Layer(*first)
        trail = []
        for n in range(self._bounds.num_ticks):
            layer = self._next(layer, n)
            trail.append((layer.parents, layer.actions))
            if len(layer.alone) == 0:
                break
        upper = max(self._lower, self._dropped)
        if len(layer.alone) > 0:  # they go on after the last tick that was looked at
            upper = max(upper, float(layer.bounds.max()))
        actions = None if self._best is None else drive_to(trail, self._best)
        return Found(actions, self._lower, upper, self._dropped > self._lower)

    def _next(self, layer: Layer, n: int) -> Layer:
        """The layer behind that of tick n."""
        edges = self._gamma**n * self._bounds.of_edges(n, layer.alone)
        is_worth_it = self._bounds.graph.is_open[layer.alone]
        is_worth_it &= layer.worth[:, None] + edges > self._lower + TOLERANCE
        rows, actions = np.nonzero(is_worth_it)
        parts = [
            self._drive(layer, n, rows[begin : begin + CHUNK], actions[begin : begin + CHUNK])
            for begin in range(0, max(1, len(rows)), CHUNK)
        ]
        layer = Layer(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        layer = merged(taken(layer, layer.bounds > self._lower + TOLERANCE))
        kept = self._kept(layer)
        if len(kept) < len(layer.alone):
            is_kept = np.zeros(len(layer.alone), np.bool_)
            is_kept[kept] = True
            self._dropped = max(self._dropped, float(layer.bounds[~is_kept].max()))
            layer = taken(layer, kept)
        return layer

    def _kept(self, layer: Layer) -> Array:
        """The rows (N,) of a layer that there is room for, the best first."""
        remaining = self._bounds.graph.remaining[layer.alone]
        order = np.lexsort((remaining, self._doubt * remaining - layer.bounds))
        if self._doubt > 0.0:  # one for each state of the ego
            _, first = np.unique(layer.alone[order], return_index=True)
            order = order[np.sort(first)]
        return order[: self._width]

    def _drive(self, layer: Layer, n: int, rows: Array, actions: Array) -> Layer:
        """Drive edges of tick n, note the best drive that ends with one; the nodes behind the others."""
        outcome = self._forks.drive(layer.nodes, layer.totals, rows, actions, self._tick + n)
        worth = outcome.totals - self._total
        if self._gamma != 1.0:
            worth = layer.worth[rows] + self._gamma**n * outcome.rewards
        alone = self._bounds.graph.next_nodes[layer.alone[rows], actions]
        has_ended = outcome.has_ended
        if self._is_last and n + 1 == self._bounds.num_ticks:
            has_ended = np.ones_like(has_ended)
        ended = np.flatnonzero(has_ended)
        if len(ended) > 0:
            top = ended[worth[ended].argmax()]
            if worth[top] > self._lower:
                self._lower = float(worth[top])
                self._best = End(n, int(rows[top]), int(actions[top]), self._lower)
        bounds = worth + self._gamma ** (n + 1) * self._bounds.values[n + 1][alone]
        kept = ~has_ended & (bounds > self._lower + TOLERANCE)
        columns = outcome.nodes, alone, outcome.totals, worth, bounds, rows, actions
        return Layer(*(column[kept] for column in columns))


def taken(layer: Layer, rows: Array) -> Layer:
    """Some rows of a layer."""
    return Layer(*(column[rows] for column in layer))


def merged(layer: Layer) -> Layer:
    """The layer with each node once, of several equal ones the one that is worth most so far."""
    if len(layer.alone) < 2:
        return layer
    factors = np.resize(_FACTORS, layer.nodes.shape[1])
    sums = (layer.nodes.view(np.uint64) * factors).sum(axis=1)
    order = np.lexsort((-layer.worth, sums))
    is_same = sums[order[1:]] == sums[order[:-1]]
    pairs = np.flatnonzero(is_same)  # whether they are is seen from all of their words
    is_same[pairs] = (layer.nodes[order[pairs]] == layer.nodes[order[pairs + 1]]).all(axis=1)
    return taken(layer, np.sort(order[np.concatenate([[True], ~is_same])]))


def drive_to(trail: list[tuple[Array, Array]], end: End) -> tuple[int, ...]:
    """The actions of the drive with such an end."""
    row, actions = end.row, [end.action]
    for parents, chosen in reversed(trail[: end.n]):
        actions.append(int(chosen[row]))
        row = int(parents[row])
    return tuple(reversed(actions))
