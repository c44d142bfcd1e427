"""Driver styles: how drivers of one road differ, all of them within what car following allows.

    style     own limit                 dawdles                           changes lane for at least
    CALM      1 cell per tick less      half as often again as NORMAL     3 cells more room
    NORMAL    as the scenario says      as often as the scenario says     1 cell more room
    HASTY     1 cell per tick more      half as often as NORMAL           1 cell more room

Nagel's and Schreckenberg's drivers have none, and a dawdling that the user chose is everybody's.
"""

from drivesim.core.jit import kernel
from drivesim.core.rng import DRAW_STYLE, level_below
from drivesim.core.world import CALM, HASTY, NASCH, NORMAL, TOP_SPEED

NUM_STYLES = 3
MORE_SPEED = (-1, 0, 1)  # by style: cells per tick
DAWDLES = (1.5, 1.0, 0.5)  # by style: share of the road's probability
LEAST_GAIN = (3, 1, 1)  # by style: cells of room that a change of lane must gain to be wished for
assert (CALM, NORMAL, HASTY) == tuple(range(NUM_STYLES))


@kernel
def draw_style(world, options, k):
    """Give vehicle k, which has just been placed, a style from the options' mixture, and the limit that is its own."""
    vehicle = world.vehicles[k]
    vehicle.style = NORMAL
    total = options.styles[CALM] + options.styles[NORMAL] + options.styles[HASTY]
    if total == 0 or options.driver_model == NASCH:
        return
    drawn = level_below(world, DRAW_STYLE, k, total)
    if drawn < options.styles[CALM]:
        vehicle.style = CALM
    elif drawn >= total - options.styles[HASTY]:
        vehicle.style = HASTY
    vehicle.top_speed = min(max(vehicle.top_speed + MORE_SPEED[vehicle.style], 1), TOP_SPEED)
