"""What moves: the state of one world, beside its map.

A world is one record: `world.vehicles[k].speed` is a plain memory access when compiled and works in the interpreter
as well. Cloning a world is copying it, saving it is its bytes, comparing is ``==``. Everything but the running sum of
rewards is an integer; what is counted or added up is wide enough for arithmetic in either.
"""

import numpy as np

from drivesim.core.bits import word_at, zero_bytes_below
from drivesim.core.copying import swap
from drivesim.core.jit import kernel, seldom_kernel
from drivesim.core.memory import WORD, Structure

# --- actions (numbered as highway-env's discrete meta-actions) ---------------------------------------------------
ACTION_LEFT, ACTION_IDLE, ACTION_RIGHT, ACTION_FASTER, ACTION_SLOWER = 0, 1, 2, 3, 4
# The action set: LEFT, RIGHT, FASTER, SLOWER; all five; all five, but IDLE is masked.
NO_IDLE, HAS_IDLE, MASKED_IDLE = 0, 1, 2

# --- vehicles ----------------------------------------------------------------------------------------------------
ABSENT, DRIVING, ARRIVED, CRASHED = 0, 1, 2, 3
TOP_SPEED = 5  # cells per tick
MAX_VEHICLES = 254  # what an occupant's byte can tell apart

# --- the drive of an ego: running, ended in this tick, ended and told ------------------------------------------------
GOING, HAS_ENDED, WAS_TOLD = 0, 1, 2
MAX_EGOS = 32
NEVER = -1_000_000  # ticks

# --- an episode's stage ------------------------------------------------------------------------------------------
NOT_STARTED, RUNNING, ENDED = 0, 1, 2
BEGINS = 3  # has ended, and the next one begins in this step: never seen between two steps

# --- driver models of the traffic --------------------------------------------------------------------------------
KRAUSS, NASCH, UNAWARE = 0, 1, 2
CALM, NORMAL, HASTY = 0, 1, 2  # driver styles

# --- signal colours ----------------------------------------------------------------------------------------------
GREEN, YELLOW, RED = 0, 1, 2
NO_LIGHT = -1  # of a junction without signals

# --- pedestrians -------------------------------------------------------------------------------------------------
NOBODY, WAITING, CROSSING = 0, 1, 2

VEHICLE = np.dtype(
    (
        np.record,
        [
            ("cell", "i4"),
            ("next_cell", "i4"),  # where its way ends in this tick
            ("heading", "i4"),  # NORTH … WEST
            ("speed", "i4"),  # cells per tick; -1 backwards, of an ego with a reverse gear
            ("next_speed", "i4"),  # decided in the speeds phase, taken over before the advance
            ("acceleration", "i4"),  # cells per tick², of the last tick
            ("top_speed", "i4"),  # the fastest this driver ever goes, cells per tick
            ("destination", "i4"),  # of the traffic: to which it follows the map's ways, -1 = it drives straight on
            ("stopping_room", "i4"),  # within which it must be able to stop, seen when steering was decided: cells
            ("leader", "i4"),  # the vehicle that was seen, -1 = none
            ("asked_at", "i4"),  # tick in which it first asked for the junction, -1 = has not
            ("status", "u1"),  # ABSENT, DRIVING, ARRIVED, CRASHED
            ("next_status", "u1"),  # the status it takes at the end of this sub-step, 0 = stays
            ("lane_shift", "i1"),  # change of lane decided in this tick: LEFT_SIDE, 0, RIGHT_SIDE
            ("turn_now", "i1"),  # quarter turn decided in this tick: LEFT_SIDE, 0, RIGHT_SIDE
            ("may_enter", "u1"),  # the junction ahead: its way through it is reserved
            ("style", "u1"),  # CALM, NORMAL, HASTY, of the traffic
            ("has_arrived", "u1"),  # it has passed its destination, and drives on until it can take the next one
            ("let_in", "u1"),  # ticks of driving for which it counts as one who has let somebody in
            ("num_trips", "i4"),  # destinations that it has had before this one
        ],
    )
)

# What is remembered of an ego, beside its vehicle.
EGO = np.dtype(
    (
        np.record,
        [
            ("return_sum", "f8"),  # undiscounted sum of rewards
            ("goal", "i4"),  # its destination's number
            ("next_turn", "i4"),  # at the next junction: LEFT_SIDE, 0 straight on, RIGHT_SIDE
            ("events", "i4"),  # of this tick, one bit each, see event_table.py
            ("events_seen", "i4"),  # of the whole episode
            ("remaining", "i4"),  # moves to the goal, or cells of a ring; the last finite one off the route
            ("remaining_before", "i4"),  # the same before this tick
            ("route_length", "i4"),  # `remaining` at the start
            ("ticks", "i4"),  # ticks driven
            ("offset_sum", "i4"),  # sum of |distance from the lane's centre|, cells
            ("speed_sum", "i4"),  # sum of |speed|, cells per tick
            ("jerk_sum", "i4"),  # sum of |change of acceleration|
            ("cut_in_at", "i4"),  # tick in which it last left a follower no safe speed, far negative = never
            ("offset", "i4"),  # |distance from the lane's centre| after this tick, cells
            ("jerk", "i4"),  # |change of acceleration| of this tick
            ("on_shoulder", "i4"),
            ("granted_at", "i4"),  # tick in which its turn at a junction began
            ("stood_at", "i4"),  # the cell on which it last stood at the end of a tick, 0 = none since it has turned
            ("reversed_at", "i4"),  # tick in which it backed onto its cell, far negative = it has not
            ("num_lane_changes", "i4"),
            ("ticks_standing", "i4"),
            ("drive", "i4"),  # GOING, HAS_ENDED, WAS_TOLD
        ],
    )
)

PEDESTRIAN = np.dtype(
    (
        np.record,
        [
            ("cell", "i4"),
            ("heading", "i4"),
            ("status", "i4"),  # NOBODY, WAITING, CROSSING
            ("patience", "i4"),  # ticks after which it is waited for
            ("hesitates", "i4"),  # it stands still now and then while it crosses
            ("waited", "i4"),  # ticks for which it has wanted to cross and nobody else did, 0 = it does not want to
            ("rest", "i4"),  # ticks for which it still stands where it is, on the crosswalk
        ],
    )
)

# What a junction's signal shows.
LAMP = np.dtype(
    (
        np.record,
        [
            ("cycle_start", "i4"),  # ticks into the cycle at tick 0
            ("colour_0", "i4"),  # to the north-south axis, when the next action acts
            ("colour_1", "i4"),  # to the east-west axis
        ],
    )
)

WORLD = Structure(
    "World",
    head=(
        # identity of the trajectory: with the options, everything that follows is a function of these
        ("level_seed", "i8"),
        ("episode", "i8"),
        ("key_0", "u4"),  # the env's Philox key
        ("key_1", "u4"),
        ("tick", "i4"),  # ticks since the reset; its parity says to which side traffic changes lane
        ("is_mirrored", "i4"),  # traffic keeps left, and the parity is the other one
        ("attempt", "i4"),  # how often the generator drew before its level was certified
        ("stage", "i4"),  # NOT_STARTED … BEGINS
        ("scenario", "i4"),  # number of the environment in the registry
        ("num_egos", "i4"),  # the first vehicles are the egos
        ("num_vehicles", "i4"),
        ("num_people", "i4"),
    ),
    blocks=(
        ("egos", EGO),
        ("vehicles", VEHICLE),
        ("people", PEDESTRIAN),
        ("lamps", LAMP),
        ("held", "u1"),  # for every slot of the map: 1 + the vehicle that has reserved it, 0 = nobody
        ("occupants", "u1"),  # of every cell: 1 + vehicle, 0 = empty
    ),
)


def world_dtype(
    rows: int, cols: int, vehicles: int, egos: int = 1, people: int = 0, junctions: int = 0, slots: int = 0
) -> np.dtype[np.void]:
    """The record of a world on a map of so many cells, with room for so many inhabitants.

    Raises:
        ValueError: if there are more vehicles than an occupant's byte can tell apart.
    """
    if vehicles > MAX_VEHICLES:
        raise ValueError(f"{vehicles} vehicles do not fit: at most {MAX_VEHICLES}, the egos included")
    cells = (rows + 2) * (cols + 2)
    return WORLD.dtype(egos=egos, vehicles=vehicles, people=people, lamps=junctions, held=slots, occupants=cells + WORD)


@kernel
def occupant_of(world, cell):
    """The vehicle on a cell, -1 = none."""
    return int(world.occupants[cell]) - 1


@kernel
def enter(world, k, cell):
    """Put vehicle k, which is nowhere, on an empty cell."""
    world.vehicles[k].cell = cell
    world.occupants[cell] = k + 1


@kernel
def leave(world, k):
    """Take vehicle k off its cell; nothing happens if the cell is somebody else's."""
    cell = world.vehicles[k].cell
    if world.occupants[cell] == k + 1:
        world.occupants[cell] = 0


@kernel
def place(world, k, cell, heading, speed, top_speed):
    """Put vehicle k on the map at the start of an episode."""
    vehicle = world.vehicles[k]
    vehicle.heading = heading
    vehicle.speed = speed
    vehicle.top_speed = top_speed
    vehicle.status = DRIVING
    vehicle.asked_at = -1
    vehicle.destination = -1
    vehicle.style = NORMAL
    enter(world, k, cell)


@kernel
def number_in_reading_order(world):
    """Number the traffic by its cells, whatever the order in which it was placed, so that a text can tell it."""
    k = world.num_egos
    cell = 0
    while k < world.num_vehicles:
        cell += zero_bytes_below(word_at(world.occupants, cell))
        first = occupant_of(world, cell)
        if first >= world.num_egos:
            swap(world.vehicles, k, first)
            world.occupants[world.vehicles[first].cell] = first + 1
            world.occupants[cell] = k + 1
            k += 1
        if first >= 0:
            cell += 1


@kernel
def withdraw(map, world, k):
    """Give back what vehicle k has reserved."""
    for slot in range(map.num_slots):
        if world.held[slot] == k + 1:
            world.held[slot] = 0
    world.vehicles[k].may_enter = 0
    world.vehicles[k].asked_at = -1


@seldom_kernel
def leave_world(map, world, k):
    """Take vehicle k, which has crashed or arrived, out of the traffic."""
    leave(world, k)
    withdraw(map, world, k)
    vehicle = world.vehicles[k]
    vehicle.status = vehicle.next_status
    vehicle.next_status = 0
