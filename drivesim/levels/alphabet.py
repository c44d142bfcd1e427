"""The alphabet of levels: what stands on a cell, in one word.

A word is a ground, then who stands there. One alphabet serves texts of levels, the drawings in docstrings and tests,
and the render mode `"ansi"`::

    .         verge                          #         obstacle
    ^ > v <   lane in that heading           ^>  +     lane in two headings, in all four
    :^        shoulder                       =^        crosswalk
    |^        line of a signal               !^        stop line
    ?^        give-way line                  [^        parking bay
    *+  *2+   cell of a junction, of the second one
    /^        lane on which the other heading may be used to overtake
    @^        lane that leads on elsewhere on the map

`@`, `*` and `/` go together with each other and, in this order, before the sign of a kind: `@/^`, `*=^`::

    G  G3     cell of the destination 0, 3   E  E3     ego 0, 3
    a2        vehicle of the class a, with speed 2
    p>        walker who goes east: on a crosswalk, crossing; on the verge before one, waiting; there and back

A number that is left out is 0. Classes are named by small letters, but for `p` and `v`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from drivesim.core.map import (
    ALL_HEADINGS,
    ALL_WAY_STOP,
    CROSSWALK,
    LANE,
    OBSTACLE,
    OFF_ROAD,
    PARKING_BAY,
    SHOULDER,
    SIGNALS,
    STOP_LINE,
    YIELD,
)
from drivesim.core.texts import (
    A_VEHICLE,
    A_WALKER,
    AN_EGO,
    MAX_DESTINATIONS,
    MAX_JUNCTIONS,
    NOTHING,
    UNSAID,
)
from drivesim.core.world import MAX_EGOS, TOP_SPEED
from drivesim.levels.faults import shown

ARROWS = "^>v<"
"""Of the headings, NORTH … WEST."""
EVERYWHERE = "+"
"""Of all four."""
VERGE_SIGN, OBSTACLE_SIGN = ".", "#"
PORTAL_SIGN, JUNCTION_SIGN, PASSING_SIGN = "@", "*", "/"
KINDS = {
    "": (LANE, UNSAID),
    ":": (SHOULDER, UNSAID),
    "=": (CROSSWALK, UNSAID),
    "|": (STOP_LINE, SIGNALS),
    "!": (STOP_LINE, ALL_WAY_STOP),
    "?": (STOP_LINE, YIELD),
    "[": (PARKING_BAY, UNSAID),
}
"""Kind and, of lines, control, by sign."""
GOAL_SIGN, EGO_SIGN, WALKER_SIGN = "G", "E", "p"
CLASS_LETTERS = "abcdefghijklmnoqrstuwxyz"
"""All but those of walkers and of the heading south."""

WORD = re.compile(
    r"(?:(?P<bare>[.#])|(?P<portal>@)?(?P<junction>\*[0-9]{0,3})?(?P<passing>/)?(?P<kind>[:=|!?\[]?)"
    r"(?P<headings>\+|[\^>v<]{1,4}))"
    rf"(?P<goals>(?:G[0-9]{{0,3}})*)"
    rf"(?:E(?P<ego>[0-9]{{0,3}})|p(?P<walks>[\^>v<])|(?P<name>[{CLASS_LETTERS}]{{1,3}})(?P<speed>[0-9]{{0,3}}))?"
)
FORM = (
    "`.`, `#` or headings (`^`, `^>`, `+`) after at most `@`, `*`, `/` and one of `: = | ! ? [`; "
    "then `G` and a number, then `E` and a number, `p` and a heading, or a class's letter and a speed"
)


class WordError(ValueError):
    """What is wrong with a word."""


@dataclass(frozen=True)
class Word:
    """What a word says; numbers as in `core.texts.TOKEN`."""

    kind: int = OFF_ROAD
    headings: int = 0
    control: int = UNSAID
    is_portal: bool = False
    junction: int = UNSAID
    is_passing: bool = False
    goals: int = 0
    who: int = NOTHING
    number: int = 0
    """Of an ego."""
    name: str = ""
    """Of a vehicle's class."""
    pace: int = 0
    """Speed of a vehicle, heading of a walker."""


def read_word(text: str) -> Word:
    """What a word says.

    Raises:
        WordError: if it says nothing.
    """
    match = WORD.fullmatch(text)
    text = shown(text)
    if match is None:
        raise WordError(f"`{text}` is no word of a level; a word is {FORM}")
    part = match.groupdict()
    if part["bare"]:
        kind, control, headings = (OFF_ROAD if part["bare"] == VERGE_SIGN else OBSTACLE), UNSAID, 0
    else:
        kind, control = KINDS[part["kind"]]
        headings = mask_of(text, part["headings"])
    goals = 0
    for goal in part["goals"].split(GOAL_SIGN)[1:]:
        bit = 1 << number_in(text, "destination", goal, MAX_DESTINATIONS - 1)
        if goals & bit:
            raise WordError(f"`{text}` names one destination twice")
        goals |= bit
    word: dict[str, Any] = {"kind": kind, "headings": headings, "control": control, "goals": goals}
    word |= {"is_portal": part["portal"] is not None, "is_passing": part["passing"] is not None}
    if part["junction"]:
        word["junction"] = number_in(text, "junction", part["junction"][1:], MAX_JUNCTIONS)
    if part["ego"] is not None:
        return Word(**word, who=AN_EGO, number=number_in(text, "ego", part["ego"], MAX_EGOS - 1))
    if part["walks"]:
        return Word(**word, who=A_WALKER, pace=ARROWS.index(part["walks"]))
    if part["name"]:
        pace = number_in(text, "speed", part["speed"], TOP_SPEED)
        return Word(**word, who=A_VEHICLE, name=part["name"], pace=pace)
    return Word(**word)


def mask_of(text: str, signs: str) -> int:
    """The mask of a word's headings.

    Raises:
        WordError: if one is there twice.
    """
    if signs == EVERYWHERE:
        return ALL_HEADINGS
    if len(set(signs)) < len(signs):
        raise WordError(f"`{text}` has a heading twice")
    return sum(1 << ARROWS.index(sign) for sign in signs)


def number_in(text: str, what: str, digits: str, greatest: int) -> int:
    """A number of a word, 0 if it is left out.

    Raises:
        WordError: if it is too great.
    """
    number = int(digits or 0)
    if number > greatest:
        raise WordError(f"`{text}` has the {what} {number}; the greatest is {greatest}")
    return number


def signs_of(headings: int) -> str:
    """The signs of a mask of headings."""
    if headings == ALL_HEADINGS:
        return EVERYWHERE
    return "".join(sign for heading, sign in enumerate(ARROWS) if headings >> heading & 1)


def ground_text(word: Word) -> str:
    """The canonical word of the ground alone."""
    if word.kind in (OFF_ROAD, OBSTACLE):
        return VERGE_SIGN if word.kind == OFF_ROAD else OBSTACLE_SIGN
    sign = next(sign for sign, facts in KINDS.items() if facts == (word.kind, word.control))
    junction = "" if word.junction == UNSAID else f"{JUNCTION_SIGN}{word.junction or ''}"
    portal, passing = PORTAL_SIGN * word.is_portal, PASSING_SIGN * word.is_passing
    return f"{portal}{junction}{passing}{sign}{signs_of(word.headings)}"


def word_text(word: Word) -> str:
    """The canonical word: all numbers written out, but for a junction's that has none."""
    goals = "".join(f"{GOAL_SIGN}{goal}" for goal in range(MAX_DESTINATIONS) if word.goals >> goal & 1)
    who = {
        NOTHING: "",
        AN_EGO: f"{EGO_SIGN}{word.number}",
        A_VEHICLE: f"{word.name}{word.pace}",
        A_WALKER: f"{WALKER_SIGN}{ARROWS[word.pace % 4]}",
    }
    return ground_text(word) + goals + who[word.who]


def class_name(number: int) -> str:
    """The name of a class by its number: a, b, …, z, aa, ab and so on."""
    letters = ""
    number += 1
    while number > 0:
        number, letter = divmod(number - 1, len(CLASS_LETTERS))
        letters = CLASS_LETTERS[letter] + letters
    return letters


def aligned(words: list[list[str]]) -> str:
    """A table of words, its columns in line."""
    widths = [max(len(line[col]) for line in words) for col in range(len(words[0]))]
    lines = (" ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in words)
    return "\n".join(line.rstrip() for line in lines) + "\n"
