"""City: blocks of streets with signals, stop signs, roundabouts and people, and a route to a goal."""

from dataclasses import dataclass

from drivesim.core.batch import BY_POOL
from drivesim.core.bits import word_at
from drivesim.core.following import fastest_start
from drivesim.core.jit import kernel
from drivesim.core.map import CROSSWALK, SIGNALS, cell_at, distance_from, next_cell
from drivesim.core.memory import WORD
from drivesim.core.pedestrians import place_pedestrian
from drivesim.core.rng import DRAW_EGO, DRAW_PEDESTRIAN, DRAW_SIGNALS, DRAW_TRAFFIC, below, level_below, level_words
from drivesim.core.styles import draw_style
from drivesim.core.world import KRAUSS, MAX_EGOS, NASCH, WAITING, place
from drivesim.observations.encoder import Window
from drivesim.scenarios.city_streets import (
    CORNERS,
    LONGEST_CYCLE,
    MAX_JUNCTIONS,
    MAX_SLOTS,
    NUM_GOALS,
    SIZE,
    STORAGE,
    heading_over,
    lane_heading,
    lay_city,
    turns_back,
)
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

TRIES = 200  # draws of a place for one vehicle before the level is drawn again: a sixth of all cells are road
TRAFFIC_SPEED = 2  # cells per tick: the traffic's top speed
MOST_CROSSWALKS = 12
LONGER = 30  # cells by which a route may be longer than the shortest that is allowed
KINDS, CROSSWALKS, BIT_3 = (int.from_bytes(bytes([byte] * WORD), "little") for byte in (7, CROSSWALK, 8))
WAITS = 2  # cycles of a signal that an ego may have to wait on its way


@dataclass(frozen=True)
class CityConfig(LevelConfig):
    """Level options of City."""

    num_maps: int = within(1, 1024)
    """Towns of each split."""
    num_vehicles: int = within(0, STORAGE - 2)
    """Traffic, the egos not counted."""
    num_crosswalks: int = within(0, MOST_CROSSWALKS)
    """Streets with a crosswalk."""
    num_people: int = within(0, 2 * MOST_CROSSWALKS)
    """People who cross, at most two for each crosswalk."""
    patience: int = within(1, 1000)
    """Ticks after which cars wait for them."""
    route: int = within(10, 100)
    """Cells of the shortest routes; the longest are 30 cells longer."""


AT = option_indices(CityConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A town of its own for each level seed."""
    return lay_city(map, world, options, options.level[AT.num_crosswalks], scratch)


@kernel
def is_free(map, world, cell, heading):
    """Whether nobody is on a cell of a lane, nor on the next one."""
    return world.occupants[cell] == 0 and world.occupants[next_cell(map, cell, heading)] == 0


@kernel
def place_ego(map, world, options, k):
    """Put ego k somewhere in the town, at rest, with a goal at the right distance; false if no place is found."""
    shortest = options.level[AT.route]
    for attempt in range(TRIES):
        words = level_words(world, DRAW_EGO, k * TRIES + attempt)
        cell = cell_at(map, below(words[0], SIZE), below(words[1], SIZE))
        heading = lane_heading(map, cell)
        if heading < 0 or not is_free(map, world, cell, heading):
            continue
        goal = CORNERS + below(words[2], NUM_GOALS)
        route = distance_from(map, goal, cell, heading)
        if not shortest <= route <= shortest + LONGER or turns_back(map, goal, cell, heading):
            continue
        place(world, k, cell, heading, 0, options.top_speed)
        world.egos[k].goal = goal
        return True
    return False


@kernel
def place_car(map, world, options, k):
    """Put vehicle k of the traffic somewhere in the town, on its way to a corner; false if no place is found."""
    for attempt in range(TRIES):
        words = level_words(world, DRAW_TRAFFIC, k * TRIES + attempt)
        cell = cell_at(map, below(words[0], SIZE), below(words[1], SIZE))
        heading = lane_heading(map, cell)
        destination = below(words[2], CORNERS)
        if heading < 0 or not is_free(map, world, cell, heading) or turns_back(map, destination, cell, heading):
            continue
        place(world, k, cell, heading, 0, TRAFFIC_SPEED)
        world.vehicles[k].destination = destination
        draw_style(world, options, k)
        return True
    return False


@kernel
def no_crosswalks(map, cell):
    """A word whose eight bytes have bit 3 set where the eight cells from `cell` on are of no crosswalk."""
    return (word_at(map.ground, cell) >> 4 & KINDS ^ CROSSWALKS) + KINDS


@kernel
def place_people(map, world, options):
    """Put people at some of the ends of the crosswalks, in reading order.

    Eight cells are seen in one look to lie beside no crosswalk.
    """
    missing = options.level[AT.num_people]
    ends = 2 * options.level[AT.num_crosswalks]  # that are still to come
    last = (map.rows + 1) * map.width
    for begin in range(map.width, last, WORD):
        beside = no_crosswalks(map, begin - 1) & no_crosswalks(map, begin + 1)
        if beside & no_crosswalks(map, begin - map.width) & no_crosswalks(map, begin + map.width) & BIT_3 == BIT_3:
            continue
        for cell in range(begin, min(begin + WORD, last)):
            heading = heading_over(map, cell)
            if heading >= 0:
                if level_below(world, DRAW_PEDESTRIAN, ends, ends) < missing:
                    place_pedestrian(world, cell, heading, WAITING, options.level[AT.patience], ends & 1)
                    missing -= 1
                ends -= 1


@kernel
def populate(map, world, options, scratch):
    """Egos with a goal each, traffic on its way from corner to corner, people beside the crosswalks.

    Certificate: every ego's route has its length, and 1.5 times that at speed 1 and of the longest waits at signals fit
    into the time limit.
    """
    if 3 * (options.level[AT.route] + LONGER + WAITS * LONGEST_CYCLE) > 2 * options.certified_within:
        return False
    for s in range(map.num_junctions):
        if map.junctions[s].control == SIGNALS:
            world.lamps[s].cycle_start = level_below(world, DRAW_SIGNALS, s, LONGEST_CYCLE)
    place_people(map, world, options)  # which goes through the map, so that the others find it in the cache
    for k in range(options.num_egos):
        if not place_ego(map, world, options, k):
            return False
    world.num_vehicles = options.num_egos + options.level[AT.num_vehicles]
    for k in range(options.num_egos, world.num_vehicles):
        if not place_car(map, world, options, k):
            return False
    for k in range(options.num_egos, world.num_vehicles):
        world.vehicles[k].speed = fastest_start(map, world, k, world.vehicles[k].top_speed)
    return True


class City(Scenario):
    """Find the way to a goal through a town: streets, junctions of every kind, traffic and people.

    ## Description
    A town of 72 x 72 cells: streets with a lane in each direction between up to 12 junctions and 4 corners. There are
    crossroads and T-junctions with signals, with stop lines for all, with give-way lines for some, and roundabouts;
    people cross at crosswalks in between. The ego follows its route to a goal on one of the streets, turns where
    that turns, and does at each junction and crosswalk what Intersection, FourWayStop, Roundabout and Crosswalk ask
    for one at a time. Traffic drives from one corner of the town to another, for ever.

    Towns are drawn (`drivesim.scenarios.city_streets`): `num_maps` of them for each split, of which the two have none
    in common. Level n takes town n modulo `num_maps`; where everybody starts, and where the ego goes, is the
    level's own.

    ```text
    speed_limit = 3
    goals.next = [2, 1, 0]
    egos.goal = [2]
    a.top_speed = 1
    a.destination = 1
    b.top_speed = 2
    b.destination = 0

    . .   .   . . .   . . .   .   .   .   . . .   . . .   .   .
    . v<  <   < < <   < < <   *v< *^< |<  < < <   < < <   ^<  .
    . v   ^>  > > >a1 > > |>  *>v *^> >   > > >   > > >v  ^   .
    . v   ^   . . .   . . .   v   |^  .   . . .   . . v   ^   .
    . vG0 ^G0 . . .   . . .   v   ^   .   . . .   . . v   ^b0 .
    . v   ^   . . .   . . .   v   ^   .   . . .   . . vG2 ^G2 .
    . v   ^   . . .   . . .p> =v  =^  .p< . . .   . . v   ^   .
    . v   ^   . . .   . . .   v   ^   .   . . .   . . v   ^   .
    . vE0 ^   . . .   . . .   v   ^   .   . . .   . . vG1 ^G1 .
    . v   ^   . . .   . . .   !v  ^   .   . . .   . . v   ^   .
    . v   ^<  < < <   < < <   *v< *^< !<  < < <b2 < < v<  ^   .
    . >v  >   > > >   > > !>  *>v *^> >   > > >   > > >   ^>  .
    . .   .   . . .   . . .   .   .   .   . . .   . . .   .   .
    ```

    In the words of `drivesim.levels.alphabet`: `^` lane, `^<` bend, `*^>` cell of a junction, `|^` line of its signal,
    `!^` stop line, `=^` crosswalk, `.p>` somebody who wants to cross, `a1` traffic with speed 1, `E0` the ego, `G2` its
    goal, in both lanes of a street, `G0` and `G1` where traffic goes.

    ## Actions
    `Discrete(5)`.

    | Num | Name   | Effect                                                                                  |
    |-----|--------|-----------------------------------------------------------------------------------------|
    | 0   | LEFT   | where the cell allows it, at speed 0 or 1: quarter turn, then one cell; else one cell sideways |
    | 1   | IDLE   | hold speed and heading                                                                  |
    | 2   | RIGHT  | the same to the right                                                                   |
    | 3   | FASTER | speed + 1, at most 5                                                                    |
    | 4   | SLOWER | speed - 1, at least 0                                                                   |

    ## Observations
    `observation="grid"` (default): `Box(0, 255, (10, 19, 13), uint8)`, a window of 12 cells ahead, 6 behind and 6 to
    either side; the plane `route` shows the moves to the goal, `signal` the lines and crosswalks, `my_turn` whether the
    junction ahead is the ego's to enter now.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 3, times 0.9
    when the acceleration changes by 2; - 0.4 over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on
    a collision, for hitting somebody or for leaving the road, - 0.5 for entering the junction on red or without having
    stood on the stop line, - 0.1 for failing to yield and per tick the wrong way.

    ## Starting state
    The ego somewhere on a street, at rest; its route is 30 to 60 cells long, 40 to 70 or 60 to 90. Traffic and people
    uniform. Traffic drives at a style's own speed, see `drivesim.core.styles`.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision with a vehicle or a pedestrian.
    3. Termination: off the road.
    4. Truncation: after 240 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived, without a red light or a stop line passed on
    the way and nobody hit.

    ## Arguments
    | Name             | Type | Default                     | Unit       | Meaning                                  |
    |------------------|------|-----------------------------|------------|------------------------------------------|
    | `difficulty`     | str  | `"medium"`                  |            | `"easy"`, `"medium"`, `"hard"`           |
    | `num_maps`       | int  | 64                          | towns      | of each split                            |
    | `num_vehicles`   | int  | 12 easy, 30 medium, 40 hard | vehicles   | traffic; at most 63 with all egos        |
    | `num_crosswalks` | int  | 6 easy, 8 medium, 12 hard   | crosswalks | on as many streets                       |
    | `num_people`     | int  | 4 easy, 10 medium, 20 hard  | people     | who cross, at most two per crosswalk     |
    | `patience`       | int  | 8                           | ticks      | after which cars wait for them           |
    | `route`          | int  | 30 easy, 40 medium, 60 hard | cells      | shortest; the longest is 30 cells longer |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: first release.
    """

    config = CityConfig
    presets = {
        "easy": CityConfig(num_maps=64, num_vehicles=12, num_crosswalks=6, num_people=4, patience=8, route=30),
        "medium": CityConfig(num_maps=64, num_vehicles=30, num_crosswalks=8, num_people=10, patience=8, route=40),
        "hard": CityConfig(num_maps=64, num_vehicles=40, num_crosswalks=12, num_people=20, patience=8, route=60),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    maps_by = BY_POOL
    max_egos = MAX_EGOS
    window = Window(
        ahead=12,
        behind=6,
        beside=6,
        planes=(
            "road",
            "other_road",
            "vehicle",
            "vehicle_heading",
            "vehicle_turn",
            "pedestrian",
            "signal",
            "my_turn",
            "route",
            "own_speed",
        ),
    )
    speed_limit = 3
    driver_models = (KRAUSS, NASCH)
    dawdle = 0.1
    styles = (1, 2, 1)
    num_junctions = MAX_JUNCTIONS
    num_destinations = CORNERS + NUM_GOALS
    num_slots = MAX_SLOTS
    max_people = 2 * MOST_CROSSWALKS
    has_ways = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        return SIZE, SIZE

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, CityConfig)
        return 1 + level.num_vehicles

    @classmethod
    def num_people(cls, level: LevelConfig) -> int:
        """As the option says."""
        assert isinstance(level, CityConfig)
        return level.num_people

    @classmethod
    def num_maps(cls, level: LevelConfig) -> int:
        """As the option says."""
        assert isinstance(level, CityConfig)
        return level.num_maps

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The cells of the streets around the smallest block, in one direction; see `city_streets`."""
        return STORAGE

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside vehicles: the longest route must fit into two thirds of the time, two people to a crosswalk."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, CityConfig)
        needed = level.route + LONGER + WAITS * LONGEST_CYCLE
        if 3 * needed > 2 * max_episode_steps:
            raise ValueError(
                f"route must leave a third of the {max_episode_steps} steps to spare, but the longest way and "
                f"{WAITS} cycles of signals take {needed}"
            )
        if level.num_people > 2 * level.num_crosswalks:
            raise ValueError(
                f"num_people must be at most {2 * level.num_crosswalks}, two for each crosswalk, got {level.num_people}"
            )
