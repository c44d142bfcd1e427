"""Signals: what the lamps of a junction show, a function of the tick."""

from drivesim.core.jit import kernel
from drivesim.core.map import SIGNALS
from drivesim.core.world import GREEN, NO_LIGHT, RED, YELLOW


@kernel
def colour_at(junction, lamp, axis, tick):
    """The colour that a signal shows to one axis (0 north-south, 1 east-west) at a tick."""
    cycle = junction.green_0 + junction.green_1 + 2 * (junction.yellow + junction.all_red)
    time = (tick + lamp.cycle_start) % cycle
    green = junction.green_0
    if axis == 1:
        time -= junction.green_0 + junction.yellow + junction.all_red
        green = junction.green_1
    if time < 0 or time >= green + junction.yellow:
        return RED
    if time < green:
        return GREEN
    return YELLOW


@kernel
def update_signals(map, world):
    """Show what holds when the next action acts."""
    for s in range(map.num_junctions):
        if map.junctions[s].control == SIGNALS:
            lamp = world.lamps[s]
            lamp.colour_0 = colour_at(map.junctions[s], lamp, 0, world.tick)
            lamp.colour_1 = colour_at(map.junctions[s], lamp, 1, world.tick)


@kernel
def colour_for(map, world, s, heading):
    """The colour that the signal of junction s shows to a vehicle driving in `heading`, NO_LIGHT if it has none."""
    if map.junctions[s].control != SIGNALS:
        return NO_LIGHT
    if heading & 1 == 1:
        return world.lamps[s].colour_1
    return world.lamps[s].colour_0


# --- who goes first ---------------------------------------------------------------------------------------------------
