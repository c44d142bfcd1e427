"""One tick as it is shown beside its picture: how it came about, and what the driver makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivesim.core import event_table
from drivesim.core.event_table import BITS, Effect
from drivesim.render.state import Record, State, completion_of

EVENTS = {bit: event.label for bit, event in zip(BITS, event_table.EVENTS, strict=True)}
"""Names of the events' bits, in the order in which they are told."""
GOOD_EVENTS = tuple(event.label for event in event_table.EVENTS if event.is_good)
MILD_EVENTS = tuple(event.label for event in event_table.EVENTS if Effect.MILD in event.effects)


@dataclass(frozen=True)
class Decision:
    """A learnt driver's view of a state before it acts."""

    scores: tuple[float, ...]
    """One per action."""
    is_probability: bool
    """Whether the scores are probabilities; else they are action values."""
    value: float | None = None
    """The expected return from here, as the driver believes."""
    saliency: tuple[tuple[int, int, float], ...] = ()
    """(row, column, weight in (0, 1]) of the cells whose occlusion changes the chosen action's value most."""


@dataclass(frozen=True)
class Moment:
    """A state and how it came about."""

    state: State
    """The world and its map."""
    action: int | None = None
    """What the ego did in the tick that led here, as the environment counts actions; None at an episode's start."""
    reward: float = 0.0
    """Of that tick."""
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    """The reward's parts by name."""
    decision: Decision | None = None
    """What the driver makes of this world; None without a learnt driver, and at the end."""

    @property
    def world(self) -> Record:
        """The world alone."""
        return self.state.world

    @property
    def is_start(self) -> bool:
        """Whether the episode begins here."""
        return int(self.world["tick"]) == 0

    @property
    def events(self) -> tuple[str, ...]:
        """What happened to the ego in the tick that led here."""
        bits = int(self.world["egos"]["events"][0])
        return tuple(name for bit, name in EVENTS.items() if bits & bit)

    @property
    def completion(self) -> float:
        """The share of the route behind the ego, at least 0."""
        return completion_of(self.world)
