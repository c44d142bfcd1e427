"""Roundabout: give way, circulate, leave by the given exit."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.map import EAST, LEFT_SIDE, NORTH, SOUTH, WEST, YIELD, cell_at, turned
from drivesim.scenarios.crossing import (
    MIDDLE,
    SIZE,
    WINDOW,
    add_heading,
    is_certified,
    lay_arms,
    open_crossing,
    place_egos,
    place_traffic,
)
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within

ARM = MIDDLE - 2  # cells before the ring
SIDE = SIZE - 2 * ARM - 1  # cells of each of the ring's four sides, up to the next corner
STRAIGHT_SHARE = 10  # per cent of the levels in which the exit lies straight on
FAR = SIZE - 1 - ARM  # last row and last column of the ring; the first are ARM


@dataclass(frozen=True)
class RoundaboutConfig(LevelConfig):
    """Level options of Roundabout."""

    distance: int = within(3, 11)
    """Cells from the ring to the goal."""
    num_vehicles: int = within(0, 16)
    """Traffic, the ego not counted."""


AT = option_indices(RoundaboutConfig)  # where each stands in `options.level`


@kernel
def ring_cell(map, heading, n):
    """Cell n of the side of the ring that is driven in `heading`, its corner 0: traffic circulates to the left."""
    if heading == NORTH:
        return cell_at(map, FAR - n, FAR)
    if heading == WEST:
        return cell_at(map, ARM, FAR - n)
    if heading == SOUTH:
        return cell_at(map, ARM + n, ARM)
    return cell_at(map, FAR, ARM + n)


@kernel
def lay(map, world, options, scratch):
    """Four arms around a ring of one lane, which is one junction."""
    lay_arms(map, options, ARM)
    for heading in (NORTH, EAST, SOUTH, WEST):
        for n in range(SIDE):
            cell = ring_cell(map, heading, n)
            add_heading(map, cell, heading)
            map.junction[cell] = 1
        add_heading(map, ring_cell(map, turned(heading, LEFT_SIDE), 0), heading)  # it bends here
        add_heading(map, ring_cell(map, turned(heading, LEFT_SIDE), SIDE // 2), heading)  # the exit
        add_heading(map, ring_cell(map, turned(heading, -LEFT_SIDE), SIDE // 2 + 1), heading)  # the entry
    for heading in range(4):
        map.junctions[0].ranks[heading] = 1
    open_crossing(map, YIELD, SIZE - ARM - 1 + options.level[AT.distance], scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego on one approach, its goal on one exit, traffic on all arms.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 1 fits
    into the time limit.
    """
    if not place_egos(map, world, options, STRAIGHT_SHARE):
        return False
    if not place_traffic(map, world, options, ARM, options.level[AT.num_vehicles]):
        return False
    return is_certified(map, world, options, 0)


class Roundabout(Scenario):
    """Give way to whoever is in the roundabout, circulate, and leave it by the given exit.

    ## Description
    Four approaches around a ring of one lane; traffic keeps to the right and circulates to the left. Whoever is in the
    ring goes first: the traffic enters once nobody holds a cell of its way up to its exit, and the exit is free
    (`drivesim.core.junctions`); of those who wait, whoever came first, and after 20 ticks before all others. An ego in
    the ring holds its own way, so that others go on. At the corners of the ring, at its entries and at its exits the
    ego has to turn. Traffic comes back at the other side when it leaves the map.

    ```text
    speed_limit = 2

    .  .  .   .  v   @^  .  .   .   .
    .  .  .   .  ?v  ^   .  .   .   .
    .  .  *v< *< *v< *^< *< *^< .   .
    .  .  *v  .  .   .   .  *^  .   .
    @< <  *v< .  .   .   .  *^< ?<  <
    >  ?> *>v .  .   .   .  *^> >G0 @>
    .  .  *v  .  .   .   .  *^  .   .
    .  .  *>v *> *>v *^> *> *^> .   .
    .  .  .   .  v   ?^  .  .   .   .
    .  .  .   .  @v  ^E0 .  .   .   .
    ```

    In the words of `drivesim.levels.alphabet`: `^` lane, `*v<` cell of the ring with two headings, `?^` give-way line,
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
    either side; the plane `my_turn` shows whether the roundabout is the ego's to enter now or, in it, whether nobody
    else holds what is left of its way; `vehicle_turn` where others turn, `signal` the give-way lines.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 2, times 0.9
    when the acceleration changes by 2; - 0.4 over the whole time limit, shared among its ticks; + 1 on arrival, - 1 on
    a collision or for leaving the road, - 0.1 for failing to yield and per tick the wrong way.

    ## Starting state
    The ego on a uniform approach, 8 to 11 cells before the give-way line, at rest. Its exit is to the left in 45 % of
    the levels, to the right in 45 %, straight on in 10 %. Traffic on uniform free cells of all arms.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision.
    3. Termination: off the road, or over the map's edge by a wrong exit.
    4. Truncation: after 120 steps.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived, `failed_to_yield` that it took a cell that
    somebody else held.

    ## Arguments
    | Name           | Type | Default                     | Unit     | Meaning                        |
    |----------------|------|-----------------------------|----------|--------------------------------|
    | `difficulty`   | str  | `"medium"`                  |          | `"easy"`, `"medium"`, `"hard"` |
    | `distance`     | int  | 8                           | cells    | from the ring to the goal      |
    | `num_vehicles` | int  | 5 easy, 10 medium, 14 hard  | vehicles | traffic                        |

    and those of every environment, see `drivesim.env.DriveEnv`.

    ## Version history
    * v1: first release.
    """

    config = RoundaboutConfig
    presets = {
        "easy": RoundaboutConfig(distance=8, num_vehicles=5),
        "medium": RoundaboutConfig(distance=8, num_vehicles=10),
        "hard": RoundaboutConfig(distance=8, num_vehicles=14),
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
    num_slots = 4 * SIDE + 12  # of the ring, its exits, and what lies straight ahead of its entries and corners
    has_ways = True

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        return SIZE, SIZE

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """The ego and the traffic."""
        assert isinstance(level, RoundaboutConfig)
        return 1 + level.num_vehicles

    @classmethod
    def storage(cls, level: LevelConfig) -> int:
        """The cells of a lane beside the ring: it leads on from one edge of the map to the other."""
        return 2 * ARM
