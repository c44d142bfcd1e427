"""A text of a level, split into words: what `core.levels` builds a level from.

One token per cell, in reading order, and the facts of the head. Whatever is a number here is in its range, and every
row and column is one of the map: who makes a TEXT sees to that.
"""

import numpy as np

from drivesim.core.memory import Structure

# --- bounds ---------------------------------------------------------------------------------------------------------
MAX_ROWS = MAX_COLS = 256
MAX_JUNCTIONS = 64
MAX_DESTINATIONS = 32
MAX_SLOTS = 4096
MAX_WALKERS = 64

UNSAID = -1  # of a fact that follows from others unless the head gives it
GREEN_TICKS, YELLOW_TICKS, ALL_RED_TICKS = 12, 3, 2  # of signals of which nothing is said
WALKER_PATIENCE = 20  # ticks, of a walker of whom nothing is said
TEXT_TOP_SPEED = 5  # cells per tick, of everybody and of the road, likewise

# --- who stands on a cell -------------------------------------------------------------------------------------------
NOTHING, AN_EGO, A_VEHICLE, A_WALKER = 0, 1, 2, 3

# --- what can be wrong with a token ---------------------------------------------------------------------------------
(
    FINE,
    TOO_MANY_JUNCTIONS,
    MISSING_JUNCTION,
    PORTAL_LEADS_NOWHERE,
    PORTAL_TARGET_IS_NO_ROAD,
    PORTAL_TARGET_IS_TAKEN,
    TOO_MANY_SLOTS,
    SEVERAL_CONTROLS,
    EGO_TWICE,
    EGO_IS_NOT_NEXT,
    NO_GOAL,
    NO_SUCH_GOAL,
    NO_ROAD,
    NO_HEADING,
    NO_SUCH_DESTINATION,
    WALKS_OFF_THE_MAP,
    NO_GOAL_IN_ITS_HEADING,
    GOAL_OFF_THE_ROAD,
    WALKS_ON_THE_ROAD,
    WALKS_NOWHERE,
    ENDS_ON_THE_ROAD,
) = range(21)

TOKEN = np.dtype(
    (
        np.record,
        [
            ("goals", "i8"),  # of which destinations the cell is one, a bit each
            ("line", "i4"),  # where the word stands in the text, from 1
            ("column", "i4"),
            ("kind", "i4"),  # OFF_ROAD … PARKING_BAY
            ("headings", "i4"),  # a mask
            ("is_portal", "i4"),
            ("junction", "i4"),  # UNSAID of none, 0 of one without a number, else the number
            ("is_passing", "i4"),
            ("control", "i4"),  # of a line: SIGNALS, ALL_WAY_STOP, YIELD
            ("who", "i4"),  # NOTHING … A_WALKER
            ("number", "i4"),  # of the ego, or of the vehicle's class
            ("pace", "i4"),  # speed of a vehicle, heading of a walker
        ],
    )
)
CLASS_FACTS = np.dtype(
    (
        np.record,
        [
            ("heading", "i4"),  # UNSAID: the only one of the cell
            ("top_speed", "i4"),
            ("style", "i4"),
            ("destination", "i4"),  # -1: straight on
        ],
    )
)
EGO_FACTS = np.dtype(
    (
        np.record,
        [
            ("heading", "i4"),  # UNSAID: the only one of the cell
            ("speed", "i4"),
            ("top_speed", "i4"),
            ("goal", "i4"),  # UNSAID: the destination of its own number, or the only one
            ("next_turn", "i4"),
            ("remaining", "i4"),  # UNSAID: once around the ring
        ],
    )
)
JUNCTION_FACTS = np.dtype(
    (
        np.record,
        [
            ("control", "i4"),  # UNSAID: what the lines around it show
            ("ranks", "i4", (4,)),  # UNSAID: 1 behind a give-way line, else 0
            ("green_0", "i4"),  # UNSAID: GREEN_TICKS of signals, else 0; and so on
            ("green_1", "i4"),
            ("yellow", "i4"),
            ("all_red", "i4"),
            ("cycle_start", "i4"),
        ],
    )
)
WALKER_FACTS = np.dtype((np.record, [("patience", "i4"), ("hesitates", "i4")]))
GOAL_FACTS = np.dtype((np.record, [("heading", "i4"), ("top_speed", "i4"), ("next", "i4")]))  # UNSAID: any; next 0: any

TEXT = Structure(
    "Text",
    head=(
        ("rows", "i4"),
        ("cols", "i4"),
        ("speed_limit", "i4"),
        ("half_lane", "i4"),
        ("ring_rows", "i4"),
        ("ring_cols", "i4"),
        ("has_reverse", "i4"),
        ("has_goal_headings", "i4"),
        ("has_ways", "i4"),
        ("is_mirrored", "i4"),
        ("num_destinations", "i4"),
        ("num_egos", "i4"),
        ("has_portals", "i4"),  # whether the ends of all portals are given
        ("num_lanes", "i4"),  # lanes that are given
    ),
    blocks=(
        ("tokens", TOKEN),  # rows * cols
        ("classes", CLASS_FACTS),
        ("egos", EGO_FACTS),
        ("junctions", JUNCTION_FACTS),  # MAX_JUNCTIONS
        ("goals", GOAL_FACTS),
        ("walkers", WALKER_FACTS),  # in reading order
        ("portals", "i4"),  # of every portal: heading, and row and column that it leads to
        ("lanes", "i4"),  # of every lane that is given: row, column, lane, offset
    ),
)
