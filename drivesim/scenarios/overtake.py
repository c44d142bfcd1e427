"""Overtake: a slow leader on a two-way road, and oncoming traffic."""

from dataclasses import dataclass

from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import EAST, LANE, UNREACHABLE, WEST, cell_at, cell_behind, distance_from, next_cell
from drivesim.core.painting import lane_number, open_portal, paint, paint_passing, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_TRAFFIC, below, level_below, level_words
from drivesim.core.ways import measure_distances
from drivesim.core.world import place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

LENGTH = 80  # columns
ONCOMING, MINE = 1, 2  # rows of the westbound and of the eastbound lane
GOAL = 76  # column
STARTS = 4  # cells at the beginning of the lane, one of which the ego starts from
SLOW_FROM = 10  # column from which on there are slow cars
SLOW_SPEED = 1  # cells per tick
ONCOMING_SPEED = 2  # cells per tick
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again


@dataclass(frozen=True)
class OvertakeConfig(LevelConfig):
    """Level options of Overtake."""

    first: int = within(4, 40)
    """First column on which overtaking is allowed."""
    last: int = within(40, 75)
    """Last column on which overtaking is allowed."""
    num_slow: int = within(0, 8)
    """Slow vehicles in the ego's lane."""
    num_oncoming: int = within(0, 20)
    """Vehicles in the other lane."""


AT = option_indices(OvertakeConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A lane in each direction; on a stretch, the ego may use the other one."""
    set_size(map, 4, LENGTH)
    map.speed_limit = options.speed_limit
    for col in range(LENGTH):
        for row, heading in ((ONCOMING, WEST), (MINE, EAST)):
            paint(map, cell_at(map, row, col), LANE, 1 << heading, lane_number(1 << heading, row, col), 0)
        if options.level[AT.first] <= col <= options.level[AT.last]:
            paint_passing(map, cell_at(map, ONCOMING, col), 1 << EAST)
    open_portal(map, cell_at(map, ONCOMING, 0), WEST, cell_at(map, ONCOMING, LENGTH - 1))
    open_portal(map, cell_at(map, MINE, LENGTH - 1), EAST, cell_at(map, MINE, 0))
    map.num_destinations = 1
    scratch[0] = cell_at(map, MINE, GOAL)
    measure_distances(map, 0, 1, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego at the beginning of its lane, slow cars ahead of it, traffic in the other lane.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 2 fits into
    the time limit.
    """
    place(world, 0, cell_at(map, MINE, level_below(world, DRAW_EGO, 0, STARTS)), EAST, 2, options.top_speed)
    slow = options.level[AT.num_slow]
    count = slow + options.level[AT.num_oncoming]
    for n in range(count):
        heading = EAST if n < slow else WEST
        found = False
        for attempt in range(TRIES):
            words = level_words(world, DRAW_TRAFFIC, n * TRIES + attempt)
            col = below(words[0], LENGTH)
            if n < slow:
                col = SLOW_FROM + below(words[0], options.level[AT.last] - 2 * SLOW_FROM)
            cell = cell_at(map, MINE if n < slow else ONCOMING, col)
            is_free = world.occupants[next_cell(map, cell, heading)] == 0
            if is_free and world.occupants[cell] == 0 and world.occupants[cell_behind(map, cell, heading)] == 0:
                found = True
                place(world, 1 + n, cell, heading, 0, SLOW_SPEED if n < slow else ONCOMING_SPEED)
                break
        if not found:
            return False
    world.num_vehicles = 1 + count
    for k in range(1, world.num_vehicles):
        world.vehicles[k].speed = fastest_start(map, world, k, world.vehicles[k].top_speed)
    route = distance_from(map, 0, world.vehicles[0].cell, EAST)
    return route != UNREACHABLE and 3 * route <= 4 * options.certified_within


class Overtake(Scenario):
    """Get past slow cars on a two-way road, between the oncoming ones.

    ## Description
    A road with a lane in each direction. In the ego's own, some drive at speed 1; on a stretch of the road the other
    lane may be used to overtake, between the cars that come towards it at speed 2. Who brakes for the ego there stands
    before it (`drivesim.core.following`). The time is set so that whoever stays behind runs out of it.

    ```text
    speed_limit = 4
    a.top_speed = 2
    b.top_speed = 1

    .   .   . .  .  .  .  .  .  .  .   .
    @<  <   < /< /< /< /<a2 /< /< <   <
    >   >E0 > >  >b1 > >  >  >  > >G0 @>
    .   .   . .  .  .  .  .  .  .  .   .
    ```

    In the words of `drivesim.levels.alphabet`: `.` verge, `>` lane, `/<` one on which the other heading may be used to
    overtake, `@>` the map's end, `E0` the ego, `b1` a slow car, `a2` one that comes towards it, `G0` the goal.

    ## Actions
    `Discrete(5)`.

    | Num | Name   | Effect                                                          |
    |-----|--------|-----------------------------------------------------------------|
    | 0   | LEFT   | one lane to the left, then ahead at the same speed (at least 1) |
    | 1   | IDLE   | hold speed and heading                                          |
    | 2   | RIGHT  | one lane to the right, then ahead at the same speed             |
    | 3   | FASTER | speed + 1, at most 5                                            |
    | 4   | SLOWER | speed - 1, at least 0                                           |

    An occupied cell beside the ego makes a change of lane a collision, even if its occupant is about to leave.

    ## Observations
    `observation="grid"` (default): `Box(0, 255, (6, 31, 5), uint8)`, a window of 24 cells ahead, 6 behind and 2 lanes
    to either side: far enough to see whether there is time to overtake.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 4, times 0.9 when
    the acceleration changes by 2; - 0.01 on crossing a lane's boundary, - 0.05 per tick in which somebody behind has no
    safe speed left, - 0.1 per tick the wrong way where overtaking is not allowed, - 0.4 over the whole time limit,
    shared among its ticks; + 1 on arrival, - 1 on a collision or for leaving the road.

    ## Starting state
    The ego at a uniform one of the first four cells of its lane, at speed 2. The others in uniform free cells, the slow
    ones ahead of it.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision.
    3. Termination: off the road.
    4. Truncation: after 60 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived.

    ## Arguments
    | Name           | Type | Default                     | Unit     | Meaning                                       |
    |----------------|------|-----------------------------|----------|-----------------------------------------------|
    | `difficulty`   | str  | `"medium"`                  |          | `"easy"`, `"medium"`, `"hard"`                |
    | `first`        | int  | 6                           | column   | the first on which overtaking is allowed      |
    | `last`         | int  | 72 easy, 66 medium, 60 hard | column   | the last                                      |
    | `num_slow`     | int  | 2 easy, 3 medium, 3 hard    | vehicles | in the ego's lane                             |
    | `num_oncoming` | int  | 4 easy, 7 medium, 10 hard   | vehicles | in the other one                              |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: first release.
    """

    config = OvertakeConfig
    presets = {
        "easy": OvertakeConfig(first=6, last=72, num_slow=2, num_oncoming=4),
        "medium": OvertakeConfig(first=6, last=66, num_slow=3, num_oncoming=7),
        "hard": OvertakeConfig(first=6, last=60, num_slow=3, num_oncoming=10),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    window = Window(
        ahead=24, behind=6, beside=2, planes=("road", "other_road", "vehicle", "vehicle_heading", "route", "own_speed")
    )
    speed_limit = 4
    dawdle = 0.1
    has_portals = True
    has_passing = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        return 4, LENGTH

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, OvertakeConfig)
        return 1 + level.num_slow + level.num_oncoming

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The length of the road."""
        return LENGTH
