"""Merge: from a ramp that ends into dense traffic."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.map import UNREACHABLE, distance_from
from drivesim.observations.encoder import Window
from drivesim.scenarios.motorway import FAR_END, check_traffic_options, lay_motorway, place_egos, place_traffic
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

LENGTH = 60  # columns
EXIT_LANE = 14  # cells
EGO_SPEED = 2  # cells per tick at the start
LEAVING = 30  # per cent of the traffic


@dataclass(frozen=True)
class MergeConfig(LevelConfig):
    """Level options of Merge."""

    num_lanes: int = within(1, 4)
    """Lanes that go all the way."""
    ramp: int = within(10, 40)
    """Cells of the ramp."""
    from_ramp: int = within(0, 1)
    """1: the ego is on the ramp; 0: on the lane beside it, among others who merge."""
    num_vehicles: int = within(0, 60)
    """Traffic, the ego not counted."""
    slowest: int = within(1, 5)
    """Cells per tick: the least of the speed limits that drivers set themselves."""
    fastest: int = within(1, 5)
    """Cells per tick: the greatest of them."""


AT = option_indices(MergeConfig)  # where each stands in `options.level`


@kernel
def lay(map, world, options, scratch):
    """A motorway with a ramp, and an exit lane by which those leave who come back on the ramp."""
    lay_motorway(map, options, LENGTH, options.level[AT.num_lanes], options.level[AT.ramp], EXIT_LANE, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The egos at the beginning of the ramp, or of the lane beside it, traffic on all lanes and on the ramp.

    Certificate: the route found backward from the far end reaches the start, and 1.5 times its length at speed 2 fits
    into the time limit.
    """
    lanes = options.level[AT.num_lanes]
    place_egos(map, world, options, lanes + options.level[AT.from_ramp], FAR_END)
    if not place_traffic(
        map,
        world,
        options,
        LENGTH,
        lanes,
        options.level[AT.ramp],
        options.level[AT.num_vehicles],
        LEAVING,
        options.level[AT.slowest],
        options.level[AT.fastest],
        EGO_SPEED,
    ):
        return False
    route = distance_from(map, FAR_END, world.vehicles[0].cell, world.vehicles[0].heading)
    return route != UNREACHABLE and 3 * route <= 4 * options.certified_within


class Merge(Scenario):
    """Get from a ramp that ends into dense traffic, and to the far end of the road.

    ## Description
    A one-way road of several lanes, with a ramp to the right of them that ends. Traffic follows Krauss's safe speed in
    integers (`drivesim.core.following`), dawdles with probability 0.1, changes lane where another one is faster, and
    merges from the ramp as well: who has come to its end waits there until somebody brakes for him, as in a zipper
    (`drivesim.core.duties`). One driver in four is calm and one hasty: they drive one cell per tick slower or faster
    (`drivesim.core.styles`). Nobody brakes for the ego: it has to find a gap, with the speed that fits. At the far end
    some leave by an exit lane and come back on the ramp, the others come back in their lane.

    ```text
    speed_limit = 4
    a.top_speed = 3
    a.destination = 0

    .   .   . .   . . . . .   . .   . . .   .    .
    >   >   > >a3 > > > > >a3 > >   > > >   >G0  @>
    >   >   > >   > > > > >   > >a2 > > >   >G0  @>
    >   >E0 > >   > > . . .   . .   . > >a1 >G1  @>
    .   .   . .   . . . . .   . .   . . .   .    .
    ```

    In the words of `drivesim.levels.alphabet`: `.` verge, `>` lane, `@>` the map's end, `E0` the ego, `a3` traffic
    with speed 3, `G0` the ego's goal, `G1` the exit.

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
    `observation="grid"` (default): `Box(0, 255, (4, 23, 5), uint8)`, a window of 12 cells ahead, 10 behind and 2
    lanes to either side. Ten cells behind show every follower that a change of lane could hurt.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 4, times 0.9 when
    the acceleration changes by 2; - 0.01 on crossing a lane's boundary, - 0.05 per tick in which somebody behind has no
    safe speed left, - 0.4 over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on a collision or for
    leaving the road.

    ## Starting state
    The ego at a uniform one of the first four cells of the ramp, at speed 2 or as fast as it could stop from. Traffic
    in uniform free cells, each at the greatest speed up to its limit from which it could stop behind a standing
    leader.

    ## Episode end
    1. Termination: the far end is reached.
    2. Termination: collision.
    3. Termination: off the road.
    4. Truncation: after 60 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means that the far end was reached without a collision.

    ## Arguments
    | Name           | Type | Default                     | Unit       | Meaning                                  |
    |----------------|------|-----------------------------|------------|------------------------------------------|
    | `difficulty`   | str  | `"medium"`                  |            | `"easy"`, `"medium"`, `"hard"`           |
    | `num_lanes`    | int  | 2                           | lanes      | that go all the way                      |
    | `ramp`         | int  | 24 easy, 20 medium, 16 hard | cells      | length of the ramp                       |
    | `from_ramp`    | int  | 1                           | flag       | 1: start on the ramp; 0: beside it       |
    | `num_vehicles` | int  | 16 easy, 28 medium, 36 hard | vehicles   | traffic                                  |
    | `slowest`      | int  | 3                           | cells/tick | least own limit in the traffic           |
    | `fastest`      | int  | 3                           | cells/tick | greatest own limit in the traffic        |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## References
    Krauss, Wagner, Gawron, Phys. Rev. E 55 (1997) 5597; Rickert, Nagel, Schreckenberg, Latour, Physica A 231 (1996)
    534.

    ## Version history
    * v1: first release.
    """

    config = MergeConfig
    presets = {
        "easy": MergeConfig(num_lanes=2, ramp=24, from_ramp=1, num_vehicles=16, slowest=3, fastest=3),
        "medium": MergeConfig(num_lanes=2, ramp=20, from_ramp=1, num_vehicles=28, slowest=3, fastest=3),
        "hard": MergeConfig(num_lanes=2, ramp=16, from_ramp=1, num_vehicles=36, slowest=3, fastest=3),
    }
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    max_egos = 8
    window = Window(ahead=12, behind=10, beside=2, planes=("road", "vehicle", "route", "own_speed"))
    speed_limit = 4
    dawdle = 0.1
    styles = (1, 2, 1)
    has_portals = True
    num_destinations = 2
    has_ways = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        assert isinstance(level, MergeConfig)
        return level.num_lanes + 3, LENGTH

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, MergeConfig)
        return 1 + level.num_vehicles

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The length of the road: all could gather in one lane."""
        return LENGTH

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside map and vehicles: the limits must be in order, and there must be room and time."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, MergeConfig)
        check_traffic_options(cls, level, LENGTH, max_episode_steps)
