"""The ego alone on its road: all that it can do there, and what that is worth at most.

An ego's own motion depends on nobody else, until a collision ends it, and nothing that others add to its rewards is
above 0. So what a drive is worth without them bounds what it is worth among them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from drivesim.core.event_table import EVENT_ARRIVED, EVENT_RED_LIGHT
from drivesim.core.map import SIGNALS
from drivesim.core.memory import Frame
from drivesim.core.prices import TERM_ARRIVED, TERM_PROGRESS, TERMS
from drivesim.core.world import TOP_SPEED
from drivesim.planning import loops
from drivesim.planning.forks import Forks, Outcomes
from drivesim.planning.numbering import Numbering

Array = np.ndarray[Any, Any]

ENDED = -1  # instead of the node behind an edge
CRASHES = ("collision", "pedestrian_hit")  # terms that are paid when somebody else ends the drive


class Graph(NamedTuple):
    """Worlds in which nothing but the ego moves: S nodes in the order in which they are reached, A actions."""

    nodes: Array
    """(S, K) int64: their words."""
    ends: Array
    """(T + 1,) int64: the number of nodes that are reached within so many ticks."""
    next_nodes: Array
    """(S, A) int64: the node behind an edge, ENDED if the drive is over there or the node is of the last tick."""
    rewards: Array
    """(S, A) float64, where no lamp shows red."""
    rewards_on_red: Array
    """(S, A) float64, where every lamp does."""
    lamps: Array
    """(S, A) int64: those at whose red an edge earns `rewards_on_red`, as in `loops.FRAME`."""
    events: Array
    """(S, A) int64: bits of the events."""
    remaining: Array
    """(S,) int64: moves to the goal."""
    is_open: Array
    """(S, A) bool: which actions do what no other one does."""


def explore(forks: Forks, tick: int, depth: int, spare: int | None = None) -> Graph:
    """All that can be reached within `depth` ticks, breadth first from the root, number 0.

    Args:
        forks: of a template in whose words nothing depends on the tick.
        tick: at which all edges are driven.
        depth: ticks, at least 1. Nodes that are reached in the last are not driven from.
        spare: if given, ticks beside twice as many as it takes to the goal are enough.
    """
    numbering = Numbering(forks.root())
    counts = [0, 1]  # nodes within so many ticks, from one less than none
    targets: list[Array] = []
    outcomes: list[Outcomes] = []
    while len(outcomes) < depth and counts[-2] < counts[-1]:
        outcome = drive_all(forks, numbering.nodes[counts[-2] :], tick, loops.ALL_RED)
        targets.append(numbering.number(outcome.nodes, ~outcome.has_ended))
        outcomes.append(outcome)
        counts.append(len(numbering))
        if spare is not None and (outcome.events & EVENT_ARRIVED).any():
            depth, spare = min(depth, 2 * len(outcomes) + spare), None
    ends = np.array(counts[1:] + counts[-1:] * (depth + 1 - len(counts[1:])))
    shape = (len(numbering), forks.num_actions)
    num_edges = sum(map(len, targets))

    def of_edges(parts: list[Array], of_last: float) -> Array:
        """A table (S, A) of what is known of the edges that were driven."""
        table = np.full(shape[0] * shape[1], of_last, parts[0].dtype)
        table[:num_edges] = np.concatenate(parts)
        return table.reshape(shape)

    next_nodes = of_edges(targets, ENDED)
    rewards = of_edges([outcome.rewards for outcome in outcomes], 0.0)
    events = of_edges([outcome.events for outcome in outcomes], 0)
    remaining = np.full(shape[0], forks.remaining)
    goes_on = next_nodes != ENDED
    remaining[next_nodes[goes_on]] = of_edges([outcome.remaining for outcome in outcomes], 0)[goes_on]
    nodes, lamps = numbering.nodes.copy(), np.zeros(shape, np.int64)
    is_open = forks.open_actions(nodes, tick)
    return Graph(nodes, ends, next_nodes, rewards, rewards, lamps, events, remaining, is_open)


def drive_all(forks: Forks, nodes: Array, tick: int, red_lamps: int) -> Outcomes:
    """Drive every edge of nodes (N, K), node by node."""
    edge_nodes = np.repeat(np.arange(len(nodes)), forks.num_actions)
    edge_actions = np.tile(np.arange(forks.num_actions), len(nodes))
    return forks.drive(nodes, np.zeros(len(nodes)), edge_nodes, edge_actions, tick, red_lamps)


def with_lamps(graph: Graph, forks: Forks, map: Array, tick: int) -> Graph:
    """The graph with what its edges earn without red, and which lamp's red costs them the rest."""
    passes = np.flatnonzero(graph.events & EVENT_RED_LIGHT)
    if len(passes) == 0:
        return graph
    actions = forks.num_actions
    nodes, rows = np.unique(passes // actions, return_inverse=True)
    arguments = graph.nodes[nodes], np.zeros(len(nodes)), rows, passes % actions, tick
    rewards, lamps = graph.rewards.reshape(-1).copy(), np.zeros(graph.rewards.size, np.int64)
    rewards[passes] = forks.drive(*arguments, 0).rewards
    controls = map["junctions"]["control"][0, : int(map["num_junctions"][0])]
    for s in np.flatnonzero(controls == SIGNALS).tolist():
        for lamp in range(2 * s, min(2 * s + 2, loops.MAX_LAMPS)):
            outcome = forks.drive(*arguments, 1 << lamp)
            lamps[passes[outcome.events & EVENT_RED_LIGHT != 0]] |= 1 << lamp
    return graph._replace(rewards=rewards.reshape(graph.rewards.shape), lamps=lamps.reshape(graph.lamps.shape))


class Bounds:
    """What is still to be had, at most, from every node of a graph in every tick.

    Args:
        graph: of the ego alone.
        red: (T,) int64: which lamps show red in each of the ticks that are looked at.
        is_last: whether the episode ends with them. Else a drive that has not ended is taken to arrive at once.
        gamma: discount.
        options: OPTIONS (1,).
        route_length: of the level.
        has_others: whether somebody else can end the drive.
    """

    def __init__(
        self,
        graph: Graph,
        red: Array,
        is_last: bool,
        gamma: float,
        options: Array,
        route_length: int,
        has_others: bool,
    ) -> None:
        prices = options["weights"]["terms"][0]
        gain = prices[TERM_PROGRESS] * np.maximum(graph.remaining, 0) / route_length  # as if at once
        over = prices[TERM_PROGRESS] * TOP_SPEED / route_length  # a crash on a ring may lie beyond the goal
        worst = max(prices[TERMS.index(name)] for name in CRASHES)
        self.graph = graph
        self.num_ticks = len(red)
        self.values = np.zeros((len(red) + 1, len(graph.nodes)))
        """(T + 1, S): of a node in a tick in which it may be reached; from the state on, in its own ticks' money."""
        if not is_last:
            self.values[-1] = gain + prices[TERM_ARRIVED]
        self._crash = worst + gain + over if has_others else np.full(len(gain), -np.inf)
        self._red = red
        self._gamma = gamma
        frame = Frame(loops.VALUES)
        frame.set(
            next_nodes=graph.next_nodes.reshape(-1),
            rewards=graph.rewards.reshape(-1),
            rewards_on_red=graph.rewards_on_red.reshape(-1),
            lamps=graph.lamps.reshape(-1),
            red=red,
            ends=graph.ends,
            crash=self._crash,
            gamma=np.array([gamma]),
            num_actions=graph.rewards.shape[1],
            num_ticks=len(red),
            values=self.values,
        )
        loops.value_nodes(frame.argument)

    def of_edges(self, n: int, nodes: Array) -> Array:
        """The same (N, A) of the edges of nodes (N,) in tick n, this tick's reward included."""
        graph = self.graph
        rewards = graph.rewards[nodes]
        if self._red[n]:
            rewards = np.where(graph.lamps[nodes] & self._red[n], graph.rewards_on_red[nodes], rewards)
        behind = graph.next_nodes[nodes]
        later = np.where(behind == ENDED, 0.0, self.values[n + 1][behind])
        values: Array = np.maximum(rewards + self._gamma * later, self._crash[nodes][:, None])
        return values
