"""LaneKeep: follow a winding road."""

from dataclasses import dataclass

from drivesim.core.batch import BY_LEVEL
from drivesim.core.jit import kernel
from drivesim.core.map import LANE, NORTH, UNREACHABLE, cell_at, distance_from
from drivesim.core.painting import paint, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_MAP, level_below
from drivesim.core.ways import measure_distances
from drivesim.core.world import place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

COLS = 16
NORTH_ONLY = 1 << NORTH
KEEPS_BENDING = 75  # percent of the sideways moves that go the way of the one before


@dataclass(frozen=True)
class LaneKeepConfig(LevelConfig):
    """Level options of LaneKeep."""

    length: int = within(16, 64)
    """Cells of road, the goal's row included."""
    half_lane: int = within(1, 3)
    """Cells from the lane's centre to its edge: the lane is 2 · half_lane + 1 cells wide."""
    wander: int = within(0, 100)
    """Percent of the rows in which the road moves one cell sideways."""


AT = option_indices(LaneKeepConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A one-way road whose centre does a persistent random walk.

    Certificate: see `populate`.
    """
    length = options.level[AT.length]
    half_lane = options.level[AT.half_lane]
    set_size(map, length, COLS)
    map.speed_limit = options.speed_limit
    map.half_lane = half_lane
    map.num_destinations = 1
    centre = half_lane + level_below(world, DRAW_MAP, 0, COLS - 2 * half_lane)
    direction = 2 * level_below(world, DRAW_MAP, 1, 2) - 1
    for n in range(length):
        if n > 2 and level_below(world, DRAW_MAP, 3 * n, 100) < options.level[AT.wander]:
            if level_below(world, DRAW_MAP, 3 * n + 1, 100) >= KEEPS_BENDING:
                direction = -direction
            if centre + direction < half_lane or centre + direction >= COLS - half_lane:
                direction = -direction
            centre += direction
        for offset in range(-half_lane, half_lane + 1):
            paint(map, cell_at(map, length - 1 - n, centre + offset), LANE, NORTH_ONLY, 0, offset)
    for offset in range(-half_lane, half_lane + 1):
        scratch[offset + half_lane] = cell_at(map, 0, centre + offset)
    measure_distances(map, 0, 2 * half_lane + 1, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego in the first row, at most one cell from the centre.

    Certificate: a car at speed 1 can follow the centre, since the road never moves more than one cell per row; the
    route found backward from the goal gives its time, and 1.5 times that must fit into the time limit.
    """
    half_lane = options.level[AT.half_lane]
    centre = half_lane + level_below(world, DRAW_MAP, 0, COLS - 2 * half_lane)
    start = cell_at(map, options.level[AT.length] - 1, centre + level_below(world, DRAW_EGO, 0, 3) - 1)
    place(world, 0, start, NORTH, 0, options.top_speed)
    world.num_vehicles = 1
    route = distance_from(map, 0, start, NORTH)
    return route != UNREACHABLE and 3 * route <= 2 * options.certified_within


class LaneKeep(Scenario):
    """Follow a winding one-way road, in the middle of its lane and at speed.

    ## Description
    One lane, several cells wide, no traffic. The lane's centre wanders sideways by at most one cell per row, and a
    car can move sideways by one cell per tick, so bends must be seen coming: too fast into one and the car is
    carried off the lane. Arriving is not enough, the mean distance from the centre counts.

    ```text
    speed_limit = 3
    half_lane = 2

    .   .   ^G0 ^G0 ^G0 ^G0 ^G0 .   .
    .   .   ^   ^   ^   ^   ^   .   .
    .   ^   ^   ^   ^   ^   .   .   .
    ^   ^   ^   ^   ^   .   .   .   .
    .   ^   ^   ^E0 ^   ^   .   .   .
    ```

    In the words of `drivesim.levels.alphabet`: `^` lane, one way, `.` off-road, `E0` the ego, `G0` its goal.

    ## Actions
    `Discrete(5)`.

    | Num | Name   | Effect                                                      |
    |-----|--------|-------------------------------------------------------------|
    | 0   | LEFT   | one cell to the left, then ahead at the same speed (at least 1) |
    | 1   | IDLE   | hold speed and heading                                      |
    | 2   | RIGHT  | one cell to the right, then ahead at the same speed         |
    | 3   | FASTER | speed + 1, at most 5                                        |
    | 4   | SLOWER | speed - 1, at least 0                                       |

    ## Observations
    `observation="grid"` (default): `Box(0, 255, (4, 15, 13), uint8)`, a window of 12 cells ahead, 2 behind and 6 to
    either side; the plane `lane_offset` is the distance from the lane's centre. `"features"` has the lane's bends as
    `bend_1 … 8`.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 1 on the lane's centre down to 0.85 on its
    edge, times 0.5 above the speed limit of 3, times 0.9 when the acceleration changes by 2; - 0.4 over the whole time
    limit, shared among its ticks; + 1 on arrival, - 1 for leaving the road.

    ## Starting state
    On the southernmost row, at most one cell off the centre, heading north, speed 0. The centre starts uniformly
    and does a random walk that keeps its direction in 75 % of its moves.

    ## Episode end
    1. Termination: arrived in the northernmost row.
    2. Termination: off the road.
    3. Truncation: after 100 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived with a mean |offset| of at most half the way
    from the lane's centre to its edge.

    ## Arguments
    | Name         | Type | Default                      | Unit  | Meaning                                 |
    |--------------|------|------------------------------|-------|-----------------------------------------|
    | `difficulty` | str  | `"medium"`                   |       | `"easy"`, `"medium"`, `"hard"`          |
    | `length`     | int  | 48 easy, 64 medium, 64 hard  | cells | length of the road                      |
    | `half_lane`  | int  | 2                            | cells | from the centre to the lane's edge      |
    | `wander`     | int  | 30 easy, 50 medium, 75 hard  | %     | rows in which the road moves sideways   |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: a core for every road: junctions, driver styles, a reward that charges time; see the change log.
    * v0: first release.
    """

    config = LaneKeepConfig
    presets = {
        "easy": LaneKeepConfig(length=48, half_lane=2, wander=30),
        "medium": LaneKeepConfig(length=64, half_lane=2, wander=50),
        "hard": LaneKeepConfig(length=64, half_lane=2, wander=75),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    maps_by = BY_LEVEL
    window = Window(ahead=12, behind=2, beside=6, planes=("road", "lane_offset", "route", "own_speed"))
    speed_limit = 3

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        assert isinstance(level, LaneKeepConfig)
        return level.length, COLS
