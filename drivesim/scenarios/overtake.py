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
EGO_SPEED = 2  # cells per tick at the start
FIRST = 8  # column on which the first stretch begins where overtaking is allowed, and the first slow car may be
LEADERS = 6  # cells from there, one of which the first slow car starts from
LAST_SLOW = 56  # column before which all slow cars start
SLOW_SPEED = 1  # cells per tick
MOST_AHEAD = 17  # what is in the way, counted in `Overtake.check_fit`: with more, some levels leave no way to the goal
PASSED_WITHIN = 12  # cells in which a slow car is overtaken: on shorter stretches, closed ones are more in the way
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again


@dataclass(frozen=True)
class OvertakeConfig(LevelConfig):
    """Level options of Overtake."""

    allowed: int = within(8, 80)
    """Cells of every stretch on which overtaking is allowed."""
    closed: int = within(0, 40)
    """Cells from one such stretch to the next."""
    num_slow: int = within(0, 8)
    """Slow vehicles in the ego's lane."""
    num_oncoming: int = within(0, 20)
    """Vehicles in the other lane."""
    oncoming_speed: int = within(1, 5)
    """Cells per tick: the speed limit that they set themselves."""


AT = option_indices(OvertakeConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A lane in each direction; on some stretches, the ego may use the other one."""
    allowed = options.level[AT.allowed]
    set_size(map, 4, LENGTH)
    map.speed_limit = options.speed_limit
    for col in range(LENGTH):
        for row, heading in ((ONCOMING, WEST), (MINE, EAST)):
            paint(map, cell_at(map, row, col), LANE, 1 << heading, lane_number(1 << heading, row, col), 0)
        if FIRST <= col < GOAL and (col - FIRST) % (allowed + options.level[AT.closed]) < allowed:
            paint_passing(map, cell_at(map, ONCOMING, col), 1 << EAST)
    open_portal(map, cell_at(map, ONCOMING, 0), WEST, cell_at(map, ONCOMING, LENGTH - 1))
    open_portal(map, cell_at(map, MINE, LENGTH - 1), EAST, cell_at(map, MINE, 0))
    map.num_destinations = 1
    map.has_goal_headings = 1  # so that no way leads over the other lane where overtaking is not allowed
    scratch[0] = cell_at(map, MINE, GOAL)
    measure_distances(map, 0, 1, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego at the beginning of its lane, a slow car close ahead of it, others further on, traffic in the other lane.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 2 fits into
    the time limit; `Overtake.check_fit` refuses options that leave too few gaps to overtake in.
    """
    place(world, 0, cell_at(map, MINE, level_below(world, DRAW_EGO, 0, STARTS)), EAST, 0, options.top_speed)
    slow = options.level[AT.num_slow]
    count = slow + options.level[AT.num_oncoming]
    for n in range(count):
        heading = EAST if n < slow else WEST
        found = False
        for attempt in range(TRIES):
            words = level_words(world, DRAW_TRAFFIC, n * TRIES + attempt)
            if n == 0 and slow > 0:
                cell = cell_at(map, MINE, FIRST + below(words[0], LEADERS))
            elif n < slow:
                cell = cell_at(map, MINE, FIRST + LEADERS + below(words[0], LAST_SLOW - FIRST - LEADERS))
            else:
                cell = cell_at(map, ONCOMING, below(words[0], LENGTH))
            is_free = world.occupants[next_cell(map, cell, heading)] == 0
            if is_free and world.occupants[cell] == 0 and world.occupants[cell_behind(map, cell, heading)] == 0:
                found = True
                place(world, 1 + n, cell, heading, 0, SLOW_SPEED if n < slow else options.level[AT.oncoming_speed])
                break
        if not found:
            return False
    world.num_vehicles = 1 + count
    for k in range(world.num_vehicles):
        world.vehicles[k].speed = fastest_start(map, world, k, EGO_SPEED if k == 0 else world.vehicles[k].top_speed)
    route = distance_from(map, 0, world.vehicles[0].cell, EAST)
    return route != UNREACHABLE and 3 * route <= 4 * options.certified_within


class Overtake(Scenario):
    """Get past slow cars on a two-way road, between the oncoming ones.

    ## Description
    A road with a lane in each direction. In the ego's own, some drive at speed 1; on stretches of the road the other
    lane may be used to overtake, between the cars that come towards it at speed 3. Everybody follows Krauss's safe
    speed in integers and dawdles with probability 0.1 (`drivesim.core.following`). Who comes towards the ego brakes for
    it as for a standing car, by 1 in every tick: an ego that drives on meets him all the same. There is time to wait
    for a gap, but not to stay behind for all of the way.

    ```text
    speed_limit = 4
    has_goal_headings = 1
    a.top_speed = 3
    b.top_speed = 1

    .  .   . .  .  .   .  .    .  .  . . .   .  .  .   . .
    @< <   < /< /< /<  /< /<a3 /< /< < < <   /< /< /<  < <
    >  >E0 > >  >  >b1 >  >    >  >  > > >b1 >  >  >G0 > @>
    .  .   . .  .  .   .  .    .  .  . . .   .  .  .   . .
    ```

    In the words of `drivesim.levels.alphabet`: `.` verge, `>` lane, `/<` one on which the other heading may be used to
    overtake, `@>` the map's end, `E0` the ego, `b1` a slow car, `a3` one that comes towards it, `G0` the goal.

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
    `observation="grid"` (default): `Box(0, 255, (6, 43, 5), uint8)`, a window of 36 cells ahead, 6 behind and 2 lanes
    to either side: far enough to see whether there is time to overtake. The plane `route` is 0 in the other lane where
    overtaking is not allowed.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 4, times 0.9 when
    the acceleration changes by 2; - 0.01 on crossing a lane's boundary, - 0.05 per tick in which somebody behind has no
    safe speed left, - 0.1 per tick the wrong way where overtaking is not allowed, - 0.4 over the whole time limit,
    shared among its ticks; + 1 on arrival, - 1 on a collision or for leaving the road.

    ## Starting state
    The ego at a uniform one of the first four cells of its lane, at speed 2. A slow car 8 to 13 cells from the lane's
    beginning, the other slow ones in uniform free cells between it and column 56, the oncoming ones in uniform free
    cells of their lane; each at the greatest speed up to its limit from which it could stop behind a standing leader.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision.
    3. Termination: off the road.
    4. Truncation: after 60 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived.

    ## Arguments
    | Name           | Type | Default                     | Unit       | Meaning                                    |
    |----------------|------|-----------------------------|------------|--------------------------------------------|
    | `difficulty`   | str  | `"medium"`                  |            | `"easy"`, `"medium"`, `"hard"`             |
    | `allowed`      | int  | 40 easy, 30 medium, 24 hard | cells      | of a stretch on which it may be overtaken  |
    | `closed`       | int  | 6 easy, 8 medium, 12 hard   | cells      | from one such stretch to the next          |
    | `num_slow`     | int  | 2 easy, 2 medium, 3 hard    | vehicles   | in the ego's lane                          |
    | `num_oncoming` | int  | 2 easy, 3 medium, 4 hard    | vehicles   | in the other one                           |
    | `oncoming_speed` | int | 3                          | cells/tick | limit that the oncoming ones set themselves |

    and those of every environment, see `drivesim.env.DriveEnv`. What leaves too few gaps to overtake in is refused:
    where there are slow cars, `num_slow` + `num_oncoming` + `oncoming_speed` + `num_slow` * `closed` / `allowed`, the
    last rounded down, may be 17 at most. Of `allowed`, 12 count there at most, and of `closed` what lies before the
    goal.

    ## Version history
    * v1: first release.
    """

    config = OvertakeConfig
    presets = {
        "easy": OvertakeConfig(allowed=40, closed=6, num_slow=2, num_oncoming=2, oncoming_speed=3),
        "medium": OvertakeConfig(allowed=30, closed=8, num_slow=2, num_oncoming=3, oncoming_speed=3),
        "hard": OvertakeConfig(allowed=24, closed=12, num_slow=3, num_oncoming=4, oncoming_speed=3),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    window = Window(
        ahead=36, behind=6, beside=2, planes=("road", "other_road", "vehicle", "vehicle_heading", "route", "own_speed")
    )
    speed_limit = 4
    dawdle = 0.1
    has_portals = True
    has_passing = True
    has_goal_headings = True

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

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside map and vehicles: whoever has to overtake must find room and gaps in the oncoming traffic."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, OvertakeConfig)
        room = MOST_AHEAD - level.num_slow - level.oncoming_speed
        width = min(level.allowed, PASSED_WITHIN)
        closed = min(level.closed, max(0, GOAL - FIRST - level.allowed))  # as far as it lies before the goal
        most = room - level.num_slow * closed // width
        if level.num_slow > 0 and level.num_oncoming > most:
            slow, speed = level.num_slow, level.oncoming_speed
            there = f"allowed = {level.allowed}, num_slow = {slow} and oncoming_speed = {speed}"
            if most < 0:
                longest = ((room + 1) * width - 1) // slow
                raise ValueError(
                    f"closed must be at most {longest} with {there}: too seldom may the slow ones be overtaken, got "
                    f"{level.closed}"
                )
            raise ValueError(
                f"num_oncoming must be at most {most} with closed = {level.closed}, {there}: too seldom is there a gap "
                f"to overtake in, got {level.num_oncoming}"
            )
