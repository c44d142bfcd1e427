"""A text that is no level is refused with the place, the word and what is allowed, whatever it is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from effort import effort
from generated import CASES, generated
from test_texts import TEXTS

from drivesim.levels.text import Level, LevelError, certify, read, write

ROAD = "^G0\n^E0\n"
FAULTS = [
    ("", 1, 1, "a level is a table of words"),
    (" \n\t\n", 1, 1, "a level is a table of words"),
    ("^G0\n^E0 x9!\n", 2, 5, "this row has 2 words; the first has 1"),
    ("^G0 ^\n^E0\n", 2, 4, "this row has 1 words; the first has 2"),
    ("^G0 zz!\n^E0 ^\n", 1, 5, "`zz!` is no word of a level"),
    ("^G0\n\n^\n\n^E0\n", 1, 1, "is no line of a head"),
    ("speed_limit = 3\n\n^G0\n\n^E0\n", 4, 1, "a blank line within the table"),
    ("^^G0\n^E0\n", 1, 1, "has a heading twice"),
    ("^G0G0\n^E0\n", 1, 1, "names one destination twice"),
    ("^G32\n^E0\n", 1, 1, "has the destination 32; the greatest is 31"),
    ("^G0\n^E32\n", 2, 1, "has the ego 32; the greatest is 31"),
    ("^G0\n^E0\n^a6\n", 3, 1, "has the speed 6; the greatest is 5"),
    ("*65+\n", 1, 1, "has the junction 65; the greatest is 64"),
    ("^G0 ^\n^E0 ^E0\n", 2, 5, "`^E0` is there twice"),
    ("^G0\n^E1\n", 2, 1, "is not the next ego"),
    ("^\n^E0\n", 2, 1, "has no goal"),
    ("egos.goal = [3]\n\n" + ROAD, 4, 1, "has a goal that is not there"),
    ("^G0 ^G1 ^E2\n^E0 ^E1 ^\n", 1, 9, "has a goal that is not there"),
    ("^G0\n^E0\n#a1\n", 3, 1, "nobody can drive there"),
    ("^G0\n+E0\n", 2, 1, "has several headings"),
    ("a.destination = 3\n\n^G0\n^E0\n^a1\n", 5, 1, "goes to a destination that is not there"),
    ("has_ways = 0\na.destination = 0\n\n^G0\n^E0\n^a1\n", 6, 1, "goes to a destination that is not there"),
    ("*+ . *3+\n", 1, 6, "they are numbered 1, 2, … without a gap"),
    (
        "\n".join([" ".join(["*+", "."] * 40), " ".join(["."] * 80)] * 2),
        3,
        121,
        "one junction too many; there may be 64",
    ),
    ("\n".join([" ".join(["*+"] * 65)] * 64), 1, 1, "there are more than 4096 cells in and behind junctions"),
    (". |v .\n. *+ |<\n. !^ .\n", 3, 3, "`|`, `!` and `?` do not mix"),
    ("^G0\n@^\n^E0\n", 2, 1, "leads nowhere"),
    (". # @>\n", 1, 5, "leads to a cell that may not be driven in its heading"[:30]),
    ("portals = [1, 0, 0, 1, 0, 0]\n\n> @> @>\n", 3, 6, "leads to the same cell as another portal"),
    ("portals = [1, 0]\n\n@>\n", 1, 11, "it needs 3 for every portal"),
    ("portals = [1, 0, 0]\n\n@> @>\n", 1, 11, "it needs 6, 3 for every `@`"),
    ("portals = [1, 0, 9]\n\n@> >\n", 1, 11, "has the number 9 where at most 1 is allowed"),
    ("lanes = [0, 0, 16, 0]\n\n" + ROAD, 1, 9, "has the number 16 where at most 15 is allowed"),
    ("lanes = [0, 0, -1, 0]\n\n" + ROAD, 1, 9, "has the number -1"),
    ("^G0\u00a0.\n^E0 .\n", 1, 1, r"`^G0\xa0.` is no word"),
    ("^G0 .\n^E0 \0\n", 2, 5, r"`\x00` is no word"),
    ("^G0 \u2028\n^E0 .\n", 1, 5, r"`\u2028` is no word"),
    ("goals.heading = [1]\n\n^G0 >G0\n^E0 .\n", 3, 1, "may not be driven in the heading that `goals.heading` asks"),
    (". =^p> =^\n. ^ ^\n", 1, 3, "`=^p>` walks off the map; at either end"),
    ("=^ =^p> .\n^ ^ .\n", 1, 4, "walks off the map"),
    (". .p>\n", 1, 3, "walks off the map"),
    ("=>p> .\n> >\n", 1, 1, "walks off the map"),
    ("> >p^ >\n. =v .\n. . .\n", 1, 3, "`>p^`: nobody walks there; walkers wait on the verge"),
    ("#pv\n=>\n.\n", 1, 1, "nobody walks there"),
    (".p^ .\n. .\n", 1, 1, "walks off the map"),
    (". .\n.p^ =>\n. .\n", 2, 1, "`.p^` looks at no crosswalk"),
    (". .pv .\n> => >\n> > >\n", 1, 3, "`.pv` is on a crosswalk that ends on the road"),
    (". . .\n> =>pv >\n> > >\n", 2, 3, "`=>pv` is on a crosswalk that ends on the road"),
    (".G0 ^G0\n. ^E0\n", 1, 1, "`.G0` is a goal where nobody can drive"),
    ("#G1 ^G0\n. ^E0\n", 1, 1, "`#G1` is a goal where nobody can drive"),
    ("egos.speed = [3]\negos.top_speed = [2]\n\n" + ROAD, 1, 14, "has the speed 3 for ego 0, whose top speed is 2"),
    ("top_speed = 2\negos.speed = [3]\n\n" + ROAD, 2, 14, "has the speed 3 for ego 0, whose top speed is 2"),
    ("a.top_speed = 2\n\n^G0 .\n^E0 >a3\n", 4, 5, "`>a3` has the speed 3; the top speed of its class is 2"),
    ("^G0 .\r^E0 .\r^F .\r", 3, 1, "`^F` is no word"),
    ("\ufeff^F .\r\n", 1, 1, "`^F` is no word"),
    ("style\x1b = 3\n\n" + ROAD, 1, 1, r"`style\x1b = 3` is no line of a head"),
    ("speed = 3\n\n" + ROAD, 1, 1, "there is no key `speed`; there are max_steps, "),
    ("p.style = 3\n\n" + ROAD, 1, 1, "there is no key `p.style`"),
    ("speed_limit = 6\n\n" + ROAD, 1, 15, "speed_limit must be a whole number from 1 to 5, got 6"),
    ("speed_limit = 03\n\n" + ROAD, 1, 15, "got 03"),
    ("speed_limit =\n\n" + ROAD, 1, 14, "got nothing"),
    ("speed_limit\n\n" + ROAD, 1, 1, "a line is `key = value`"),
    ("speed_limit = 3\nspeed_limit = 3\n\n" + ROAD, 2, 1, "is there twice, first in line 1"),
    ('traffic = "polite"\n\n' + ROAD, 1, 11, 'must be one of "krauss", "nasch", "unaware", got "polite"'),
    ("egos.speed = [1, 2]\n\n" + ROAD, 1, 14, "has length 2; it needs 1, one for every ego"),
    ("egos.speed = 3\n\n" + ROAD, 1, 14, "must be a list such as [0, 5] of whole numbers from 0 to 5"),
    ("goals.heading = [1, 2]\n\n" + ROAD, 1, 17, "it needs 1, one for every destination"),
    ("num_destinations = 1\n\n^G3\n", 1, 20, "is 1, but the words name 4"),
    ("b.top_speed = 3\n\n^G0\n^E0\n^a1\n", 1, 15, "is of a class without vehicles; there are ['a']"),
    ("junction2.yellow = 3\n\n^G0\n*+\n^E0\n", 1, 20, "is of no junction; the table has 1"),
    ("junction99.yellow = 3\n\n^G0\n*+\n^E0\n", 1, 21, "is of no junction; there may be 64"),
    ("junction1.ranks = [0, 1]\n\n^G0\n*+\n^E0\n", 1, 19, "it needs 4, one for every heading"),
    (" ".join(["^"] * 257), 1, 513, "this row has 257 words; there may be 256"),
    ("\n".join(["^"] * 257), 257, 1, "257 rows are too many; there may be 256"),
    (" ".join(["^a1"] * 128) + "\n" + " ".join(["^a1"] * 128), 2, 505, "256 vehicles, the egos included, are too many"),
    (" ".join([".p^"] * 65), 1, 257, "65 walkers, are too many; there may be 64"),
    ("^" * 4_000_001, 1, 1, "4000001 characters are too many"),
]


@pytest.mark.parametrize(("text", "line", "column", "said"), FAULTS, ids=[said for *_, said in FAULTS])
def test_a_fault_is_told_with_its_place_and_what_is_allowed(text, line, column, said) -> None:
    with pytest.raises(LevelError) as caught:
        read(text, "my road")
    assert said in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"my road, line {line}, column {column}: ")


def test_no_text_at_all_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="road must be a str, got 3"):
        read(3, "road")  # type: ignore[arg-type]


# --- fuzzing ----------------------------------------------------------------------------------------------------
LETTERS = ".#^>v<+:=|!?[*/@GEpab0123456789 \n\t=[],\"-_'\u2028\x00é"
SNIPPETS = [
    "^",
    "+",
    "*2+",
    "|^",
    "?>",
    "@<",
    "/^",
    "G3",
    "E1",
    ">a5",
    ".p<",
    "^G0E0",
    "ring_cols = 4",
    "half_lane = 7",
]
SNIPPETS += [
    "egos.heading = [1]",
    "a.destination = 0",
    "num_destinations = 32",
    "has_ways = 1",
    "portals = []",
    "-1",
    "[]",
]
SNIPPETS += [
    "lanes = [0, 0, 0, 0]",
    'junction1.control = "none"',
    "99999999999",
    "",
    "is_mirrored = 1",
    "has_goal_headings = 1",
    "has_reverse = 1",
    "goals.heading = [1]",
]


def mutated(text: str, random: np.random.Generator) -> str:
    """A text with some characters, words or lines changed, moved, doubled or gone."""
    for _ in range(int(random.integers(1, 4))):
        choice = int(random.integers(6))
        at = int(random.integers(len(text) + 1))
        if choice == 0:
            text = text[:at] + str(random.choice(list(LETTERS))) + text[at + int(random.integers(2)) :]
        elif choice == 1:
            text = text[:at] + text[at + int(random.integers(1, 4)) :]
        elif choice == 2:
            text = text[:at] + str(random.choice(SNIPPETS)) + text[at:]
        else:
            lines = text.split("\n")
            line = int(random.integers(len(lines)))
            words = lines[line].split(" ")
            word = int(random.integers(len(words)))
            if choice == 3:
                words[word] = str(random.choice(SNIPPETS))
            elif choice == 4:
                other = lines[int(random.integers(len(lines)))].split(" ")
                words[word] = other[int(random.integers(len(other)))]
            lines[line] = " ".join(words)
            if choice == 5:
                lines.insert(
                    int(random.integers(len(lines))), lines[line] if random.random() < 0.5 else lines.pop(line)
                )
            text = "\n".join(lines)
    return text


def canonical_texts() -> list[str]:
    """Of every kind of level a few."""
    texts = [write(*next(generated(*case, num_levels=1))) for case in CASES if case[1] == "easy"]
    return [*texts, *TEXTS.values()]


def result_of(text: str) -> Level | LevelError:
    """The level of a text, or why it is none."""
    try:
        level = read(text)
        certify(level, text)
    except LevelError as error:
        return error
    return level


def check_mutations(num_mutations: int, seed: int) -> tuple[int, float]:
    """How many of so many mutated texts are levels, and the longest CPU time that one took, in seconds."""
    random = np.random.default_rng(seed)
    texts = canonical_texts()
    num_levels, slowest = 0, 0.0
    result_of(texts[0])  # compiles
    for n in range(num_mutations):
        text = mutated(texts[n % len(texts)], random)
        start = time.process_time()
        found = result_of(text)
        slowest = max(slowest, time.process_time() - start)
        if isinstance(found, LevelError):
            lines = text.split("\n")
            assert 1 <= found.line <= len(lines), text
            assert 1 <= found.column <= len(lines[found.line - 1]) + 1, text
            assert "{" not in str(found), text
        else:
            level = found
            num_levels += 1
            assert level.worlds["num_egos"] == level.num_egos
            if n % 8 == 0:
                once = write(level.maps[0], level.worlds[0], **level.options)
                again = read(once)
                assert write(again.maps[0], again.worlds[0], **again.options) == once, text
    return num_levels, slowest


def test_a_mutated_text_is_a_level_or_is_refused_with_a_place() -> None:
    num_mutations = effort(2_000, 100_000)
    num_levels, slowest = check_mutations(num_mutations, seed=1)
    assert 0.05 * num_mutations < num_levels < 0.95 * num_mutations  # neither all nor none
    assert slowest < 1.0
