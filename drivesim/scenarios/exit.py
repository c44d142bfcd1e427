"""Exit: across dense traffic to an exit that comes up."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.map import UNREACHABLE, distance_from
from drivesim.observations.encoder import Window
from drivesim.scenarios.motorway import EXIT, check_traffic_options, lay_motorway, place_egos, place_traffic
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

LENGTH = 70  # columns
RAMP = 20  # cells
EGO_SPEED = 3  # cells per tick at the start
LEAVING = 30  # per cent of the traffic


@dataclass(frozen=True)
class ExitConfig(LevelConfig):
    """Level options of Exit."""

    num_lanes: int = within(2, 4)
    """Lanes that go all the way; the ego starts on the leftmost."""
    exit_lane: int = within(6, 40)
    """Cells of the exit lane."""
    num_vehicles: int = within(0, 69)
    """Traffic, the ego not counted."""
    slowest: int = within(1, 5)
    """Cells per tick: the least of the speed limits that drivers set themselves."""
    fastest: int = within(1, 5)
    """Cells per tick: the greatest of them."""


AT = option_indices(ExitConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A motorway with an exit lane, and a ramp on which those come back who have left."""
    lay_motorway(map, options, LENGTH, options.level[AT.num_lanes], RAMP, options.level[AT.exit_lane], scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The egos at the beginning of the leftmost lane, traffic on all lanes and on the ramp.

    Certificate: the route found backward from the exit reaches the start, and 1.5 times its length at speed 2 fits
    into the time limit.
    """
    place_egos(map, world, options, 1, EXIT)
    if not place_traffic(
        map,
        world,
        options,
        LENGTH,
        options.level[AT.num_lanes],
        RAMP,
        options.level[AT.num_vehicles],
        LEAVING,
        options.level[AT.slowest],
        options.level[AT.fastest],
        EGO_SPEED,
    ):
        return False
    route = distance_from(map, EXIT, world.vehicles[0].cell, world.vehicles[0].heading)
    return route != UNREACHABLE and 3 * route <= 4 * options.certified_within


class Exit(Scenario):
    """Cross dense lanes to an exit before it is passed.

    ## Description
    A one-way road of several lanes, the ego on the leftmost. To the right of them an exit lane begins, and at its end
    is the goal. Traffic follows Krauss's safe speed in integers (`drivesim.core.following`), dawdles with probability
    0.1 and changes lane where another one is faster, and some of it leaves by the same exit (`drivesim.core.duties`);
    those come back on a ramp, the others in their lane. One driver in four is calm and one hasty: they drive one cell
    per tick slower or faster (`drivesim.core.styles`). Who misses the exit cannot come back.

    ```text
    speed_limit = 4
    a.top_speed = 3
    a.destination = 0
    egos.goal = [1]

    .   .   . .   . . . . .   . .   . . .   .    .
    >   >E0 > >a3 > > > > >a3 > >   > > >   >G0  @>
    >   >   > >   > > > > >   > >a2 > > >   >G0  @>
    >   >   > >   . . . . .   > >   > > >a2 >G1  @>
    .   .   . .   . . . . .   . .   . . .   .    .
    ```

    In the words of `drivesim.levels.alphabet`: `.` verge, `>` lane, `@>` the map's end, `E0` the ego, `a3` traffic
    with speed 3, `G1` the exit, which is the ego's goal.

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
    `observation="grid"` (default): `Box(0, 255, (4, 31, 7), uint8)`, a window of 20 cells ahead, 10 behind and 3
    lanes to either side. Ten cells behind show every follower that a change of lane could hurt.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 4, times 0.9 when
    the acceleration changes by 2; - 0.01 on crossing a lane's boundary, - 0.05 per tick in which somebody behind has no
    safe speed left, - 0.4 over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on a collision or for
    leaving the road.

    ## Starting state
    The ego at a uniform one of the first four cells of the leftmost lane, at speed 3 or as fast as it could stop from.
    Traffic in uniform free cells, each at the greatest speed up to its limit from which it could stop behind a standing
    leader.

    ## Episode end
    1. Termination: the exit is reached.
    2. Termination: collision.
    3. Termination: off the road, or over the map's end past the exit.
    4. Truncation: after 60 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means that the exit was reached without a collision.

    ## Arguments
    | Name           | Type | Default                     | Unit       | Meaning                                  |
    |----------------|------|-----------------------------|------------|------------------------------------------|
    | `difficulty`   | str  | `"medium"`                  |            | `"easy"`, `"medium"`, `"hard"`           |
    | `num_lanes`    | int  | 2 easy, 3 medium, 3 hard    | lanes      | that go all the way                      |
    | `exit_lane`    | int  | 20 easy, 16 medium, 12 hard | cells      | length of the exit lane                  |
    | `num_vehicles` | int  | 24 easy, 40 medium, 56 hard | vehicles   | traffic                                  |
    | `slowest`      | int  | 3                           | cells/tick | least own limit in the traffic           |
    | `fastest`      | int  | 3                           | cells/tick | greatest own limit in the traffic        |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## References
    Krauss, Wagner, Gawron, Phys. Rev. E 55 (1997) 5597; Rickert, Nagel, Schreckenberg, Latour, Physica A 231 (1996)
    534.

    ## Version history
    * v1: first release.
    """

    config = ExitConfig
    presets = {
        "easy": ExitConfig(num_lanes=2, exit_lane=20, num_vehicles=24, slowest=3, fastest=3),
        "medium": ExitConfig(num_lanes=3, exit_lane=16, num_vehicles=40, slowest=3, fastest=3),
        "hard": ExitConfig(num_lanes=3, exit_lane=12, num_vehicles=56, slowest=3, fastest=3),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    window = Window(ahead=20, behind=10, beside=3, planes=("road", "vehicle", "route", "own_speed"))
    speed_limit = 4
    dawdle = 0.1
    styles = (1, 2, 1)
    has_portals = True
    num_destinations = 2
    has_ways = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        assert isinstance(level, ExitConfig)
        return level.num_lanes + 3, LENGTH

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, ExitConfig)
        return 1 + level.num_vehicles

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The length of the road: all could gather in one lane."""
        return LENGTH

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside map and vehicles: the limits must be in order, and there must be room and time."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, ExitConfig)
        check_traffic_options(cls, level, LENGTH, max_episode_steps)
