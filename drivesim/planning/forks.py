"""Many forked worlds of one level, driven at once: memory and threads around `drivesim.planning.loops`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from drivesim.core.episode import DETAIL
from drivesim.core.memory import Frame
from drivesim.core.world import ACTION_IDLE
from drivesim.planning import loops
from drivesim.planning.loops import AS_THEY_ARE
from drivesim.planning.words import Words
from drivesim.ranges import Ranges

Array = np.ndarray[Any, Any]

MIN_EDGES_PER_THREAD = 512


@dataclass(frozen=True)
class Outcomes:
    """What has become of M edges."""

    nodes: Array
    """(M, K) int64; of no meaning where the drive has ended."""
    rewards: Array
    """(M,) float64."""
    totals: Array
    """(M,) float64: the sum of rewards, added up as the environment does."""
    events: Array
    """(M,) int64: bits of the events of this tick."""
    has_ended: Array
    """(M,) bool."""
    remaining: Array
    """(M,) int64: moves to the goal."""


class Forks:
    """Forked worlds of one level.

    Args:
        template: (1,) a world without occupants: what does not vary.
        map: (1,) its map.
        options: OPTIONS (1,).
        words: where the words of a node stand.
        actions: how many there are.
        num_threads: at most.
    """

    def __init__(
        self, template: Array, map: Array, options: Array, words: Words, actions: int, num_threads: int = 1
    ) -> None:
        self.num_actions = actions
        self.num_words = len(words.places)
        self.num_driven = 0  # edges so far
        self.remaining = int(template["egos"]["remaining"][0, 0])
        self._template = template
        self._places = words.places
        self._num_threads = max(1, num_threads)
        self._worlds = np.repeat(template, self._num_threads)
        self._options = options.copy()
        self._frame = Frame(loops.FRAME)
        self._frame.set(
            template=template,
            worlds=self._worlds,
            words=self._worlds.view(np.int64).reshape(self._num_threads, -1),
            maps=map.copy(),
            options=self._options,
            places=words.places,
            masks=words.masks,
            num_words=self.num_words,
            actions=np.zeros(self._num_threads, np.int64),
        )

    def root(self) -> Array:
        """The node (1, K) of the template itself."""
        return self.node_of(self._template)

    def node_of(self, world: Array) -> Array:
        """The node (1, K) of a world (1,) of this level."""
        self._worlds[0] = world[0]
        node = np.zeros((1, self.num_words), np.int64)
        self._frame.set(nodes_out=node)
        loops.save_world(self._frame.argument)
        return node

    def drive(
        self,
        nodes: Array,
        totals: Array,
        edge_nodes: Array,
        edge_actions: Array,
        tick: int,
        red_lamps: int = AS_THEY_ARE,
    ) -> Outcomes:
        """Drive edges.

        Args:
            nodes: (N, K), all of one tick.
            totals: (N,) rewards so far.
            edge_nodes: (M,) int64: rows of `nodes`.
            edge_actions: (M,) int64.
            tick: of the nodes.
            red_lamps: as in `loops.FRAME`.
        """
        count = len(edge_nodes)
        outcomes = Outcomes(
            nodes=np.zeros((count, self.num_words), np.int64),
            rewards=np.zeros(count),
            totals=np.zeros(count),
            events=np.zeros(count, np.int64),
            has_ended=np.zeros(count, np.bool_),
            remaining=np.zeros(count, np.int64),
        )
        self._frame.set(
            nodes=np.ascontiguousarray(nodes),
            totals=np.ascontiguousarray(totals),
            edge_nodes=np.ascontiguousarray(edge_nodes),
            edge_actions=np.ascontiguousarray(edge_actions),
            tick=tick,
            red_lamps=red_lamps,
            details=np.zeros(self._num_threads, DETAIL),
            nodes_out=outcomes.nodes,
            rewards_out=outcomes.rewards,
            totals_out=outcomes.totals,
            events_out=outcomes.events,
            ended_out=outcomes.has_ended,
            remaining_out=outcomes.remaining,
        )
        self.num_driven += count
        ranges = Ranges(count, self._num_threads, MIN_EDGES_PER_THREAD)
        ranges.call(loops.drive_edges, self._frame.argument)
        ranges.close()
        return outcomes

    def open_actions(self, nodes: Array, tick: int) -> Array:
        """Bool (N, A): which actions do what no other one does; of those that do the same, one is open."""
        details = np.zeros(max(1, len(nodes)), DETAIL)
        self._frame.set(nodes=nodes, tick=tick, red_lamps=0, details=details)
        loops.describe_nodes(self._frame.argument, 0, len(nodes), 0)
        is_open: Array = details["mask"][: len(nodes), : self.num_actions].astype(np.bool_)
        if self.num_actions == 5:  # masked or not, IDLE can be taken
            is_open[:, ACTION_IDLE] = True
        return is_open

    def worlds_of(self, nodes: Array) -> Array:
        """The worlds (N,) of nodes (N, K), without occupants and a clock."""
        worlds = np.repeat(self._template, len(nodes))
        worlds.view(np.int64).reshape(len(nodes), -1)[:, self._places] = nodes
        return worlds

    def red_lamps(self, ticks: range) -> Array:
        """(T,) int64: which lamps show red at each tick, as in `loops.FRAME`."""
        self._worlds[0] = self._template[0]
        return np.array([loops.lamps_at(self._frame.argument, tick) for tick in ticks], np.int64)
