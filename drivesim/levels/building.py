"""From a text that has been split to a level: make room, build, and keep no more than it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drivesim.core.levels import BUILDING, begin_level, build_level
from drivesim.core.map import map_dtype
from drivesim.core.memory import Array, Frame
from drivesim.core.texts import A_VEHICLE, A_WALKER, AN_EGO, FINE, MAX_JUNCTIONS, MAX_SLOTS, UNSAID
from drivesim.core.world import world_dtype
from drivesim.levels.faults import FAULTS, LevelError
from drivesim.levels.reading import Facts, Split


@dataclass(frozen=True)
class Level:
    """A level: a map, a world at tick 0 on it, and the options that its head gives."""

    maps: Array
    """MAP (1,), of the least size that holds the road."""
    worlds: Array
    """WORLD (1,), of the least size that holds its inhabitants: tick 0, key 0, NOT_STARTED."""
    options: dict[str, int]
    """Options of the environment, such as `max_steps`, by the names in `drivesim.levels.head.OPTIONS`."""
    num_egos: int
    """Egos, the first of the vehicles."""


def build(text: Split) -> Level:
    """The level of a text that has been split.

    Raises:
        LevelError: where it is none.
    """
    facts = Facts(text)
    record = facts.record()
    tokens = record["tokens"][0]
    rows, cols = text.tokens.shape
    junctions = MAX_JUNCTIONS if (tokens["junction"] != UNSAID).any() else 0
    egos = text.count(AN_EGO)
    maps = np.zeros(
        1,
        map_dtype(
            rows,
            cols,
            junctions,
            int(record["num_destinations"][0]),
            has_portals=bool(tokens["is_portal"].any()),
            has_ways=bool(record["has_ways"][0]),
            has_passing=bool(tokens["is_passing"].any()),
            has_goal_headings=bool(record["has_goal_headings"][0]),
        ),
    )
    vehicles, people = egos + text.count(A_VEHICLE), text.count(A_WALKER)
    slots = MAX_SLOTS if junctions else 0
    worlds = np.zeros(1, world_dtype(rows, cols, vehicles, egos, people, junctions, slots))
    build_into(text, record, maps, worlds)
    facts.check_junctions(int(maps["num_junctions"][0]))
    return Level(*tight(maps, worlds), facts.options(), egos)


def build_into(text: Split, record: Array, maps: Array, worlds: Array) -> None:
    """Build the level of a text, whose TEXT (1,) is `record`, into blank records (1,) with room for it.

    Raises:
        LevelError: where it is none.
    """
    rows, cols = text.tokens.shape
    fault = np.zeros(3, np.int32)
    scratch = np.zeros(4 * (rows + 2) * (cols + 2), np.int32)
    frame = Frame(BUILDING)
    frame.set(texts=record, maps=maps, worlds=worlds, scratch=scratch, fault_out=fault)
    if build_level(frame.argument) != FINE:
        word = word_at(text, int(fault[1]), int(fault[2]))
        raise LevelError(FAULTS[int(fault[0])].format(word=word), int(fault[1]), int(fault[2]))


def word_at(text: Split, line: int, column: int) -> str:
    """The word that begins there."""
    row, col = np.argwhere((text.tokens["line"] == line) & (text.tokens["column"] == column))[0]
    return text.words[int(row)][int(col)]


def tight(maps: Array, worlds: Array) -> tuple[Array, Array]:
    """Copies of a map and a world, both (1,), in records of the least size."""
    map, world = maps[0], worlds[0]
    rows, cols = int(map["rows"]), int(map["cols"])
    map_type = map_dtype(
        rows,
        cols,
        int(map["num_junctions"]),
        int(map["num_destinations"]),
        has_portals=int(map["num_portals"]) > 0,
        has_ways=bool(map["has_ways"]),
        has_passing=int(map["num_passing"]) > 0,
        has_goal_headings=bool(map["has_goal_headings"]),
    )
    world_type = world_dtype(
        rows,
        cols,
        int(world["num_vehicles"]),
        int(world["num_egos"]),
        int(world["num_people"]),
        int(map["num_junctions"]),
        int(map["num_slots"]),
    )
    return fitted(maps, map_type), fitted(worlds, world_type)


def fitted(records: Array, dtype: np.dtype[np.void]) -> Array:
    """Records (1,) copied into others, of which each block has as many elements or fewer."""
    copies = np.zeros(1, dtype)
    for name in dtype.names or ():
        if copies[name].ndim == 1:
            copies[name] = records[name]
        elif not name.startswith("padding"):
            length = min(copies[name].shape[1], records[name].shape[1])
            copies[name][:, :length] = records[name][:, :length]
    return copies


def begun(level: Level) -> tuple[Array, Array]:
    """Map and world of a level, copies, as they are once the episode has begun."""
    maps, worlds = level.maps.copy(), level.worlds.copy()
    frame = Frame(BUILDING)
    frame.set(maps=maps, worlds=worlds)
    begin_level(frame.argument)
    return maps, worlds
