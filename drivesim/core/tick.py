"""One tick of one world, in the order of the rules of the road.

steering → speeds → advance → events, reward and ends → signals and pedestrians.
"""

from drivesim.core.advance import advance
from drivesim.core.events import measure_drive
from drivesim.core.jit import kernel
from drivesim.core.pedestrians import move_pedestrians
from drivesim.core.signals import grant_junctions, update_signals
from drivesim.core.steering import steer_controlled
from drivesim.core.traffic import choose_speeds, steer_traffic
from drivesim.core.world import DRIVING


@kernel
def begin_tick(world):
    """Forget the events of the tick before."""
    for k in range(world.num_controlled):
        driver = world.drivers[k]
        driver.events = 0
        driver.jerk = 0
        driver.remaining_before = driver.remaining


@kernel
def tick(world, actions, first, rules):
    """Advance a world by one tick.

    Args:
        world: changed in place.
        actions: actions of all controlled cars of the batch.
        first: index in `actions` of this world's car 0.
        rules: the options.
    """
    begin_tick(world)
    steer_controlled(world, actions, first, rules)
    is_fresh = steer_traffic(world, rules)
    grant_junctions(world, rules)
    choose_speeds(world, rules, is_fresh)
    advance(world)
    for k in range(world.num_controlled):
        if world.drivers[k].ended == 0:
            measure_drive(world, k)
    world.tick += 1
    update_signals(world)
    move_pedestrians(world)


@kernel
def is_over(world):
    """Whether every controlled car's drive has ended."""
    for k in range(world.num_controlled):
        if world.vehicles[k].status == DRIVING:
            return False
    return True
