"""The options: what is the same for every world and every episode of one environment, as one record.

Kernels read it and never write it. `config.py` fills and validates it.
"""

import numpy as np

from drivesim.core.prices import WEIGHTS

# What a scenario's generator may be asked for. One vocabulary: a scenario uses the fields that its config names.
LEVEL = np.dtype(
    (
        np.record,
        [
            ("length", "i4"),  # cells to drive, or of the ring
            ("distance", "i4"),  # cells to cover on a ring
            ("num_lanes", "i4"),
            ("half_lane", "i4"),  # cells from the lane's centre to its edge
            ("wander", "i4"),  # percent of the rows in which the road moves sideways
            ("num_obstacles", "i4"),
            ("num_walls", "i4"),  # barriers across the road, each with one opening
            ("num_closed", "i4"),  # closed stretches of lane
            ("num_vehicles", "i4"),
            ("crossing_cars", "i4"),
            ("slowest", "i4"),  # cells per tick, least speed limit of a traffic vehicle
            ("fastest", "i4"),  # cells per tick, greatest speed limit of a traffic vehicle
            ("green", "i4"),  # ticks
            ("yellow", "i4"),  # ticks
            ("all_red", "i4"),  # ticks
        ],
    )
)

OPTIONS = np.dtype(
    (
        np.record,
        [
            ("num_egos", "i4"),
            ("has_idle", "i4"),  # 0: the action set is LEFT, RIGHT, FASTER, SLOWER
            ("top_speed", "i4"),  # cells per tick, of an ego
            ("driver_model", "i4"),  # KRAUSS, NASCH, UNAWARE
            ("dawdle", "i4"),  # probability of dawdling in 1 / 65,536
            ("test_split", "i4"),
            ("num_levels", "i8"),  # 0 = unlimited
            ("certified_within", "i4"),  # ticks within which the generator certifies its levels
            ("max_steps", "i4"),  # time limit that the batch applies itself, 0 = none
            ("reward", "i4"),
            ("ahead", "i4"),  # cells of the observation window
            ("behind", "i4"),
            ("beside", "i4"),
            ("weights", WEIGHTS),
            ("level", LEVEL),
        ],
    )
)
