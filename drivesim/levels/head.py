"""The head of a text: lines `key = value`, a subset of TOML.

A value is a whole number, one of the key's words in quotes, or a list of whole numbers. Lines that begin with `#` are
remarks. The tables below are all that may stand there; what is left out is the key's default, or follows from the
words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from drivesim.core.map import ALL_WAY_STOP, NO_CONTROL, SIGNALS, YIELD
from drivesim.core.texts import (
    MAX_COLS,
    MAX_DESTINATIONS,
    MAX_ROWS,
    TEXT_TOP_SPEED,
    UNSAID,
    WALKER_PATIENCE,
)
from drivesim.core.world import CALM, HASTY, NORMAL, TOP_SPEED
from drivesim.levels.faults import shown
from drivesim.registry import entry_of

MAX_STEPS = entry_of("Custom").max_episode_steps  # which cuts every drive of a given level
MAX_TICKS = 1_000_000
LARGEST = 2**31 - 1
HEADINGS = {"north": 0, "east": 1, "south": 2, "west": 3}
STYLES = {"calm": CALM, "normal": NORMAL, "hasty": HASTY}
CONTROLS = {"signals": SIGNALS, "all_way_stop": ALL_WAY_STOP, "yield": YIELD, "none": NO_CONTROL}
DRIVER_MODELS = {"krauss": 0, "nasch": 1, "unaware": 2}

Value = int | str | list[int]


@dataclass(frozen=True)
class Key:
    """What may stand behind a key."""

    low: int = 0
    high: int = 1
    default: int = 0
    """UNSAID where something else follows."""
    words: dict[str, int] | None = None
    """The words for the numbers, instead of these."""
    is_list: bool = False

    @property
    def allowed(self) -> str:
        """For messages."""
        if self.words is not None:
            return "one of " + ", ".join(f'"{word}"' for word in self.words)
        if self.is_list:
            return f"a list such as [{self.low}, {self.high}] of whole numbers from {self.low} to {self.high}"
        return f"a whole number from {self.low} to {self.high}"


OPTIONS = {
    "max_steps": Key(1, MAX_STEPS, UNSAID),
    "top_speed": Key(1, TOP_SPEED, UNSAID),
    "has_idle": Key(default=UNSAID),
    "traffic": Key(words=DRIVER_MODELS, default=UNSAID),
    "dawdle": Key(0, 65536, UNSAID),
    "is_dawdle_chosen": Key(default=UNSAID),
}
"""Options of the environment: time limit, ticks, no longer than Custom's; egos' top speed, cells per tick; whether the
actions have IDLE; the driver model of the traffic; the probability with which it dawdles, in 1 / 65,536, and whether
that is the same for all driver styles."""

LEVEL = {
    "speed_limit": Key(1, TOP_SPEED, TEXT_TOP_SPEED),
    "half_lane": Key(0, 7),
    "ring_rows": Key(0, MAX_ROWS),
    "ring_cols": Key(0, MAX_COLS),
    "has_reverse": Key(),
    "is_mirrored": Key(),
    "num_destinations": Key(0, MAX_DESTINATIONS, UNSAID),
    "has_ways": Key(default=UNSAID),
    "has_goal_headings": Key(default=UNSAID),
}
"""Numbers of the map and of the world. Unless they are given, there are as many destinations as the words name, ways to
them where there is a junction or a class with a destination, and headings of goals where `goals` gives one."""

LISTS = {
    "portals": Key(0, MAX_COLS, UNSAID, is_list=True),
    "lanes": Key(-8, MAX_COLS, UNSAID, is_list=True),
}
"""Of every `@`, in reading order, the heading in which it is left and the row and column, from 0, that it leads to,
unless every one leads over the map's edge to the other end of its row or column. And row, column, number of the lane
and distance from its centre, of every cell of which this does not follow."""

EGOS = {
    "heading": Key(-1, 3, UNSAID, is_list=True),
    "speed": Key(0, TOP_SPEED, 0, is_list=True),
    "top_speed": Key(1, TOP_SPEED, TEXT_TOP_SPEED, is_list=True),
    "goal": Key(-1, MAX_DESTINATIONS - 1, UNSAID, is_list=True),
    "next_turn": Key(-1, 1, 0, is_list=True),
    "remaining": Key(-1, LARGEST, UNSAID, is_list=True),
}
"""`egos.…`, a number for every ego: the heading on cells with several; speeds, cells per tick; the destination, else
the one of the ego's number, or the only one; the next turn (-1 left, 1 right); cells to cover on a ring, else once
around."""

GOALS = {
    "heading": Key(-1, 3, UNSAID, is_list=True),
    "top_speed": Key(-1, TOP_SPEED, UNSAID, is_list=True),
    "next": Key(0, LARGEST, 0, is_list=True),
}
"""`goals.…`, a number for every destination: in which heading, and with which speed at most, a tick must end there; and
which destinations traffic may have next, 1 for the destination 0, 2 for 1, 4 for 2 and so on, 0 = any."""

WALKERS = {
    "patience": Key(1, MAX_TICKS, WALKER_PATIENCE, is_list=True),
    "hesitates": Key(0, 1, 0, is_list=True),
}
"""`walkers.…`, a number for every walker, in reading order: the ticks for which it wants to cross before it is waited
for; whether it stands still now and then on its way across."""

CLASS = {
    "heading": Key(words=HEADINGS, default=UNSAID),
    "top_speed": Key(0, TOP_SPEED, TEXT_TOP_SPEED),
    "style": Key(words=STYLES, default=NORMAL),
    "destination": Key(-1, MAX_DESTINATIONS - 1, -1),
}
"""`a.…`, of the vehicles of class a: the heading, where it is not the only one of their cells; the driver's top speed
and style; the destination, -1 = straight on."""

JUNCTION = {
    "control": Key(words=CONTROLS, default=UNSAID),
    "ranks": Key(0, 3, UNSAID, is_list=True),
    "green": Key(1, MAX_TICKS, UNSAID, is_list=True),
    "yellow": Key(0, MAX_TICKS, UNSAID),
    "all_red": Key(0, MAX_TICKS, UNSAID),
    "cycle_start": Key(0, MAX_TICKS * 8, 0),
}
"""`junction1.…`, of the first junction: its control, else what the lines around it show; of YIELD the ranks of the
headings of approaches, 0 going first; of signals the ticks of green north-south and east-west, of yellow and of all
red, and how far into the cycle tick 0 is."""

GROUPS = {"egos": EGOS, "goals": GOALS, "walkers": WALKERS}
LINE = re.compile(r"\s*([A-Za-z0-9_.]*)\s*(=?)\s*(.*)", re.DOTALL)
NUMBER = re.compile(r"0|-?[1-9][0-9]{0,9}")
JUNCTION_NAME = re.compile(r"junction([1-9][0-9]{0,2})")
CLASS_NAME = re.compile(r"[a-oq-uw-z]{1,3}")


class HeadError(ValueError):
    """What is wrong with a line of a head, and in which column, from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True)
class Entry:
    """A line of a head."""

    value: Any
    """int, or list of int, for a key with words the word's number."""
    line: int
    column: int
    """Of the value, both from 1."""


def key_of(name: str) -> Key | None:
    """The key of that name, None if there is none."""
    group, dot, rest = name.partition(".")
    if not dot:
        return OPTIONS.get(name) or LEVEL.get(name) or LISTS.get(name)
    if group in GROUPS:
        return GROUPS[group].get(rest)
    if JUNCTION_NAME.fullmatch(group):
        return JUNCTION.get(rest)
    return CLASS.get(rest) if CLASS_NAME.fullmatch(group) else None


def all_keys() -> str:
    """Every key, for messages."""
    names = [*OPTIONS, *LEVEL, *LISTS]
    for group, keys in (("egos", EGOS), ("goals", GOALS), ("walkers", WALKERS), ("a", CLASS), ("junction1", JUNCTION)):
        names += [f"{group}.{key}" for key in keys]
    return ", ".join(names)


def read_value(name: str, key: Key, text: str) -> int | list[int]:
    """The value behind a key.

    Raises:
        ValueError: saying what is allowed.
    """
    if key.words is not None:
        if len(text) > 1 and text[0] == text[-1] == '"' and text[1:-1] in key.words:
            return key.words[text[1:-1]]
    elif key.is_list:
        if text[:1] == "[" and text[-1:] == "]":
            parts = [part.strip() for part in text[1:-1].split(",")] if text[1:-1].strip() else []
            if all(NUMBER.fullmatch(part) and key.low <= int(part) <= key.high for part in parts):
                return [int(part) for part in parts]
    elif NUMBER.fullmatch(text) and key.low <= int(text) <= key.high:
        return int(text)
    raise ValueError(f"{name} must be {key.allowed}, got {shown(text) or 'nothing'}")


def read_line(text: str) -> tuple[str, int | list[int], int]:
    """The key of a line, its value, and the value's column.

    Raises:
        HeadError: if it is none.
    """
    match = LINE.fullmatch(text.rstrip())
    if match is None or not match[1] or not match[2]:
        raise HeadError(f"`{shown(text.strip())}` is no line of a head; a line is `key = value`", 1)
    name, column = match[1], match.start(1) + 1
    key = key_of(name)
    if key is None:
        raise HeadError(f"there is no key `{shown(name)}`; there are {all_keys()}", column)
    try:
        return name, read_value(name, key, match[3]), match.start(3) + 1
    except ValueError as error:
        raise HeadError(str(error), match.start(3) + 1) from None


def line_text(name: str, value: int | list[int]) -> str:
    """The canonical line of a key and its value, a number for a word."""
    key = key_of(name)
    assert key is not None, name
    if key.words is not None:
        return f'{name} = "{next(word for word, number in key.words.items() if number == value)}"'
    return f"{name} = {value}"
