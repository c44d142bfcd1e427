"""The table of events: all that can happen to an ego in a tick, and what follows from it.

A new event is a row here and a detector in `events.py`, which sets the row's bit. From the row follow its price and who
pays it (`prices.py`, `config.RewardWeights`), its cost, whether it ends the drive and whether that has failed, its flag
in `info` (`episode.EPISODE`), and its name in windows, pages and the documentation.
"""

from enum import Flag, auto
from typing import NamedTuple

# --- heads: the ways to price the same events -------------------------------------------------------------------
HEADS = ("route", "shaped", "sparse", "cost")
REWARD_ROUTE, REWARD_SHAPED, REWARD_SPARSE, REWARD_COST = range(len(HEADS))


class Effect(Flag):
    """What an event does beside being priced."""

    ENDS = auto()
    """The ego's drive is over."""
    FAILS = auto()
    """A drive in which it happened is no success."""
    COSTS = auto()
    """`info["cost"]` counts it."""
    IN_INFO = auto()
    """`info` has a flag that tells whether it has happened in the episode."""
    MILD = auto()
    """Windows and pages show it as a note, not as something bad."""


class Event(NamedTuple):
    """A row of the table."""

    name: str
    """Of its weight, its term and its flag."""
    weight: float | None
    """The default price, paid in every tick in which it happens: a prize above 0, else a penalty. None: no price."""
    heads: tuple[str, ...]
    """The rewards that pay the price."""
    effects: Effect
    """What else it does."""
    when: str
    """The documentation's sentence."""

    @property
    def label(self) -> str:
        """Its name in windows and pages."""
        return self.name.replace("_", " ")

    @property
    def is_good(self) -> bool:
        """Whether it is what the drive is for."""
        return Effect.ENDS in self.effects and Effect.FAILS not in self.effects


_rows: list[Event] = []


def _row(name: str, weight: float | None, heads: tuple[str, ...], effects: Effect, when: str) -> int:
    """Add a row to the table; the bit that stands for the event in an ego's `events`."""
    _rows.append(Event(name, weight, heads, effects, when))
    return 1 << (len(_rows) - 1)


# --- the table; its order is that of bits, flags, terms and of what windows and pages list -----------------------
_ALL, _ENDS, _RULES, _SHAPED, _NONE = HEADS, ("route", "shaped", "sparse"), ("route", "shaped"), ("shaped",), ()
_CRASH = Effect.ENDS | Effect.FAILS | Effect.COSTS | Effect.IN_INFO
_BREACH = Effect.COSTS | Effect.IN_INFO

EVENT_ARRIVED = _row("arrived", 1.0, _ALL, Effect.ENDS, "On arrival.")
EVENT_COLLISION = _row("collision", -1.0, _ENDS, _CRASH, "On hitting a vehicle or an obstacle.")
EVENT_AT_FAULT = _row(
    "at_fault",
    None,
    _NONE,
    Effect.IN_INFO,
    "On driving into somebody or something, or on being hit within 5 ticks of cutting in too closely or of backing up.",
)
EVENT_PEDESTRIAN_HIT = _row("pedestrian_hit", -1.0, _ENDS, _CRASH, "On hitting a pedestrian.")
EVENT_OFF_ROAD = _row("off_road", -1.0, _ENDS, _CRASH, "On leaving the road or the map.")
EVENT_RED_LIGHT = _row("red_light", -0.5, _RULES, _BREACH | Effect.FAILS, "On entering a junction on red.")
EVENT_RAN_STOP = _row(
    "ran_stop",
    -0.5,
    _RULES,
    _BREACH | Effect.FAILS,
    "On entering an all-way stop from where it has not stood.",
)
EVENT_WRONG_WAY = _row("wrong_way", -0.1, _RULES, _BREACH, "Per tick in a cell that does not allow the heading.")
EVENT_FAILED_TO_YIELD = _row(
    "failed_to_yield",
    -0.1,
    _RULES,
    _BREACH,
    "On entering a cell of a junction that somebody else has reserved, or a crosswalk with somebody on it.",
)
EVENT_CUT_IN = _row(
    "cut_in",
    -0.05,
    _RULES,
    Effect.COSTS | Effect.IN_INFO,
    "Per tick in which somebody behind has no safe speed left because of where the ego has driven.",
)
EVENT_SPEEDING = _row("speeding", -0.02, _SHAPED, Effect.COSTS | Effect.MILD, "Per tick above the speed limit.")
EVENT_LANE_CHANGE = _row("lane_change", -0.01, _RULES, Effect.MILD, "On crossing a lane's boundary.")
EVENT_HARSH = _row("harsh", -0.005, _SHAPED, Effect.MILD, "Per tick in which the acceleration changed by 2 or more.")

EVENTS = tuple(_rows)
BITS = tuple(1 << number for number in range(len(EVENTS)))


def _having(effect: Effect) -> int:
    """The bits of the events that have an effect."""
    return sum(bit for bit, event in zip(BITS, EVENTS, strict=True) if effect in event.effects)


EVENTS_ENDING, EVENTS_FAILING, EVENTS_COST = _having(Effect.ENDS), _having(Effect.FAILS), _having(Effect.COSTS)
EVENTS_CRASHING = _having(Effect.ENDS | Effect.FAILS)
