"""Loops over maps: lay them, mark and measure what is on them."""

from drivesim.core.batch import MAX_ATTEMPTS, call_lay, open_frame
from drivesim.core.copying import erase
from drivesim.core.jit import entry
from drivesim.core.open_road import mark_open_road
from drivesim.core.rng import TEST_SPLIT
from drivesim.core.ways import measure_distances


@entry
def lay_map(argument):
    """Lay map 0 with world 0, which is blank; whether it was certified."""
    frame = open_frame(argument)
    if not call_lay(frame.lay, frame.maps[0], frame.worlds[0], frame.options[0], frame.scratch[0]):
        return False
    mark_open_road(frame.maps[0])
    return True


@entry
def lay_pool(argument, n):
    """Lay map n of a pool with world 0, drawn until it is certified; whether it was."""
    frame = open_frame(argument)
    world = frame.worlds[0]
    world.level_seed = n if n < frame.num_maps else TEST_SPLIT + n - frame.num_maps
    for attempt in range(MAX_ATTEMPTS):
        erase(frame.maps, n)
        world.attempt = attempt
        if call_lay(frame.lay, frame.maps[n], world, frame.options[0], frame.scratch[0]):
            mark_open_road(frame.maps[n])
            return True
    return False


@entry
def mark_open_roads(argument, begin, end, slot):
    """Tell anew, for a range of maps that are the worlds' own, where they have open road."""
    frame = open_frame(argument)
    for i in range(begin, end):
        mark_open_road(frame.maps[i])
    return 0


@entry
def measure_map(argument, destination, num_goals):
    """Measure map 0's distances to a destination, whose cells are the first ones of scratch memory 0."""
    frame = open_frame(argument)
    measure_distances(frame.maps[0], destination, num_goals, frame.scratch[0])
    return 0
