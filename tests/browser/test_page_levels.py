"""The page reads a level's text as Python does: the same level, to the byte, or the same error at the same place."""

import hashlib
import random
from pathlib import Path

from scripts_in_node import answer

from drivesim.config import EnvConfig
from drivesim.levels.faults import LevelError
from drivesim.levels.library import GALLERY
from drivesim.levels.text import certify, read

CHECKS = (Path(__file__).parent / "level_checks.js").read_text(encoding="utf-8")
TEXTS = [path.read_text(encoding="utf-8") for path in GALLERY.values()]
NUM_MUTATED = 1500
PIECES = (
    *[
        ".",
        "#",
        ">",
        "<",
        "^",
        "v",
        "+",
        "@",
        "*",
        "/",
        ":",
        "=",
        "|",
        "!",
        "?",
        "[",
        "G",
        "E",
        "p",
        "a",
        "b",
        "0",
        "1",
        "9",
        "{",
        "\t",
    ],
    *(
        "E1",
        "G31",
        "G32",
        "*64",
        "*65",
        "p^",
        "a6",
        "\n",
        "\n\n",
        " ",
        "\u00e9",
        "\u2028",
        "speed_limit = 9\n",
        "lanes = [1]\n",
    ),
    *(
        'traffic = "nasch"\n',
        "egos.heading = [9]\n",
        "junction1.green = [1]\n",
        "x = 1\n",
        "portals = []\n",
        "q.style = 1\n",
    ),
    *("goals.next = [0, 0, 0]\n", "num_destinations = 1\n", "has_idle = 0\n", "dawdle = 100\n", "max_steps = 2000\n"),
)


def mutated(rng):
    """A level of the gallery with a few pieces put in, taken out or in another place."""
    text = rng.choice(TEXTS)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text))
        end = at + rng.choice((0, 1, 1, 2, 9))
        text = text[:at] + rng.choice((*PIECES, "", "")) + text[end:]
    return text


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def in_python(text):
    """What Python makes of a text, in the terms of the script; None where the page says something of its own."""
    try:
        level = read(text)
        certify(level, text)
    except LevelError as error:
        return {"message": error.message, "line": error.line, "column": error.column}
    if level.num_egos != 1:
        return None
    config = EnvConfig("Custom", levels=text if "\n" in text else text + "\n")
    options = config.to_options(config.level_max_steps)
    return {"map": digest(level.maps), "world": digest(level.worlds), "options": digest(options)}


def test_texts_are_the_same_levels_or_have_the_same_faults_as_in_python(node, module):
    code, manifest = module
    rng = random.Random(5)
    texts = [*TEXTS, "", "\n", "> >", ">E0 >G0", *(mutated(rng) for _ in range(NUM_MUTATED))]
    answers = answer(node, CHECKS, module=code, manifest=manifest, texts=texts)
    faults = set()
    for text, found in zip(texts, answers, strict=True):
        wanted = in_python(text)
        if wanted is None:
            assert "message" in found, text
        else:
            assert found == wanted, text
            faults.add(wanted.get("message", "").split("`")[-1][:25])
    assert len(faults) > 40, faults  # that many kinds were come across
