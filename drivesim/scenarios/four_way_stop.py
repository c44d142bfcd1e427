"""FourWayStop: stop, wait for your turn, go."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.map import ALL_WAY_STOP, cell_at
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
class FourWayStopConfig(LevelConfig):
    """Level options of FourWayStop."""

    distance: int = within(3, 13)
    """Cells from the junction to the goal."""
    num_vehicles: int = within(0, 20)
    """Traffic, the ego not counted."""


AT = option_indices(FourWayStopConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """Four one-way lanes that cross in 2 x 2 cells, each behind a stop line."""
    lay_arms(map, options, ARM)
    for heading in range(4):
        for n in range(ARM, SIZE - ARM):
            add_heading(map, lane_cell(map, heading, n), heading)
    for n in range(4):
        map.junction[cell_at(map, MIDDLE + n // 2, MIDDLE + n % 2)] = 1
    open_crossing(map, ALL_WAY_STOP, SIZE - ARM - 1 + options.level[AT.distance], scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego on one approach, its goal on one exit, traffic on all lanes.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 1 fits
    into the time limit.
    """
    if not place_egos(map, world, options, STRAIGHT_SHARE):
        return False
    if not place_traffic(map, world, options, ARM, options.level[AT.num_vehicles]):
        return False
    return is_certified(map, world, options, 0)


class FourWayStop(Scenario):
    """Stop at a crossroads where everybody has to, wait for your turn, and take the given exit.

    ## Description
    Four approaches, one lane in and one lane out each, traffic keeps to the right. Whoever comes must stand on the
    stop line for a tick, and an ego that does not has failed. Then those go first who stood there first, and at the
    same time those whose ways do not cross (`drivesim.core.junctions`). The traffic reserves its way through the
    junction; so does an ego that stands on the line when its turn comes, and keeps it for 3 ticks: then it asks anew,
    behind the others. Traffic comes back at the other side when it leaves the map.

    ```text
    speed_limit = 2

    .  . .  v   @^  .  .   .
    .  . .  v   ^   .  .   .
    .  . .  !v  ^   .  .   .
    @< < <  *v< *^< !< <   <
    >  > !> *>v *^> >  >G0 @>
    .  . .  v   !^  .  .   .
    .  . .  v   ^   .  .   .
    .  . .  @v  ^E0 .  .   .
    ```

    In the words of `drivesim.levels.alphabet`: `^` lane, `*^>` cell of the junction with two headings, `!^` stop line,
    `@^` end of the map, `E0` the ego, `G0` its goal.

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
    either side; the plane `my_turn` shows whether the junction is the ego's to enter now, which it never is before it
    has stood on the line; `vehicle_turn` where others turn, `signal` the stop lines.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 2, times 0.9
    when the acceleration changes by 2; - 0.4 over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on
    a collision or for leaving the road, - 0.5 for entering the junction without having stood on the line, - 0.1 for
    failing to yield and per tick the wrong way.

    ## Starting state
    The ego on a uniform approach, 10 to 13 cells before the stop line, at rest. Its exit is to the left in 45 % of
    the levels, to the right in 40 %, straight on in 15 %. Traffic on uniform free cells of all arms.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision.
    3. Termination: off the road, or over the map's edge by a wrong exit.
    4. Truncation: after 120 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived, having stood on the line.

    ## Arguments
    | Name           | Type | Default                     | Unit     | Meaning                        |
    |----------------|------|-----------------------------|----------|--------------------------------|
    | `difficulty`   | str  | `"medium"`                  |          | `"easy"`, `"medium"`, `"hard"` |
    | `distance`     | int  | 8                           | cells    | from the junction to the goal  |
    | `num_vehicles` | int  | 5 easy, 10 medium, 16 hard  | vehicles | traffic                        |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: first release.
    """

    config = FourWayStopConfig
    presets = {
        "easy": FourWayStopConfig(distance=8, num_vehicles=5),
        "medium": FourWayStopConfig(distance=8, num_vehicles=10),
        "hard": FourWayStopConfig(distance=8, num_vehicles=16),
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
        assert isinstance(level, FourWayStopConfig)
        return 1 + level.num_vehicles

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The cells of a lane beside the junction: it leads on from one edge of the map to the other."""
        return 2 * ARM
