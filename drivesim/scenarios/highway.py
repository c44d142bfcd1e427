"""Highway: get through dense traffic on a periodic road."""

from dataclasses import dataclass

from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import EAST, LANE, cell_at, next_cell
from drivesim.core.painting import lane_number, open_portal, paint, set_size
from drivesim.core.rng import DRAW_EGO, DRAW_TRAFFIC, below, level_below, level_words
from drivesim.core.styles import draw_style
from drivesim.core.world import place
from drivesim.observations.encoder import Window
from drivesim.scenarios.motorway import TO_SPARE, speed_among
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

EAST_ONLY = 1 << EAST
TRIES = 20  # draws of a cell for one vehicle before the level is drawn again
EGO_SPEED = 3  # cells per tick at the start


@dataclass(frozen=True)
class HighwayConfig(LevelConfig):
    """Level options of Highway."""

    length: int = within(40, 140)
    """Cells of the ring."""
    distance: int = within(20, 1000)
    """Cells to cover."""
    num_lanes: int = within(1, 5)
    """Lanes, all eastbound."""
    num_vehicles: int = within(0, 47)
    """Traffic, the ego not counted."""
    slowest: int = within(1, 5)
    """Cells per tick: the least of the speed limits that drivers set themselves."""
    fastest: int = within(1, 5)
    """Cells per tick: the greatest of them."""


AT = option_indices(HighwayConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A ring of eastbound lanes between verges."""
    length = options.level[AT.length]
    lanes = options.level[AT.num_lanes]
    set_size(map, lanes + 2, length)
    map.ring_cols = length
    map.speed_limit = options.speed_limit
    for lane in range(lanes):
        for col in range(length):
            paint(map, cell_at(map, 1 + lane, col), LANE, EAST_ONLY, lane_number(EAST_ONLY, 1 + lane, col), 0)
        open_portal(map, cell_at(map, 1 + lane, length - 1), EAST, cell_at(map, 1 + lane, 0))
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego at column 0, traffic in free cells with a free one ahead, at speeds from which all can stop.

    Further egos are spread evenly over the ring.

    Certificate: the road itself is free of obstacles, and `Highway.check_fit` refuses options whose distance, driven
    at the limit after speeding up, takes more than two thirds of the time, or among the traffic more than four fifths.
    """
    lanes = options.level[AT.num_lanes]
    egos = options.num_egos
    for k in range(egos):
        cell = cell_at(map, 1 + level_below(world, DRAW_EGO, k, lanes), k * options.level[AT.length] // egos)
        place(world, k, cell, EAST, 0, options.top_speed)
        world.egos[k].remaining = options.level[AT.distance]
    spread = options.level[AT.fastest] - options.level[AT.slowest] + 1
    for n in range(options.level[AT.num_vehicles]):
        cell = -1
        top_speed = 0
        for attempt in range(TRIES):
            words = level_words(world, DRAW_TRAFFIC, n * TRIES + attempt)
            drawn = cell_at(map, 1 + below(words[0], lanes), below(words[1], options.level[AT.length]))
            if world.occupants[drawn] == 0 and world.occupants[next_cell(map, drawn, EAST)] == 0:
                cell = drawn
                top_speed = options.level[AT.slowest] + below(words[2], spread)
                break
        if cell < 0:
            return False
        place(world, egos + n, cell, EAST, 0, top_speed)
        draw_style(world, options, egos + n)
    world.num_vehicles = egos + options.level[AT.num_vehicles]
    for k in range(world.num_vehicles):
        wish = EGO_SPEED if k < egos else world.vehicles[k].top_speed
        world.vehicles[k].speed = fastest_start(map, world, k, wish)
    return True


class Highway(Scenario):
    """Cover a distance through dense, slower traffic, in time and unhurt.

    ## Description
    A one-way road of several lanes, closed into a ring. Traffic follows Krauss's safe speed in integers, dawdles
    with probability 0.2 and changes lane where another one is faster (`drivesim.core.following`); every driver sets
    itself its own limit. The time is set so that whoever stays behind the car ahead mostly runs out of it.

    ```text
    ring_cols = 14
    a.top_speed = 3

    .   . . .   . . .   . . . .   . . .
    >   > > >a2 > > >   > > > >a2 > > @>
    >   > > >   > > >E0 > > > >   > > @>
    >   > > >a3 > > >   > > > >   > > @>
    .   . . .   . . .   . . . .   . . .
    ```

    In the words of `drivesim.levels.alphabet`: `.` verge, `>` lane, `@>` one that leads on at its other
    end, `E0` the ego, `a2` traffic with speed 2.

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
    `observation="grid"` (default): `Box(0, 255, (3, 23, 5), uint8)`, a window of 12 cells ahead, 10 behind and 2
    lanes to either side. Ten cells behind show every follower that a change of lane could hurt.

    ## Rewards
    `reward="route"`: the share of the distance gained in this tick, times 0.9 when the acceleration changes by 2;
    - 0.01 on crossing a lane's boundary, - 0.05 per tick in which somebody behind has no safe speed left, - 0.4 over
    the whole time limit, shared among its ticks; + 1 for covering it, - 1 on a collision or for leaving the road.

    ## Starting state
    The ego at column 0 of a uniform lane, at speed 3 or as fast as it could stop from. Traffic in uniform free
    cells, each at the greatest speed up to its limit from which it could stop behind a standing leader.

    ## Episode end
    1. Termination: the distance is covered.
    2. Termination: collision.
    3. Termination: off the road.
    4. Truncation: after 50 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means that the distance was covered without a collision.
    `at_fault` tells whether the ego entered the other's cell or had left a follower no safe speed within 5 ticks.

    ## Arguments
    | Name           | Type | Default                    | Unit       | Meaning                            |
    |----------------|------|----------------------------|------------|------------------------------------|
    | `difficulty`   | str  | `"medium"`                 |            | `"easy"`, `"medium"`, `"hard"`     |
    | `length`       | int  | 100                        | cells      | length of the ring                 |
    | `distance`     | int  | 120 easy, 130 medium, 130 hard | cells  | to cover                           |
    | `num_lanes`    | int  | 3 easy, 4 medium, 4 hard   | lanes      |                                    |
    | `num_vehicles` | int  | 12 easy, 22 medium, 30 hard | vehicles  | traffic                            |
    | `slowest`      | int  | 1                          | cells/tick | least own limit in the traffic     |
    | `fastest`      | int  | 3                          | cells/tick | greatest own limit in the traffic  |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## References
    Nagel, Schreckenberg, J. Phys. I France 2 (1992) 2221; Krauss, Wagner, Gawron, Phys. Rev. E 55 (1997) 5597;
    Rickert, Nagel, Schreckenberg, Latour, Physica A 231 (1996) 534.

    ## Version history
    * v1: a core for every road: junctions, driver styles, a reward that charges time; see the change log.
    * v0: first release.
    """

    config = HighwayConfig
    presets = {
        "easy": HighwayConfig(length=100, distance=120, num_lanes=3, num_vehicles=12, slowest=1, fastest=3),
        "medium": HighwayConfig(length=100, distance=130, num_lanes=4, num_vehicles=22, slowest=1, fastest=3),
        "hard": HighwayConfig(length=100, distance=130, num_lanes=4, num_vehicles=30, slowest=1, fastest=3),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    max_egos = 8
    window = Window(ahead=12, behind=10, beside=2, planes=("road", "vehicle", "own_speed"))
    speed_limit = 5
    dawdle = 0.2
    has_portals = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        assert isinstance(level, HighwayConfig)
        return level.num_lanes + 2, level.length

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, HighwayConfig)
        return 1 + level.num_vehicles

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The length of the ring: all could gather in one lane."""
        assert isinstance(level, HighwayConfig)
        return level.length

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside map and vehicles: the limits must be in order and the distance must be coverable in time."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, HighwayConfig)
        if level.slowest > level.fastest:
            raise ValueError(f"slowest must be at most fastest = {level.fastest}, got {level.slowest}")
        if 4 * level.num_vehicles > level.num_lanes * level.length:
            raise ValueError(
                f"num_vehicles must be at most a quarter of the {level.num_lanes * level.length} cells, "
                f"got {level.num_vehicles}"
            )
        density = level.num_vehicles / (level.num_lanes * level.length)
        speed = speed_among(level.num_lanes, density, level.slowest, cls.speed_limit, cls.dawdle)
        farthest = int(TO_SPARE * max_episode_steps * speed)
        if level.distance > farthest and level.num_vehicles > 0:
            raise ValueError(
                f"distance must be at most {farthest} among {level.num_vehicles} vehicles in {level.num_lanes} "
                f"lane{'s' * (level.num_lanes > 1)} of {level.length} cells, of whom some drive at {level.slowest}: "
                f"there is no time for more, got {level.distance}"
            )
        needed = (
            level.distance + 2 * cls.speed_limit
        ) // cls.speed_limit + 1  # ten cells are lost while speeding up from rest
        if 3 * needed > 2 * max_episode_steps:
            raise ValueError(
                f"distance must leave a third of the {max_episode_steps} steps to spare, but {level.distance} cells "
                f"take {needed}"
            )
