"""What a tick is worth: a weight for every event with a price, and for progress, comfort and time.

The events' rows stand in `event_table.py`; what is no event, here.
"""

from typing import NamedTuple

import numpy as np

from drivesim.core.event_table import BITS, EVENTS


class Price(NamedTuple):
    """A weight: its name, what it is unless told otherwise, and what it pays."""

    name: str
    """Of the field of `config.RewardWeights`, and of the term."""
    default: float
    """Its sign is that of all values allowed; 0 counts as a penalty."""
    sentence: str
    """What it is worth or when it is paid, for the documentation."""
    heads: tuple[str, ...] = ()
    """The rewards of which it makes a term; none: it is a factor on gains."""
    event: int = 0
    """Bit of the event that it prices, 0 = none."""

    @property
    def meaning(self) -> str:
        """The sentence, marked if `"shaped"` alone pays it."""
        return f"Shaped: {self.sentence[0].lower()}{self.sentence[1:]}" if self.heads == _SHAPED else self.sentence


_SHAPED = ("shaped",)
_of_events = [
    Price(event.name, event.weight, event.when, event.heads, bit)
    for bit, event in zip(BITS, EVENTS, strict=True)
    if event.weight is not None
]

# In the order of `RewardWeights`. What `"shaped"` alone pays comes last. How the defaults were chosen: docs/rewards.md.
PRICES = (
    Price("progress", 1.0, "Times the share of the route gained or lost in a tick.", ("route", "shaped", "cost")),
    *(price for price in _of_events if price.heads != _SHAPED),
    Price(
        "time",
        -0.4,
        "Per tick, times its share of the level's own or the registered time limit: all of it costs this much.",
        ("route", "shaped"),
    ),
    Price("offset_factor", 0.85, "Gains at the lane's edge are worth this share, on its centre 1, in between linear."),
    Price("speeding_factor", 0.5, "Gains above the speed limit are worth this share."),
    Price("harsh_factor", 0.9, "Gains in a tick in which the acceleration changed by 2 or more are worth this share."),
    Price("shoulder_factor", 0.5, "Gains on the shoulder are worth this share."),
    Price(
        "lane_offset",
        -0.01,
        "Per tick, times the distance from the lane's centre as a share of half the lane.",
        _SHAPED,
    ),
    *(price for price in _of_events if price.heads == _SHAPED),
)
FACTORS = tuple(price.name for price in PRICES if not price.heads)

# Terms of a reward, in the order in which they are added up.
TERMS = tuple(price.name for price in PRICES if price.heads)
NUM_TERMS = len(TERMS)
TERM_PROGRESS, TERM_ARRIVED = TERMS.index("progress"), TERMS.index("arrived")
TERM_LANE_OFFSET, TERM_TIME = TERMS.index("lane_offset"), TERMS.index("time")
TERM_EVENTS = np.array([price.event for price in PRICES if price.heads])  # the bit that each pays, 0 = none

WEIGHTS = np.dtype(
    (
        np.record,
        [
            ("terms", "f8", (NUM_TERMS,)),  # 0 where the head does not pay the term
            *((name, "f8") for name in FACTORS),
        ],
    )
)
