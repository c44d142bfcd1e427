"""Validation of saved states: which arrays an environment can continue from.

Kernels trust what they read: an index that leads out of a record would crash the interpreter. So everything that
they use as an index, a bound or a divisor is checked before a state is taken over, from the tables below. What a level
draws (its map, who drives where) is free; what the options fix must be as in a level generated here; and what can be
derived is derived anew. A level may be nonsense, then, but no vehicle leaves its map.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.following import STALE
from drivesim.core.map import ALL_HEADINGS, CHANGE_LEFT, CHANGE_RIGHT, EDGE, IS_DESTINATION, PORTAL, WAY
from drivesim.core.pedestrians import LONGEST_REST
from drivesim.core.world import (
    ABSENT,
    CALM,
    CRASHED,
    CROSSING,
    DRIVING,
    ENDED,
    GOING,
    GREEN,
    HASTY,
    KRAUSS,
    NEVER,
    NOBODY,
    NOT_STARTED,
    RED,
    RUNNING,
    TOP_SPEED,
    UNAWARE,
    WAS_TOLD,
)

Array = np.ndarray[Any, Any]

FIXED = ("num_egos", "num_vehicles", "num_people")
"""Numbers of a world that the options determine, whatever the level."""
FIXED_MAP = (
    "row_factor",
    "rows",
    "cols",
    "width",
    "ring_rows",
    "ring_cols",
    "speed_limit",
    "half_lane",
    "num_portals",
    "num_junctions",
    "num_slots",
    "num_destinations",
    "has_goal_headings",
    "has_reverse",
    "has_ways",
    "steps",
    "junctions",
)
"""The same of a map."""
LARGEST = 2**31 - 1
HEAD_RANGES = {
    "stage": (NOT_STARTED, ENDED),  # between two steps no episode is about to begin
    "episode": (0, 2**62),
    "level_seed": (0, 2**63 - 1),
    "tick": (0, 2**30),
    "attempt": (0, LARGEST),
    "is_mirrored": (0, 1),
}
"""Least and greatest values of the numbers of a world."""
RANGES = {
    "vehicles": {
        "heading": (0, 3),
        "top_speed": (0, TOP_SPEED),
        "status": (ABSENT, CRASHED),
        "next_status": (0, 0),  # between two ticks nobody is about to leave the world
        "may_enter": (0, 1),
        "style": (CALM, HASTY),
        "has_arrived": (0, 1),
        "num_trips": (0, 2**30 - 1),
    },
    "people": {
        "heading": (0, 3),
        "status": (NOBODY, CROSSING),
        "patience": (0, 2**30),
        "hesitates": (0, 1),
        "waited": (0, 2**30),
        "rest": (0, LONGEST_REST),
    },
    "egos": {
        "drive": (GOING, WAS_TOLD),
        "route_length": (1, LARGEST),
        "next_turn": (-1, 1),
        "reversed_at": (NEVER, LARGEST),
    },
    "lamps": {"colour_0": (GREEN, RED), "colour_1": (GREEN, RED)},
}
"""The same of the fields that kernels rely on, whatever the map."""
GOAL_RANGES = {"heading": (0, 4), "top_speed": (0, TOP_SPEED + 1)}
"""The same of the goals of a map."""


def check_state(state: Any, mask: Any, num_worlds: int, dtype: np.dtype[np.void]) -> tuple[Array, Array]:
    """The arguments of `set_state`: an array of states and the worlds that take them, both (num_worlds,).

    Raises:
        TypeError, ValueError: naming what is wrong.
    """
    if isinstance(state, np.ndarray) and np.can_cast(state.dtype, dtype, "equiv"):
        state = state.astype(dtype, copy=False)  # np.concatenate and np.stack close the gaps between fields
    else:
        found = type(state).__name__
        if isinstance(state, np.ndarray):
            found = f"elements of {state.dtype.itemsize} bytes where this environment's have {dtype.itemsize}"
            if state.dtype.names is not None and set(state.dtype.names) & {"world", "map"}:
                found += ": the options of the two differ"
        raise TypeError(f"state must be an array from get_state() of an environment with the same options, got {found}")
    if state.shape != (num_worlds,):
        raise ValueError(f"state must have shape ({num_worlds},), got {state.shape}")
    if mask is None:
        mask = np.ones(num_worlds, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"mask must be a bool array of shape ({num_worlds},), got {mask!r}")
    if mask.shape != (num_worlds,):
        raise ValueError(f"mask must have shape ({num_worlds},), got {mask.shape}")
    return state, mask


def check_states(states: Array, model: Array, model_map: Array, scenario: str, driver_model: int) -> None:
    """Refuse states that are none of this environment.

    Args:
        states: (M,) of the environment's type.
        model: (1,) a world with the numbers that the environment's options fix.
        model_map: (1,) the map, or one with all that options fix.
        scenario: its name, for the message.
        driver_model: KRAUSS, NASCH or UNAWARE.

    Raises:
        ValueError: naming the first env that is refused, and the field.
    """
    require_ranges(states["world"], {"stage": HEAD_RANGES["stage"]})
    require(states["world"]["scenario"] == model["scenario"], "scenario", scenario)
    rows = np.flatnonzero(states["world"]["stage"] != NOT_STARTED)  # of the others, nothing is ever read
    if len(rows) == 0:
        return
    worlds, maps = states["world"][rows], model_map
    try:
        if "map" in (states.dtype.names or ()):
            maps = states["map"][rows]
            check_maps(maps, model_map)
        check_worlds(worlds, model, model_map)
        check_ways(worlds, maps, border_of(model_map), driver_model)
    except StateError as error:
        raise error.of(rows) from None


def check_worlds(worlds: Array, model: Array, model_map: Array) -> None:
    """Refuse worlds whose inhabitants could not be here.

    Raises:
        ValueError: as `check_states`.
    """
    for name in FIXED:
        require(worlds[name] == model[name], name, str(model[name][0]))
    require_ranges(worlds, HEAD_RANGES)
    for block, ranges in RANGES.items():
        require_ranges(worlds[block], ranges)
    num_egos, num_vehicles = int(model["num_egos"][0]), int(model["num_vehicles"][0])
    egos = worlds["egos"][:, :num_egos]
    vehicles = worlds["vehicles"][:, :num_vehicles]
    people = worlds["people"][:, : int(model["num_people"][0])]
    slowest = -int(model_map["has_reverse"][0])
    require_ranges(worlds["vehicles"][:, :num_egos], {"speed": (slowest, TOP_SPEED)})
    require_ranges(worlds["vehicles"][:, num_egos:], {"speed": (0, TOP_SPEED)})
    require_ranges(egos, {"goal": (0, max(1, int(model_map["num_destinations"][0])) - 1)})
    require_ranges(vehicles, {"leader": (STALE, num_vehicles - 1), "destination": (-1, num_ways(model_map) - 1)})
    is_border = border_of(model_map)
    require(is_on_map(vehicles["cell"], is_border), "cell")
    require(is_on_map(people["cell"], is_border), "cell")
    require_ranges(worlds, {"held": (0, num_vehicles if model_map["num_slots"][0] > 0 else 0)})
    if model_map["num_junctions"][0] == 0:
        require(vehicles["may_enter"] == 0, "may_enter", "0 where there is no junction")
    is_driving = worlds["vehicles"]["status"] == DRIVING
    require(~is_driving[:, num_vehicles:], "status")
    require(is_driving[:, :num_egos].any(axis=1) | (worlds["stage"] != RUNNING), "status")


def check_maps(maps: Array, model: Array) -> None:
    """Refuse maps from which a way could lead out of the record.

    Raises:
        ValueError: as `check_states`.
    """
    for name in FIXED_MAP:
        require(maps[name] == model[name], name)
    border = border_of(model)
    ground, behind = maps["ground"][:, : len(border)], maps["ground"][:, len(border) :]
    require((ground >> 4 & 7 == EDGE) == border, "ground")
    require(ground[:, border] == EDGE << 4, "ground")
    require(behind == 0, "ground")
    require_ranges(maps, {"ways": (0, WAY | IS_DESTINATION | CHANGE_LEFT | CHANGE_RIGHT)})
    require(maps["ways"] & WAY <= 4, "ways", "the way of one of four headings or none")
    require_ranges(maps, {"passing": (0, ALL_HEADINGS)})
    require_ranges(maps["goals"], GOAL_RANGES)
    has_heading = model["goals"]["heading"] != 0  # else observations have no place for one
    require((maps["goals"]["heading"] == 0) | has_heading, "heading", "0 where goals have no heading")
    num_cells = len(border)  # records of given levels have room for the largest
    passing = maps["passing"][:, :num_cells] != 0
    require(maps["num_passing"] == np.count_nonzero(passing, axis=1), "num_passing")
    require(~passing[:, border[: passing.shape[1]]], "passing")
    num_junctions = int(model["num_junctions"][0])
    if num_junctions > 0:
        require_ranges(maps, {"junction": (0, num_junctions), "slots": (0, int(model["num_slots"][0]))})
        require(maps["junction"][:, :num_cells][:, border] == 0, "junction")
        require((maps["junction"] == 0) | (maps["slots"] > 0), "slots", "above 0 in a junction")
    if model["num_portals"][0] == 0:
        require(ground & PORTAL == 0, "ground")
    else:
        require_ranges(maps, {"leads_to": (0, 4 * len(border) - 1), "comes_from": (0, len(border) - 1)})
        is_portal = ground & PORTAL != 0
        leads_to = maps["leads_to"][:, :num_cells] >> 2
        require(~is_portal | ~border[leads_to], "leads_to", "a portal's way to a cell of the map")
    inside = np.flatnonzero(~border)
    for destination in range(num_ways(model)):
        ways = maps["ways"][:, destination * num_cells + inside] & WAY
        map_of, n = np.nonzero(ways)
        heading = ways[map_of, n] - 1
        ahead = cells_ahead(maps, map_of, inside[n], heading)
        # The road may end there, if there is more of it beside.
        is_end = maps["stays"][map_of, destination * num_cells + inside[n]] == 0
        is_end &= ground[map_of, inside[n]] >> heading & 1 != 0
        leaves = np.zeros(ways.shape, np.bool_)
        leaves[map_of, n] = border[ahead] & ~is_end
        require(~leaves, "ways", "those of cells of the map to each other")


def check_ways(worlds: Array, maps: Array, is_border: Array, driver_model: int) -> None:
    """Refuse worlds in which traffic would drive over the border, which is only one cell wide.

    Who follows Krauss must have as many cells ahead as braking takes: then car following keeps that. Nagel's and
    Schreckenberg's drivers stop at once. Those who are unaware drive straight on for ever.

    Args:
        worlds: (M,) checked but for this.
        maps: (M,) theirs, or (1,) everybody's.
        is_border: bool (cells,).
        driver_model: KRAUSS, NASCH or UNAWARE.

    Raises:
        ValueError: as `check_states`.
    """
    vehicles = worlds["vehicles"]
    is_traffic = vehicles["status"] == DRIVING
    is_traffic &= np.arange(vehicles.shape[1]) >= worlds["num_egos"][:, None]
    if driver_model == KRAUSS:
        length = np.where(is_traffic, vehicles["speed"] * (vehicles["speed"] - 1) // 2, 0)
    elif driver_model == UNAWARE:
        length = np.where(is_traffic & (vehicles["top_speed"] > 0), len(is_border), 0)
    else:
        return
    leaves = np.zeros(vehicles.shape, np.bool_)
    world, k = np.nonzero(length)
    start, heading, length = vehicles["cell"][world, k], vehicles["heading"][world, k], length[world, k]
    cell, map_of = start, world if len(maps) > 1 else np.zeros_like(world)
    for n in range(1, len(is_border) + 1):
        if len(world) == 0:
            break
        cell = cells_ahead(maps, map_of, cell, heading)
        leaves[world, k] |= is_border[cell]
        goes_on = ~is_border[cell] & (cell != start) & (n < length)
        world, k, start, heading, length = (part[goes_on] for part in (world, k, start, heading, length))
        cell, map_of = cell[goes_on], map_of[goes_on]
    require(~leaves, "heading", "one in which traffic stays on the map")


def cells_ahead(maps: Array, map_of: Array, cells: Array, headings: Array) -> Array:
    """The cells (n,) ahead of others on the maps `map_of` (n,), as `core.map.next_cell` has it."""
    ahead = cells + maps["steps"][map_of, headings]
    if maps["num_portals"][0] == 0:
        return np.asarray(ahead)
    leads_to = maps["leads_to"][map_of, cells]
    passes = (maps["ground"][map_of, cells] & PORTAL != 0) & (leads_to & 3 == headings)
    return np.where(passes, leads_to >> 2, ahead)


def num_ways(model: Array) -> int:
    """How many destinations of a map (1,) have ways that lead to them."""
    num_cells = (int(model["rows"][0]) + 2) * int(model["width"][0])
    return int(model["ways"].shape[1]) // num_cells


def border_of(model: Array) -> Array:
    """Bool (cells,): which cells of a map (1,) are its border."""
    rows, cols = int(model["rows"][0]), int(model["cols"][0])
    border = np.ones((rows + 2, cols + 2), np.bool_)
    border[1:-1, 1:-1] = False
    return border.reshape(-1)


def is_on_map(cells: Array, is_border: Array) -> Array:
    """Whether cells (M, …) are those of a map, without its border."""
    is_cell = (cells >= 0) & (cells < len(is_border))
    return is_cell & ~is_border[np.where(is_cell, cells, 0)]


def occupants_of(worlds: Array) -> Array:
    """Who is on every cell of worlds (M,), from their vehicles: uint8 (M, cells), 1 + vehicle, 0 = nobody.

    Of several on one cell, which unaware drivers can be, it is the last: `core.advance` lets them enter in this order.
    """
    occupants = np.zeros_like(worlds["occupants"])
    vehicles = worlds["vehicles"]
    worlds_of, numbers = np.nonzero(vehicles["status"] == DRIVING)
    occupants[worlds_of, vehicles["cell"][worlds_of, numbers]] = numbers + 1
    return occupants


def require_ranges(records: Array, ranges: dict[str, tuple[int, int]]) -> None:
    """Refuse the first world in whose records (M, …) a field is out of its range.

    Raises:
        ValueError: naming it, the field and the range.
    """
    for name, (low, high) in ranges.items():
        require((records[name] >= low) & (records[name] <= high), name, f"in [{low}, {high}]")


def require(holds: Array, field: str, allowed: str = "") -> None:
    """Refuse the first world for which not everything in `holds` (M, …) is true.

    Raises:
        StateError: naming it and the field.
    """
    if not holds.all():
        raise StateError(int(np.argwhere(~holds)[0][0]), field, allowed)


class StateError(ValueError):
    """A state that is none of the environment."""

    def __init__(self, number: int, field: str, allowed: str) -> None:
        must_be = f": must be {allowed}" if allowed else ""
        super().__init__(f"state is not of this environment: {field} of env {number} of those to be restored{must_be}")
        self._facts = number, field, allowed

    def of(self, rows: Array) -> StateError:
        """The same of a state that is number `rows[n]` (M,) of all, where here it is number n."""
        number, field, allowed = self._facts
        return StateError(int(rows[number]), field, allowed)
