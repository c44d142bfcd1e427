"""Autodrive: cross a 10 x 10 field."""

from dataclasses import dataclass

from drivesim.core.batch import BY_LEVEL
from drivesim.core.jit import kernel
from drivesim.core.map import ALL_HEADINGS, EAST, LANE, NORTH, OBSTACLE, UNREACHABLE, WEST, cell_at, distance_from, kind
from drivesim.core.painting import open_portal, paint, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_OBSTACLES, DRAW_TRAFFIC, level_below
from drivesim.core.ways import measure_distances
from drivesim.core.world import UNAWARE, place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import ACTIONS_WITHOUT_IDLE, LevelConfig, Scenario, option_indices, within

SIZE = 10
LONGEST_WAIT = 10  # ticks, for a gap in the stream: it repeats after ten


@dataclass(frozen=True)
class AutodriveConfig(LevelConfig):
    """Level options of Autodrive."""

    num_obstacles: int = within(0, 24)
    """Static obstacles, the first always straight ahead of the ego."""
    crossing_cars: int = within(0, 3)
    """Cars of the stream that crosses the field."""


AT = option_indices(AutodriveConfig)  # where each stands in `options.level`


@kernel
def start_of(map, world):
    """The ego's first cell."""
    return cell_at(map, SIZE - 1, level_below(world, DRAW_EGO, 0, SIZE))


@kernel
def stream_of(world):
    """Row and heading of the stream of cars."""
    return 3 + level_below(world, DRAW_TRAFFIC, 0, 4), EAST if level_below(world, DRAW_TRAFFIC, 1, 2) == 0 else WEST


@kernel
def lay(map, world, options, scratch):
    """Open ground, and obstacles outside the stream's row and its two neighbours.

    Certificate: a path to the far side exists, and 1.5 times its length at speed 1 plus the longest wait for a gap
    fits into the time limit. A path along the stream's row can always be moved to the free row beside it, and at
    least every ten ticks a gap opens that is long enough to cross straight.
    """
    set_size(map, SIZE, SIZE)
    map.speed_limit = options.speed_limit
    map.num_destinations = 1
    for row in range(SIZE):
        for col in range(SIZE):
            paint(map, cell_at(map, row, col), LANE, ALL_HEADINGS, 0, 0)
    stream, heading = stream_of(world)
    west_end, east_end = cell_at(map, stream, 0), cell_at(map, stream, SIZE - 1)
    if options.level[AT.crossing_cars] > 0:
        if heading == EAST:
            open_portal(map, east_end, EAST, west_end)
        else:
            open_portal(map, west_end, WEST, east_end)
    start = start_of(map, world)
    for n in range(options.level[AT.num_obstacles]):
        row = 1 + level_below(world, DRAW_OBSTACLES, 2 * n, SIZE - 2)
        col = level_below(world, DRAW_OBSTACLES, 2 * n + 1, SIZE)
        if options.level[AT.crossing_cars] > 0 and abs(row - stream) <= 1:
            if n > 0:
                continue
            row = 1
        cell = cell_at(map, row, col) if n > 0 else start - (SIZE - 1 - row) * map.width  # the first straight ahead
        if kind(map, cell) == LANE:
            paint(map, cell, OBSTACLE, 0, 0, 0)
    for col in range(SIZE):
        scratch[col] = cell_at(map, 0, col)
    measure_distances(map, 0, SIZE, scratch)
    route = distance_from(map, 0, start, NORTH)
    return route != UNREACHABLE and 3 * (route + LONGEST_WAIT) <= 2 * options.certified_within


@kernel
def populate(map, world, options, scratch):
    """The ego on the southern edge, and the stream's cars at equal distances."""
    place(world, 0, start_of(map, world), NORTH, 0, options.top_speed)
    cars = options.level[AT.crossing_cars]
    stream, heading = stream_of(world)
    speed = 1 + level_below(world, DRAW_TRAFFIC, 2, 2)
    first = level_below(world, DRAW_TRAFFIC, 3, SIZE)
    for car in range(cars):
        cell = cell_at(map, stream, (first + car * (SIZE // cars)) % SIZE)
        place(world, 1 + car, cell, heading, speed, speed)
    world.num_vehicles = 1 + cars
    return True


class Autodrive(Scenario):
    """Cross a 10 x 10 field past static obstacles and a stream of cars that do not look out for you.

    ## Description
    The smallest world of the suite: seen whole, turned in quarter turns, small enough to be solved exactly. The ego
    starts somewhere on the southern edge, heading north, at rest, with an obstacle straight ahead, and must reach
    the northern edge. One row is crossed by up to three cars that keep their speed whatever happens.

    ```text
    speed_limit = 2
    egos.heading = [0]
    a.heading = "east"

    +G0 +G0 +G0 +G0 +G0 +G0 +G0 +G0 +G0 +G0
    +   +   #   +   +   +   +   +   +   +
    +   +   +   +   +   #   +   +   +   +
    +   +   +   +   +   +   +   +   +   +
    +a1 +   +   +a1 +   +   +a1 +   +   @+
    +   +   +   +   +   +   +   +   +   +
    +   #   +   +   +   +   +   #   +   +
    +   +   +   +   #   +   +   +   +   +
    +   +   #   +   +   +   +   +   +   +
    +   +   +E0 +   +   +   +   +   +   +
    ```

    In the words of `drivesim.levels.alphabet`: `+` open ground, `#` obstacle, `a1` crossing car with
    speed 1, `@+` where the stream leads on at the other side, `E0` the ego, `G0` its goal.

    ## Actions
    `Discrete(4)`: there is no IDLE; at top speed FASTER holds it, above speed 1 so do LEFT and RIGHT.

    | Num | Name   | Effect                                                                |
    |-----|--------|-----------------------------------------------------------------------|
    | 0   | LEFT   | at speed 0 or 1: quarter turn to the left, then one cell at speed 1    |
    | 1   | RIGHT  | the same to the right                                                 |
    | 2   | FASTER | speed + 1, at most 2                                                  |
    | 3   | SLOWER | speed - 1, at least 0                                                 |

    ## Observations
    `observation="full_grid"` (default): `Box(0, 70, (10, 10), uint8)`, one code per cell: 1 open ground, 3 obstacle,
    7 goal, 16 + 7 · heading + speed a car, 44 + 7 · heading + speed the ego (headings N E S W = 0 … 3).
    `"grid"` and `"features"` are ego-centred; see `drivesim.observations`.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick (1 in total), - 0.4 over the whole time limit, shared
    among its ticks; + 1 on arrival, - 1 on a collision or for leaving the field. `"shaped"`, `"sparse"` and
    `"cost"`: see `drivesim.config.RewardWeights`.

    ## Starting state
    Column uniform over the 10 of the southern edge; heading north; speed 0. The stream's row is uniform over rows
    3 … 6, its heading east or west, its speed 1 or 2, its phase uniform. Obstacles are uniform over rows 1 … 8 but
    for the stream's row and its two neighbours.

    ## Episode end
    1. Termination: arrived on the northern edge.
    2. Termination: collision with a car or an obstacle.
    3. Termination: off the field.
    4. Truncation: after 60 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived.

    ## Arguments
    | Name            | Type | Default                        | Unit | Meaning                    |
    |-----------------|------|--------------------------------|------|----------------------------|
    | `difficulty`    | str  | `"medium"`                     |      | `"easy"`, `"medium"`, `"hard"` |
    | `num_obstacles` | int  | 6 easy, 12 medium, 18 hard     | 1    | obstacles drawn            |
    | `crossing_cars` | int  | 1 easy, 2 medium, 3 hard       | 1    | cars of the stream         |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: a core for every road: junctions, driver styles, a reward that charges time; see the change log.
    * v0: first release.
    """

    config = AutodriveConfig
    presets = {
        "easy": AutodriveConfig(num_obstacles=6, crossing_cars=1),
        "medium": AutodriveConfig(num_obstacles=12, crossing_cars=2),
        "hard": AutodriveConfig(num_obstacles=18, crossing_cars=3),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    window = Window(
        ahead=6,
        behind=2,
        beside=6,
        planes=("road", "obstacle", "vehicle", "vehicle_heading", "route", "own_speed"),
    )
    speed_limit = 2
    top_speed = 2
    driver_model = UNAWARE
    maps_by = BY_LEVEL
    has_portals = True
    observation = "full_grid"
    actions = ACTIONS_WITHOUT_IDLE

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the field."""
        return SIZE, SIZE

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the stream."""
        assert isinstance(level, AutodriveConfig)
        return 1 + level.crossing_cars
