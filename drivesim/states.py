"""What makes an array of worlds a state that an environment can continue from.

Kernels trust what they read: an index that leads out of a record would crash the interpreter. So everything that
they use as an index, a bound or a divisor is checked before a state is taken over. What a level draws (its map, who
drives where) is free; what the options fix must be as in a level generated here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.world import ABSENT, CRASHED, DRIVING, ENDED, NOT_STARTED, RUNNING, TOP_SPEED, WORLD

Array = np.ndarray[Any, Any]

FIXED = (
    "scenario",
    "rows",
    "cols",
    "wraps_rows",
    "wraps_cols",
    "is_ring",
    "is_eastbound",
    "limit",
    "half_lane",
    "num_controlled",
    "num_vehicles",
    "num_signals",
    "num_pedestrians",
)
"""Fields that the options determine, whatever the level."""
FIXED_SIGNAL = ("row", "col", "height", "width", "green_0", "green_1", "yellow", "all_red")


def check_state(state: Any, mask: Any, num_lanes: int) -> tuple[Array, Array]:
    """The arguments of `set_state`: an array of worlds and the lanes that take them, both (num_lanes,).

    Raises:
        TypeError, ValueError: naming what is wrong.
    """
    if not isinstance(state, np.ndarray) or state.dtype != WORLD:
        found = getattr(state, "dtype", type(state).__name__)
        raise TypeError(f"state must be an array from get_state(), got {str(found)[:80]}")
    if state.shape != (num_lanes,):
        raise ValueError(f"state must have shape ({num_lanes},), got {state.shape}")
    if mask is None:
        mask = np.ones(num_lanes, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"mask must be a bool array of shape ({num_lanes},), got {mask!r}")
    if mask.shape != (num_lanes,):
        raise ValueError(f"mask must have shape ({num_lanes},), got {mask.shape}")
    return state, mask


def check_worlds(worlds: Array, model: Array, scenario: str) -> None:
    """Refuse worlds that are none of this environment.

    Args:
        worlds: (M,) WORLD.
        model: (1,) WORLD, a level generated from the environment's options.
        scenario: its name, for the message.

    Raises:
        ValueError: naming the first world that is refused, and the field.
    """
    phase = worlds["phase"]
    require((phase >= NOT_STARTED) & (phase <= ENDED), "phase")
    require(worlds["scenario"] == model["scenario"], "scenario", scenario)
    if (phase == NOT_STARTED).any():
        worlds = worlds[phase != NOT_STARTED]
    for name in FIXED:
        require(worlds[name] == model[name], name, str(model[name][0]))
    num_signals = int(model["num_signals"][0])
    for name in FIXED_SIGNAL:
        require(worlds["signals"][name][:, :num_signals] == model["signals"][name][:, :num_signals], name)
    for name in ("episode", "tick", "attempt"):
        require(worlds[name] >= 0, name)
    require(worlds["drivers"]["route_length"][:, 0] > 0, "route_length")
    rows, cols = int(model["rows"][0]), int(model["cols"][0])
    vehicles = worlds["vehicles"][:, : int(model["num_vehicles"][0])]
    pedestrians = worlds["pedestrians"][:, : int(model["num_pedestrians"][0])]
    for who in (vehicles, pedestrians):
        for name, low, high in (("row", 0, rows - 1), ("col", 0, cols - 1), ("heading", 0, 3)):
            require((who[name] >= low) & (who[name] <= high), name)
    for name, low, high in (
        ("status", ABSENT, CRASHED),
        ("speed", 0, TOP_SPEED),
        ("limit", 0, TOP_SPEED),
        ("turn", -1, 1),
        ("exit_cell", -1, rows * cols - 1),
    ):
        require((vehicles[name] >= low) & (vehicles[name] <= high), name)
    is_driving = vehicles["status"] == DRIVING
    somebody_drives = is_driving[:, : int(model["num_controlled"][0])].any(axis=1)
    require(somebody_drives | (worlds["phase"] != RUNNING), "status")
    if model["is_eastbound"][0] == 0:
        check_occupants(worlds, vehicles, is_driving, cols)
    else:
        check_rings(worlds, vehicles, is_driving, rows)


def check_occupants(worlds: Array, vehicles: Array, is_driving: Array, cols: int) -> None:
    """Refuse worlds with cells that name somebody who is not there.

    Raises:
        ValueError: as `check_worlds`.
    """
    lanes, cells = np.nonzero(worlds["occupants"])
    who = worlds["occupants"][lanes, cells].astype(np.int64) - 1
    require(who < vehicles.shape[1], "occupants", lanes=lanes)
    there = vehicles["row"][lanes, who].astype(np.int64) * cols + vehicles["col"][lanes, who]
    require((there == cells) & is_driving[lanes, who], "occupants", lanes=lanes)


def check_rings(worlds: Array, vehicles: Array, is_driving: Array, rows: int) -> None:
    """Refuse eastbound worlds in which the lanes' vehicles are no closed rings.

    Raises:
        ValueError: as `check_worlds`.
    """
    lanes, followers = np.nonzero(is_driving)
    leaders = vehicles["ahead"][lanes, followers].astype(np.int64)
    require((leaders >= 0) & (leaders < vehicles.shape[1]), "ahead", lanes=lanes)
    row = vehicles["row"]
    require(is_driving[lanes, leaders] & (row[lanes, leaders] == row[lanes, followers]), "ahead", lanes=lanes)
    num_followers = np.zeros(is_driving.shape, np.int64)
    np.add.at(num_followers, (lanes, leaders), 1)
    require(num_followers <= 1, "ahead")
    first = worlds["first"][:, :rows].astype(np.int64)
    require((first >= -1) & (first < vehicles.shape[1]), "first")
    lanes, taken = np.nonzero(first >= 0)
    who = first[lanes, taken]
    require(is_driving[lanes, who] & (row[lanes, who] == taken), "first", lanes=lanes)


def require(holds: Array, field: str, allowed: str = "", lanes: Array | None = None) -> None:
    """Refuse the first world for which not everything in `holds` (M, …) is true; `lanes` (M,) if it is not world m's.

    Raises:
        ValueError: naming it and the field.
    """
    if not holds.all():
        lane = int(np.argwhere(~holds)[0][0])
        lane = lane if lanes is None else int(lanes[lane])
        must_be = f": must be {allowed}" if allowed else ""
        raise ValueError(f"state is not of this environment: {field} of lane {lane} of those to be restored{must_be}")
