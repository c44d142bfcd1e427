"""Validation of saved states: which arrays an environment can continue from.

Kernels trust what they read: an index that leads out of a record would crash the interpreter. So everything that
they use as an index, a bound or a divisor is checked before a state is taken over, from the tables below. What a level
draws (its map, who drives where) is free; what the options fix must be as in a level generated here; and what can be
derived is derived anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.map import EDGE, PORTAL
from drivesim.core.world import (
    ABSENT,
    CRASHED,
    CROSSING,
    DRIVING,
    ENDED,
    GOING,
    GREEN,
    NOBODY,
    NOT_STARTED,
    RED,
    RUNNING,
    TOP_SPEED,
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
    "num_destinations",
    "steps",
    "junctions",
)
"""The same of a map."""
LARGEST = 2**31 - 1
RANGES = {
    "vehicles": {
        "heading": (0, 3),
        "speed": (0, TOP_SPEED),
        "top_speed": (0, TOP_SPEED),
        "status": (ABSENT, CRASHED),
        "next_turn": (-1, 1),
        "claim": (0, LARGEST),
    },
    "people": {"heading": (0, 3), "status": (NOBODY, CROSSING)},
    "egos": {"drive": (GOING, WAS_TOLD)},
    "lamps": {"colour_0": (GREEN, RED), "colour_1": (GREEN, RED)},
}
"""Least and greatest values of the fields that kernels rely on, whatever the map."""


def check_state(state: Any, mask: Any, num_worlds: int, dtype: np.dtype[np.void]) -> tuple[Array, Array]:
    """The arguments of `set_state`: an array of states and the worlds that take them, both (num_worlds,).

    Raises:
        TypeError, ValueError: naming what is wrong.
    """
    if not isinstance(state, np.ndarray) or state.dtype != dtype:
        found = getattr(state, "dtype", type(state).__name__)
        raise TypeError(
            f"state must be an array from get_state() of an environment with the same options, got {str(found)[:80]}"
        )
    if state.shape != (num_worlds,):
        raise ValueError(f"state must have shape ({num_worlds},), got {state.shape}")
    if mask is None:
        mask = np.ones(num_worlds, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"mask must be a bool array of shape ({num_worlds},), got {mask!r}")
    if mask.shape != (num_worlds,):
        raise ValueError(f"mask must have shape ({num_worlds},), got {mask.shape}")
    return state, mask


def check_states(states: Array, model: Array, model_map: Array, scenario: str) -> None:
    """Refuse states that are none of this environment.

    Args:
        states: (M,) of the environment's type.
        model: (1,) a state of a level generated from the environment's options.
        model_map: (1,) its map.
        scenario: its name, for the message.

    Raises:
        ValueError: naming the first env that is refused, and the field.
    """
    stage = states["world"]["stage"]
    require((stage >= NOT_STARTED) & (stage <= ENDED), "stage")
    require(states["world"]["scenario"] == model["world"]["scenario"], "scenario", scenario)
    states = states[stage != NOT_STARTED]
    if len(states) == 0:
        return
    if "map" in (states.dtype.names or ()):
        check_maps(states["map"], model_map)
    check_worlds(states["world"], model["world"], model_map)


def check_worlds(worlds: Array, model: Array, model_map: Array) -> None:
    """Refuse worlds whose inhabitants could not be here.

    Raises:
        ValueError: as `check_states`.
    """
    for name in FIXED:
        require(worlds[name] == model[name], name, str(model[name][0]))
    for name in ("episode", "tick", "attempt"):
        require(worlds[name] >= 0, name)
    for block, ranges in RANGES.items():
        for name, (low, high) in ranges.items():
            require((worlds[block][name] >= low) & (worlds[block][name] <= high), name)
    num_egos, num_vehicles = int(model["num_egos"][0]), int(model["num_vehicles"][0])
    egos = worlds["egos"][:, :num_egos]
    vehicles = worlds["vehicles"][:, :num_vehicles]
    people = worlds["people"][:, : int(model["num_people"][0])]
    require(egos["route_length"] > 0, "route_length")
    require((egos["goal"] >= 0) & (egos["goal"] < max(1, int(model_map["num_destinations"][0]))), "goal")
    require((vehicles["leader"] >= -1) & (vehicles["leader"] < num_vehicles), "leader")
    is_border = border_of(model_map)
    require(is_on_map(vehicles["cell"], is_border), "cell")
    require(is_on_map(people["cell"], is_border), "cell")
    require((vehicles["exit_cell"] == -1) | is_on_map(vehicles["exit_cell"], is_border), "exit_cell")
    is_driving = vehicles["status"] == DRIVING
    require(is_driving[:, :num_egos].any(axis=1) | (worlds["stage"] != RUNNING), "status")
    require((occupants_of(worlds) > 0).sum(axis=1) == is_driving.sum(axis=1), "cell", "no other vehicle's")


def check_maps(maps: Array, model: Array) -> None:
    """Refuse maps from which a way could lead out of the record.

    Raises:
        ValueError: as `check_states`.
    """
    for name in FIXED_MAP:
        require(maps[name] == model[name], name)
    border = border_of(model)
    require((maps["ground"] >> 4 & 7 == EDGE) == border, "ground")
    require(maps["ground"][:, border] == EDGE << 4, "ground")
    if model["num_portals"][0] == 0:
        require(maps["ground"] & PORTAL == 0, "ground")
        return
    require((maps["leads_to"] >= 0) & (maps["leads_to"] < 4 * len(border)), "leads_to")
    require((maps["comes_from"] >= 0) & (maps["comes_from"] < len(border)), "comes_from")
    is_portal = maps["ground"] & PORTAL != 0
    require(~is_portal | ~border[np.minimum(maps["leads_to"] >> 2, len(border) - 1)], "leads_to")


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
    """Who is on every cell of worlds (M,), from their vehicles: uint8 (M, cells), 1 + vehicle, 0 = nobody."""
    occupants = np.zeros_like(worlds["occupants"])
    vehicles = worlds["vehicles"]
    worlds_of, numbers = np.nonzero(vehicles["status"] == DRIVING)
    occupants[worlds_of, vehicles["cell"][worlds_of, numbers]] = numbers + 1
    return occupants


def require(holds: Array, field: str, allowed: str = "") -> None:
    """Refuse the first world for which not everything in `holds` (M, …) is true.

    Raises:
        ValueError: naming it and the field.
    """
    if not holds.all():
        number = int(np.argwhere(~holds)[0][0])
        must_be = f": must be {allowed}" if allowed else ""
        raise ValueError(f"state is not of this environment: {field} of env {number} of those to be restored{must_be}")
