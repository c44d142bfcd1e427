"""The state of one world is one numpy record; a batch is an array of such records.

Attribute access (`world.vehicles[k].speed`) compiles to a plain memory access and also works in the interpreter.
Cloning a world is copying a record, saving it is its bytes, comparing is ``==``. Everything but the running sums of
reward is an integer.

Narrow fields are read through ``int()`` wherever they enter arithmetic, so that the interpreter's NumPy scalars
cannot overflow where compiled code would widen. A world's size is memory traffic in a large batch: keep it small.
"""

import numpy as np

from drivesim.core.jit import kernel

# --- headings and steering --------------------------------------------------------------------------------------
NORTH, EAST, SOUTH, WEST = 0, 1, 2, 3  # clockwise; row grows southward
LEFT_SIDE, RIGHT_SIDE = -1, 1

# --- actions (numbered as highway-env's discrete meta-actions) ---------------------------------------------------
ACTION_LEFT, ACTION_IDLE, ACTION_RIGHT, ACTION_FASTER, ACTION_SLOWER = 0, 1, 2, 3, 4

# --- cells: low 4 bits the allowed headings, high 4 bits the kind ------------------------------------------------
OFF_ROAD, LANE, SHOULDER, OBSTACLE, CROSSWALK, STOP_LINE, PARKING_BAY, GOAL = 0, 1, 2, 3, 4, 5, 6, 7
ALL_HEADINGS = 15
UNREACHABLE = 65535  # route distance of a cell without a legal path to the goal

# --- vehicles ----------------------------------------------------------------------------------------------------
ABSENT, DRIVING, ARRIVED, CRASHED = 0, 1, 2, 3
TOP_SPEED = 5  # cells per tick

# --- an episode's phase ------------------------------------------------------------------------------------------
NOT_STARTED, RUNNING, ENDED = 0, 1, 2

# --- driver models of the traffic --------------------------------------------------------------------------------
KRAUSS, NASCH, UNAWARE = 0, 1, 2

# --- signal colours ----------------------------------------------------------------------------------------------
GREEN, YELLOW, RED = 0, 1, 2

# --- pedestrians -------------------------------------------------------------------------------------------------
NOBODY, WAITING, CROSSING = 0, 1, 2

# --- capacities of the standard record; a level that does not fit is refused, never clipped -----------------------
MAX_CELLS = 1024
MAX_VEHICLES = 48
MAX_DRIVERS = 8
MAX_SIGNALS = 2
MAX_PEDESTRIANS = 8
MAX_EASTBOUND_ROWS = 8

VEHICLE = np.dtype(
    (
        np.record,
        [
            ("row", "i2"),
            ("col", "i2"),
            ("heading", "i1"),  # NORTH … WEST
            ("speed", "i1"),  # cells per tick
            ("next_speed", "i1"),  # decided in the speeds phase, taken over before the advance
            ("ahead", "i2"),  # next vehicle in the ring of an eastbound lane, -1 = in none
            ("room", "i2"),  # seen ahead when steering was decided: gap plus the leader's braking distance, cells
            ("leader", "i2"),  # the vehicle that was seen, -1 = none
            ("acceleration", "i1"),  # cells per tick², of the last tick
            ("limit", "i1"),  # the fastest this driver ever goes, cells per tick
            ("status", "i1"),  # ABSENT, DRIVING, ARRIVED, CRASHED
            ("leaves", "i1"),  # the status it takes at the end of this sub-step, 0 = stays
            ("side", "i1"),  # change of lane decided in this tick: LEFT_SIDE, 0, RIGHT_SIDE
            ("quarter", "i1"),  # quarter turn decided in this tick: LEFT_SIDE, 0, RIGHT_SIDE
            ("turn", "i1"),  # at the next junction: LEFT_SIDE, 0 straight on, RIGHT_SIDE
            ("claim", "u2"),  # junction cells reserved, one bit each; 0 = no reservation
            ("exit_cell", "i2"),  # flat index of the free cell claimed behind the junction
            ("asked", "i4"),  # tick in which it first asked for the junction, -1 = has not
        ],
    )
)

# What is remembered of a controlled car, beside its vehicle.
DRIVER = np.dtype(
    (
        np.record,
        [
            ("return_sum", "f8"),  # undiscounted sum of rewards
            ("events", "i4"),  # of this tick, one bit each, see event_table.py
            ("events_seen", "i4"),  # of the whole episode
            ("remaining", "i4"),  # route distance to the goal, cells; the last finite one off the route
            ("remaining_before", "i4"),  # the same before this tick
            ("route_length", "i4"),  # `remaining` at the start
            ("ticks", "i4"),  # ticks driven
            ("offset_sum", "i4"),  # sum of |distance from the lane's centre|, cells
            ("speed_sum", "i4"),  # cells per tick
            ("jerk_sum", "i4"),  # sum of |change of acceleration|
            ("cut_in", "i4"),  # tick in which it last left a follower no safe speed, far negative = never
            ("offset", "i2"),  # |distance from the lane's centre| after this tick, cells
            ("jerk", "i2"),  # |change of acceleration| of this tick
            ("on_shoulder", "i2"),
            ("ended", "i2"),  # its drive has ended
        ],
    )
)

# A signalised junction: a box of cells and its timing. North-south is axis 0, east-west axis 1.
SIGNAL = np.dtype(
    (
        np.record,
        [
            ("row", "i2"),  # the box's first row
            ("col", "i2"),
            ("height", "i2"),
            ("width", "i2"),
            ("green_0", "i2"),  # ticks
            ("green_1", "i2"),
            ("yellow", "i2"),
            ("all_red", "i2"),
            ("offset", "i2"),  # ticks into the cycle at tick 0
            ("colour_0", "i2"),  # holds when the next action acts
            ("colour_1", "i2"),
        ],
    )
)

PEDESTRIAN = np.dtype((np.record, [("row", "i2"), ("col", "i2"), ("heading", "i2"), ("status", "i2")]))


def world_dtype(cells: int = MAX_CELLS, vehicles: int = MAX_VEHICLES, occupant: str = "u1") -> np.dtype[np.void]:
    """The record of one world with room for `cells` cells and `vehicles` vehicles.

    Kernels do not know the capacities, so the tests of traffic flow run the same rules on much longer roads.
    """
    return np.dtype(
        (
            np.record,
            [
                # identity of the trajectory: with the options, everything that follows is a function of these
                ("level_seed", "i8"),
                ("key", "u4", (2,)),  # the lane's Philox key
                ("episode", "i8"),
                ("tick", "i4"),  # ticks since the reset; its parity says to which side traffic changes lane
                ("parity", "i4"),  # added to `tick` for that purpose; 1 in a mirrored world, where traffic keeps left
                ("attempt", "i4"),  # how often the generator drew before its level was certified
                ("phase", "i4"),  # NOT_STARTED, RUNNING, ENDED
                # the map
                ("scenario", "i2"),  # number of the scenario in the registry
                ("rows", "i2"),
                ("cols", "i2"),
                ("wraps_rows", "i2"),  # traffic that leaves at the bottom comes back at the top
                ("wraps_cols", "i2"),
                ("is_ring", "i2"),  # controlled cars wrap too and an odometer counts, not a goal cell
                ("is_eastbound", "i2"),  # nothing but eastbound lanes: they are kept as rings, not as occupants
                ("limit", "i2"),  # speed limit, cells per tick
                ("half_lane", "i2"),  # cells from a lane's centre to its edge, 0 = one cell wide
                ("num_controlled", "i2"),
                ("num_vehicles", "i2"),
                ("num_signals", "i2"),
                ("num_pedestrians", "i2"),
                ("traffic_collisions", "i4"),  # seen where `occupants` is kept: zero, or a rule is wrong
                # its inhabitants
                ("vehicles", VEHICLE, (vehicles,)),
                ("drivers", DRIVER, (MAX_DRIVERS,)),
                ("signals", SIGNAL, (MAX_SIGNALS,)),
                ("pedestrians", PEDESTRIAN, (MAX_PEDESTRIANS,)),
                ("first", "i2", (MAX_EASTBOUND_ROWS,)),  # some vehicle of each eastbound lane, -1 = empty
                # cells, flat: row * cols + col
                ("occupants", occupant, (cells,)),  # 1 + vehicle, 0 = empty
                ("cells", "u1", (cells,)),  # allowed headings | kind << 4
                ("lanes", "u1", (cells,)),  # lane index << 4 | signed distance from its centre + 8
                ("route", "u2", (cells,)),  # moves to the goal, UNREACHABLE = no legal path
            ],
        )
    )


WORLD = world_dtype()


@kernel
def row_step(heading):
    """Change of row in one cell of travel: north is up."""
    if heading == NORTH:
        return -1
    if heading == SOUTH:
        return 1
    return 0


@kernel
def col_step(heading):
    """Change of column in one cell of travel."""
    if heading == EAST:
        return 1
    if heading == WEST:
        return -1
    return 0


@kernel
def turned(heading, side):
    """The heading after a quarter turn to `side` (LEFT_SIDE or RIGHT_SIDE)."""
    return (int(heading) + side) & 3


@kernel
def headings(bits):
    """The mask of allowed headings of a packed cell."""
    return int(bits) & 15


@kernel
def kind(bits):
    """The kind of a packed cell, OFF_ROAD … GOAL."""
    return int(bits) >> 4


@kernel
def allows(bits, heading):
    """Whether a packed cell may be driven in `heading`. An obstacle allows nothing."""
    return (int(bits) >> int(heading)) & 1 == 1


@kernel
def is_junction(bits):
    """Whether several headings meet here: a junction, a corner or open ground."""
    mask = int(bits) & 15
    return mask & (mask - 1) != 0


@kernel
def lane_index(lane):
    """Number of the lane a cell belongs to."""
    return int(lane) >> 4


@kernel
def lane_offset(lane):
    """Signed distance of a cell from its lane's centre: cells, positive to the right of the lane's heading."""
    return (int(lane) & 15) - 8


@kernel
def paint(world, row, col, cell_kind, mask, lane, offset):
    """Make a cell of the map."""
    cell = row * world.cols + col
    world.cells[cell] = mask | cell_kind << 4
    world.lanes[cell] = lane << 4 | (offset + 8)


@kernel
def wrapped(index, size):
    """`index` modulo `size`, for an index at most one size away; a division would cost more than all the rest."""
    if index < 0:
        return index + size
    if index >= size:
        return index - size
    return index


@kernel
def cell_at(world, row, col, wraps):
    """Flat index of a cell; -1 outside the map. With `wraps`, periodic sides continue on the other side."""
    rows = int(world.rows)
    cols = int(world.cols)
    if row < 0 or row >= rows:
        if not (wraps and world.wraps_rows):
            return -1
        row = wrapped(row, rows)
    if col < 0 or col >= cols:
        if not (wraps and world.wraps_cols):
            return -1
        col = wrapped(col, cols)
    return row * cols + col


@kernel
def cell_ahead(world, k, distance):
    """The cell `distance` straight ahead of vehicle k, -1 outside the map.

    Traffic always wraps; a controlled car only on a ring road: for it the edge of any other map is off-road.
    """
    vehicle = world.vehicles[k]
    return cell_at(
        world,
        int(vehicle.row) + row_step(vehicle.heading) * distance,
        int(vehicle.col) + col_step(vehicle.heading) * distance,
        k >= world.num_controlled or world.is_ring != 0,
    )


@kernel
def cell_beside(world, k, side):
    """The cell to `side` of vehicle k, -1 outside the map."""
    vehicle = world.vehicles[k]
    across = turned(vehicle.heading, side)
    return cell_at(
        world,
        int(vehicle.row) + row_step(across),
        int(vehicle.col) + col_step(across),
        k >= world.num_controlled or world.is_ring != 0,
    )


@kernel
def cell_under(world, k):
    """The cell under vehicle k."""
    return int(world.vehicles[k].row) * int(world.cols) + int(world.vehicles[k].col)
