"""Motorways: lanes one way with a ramp that ends beside them and an exit lane that begins there.

Traffic leaves the map at the far end and comes back at the near one in the same lane; whoever has left by the exit lane
comes back on the ramp, which has to be left in time again. Destination 0 is the far end, 1 the end of the exit lane.
"""

from typing import Any

from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import EAST, LANE, cell_at, next_cell
from drivesim.core.painting import lane_number, open_portal, paint, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_TRAFFIC, below, level_below, level_words
from drivesim.core.styles import draw_style
from drivesim.core.ways import measure_distances, measure_ways
from drivesim.core.world import place
from drivesim.scenarios.scenario import Scenario

EAST_ONLY = 1 << EAST
GOAL = 3  # cells between a destination and the map's end
STARTS = 4  # cells at the beginning of a lane, one of which an ego starts from
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again
TO_SPARE = 0.85  # of the time, in which a good driver has to get through the traffic
FAR_END, EXIT = 0, 1  # destinations


@kernel
def paint_lane(map, row, first, end):
    """Eastbound cells of a row, from column `first` to the one before `end`."""
    for col in range(first, end):
        paint(map, cell_at(map, row, col), LANE, EAST_ONLY, lane_number(EAST_ONLY, row, col), 0)


@kernel
def lay_motorway(map, options, length, lanes, ramp, exit_lane, scratch):
    """Make a blank map a motorway of `length` columns.

    Args:
        map: changed.
        options: the options.
        length: columns.
        lanes: that go all the way.
        ramp: cells of the ramp, to the right of the lanes at the near end.
        exit_lane: cells of the exit lane, in the same row at the far end.
        scratch: as for `measure_ways`.
    """
    set_size(map, lanes + 3, length)
    map.speed_limit = options.speed_limit
    for row in range(1, lanes + 1):
        paint_lane(map, row, 0, length)
    paint_lane(map, lanes + 1, 0, ramp)
    paint_lane(map, lanes + 1, length - exit_lane, length)
    for row in range(1, lanes + 2):
        open_portal(map, cell_at(map, row, length - 1), EAST, cell_at(map, row, 0))
    map.num_destinations = 2
    for destination in (FAR_END, EXIT):
        for measured in range(2):
            num_goals = 1 if destination == EXIT else lanes
            for n in range(num_goals):
                row = lanes + 1 if destination == EXIT else 1 + n
                scratch[n] = cell_at(map, row, length - 1 - GOAL)
            if measured == 0:
                measure_distances(map, destination, num_goals, scratch)
            else:
                measure_ways(map, destination, num_goals, scratch)


@kernel
def place_egos(map, world, options, row, destination):
    """All egos at the beginning of one lane, one behind the other, with one goal."""
    first = level_below(world, DRAW_EGO, 0, STARTS)
    for k in range(options.num_egos):
        place(world, k, cell_at(map, row, first + 2 * (options.num_egos - 1 - k)), EAST, 0, options.top_speed)
        world.egos[k].goal = destination


@kernel
def place_traffic(map, world, options, length, lanes, ramp, count, leaving, slowest, fastest, ego_speed):
    """Traffic on free cells of the lanes and of the ramp, with a free one ahead; false if there are too few.

    Then all start, each at the greatest speed that it wishes from which it could stop behind a standing leader.

    Args:
        map: the map.
        world: changed.
        options: the options.
        length: columns.
        lanes: that go all the way.
        ramp: cells of the ramp.
        count: vehicles.
        leaving: per cent of them that go to the exit first.
        slowest: cells per tick, the least of the limits that drivers set themselves.
        fastest: cells per tick, the greatest of them.
        ego_speed: cells per tick at which the egos wish to start.
    """
    egos = options.num_egos
    for n in range(count):
        found = False
        for attempt in range(TRIES):
            words = level_words(world, DRAW_TRAFFIC, n * TRIES + attempt)
            place_drawn = below(words[0], lanes * length + ramp)
            row = 1 + place_drawn // length
            cell = cell_at(map, row, place_drawn % length)
            if world.occupants[cell] == 0 and world.occupants[next_cell(map, cell, EAST)] == 0:
                found = True
                place(world, egos + n, cell, EAST, 0, slowest + below(words[1], fastest - slowest + 1))
                draw_style(world, options, egos + n)
                world.vehicles[egos + n].destination = EXIT if below(words[2], 100) < leaving else FAR_END
                break
        if not found:
            return False
    world.num_vehicles = egos + count
    for k in range(world.num_vehicles):
        wish = ego_speed if k < egos else world.vehicles[k].top_speed
        world.vehicles[k].speed = fastest_start(map, world, k, wish)
    return True


def check_traffic_options(scenario: type[Scenario], level: Any, length: int, max_episode_steps: int) -> None:
    """Refuse limits that are not in order, and traffic that is too dense, or too slow to get to the far end in time.

    Args:
        scenario: with calm drivers, who drive one cell per tick slower than the others.
        level: level options, with `num_lanes`, `num_vehicles`, `slowest` and `fastest`.
        length: columns.
        max_episode_steps: time limit.

    Raises:
        ValueError: naming the option.
    """
    if level.slowest > level.fastest:
        raise ValueError(f"slowest must be at most fastest = {level.fastest}, got {level.slowest}")
    cells = level.num_lanes * length
    if 3 * level.num_vehicles > cells:
        raise ValueError(
            f"num_vehicles must be at most a third of the {cells} cells of the lanes, got {level.num_vehicles}"
        )
    slowest = max(1, level.slowest - 1)
    speed = speed_among(level.num_lanes, level.num_vehicles / cells, slowest, scenario.speed_limit, scenario.dawdle)
    if TO_SPARE * max_episode_steps * speed < length:
        raise ValueError(
            f"slowest must be more among {level.num_vehicles} vehicles in {cells} cells, or these fewer, got "
            f"{level.slowest}: behind whoever drives at {slowest}, {max_episode_steps} steps are too few"
        )


def speed_among(lanes: int, density: float, slowest: int, fastest: int, dawdle: float) -> float:
    """About how fast a good driver gets through traffic, cells per tick.

    All are held up by the slowest, who dawdle, and in a jam by those who start one after the other. On several lanes
    there are gaps to get ahead of them: the fewer, the denser the traffic and the fewer the lanes, for cars side by
    side are a wall. How much that is was fitted to the best drives that the oracle, `drivesim.planning`, finds on
    Highway.

    Args:
        lanes: of the road.
        density: vehicles per cell of a lane.
        slowest: cells per tick, the least of the limits that drivers set themselves.
        fastest: cells per tick, of the driver.
        dawdle: the probability with which traffic dawdles.
    """
    if density == 0.0:
        return float(fastest)
    held_up = min(slowest - dawdle, (1.0 - dawdle) * (1.0 - density) / density)
    gaps = max(0.0, 1.0 - (2.2 + 7.0 / lanes) * density) if lanes > 1 else 0.0
    return held_up + gaps * max(0.0, fastest - held_up)
