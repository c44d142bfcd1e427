"""One tick as it is shown beside its picture: how it came about, and what the driver makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivesim.core.world import (
    EVENT_ARRIVED,
    EVENT_AT_FAULT,
    EVENT_COLLISION,
    EVENT_FAILED_TO_YIELD,
    EVENT_HARSH,
    EVENT_LANE_CHANGE,
    EVENT_OFF_ROAD,
    EVENT_PEDESTRIAN_HIT,
    EVENT_RED_LIGHT,
    EVENT_SPEEDING,
    EVENT_WRONG_WAY,
)
from drivesim.render.state import Record, State, completion_of

EVENTS = {
    EVENT_ARRIVED: "arrived",
    EVENT_COLLISION: "collision",
    EVENT_AT_FAULT: "at fault",
    EVENT_PEDESTRIAN_HIT: "pedestrian hit",
    EVENT_OFF_ROAD: "off road",
    EVENT_RED_LIGHT: "red light",
    EVENT_WRONG_WAY: "wrong way",
    EVENT_FAILED_TO_YIELD: "failed to yield",
    EVENT_SPEEDING: "speeding",
    EVENT_LANE_CHANGE: "lane change",
    EVENT_HARSH: "harsh",
}
"""Names of the events' bits, the gravest first."""


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
