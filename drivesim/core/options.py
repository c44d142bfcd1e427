"""The options: what is the same for every world and every episode of one environment, as one record.

Kernels read it and never write it. `config.py` fills and validates it. It has one type for all scenarios, so that the
loops over it are compiled once; what a level may be asked for is the scenario's own affair.
"""

import numpy as np

from drivesim.core.prices import WEIGHTS

MAX_LEVEL_OPTIONS = 16  # of one scenario
MAX_PLANES = 16  # of the observation window

OPTIONS = np.dtype(
    (
        np.record,
        [
            ("num_egos", "i4"),
            ("has_idle", "i4"),  # NO_IDLE, HAS_IDLE, MASKED_IDLE of core.world
            ("top_speed", "i4"),  # cells per tick, of an ego
            ("driver_model", "i4"),  # KRAUSS, NASCH, UNAWARE
            ("dawdle", "i4"),  # probability of dawdling in 1 / 65,536
            ("more_dawdle", "i4", (3,)),  # what each style adds to it
            ("styles", "i4", (3,)),  # weights of the traffic's styles
            ("test_split", "i4"),
            ("num_levels", "i8"),  # 0 = unlimited
            (
                "certified_within",
                "i4",
            ),  # the time limit, ticks: levels are certified for it, and it is what time costs a share of
            ("max_steps", "i4"),  # time limit that the batch applies itself, 0 = none
            ("reward", "i4"),
            ("ahead", "i4"),  # cells of the observation window
            ("behind", "i4"),
            ("beside", "i4"),
            ("num_entities", "i4"),  # rows of `observations.entities`
            (
                "planes",
                "i4",
                (MAX_PLANES,),
            ),  # place of each of `observations.grid`, -1 = it is not shown
            ("weights", WEIGHTS),
            ("speed_limit", "i4"),  # cells per tick, of the scenario's road
            ("rows", "i4"),  # of the largest map
            ("cols", "i4"),
            ("level", "i4", (MAX_LEVEL_OPTIONS,)),  # the scenario's own, `scenarios.scenario.option_indices` says where
        ],
    )
)
