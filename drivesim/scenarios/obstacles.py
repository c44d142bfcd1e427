"""Obstacles: find the way around what blocks the road."""

from dataclasses import dataclass

from drivesim.core.batch import BY_LEVEL
from drivesim.core.jit import kernel
from drivesim.core.map import LANE, NORTH, OBSTACLE, SHOULDER, UNREACHABLE, cell_at, distance_from, kind
from drivesim.core.painting import lane_number, paint, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_MAP, DRAW_OBSTACLES, level_below
from drivesim.core.ways import measure_distances
from drivesim.core.world import place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

NORTH_ONLY = 1 << NORTH
CLOSED_LENGTH = 6  # cells of a closed stretch
CLEAR_ROWS = 4  # rows in front of the start and of the goal without obstacles


@dataclass(frozen=True)
class ObstaclesConfig(LevelConfig):
    """Level options of Obstacles."""

    length: int = within(24, 66)
    """Rows of the map."""
    num_lanes: int = within(2, 6)
    """Lanes, beside one shoulder on the right."""
    num_obstacles: int = within(0, 40)
    """Parked cars, one cell each."""
    num_walls: int = within(0, 8)
    """Barriers across the whole road with an opening of one lane."""
    num_closed: int = within(0, 6)
    """Stretches in which a lane is fenced off and ends: dead ends."""


AT = option_indices(ObstaclesConfig)  # where each stands in `options.level`


@kernel
def lay_row(map, row, lanes):
    """A row of free road: lanes and a shoulder; the goal's row has none."""
    for col in range(1, lanes + 2):
        where = SHOULDER if col == lanes + 1 and row > 0 else LANE
        paint(map, cell_at(map, row, col), where, NORTH_ONLY, lane_number(NORTH_ONLY, row, col), 0)


@kernel
def block(map, row, col):
    """Put an obstacle on a road cell; anything else stays what it is."""
    cell = cell_at(map, row, col)
    if kind(map, cell) == LANE or kind(map, cell) == SHOULDER:
        paint(map, cell, OBSTACLE, 0, 0, 0)


@kernel
def lay(map, world, options, scratch):
    """A straight road with a shoulder; walls, dead ends and parked cars on it. Certificate: see `populate`."""
    length = options.level[AT.length]
    lanes = options.level[AT.num_lanes]
    set_size(map, length, lanes + 3)
    map.speed_limit = options.speed_limit
    map.num_destinations = 1
    for row in range(length):
        lay_row(map, row, lanes)
    span = length - 2 * CLEAR_ROWS
    for n in range(options.level[AT.num_closed]):
        row = CLEAR_ROWS + level_below(world, DRAW_OBSTACLES, 3 * n, span - CLOSED_LENGTH)
        lane = 1 + level_below(world, DRAW_OBSTACLES, 3 * n + 1, lanes)
        block(map, row, lane)
        for along in range(CLOSED_LENGTH):
            if lane > 1:
                block(map, row + along, lane - 1)
            block(map, row + along, lane + 1)
    for n in range(options.level[AT.num_obstacles]):
        row = CLEAR_ROWS + level_below(world, DRAW_OBSTACLES, 100 + 2 * n, span)
        col = 1 + level_below(world, DRAW_OBSTACLES, 101 + 2 * n, lanes + 1)
        block(map, row, col)
    walls = options.level[AT.num_walls]
    for n in range(walls):
        # one wall in each of as many bands, with room before and behind it to change lanes
        band = span // walls
        row = CLEAR_ROWS + n * band + level_below(world, DRAW_MAP, 2 * n, max(1, band - 4))
        for near in range(row - 1, row + 4):
            lay_row(map, near, lanes)
        opening = 1 + level_below(world, DRAW_MAP, 2 * n + 1, lanes)
        for col in range(1, lanes + 2):
            if col != opening:
                block(map, row, col)
    for col in range(1, lanes + 2):
        scratch[col - 1] = cell_at(map, 0, col)
    measure_distances(map, 0, lanes + 1, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego on a lane of the first row.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length, driven at
    speed 1, fits into the time limit.
    """
    start = cell_at(map, options.level[AT.length] - 1, 1 + level_below(world, DRAW_EGO, 0, options.level[AT.num_lanes]))
    place(world, 0, start, NORTH, 0, options.top_speed)
    world.num_vehicles = 1
    route = distance_from(map, 0, start, NORTH)
    return route != UNREACHABLE and 3 * route <= 2 * options.certified_within


class Obstacles(Scenario):
    """Find the way around parked cars, walls and closed lanes; some ways are dead ends.

    ## Description
    A straight one-way road of several lanes and a shoulder, blocked here and there: by parked cars, by walls that
    leave one lane open, and by fenced-off lanes that lead nowhere and cannot be left again. A car cannot reverse, so
    a wrong lane must be left in time, and a fast car may see the opening too late.

    ```text
    speed_limit = 3

    . ^G0 ^G0 ^G0 ^G0 ^G0 ^G0 .
    . ^   ^   ^   ^   ^   :^  .
    . #   #   ^   #   #   #   .
    . ^   ^   ^   ^   ^   :^  .
    . ^   #   #   #   ^   :^  .
    . ^   #   ^   #   ^   :^  .
    . ^   #   ^   #   ^   #   .
    . ^   ^   ^E0 ^   ^   :^  .
    ```

    In the words of `drivesim.levels.alphabet`: `^` lane, one way, `:^` shoulder, `#` obstacle, in the
    third row a wall with one opening, below it a dead end between two fences, `E0` the ego, `G0` its goal.

    ## Actions
    `Discrete(5)`.

    | Num | Name   | Effect                                                          |
    |-----|--------|-----------------------------------------------------------------|
    | 0   | LEFT   | one lane to the left, then ahead at the same speed (at least 1) |
    | 1   | IDLE   | hold speed and heading                                          |
    | 2   | RIGHT  | one lane to the right, then ahead at the same speed             |
    | 3   | FASTER | speed + 1, at most 5                                            |
    | 4   | SLOWER | speed - 1, at least 0                                           |

    ## Observations
    `observation="grid"` (default): `Box(0, 255, (4, 15, 11), uint8)`, a window of 12 cells ahead, 2 behind and 5 to
    either side; the plane `route` is dark where a lane leads nowhere. `"features"` tells, for five lanes, how
    far they are clear and what is gained at their end.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 on the shoulder, times 0.5 above the
    speed limit of 3, times 0.9 when the acceleration changes by 2; - 0.01 on crossing a lane's boundary, - 0.4
    over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on a collision or for leaving the road.

    ## Starting state
    On the southernmost row, lane uniform, heading north, speed 0. The first and last four rows are free. Walls
    stand one to each of as many bands, openings, dead ends and parked cars are uniform.

    ## Episode end
    1. Termination: arrived in the northernmost row.
    2. Termination: collision with an obstacle.
    3. Termination: off the road.
    4. Truncation: after 100 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived.

    ## Arguments
    | Name            | Type | Default                     | Unit  | Meaning                         |
    |-----------------|------|-----------------------------|-------|---------------------------------|
    | `difficulty`    | str  | `"medium"`                  |       | `"easy"`, `"medium"`, `"hard"`  |
    | `length`        | int  | 48 easy, 64 medium, 64 hard | cells | length of the road              |
    | `num_lanes`     | int  | 4 easy, 5 medium, 5 hard    | lanes | beside the shoulder             |
    | `num_obstacles` | int  | 8 easy, 16 medium, 26 hard  | 1     | parked cars                     |
    | `num_walls`     | int  | 2 easy, 4 medium, 6 hard    | 1     | walls with one opening          |
    | `num_closed`    | int  | 1 easy, 3 medium, 4 hard    | 1     | dead ends                       |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: a core for every road: junctions, driver styles, a reward that charges time; see the change log.
    * v0: first release.
    """

    config = ObstaclesConfig
    presets = {
        "easy": ObstaclesConfig(length=48, num_lanes=4, num_obstacles=8, num_walls=2, num_closed=1),
        "medium": ObstaclesConfig(length=64, num_lanes=5, num_obstacles=16, num_walls=4, num_closed=3),
        "hard": ObstaclesConfig(length=64, num_lanes=5, num_obstacles=26, num_walls=6, num_closed=4),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    maps_by = BY_LEVEL
    window = Window(ahead=12, behind=2, beside=5, planes=("road", "obstacle", "route", "own_speed"))
    speed_limit = 3

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        assert isinstance(level, ObstaclesConfig)
        return level.length, level.num_lanes + 3
