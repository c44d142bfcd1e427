"""From a text to a TEXT: split it into words, number the classes, spread the head over the facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivesim.core.memory import Array
from drivesim.core.texts import (
    A_VEHICLE,
    A_WALKER,
    AN_EGO,
    MAX_COLS,
    MAX_JUNCTIONS,
    MAX_ROWS,
    MAX_WALKERS,
    TEXT,
    TOKEN,
    UNSAID,
)
from drivesim.core.world import MAX_VEHICLES
from drivesim.levels import head as keys
from drivesim.levels.alphabet import WordError, read_word
from drivesim.levels.faults import LevelError, shown
from drivesim.levels.head import Entry, HeadError, read_line

MAX_CHARACTERS = 4_000_000
LINE_BREAKS = re.compile(r"\r\n|\r|\n")  # of Windows, old Macs, and all others
BLANKS = " \t"
WORDS = re.compile(rf"[^{BLANKS}]+")
BYTE_ORDER_MARK = "\ufeff"  # with which Windows begins a file


@dataclass(frozen=True)
class Split:
    """A text's words and head."""

    tokens: Array
    """TOKEN (rows, cols)."""
    words: list[list[str]]
    classes: dict[str, int]
    """Numbers of the classes that drive, by name."""
    head: dict[str, Entry]

    def count(self, who: int) -> int:
        """How many of a kind stand on the map."""
        return int((self.tokens["who"] == who).sum())


def split(text: str) -> Split:
    """Take a text apart.

    Raises:
        LevelError: for the first word or line that is none, or if there are too many.
    """
    if len(text) > MAX_CHARACTERS:
        raise LevelError(f"{len(text)} characters are too many; there may be {MAX_CHARACTERS}", 1, 1)
    lines = LINE_BREAKS.split(text.removeprefix(BYTE_ORDER_MARK))
    is_blank = [not line.strip(BLANKS) for line in lines]
    if all(is_blank):
        raise LevelError("there is nothing; a level is a table of words, such as `^E0 ^G0`", 1, 1)
    first, last = is_blank.index(False), len(lines) - 1 - is_blank[::-1].index(False)
    begin = first
    if True in is_blank[first:last]:
        blank = is_blank.index(True, first)
        head = read_head(lines[first:blank], first)
        begin = is_blank.index(False, blank)
        if True in is_blank[begin:last]:
            line = is_blank.index(True, begin) + 1
            raise LevelError("a blank line within the table; one stands between the head and the table", line, 1)
    else:
        head = {}
    return read_table(lines[begin : last + 1], begin, head)


def read_head(lines: list[str], before: int) -> dict[str, Entry]:
    """The lines of a head, behind `before` others.

    Raises:
        LevelError: for the first that is none.
    """
    head: dict[str, Entry] = {}
    for number, line in enumerate(lines, before + 1):
        if line.lstrip().startswith("#"):
            continue
        try:
            name, value, column = read_line(line)
        except HeadError as error:
            raise LevelError(str(error), number, error.column) from None
        if name in head:
            raise LevelError(f"{name} is there twice, first in line {head[name].line}", number, 1)
        head[name] = Entry(value, number, column)
    return head


def read_table(lines: list[str], before: int, head: dict[str, Entry]) -> Split:
    """The words of a table, behind `before` other lines.

    Raises:
        LevelError: for the first that is none, and where the table has no edges or too many words.
    """
    if len(lines) > MAX_ROWS:
        raise LevelError(f"{len(lines)} rows are too many; there may be {MAX_ROWS}", before + MAX_ROWS + 1, 1)
    kinds: dict[str, int] = {}
    classes: dict[str, int] = {}
    templates: list[tuple[int, ...]] = []
    words: list[list[str]] = []
    places: list[tuple[int, int, int]] = []
    for number, line in enumerate(lines, before + 1):
        row = [(match[0], match.start() + 1) for match in WORDS.finditer(line)]
        expected = len(words[0]) if words else min(len(row), MAX_COLS)
        if len(row) != expected:
            column = row[expected][1] if len(row) > expected else len(line.rstrip(BLANKS)) + 1
            what = f"the first has {expected}" if words else f"there may be {MAX_COLS}"
            raise LevelError(f"this row has {len(row)} words; {what}", number, column)
        for word, column in row:
            if word not in kinds:
                try:
                    templates.append(token_of(word, classes))
                except WordError as error:
                    raise LevelError(str(error), number, column) from None
                kinds[word] = len(templates) - 1
            places.append((kinds[word], number, column))
        words.append([word for word, _ in row])
    found = np.array(places, np.int32)
    tokens = np.array(templates, TOKEN)[found[:, 0]]
    tokens["line"], tokens["column"] = found[:, 1], found[:, 2]
    result = Split(tokens.reshape(len(words), -1), words, classes, head)
    check_numbers(result)
    return result


def token_of(text: str, classes: dict[str, int]) -> tuple[int, ...]:
    """The TOKEN of a word, but for its place; a new class gets the next number.

    Raises:
        WordError: if the word says nothing.
    """
    word = read_word(text)
    number = classes.setdefault(word.name, len(classes)) if word.who == A_VEHICLE else word.number
    fields = {**word.__dict__, "number": number, "line": 0, "column": 0}
    return tuple(int(fields[name]) for name in TOKEN.names or ())


def check_numbers(text: Split) -> None:
    """Refuse more inhabitants than a world can tell apart.

    Raises:
        LevelError: for the first that is too many.
    """
    tokens = text.tokens.reshape(-1)
    for is_one, most, what in (
        ((tokens["who"] == A_VEHICLE) | (tokens["who"] == AN_EGO), MAX_VEHICLES, "vehicles, the egos included"),
        (tokens["who"] == A_WALKER, MAX_WALKERS, "walkers"),
    ):
        places = np.flatnonzero(is_one)
        if len(places) > most:
            token = tokens[places[most]]
            message = f"{len(places)} {what}, are too many; there may be {most}"
            raise LevelError(message, int(token["line"]), int(token["column"]))


# --- the head's facts --------------------------------------------------------------------------------------------
class Facts:
    """What a head says, key by key, with defaults for what it leaves out."""

    def __init__(self, text: Split) -> None:
        self.text = text
        self.rows, self.cols = text.tokens.shape

    def value(self, name: str) -> Any:
        """What stands behind a key, or its default."""
        entry = self.text.head.get(name)
        key = keys.key_of(name)
        assert key is not None, name
        return key.default if entry is None else entry.value

    def fail(self, name: str, message: str) -> LevelError:
        """The error of a key's value."""
        entry = self.text.head[name]
        return LevelError(f"{name} {message}", entry.line, entry.column)

    def numbers(self, name: str, count: int, what: str) -> list[int]:
        """A list with as many numbers as there are of something.

        Raises:
            LevelError: if there are more or fewer.
        """
        if name not in self.text.head:
            return [self.value(name)] * count
        values: list[int] = self.value(name)
        if len(values) != count:
            raise self.fail(name, f"has length {len(values)}; it needs {count}, {what}")
        return values

    def groups(self, name: str, width: int, what: str, high: tuple[int, ...]) -> list[int]:
        """A list of `width` numbers for every one of something, each from 0 to below `high`.

        Raises:
            LevelError: if they do not come out even, or one is out of range.
        """
        values: list[int] = self.value(name) if name in self.text.head else []
        if len(values) % width:
            raise self.fail(name, f"has length {len(values)}; it needs {width} for every {what}")
        for n, value in enumerate(values):
            if not -8 * (n % width == 3) <= value < high[n % width]:
                raise self.fail(name, f"has the number {value} where at most {high[n % width] - 1} is allowed")
        return values

    def record(self) -> Array:
        """The TEXT (1,).

        Raises:
            LevelError: where the head does not go with the words.
        """
        tokens = self.text.tokens.reshape(-1)
        num_egos, num_portals = self.text.count(AN_EGO), int(tokens["is_portal"].sum())
        portals = self.groups("portals", 3, "portal", (4, self.rows, self.cols))
        if "portals" in self.text.head and len(portals) != 3 * num_portals:
            raise self.fail("portals", f"has length {len(portals)}; it needs {3 * num_portals}, 3 for every `@`")
        lanes = self.groups("lanes", 4, "cell", (self.rows, self.cols, 16, 8))
        goals = num_goals = int(np.bitwise_or.reduce(tokens["goals"])).bit_length()
        if self.value("num_destinations") != UNSAID:
            num_goals = self.value("num_destinations")
            if num_goals < goals:
                raise self.fail("num_destinations", f"is {num_goals}, but the words name {goals}")
        text = np.zeros(
            1,
            TEXT.dtype(
                tokens=len(tokens),
                classes=len(self.text.classes),
                egos=num_egos,
                junctions=MAX_JUNCTIONS,
                goals=num_goals,
                walkers=self.text.count(A_WALKER),
                portals=len(portals),
                lanes=len(lanes),
            ),
        )
        text["tokens"] = tokens
        text["rows"], text["cols"] = self.rows, self.cols
        text["num_egos"], text["num_destinations"] = num_egos, num_goals
        text["has_portals"], text["num_lanes"] = "portals" in self.text.head, len(lanes) // 4
        text["portals"][0, : len(portals)] = portals
        text["lanes"][0, : len(lanes)] = lanes
        for name in ("speed_limit", "half_lane", "ring_rows", "ring_cols", "has_reverse", "is_mirrored"):
            text[name] = self.value(name)
        for name in keys.EGOS:
            text["egos"][name][0, :num_egos] = self.numbers(f"egos.{name}", num_egos, "one for every ego")
        for name in keys.GOALS:
            text["goals"][name][0, :num_goals] = self.numbers(f"goals.{name}", num_goals, "one for every destination")
        num_walkers = self.text.count(A_WALKER)
        for name in keys.WALKERS:
            text["walkers"][name][0, :num_walkers] = self.numbers(
                f"walkers.{name}", num_walkers, "one for every walker"
            )
        for letters, number in self.text.classes.items():
            for name in keys.CLASS:
                text["classes"][name][0, number] = self.value(f"{letters}.{name}")
        self.check_speeds(text)
        self.fill_junctions(text["junctions"])
        destinations = text["classes"]["destination"][0, : len(self.text.classes)]
        implied = {
            "has_ways": (tokens["junction"] != UNSAID).any() or (destinations >= 0).any(),
            "has_goal_headings": (text["goals"]["heading"][0, :num_goals] >= 0).any(),
        }
        for name, value in implied.items():
            text[name] = value if self.value(name) == UNSAID else self.value(name)
        self.check_classes()
        return text

    def fill_junctions(self, junctions: Array) -> None:
        """What the head says of junctions, JUNCTION_FACTS (1, MAX_JUNCTIONS).

        Raises:
            LevelError: for lists that are too short or too long.
        """
        for name in junctions.dtype.names or ():
            junctions[name] = 0 if name == "cycle_start" else UNSAID
        for name, entry in self.text.head.items():
            match = keys.JUNCTION_NAME.fullmatch(name.partition(".")[0])
            if match is None:
                continue
            number, fact = int(match[1]), name.partition(".")[2]
            if number > MAX_JUNCTIONS:
                raise self.fail(name, f"is of no junction; there may be {MAX_JUNCTIONS}")
            if fact == "green":
                green = self.numbers(name, 2, "north-south and east-west")
                junctions["green_0"][0, number - 1], junctions["green_1"][0, number - 1] = green
            elif fact == "ranks":
                junctions["ranks"][0, number - 1] = self.numbers(name, 4, "one for every heading")
            else:
                junctions[fact][0, number - 1] = entry.value

    def check_speeds(self, text: Array) -> None:
        """Refuse who would begin faster than it can drive.

        Raises:
            LevelError: for the first.
        """
        most = self.value("top_speed")
        for k, facts in enumerate(text["egos"][0, : self.text.count(AN_EGO)]):
            top_speed = int(facts["top_speed"]) if most == UNSAID else min(int(facts["top_speed"]), most)
            if facts["speed"] > top_speed:
                message = f"has the speed {facts['speed']} for ego {k}, whose top speed is {top_speed}"
                raise self.fail("egos.speed", message)
        tokens = self.text.tokens.reshape(-1)
        for n in np.flatnonzero(tokens["who"] == A_VEHICLE).tolist():
            pace, top_speed = tokens["pace"][n], text["classes"]["top_speed"][0, tokens["number"][n]]
            if pace > top_speed:
                word = shown(self.text.words[n // self.cols][n % self.cols])
                message = f"`{word}` has the speed {pace}; the top speed of its class is {top_speed}"
                raise LevelError(message, int(tokens["line"][n]), int(tokens["column"][n]))

    def check_classes(self) -> None:
        """Refuse facts of classes that nobody is of.

        Raises:
            LevelError: for the first.
        """
        for name in self.text.head:
            group, dot, _ = name.partition(".")
            is_class = dot and group not in keys.GROUPS and not keys.JUNCTION_NAME.fullmatch(group)
            if is_class and group not in self.text.classes:
                raise self.fail(name, f"is of a class without vehicles; there are {[*self.text.classes]}")

    def check_junctions(self, num_junctions: int) -> None:
        """Refuse facts of junctions that are not on the map.

        Raises:
            LevelError: for the first.
        """
        for name in self.text.head:
            match = keys.JUNCTION_NAME.fullmatch(name.partition(".")[0])
            if match is not None and int(match[1]) > num_junctions:
                raise self.fail(name, f"is of no junction; the table has {num_junctions}")

    def options(self) -> dict[str, int]:
        """The options of the environment that the head gives."""
        return {name: self.value(name) for name in keys.OPTIONS if name in self.text.head}
