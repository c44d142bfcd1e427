"""A small level as a table, for dynamic programming, tabular learners and teaching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.checks import whole
from drivesim.core.world import UNAWARE
from drivesim.engine import Array
from drivesim.planning.alone import ENDED, drive_all
from drivesim.planning.forks import Forks
from drivesim.planning.loops import AS_THEY_ARE
from drivesim.planning.numbering import Numbering
from drivesim.planning.plan import Level
from drivesim.planning.search import TOLERANCE
from drivesim.planning.words import has_signals, movers, template_of, words_of

MAX_STATES = 100_000
MOST_STATES = 1 << 40


@dataclass(frozen=True)
class Table:
    """A deterministic decision process: S states, A actions as the environment counts them. It begins in state 0."""

    next_states: Array
    """(S, A) int64; -1 where the episode is over."""
    rewards: Array
    """(S, A) float64."""
    terminations: Array
    """(S, A) bool: whether the drive ends there. Where there is no next state without that, the time is up."""
    ticks: Array
    """(S,) int64: ticks since the reset; without a clock, the fewest after which the state is reached."""
    cells: Array
    """(S,) int64: where the ego is, `(row + 1) * (columns + 2) + column + 1`."""
    headings: Array
    """(S,) int64: N E S W = 0 … 3."""
    speeds: Array
    """(S,) int64: cells per tick."""
    has_clock: bool
    """Whether states know their tick, up to the time limit. Else nothing depends on it, and there is no limit."""

    def matrices(self) -> tuple[Array, Array]:
        """P (S, A, S) and R (S, A), float64; a row of P is 0 where the episode is over. P takes S · S · A · 8 bytes."""
        count, actions = self.next_states.shape
        transitions = np.zeros((count, actions, count))
        states, chosen = np.nonzero(self.next_states != ENDED)
        transitions[states, chosen, self.next_states[states, chosen]] = 1.0
        return transitions, self.rewards.copy()


def to_table(env: gym.Env[Any, Any], max_states: int = MAX_STATES) -> Table:
    """Every state that can be reached from that of an environment, and all that the actions do there.

    Where nobody moves but the ego and cars that never look out for it, states that differ in nothing but the tick are
    one, and there is no time limit. Else every tick has its own states, up to the time limit: among traffic that
    answers to the ego they are soon very many.

    Args:
        env: as in `solve`.
        max_states: at most.

    Raises:
        TypeError, gymnasium.error.ResetNeeded: as `solve`.
        ValueError: if there are more states.
    """
    return _explored(Level(env), whole("max_states", max_states, 1, MOST_STATES))[0]


class Regrets:
    """What every action costs in every state of a level in which nothing depends on the tick: one search for all.

    `solve` answers for a single state, anywhere. This is for who asks about many states of a level, such as those into
    which a learner gets. The time limit plays no part, but that no drive is looked at which is longer.

    Args:
        env: as in `solve`.
        state: as in `solve`; from which all other states that are asked about can be reached.
        max_states: as in `to_table`.

    Raises:
        TypeError, ValueError, gymnasium.error.ResetNeeded: as `solve` and `to_table`.
        ValueError: if something depends on the tick: traffic that answers to the ego, people, signals.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        state: Array | None = None,
        max_states: int = MAX_STATES,
    ) -> None:
        level = Level(env, state)
        if moving := what_depends_on_tick(level):
            raise ValueError(
                f"{level.origin.env_id} has {' and '.join(moving)}: what an action costs there depends on the tick, "
                "and cannot be told of all states at once; drivesim.planning.solve finds the best drive from one state"
            )
        self.table, self._forks, self._numbering = _explored(level, whole("max_states", max_states, 1, MOST_STATES))
        table = self.table
        values = np.zeros(len(table.rewards))
        for _ in range(level.max_steps):  # of every state the same number, so that it is no matter which one is first
            later = np.where(table.next_states == ENDED, 0.0, values[table.next_states])
            self.values: Array = table.rewards + later
            """(S, A) float64: what an action earns in a state, and the best drive after it, undiscounted."""
            before, values = values, self.values.max(axis=1)
            if np.array_equal(before, values):
                break

    def __call__(self, state: Array) -> Array:
        """Float64 (A,): what is lost for good by an action in a state (1,) of the level; 0 for the best ones.

        Less than 1e-9 is nothing.

        Raises:
            ValueError: if it is none.
        """
        number = self._numbering.get(self._forks.node_of(state["world"]))
        if number is None:
            raise ValueError("state must be one that can be reached in the level")
        values = self.values[number]
        lost: Array = values.max() - values
        return np.where(lost <= TOLERANCE, 0.0, lost)


def what_depends_on_tick(level: Level) -> list[str]:
    """What there is in a level on which it depends when something happens, in words; nothing in most."""
    world, map, options = level.world, level.map, level.options
    answers = bool(movers(world, map, options).any()) and options["driver_model"][0] != UNAWARE
    found = {
        "traffic that answers to the ego": answers,
        "signals": has_signals(map),
        "people": int(world["num_people"][0]) > 0,
    }
    return [what for what, is_there in found.items() if is_there]


def _explored(level: Level, max_states: int) -> tuple[Table, Forks, Numbering]:
    """The table of a level, and the numbers of its states; with a clock only of those of the last tick."""
    has_clock = bool(what_depends_on_tick(level))
    template = template_of(level.world)
    words = words_of(template, level.map, level.options, False)
    forks = Forks(template, level.map, level.options, words, level.engine.num_actions)
    layers = [forks.root()]
    numbering = Numbering(layers[0])
    targets: list[Array] = []
    rewards: list[Array] = []
    terminations: list[Array] = []
    begin, count = 0, 1  # states before this tick's, and up to them
    left = level.max_steps - level.tick
    while len(layers[-1]) > 0:
        outcome = drive_all(forks, layers[-1], level.tick + len(targets), AS_THEY_ARE)
        if has_clock:
            numbering, begin = Numbering(layers[0][:0]), count
        reached = numbering.number(outcome.nodes, ~outcome.has_ended)
        reached[reached != ENDED] += begin
        frontier = numbering.nodes[count - begin :].copy()
        if has_clock and len(targets) + 1 == left:
            reached[:], frontier = ENDED, frontier[:0]
        targets.append(reached)
        rewards.append(outcome.rewards)
        terminations.append(outcome.has_ended)
        layers.append(frontier)
        count += len(frontier)
        if count > max_states:
            raise ValueError(
                f"max_states must be at least the number of states of this level of {level.origin.env_id}, which is "
                f"more than {max_states:,}; drivesim.planning.solve needs no table"
            )
    vehicles = forks.worlds_of(np.concatenate(layers))["vehicles"][:, 0]
    shape = (count, forks.num_actions)
    table = Table(
        next_states=np.concatenate(targets).reshape(shape),
        rewards=np.concatenate(rewards).reshape(shape),
        terminations=np.concatenate(terminations).reshape(shape),
        ticks=level.tick + np.repeat(np.arange(len(layers)), [len(layer) for layer in layers]),
        cells=vehicles["cell"].astype(np.int64),
        headings=vehicles["heading"].astype(np.int64),
        speeds=vehicles["speed"].astype(np.int64),
        has_clock=has_clock,
    )
    return table, forks, numbering
