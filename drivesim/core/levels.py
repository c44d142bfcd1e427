"""Building a level from the words of a text: paint, place, measure.

A text is split elsewhere (`drivesim.levels.text`); here it is a TEXT: one token per cell, in reading order, and the
facts of its head. `build` makes a map and a world of it, or tells the first token that is wrong. What is a function of
the words is derived and stands in no text: ways, distances, slots, occupants, and, unless the head says otherwise, the
headings of vehicles, the ends of portals, lanes, and the controls of junctions.
"""

from drivesim.core.batch import begin_drives
from drivesim.core.jit import entry, kernel
from drivesim.core.map import (
    CROSSWALK,
    EDGE,
    MAP,
    OBSTACLE,
    OFF_ROAD,
    headings,
    is_destination,
    is_ring,
    kind,
)
from drivesim.core.memory import BatchType, BlockType, FrameType, opener
from drivesim.core.open_road import mark_open_road
from drivesim.core.pedestrians import place_pedestrian
from drivesim.core.text_maps import cell_of_token, paint_map, said
from drivesim.core.texts import (
    A_VEHICLE,
    A_WALKER,
    EGO_IS_NOT_NEXT,
    EGO_TWICE,
    FINE,
    NO_GOAL,
    NO_GOAL_IN_ITS_HEADING,
    NO_HEADING,
    NO_ROAD,
    NO_SUCH_DESTINATION,
    NO_SUCH_GOAL,
    NOTHING,
    TEXT,
    UNSAID,
    WALKS_OFF_THE_MAP,
)
from drivesim.core.ways import measure_distances, measure_ways
from drivesim.core.world import CROSSING, DRIVING, WAITING, WORLD, place

BUILDING = FrameType(
    "building",
    texts=BatchType(TEXT),  # (1,)
    maps=BatchType(MAP),  # (1,) blank
    worlds=BatchType(WORLD),  # (1,) blank
    scratch=BlockType("i4"),  # 4 * cells of the map
    fault_out=BlockType("i4"),  # (3,): what is wrong, and the line and column of the token
)
open_building = opener(BUILDING)


@kernel
def measure(text, map, scratch):
    """Distances, and ways, to all destinations."""
    for destination in range(map.num_destinations):
        map.goals[destination].heading = 1 + text.goals[destination].heading
        map.goals[destination].top_speed = 1 + text.goals[destination].top_speed
        map.goals[destination].next = text.goals[destination].next
        for is_way in range(1 + int(text.has_ways != 0)):
            num_goals = 0
            for n in range(map.rows * map.cols):
                if text.tokens[n].goals >> destination & 1 != 0:
                    scratch[num_goals] = cell_of_token(map, n)
                    num_goals += 1
            if is_way == 0:
                measure_distances(map, destination, num_goals, scratch)
            else:
                measure_ways(map, destination, num_goals, scratch)


@kernel
def check_goals(text, map):
    """Refuse a cell of a destination that is none, as nobody can be there in its heading; (fault, token)."""
    for n in range(map.rows * map.cols):
        for destination in range(map.num_destinations):
            is_marked = text.tokens[n].goals >> destination & 1 != 0
            if is_marked and not is_destination(map, destination, cell_of_token(map, n)):
                return NO_GOAL_IN_ITS_HEADING, n
    return FINE, 0


@kernel
def heading_of(map, cell, wish):
    """The heading of who stands on a cell: as the head says, else its only one; -1 if there are several."""
    mask = headings(map, cell)
    if wish == UNSAID and mask & (mask - 1) == 0:
        for heading in range(4):
            if mask == 1 << heading:
                wish = heading
    return wish


@kernel
def place_ego(text, map, world, token, cell):
    """Put an ego on its cell; what is wrong with it."""
    k = token.number
    facts = text.egos[k]
    heading = heading_of(map, cell, facts.heading)
    if heading < 0:
        return NO_HEADING
    if world.vehicles[k].status == DRIVING:
        return EGO_TWICE
    if map.num_destinations == 0 and not is_ring(map):
        return NO_GOAL
    goal = facts.goal
    if goal == UNSAID:
        goal = 0 if map.num_destinations <= 1 else k
    if goal >= max(1, map.num_destinations):
        return NO_SUCH_GOAL
    place(world, k, cell, heading, facts.speed, facts.top_speed)
    ego = world.egos[k]
    ego.goal = goal
    ego.next_turn = facts.next_turn
    if is_ring(map):
        ego.remaining = said(facts.remaining, max(map.ring_rows, map.ring_cols))
    return FINE


@kernel
def place_vehicle(text, map, world, token, cell):
    """Put the next vehicle of the traffic on its cell; what is wrong with it."""
    facts = text.classes[token.number]
    heading = heading_of(map, cell, facts.heading)
    if heading < 0:
        return NO_HEADING
    if facts.destination >= 0 and (facts.destination >= map.num_destinations or text.has_ways == 0):
        return NO_SUCH_DESTINATION
    k = world.num_vehicles
    place(world, k, cell, heading, token.pace, facts.top_speed)
    world.vehicles[k].destination = facts.destination
    world.vehicles[k].style = facts.style
    world.num_vehicles += 1
    return FINE


@kernel
def walks_off(map, cell, heading):
    """Whether the next cell from here that belongs to no crosswalk is beyond the map."""
    reached = cell + map.steps[heading]
    while kind(map, reached) == CROSSWALK:
        reached += map.steps[heading]
    return kind(map, reached) == EDGE


@kernel
def place_walker(text, map, world, token, cell):
    """Put the next walker on its cell; what is wrong with it."""
    is_crossing = token.kind == CROSSWALK
    if walks_off(map, cell, token.pace) or (is_crossing and walks_off(map, cell, (token.pace + 2) & 3)):
        return WALKS_OFF_THE_MAP
    facts = text.walkers[world.num_people]
    status = CROSSING if is_crossing else WAITING
    place_pedestrian(world, cell, token.pace, status, facts.patience, facts.hesitates)
    return FINE


@kernel
def populate_text(text, map, world):
    """Put everybody on the map; (fault, token)."""
    world.is_mirrored = text.is_mirrored
    world.num_egos = text.num_egos
    world.num_vehicles = text.num_egos
    for n in range(map.rows * map.cols):
        token = text.tokens[n]
        if token.who == NOTHING:
            continue
        cell = cell_of_token(map, n)
        fault = FINE
        if token.who == A_WALKER:
            fault = place_walker(text, map, world, token, cell)
        elif token.kind == OFF_ROAD or token.kind == OBSTACLE:
            fault = NO_ROAD
        elif token.who == A_VEHICLE:
            fault = place_vehicle(text, map, world, token, cell)
        elif token.number >= world.num_egos:
            fault = EGO_IS_NOT_NEXT
        else:
            fault = place_ego(text, map, world, token, cell)
        if fault != FINE:
            return fault, n
    return FINE, 0


@kernel
def build(text, map, world, scratch):
    """Make the level of a text.

    Args:
        text: TEXT, every number of its head and facts in its range, cells that it names on the map.
        map: blank, with room for it: as many cells and destinations, MAX_JUNCTIONS, and for what it has of portals,
            ways, overtaking and goals' headings.
        world: blank, with room for its inhabitants, MAX_JUNCTIONS and MAX_SLOTS.
        scratch: int32, at least as long as the map's distances to one destination and as its cells.

    Returns:
        (fault, line, column): FINE, or what is wrong with which word; map and world are then no level.
    """
    fault, n = paint_map(text, map, world, scratch)
    if fault == FINE:
        measure(text, map, scratch)
        mark_open_road(map)
        fault, n = check_goals(text, map)
    if fault == FINE:
        fault, n = populate_text(text, map, world)
    return fault, text.tokens[n].line, text.tokens[n].column


@entry
def build_level(argument):
    """`build`, in a frame."""
    frame = open_building(argument)
    fault, line, column = build(frame.texts[0], frame.maps[0], frame.worlds[0], frame.scratch)
    frame.fault_out[0] = fault
    frame.fault_out[1] = line
    frame.fault_out[2] = column
    return fault


@entry
def begin_level(argument):
    """Begin the drives of a level that has been built."""
    frame = open_building(argument)
    begin_drives(frame.maps[0], frame.worlds[0])
    return 0
