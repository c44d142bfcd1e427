"""Levels as texts.

The alphabet is that of `drivesim.levels.alphabet`, the head's keys those of `drivesim.levels.head`::

    speed_limit = 2
    a.top_speed = 2

    .  v   ^  .
    .  va1 ^  .
    .  v   ^G0 .
    .  v   ^E0 .

A text is a head of lines `key = value`, a blank line, and a table of words; a table alone is a text as well. Rows and
columns are those of the map; vehicles are numbered in reading order, the egos before them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.map import UNREACHABLE
from drivesim.core.memory import Array
from drivesim.core.options import OPTIONS as RECORD
from drivesim.core.refusals import place_of, refusals
from drivesim.core.world import KRAUSS
from drivesim.levels.building import Level, begun, build, tight
from drivesim.levels.faults import LevelError
from drivesim.levels.head import OPTIONS
from drivesim.levels.reading import split
from drivesim.levels.writing import Writer

__all__ = ["Level", "LevelError", "certify", "read", "write"]


def read(text: str, name: str = "text") -> Level:
    """The level that a text describes.

    Args:
        text: a level.
        name: of the text, for messages.

    Raises:
        TypeError: if it is no text.
        LevelError: where it is no level; line and column are those of what is wrong.
    """
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, got {text!r}")
    try:
        return build(split(text))
    except LevelError as error:
        raise LevelError(error.message, error.line, error.column, name) from None


def certify(level: Level, text: str, name: str = "text", driver_model: int | None = None) -> None:
    """Refuse a level that may not be driven.

    That is one in which traffic could collide or stand for ever, by `drivesim.core.certificate`, or an ego not arrive.

    Args:
        level: that of the text.
        text: for the place of what is wrong.
        name: of the text, for messages.
        driver_model: of the traffic; None = that of the head.

    Raises:
        LevelError: with a cell at which it shows.
    """
    options = np.zeros(1, RECORD)
    own_model = level.options.get("traffic", KRAUSS)
    options["driver_model"] = own_model if driver_model is None else driver_model
    options["num_egos"] = level.num_egos
    maps, worlds = begun(level)
    ((reason, place),) = refusals(maps, worlds, options)
    lost = lost_egos(maps, worlds)
    if not reason and lost:
        reason, place = "no way leads from here to the ego's goal", place_of(maps[0], lost[0])
    if reason:
        at = split(text).tokens[place]
        raise LevelError(f"this may not be driven: {reason}", int(at["line"]), int(at["column"]), name)


def lost_egos(maps: Array, worlds: Array) -> list[int]:
    """The cells of the egos of a level, (1,) each, from which no way leads to their goals."""
    if maps["ring_rows"][0] + maps["ring_cols"][0] > 0:
        return []  # there, a goal is a distance
    is_lost = worlds["egos"]["remaining"][0] == UNREACHABLE
    cells: list[int] = worlds["vehicles"]["cell"][0, : len(is_lost)][is_lost].tolist()
    return cells


def write(map: Any, world: Any, **head: int) -> str:
    """The canonical text of a level: `read` gives the same map and world, to the byte, but for who and when it is.

    Args:
        map: a MAP record.
        world: a WORLD record at tick 0, of an episode that has begun or has not.
        **head: options of the environment, such as `max_steps`, by the names in `drivesim.levels.head.OPTIONS`.

    Raises:
        TypeError: for an option that is none.
        ValueError: if there is something that no text can say, such as a tick beyond 0.
    """
    for name in head:
        if name not in OPTIONS:
            raise TypeError(f"{name!r} is no option of a head; there are {[*OPTIONS]}")
    if world["tick"] != 0:
        raise ValueError(f"a level is written at tick 0, got tick {world['tick']}")
    return Writer(*tight(np.array([map], map.dtype), np.array([world], world.dtype)), head).text()
