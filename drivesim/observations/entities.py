"""`"entities"`: float32 (K, 71), everybody on the road by rows, the ego first, then the nearest first.

| name            | value                                                                                    |
|-----------------|------------------------------------------------------------------------------------------|
| `valid`         | 1 in a row that tells of somebody; an empty row is 0 throughout                          |
| `is_ego`        | 1 in the ego's own row                                                                   |
| `is_vehicle`    | 1 in the row of another vehicle                                                          |
| `is_person`     | 1 in the row of a pedestrian                                                             |
| `ahead`         | how far ahead of the ego, negative behind                                                |
| `right`         | how far to its right, negative to its left                                               |
| `on_way`        | moves along the ego's way to there, 1 where there are none within 40 cells               |
| `heading_ahead` | the heading as a step from the ego's point of view: 1 as the ego's, -1 against it        |
| `heading_right` | 1 to the ego's right, -1 to its left                                                     |
| `speed`         | cells per tick, a share of 5                                                             |
| `turn`          | where it turns within 10 cells: -1 to its left, 1 to its right                           |
| `crosses`       | 1 a pedestrian on the crosswalk, 0 one who waits beside it                               |

The other columns are the ego's: those of `"features"` that tell of its road and not of others, by their names there,
and 0 in all rows but the first. Distances of d cells are coded d / (d + 10).

Of two who are equally near, whoever is further ahead comes first, then who is on the left (in a mirrored world, on the
right). There are as many rows as the scenario has inhabitants at the most, 2 … 32; `num_entities` asks for others. Who
finds no row is left out.
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.jit import kernel
from drivesim.core.map import LEFT_SIDE, RIGHT_SIDE, col_of, row_of
from drivesim.core.outlook import TURN_SIGHT, next_turn
from drivesim.core.world import CROSSING, DRIVING, NOBODY
from drivesim.observations.encoder import Encoder, Window
from drivesim.observations.features import AHEAD, FEATURES, note_way
from drivesim.observations.features import encode as encode_features
from drivesim.observations.grid import position_from
from drivesim.observations.near import coded

COMMON = (
    "valid",
    "is_ego",
    "is_vehicle",
    "is_person",
    "ahead",
    "right",
    "on_way",
    "heading_ahead",
    "heading_right",
    "speed",
    "turn",
    "crosses",
)
VALID, IS_EGO, IS_VEHICLE, IS_PERSON, ENTITY_AHEAD, ENTITY_RIGHT, ON_WAY, HEADING, _, SPEED, TURN, CROSSES = range(12)
_OF_OTHERS = ("from_left/", "oncoming/", "from_right/", "control/vehicles", "soon/")
_OF_OTHERS_IN_COLUMNS = ("ahead", "ahead_speed", "ahead_turn", "behind", "behind_speed", "behind_turn")
_COLUMNS = ("left_2", "left_1", "own", "right_1", "right_2")
_TOLD_IN_ROWS = tuple(f"{column}/{value}" for column in _COLUMNS for value in _OF_OTHERS_IN_COLUMNS)
EGO_FACTS = tuple(name for name in FEATURES if not name.startswith(_OF_OTHERS) and name not in _TOLD_IN_ROWS)
"""The features that tell of the ego and its road."""
ENTITY = (*COMMON, *EGO_FACTS)
"""Names of the columns."""
NUM_COMMON, NUM_FACTS, NUM_COLUMNS = len(COMMON), len(EGO_FACTS), len(ENTITY)
PLACES = np.array([FEATURES.index(name) for name in EGO_FACTS])  # ascending
LIST = 2 * AHEAD  # where in scratch memory, behind the way, those are noted who get a row: key and number of each
FAR = 1023  # cells; who is further away is put in the order of the cells alone


@kernel
def cells_to(map, world, k, cell):
    """How far ahead of ego k and to its right a cell lies; on a ring the short way, half round it ahead or left."""
    ego = world.vehicles[k]
    ahead, right = position_from(map, ego.heading, row_of(map, ego.cell), col_of(map, ego.cell), cell)
    is_along_cols = ego.heading & 1 == 1
    if 2 * abs(ahead) == (map.ring_cols if is_along_cols else map.ring_rows):
        ahead = abs(ahead)
    if 2 * abs(right) == (map.ring_rows if is_along_cols else map.ring_cols):
        right = abs(right) if world.is_mirrored != 0 else -abs(right)
    return ahead, right


@kernel
def order_of(map, world, k, cell, kind, heading):
    """A number by which those on the road are told in order to ego k, the least first: in 26 bits.

    Distance, then ahead before behind, then left before right, then a kind 0 … 3, at last the heading.
    """
    ahead, right = cells_to(map, world, k, cell)
    relative = heading - world.vehicles[k].heading
    if world.is_mirrored != 0:
        right = -right
        relative = -relative
    near = min(abs(ahead) + abs(right), FAR)
    behind = FAR - max(-FAR, min(ahead, FAR))
    return ((near << 11 | behind) << 1 | (right > 0)) << 4 | kind << 2 | relative & 3


@kernel
def note(scratch, num, most, order, who):
    """Put somebody into the list of those who get a row, in order, if there is room; how many are in it then."""
    if num == most:
        if most == 0 or scratch[LIST + 2 * (most - 1)] <= order:
            return num
        num -= 1
    n = num
    while n > 0 and scratch[LIST + 2 * (n - 1)] > order:
        scratch[LIST + 2 * n] = scratch[LIST + 2 * (n - 1)]
        scratch[LIST + 2 * n + 1] = scratch[LIST + 2 * (n - 1) + 1]
        n -= 1
    scratch[LIST + 2 * n] = order
    scratch[LIST + 2 * n + 1] = who
    return num + 1


@kernel
def note_everybody(map, world, k, most, scratch):
    """Note the nearest to ego k, at most so many: vehicles by their numbers, then pedestrians; how many there are."""
    num = 0
    for j in range(world.num_vehicles):
        vehicle = world.vehicles[j]
        if j != k and vehicle.status == DRIVING:
            num = note(scratch, num, most, order_of(map, world, k, vehicle.cell, 0, vehicle.heading), j)
    for p in range(world.num_people):
        person = world.people[p]
        if person.status != NOBODY:
            kind = 1 if person.status == CROSSING else 2
            order = order_of(map, world, k, person.cell, kind, person.heading)
            num = note(scratch, num, most, order, world.num_vehicles + p)
    return num


@kernel
def describe_place(map, world, k, cell, heading, way, length, out, base):
    """Where a cell lies, from ego k's point of view, and a heading there, in the row at `out[base:]`."""
    ahead, right = cells_to(map, world, k, cell)
    out[base + ENTITY_AHEAD] = coded(ahead)
    out[base + ENTITY_RIGHT] = coded(right)
    out[base + ON_WAY] = 1.0
    if ahead == 0 and right == 0:
        out[base + ON_WAY] = 0.0
    else:
        for n in range(length):
            if way[2 * n] == cell:
                out[base + ON_WAY] = coded(n + 1)
                break
    relative = (heading - world.vehicles[k].heading) & 3
    if relative & 1 == 0:
        out[base + HEADING] = 1.0 - relative
    else:
        out[base + HEADING + 1] = 2.0 - relative


@kernel
def describe_entity(map, world, k, who, way, length, out, base):
    """Write the row of a vehicle, or of a pedestrian numbered after all vehicles, at `out[base:]`, which is 0."""
    out[base + VALID] = 1.0
    if who < world.num_vehicles:
        vehicle = world.vehicles[who]
        out[base + (IS_EGO if who == k else IS_VEHICLE)] = 1.0
        describe_place(map, world, k, vehicle.cell, vehicle.heading, way, length, out, base)
        out[base + SPEED] = vehicle.speed / 5.0
        _, side = next_turn(map, world, who, TURN_SIGHT)
        out[base + TURN] = -1.0 if side == LEFT_SIDE else (1.0 if side == RIGHT_SIDE else 0.0)
    else:
        person = world.people[who - world.num_vehicles]
        out[base + IS_PERSON] = 1.0
        describe_place(map, world, k, person.cell, person.heading, way, length, out, base)
        out[base + CROSSES] = 1.0 if person.status == CROSSING else 0.0


@kernel
def encode(map, world, k, options, scratch, out):
    """Write ego k's row and those of everybody else.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: the number of rows.
        scratch: int32 (2 * (AHEAD + MAX_ENTITIES),) or longer; overwritten.
        out: float32 (num_entities * NUM_COLUMNS,).
    """
    encode_features(map, world, k, options, scratch, out)
    for n in range(NUM_FACTS):  # two rows have room for all features, and none stands before its place here
        out[n] = out[PLACES[n]]
    for n in range(NUM_FACTS):
        out[NUM_COLUMNS - 1 - n] = out[NUM_FACTS - 1 - n]
    for n in range(NUM_COMMON):
        out[n] = 0.0
    for n in range(NUM_COLUMNS, options.num_entities * NUM_COLUMNS):
        out[n] = 0.0
    length = note_way(map, world, k, scratch)
    describe_entity(map, world, k, k, scratch, length, out, 0)
    num = note_everybody(map, world, k, options.num_entities - 1, scratch)
    for n in range(num):
        who = scratch[LIST + 2 * n + 1]
        describe_entity(map, world, k, who, scratch, length, out, (n + 1) * NUM_COLUMNS)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """float32 (entities, NUM_COLUMNS) in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (window.entities, NUM_COLUMNS), np.float32)


ENCODER = Encoder("entities", encode, space, np.float32, options=("num_entities",))
