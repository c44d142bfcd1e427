"""One tick of one world, in the order of the rules of the road.

steering → speeds → advance → events, reward and ends → signals and pedestrians.
"""

from drivesim.core.advance import advance
from drivesim.core.duties import let_in
from drivesim.core.events import measure_drive
from drivesim.core.following import choose_speeds
from drivesim.core.jit import kernel
from drivesim.core.junctions import grant_junctions
from drivesim.core.lane_changes import steer_traffic
from drivesim.core.pedestrians import move_pedestrians
from drivesim.core.signals import update_signals
from drivesim.core.steering import steer_egos
from drivesim.core.world import DRIVING, GOING


@kernel
def begin_tick(world):
    """Forget the events of the tick before."""
    for k in range(world.num_egos):
        ego = world.egos[k]
        ego.events = 0
        ego.jerk = 0
        ego.remaining_before = ego.remaining


@kernel
def tick(map, world, options, actions, action_0):
    """Advance a world by one tick.

    Args:
        map: its map.
        world: changed in place.
        options: the options.
        actions: actions of all egos of the batch.
        action_0: index in `actions` of this world's ego 0.
    """
    begin_tick(world)
    steer_egos(map, world, options, actions, action_0)
    is_fresh = steer_traffic(map, world, options)
    grant_junctions(map, world, options)
    if choose_speeds(map, world, options, is_fresh):
        let_in(map, world, options)
    advance(map, world)
    for k in range(world.num_egos):
        if world.egos[k].drive == GOING:
            measure_drive(map, world, k)
    world.tick += 1
    update_signals(map, world)
    move_pedestrians(map, world)


@kernel
def is_over(world):
    """Whether the drive of every ego has ended."""
    for k in range(world.num_egos):
        if world.vehicles[k].status == DRIVING:
            return False
    return True
