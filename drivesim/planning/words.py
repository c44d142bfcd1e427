"""What of a world its future and its rewards depend on, as places and masks of words of eight bytes.

Left out is what every tick derives anew before it is read, and what is kept for `info` alone. The rest of a record
either varies, then it belongs to a node, or stays as it is in a template.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from drivesim.core.event_table import REWARD_SPARSE
from drivesim.core.map import ALL_WAY_STOP, LANE, SIGNALS
from drivesim.core.world import ABSENT, DRIVING, NASCH, NEVER, UNAWARE

Array = np.ndarray[Any, Any]

DERIVED = ("next_cell", "next_speed", "next_status", "lane_shift", "turn_now")
"""Of every vehicle: decided anew in every tick."""
SEEN = ("stopping_room", "leader")
"""Of the traffic: looked up in every tick before it is read, but by drivers after Nagel and Schreckenberg."""
OF_DRIVE = ("cell", "heading", "speed", "acceleration")
"""Of an ego's vehicle, what varies while it is alone."""
OF_TRAFFIC = (
    "cell",
    "heading",
    "speed",
    "destination",
    "asked_at",
    "status",
    "may_enter",
    "has_arrived",
    "let_in",
    "num_trips",
)
"""What varies of the traffic."""
BOOKS = (
    "return_sum",
    "events",
    "events_seen",
    "remaining_before",
    "ticks",
    "offset_sum",
    "speed_sum",
    "jerk_sum",
    "offset",
    "jerk",
    "on_shoulder",
    "num_lane_changes",
    "ticks_standing",
)
"""Of an ego: of this tick alone, or kept for `info`."""
PLENTY = 1 << 20  # ticks driven, when nothing may keep a drive from counting as a success


class Words(NamedTuple):
    """Where the words of a node stand in a world."""

    places: Array
    """(K,) int64: index of a word."""
    masks: Array
    """(K,) int64: its bits that matter."""


def words_of(world: Array, map: Array, options: Array, is_alone: bool) -> Words:
    """The words of a node.

    Args:
        world: (1,) a template.
        map: (1,).
        options: OPTIONS (1,).
        is_alone: whether nobody moves but the ego.
    """
    varies: Array = np.zeros(1, world.dtype)
    keeps: Array = np.zeros(1, world.dtype)
    for name in keeps.dtype.names or ():
        _fill(keeps[name])
    for name in DERIVED:
        keeps["vehicles"][name] = 0
    if options["driver_model"][0] != NASCH:
        for name in SEEN:
            keeps["vehicles"][name] = 0
    keeps["vehicles"]["acceleration"][:, 1:] = 0
    for name in BOOKS:
        keeps["egos"][name] = 0
    for name in OF_DRIVE:
        _fill(varies["vehicles"][name][:, :1])
    _fill(varies["egos"]["remaining"])
    if (map["junctions"]["control"][0, : int(map["num_junctions"][0])] == ALL_WAY_STOP).any():
        _fill(varies["egos"]["stood_at"])
    if not is_alone:
        _let_others_vary(varies, world, map, options)
        if options["reward"][0] == REWARD_SPARSE:  # which pays for a success alone
            names = ("events_seen", "ticks", "offset_sum") if map["half_lane"][0] > 0 else ("events_seen",)
            for name in names:
                _fill(keeps["egos"][name])
                _fill(varies["egos"][name])
    places = np.flatnonzero(varies.view(np.int64))
    return Words(places, keeps.view(np.int64)[places].copy())


def _let_others_vary(varies: Array, world: Array, map: Array, options: Array) -> None:
    """Mark what varies of traffic, people and reservations, and what of the ego matters to them."""
    moves = movers(world, map, options)
    names = OF_TRAFFIC + (SEEN if options["driver_model"][0] == NASCH else ())
    for name in names:
        column = varies["vehicles"][name][0]
        column[moves] = _ones(column.dtype)
    if map["num_junctions"][0] > 0:
        for name in ("asked_at", "may_enter"):
            _fill(varies["vehicles"][name][:, :1])
        _fill(varies["egos"]["granted_at"])
        _fill(varies["held"])
    if moves.any():
        _fill(varies["egos"]["next_turn"])
    if world["num_people"][0] > 0:
        _fill(varies["people"])


def _fill(values: Array) -> None:
    """Set all bits of an array of records or numbers, which may be a view."""
    if values.dtype.names:
        for name in values.dtype.names:
            _fill(values[name])
    elif values.dtype.kind != "f":  # there is one, the return, and it is of no matter
        values[...] = _ones(values.dtype)


def _ones(dtype: np.dtype[Any]) -> int:
    """The integer of a type in which all bits are set."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else -1


def template_of(world: Array) -> Array:
    """A copy (1,) of a world of one ego, without occupants and with clean books."""
    template = world.copy()
    template["occupants"] = 0
    for name in ("cut_in_at", "reversed_at"):
        template["egos"][name] = NEVER
    for name in ("return_sum", "events", "num_lane_changes", "ticks_standing", "speed_sum", "jerk_sum"):
        template["egos"][name] = 0
    return template


def stays_parked(world: Array, map: Array, options: Array) -> Array:
    """Bool (V,): which vehicles never move, whatever the ego does: parked, with no lane beside to which to change."""
    vehicles = world["vehicles"][0]
    where = map["ground"][0, vehicles["cell"]] >> 4 & 7
    never_steers = (where != LANE) | (options["driver_model"][0] == UNAWARE)
    is_parked = (vehicles["status"] == DRIVING) & (vehicles["top_speed"] == 0) & (vehicles["speed"] == 0)
    is_parked &= (vehicles["destination"] < 0) & never_steers
    is_parked[0] = False
    return np.asarray(is_parked)


def movers(world: Array, map: Array, options: Array) -> Array:
    """Bool (V,): the traffic of a world (1,) that drives and may move."""
    vehicles = world["vehicles"][0]
    moves: Array = (vehicles["status"] == DRIVING) & ~stays_parked(world, map, options)
    moves[0] = False
    moves[int(world["num_vehicles"][0]) :] = False
    return moves


def without_others(world: Array, map: Array, options: Array) -> Array:
    """A template (1,) without people and without whoever may move but the ego.

    In it every drive that arrives counts as a success: nothing is kept of how it went so far.
    """
    template = template_of(world)
    template["vehicles"]["status"][0, movers(world, map, options)] = ABSENT
    template["num_people"] = 0
    template["held"] = 0
    template["num_vehicles"] = 1 + int(np.flatnonzero(template["vehicles"]["status"][0] == DRIVING).max())
    template["egos"]["events_seen"] = template["egos"]["offset_sum"] = 0
    template["egos"]["ticks"] = PLENTY
    return template


def has_signals(map: Array) -> bool:
    """Whether a map (1,) has lamps."""
    return bool((map["junctions"]["control"][0, : int(map["num_junctions"][0])] == SIGNALS).any())
