"""Crosswalk: a street with people who cross."""

from dataclasses import dataclass

from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import CROSSWALK, EAST, LANE, NORTH, SOUTH, UNREACHABLE, WEST, cell_at, distance_from, next_cell
from drivesim.core.painting import lane_number, open_portal, paint, set_size
from drivesim.core.pedestrians import place_pedestrian
from drivesim.core.rng import DRAW_EGO, DRAW_PEDESTRIAN, DRAW_TRAFFIC, below, level_below, level_words
from drivesim.core.styles import draw_style
from drivesim.core.ways import measure_distances
from drivesim.core.world import KRAUSS, NASCH, WAITING, place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

LENGTH = 54  # columns
ONCOMING, MINE = 1, 2  # rows of the westbound and of the eastbound lane
FIRST, APART = 12, 7  # column of the first crosswalk, and cells from one to the next
CROSSWALKS = 5
ENDS = 2 * CROSSWALKS  # cells beside the road from which somebody may cross
GOAL = 50  # column
STARTS = 4  # cells at the beginning of the lane, one of which the ego starts from
TRAFFIC_SPEED = 2  # cells per tick: the traffic's top speed
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again


@dataclass(frozen=True)
class CrosswalkConfig(LevelConfig):
    """Level options of Crosswalk."""

    people: int = within(0, ENDS)
    """Those who want to cross, one at an end of a crosswalk."""
    patience: int = within(1, 1000)
    """Ticks after which cars wait for them."""
    hesitating: int = within(0, 100)
    """Per cent of the people who may hesitate on their way."""
    num_vehicles: int = within(0, 20)
    """Traffic, the ego not counted."""


AT = option_indices(CrosswalkConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A lane in each direction, and crosswalks over both."""
    set_size(map, 4, LENGTH)
    map.speed_limit = options.speed_limit
    for col in range(LENGTH):
        is_crosswalk = FIRST <= col < FIRST + CROSSWALKS * APART and (col - FIRST) % APART == 0
        for row, heading in ((ONCOMING, WEST), (MINE, EAST)):
            where = CROSSWALK if is_crosswalk else LANE
            paint(map, cell_at(map, row, col), where, 1 << heading, lane_number(1 << heading, row, col), 0)
    open_portal(map, cell_at(map, ONCOMING, 0), WEST, cell_at(map, ONCOMING, LENGTH - 1))
    open_portal(map, cell_at(map, MINE, LENGTH - 1), EAST, cell_at(map, MINE, 0))
    map.num_destinations = 1
    scratch[0] = cell_at(map, MINE, GOAL)
    measure_distances(map, 0, 1, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego at the beginning of its lane, people beside the crosswalks, traffic in both lanes.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 2 fits into
    the time limit.
    """
    place(world, 0, cell_at(map, MINE, level_below(world, DRAW_EGO, 0, STARTS)), EAST, 0, options.top_speed)
    count = options.level[AT.num_vehicles]
    for n in range(count):
        found = False
        for attempt in range(TRIES):
            words = level_words(world, DRAW_TRAFFIC, n * TRIES + attempt)
            heading = EAST if below(words[0], 2) == 0 else WEST
            cell = cell_at(map, MINE if heading == EAST else ONCOMING, below(words[1], LENGTH))
            is_free = world.occupants[cell] == 0 and world.occupants[next_cell(map, cell, heading)] == 0
            if is_free and map.ground[cell] >> 4 & 7 == LANE:
                found = True
                place(world, 1 + n, cell, heading, 0, TRAFFIC_SPEED)
                draw_style(world, options, 1 + n)
                break
        if not found:
            return False
    world.num_vehicles = 1 + count
    for n in range(ENDS):  # in reading order: those who come from the north first
        words = level_words(world, DRAW_PEDESTRIAN, n)
        if below(words[0], ENDS - n) < options.level[AT.people] - world.num_people:
            cell = cell_at(map, 0 if n < CROSSWALKS else 3, FIRST + n % CROSSWALKS * APART)
            hesitates = int(below(words[1], 100) < options.level[AT.hesitating])
            place_pedestrian(
                world, cell, SOUTH if n < CROSSWALKS else NORTH, WAITING, options.level[AT.patience], hesitates
            )
    for k in range(1, world.num_vehicles):
        world.vehicles[k].speed = fastest_start(map, world, k, world.vehicles[k].top_speed)
    route = distance_from(map, 0, world.vehicles[0].cell, EAST)
    return route != UNREACHABLE and 3 * route <= 4 * options.certified_within


class Crosswalk(Scenario):
    """Drive along a street on which people cross, hitting nobody and waiting no longer than it takes.

    ## Description
    A road with a lane in each direction and five crosswalks over both. People at their ends want to cross, again and
    again; they step out as soon as everybody who comes can still stop, and some hesitate on their way, for up to 3
    ticks on every cell (`drivesim.core.pedestrians`). Who drives on then hits them. Who has waited for longer than its
    patience is waited for by traffic. Nobody has to stop for those who only stand there, nor slow down: they stay there
    while an ego is too near to stop. Stopping where nobody crosses costs time. Traffic follows Krauss's safe speed in
    integers (`drivesim.core.following`) and comes back at the other end.

    ```text
    speed_limit = 3
    walkers.patience = [8, 8]
    walkers.hesitates = [0, 1]
    a.top_speed = 2

    .  .   . . .pv . . .   . .   .   .
    @< <   < < =<  < < <a2 < =<  <   <
    >  >E0 > > =>  > > >   > =>  >G0 @>
    .  .   . . .   . . .   . .p^ .   .
    ```

    In the words of `drivesim.levels.alphabet`: `.` verge, `>` lane, `=>` crosswalk, `.pv` somebody who wants to cross,
    `@>` the map's end, `E0` the ego, `a2` traffic with speed 2, `G0` the goal.

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
    `observation="grid"` (default): `Box(0, 255, (8, 19, 7), uint8)`, a window of 12 cells ahead, 6 behind and 3 to
    either side; the plane `pedestrian` shows who waits and who crosses, `signal` where the crosswalks are.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 3, times 0.9 when
    the acceleration changes by 2; - 0.1 for entering a crosswalk with somebody on it and per tick the wrong way, - 0.4
    over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on a collision, for hitting somebody or for
    leaving the road.

    ## Starting state
    The ego at a uniform one of the first four cells of its lane, at rest. People at uniform ends of the crosswalks,
    traffic on uniform free cells of both lanes.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision with a vehicle or a pedestrian.
    3. Termination: off the road.
    4. Truncation: after 80 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived, and nobody hit.

    ## Arguments
    | Name           | Type | Default                       | Unit     | Meaning                                     |
    |----------------|------|-------------------------------|----------|---------------------------------------------|
    | `difficulty`   | str  | `"medium"`                    |          | `"easy"`, `"medium"`, `"hard"`              |
    | `people`       | int  | 6 easy, 10 medium, 10 hard    | people   | at the ends of the crosswalks               |
    | `patience`     | int  | 8                             | ticks    | after which cars wait for them              |
    | `hesitating`   | int  | 50 easy, 80 medium, 100 hard  | per cent | of the people may hesitate on their way     |
    | `num_vehicles` | int  | 2 easy, 3 medium, 5 hard      | vehicles | traffic                                     |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: first release.
    """

    config = CrosswalkConfig
    presets = {
        "easy": CrosswalkConfig(people=6, patience=8, hesitating=50, num_vehicles=2),
        "medium": CrosswalkConfig(people=10, patience=8, hesitating=80, num_vehicles=3),
        "hard": CrosswalkConfig(people=10, patience=8, hesitating=100, num_vehicles=5),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    window = Window(
        ahead=12,
        behind=6,
        beside=3,
        planes=("road", "other_road", "vehicle", "vehicle_heading", "pedestrian", "signal", "route", "own_speed"),
    )
    speed_limit = 3
    driver_models = (KRAUSS, NASCH)
    dawdle = 0.1
    has_portals = True
    max_people = ENDS

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        return 4, LENGTH

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, CrosswalkConfig)
        return 1 + level.num_vehicles

    @classmethod
    def num_people(cls, level: LevelConfig) -> int:
        """As many as the level says."""
        assert isinstance(level, CrosswalkConfig)
        return level.people

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The cells of a lane beside the crosswalks."""
        return LENGTH - CROSSWALKS
