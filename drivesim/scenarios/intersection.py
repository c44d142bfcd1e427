"""Intersection: a signalised crossroads with turning traffic."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.map import SIGNALS, cell_at
from drivesim.core.rng import DRAW_SIGNALS, level_below
from drivesim.scenarios.crossing import (
    MIDDLE,
    SIZE,
    STRAIGHT_SHARE,
    WINDOW,
    add_heading,
    is_certified,
    lane_cell,
    lay_arms,
    open_crossing,
    place_egos,
    place_traffic,
)
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

ARM = MIDDLE  # cells before the junction, which is a box of 2 x 2


@dataclass(frozen=True)
class IntersectionConfig(LevelConfig):
    """Level options of Intersection."""

    distance: int = within(3, 13)
    """Cells from the junction to the goal."""
    num_vehicles: int = within(0, 20)
    """Traffic, the ego not counted."""
    green: int = within(4, 40)
    """Ticks of green per axis."""
    yellow: int = within(2, 8)
    """Ticks of yellow; at least the speed limit, so that who cannot stop is through before red."""
    all_red: int = within(1, 8)
    """Ticks in which every signal is red."""


AT = option_indices(IntersectionConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """Four one-way lanes that cross in 2 x 2 cells; each heading's destination is on its lane, past the junction."""
    lay_arms(map, options, ARM)
    for heading in range(4):
        for n in range(ARM, SIZE - ARM):
            add_heading(map, lane_cell(map, heading, n), heading)
    for n in range(4):
        map.junction[cell_at(map, MIDDLE + n // 2, MIDDLE + n % 2)] = 1
    junction = map.junctions[0]
    junction.green_0 = options.level[AT.green]
    junction.green_1 = options.level[AT.green]
    junction.yellow = options.level[AT.yellow]
    junction.all_red = options.level[AT.all_red]
    open_crossing(map, SIGNALS, SIZE - ARM - 1 + options.level[AT.distance], scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego on one approach, its goal on one exit, traffic on all lanes.

    Further egos start on the other approaches and on the same, and have the same goal.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 1 plus
    one cycle of the signal fits into the time limit.
    """
    cycle = 2 * (options.level[AT.green] + options.level[AT.yellow] + options.level[AT.all_red])
    world.lamps[0].cycle_start = level_below(world, DRAW_SIGNALS, 0, cycle)
    if not place_egos(map, world, options, STRAIGHT_SHARE):
        return False
    if not place_traffic(map, world, options, ARM, options.level[AT.num_vehicles]):
        return False
    return is_certified(map, world, options, cycle)


class Intersection(Scenario):
    """Cross a signalised crossroads through turning traffic and take the given exit.

    ## Description
    Four approaches, one lane in and one lane out each, traffic keeps to the right. The ego must stop at red, leave
    the junction to whoever is in it, give way to oncoming traffic when it turns left, and turn in the right cell:
    to the right in the first of the junction, to the left in the second. Traffic obeys the signals, reserves its way
    through the junction (`drivesim.core.junctions`) and comes back at the other side when it leaves the map.

    ```text
    speed_limit = 2

    .  . .  v   @^  .  .   .
    .  . .  v   ^   .  .   .
    .  . .  |v  ^   .  .   .
    @< < <  *v< *^< |< <   <
    >  > |> *v> *^> >  >G0 @>
    .  . .  v   |^  .  .   .
    .  . .  v   ^   .  .   .
    .  . .  @v  ^E0 .  .   .
    ```

    In the words of `drivesim.levels.alphabet`: `^` lane, `*^>` cell of the junction with two headings,
    `|^` stop line of its signal, `@^` end of the map, `E0` the ego, `G0` its goal.

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
    `observation="grid"` (default): `Box(0, 255, (9, 19, 13), uint8)`, a window of 12 cells ahead, 6 behind and 6 to
    either side; the plane `signal` shows the stop line's colour, `my_turn` whether the
    junction is the ego's to enter now, `vehicle_turn` where others turn.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 2, times 0.9
    when the acceleration changes by 2; - 0.4 over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on
    a collision or for leaving the road, - 0.5 for entering the junction on red, - 0.1 for failing to yield and per
    tick the wrong way.

    ## Starting state
    The ego on a uniform approach, 10 to 13 cells before the stop line, at rest. Its exit is to the left in 45 % of
    the levels, to the right in 40 %, straight on in 15 %. Signal phase and traffic uniform.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision.
    3. Termination: off the road, or over the map's edge by a wrong exit.
    4. Truncation: after 120 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived, and not on red.

    ## Arguments
    | Name           | Type | Default                     | Unit     | Meaning                        |
    |----------------|------|-----------------------------|----------|--------------------------------|
    | `difficulty`   | str  | `"medium"`                  |          | `"easy"`, `"medium"`, `"hard"` |
    | `distance`     | int  | 8                           | cells    | from the junction to the goal  |
    | `num_vehicles` | int  | 6 easy, 12 medium, 18 hard  | vehicles | traffic                        |
    | `green`        | int  | 12                          | ticks    | green per axis                 |
    | `yellow`       | int  | 3                           | ticks    |                                |
    | `all_red`      | int  | 2                           | ticks    |                                |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: a core for every road: junctions, driver styles, a reward that charges time; see the change log.
    * v0: first release.
    """

    config = IntersectionConfig
    presets = {
        "easy": IntersectionConfig(distance=8, num_vehicles=6, green=12, yellow=3, all_red=2),
        "medium": IntersectionConfig(distance=8, num_vehicles=12, green=12, yellow=3, all_red=2),
        "hard": IntersectionConfig(distance=8, num_vehicles=18, green=12, yellow=3, all_red=2),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    max_egos = 8
    window = WINDOW
    speed_limit = 2
    dawdle = 0.1
    has_portals = True
    num_junctions = 1
    num_destinations = 4
    num_slots = 8
    has_ways = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        return SIZE, SIZE

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, IntersectionConfig)
        return 1 + level.num_vehicles

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The cells of a lane beside the junction: it leads on from one edge of the map to the other."""
        return 2 * ARM

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside map and vehicles: the way and one cycle of the signal must fit into two thirds of the time."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, IntersectionConfig)
        cycle = 2 * (level.green + level.yellow + level.all_red)
        needed = SIZE - ARM + level.distance + 1 + cycle
        if 3 * needed > 2 * max_episode_steps:
            raise ValueError(
                f"distance, green, yellow and all_red must leave a third of the {max_episode_steps} steps to spare, "
                f"but way and signal cycle take {needed}"
            )
