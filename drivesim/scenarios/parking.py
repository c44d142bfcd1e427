"""Parking: into a given bay of a car park, in a given heading."""

from dataclasses import dataclass

from drivesim.core.batch import BY_LEVEL
from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import (
    EAST,
    LANE,
    NORTH,
    PARKING_BAY,
    SOUTH,
    UNREACHABLE,
    WEST,
    cell_at,
    distance_from,
    is_destination,
    kind,
    next_cell,
)
from drivesim.core.painting import lane_number, open_portal, paint, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_MAP, DRAW_OBSTACLES, DRAW_TRAFFIC, below, level_below, level_words
from drivesim.core.styles import draw_style
from drivesim.core.ways import measure_distances
from drivesim.core.world import place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

BLOCK = 5  # rows from one aisle to the next: bays, two lanes, bays, a verge
DRIVE = 3  # rows of the access road south of the last bays
STARTS = 2  # of them, from one of which the ego starts
BESIDE = 2  # columns at either end of an aisle that the access road keeps off
TRAFFIC_SPEED = 2  # cells per tick: the traffic's top speed
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again
GEAR = 4  # ticks at most, beside the moves that are counted: one past the bay and back, to change gear, to stand
UP_OR_DOWN = 1 << NORTH | 1 << SOUTH


@dataclass(frozen=True)
class ParkingConfig(LevelConfig):
    """Level options of Parking."""

    num_aisles: int = within(1, 3)
    """Aisles, with two lanes and two rows of bays each."""
    length: int = within(10, 24)
    """Columns of the map."""
    occupied: int = within(0, 100)
    """Per cent of the bays but the goal in which somebody has parked."""
    backwards: int = within(0, 100)
    """Per cent of the levels in which the ego must stand in its bay with its nose to the aisle."""
    num_vehicles: int = within(0, 20)
    """Moving traffic, the ego not counted."""


AT = option_indices(ParkingConfig)  # where each stands in `options.level`


@kernel
def lay_aisle(map, top, access):
    """A row of bays, a lane westward, one eastward, and bays again; from row `top` on."""
    last = map.cols - 1
    for col in range(map.cols):
        has_bays = 0 < col < last
        for row, heading in ((top + 1, WEST), (top + 2, EAST)):
            mask = 1 << heading | (UP_OR_DOWN if has_bays else 0)
            paint(map, cell_at(map, row, col), LANE, mask, lane_number(mask, row, col), 0)
        for row in (top, top + 3):
            if has_bays and (row == 0 or not access <= col <= access + 1):
                paint(map, cell_at(map, row, col), PARKING_BAY, UP_OR_DOWN, 0, 0)
    open_portal(map, cell_at(map, top + 1, 0), WEST, cell_at(map, top + 1, last))
    open_portal(map, cell_at(map, top + 2, last), EAST, cell_at(map, top + 2, 0))


@kernel
def lay_access(map, access):
    """A road with a lane southward and one northward, from the first aisle to the south edge."""
    for row in range(3, map.rows):
        if (row % BLOCK != 1 and row % BLOCK != 2) or row >= map.rows - DRIVE:
            for side, heading in ((0, SOUTH), (1, NORTH)):
                mask = 1 << heading
                paint(map, cell_at(map, row, access + side), LANE, mask, lane_number(mask, row, access + side), 0)


@kernel
def draw_bay(map, world, access):
    """A bay: (row, column)."""
    side = level_below(world, DRAW_MAP, 1, 2 * ((map.rows - DRIVE + 1) // BLOCK))
    row = side // 2 * BLOCK + side % 2 * 3
    if row == 0:
        return row, 1 + level_below(world, DRAW_MAP, 2, map.cols - 2)
    col = 1 + level_below(world, DRAW_MAP, 2, map.cols - 4)
    return row, col if col < access else col + 2


@kernel
def lay(map, world, options, scratch):
    """Aisles across the map, an access road through them, and a bay of theirs as the goal, in one of its headings."""
    aisles = options.level[AT.num_aisles]
    set_size(map, BLOCK * aisles - 1 + DRIVE, options.level[AT.length])
    map.speed_limit = options.speed_limit
    map.has_reverse = 1
    map.has_goal_headings = 1
    access = BESIDE + level_below(world, DRAW_MAP, 0, map.cols - 2 * BESIDE - 1)
    for aisle in range(aisles):
        lay_aisle(map, BLOCK * aisle, access)
    lay_access(map, access)
    row, col = draw_bay(map, world, access)
    heading = NORTH if row % BLOCK == 0 else SOUTH  # nose in
    if level_below(world, DRAW_MAP, 3, 100) < options.level[AT.backwards]:
        heading = NORTH + SOUTH - heading
    map.num_destinations = 1
    map.goals[0].heading = 1 + heading
    map.goals[0].top_speed = 1  # it has to stand there
    scratch[0] = cell_at(map, row, col)
    measure_distances(map, 0, 1, scratch)
    return True


@kernel
def park_others(map, world, options):
    """Cars that stand in bays but the goal, in either heading; the number of the first vehicle behind them."""
    bays = -1  # the goal is nobody's
    for cell in range(map.rows * map.width):
        bays += kind(map, cell) == PARKING_BAY
    left = bays * options.level[AT.occupied] // 100
    k = 1
    for row in range(map.rows):
        for col in range(map.cols):
            cell = cell_at(map, row, col)
            if kind(map, cell) == PARKING_BAY and not is_destination(map, 0, cell):
                words = level_words(world, DRAW_OBSTACLES, bays)
                if below(words[0], bays) < left:  # any so many of them, all equally likely
                    place(world, k, cell, NORTH if below(words[1], 2) == 0 else SOUTH, 0, 0)
                    k += 1
                    left -= 1
                bays -= 1
    return k


@kernel
def populate(map, world, options, scratch):
    """The ego at the south end of the access road, parked cars in bays, traffic in the aisles.

    Certificate: the route found backward from the goal, reverse gear and headings counted, reaches the start, and 1.5
    times as long as it takes at speed 1 fits into the time limit.
    """
    access = 0
    while map.ground[cell_at(map, map.rows - 1, access)] & 15 != 1 << NORTH:
        access += 1
    start = cell_at(map, map.rows - 1 - level_below(world, DRAW_EGO, 0, STARTS), access)
    place(world, 0, start, NORTH, 0, options.top_speed)
    first = park_others(map, world, options)
    world.num_vehicles = first + options.level[AT.num_vehicles]
    for n in range(options.level[AT.num_vehicles]):
        found = False
        for attempt in range(TRIES):
            words = level_words(world, DRAW_TRAFFIC, n * TRIES + attempt)
            lane = below(words[0], 2 * options.level[AT.num_aisles])
            heading = WEST if lane % 2 == 0 else EAST
            cell = cell_at(map, lane // 2 * BLOCK + 1 + lane % 2, below(words[1], map.cols))
            if world.occupants[cell] == 0 and world.occupants[next_cell(map, cell, heading)] == 0:
                found = True
                place(world, first + n, cell, heading, 0, TRAFFIC_SPEED)
                draw_style(world, options, first + n)
                break
        if not found:
            return False
    for k in range(first, world.num_vehicles):
        world.vehicles[k].speed = fastest_start(map, world, k, world.vehicles[k].top_speed)
    route = distance_from(map, 0, start, NORTH)
    return route != UNREACHABLE and 3 * (route + GEAR) <= 2 * options.certified_within


class Parking(Scenario):
    """Drive into a given bay of a car park and stand there in a given heading, if need be backwards.

    ## Description
    Aisles with a lane in each direction and bays on both sides, and an access road that crosses them. Most bays are
    taken; one of those that are not is the ego's. It must stand there in the heading that the level asks for: with its
    nose in, which a turn from the aisle does, or with its nose to the aisle, for which it drives past and backs in. The
    ego has a reverse gear: SLOWER at rest is one cell backwards, and LEFT and RIGHT turn it in that gear too.

    Traffic drives along the aisles (`drivesim.core.following`), straight on and with no right of way but that of who is
    there, and comes back at the other end. It brakes for the ego, and leaves a cell free behind it, for the ego may
    back. Parked cars are vehicles that never drive: they have a heading, and are hit like any other.

    ```text
    speed_limit = 2
    has_reverse = 1
    goals.heading = [2]
    goals.top_speed = [0]
    a.heading = "south"
    a.top_speed = 0
    b.heading = "north"
    b.top_speed = 0
    c.heading = "west"
    c.top_speed = 1
    c.style = "calm"
    d.heading = "east"
    d.top_speed = 2

    .  [^vG0 [^v   [^va0 [^vb0 [^va0 [^v   [^v   [^va0 [^va0 [^v   .
    @< ^v<   ^v<   ^v<c1 ^v<   ^v<   ^v<c1 ^v<   ^v<   ^v<   ^v<   <
    >  ^>v   ^>v   ^>v   ^>v   ^>v   ^>v   ^>v   ^>v   ^>vd2 ^>v   @>
    .  [^va0 [^va0 [^vb0 v     ^     [^v   [^va0 [^va0 [^vb0 [^vb0 .
    .  .     .     .     v     ^     .     .     .     .     .     .
    .  .     .     .     v     ^E0   .     .     .     .     .     .
    .  .     .     .     v     ^     .     .     .     .     .     .
    ```

    In the words of `drivesim.levels.alphabet`: `[^v` bay, `[^va0` and `[^vb0` with a car parked in it, `^v<` lane
    westward from which bays can be turned into, `^>v` eastward, `v` and `^` access road, `@>` the map's end, `c1` and
    `d2` traffic, `E0` the ego, `G0` its bay, in which it must stand heading south: backed in.

    ## Actions
    `Discrete(5)`.

    | Num | Name   | Effect                                                                                         |
    |-----|--------|------------------------------------------------------------------------------------------------|
    | 0   | LEFT   | where the cell allows it, at speed -1 to 1: quarter turn, then one cell; else one cell sideways |
    | 1   | IDLE   | hold speed and heading                                                                         |
    | 2   | RIGHT  | the same to the right                                                                          |
    | 3   | FASTER | speed + 1, at most 5                                                                           |
    | 4   | SLOWER | speed - 1, at least -1: one cell backwards                                                     |

    Sideways goes ahead only: backwards, LEFT and RIGHT do nothing where the cell allows no turn.

    ## Observations
    `observation="grid"` (default): `Box(0, 255, (7, 19, 13), uint8)`, a window of 12 cells ahead, 6 behind and 6 to
    either side; the plane `route` is brightest where the bay is, seen in the ego's present heading, `goal_heading` is
    the heading in which it must stand there, and `own_speed` is below 36 in reverse.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, negative where it is lost, times 0.5 above the speed
    limit of 2, times 0.9 when the acceleration changes by 2; - 0.01 on crossing a lane's boundary, - 0.05 per tick in
    which somebody behind has no safe speed left, - 0.1 per tick the wrong way, - 0.4 over the whole time limit, shared
    among its ticks; + 1 on arrival, - 1 on a collision or for leaving the road.

    ## Starting state
    On one of the two southernmost cells of the access road, heading north, at rest. The access road, the bay, who is
    parked where and how, and the traffic are uniform.

    ## Episode end
    1. Termination: arrived, at rest in the bay and in its heading.
    2. Termination: collision with a vehicle, parked or not.
    3. Termination: off the road.
    4. Truncation: after 80 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived.

    ## Arguments
    | Name           | Type | Default                     | Unit     | Meaning                                       |
    |----------------|------|-----------------------------|----------|-----------------------------------------------|
    | `difficulty`   | str  | `"medium"`                  |          | `"easy"`, `"medium"`, `"hard"`                |
    | `num_aisles`   | int  | 1 easy, 2 medium, 3 hard    | aisles   | each with two lanes and two rows of bays      |
    | `length`       | int  | 16 easy, 16 medium, 18 hard | cells    | columns of the map                            |
    | `occupied`     | int  | 60 easy, 80 medium, 95 hard | per cent | of the bays in which somebody has parked      |
    | `backwards`    | int  | 25 easy, 50 medium, 75 hard | per cent | of the levels in which it has to back in      |
    | `num_vehicles` | int  | 4 easy, 10 medium, 16 hard  | vehicles | traffic                                       |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: first release.
    """

    config = ParkingConfig
    presets = {
        "easy": ParkingConfig(num_aisles=1, length=16, occupied=60, backwards=25, num_vehicles=4),
        "medium": ParkingConfig(num_aisles=2, length=16, occupied=80, backwards=50, num_vehicles=10),
        "hard": ParkingConfig(num_aisles=3, length=18, occupied=95, backwards=75, num_vehicles=16),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    maps_by = BY_LEVEL
    window = Window(
        ahead=12,
        behind=6,
        beside=6,
        planes=("road", "other_road", "vehicle", "vehicle_heading", "route", "goal_heading", "own_speed"),
    )
    speed_limit = 2
    dawdle = 0.1
    styles = (1, 1, 0)
    has_portals = True
    has_goal_headings = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        assert isinstance(level, ParkingConfig)
        return BLOCK * level.num_aisles - 1 + DRIVE, level.length

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego, the traffic, and who is parked."""
        assert isinstance(level, ParkingConfig)
        bays = 2 * level.num_aisles * (level.length - 2 * BESIDE) + 2  # those of the first row go on past the road
        return 1 + level.num_vehicles + (bays - 1) * level.occupied // 100

    @classmethod
    def check_traffic(cls, level: LevelConfig, num_egos: int) -> None:
        """Refuse more moving vehicles, egos included, than leave a free cell in one lane of an aisle."""
        assert isinstance(level, ParkingConfig)
        if level.num_vehicles + num_egos >= level.length:
            raise ValueError(
                f"num_vehicles must be less than length - 1, so that a cell of every lane stays free, "
                f"got {level.num_vehicles} and {level.length}"
            )
