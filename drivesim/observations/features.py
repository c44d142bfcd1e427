"""`"features"`: a float32 vector of one layout for every scenario, every value in [-1, 1], the ego facing up.

`FEATURES` names every entry in order. Five columns (two to the left … two to the right of the ego) are described by
ten numbers each, then come the ego's own numbers, its route, the moves around it, the lane's bends ahead, the control
ahead, the crosswalk ahead, who comes to the junction, and how soon others may be near. Distances of d cells
are coded d / (d + 10).
"""

import numpy as np
from gymnasium import spaces

from drivesim.core.crosswalks import is_crossed
from drivesim.core.jit import kernel
from drivesim.core.map import (
    CROSSWALK,
    EDGE,
    LEFT_SIDE,
    RIGHT_SIDE,
    SIGNALS,
    YIELD,
    allows,
    cell_towards,
    headings,
    is_ring,
    is_with_junction,
    junction_ahead,
    junction_of,
    kind,
    lane_offset,
    next_cell_for_ego,
    turned,
    way_from,
)
from drivesim.core.outlook import TURN_SIGHT, entry_in_sight, has_turn, next_turn
from drivesim.core.reservations import cells_to_entry, destination_of
from drivesim.core.signals import colour_for
from drivesim.core.world import DRIVING, occupant_of
from drivesim.observations.encoder import Encoder, Window
from drivesim.observations.near import (
    clipped,
    coded,
    describe_around,
    describe_soon,
    saved_by_step,
    saved_moves,
)

AHEAD = 40  # cells along the ego's way
BEHIND = 10
COLUMNS = 5  # two to either side
BENDS = 8  # cells ahead whose lane centre is told
APPROACH = 20  # cells before a junction within which somebody comes to it

_COLUMN = (
    "here",
    "clear",
    "ahead",
    "ahead_speed",
    "ahead_turn",
    "behind",
    "behind_speed",
    "behind_turn",
    "reach",
    "step",
)
_COLUMN_NAMES = ("left_2", "left_1", "own", "right_1", "right_2")
_ARMS = ("from_left", "oncoming", "from_right")  # in quarter turns of their headings to the right: 1, 2, 3
FEATURES = (
    *(f"{column}/{value}" for column in _COLUMN_NAMES for value in _COLUMN),
    "own/speed",
    "own/limit",
    "own/offset",
    "own/can_turn_left",
    "own/can_turn_right",
    "own/can_reverse",
    "route/turn",
    "route/turn_distance",
    "route/goal_distance",
    "route/goal_ahead",
    "route/goal_right",
    "route/goal_speed",
    "route/remaining",
    "around/ahead",
    "around/right",
    "around/behind",
    "around/left",
    "around/back_left",
    "around/back_right",
    *(f"bend_{n}" for n in range(1, BENDS + 1)),
    "control/distance",
    "control/signals",  # from here on in the order of the controls, then of the colours
    "control/all_way",
    "control/give_way",
    "control/none",
    "control/green",
    "control/yellow",
    "control/red",
    "control/my_turn",
    "control/inside",
    "control/vehicles",
    "crosswalk/distance",
    "crosswalk/occupied",
    *(f"{arm}/{value}" for arm in _ARMS for value in ("distance", "speed", "rank", "turn")),
    *(f"soon/{cell}" for cell in ("ahead_1", "ahead_2", "ahead_3", "right", "behind", "left")),
)
NUM_FEATURES = len(FEATURES)
_GROUPS = ("own/speed", "route/", "around/", "bend_", "control/", "crosswalk/", "from_left/", "soon/")
OWN, ROUTE, AROUND, BEND, CONTROL, CROSSING_AHEAD, ARMS, SOON = (
    next(n for n, name in enumerate(FEATURES) if name.startswith(group)) for group in _GROUPS
)
SPEEDS = 10.0
NO_ARRIVAL = 1 << 30  # of nobody


@kernel
def speed_along(world, j, heading):
    """Speed of vehicle j in the direction of `heading`: negative if it comes the other way."""
    vehicle = world.vehicles[j]
    relative = (vehicle.heading - heading) & 3
    if relative == 0:
        return vehicle.speed
    if relative == 2:
        return -vehicle.speed
    return 0


@kernel
def note_way(map, world, k, way):
    """Write the cells that lie ahead on ego k's way, and its heading on them, to `way`; how many there are.

    It goes round corners as the traffic's ways do; where there are none, straight on up to the map's edge.
    """
    cell = world.vehicles[k].cell
    heading = world.vehicles[k].heading
    goal = -1 if is_ring(map) else world.egos[k].goal
    for n in range(AHEAD):
        onward = way_from(map, goal, cell)
        if onward >= 0 and onward != turned(heading, 2):
            heading = onward
        cell = next_cell_for_ego(map, cell, heading)
        if kind(map, cell) == EDGE:
            return n
        way[2 * n] = cell
        way[2 * n + 1] = heading
    return AHEAD


@kernel
def describe_vehicle(map, world, k, other, heading, distance, out, base):
    """Distance, speed beyond ego k's and next turn of a vehicle in a column, or of nobody (-1), at `out[base:]`."""
    out[base] = 1.0
    if other >= 0:
        _, turn = next_turn(map, world, other, TURN_SIGHT)
        out[base] = coded(distance)
        out[base + 1] = (speed_along(world, other, heading) - world.vehicles[k].speed) / SPEEDS
        out[base + 2] = turn


@kernel
def describe_column(map, world, k, across, way, length, out, base):
    """Ten numbers on the column `across` cells to the right of ego k and its way, written at `out[base:]`."""
    ego = world.vehicles[k]
    here = cell_towards(map, ego.cell, ego.heading, 0, across)
    heading = ego.heading
    cell = here
    last = here
    clear = 0
    other = -1
    distance = 0
    if here >= 0:
        if allows(map, here, heading):
            out[base] = 1.0
        elif headings(map, here) != 0:
            out[base] = -1.0
        if across != 0 and headings(map, here) != 0:
            other = occupant_of(world, here)
        if across == 0 or headings(map, here) != 0:
            for n in range(length):
                if way[2 * n + 1] == heading:
                    cell = next_cell_for_ego(map, cell, heading)
                else:
                    heading = way[2 * n + 1]
                    cell = cell_towards(map, way[2 * n], heading, 0, across)
                if cell < 0 or headings(map, cell) == 0:
                    break
                clear = n + 1
                last = cell
                if other < 0 and world.occupants[cell] != 0:
                    other = occupant_of(world, cell)
                    distance = n + 1
    out[base + 1] = coded(clear)
    heading = way[2 * distance - 1] if distance > 0 else ego.heading
    describe_vehicle(map, world, k, other, heading, distance, out, base + 2)
    other = -1
    distance = 0
    for n in range(1, BEHIND + 1):
        cell = cell_towards(map, ego.cell, ego.heading, -n, across)
        if cell < 0 or headings(map, cell) == 0:
            break
        if world.occupants[cell] != 0:
            other = occupant_of(world, cell)
            distance = n
            break
    describe_vehicle(map, world, k, other, ego.heading, distance, out, base + 5)
    if last >= 0:
        saved = saved_moves(map, world, k, last, ego.heading)
        out[base + 8] = coded(saved) if saved > -1000 else -1.0
    out[base + 9] = saved_by_step(map, world, k, cell_towards(map, ego.cell, ego.heading, 1, across), ego.heading)


@kernel
def bend(map, world, k, distance):
    """Cells from ego k's column to the lane's centre, `distance` cells ahead; positive to the right."""
    ego = world.vehicles[k]
    for reach in range(8):
        for side in (LEFT_SIDE, RIGHT_SIDE):
            cell = cell_towards(map, ego.cell, ego.heading, distance, side * reach)
            if cell >= 0 and headings(map, cell) != 0:
                return side * reach - lane_offset(map, cell)
    return 0


@kernel
def describe_arms(map, world, k, s, out, base):
    """Who comes to junction s from the left, from ahead and from the right, the nearest of each; how many are in it.

    Of two who are equally near the faster is told, then who turns left.
    """
    ego = world.vehicles[k]
    nearest_1 = NO_ARRIVAL
    nearest_2 = NO_ARRIVAL
    nearest_3 = NO_ARRIVAL
    inside = 0
    for j in range(world.num_vehicles):
        other = world.vehicles[j]
        if j == k or other.status != DRIVING:
            continue
        inside += junction_of(map, other.cell) == s
        relative = (other.heading - ego.heading) & 3
        if relative == 0 or is_with_junction(map, other.cell):
            continue
        distance, entry = cells_to_entry(map, other.cell, other.heading, destination_of(world, j), APPROACH)
        if entry < 0 or junction_ahead(map, entry, other.heading) != s:
            continue
        _, turn = next_turn(map, world, j, TURN_SIGHT)
        arrival = (distance << 5) + ((5 - other.speed) << 2) + turn + 1
        if relative == 1:
            nearest_1 = min(nearest_1, arrival)
        elif relative == 2:
            nearest_2 = min(nearest_2, arrival)
        else:
            nearest_3 = min(nearest_3, arrival)
    for arm in range(3):
        arrival = nearest_1 if arm == 0 else (nearest_2 if arm == 1 else nearest_3)
        if arrival != NO_ARRIVAL:
            out[base + 4 * arm] = coded(arrival >> 5)
            out[base + 4 * arm + 1] = (5 - (arrival >> 2 & 7)) / 5.0
            if map.junctions[s].control == YIELD:
                ranks = map.junctions[s].ranks
                out[base + 4 * arm + 2] = clipped(ranks[ego.heading] - ranks[turned(ego.heading, arm + 1)])
            out[base + 4 * arm + 3] = (arrival & 3) - 1
    return inside


@kernel
def describe_control(map, world, k, out):
    """The junction that ego k is in or comes to: its control, whose turn it is, and who else comes to it."""
    ego = world.vehicles[k]
    out[CONTROL] = 1.0
    for arm in range(3):
        out[ARMS + 4 * arm] = 1.0
    distance, entry = entry_in_sight(map, world, k)
    out[CONTROL + 8] = 1.0 if has_turn(map, world, k, entry) else 0.0
    if map.num_junctions == 0:
        return
    s = junction_of(map, ego.cell)
    if is_with_junction(map, ego.cell):
        out[CONTROL + 9] = 1.0
    elif entry >= 0:
        s = junction_ahead(map, entry, ego.heading)
        control = map.junctions[s].control
        out[CONTROL] = coded(distance)
        out[CONTROL + 1 + control] = 1.0
        if control == SIGNALS:
            out[CONTROL + 5 + colour_for(map, world, s, ego.heading)] = 1.0
    if s >= 0:
        out[CONTROL + 10] = clipped(describe_arms(map, world, k, s, out, ARMS) / 4.0)


@kernel
def describe_crosswalk(map, world, k, out):
    """The next crosswalk straight ahead of ego k."""
    cell = world.vehicles[k].cell
    heading = world.vehicles[k].heading
    out[CROSSING_AHEAD] = 1.0
    for n in range(1, AHEAD + 1):
        cell = next_cell_for_ego(map, cell, heading)
        if kind(map, cell) == EDGE:
            break
        if kind(map, cell) == CROSSWALK:
            out[CROSSING_AHEAD] = coded(n)
            out[CROSSING_AHEAD + 1] = 1.0 if is_crossed(map, world, cell) else 0.0
            break


@kernel
def describe_route(map, world, k, out):
    """Ego k's next turn, and its goal: how far, in which heading, and how much faster it may arrive than it drives."""
    ego = world.vehicles[k]
    remaining = max(world.egos[k].remaining, 0)
    distance, turn = next_turn(map, world, k, AHEAD)
    out[ROUTE] = turn
    out[ROUTE + 1] = coded(distance) if distance >= 0 else 1.0
    out[ROUTE + 2] = coded(remaining)
    out[ROUTE + 5] = 1.0
    if not is_ring(map):
        goal = map.goals[world.egos[k].goal]
        if goal.heading != 0:
            relative = (goal.heading - 1 - ego.heading) & 3
            if relative & 1 == 0:
                out[ROUTE + 3] = 1.0 - relative
            else:
                out[ROUTE + 4] = 2.0 - relative
        if goal.top_speed != 0:
            out[ROUTE + 5] = clipped((goal.top_speed - 1 - abs(ego.speed)) / 5.0)
    out[ROUTE + 6] = clipped(remaining / world.egos[k].route_length)


@kernel
def encode(map, world, k, options, scratch, out):
    """Write ego k's features.

    Args:
        map: the map.
        world: the world.
        k: the ego.
        options: unused.
        scratch: int32 (2 * AHEAD,) or longer; overwritten.
        out: float32 (NUM_FEATURES,).
    """
    ego = world.vehicles[k]
    here = ego.cell
    for n in range(NUM_FEATURES):
        out[n] = 0.0
    length = note_way(map, world, k, scratch)
    base = 0
    for across in range(-(COLUMNS // 2), COLUMNS // 2 + 1):
        describe_column(map, world, k, across, scratch, length, out, base)
        base += 10
    out[OWN] = ego.speed / 5.0
    out[OWN + 1] = map.speed_limit / 5.0
    if map.half_lane > 0 and headings(map, here) != 0:
        out[OWN + 2] = clipped(lane_offset(map, here) / map.half_lane)
    out[OWN + 3] = 1.0 if allows(map, here, turned(ego.heading, LEFT_SIDE)) else 0.0
    out[OWN + 4] = 1.0 if allows(map, here, turned(ego.heading, RIGHT_SIDE)) else 0.0
    out[OWN + 5] = 1.0 if map.has_reverse != 0 else 0.0
    describe_route(map, world, k, out)
    describe_around(map, world, k, out, AROUND)
    if map.half_lane > 0:
        for n in range(BENDS):
            out[BEND + n] = clipped(bend(map, world, k, n + 1) / 8.0)
    describe_control(map, world, k, out)
    describe_crosswalk(map, world, k, out)
    describe_soon(map, world, k, out, SOON)
    return 0


def space(window: Window, rows: int, cols: int) -> spaces.Box:
    """float32 (NUM_FEATURES,) in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (NUM_FEATURES,), np.float32)


ENCODER = Encoder("features", encode, space, np.float32)
