"""Intersection: a signalised crossroads with turning traffic."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.occupancy import place
from drivesim.core.rng import DRAW_EGO, DRAW_SIGNALS, DRAW_TRAFFIC, level_below
from drivesim.core.route import measure_route
from drivesim.core.signals import colour_at
from drivesim.core.traffic import braking_distance, look
from drivesim.core.world import (
    EAST,
    GOAL,
    LANE,
    LEFT_SIDE,
    NORTH,
    RIGHT_SIDE,
    SOUTH,
    STOP_LINE,
    UNREACHABLE,
    WEST,
    col_step,
    is_junction,
    paint,
    row_step,
    turned,
)
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, within

SIZE = 30
BOX = 14  # first row and column of the junction's 2 x 2 cells
TRIES = 40  # draws of a cell for one vehicle before the level is drawn again


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


@kernel
def entry_row(heading):
    """Row of the lane that leads to the junction in `heading`; for north and south, of its map edge."""
    if heading == NORTH:
        return SIZE - 1
    if heading == SOUTH:
        return 0
    return BOX + 1 if heading == EAST else BOX


@kernel
def entry_col(heading):
    """Column of the lane that leads to the junction in `heading`; for east and west, of its map edge."""
    if heading == EAST:
        return 0
    if heading == WEST:
        return SIZE - 1
    return BOX + 1 if heading == NORTH else BOX


@kernel
def draw_roads(world):
    """Four one-way lanes that cross in 2 x 2 cells; traffic keeps to the right."""
    for heading in range(4):
        mask = 1 << heading
        for n in range(SIZE):
            row = entry_row(heading) + row_step(heading) * n
            col = entry_col(heading) + col_step(heading) * n
            bits = int(world.cells[row * SIZE + col]) & 15
            where = STOP_LINE if n == BOX - 1 else LANE
            paint(world, row, col, where if bits == 0 else LANE, bits | mask, heading, 0)


@kernel
def generate(world, rules, queue):
    """The crossroads, the ego on one approach, its goal on one exit, traffic on all lanes.

    Further controlled cars start on the other approaches and on the same, and have the same goal.

    Certificate: the route found backward from the goal reaches the start, and 1.5 times its length at speed 1 plus
    one cycle of the signal fits into the time limit.
    """
    world.rows = SIZE
    world.cols = SIZE
    world.wraps_rows = 1
    world.wraps_cols = 1
    world.limit = 2
    draw_roads(world)
    world.num_signals = 1
    signal = world.signals[0]
    signal.row = BOX
    signal.col = BOX
    signal.height = 2
    signal.width = 2
    signal.green_0 = rules.level.green
    signal.green_1 = rules.level.green
    signal.yellow = rules.level.yellow
    signal.all_red = rules.level.all_red
    cycle = 2 * (int(rules.level.green) + int(rules.level.yellow) + int(rules.level.all_red))
    signal.offset = level_below(world, DRAW_SIGNALS, 0, cycle)
    signal.colour_0 = colour_at(signal, 0, 0)
    signal.colour_1 = colour_at(signal, 1, 0)

    approach = level_below(world, DRAW_EGO, 0, 4)
    start = level_below(world, DRAW_EGO, 1, 4)
    row = entry_row(approach) + row_step(approach) * start
    col = entry_col(approach) + col_step(approach) * start
    choice = level_below(world, DRAW_EGO, 2, 100)
    turn = 0
    if choice < 45:
        turn = LEFT_SIDE
    elif choice < 85:
        turn = RIGHT_SIDE
    leave = turned(approach, turn)
    goal_row = entry_row(leave) + row_step(leave) * (BOX + 1 + int(rules.level.distance))
    goal_col = entry_col(leave) + col_step(leave) * (BOX + 1 + int(rules.level.distance))
    paint(world, goal_row, goal_col, GOAL, 1 << leave, leave, 0)
    place(world, 0, row, col, approach, 0, rules.top_speed)
    world.vehicles[0].turn = turn
    controlled = int(world.num_controlled)
    for k in range(1, controlled):
        found = False
        for attempt in range(TRIES):
            draw = 3 + ((k - 1) * TRIES + attempt) * 2
            turn = level_below(world, DRAW_EGO, draw, 3) - 1
            approach = turned(leave, -turn)
            start = level_below(world, DRAW_EGO, draw + 1, 4)
            row = entry_row(approach) + row_step(approach) * start
            col = entry_col(approach) + col_step(approach) * start
            if world.occupants[row * SIZE + col] == 0:
                found = True
                break
        if not found:
            return False
        place(world, k, row, col, approach, 0, rules.top_speed)
        world.vehicles[k].turn = turn

    world.num_vehicles = controlled
    for n in range(rules.level.num_vehicles):
        k = controlled + n
        found = False
        for attempt in range(TRIES):
            draw = (n * TRIES + attempt) * 2
            heading = level_below(world, DRAW_TRAFFIC, draw, 4)
            along = level_below(world, DRAW_TRAFFIC, draw + 1, SIZE)
            row = entry_row(heading) + row_step(heading) * along
            col = entry_col(heading) + col_step(heading) * along
            cell = row * SIZE + col
            if world.occupants[cell] == 0 and not is_junction(world.cells[cell]):
                found = True
                break
        if not found:
            return False
        place(world, k, row, col, heading, 0, 2)
        world.vehicles[k].turn = level_below(world, DRAW_TRAFFIC, 100_000 + n, 3) - 1
        world.num_vehicles = k + 1
    for k in range(controlled, world.num_vehicles):
        vehicle = world.vehicles[k]
        gap, _, _ = look(world, k, vehicle.row, vehicle.col, 3)
        speed = 2
        while braking_distance(speed) > gap:
            speed -= 1
        vehicle.speed = speed
    measure_route(world, queue)
    ego = world.vehicles[0]
    route = int(world.route[int(ego.row) * SIZE + int(ego.col)])
    return route != UNREACHABLE and 3 * (route + cycle) <= 2 * rules.level_limit


class Intersection(Scenario):
    """Cross a signalised crossroads through turning traffic and take the given exit.

    ## Description
    Four approaches, one lane in and one lane out each, traffic keeps to the right. The ego must stop at red, leave
    the junction to whoever is in it, give way to oncoming traffic when it turns left, and turn in the right cell:
    to the right in the first of the junction, to the left in the second. Traffic obeys the signals, reserves its way
    through the junction (`drivesim.core.signals`) and comes back at the other side when it leaves the map.

    ```text
    . . . v ^ . . .      v ^ < >  one-way lanes     .  off-road
    . . . v ^ . . .
    . . . = ^ . . .      =  stop line
    < < < + + = < <      +  junction cell, two headings allowed
    > > = + + > > G      G  goal on the given exit
    . . . v = . . .
    . . . v ^ . . .
    . . . v E . . .      E  ego
    ```

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
    either side; plane 7 shows the stop line's colour, plane 8 the route.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick, times 0.5 above the speed limit of 2, times 0.9
    when the acceleration changes by 2; + 1 on arrival, - 1 on a collision or for leaving the road, - 0.5 for leaving
    the stop line into the junction on red.

    ## Starting state
    The ego on a uniform approach, 10 to 13 cells before the stop line, at rest. Its exit is to the left in 45 % of
    the levels, to the right in 40 %, straight on in 15 %. Signal phase and traffic uniform.

    ## Episode end
    1. Termination: arrived at the goal.
    2. Termination: collision.
    3. Termination: off the road, or over the map's edge by a wrong exit.
    4. Truncation: after 120 steps.

    ## Info
    The keys of `drivesim.core.batch.EPISODE`; `success` means arrived. `red_light` tells a red light run.

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
    * v0: first release.
    """

    name = "Intersection"
    number = 5
    config = IntersectionConfig
    presets = {
        "easy": IntersectionConfig(distance=8, num_vehicles=6, green=12, yellow=3, all_red=2),
        "medium": IntersectionConfig(distance=8, num_vehicles=12, green=12, yellow=3, all_red=2),
        "hard": IntersectionConfig(distance=8, num_vehicles=18, green=12, yellow=3, all_red=2),
    }
    generate = staticmethod(generate)
    max_controlled = 8
    window = Window(ahead=12, behind=6, beside=6)
    limit = 2
    max_episode_steps = 120
    dawdle = 0.1

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
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Beside map and vehicles: the way and one cycle of the signal must fit into two thirds of the time."""
        super().check_fit(level, max_episode_steps)
        assert isinstance(level, IntersectionConfig)
        cycle = 2 * (level.green + level.yellow + level.all_red)
        needed = BOX + 2 + level.distance + 1 + cycle
        if 3 * needed > 2 * max_episode_steps:
            raise ValueError(
                f"distance, green, yellow and all_red must leave a third of the {max_episode_steps} steps to spare, "
                f"but way and signal cycle take {needed}"
            )
